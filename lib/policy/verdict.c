/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/verdict.h"

#include <errno.h>
#include <netinet/in.h>

#include "lib/base/util.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

/* One question, which each table is asked. */
struct query {
	const struct df_search_list *search;
	const struct df_dname *names;
	unsigned n;
	const uint8_t *addr;
	uint8_t proto;
	uint16_t port;
	uint16_t bits;         /* shifted so that those of the table come first */
	enum df_reason reason; /* if a block rule decides */
};

typedef struct df_decision judge_one(const struct df_policy *p, const struct query *q);

static bool is_block(const struct df_policy_rule *rule)
{
	return rule && rule->action == DF_POLICY_BLOCK;
}

static struct df_decision by_rule(const struct df_policy_rule *rule, enum df_reason blocked)
{
	return (struct df_decision){.is_refusal = is_block(rule),
				    .reason = is_block(rule) ? blocked : DF_REASON_NONE,
				    .rule = rule};
}

unsigned df_verdict_strictness(const struct df_decision *d)
{
	return d->is_refusal ? 1u + d->is_enforced : 0u;
}

static struct df_decision strictest(const struct df_tables *t, unsigned set, judge_one *judge,
				    const struct query *q)
{
	struct df_decision all = {};
	bool is_first = true;

	for (unsigned i = 0; i < DF_TABLES; i++) {
		struct query one = *q;
		struct df_decision d;

		if (!(set >> i & 1) || !df_tables_has(t, i))
			continue;
		one.bits = (uint16_t)(q->bits >> i);
		d = judge(&t->tables[i], &one);
		d.table = i;
		d.is_enforced = d.is_refusal && !d.is_audit && t->modes[i] == DF_MODE_ENFORCE;
		if (is_first || df_verdict_strictness(&d) > df_verdict_strictness(&all))
			all = d;
		is_first = false;
	}
	return all;
}

static struct df_decision judge_question(const struct df_policy *p, const struct query *q)
{
	const struct df_policy_rule *rule = df_policy_lookup(p, q->names);
	const bool is_deny = df_policy_default(p) == DF_POLICY_BLOCK;
	struct df_decision d = by_rule(rule, DF_REASON_QNAME);

	for (unsigned i = 0; !d.rule && q->search && i < q->search->n; i++) {
		struct df_dname bare;

		if (df_dname_strip_suffix(q->names, &q->search->names[i], &bare) < 0)
			continue;
		rule = df_policy_lookup(p, &bare);
		if (is_block(rule))
			return by_rule(rule, DF_REASON_SEARCH);
		d.is_search_miss |= is_deny && rule;
	}
	if (!d.rule && is_deny) {
		d.is_refusal = true;
		d.reason = DF_REASON_UNLISTED;
	}
	return d;
}

static struct df_decision judge_names(const struct df_policy *p, const struct query *q)
{
	for (unsigned i = 0; i < q->n; i++) {
		const struct df_policy_rule *rule = df_policy_lookup(p, &q->names[i]);

		if (is_block(rule))
			return by_rule(rule, q->reason);
	}
	return (struct df_decision){};
}

static struct df_decision judge_name(const struct df_policy *p, const struct query *q)
{
	const struct df_policy_rule *rule = df_policy_lookup_port(p, q->names, q->proto, q->port);

	if (rule || df_policy_default(p) == DF_POLICY_ALLOW)
		return by_rule(rule, q->reason);
	/* the rule that allows other ports tells more than the default */
	rule = df_policy_lookup(p, q->names);
	return (struct df_decision){.is_refusal = true,
				    .reason = rule ? DF_REASON_PORT : DF_REASON_UNLISTED,
				    .rule = rule};
}

static struct df_decision raw(const struct df_policy *p)
{
	if (df_policy_raw_ip(p) == DF_POLICY_RAW_ALLOW)
		return (struct df_decision){};
	return (struct df_decision){.is_refusal = true,
				    .is_audit = df_policy_raw_ip(p) == DF_POLICY_RAW_AUDIT,
				    .reason = DF_REASON_RAW};
}

