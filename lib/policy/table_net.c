/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: addresses and ports. */
#include <string.h>

#include "lib/base/addr_embedded.h"
#include "lib/policy/table_format.h"

static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

/*
 * Of the nets that hold addr/prefix_len the longest, as its index plus 1; 0: none.  It is the
 * last one that does not stand behind addr/prefix_len, or holds that one.
 */
static uint32_t find_net(const struct df_policy *p, const uint8_t *addr, unsigned prefix_len)
{
	const struct df_policy_net *nets = df_policy_nets(p);
	uint32_t begin = 0, end = df_policy_header(p)->n_nets;

	while (begin < end) {
		uint32_t middle = begin + (end - begin) / 2;

		if (df_policy_is_net_before(&nets[middle], addr, prefix_len + 1))
			begin = middle + 1;
		else
			end = middle;
	}
	while (begin > 0 && !df_policy_holds(&nets[begin - 1], addr, prefix_len))
		begin = nets[begin - 1].parent;
	return begin;
}

static const struct df_policy_rule *match_run(const struct df_policy *p, uint32_t rule,
					      uint8_t proto, uint16_t port)
{
	const struct df_policy_rule *r;

	if (rule == 0)
		return NULL;
	for (r = df_policy_rules(p) + rule - 1;; r++) {
		if (df_policy_rule_has_port(r, proto, port))
			return r;
		if (r->flags & DF_POLICY_RULE_LAST)
			return NULL;
	}
}

const struct df_policy_rule *df_policy_lookup_net(const struct df_policy *p,
						  const uint8_t addr[static 16],
						  unsigned prefix_len, uint8_t proto, uint16_t port)
{
	bool is_ipv4 = prefix_len >= DF_POLICY_NET_IPV4_LEN && memcmp(addr, ipv4, 12) == 0;
	const struct df_policy_net *nets = df_policy_nets(p);

	for (uint32_t i = find_net(p, addr, prefix_len); i > 0; i = nets[i - 1].parent) {
		const struct df_policy_net *n = &nets[i - 1];
		const struct df_policy_rule *rule;

		if (is_ipv4 && n->prefix_len < DF_POLICY_NET_IPV4_LEN)
			break;
		rule = match_run(p, n->rule, proto, port);
		if (rule)
			return rule;
	}
	return NULL;
}

static bool is_block(const struct df_policy_rule *rule)
{
	return rule && rule->action == DF_POLICY_BLOCK;
}

const struct df_policy_rule *df_policy_lookup_addr(const struct df_policy *p,
						   const uint8_t addr[static 16], uint8_t proto,
						   uint16_t port)
{
	const struct df_policy_rule *rule = df_policy_lookup_net(p, addr, 128, proto, port), *inner;
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host;
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);

	for (unsigned i = 0; i < n && !is_block(rule); i++) {
		inner = df_policy_lookup_net(p, embedded[i], 128, proto, port);
		if (is_block(inner) || (!rule && is_same_host))
			rule = inner;
	}
	return rule;
}

uint32_t df_policy_n_nets(const struct df_policy *p)
{
	return df_policy_header(p)->n_nets;
}

void df_policy_net_at(const struct df_policy *p, uint32_t i, uint8_t ret_addr[static 16],
		      unsigned *ret_prefix_len)
{
	const struct df_policy_net *n = &df_policy_nets(p)[i];

	memcpy(ret_addr, n->addr, sizeof(n->addr));
	*ret_prefix_len = n->prefix_len;
}

uint32_t df_policy_n_ranges(const struct df_policy *p)
{
	return df_policy_header(p)->n_ranges;
}

struct df_policy_range df_policy_range_at(const struct df_policy *p, uint32_t i)
{
	return df_policy_ranges(p)[i];
}
