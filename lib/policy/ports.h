/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports: the port space of TCP and UDP, cut into the classes that rules tell apart.
 *
 * Two ports are of one class if no rule names one without the other.  So the verdict of a policy
 * for one port of a class (its representative) is that for all, and the kernel side
 * needs one bit a class instead of a rule's port ranges.
 *
 * A class may have ports of both protocols: `:443` names 443 of both, and while no rule
 * names 443/tcp alone, both are in one class, with the representative TCP 443.  Nor need
 * a class be one range.  Classes 0, 1 and 2 always exist:
 *   0  the TCP ports that no rule names
 *   1  protocols without ports; all but TCP and UDP count as such
 *   2  the UDP ports that no rule names
 * Numbers change when ranges are added.  Pure: no allocation, no I/O.
 */
#ifndef DF_PORTS_H
#define DF_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/* The compiler leaves so many of the DF_PORT_CLASSES classes (bpf/abi.h) free in each policy, since
 * own and base policy together need more of them where they name different ports. */
#define DF_PORTS_SPARE 2
#define DF_PORTS_RANGES_MAX 64 /* two protocols, and no class is in many pieces */
#define DF_PORTS_NAMED_MAX 64  /* different ranges in rules: bits of one set of them */

enum df_ports_class {
	DF_PORTS_OTHER_TCP = 0,
	DF_PORTS_PORTLESS = 1,
	DF_PORTS_OTHER_UDP = 2,
	DF_PORTS_FIRST_NAMED = 3,
};

/* Ports that a rule names. */
struct df_policy_range {
	uint8_t proto;   /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t lo, hi; /* host byte order, 1 to 65535 */
};

struct df_ports_range {
	uint8_t proto;   /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t class;   /* never 0 to 2 */
	uint16_t lo, hi; /* host byte order */
};

/* Read only; df_ports_init fills it. */
struct df_ports {
	unsigned n_classes;
	unsigned n_ranges;
	struct df_ports_range ranges[DF_PORTS_RANGES_MAX]; /* disjoint; TCP first, by port */
	unsigned n_named;
	struct df_policy_range named[DF_PORTS_NAMED_MAX]; /* the added ranges, without doubles */
};

/* No rule has ports: the classes 0 to 2. */
void df_ports_init(struct df_ports *ret);

/* -E2BIG: more classes, or ranges, than there may be; *ports is then as it was. */
int df_ports_add_range(struct df_ports *ports, struct df_policy_range range);

/* proto as in a packet, port in host byte order. */
unsigned df_ports_class(const struct df_ports *ports, uint8_t proto, uint16_t port);

/*
 * A port of the class, the lowest of TCP if it has one.  (0, 0) for protocols without
 * ports.  Port 0 where the class is empty: every TCP (or UDP) port is named.
 */
void df_ports_representative(const struct df_ports *ports, unsigned cls, uint8_t *ret_proto,
			     uint16_t *ret_port);

/* Bits 1 << class: the classes of a range that was added; and all that hold a port. */
uint32_t df_ports_classes_of(const struct df_ports *ports, struct df_policy_range range);
uint32_t df_ports_classes(const struct df_ports *ports);

#endif
