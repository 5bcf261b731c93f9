/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr_embedded: an address and the IPv4 addresses that it holds.
 *
 * Which forms there are, and why a permission carries over for one of them only, says
 * bpf/embedded.h, which the kernel programs share.  Addresses are 16 octets in network byte
 * order, IPv4 as ::ffff:a.b.c.d.  Pure.
 */
#ifndef DF_ADDR_EMBEDDED_H
#define DF_ADDR_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/embedded.h"

/*
 * Their number, 0 to DF_EMBEDDED_MAX; *ret_is_same_host: a permission of the one carries
 * over, as a block does of each.
 */
unsigned df_addr_embedded(const uint8_t addr[static 16], uint8_t ret[static DF_EMBEDDED_MAX][16],
			  bool *ret_is_same_host);

/* The address by which its host is known: of 64:ff9b::a.b.c.d a.b.c.d, else itself.  In place, too.
 */
void df_addr_canonical(const uint8_t addr[static 16], uint8_t ret[static 16]);

#endif
