/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr: an address as text, its kind, and the IPv4 addresses that it holds.
 *
 * Addresses are 16 octets in network byte order, IPv4 as ::ffff:a.b.c.d.  The forms of IPv4 in
 * IPv6, and why a permission carries over for one of them only, are described in bpf/embedded.h,
 * which the kernel programs share.  Which addresses a network namespace has, the kernel tells:
 * lib/base/own_addr.h.  Pure.
 */
#ifndef DF_ADDR_H
#define DF_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/embedded.h"

#define DF_ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

/* IPv4 in dotted form. */
void df_addr_text(const uint8_t addr[static 16], char ret[static DF_ADDR_TEXT_MAX]);

/*
 * Their number, 0 to DF_EMBEDDED_MAX; *ret_is_same_host: a permission of the one carries
 * over, as a block does of each.
 */
unsigned df_addr_embedded(const uint8_t addr[static 16], uint8_t ret[static DF_EMBEDDED_MAX][16],
			  bool *ret_is_same_host);

/* The address by which its host is known: of 64:ff9b::a.b.c.d a.b.c.d, else itself.  In place, too.
 */
void df_addr_canonical(const uint8_t addr[static 16], uint8_t ret[static 16]);

enum df_addr_kind {
	DF_ADDR_PUBLIC = 0,
	DF_ADDR_PRIVATE, /* RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (ULA), RFC 3879 */
	DF_ADDR_LOOPBACK,
	DF_ADDR_LINK_LOCAL,
	DF_ADDR_MULTICAST, /* and broadcast */
	DF_ADDR_UNSPECIFIED,
};

/*
 * The kind of an IPv6 address that holds an IPv4 address is the kind of that one; of two IPv4
 * addresses the first that is not public decides.
 */
enum df_addr_kind df_addr_kind(const uint8_t addr[static 16]);

#endif
