/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * local: whether packets to an address stay in the network namespace that we are in.
 *
 * The kernel's routing is asked (rtnetlink(7), RTM_GETROUTE), not a list of addresses: it
 * knows 127/8, local routes without an address (AnyIP), and what came a moment ago.
 */
#ifndef DF_LOCAL_H
#define DF_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

/* IPv4 as ::ffff:a.b.c.d.  The unspecified address leads to loopback: it is local. */
bool df_is_local(const uint8_t addr[static 16]);

#endif
