/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own: the addresses of the network namespace we run in.
 *
 * Asked of the kernel (rtnetlink(7)) when somebody wants to know, and kept a moment.  No
 * allocation.  A container that gives itself addresses can only make more of them its own.
 */
#ifndef DF_OWN_H
#define DF_OWN_H

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

#endif