static struct df_decision judge_connection(const struct df_policy *p, const struct query *q)
{
	struct df_decision d = judge_question(p, q);

	if (d.is_refusal)
		return d;
	d = judge_name(p, q);
	if (d.reason == DF_REASON_PORT) { /* no answer names the address for this port */
		const struct df_policy_rule *rule = d.rule;

		d = raw(p);
		d.reason = d.is_refusal ? DF_REASON_PORT : DF_REASON_NONE;
		d.rule = d.is_refusal ? rule : NULL;
	}
	return d;
}

static struct df_decision judge_addr(const struct df_policy *p, const struct query *q)
{
	const struct df_policy_rule *rule = df_policy_lookup_addr(p, q->addr, q->proto, q->port);
	const bool is_allowed = q->bits >> DF_LEARNED_ALLOWED & 1;
	const bool is_blocked = q->bits >> DF_LEARNED_BLOCKED & 1;
	const bool is_default = q->bits >> DF_LEARNED_DEFAULT & 1;
	const bool is_web =
		q->proto == IPPROTO_TCP && (q->port == PORT_HTTP || q->port == PORT_HTTPS);
	struct df_decision d = {.is_refusal = true};

	if (rule)
		return by_rule(rule, DF_REASON_ADDRESS);
	if (is_allowed)
		return (struct df_decision){.is_noted = is_blocked};
	if (!is_blocked && !is_default)
		return raw(p);
	if (!is_blocked)
		return (struct df_decision){};
	if (is_default && df_policy_shared_address(p) == DF_POLICY_SHARED_ALLOW)
		return (struct df_decision){};
	d.reason = is_default ? DF_REASON_SHARED : DF_REASON_PINNED;
	d.is_undecided =
		is_default && is_web && df_policy_shared_address(p) == DF_POLICY_SHARED_SNI;
	return d;
}

struct df_decision df_verdict_question(const struct df_tables *t, unsigned set,
				       const struct df_search_list *search,
				       const struct df_dname *qname)
{
	return strictest(t, set, judge_question, &(struct query){.search = search, .names = qname});
}

struct df_decision df_verdict_names(const struct df_tables *t, unsigned set,
				    const struct df_dname *names, unsigned n, enum df_reason reason)
{
	return strictest(t, set, judge_names,
			 &(struct query){.names = names, .n = n, .reason = reason});
}

struct df_decision df_verdict_request(const struct df_tables *t, unsigned set,
				      const struct df_dname *name, uint8_t proto, uint16_t port,
				      enum df_reason blocked)
{
	return strictest(
		t, set, judge_name,
		&(struct query){.names = name, .proto = proto, .port = port, .reason = blocked});
}

struct df_decision df_verdict_connection(const struct df_tables *t, unsigned set,
					 const struct df_dname *name, uint8_t proto, uint16_t port)
{
	return strictest(
		t, set, judge_connection,
		&(struct query){
			.names = name, .proto = proto, .port = port, .reason = DF_REASON_PINNED});
}

struct df_decision df_verdict_addr(const struct df_tables *t, unsigned set,
				   const uint8_t addr[static 16], uint8_t proto, uint16_t port,
				   uint16_t bits)
{
	return strictest(t, set, judge_addr,
			 &(struct query){.addr = addr, .proto = proto, .port = port, .bits = bits});
}

int df_verdict_ports(const struct df_tables *t, struct df_ports *ret)
{
	int r = 0;

	df_ports_init(ret);
	for (unsigned i = 0; i < DF_TABLES && r == 0; i++)
		if (df_tables_has(t, i))
			r = df_ports_add(ret, &t->tables[i]);
	return r;
}

