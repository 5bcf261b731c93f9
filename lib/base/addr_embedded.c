/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/addr_embedded.h"

#include <string.h>

static void map(uint32_t ipv4, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

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
