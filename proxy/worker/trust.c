/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/trust.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/addr.h"

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
		      const uint8_t addrs[static DF_META_RESOLVERS_MAX][16])
{
	t->n = n < DF_META_RESOLVERS_MAX ? n : DF_META_RESOLVERS_MAX;
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

bool df_trust_may_be_local(const struct df_trust *t, const uint8_t addr[static 16])
{
	return t->are_named || t->is_host_netns ||
	       (t->is_docker && memcmp(addr, docker, sizeof(docker)) == 0);
}

/* Of one of the list. */
static bool is_believed(struct df_trust *t, const uint8_t *addr, uint64_t now_ns)
{
	return df_trust_may_be_local(t, addr) || !df_trust_is_local(t, addr, now_ns);
}

bool df_trust_has(struct df_trust *t, const uint8_t addr[static 16], uint64_t now_ns)
{
	return df_trust_lists(t, addr) && is_believed(t, addr, now_ns);
}

static void resolver_at(const struct df_trust *t, unsigned i, struct df_resolver *ret)
{
	*ret = (struct df_resolver){.port = htons(DF_DNS_PORT),
				    .may_be_local = df_trust_may_be_local(t, t->addrs[i])};
	memcpy(ret->addr, t->addrs[i], sizeof(ret->addr));
}

bool df_trust_pick(struct df_trust *t, unsigned k, uint64_t now_ns, struct df_resolver *ret,
		   unsigned *ret_index)
{
	unsigned believed[DF_META_RESOLVERS_MAX], n = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (is_believed(t, t->addrs[i], now_ns))
			believed[n++] = i;
	if (n == 0)
		return false;
	*ret_index = k % n;
	resolver_at(t, believed[*ret_index], ret);
	return true;
}

bool df_trust_first(struct df_trust *t, uint64_t now_ns, struct df_resolver *ret)
{
	unsigned index, last;

	for (unsigned k = 0; k < t->n; k++) {
		if (!df_trust_pick(t, k, now_ns, ret, &index))
			return false;
		if (df_addr_kind(ret->addr) != DF_ADDR_LINK_LOCAL)
			return true;
	}
	return df_trust_pick(t, 0, now_ns, ret, &last);
}
