/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define PORT_MAX 65535u

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

void df_ports_init(struct df_ports *ret)
{
	*ret = (struct df_ports){.n_classes = DF_PORTS_FIRST_NAMED};
}

static bool has_proto(const struct df_policy_range *range, uint8_t proto)
{
	return range->proto == 0 || range->proto == proto;
}

/* The named ranges that hold the port, as a set. */
static uint64_t names_of(const struct df_ports *p, uint8_t proto, unsigned port)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < p->n_named; i++) {
		const struct df_policy_range *r = &p->named[i];

		if (has_proto(r, proto) && r->lo <= port && port <= r->hi)
			set |= UINT64_C(1) << i;
	}
	return set;
}

/* The last port up to which the set does not change. */
static unsigned end_of(const struct df_ports *p, uint8_t proto, unsigned port)
{
	unsigned end = PORT_MAX;

	for (unsigned i = 0; i < p->n_named; i++) {
		const struct df_policy_range *r = &p->named[i];

		if (!has_proto(r, proto))
			continue;
		if (r->lo > port && r->lo - 1u < end)
			end = r->lo - 1u;
		if (r->hi >= port && r->hi < end)
			end = r->hi;
	}
	return end;
}

/* sets: by class, of those that are there. */
static int class_of_set(struct df_ports *p, uint64_t *sets, uint64_t set)
{
	for (unsigned cls = DF_PORTS_FIRST_NAMED; cls < p->n_classes; cls++) {
		if (sets[cls] == set)
			return (int)cls;
	}
	if (p->n_classes == DF_PORT_CLASSES)
		return -E2BIG;
	sets[p->n_classes] = set;
	return (int)p->n_classes++;
}

static int cut(struct df_ports *p, uint8_t proto, uint64_t *sets)
{
	for (unsigned lo = 0, hi; lo <= PORT_MAX; lo = hi + 1) {
		uint64_t set = names_of(p, proto, lo);
		int cls;

		hi = end_of(p, proto, lo);
		if (set == 0)
			continue;
		cls = class_of_set(p, sets, set);
		if (cls < 0)
			return cls;
		if (p->n_ranges == DF_PORTS_RANGES_MAX)
			return -E2BIG;
		p->ranges[p->n_ranges++] = (struct df_ports_range){
			.proto = proto,
			.class = (uint8_t)cls,
			.lo = (uint16_t)lo,
			.hi = (uint16_t)hi,
		};
	}
	return 0;
}

int df_ports_add_range(struct df_ports *ports, struct df_policy_range range)
{
	struct df_ports p = *ports;
	uint64_t sets[DF_PORT_CLASSES] = {0};

	for (unsigned i = 0; i < p.n_named; i++) {
		const struct df_policy_range *r = &p.named[i];

		if (r->proto == range.proto && r->lo == range.lo && r->hi == range.hi)
			return 0;
	}
	if (p.n_named == DF_PORTS_NAMED_MAX)
		return -E2BIG;
	p.named[p.n_named++] = range;
	p.n_classes = DF_PORTS_FIRST_NAMED;
	p.n_ranges = 0;
	for (unsigned i = 0; i < sizeof(protos); i++) {
		int r = cut(&p, protos[i], sets);

		if (r < 0)
			return r;
	}
	*ports = p;
	return 0;
}

unsigned df_ports_class(const struct df_ports *ports, uint8_t proto, uint16_t port)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return DF_PORTS_PORTLESS;
	for (unsigned i = 0; i < ports->n_ranges; i++) {
		const struct df_ports_range *r = &ports->ranges[i];

		if (r->proto == proto && r->lo <= port && port <= r->hi)
			return r->class;
	}
	return proto == IPPROTO_TCP ? DF_PORTS_OTHER_TCP : DF_PORTS_OTHER_UDP;
}

/* The lowest port of the protocol that no range holds; 0: none is left. */
static uint16_t first_unnamed(const struct df_ports *ports, uint8_t proto)
{
	unsigned port = 1;

	for (unsigned i = 0; i < ports->n_ranges; i++) {
		const struct df_ports_range *r = &ports->ranges[i];

		if (r->proto == proto && r->lo <= port && port <= r->hi)
			port = r->hi + 1u;
	}
	return port <= PORT_MAX ? (uint16_t)port : 0;
}

void df_ports_representative(const struct df_ports *ports, unsigned cls, uint8_t *ret_proto,
			     uint16_t *ret_port)
{
	*ret_proto = 0;
	*ret_port = 0;
	if (cls == DF_PORTS_OTHER_TCP || cls == DF_PORTS_OTHER_UDP) {
		*ret_proto = cls == DF_PORTS_OTHER_TCP ? IPPROTO_TCP : IPPROTO_UDP;
		*ret_port = first_unnamed(ports, *ret_proto);
		return;
	}
	for (unsigned i = 0; i < ports->n_ranges; i++) {
		if (ports->ranges[i].class != cls)
			continue;
		*ret_proto = ports->ranges[i].proto;
		*ret_port = ports->ranges[i].lo;
		return;
	}
}

uint32_t df_ports_classes_of(const struct df_ports *ports, struct df_policy_range range)
{
	uint32_t classes = 0;

	for (unsigned i = 0; i < ports->n_ranges; i++) {
		const struct df_ports_range *r = &ports->ranges[i];

		if (has_proto(&range, r->proto) && range.lo <= r->lo && r->hi <= range.hi)
			classes |= UINT32_C(1) << r->class;
	}
	return classes;
}

uint32_t df_ports_classes(const struct df_ports *ports)
{
	uint32_t classes = 0;

	for (unsigned cls = 0; cls < ports->n_classes; cls++) {
		uint8_t proto;
		uint16_t port;

		df_ports_representative(ports, cls, &proto, &port);
		if (port != 0)
			classes |= UINT32_C(1) << cls;
	}
	return classes;
}
