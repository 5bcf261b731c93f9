/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/teach.h"

#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

static uint16_t allowed(unsigned t)
{
	return (uint16_t)(1u << (DF_LEARNED_ALLOWED + t));
}

static uint16_t blocked(unsigned t)
{
	return (uint16_t)(1u << (DF_LEARNED_BLOCKED + t));
}

static const struct df_policy *policy_of(const struct df_teach *t, unsigned table)
{
	return &t->tables->tables[table];
}

uint8_t df_teach_tables(const struct df_tables *t)
{
	uint8_t set = 0;

	for (unsigned i = 0; i < DF_TABLES; i++)
		if (df_tables_has(t, i))
			set |= (uint8_t)(1u << i);
	return set;
}

int df_teach_init(struct df_teach *ret, const struct df_tables *tables,
		  const struct df_search_list *search)
{
	ret->tables = tables;
	ret->search = search;
	return df_verdict_ports(tables, &ret->ports);
}

bool df_teach_has(const struct df_taught *taught, uint16_t mask)
{
	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		if (taught->bits[k] & mask)
			return true;
	return false;
}

/* Classes are alike where no rule of any table has ports: then one is looked up for all. */
static void judge(const struct df_teach *t, unsigned table, const struct df_dname *name,
		  uint16_t mask, struct df_taught *ret)
{
	const bool is_plain = t->ports.n_named == 0;

	for (unsigned k = 0; k < (is_plain ? 1 : t->ports.n_classes); k++) {
		const struct df_policy_rule *rule;
		const uint16_t bit =
			df_verdict_learned(t->tables, table, &t->ports, name, k, &rule) & mask;

		if ((bit & DF_LEARN_BLOCKED) && !df_teach_has(ret, DF_LEARN_BLOCKED))
			ret->rule = df_tables_number(t->tables, table, rule);
		ret->bits[k] |= bit;
	}
	for (unsigned k = 1; is_plain && k < t->ports.n_classes; k++)
		ret->bits[k] = ret->bits[0];
}

/* Own and base policy are enforced, or would be: their rule is told before the shadow's. */
void df_teach_question(const struct df_teach *t, uint8_t set, const struct df_dname *qname,
		       struct df_taught *ret)
{
	*ret = (struct df_taught){.rule = DF_RULE_NONE};
	for (unsigned i = 0; i < DF_TABLES; i++) {
		if (!(set & (1u << i)))
			continue;
		if (df_verdict_question(t->tables, 1u << i, t->search, qname).reason !=
		    DF_REASON_SEARCH)
			judge(t, i, qname, UINT16_MAX, ret);
	}
}

void df_teach_chain(const struct df_teach *t, uint8_t set, const struct df_dname *name,
		    struct df_taught *ret)
{
	*ret = (struct df_taught){.rule = DF_RULE_NONE};
	for (unsigned i = 0; i < DF_TABLES; i++)
		if (set & (1u << i))
			judge(t, i, name, DF_LEARN_BLOCKED, ret);
}

/* Of a set of bits: the permissions of those tables that block. */
static uint16_t permits_of_blocked(uint16_t bits)
{
	const unsigned tables = bits >> DF_LEARNED_BLOCKED & DF_TABLES_ALL;

	return (uint16_t)(tables << DF_LEARNED_ALLOWED | tables << DF_LEARNED_DEFAULT);
}

void df_teach_withdraw(struct df_taught *question, const struct df_taught *chain)
{
	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		question->bits[k] &= (uint16_t)~permits_of_blocked(chain->bits[k]);
}

void df_teach_unpin(const struct df_teach *t, const struct df_dname *name, struct df_taught *taught)
{
	for (unsigned i = 0; i < DF_TABLES; i++) {
		const struct df_policy *p = policy_of(t, i);
		const struct df_policy_rule *rule;

		if (!df_tables_has(t->tables, i) || df_policy_pin_blocked(p) != DF_POLICY_PIN_NO)
			continue;
		rule = df_policy_lookup(p, name);
		for (unsigned k = 0; rule && rule->action == DF_POLICY_BLOCK && k < DF_PORT_CLASSES;
		     k++)
			taught->bits[k] &= (uint16_t)~blocked(i);
	}
}

/* --- levers ------------------------------------------------------------------------ */

/* true: there was something to take off. */
static bool take_off(struct df_taught *taught, uint16_t mask)
{
	const bool is_any = df_teach_has(taught, mask);

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		taught->bits[k] &= (uint16_t)~mask;
	return is_any;
}

