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

static const struct df_policy_rule *address_rule(const struct df_policy *p,
						 const struct df_token *token)
{
	const struct df_policy_rule *rule =
		df_policy_lookup_addr(p, token->addr, token->proto, DF_DNS_PORT);
	const struct df_policy_rule *other = NULL;
	uint8_t twin[16];

	if (token->addr[0] == 0 && token->addr[1] == 0x64 && df_addr_nat64(token->addr, twin))
		other = df_policy_lookup_addr(p, twin, token->proto, DF_DNS_PORT);
	return !rule || (other && other->action == DF_POLICY_BLOCK) ? other : rule;
}

/* As bpf/address.bpf.h judges a connection; a shared address is not one of port 80 or 443. */
static struct df_decision judge(const struct df_tables *t, unsigned table,
				const struct df_token *token, uint16_t learned)
{
	const struct df_policy *p = &t->tables[table];
	const struct df_policy_rule *rule = address_rule(p, token);
	const bool is_allowed = learned >> (DF_LEARNED_ALLOWED + table) & 1;
	const bool is_blocked = learned >> (DF_LEARNED_BLOCKED + table) & 1;
	const bool is_default = learned >> (DF_LEARNED_DEFAULT + table) & 1;
	const enum df_policy_raw_ip raw = df_policy_raw_ip(p);
	struct df_decision d = {.table = table, .reason = DF_REASON_RESOLVER, .rule = rule};
	bool is_raw = false;

	if (rule) {
		d.is_refusal = rule->action == DF_POLICY_BLOCK;
	} else if (is_blocked && !is_allowed) {
		d.is_refusal = !is_default || df_policy_shared_address(p) != DF_POLICY_SHARED_ALLOW;
	} else if (!is_allowed && !is_default) {
		is_raw = true;
		d.is_refusal = raw != DF_POLICY_RAW_ALLOW;
	}
	d.is_enforced =
		d.is_refusal && is_enforced(t, table) && !(is_raw && raw == DF_POLICY_RAW_AUDIT);
	return d.is_refusal ? d : (struct df_decision){};
}

static struct df_decision judge_all(const struct df_tables *t, const struct df_token *token,
				    uint16_t learned)
{
	struct df_decision worst = {};

	/* like every other connection to loopback: DESIGN 4, 3 */
	if (df_addr_kind(token->addr) == DF_ADDR_LOOPBACK)
		return worst;
	for (unsigned i = DF_TABLE_OWN; i <= DF_TABLE_BASE; i++) {
		struct df_decision d = {};

		if (df_tables_has(t, i))
			d = judge(t, i, token, learned);
		if (df_tables_strictness(&d) > df_tables_strictness(&worst))
			worst = d;
	}
	return worst;
}

struct df_route df_route(const struct df_teach *t, const struct df_token *token, uint16_t learned)
{
	const struct df_meta *m = t->tables->meta;
	const int denying = denying_table(t->tables);
	struct df_route r = {.to = {.port = token->port, .scope_id = token->scope_id}};

	memcpy(r.to.addr, token->addr, sizeof(r.to.addr));
	if (df_route_is_trusted(m, token)) {
		r.teaches = df_teach_tables(t->tables);
	} else if (denying < 0) {
		r.teaches = judged_deny_tables(t->tables);
		r.decision = judge_all(t->tables, token, learned);
	} else if (m->n_resolvers > 0) {
		r.to = (struct df_resolver){.port = htons(DF_DNS_PORT)};
		memcpy(r.to.addr, m->resolvers[0], sizeof(r.to.addr));
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
