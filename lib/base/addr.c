/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/util.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

void df_addr_text(const uint8_t addr[static 16], char ret[static DF_ADDR_TEXT_MAX])
{
	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, addr + 12, ret, DF_ADDR_TEXT_MAX);
	else
		(void)inet_ntop(AF_INET6, addr, ret, DF_ADDR_TEXT_MAX);
}

/* --- the IPv4 addresses in it */

static void map(uint32_t ipv4, uint8_t ret[static 16])
{
	memcpy(ret, mapped, sizeof(mapped));
	memcpy(ret + sizeof(mapped), &ipv4, sizeof(ipv4));
}

static struct df_embedded look(const uint8_t addr[static 16])
{
	uint32_t words[4];

	memcpy(words, addr, sizeof(words));
	return df_embedded_of(words);
}

unsigned df_addr_embedded(const uint8_t addr[static 16], uint8_t ret[static DF_EMBEDDED_MAX][16],
			  bool *ret_is_same_host)
{
	const struct df_embedded e = look(addr);

	for (unsigned i = 0; i < e.n; i++)
		map(e.ipv4[i], ret[i]);
	*ret_is_same_host = e.is_same_host;
	return e.n;
}

void df_addr_canonical(const uint8_t addr[static 16], uint8_t ret[static 16])
{
	const struct df_embedded e = look(addr);

	if (e.is_same_host)
		map(e.ipv4[0], ret);
	else
		memmove(ret, addr, 16);
}

/* --- its kind */

struct net {
	uint8_t prefix[16];
	uint8_t len; /* bits */
	enum df_addr_kind kind;
};

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
