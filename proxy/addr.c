/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/addr.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/addr_embedded.h"
#include "lib/base/util.h"

struct net {
	uint8_t prefix[16];
	uint8_t len; /* bits */
	enum df_addr_kind kind;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

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

enum df_addr_kind df_addr_kind(const uint8_t addr[static 16])
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	enum df_addr_kind kind;
	bool is_same_host;
	unsigned n;

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		return kind_in(addr + sizeof(mapped), nets4, ARRAY_SIZE(nets4));
	kind = kind_in(addr, nets6, ARRAY_SIZE(nets6));
	n = df_addr_embedded(addr, embedded, &is_same_host);
	for (unsigned i = 0; i < n && kind == DF_ADDR_PUBLIC; i++)
		kind = kind_in(embedded[i] + sizeof(mapped), nets4, ARRAY_SIZE(nets4));
	return kind;
}
