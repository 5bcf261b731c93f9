/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/route.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/addr.h"

bool df_route_is_trusted(const struct df_meta *m, const struct df_token *token)
{
	if (token->port != htons(DF_DNS_PORT))
		return false;
	for (uint32_t i = 0; i < m->n_resolvers && i < DF_META_RESOLVERS_MAX; i++)
		if (memcmp(m->resolvers[i], token->addr, 16) == 0)
			return true;
	return false;
}

static bool is_deny(const struct df_tables *t, unsigned table)
{
	return df_tables_has(t, table) && df_policy_default(&t->tables[table]) == DF_POLICY_BLOCK;
}

static bool is_enforced(const struct df_tables *t, unsigned table)
{
	return t->meta->table_modes[table] == DF_MODE_ENFORCE;
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
static struct df_decision judge(const struct df_tables *t, const struct df_token *token,
				uint16_t learned)
{
	struct df_decision d;

	/* like every other connection to loopback: DESIGN 4, 3 */
	if (df_addr_kind(token->addr) == DF_ADDR_LOOPBACK)
		return (struct df_decision){};
	d = df_tables_addr(t, token->addr, token->proto, DF_DNS_PORT, learned);
	if (d.is_refusal)
		d.reason = DF_REASON_RESOLVER;
	return d;
}

/* A link-local one can be reached only with the scope that its client gave. */
static const uint8_t *first_resolver(const struct df_meta *m)
{
	for (uint32_t i = 0; i < m->n_resolvers && i < DF_META_RESOLVERS_MAX; i++)
		if (df_addr_kind(m->resolvers[i]) != DF_ADDR_LINK_LOCAL)
			return m->resolvers[i];
	return m->resolvers[0];
}

struct df_route df_route(const struct df_teach *t, const struct df_token *token, uint16_t learned)
{
	const struct df_meta *m = t->tables->meta;
	const int denying = denying_table(t->tables);
	struct df_route r = {.to = {.port = token->port}};

	memcpy(r.to.addr, token->addr, sizeof(r.to.addr));
	if (df_route_is_trusted(m, token)) {
		r.teaches = df_teach_tables(t->tables);
	} else if (denying < 0) {
		r.teaches = judged_deny_tables(t->tables);
		r.decision = judge(t->tables, token, learned);
	} else if (m->n_resolvers > 0) {
		r.to = (struct df_resolver){.port = htons(DF_DNS_PORT)};
		memcpy(r.to.addr, first_resolver(m), sizeof(r.to.addr));
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