uint8_t df_verdict_net(const struct df_tables *t, const struct df_ports *ports,
		       const uint8_t addr[static 16], unsigned prefix_len, unsigned class)
{
	uint8_t octet = 0, proto;
	uint16_t port;

	df_ports_representative(ports, class, &proto, &port);
	for (unsigned i = 0; i < DF_TABLES; i++) {
		const struct df_policy_rule *rule =
			df_tables_has(t, i)
				? df_policy_lookup_net(&t->tables[i], addr, prefix_len, proto, port)
				: NULL;

		if (rule)
			octet |= (uint8_t)(1u << i << (is_block(rule) ? DF_TABLES_BITS : 0));
	}
	return octet;
}

uint16_t df_verdict_learned(const struct df_tables *t, enum df_table_id table,
			    const struct df_ports *ports, const struct df_dname *name,
			    unsigned class, const struct df_policy_rule **ret_rule)
{
	const struct df_policy *p = &t->tables[table];
	uint8_t proto;
	uint16_t port;

	df_ports_representative(ports, class, &proto, &port);
	*ret_rule = df_policy_lookup_port(p, name, proto, port);
	if (is_block(*ret_rule))
		return (uint16_t)(1u << DF_LEARNED_BLOCKED << table);
	if (*ret_rule)
		return (uint16_t)(1u << DF_LEARNED_ALLOWED << table);
	return df_policy_default(p) == DF_POLICY_ALLOW
		       ? (uint16_t)(1u << DF_LEARNED_DEFAULT << table)
		       : 0;
}

bool df_verdict_pins(const struct df_policy *p)
{
	const struct df_policy_rule *rule;

	for (uint32_t i = 0; (rule = df_policy_rule_at(p, i)); i++) {
		/* a rule with ports can mean nothing else; df_teach_unpin */
		if (is_block(rule) && rule->scope != DF_POLICY_NET &&
		    (rule->port_lo || df_policy_pin_blocked(p) != DF_POLICY_PIN_NO))
			return true;
	}
	return false;
}

/* Verdicts that neither a rule nor a setting of the policy has made. */
static bool is_of_name(const struct df_decision *d)
{
	static const bool reasons[DF_REASON_END] = {
		[DF_REASON_NO_NAME] = true,  [DF_REASON_NOT_LEARNED] = true,
		[DF_REASON_PINNED] = true,   [DF_REASON_SHARED] = true,
		[DF_REASON_RESOLVER] = true,
	};

	return reasons[d->reason];
}

size_t df_verdict_rule(const struct df_tables *t, const struct df_decision *d, char *buf,
		       size_t size)
{
	const struct df_policy *p = &t->tables[d->table];
	size_t pos = 0;

	if (d->rule)
		return df_policy_rule_describe(p, d->rule, buf, size);
	if (is_of_name(d))
		return 0;
	if (d->reason == DF_REASON_RAW)
		df_append(buf, size, &pos, "%s.policy raw-ip %s", df_policy_name(p),
			  df_policy_raw_ip(p) == DF_POLICY_RAW_AUDIT ? "audit" : "block");
	else
		df_append(buf, size, &pos, "%s.policy default %s", df_policy_name(p),
			  df_policy_default(p) == DF_POLICY_BLOCK ? "deny" : "allow");
	return pos;
}

const char *df_verdict_owner(const struct df_tables *t, const struct df_decision *d)
{
	const struct df_policy *p = &t->tables[d->table];

	if (d->rule)
		return df_policy_rule_owner(p, d->rule);
	if (is_of_name(d))
		return NULL;
	return d->reason == DF_REASON_RAW ? df_policy_raw_owner(p) : df_policy_default_owner(p);
}

const char *df_verdict_hint(const struct df_tables *t, const struct df_decision *d)
{
	const struct df_policy *p = &t->tables[d->table];

	if (!d->is_refusal)
		return NULL;
	if (d->rule)
		return df_policy_rule_hint(p, d->rule);
	if (is_of_name(d))
		return NULL;
	return d->reason == DF_REASON_RAW ? df_policy_raw_hint(p) : df_policy_default_hint(p);
}
