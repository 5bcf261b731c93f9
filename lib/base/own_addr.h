/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_addr: the addresses of the network namespace that we are in, asked of the kernel
 * (rtnetlink(7)).  No allocation.
 *
 * Two questions: which addresses its interfaces have (kept a moment), and whether packets to an
 * address stay inside, which routing alone knows: 127/8, local routes without an address (AnyIP).
 * A container that gives itself addresses can only make more of them its own.  IPv4 is
 * ::ffff:a.b.c.d.
 */
#ifndef DF_OWN_ADDR_H
#define DF_OWN_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

#define DF_OWN_KEEP_NS 5000000000ull

struct df_own {
	uint64_t until_ns; /* 0: never read */
	unsigned n;
	uint8_t addrs[DF_OWN_MAX][16];
};

/* Asks the kernel now. */
void df_own_read(struct df_own *o);

/* Adds an address that the namespace has got since. */
void df_own_add(struct df_own *o, const uint8_t addr[static 16]);

bool df_own_has(struct df_own *o, const uint8_t addr[static 16], uint64_t now_ns);

/* By the type of its route.  The unspecified address leads to loopback: it is local. */
bool df_own_is_local(const uint8_t addr[static 16]);

#endif
