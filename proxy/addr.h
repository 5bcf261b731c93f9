/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr: what sort of place an address is.
 *
 * Addresses are 16 octets in network byte order, IPv4 as ::ffff:a.b.c.d.  An IPv6
 * address that holds an IPv4 one (lib/base/addr_embedded.h) is what that is; of two the first
 * that is no public one.  Pure.
 */
#ifndef DF_ADDR_H
#define DF_ADDR_H

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

#endif
