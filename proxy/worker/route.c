/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/route.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/addr.h"

bool df_route_is_trusted(struct df_trust *trust, const struct df_token *token, uint64_t now_ns)
{
	return token->port == htons(DF_DNS_PORT) && df_trust_has(trust, token->addr, now_ns);
}

static bool is_deny(const struct df_tables *t, unsigned table)
{
	return df_tables_has(t, table) && df_policy_default(&t->tables[table]) == DF_POLICY_BLOCK;
}

static bool is_enforced(const struct df_tables *t, unsigned table)
{
	return t->modes[table] == DF_MODE_ENFORCE;
}

/* Own or base policy, enforced, with `default deny`; or -1. */
static int denying_table(const struct df_tables *t)
{
	for (int i = DF_TABLE_OWN; i <= DF_TABLE_BASE; i++)
		if (is_deny(t, (unsigned)i) && is_enforced(t, (unsigned)i))
			return i;
	return -1;
}

static uint8_t judged_deny_tables(const struct df_tables *t)
{
	uint8_t set = 0;

	for (unsigned i = 0; i < DF_TABLES; i++)
		if (is_deny(t, i) && (i == DF_TABLE_SHADOW || !is_enforced(t, i)))
			set |= (uint8_t)(1u << i);
	return set;
}

/* As a connection to the resolver would be judged. */
static struct df_decision judge(const struct df_teach *teach, const struct df_token *token,
				uint16_t learned, uint64_t now_ns)
{
	const struct df_tables *t = teach->tables;
	struct df_decision d;

	/* like every other connection that does not leave the container */
	if (df_trust_is_local(teach->trust, token->addr, now_ns))
		return (struct df_decision){};
	d = df_verdict_addr(t, DF_TABLES_FENCE, token->addr, token->proto, DF_DNS_PORT, learned);
	if (d.is_refusal)
		d.reason = DF_REASON_RESOLVER;
	return d;
}

struct df_route df_route(const struct df_teach *t, const struct df_token *token, uint16_t learned,
			 uint64_t now_ns)
{
	const int denying = denying_table(t->tables);
	struct df_route r = {.to = {.port = token->port}};

	memcpy(r.to.addr, token->addr, sizeof(r.to.addr));
	if (df_route_is_trusted(t->trust, token, now_ns)) {
		r.to.may_be_local = df_trust_may_be_local(t->trust, token->addr);
		r.teaches = df_teach_tables(t->tables);
	} else if (denying < 0) {
		r.to.may_be_local = true; /* it teaches nothing that is enforced */
		r.teaches = judged_deny_tables(t->tables);
		r.decision = judge(t, token, learned, now_ns);
	} else if (df_trust_first(t->trust, now_ns, &r.to)) {
		r.is_rerouted = true;
		r.teaches = df_teach_tables(t->tables);
	} else {
		r.decision = (struct df_decision){.is_refusal = true,
						  .is_enforced = true,
						  .table = (enum df_table)denying,
						  .reason = DF_REASON_NO_RESOLVER};
	}
	return r;
}
