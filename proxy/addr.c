/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/addr.h"

#include <stddef.h>
#include <string.h>

#include "lib/util.h"

struct net {
	uint8_t prefix[16];
	uint8_t len; /* bits */
	enum df_addr_kind kind;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

/* The more specific ones first. */
static const struct net nets4[] = {
	{{0}, 8, DF_ADDR_UNSPECIFIED}, /* RFC 1122 3.2.1.3: this host */
	{{10}, 8, DF_ADDR_PRIVATE},       {{100, 64}, 10, DF_ADDR_PRIVATE},
	{{127}, 8, DF_ADDR_LOOPBACK},     {{169, 254}, 16, DF_ADDR_LINK_LOCAL},
	{{172, 16}, 12, DF_ADDR_PRIVATE}, {{192, 168}, 16, DF_ADDR_PRIVATE},
	{{224}, 4, DF_ADDR_MULTICAST},    {{255, 255, 255, 255}, 32, DF_ADDR_MULTICAST},
	{{240}, 4, DF_ADDR_PRIVATE}, /* reserved, and used inside of networks */
};

static const struct net nets6[] = {
	{{0}, 128, DF_ADDR_UNSPECIFIED},        {{[15] = 1}, 128, DF_ADDR_LOOPBACK},
	{{0xfe, 0x80}, 10, DF_ADDR_LINK_LOCAL}, {{0xfe, 0xc0}, 10, DF_ADDR_PRIVATE},
	{{0xfc}, 7, DF_ADDR_PRIVATE},           {{0xff}, 8, DF_ADDR_MULTICAST},
};

static bool is_in(const uint8_t *addr, const struct net *n)
{
	const unsigned octets = n->len / 8, bits = n->len % 8;
	const uint8_t mask = (uint8_t)(0xff00u >> bits);

	return memcmp(addr, n->prefix, octets) == 0 &&
	       (bits == 0 || (addr[octets] & mask) == n->prefix[octets]);
}

static enum df_addr_kind kind_in(const uint8_t *addr, const struct net *nets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_in(addr, &nets[i]))
			return nets[i].kind;
	return DF_ADDR_PUBLIC;
}

/* The IPv4 address that an IPv6 one stands for, or NULL. */
static const uint8_t *embedded4(const uint8_t *addr)
{
	static const uint8_t none[12];

	if (memcmp(addr, mapped, sizeof(mapped)) == 0 || memcmp(addr, nat64, sizeof(nat64)) == 0)
		return addr + 12;
	if (addr[0] == 0x20 && addr[1] == 0x02)
		return addr + 2;
	/* but for :: and ::1, which are what they are */
	if (memcmp(addr, none, sizeof(none)) == 0 && (addr[12] || addr[13] || addr[14]))
		return addr + 12;
	return NULL;
}

enum df_addr_kind df_addr_kind(const uint8_t addr[static 16])
{
	const uint8_t *addr4 = embedded4(addr);

	return addr4 ? kind_in(addr4, nets4, ARRAY_SIZE(nets4))
		     : kind_in(addr, nets6, ARRAY_SIZE(nets6));
}

bool df_addr_nat64(const uint8_t addr[static 16], uint8_t ret[static 16])
{
	const uint8_t *to;
	uint8_t twin[16];

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		to = nat64;
	else if (memcmp(addr, nat64, sizeof(nat64)) == 0)
		to = mapped;
	else
		return false;
	memcpy(twin, to, 12);
	memcpy(twin + 12, addr + 12, 4);
	memcpy(ret, twin, sizeof(twin));
	return true;
}
