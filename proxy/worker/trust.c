/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/trust.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/addr.h"

/* 127.0.0.11, in every user-defined network of Docker. */
static const uint8_t docker[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 11};

void df_trust_init(struct df_trust *t, const struct df_meta *meta, struct df_own *own)
{
	t->own = own;
	t->are_named = meta->are_resolvers_named;
	t->is_host_netns = meta->is_host_netns;
	t->is_docker = meta->is_docker;
	df_trust_replace(t, meta->n_resolvers, meta->resolvers);
}

void df_trust_replace(struct df_trust *t, unsigned n,
		      const uint8_t addrs[static DF_RESOLV_SERVERS_MAX][16])
{
	t->n = n < DF_RESOLV_SERVERS_MAX ? n : DF_RESOLV_SERVERS_MAX;
	memcpy(t->addrs, addrs, t->n * sizeof(t->addrs[0]));
}

bool df_trust_lists(const struct df_trust *t, const uint8_t addr[static 16])
{
	for (unsigned i = 0; i < t->n; i++)
		if (memcmp(t->addrs[i], addr, 16) == 0)
			return true;
	return false;
}

bool df_trust_is_local(struct df_trust *t, const uint8_t addr[static 16], uint64_t now_ns)
{
	const enum df_addr_kind kind = df_addr_kind(addr);

	return kind == DF_ADDR_LOOPBACK || kind == DF_ADDR_UNSPECIFIED ||
	       df_own_has(t->own, addr, now_ns);
}

static bool may_be_local(const struct df_trust *t, const uint8_t *addr)
{
	return t->are_named || t->is_host_netns ||
	       (t->is_docker && memcmp(addr, docker, sizeof(docker)) == 0);
}

/* Of one of the list. */
static bool is_trusted(struct df_trust *t, const uint8_t *addr, uint64_t now_ns)
{
	return may_be_local(t, addr) || !df_trust_is_local(t, addr, now_ns);
}

bool df_trust_has(struct df_trust *t, const struct df_token *token, uint64_t now_ns)
{
	return token->port == htons(DF_DNS_PORT) && df_trust_lists(t, token->addr) &&
	       is_trusted(t, token->addr, now_ns);
}

bool df_trust_pick(struct df_trust *t, unsigned k, uint64_t now_ns, struct df_resolver *ret,
		   unsigned *ret_index)
{
	const uint8_t *trusted[DF_RESOLV_SERVERS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (is_trusted(t, t->addrs[i], now_ns))
			trusted[n++] = t->addrs[i];
	if (n == 0)
		return false;
	*ret_index = k % n;
	*ret = (struct df_resolver){.port = htons(DF_DNS_PORT),
				    .may_be_local = may_be_local(t, trusted[k % n])};
	memcpy(ret->addr, trusted[k % n], sizeof(ret->addr));
	return true;
}

/*
 * The first trusted one that is not link-local: such a one is reached only with the scope that its
 * client gave.  If there is no other, that one.  false: there is none.
 */
static bool pick_first(struct df_trust *t, uint64_t now_ns, struct df_resolver *ret)
{
	unsigned index;

	for (unsigned k = 0; k < t->n; k++) {
		if (!df_trust_pick(t, k, now_ns, ret, &index))
			return false;
		if (df_addr_kind(ret->addr) != DF_ADDR_LINK_LOCAL)
			return true;
	}
	return df_trust_pick(t, 0, now_ns, ret, &index);
}

static bool is_deny(const struct df_tables *t, unsigned table)
{
	return df_tables_has(t, table) && df_policy_default(&t->tables[table]) == DF_POLICY_BLOCK;
}

int df_trust_denying_table(const struct df_tables *t)
{
	for (unsigned i = DF_TABLE_OWN; i <= DF_TABLE_BASE; i++)
		if (is_deny(t, i) && t->modes[i] == DF_MODE_ENFORCE)
			return (int)i;
	return -1;
}

struct df_route df_trust_route(struct df_trust *t, const struct df_tables *tables,
			       const struct df_token *token, uint16_t learned, uint64_t now_ns)
{
	const int denying = df_trust_denying_table(tables);
	struct df_route r = {.to = {.port = token->port}};
	uint8_t all = 0, judged_deny = 0; /* tables; those with `default deny` not enforced */

	for (unsigned i = 0; i < DF_TABLES; i++) {
		all |= (uint8_t)(df_tables_has(tables, i) << i);
		if (is_deny(tables, i) &&
		    (i == DF_TABLE_SHADOW || tables->modes[i] != DF_MODE_ENFORCE))
			judged_deny |= (uint8_t)(1u << i);
	}
	memcpy(r.to.addr, token->addr, sizeof(r.to.addr));
	if (df_trust_has(t, token, now_ns)) {
		r.to.may_be_local = may_be_local(t, token->addr);
		r.teaches = all;
	} else if (denying < 0) {
		r.to.may_be_local = true; /* it teaches nothing that is enforced */
		r.teaches = judged_deny;
		/* like every other connection, which may be one that does not leave the container
		 */
		if (!df_trust_is_local(t, token->addr, now_ns))
			r.decision = df_verdict_addr(tables, DF_TABLES_FENCE, token->addr,
						     token->proto, DF_DNS_PORT, learned);
		if (r.decision.is_refusal)
			r.decision.reason = DF_REASON_RESOLVER;
	} else if (pick_first(t, now_ns, &r.to)) {
		r.is_rerouted = true;
		r.teaches = all;
	} else {
		r.decision = (struct df_decision){.is_refusal = true,
						  .is_enforced = true,
						  .table = (enum df_table_id)denying,
						  .reason = DF_REASON_NO_RESOLVER};
	}
	return r;
}
