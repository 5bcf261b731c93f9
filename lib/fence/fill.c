/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/fill.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "lib/base/util.h"

#define PORT_PREFIX 24 /* of a whole port: the protocol's octet and 16 bits */
#define NS_PER_S 1000000000ull

_Static_assert((int)DF_PORTS_OTHER_TCP == DF_CLASS_TCP &&
		       (int)DF_PORTS_PORTLESS == DF_CLASS_OTHER &&
		       (int)DF_PORTS_OTHER_UDP == DF_CLASS_UDP,
	       "the programs know these classes by their numbers");

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct df_fill_net));
}

_Static_assert(sizeof(struct df_fill_net) == 17, "compare needs it without padding");

static int collect(struct df_fill *f)
{
	size_t n = 0, unique = 0;

	for (unsigned t = 0; t < DF_TABLES; t++)
		if (df_tables_has(&f->tables, t))
			n += df_policy_n_nets(&f->tables.tables[t]);
	if (n == 0)
		return 0;
	f->nets = calloc(n, sizeof(*f->nets));
	if (!f->nets)
		return -ENOMEM;
	n = 0;
	for (unsigned t = 0; t < DF_TABLES; t++) {
		const struct df_policy *p = &f->tables.tables[t];

		for (uint32_t i = 0; df_tables_has(&f->tables, t) && i < df_policy_n_nets(p); i++) {
			struct df_fill_net *net = &f->nets[n++];
			unsigned prefix_len;

			df_policy_net_at(p, i, net->addr, &prefix_len);
			net->prefix_len = (uint8_t)prefix_len;
		}
	}
	qsort(f->nets, n, sizeof(*f->nets), compare);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || compare(&f->nets[i], &f->nets[unique - 1]) != 0)
			f->nets[unique++] = f->nets[i];
	f->n_nets = unique;
	return 0;
}

/*
 * The ports from lo on that one prefix covers without going beyond hi: as many as lo's
 * trailing zeros permit.  Returns the bits of the port that vary.
 */
static unsigned bits_from(uint32_t lo, uint32_t hi)
{
	unsigned bits = 0;

	while (bits < 16 && !(lo & (1u << bits)) && lo + (2u << bits) - 1 <= hi)
		bits++;
	return bits;
}

static size_t count_prefixes(const struct df_ports *ports)
{
	size_t n = 0;

	for (unsigned i = 0; i < ports->n_ranges; i++)
		for (uint32_t lo = ports->ranges[i].lo, hi = ports->ranges[i].hi; lo <= hi; n++)
			lo += 1u << bits_from(lo, hi);
	return n;
}

int df_fill_init(const struct df_tables *tables, struct df_fill *ret)
{
	struct df_fill f = {.tables = *tables};
	int r = df_verdict_ports(tables, &f.ports);

	if (r == 0)
		r = collect(&f);
	if (r < 0)
		return r;
	f.n_classes = count_prefixes(&f.ports);
	*ret = f;
	return 0;
}

void df_fill_done(struct df_fill *f)
{
	free(f->nets);
	f->nets = NULL;
}

static void add_table(const struct df_tables *tables, unsigned table, struct df_conf *conf)
{
	const struct df_policy *p = &tables->tables[table];
	const uint64_t keep_ns = df_policy_keep_learned_s(p) * NS_PER_S;
	const uint8_t bit = (uint8_t)(1u << table);

	conf->tables |= bit;
	if (tables->modes[table] == DF_MODE_ENFORCE)
		conf->enforcing |= bit;
	switch (df_policy_raw_ip(p)) {
	case DF_POLICY_RAW_ALLOW:
		break;
	case DF_POLICY_RAW_BLOCK:
		conf->raw_block |= bit;
		break;
	case DF_POLICY_RAW_AUDIT:
		conf->raw_audit |= bit;
		break;
	}
	switch (df_policy_shared_address(p)) {
	case DF_POLICY_SHARED_SNI:
		conf->shared_sni |= bit;
		break;
	case DF_POLICY_SHARED_ALLOW:
		conf->shared_allow |= bit;
		break;
	case DF_POLICY_SHARED_BLOCK:
		break;
	}
	if (table == DF_TABLE_SHADOW) /* it enforces nothing: what follows is about what happens */
		return;
	if (keep_ns > conf->keep_learned_ns)
		conf->keep_learned_ns = keep_ns;
	if (df_policy_refuse_dns(p) == DF_POLICY_SINKHOLE)
		conf->flags |= DF_CONF_SINKHOLE;
}

void df_fill_conf(const struct df_fill *f, struct df_conf *conf)
{
	bool is_nested_allowed = true;

	for (unsigned t = 0; t < DF_TABLES; t++) {
		if (!df_tables_has(&f->tables, t))
			continue;
		add_table(&f->tables, t, conf);
		if (t != DF_TABLE_SHADOW)
			is_nested_allowed &=
				df_policy_is_nested_netns_allowed(&f->tables.tables[t]);
	}
	conf->refuse_errno = (uint16_t)df_policy_refuse_errno(&f->tables.tables[DF_TABLE_OWN]);
	if (is_nested_allowed)
		conf->flags |= DF_CONF_NESTED_NETNS;
	if (f->n_classes)
		conf->flags |= DF_CONF_PORTS;
}

static int fill_classes(const struct df_ports *ports, int map)
{
	for (unsigned i = 0; i < ports->n_ranges; i++) {
		const struct df_ports_range *range = &ports->ranges[i];
		const uint32_t class = range->class;

		for (uint32_t lo = range->lo; lo <= range->hi;) {
			const unsigned bits = bits_from(lo, range->hi);
			const uint16_t port = htobe16((uint16_t)lo);
			struct df_port_key key = {.prefix_len = PORT_PREFIX - bits,
						  .proto = range->proto};
			int r;

			memcpy(key.port, &port, sizeof(key.port));
			r = bpf_map_update_elem(map, &key, &class, BPF_ANY);
			if (r < 0)
				return r;
			lo += 1u << bits;
		}
	}
	return 0;
}

int df_fill_maps(const struct df_fill *f, int classes_map, int nets_map)
{
	int r = fill_classes(&f->ports, classes_map);

	for (size_t i = 0; r == 0 && i < f->n_nets; i++) {
		struct df_net_key key = {.prefix_len = f->nets[i].prefix_len};
		struct df_net net = {};

		memcpy(key.addr, f->nets[i].addr, sizeof(key.addr));
		for (unsigned class = 0; class < f->ports.n_classes; class ++)
			net.verdicts[class] = df_verdict_net(&f->tables, &f->ports, f->nets[i].addr,
							     f->nets[i].prefix_len, class);
		r = bpf_map_update_elem(nets_map, &key, &net, BPF_ANY);
	}
	return r;
}
