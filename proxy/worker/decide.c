/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/decide.h"

#include "lib/base/util.h"

struct df_decision df_decide_answer(const struct df_tables *t, unsigned set,
				    const struct df_dns_answer *answer)
{
	const struct df_decision all[] = {
		df_verdict_names(t, set, answer->chain, answer->n_chain, DF_REASON_CNAME),
		df_verdict_names(t, set, answer->strays, answer->n_strays, DF_REASON_CNAME),
		df_verdict_names(t, set, answer->targets, answer->n_targets, DF_REASON_TARGET),
	};
	struct df_decision d = all[0];

	/* the strictest; of two alike the own policy's, and of one table the first */
	for (size_t i = 1; i < ARRAY_SIZE(all); i++) {
		const unsigned strictness = df_verdict_strictness(&all[i]);

		if (strictness > df_verdict_strictness(&d) ||
		    (strictness == df_verdict_strictness(&d) && all[i].table < d.table))
			d = all[i];
	}
	return d;
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
