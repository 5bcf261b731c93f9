/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * embedded: the IPv4 addresses that an IPv6 address holds, for the kernel programs and
 * lib/base/addr.
 *
 *   64:ff9b::/96     the last 32 bits           NAT64, RFC 6052 2.1
 *   64:ff9b:1::/48   the last 32 bits           NAT64 of a site, RFC 8215, as prefixes of 96 bits
 *   2002::/16        the 32 bits behind         6to4, RFC 3056 2
 *   2001::/32        the 32 bits behind, and the last 32 bits inverted: server and client of
 * Teredo, RFC 4380 4
 *   ::/96            the last 32 bits           IPv4-compatible, RFC 4291 2.5.5.1; not :: and ::1
 *
 * The first is the IPv4 host itself, seen through the translator that everybody means by
 * it.  The others say where a packet may go to, by relays, tunnels and translators that
 * anybody may run: so a block of the IPv4 address is one of them, too, and a permission is
 * none.  ::ffff:a.b.c.d is how all of us write an IPv4 address, and holds none beside it.
 * ISATAP (RFC 5214) and 6rd (RFC 5969) have no prefix to be known by, and are not covered.
 */
#ifndef DF_EMBEDDED_H
#define DF_EMBEDDED_H

#include <linux/types.h>

#define DF_EMBEDDED_MAX 2

struct df_embedded {
	__u32 n;
	__u32 is_same_host;          /* 64:ff9b::/96: a permission carries over, too */
	__u32 ipv4[DF_EMBEDDED_MAX]; /* network byte order */
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DF_EMBEDDED_HOST32(word) __builtin_bswap32(word)
#else
#define DF_EMBEDDED_HOST32(word) (word)
#endif

/* All bits if it is zero, else none. */
static inline __attribute__((always_inline)) __u32 df_embedded_if_zero(__u32 x)
{
	return (__u32)0 - (__u32)(((__u64)x - 1) >> 63);
}

/*
 * addr: the 16 octets as they lie in memory.  Without branches, for the kernel's verifier: it
 * walks both sides of each at every container start.
 */
static inline __attribute__((always_inline)) struct df_embedded df_embedded_of(const __u32 addr[4])
{
	const __u32 first = DF_EMBEDDED_HOST32(addr[0]), second = DF_EMBEDDED_HOST32(addr[1]);
	const __u32 last = DF_EMBEDDED_HOST32(addr[3]), middle = addr[1] | addr[2];
	const __u32 nat64 = df_embedded_if_zero((first ^ 0x0064ff9b) | middle);
	const __u32 site = df_embedded_if_zero((first ^ 0x0064ff9b) | (second >> 16 ^ 1));
	const __u32 six_to_four = df_embedded_if_zero(first >> 16 ^ 0x2002);
	const __u32 teredo = df_embedded_if_zero(first ^ 0x20010000);
	const __u32 compatible =
		df_embedded_if_zero(first | middle) & ~df_embedded_if_zero(last & ~(__u32)1);
	const __u32 at_end = nat64 | site | compatible;

	return (struct df_embedded){
		.n = ((at_end | six_to_four | teredo) & 1) + (teredo & 1),
		.is_same_host = nat64 & 1,
		.ipv4 = {(addr[3] & at_end) | (addr[1] & teredo) |
				 (DF_EMBEDDED_HOST32(first << 16 | second >> 16) & six_to_four),
			 ~addr[3]},
	};
}

#endif