/* Itself, or by an IPv4 address that it holds. */
static bool is_resolver(const struct df_teach *t, const uint8_t *addr)
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host, is_any = df_trust_lists(t->trust, addr);
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);

	for (unsigned i = 0; i < n; i++)
		is_any |= df_trust_lists(t->trust, embedded[i]);
	return is_any;
}

static enum df_lever lever_of(const struct df_teach *t, const uint8_t *addr)
{
	switch (df_addr_kind(addr)) {
	case DF_ADDR_PUBLIC:
		break;
	case DF_ADDR_PRIVATE:
		return is_resolver(t, addr) ? DF_LEVER_RESOLVER : DF_LEVER_PRIVATE;
	case DF_ADDR_LOOPBACK:
		return DF_LEVER_LOOPBACK;
	case DF_ADDR_LINK_LOCAL:
		return DF_LEVER_LINK_LOCAL;
	case DF_ADDR_MULTICAST:
		return DF_LEVER_MULTICAST;
	case DF_ADDR_UNSPECIFIED:
		return DF_LEVER_UNSPECIFIED;
	}
	return is_resolver(t, addr) ? DF_LEVER_RESOLVER : DF_LEVER_NONE;
}

static bool is_allowed_by_rule(const struct df_teach *t, unsigned table, const uint8_t *addr,
			       unsigned cls)
{
	struct df_decision d;
	uint8_t proto;
	uint16_t port;

	df_ports_representative(&t->ports, cls, &proto, &port);
	d = df_verdict_addr(t->tables, 1u << table, addr, proto, port, 0);
	return d.rule && !d.is_refusal;
}

static bool take_off_allowed(const struct df_teach *t, const uint8_t *addr,
			     struct df_taught *taught)
{
	bool is_any = false;

	for (unsigned i = 0; i < DF_TABLES; i++) {
		if (!df_tables_has(t->tables, i) || df_policy_n_nets(policy_of(t, i)) == 0)
			continue;
		for (unsigned k = 0; k < t->ports.n_classes; k++) {
			if (!(taught->bits[k] & blocked(i)) || !is_allowed_by_rule(t, i, addr, k))
				continue;
			taught->bits[k] &= (uint16_t)~blocked(i);
			is_any = true;
		}
	}
	return is_any;
}

enum df_lever df_teach_limit_refusal(const struct df_teach *t, const uint8_t addr[static 16],
				     bool is_own, struct df_taught *taught)
{
	enum df_lever why = lever_of(t, addr);

	if (why == DF_LEVER_NONE && is_own)
		why = DF_LEVER_OWN;
	if (why != DF_LEVER_NONE)
		return take_off(taught, DF_LEARN_BLOCKED) ? why : DF_LEVER_NONE;
	return take_off_allowed(t, addr, taught) ? DF_LEVER_RULE : DF_LEVER_NONE;
}

/* A name that somebody wrote into the policy may well be one of the inside. */
static bool take_off_listed(const struct df_teach *t, unsigned table, const struct df_dname *qname,
			    struct df_taught *taught)
{
	bool is_any = false;

	for (unsigned k = 0; k < t->ports.n_classes; k++) {
		const struct df_policy_rule *rule;

		(void)df_verdict_learned(t->tables, table, &t->ports, qname, k, &rule);
		if (!(taught->bits[k] & allowed(table)) || !rule ||
		    !df_policy_rule_is_listed(policy_of(t, table), rule))
			continue;
		taught->bits[k] &= (uint16_t)~allowed(table);
		is_any = true;
	}
	return is_any;
}

enum df_lever df_teach_limit_permission(const struct df_teach *t, const uint8_t addr[static 16],
					const struct df_dname *qname, struct df_taught *taught)
{
	const enum df_lever why = lever_of(t, addr);
	bool is_any = false;

	for (unsigned i = 0; why != DF_LEVER_NONE && i < DF_TABLES; i++) {
		if (!df_tables_has(t->tables, i) ||
		    df_policy_default(policy_of(t, i)) != DF_POLICY_BLOCK)
			continue;
		if (why == DF_LEVER_PRIVATE)
			is_any |= take_off_listed(t, i, qname, taught);
		else
			is_any |= take_off(taught, allowed(i));
	}
	return is_any ? why : DF_LEVER_NONE;
}
