/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/decide.h"

#include <stddef.h>

static bool is_block(const struct df_policy_rule *r)
{
	return r && r->action == DF_POLICY_BLOCK;
}

struct df_decision df_decide_question(const struct df_policy *p,
				      const struct df_search_list *search,
				      const struct df_dname *qname)
{
	const struct df_policy_rule *rule = df_policy_lookup(p, qname);
	const bool is_deny = df_policy_default(p) == DF_POLICY_BLOCK;
	struct df_decision d = {.rule = rule};

	if (rule) {
		d.is_refusal = is_block(rule);
		d.reason = d.is_refusal ? DF_REASON_QNAME : DF_REASON_NONE;
		return d;
	}
	for (unsigned i = 0; i < search->n; i++) {
		struct df_dname bare;

		if (df_dname_strip_suffix(qname, &search->names[i], &bare) < 0)
			continue;
		rule = df_policy_lookup(p, &bare);
		if (is_block(rule))
			return (struct df_decision){
				.is_refusal = true, .reason = DF_REASON_SEARCH, .rule = rule};
		d.is_search_miss |= is_deny && rule;
	}
	d.is_refusal = is_deny;
	d.reason = is_deny ? DF_REASON_UNLISTED : DF_REASON_NONE;
	return d;
}

static struct df_decision decide_names(const struct df_policy *p, const struct df_dname *names,
				       unsigned n, enum df_reason reason)
{
	for (unsigned i = 0; i < n; i++) {
		const struct df_policy_rule *rule = df_policy_lookup(p, &names[i]);

		if (is_block(rule))
			return (struct df_decision){
				.is_refusal = true, .reason = reason, .rule = rule};
	}
	return (struct df_decision){};
}

struct df_decision df_decide_answer(const struct df_policy *p, const struct df_dns_answer *answer)
{
	struct df_decision d = decide_names(p, answer->chain, answer->n_chain, DF_REASON_CNAME);

	if (!d.is_refusal)
		d = decide_names(p, answer->strays, answer->n_strays, DF_REASON_CNAME);
	if (!d.is_refusal)
		d = decide_names(p, answer->targets, answer->n_targets, DF_REASON_TARGET);
	return d;
}

struct df_decision df_decide_name(const struct df_policy *p, const struct df_dname *name,
				  uint8_t proto, uint16_t port, enum df_reason blocked)
{
	const struct df_policy_rule *rule = df_policy_lookup_port(p, name, proto, port);

	if (rule)
		return (struct df_decision){.is_refusal = is_block(rule),
					    .reason = is_block(rule) ? blocked : DF_REASON_NONE,
					    .rule = rule};
	if (df_policy_default(p) == DF_POLICY_ALLOW)
		return (struct df_decision){};
	return (struct df_decision){.is_refusal = true, .reason = DF_REASON_UNLISTED};
}

struct df_decision df_decide_addr(const struct df_policy *p, const uint8_t addr[static 16],
				  uint8_t proto, uint16_t port, enum df_learned_as as)
{
	const struct df_policy_rule *rule = df_policy_lookup_addr(p, addr, proto, port);

	if (rule)
		return (struct df_decision){.is_refusal = is_block(rule),
					    .reason = is_block(rule) ? DF_REASON_ADDRESS
								     : DF_REASON_NONE,
					    .rule = rule};
	switch (as) {
	case DF_LEARNED_AS_ALLOWED:
		return (struct df_decision){};
	case DF_LEARNED_AS_SHARED:
		if (df_policy_shared_address(p) == DF_POLICY_SHARED_ALLOW)
			return (struct df_decision){};
		return (struct df_decision){.is_refusal = true, .reason = DF_REASON_PINNED};
	case DF_LEARNED_AS_BLOCKED:
		return (struct df_decision){.is_refusal = true, .reason = DF_REASON_PINNED};
	case DF_LEARNED_AS_NONE:
		break;
	}
	if (df_policy_raw_ip(p) == DF_POLICY_RAW_ALLOW)
		return (struct df_decision){};
	return (struct df_decision){.is_refusal = true,
				    .is_audit = df_policy_raw_ip(p) == DF_POLICY_RAW_AUDIT,
				    .reason = DF_REASON_RAW};
}

struct df_dns_refusal df_decide_refusal(const struct df_policy *p, const struct df_decision *d,
					const struct df_dname *qname)
{
	struct df_dns_refusal r = {.rcode = DF_DNS_RCODE_NXDOMAIN, .ede = DF_DNS_EDE_BLOCKED};

	/* nothing is said of the name: the client may ask another resolver */
	if (d->reason == DF_REASON_RESOLVER || d->reason == DF_REASON_NO_RESOLVER) {
		r.rcode = d->reason == DF_REASON_RESOLVER ? DF_DNS_RCODE_REFUSED
							  : DF_DNS_RCODE_SERVFAIL;
		return r;
	}

	/*
	 * The client's search list made the name: with REFUSED or an address it would stop
	 * there, and never come to the allowed one.
	 */
	switch (d->is_search_miss ? DF_POLICY_NXDOMAIN : df_policy_refuse_dns(p)) {
	case DF_POLICY_REFUSED:
		r.rcode = DF_DNS_RCODE_REFUSED;
		break;
	case DF_POLICY_SINKHOLE:
		r.rcode = DF_DNS_RCODE_NOERROR;
		r.sinkhole = true;
		break;
	case DF_POLICY_NXDOMAIN:
		/* RFC 8020: NXDOMAIN would deny the allowed names below too */
		if (df_policy_has_allow_below(p, qname))
			r.rcode = DF_DNS_RCODE_NOERROR;
		break;
	}
	return r;
}
