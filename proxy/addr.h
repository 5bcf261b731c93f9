/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr: what sort of place an address is, and its NAT64 twin.
 *
 * Addresses are 16 octets in network byte order, IPv4 as ::ffff:a.b.c.d.  An IPv6
 * address that carries an IPv4 one (NAT64, RFC 6052; 6to4, RFC 3056; the form ::a.b.c.d of
 * RFC 4291 2.5.5.1) is what that is.  Pure.
 */
#ifndef DF_ADDR_H
#define DF_ADDR_H

#include <stdbool.h>
#include <stdint.h>

enum df_addr_kind {
	DF_ADDR_PUBLIC = 0,
	DF_ADDR_PRIVATE, /* RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (ULA), RFC 3879 */
	DF_ADDR_LOOPBACK,
	DF_ADDR_LINK_LOCAL,
	DF_ADDR_MULTICAST, /* and broadcast */
	DF_ADDR_UNSPECIFIED,
};

enum df_addr_kind df_addr_kind(const uint8_t addr[static 16]);

/* 64:ff9b::a.b.c.d of a.b.c.d, and back.  false: it has none; *ret is then untouched. */
bool df_addr_nat64(const uint8_t addr[static 16], uint8_t ret[static 16]);

#endif
