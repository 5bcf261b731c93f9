/* SPDX-License-Identifier: GPL-2.0-or-later */
/* addr_embedded: the IPv4 addresses in IPv6 ones, beside examples of the RFCs and an oracle by
 * octets. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void parse(const char *text, uint8_t ret[static 16])
{
	memcpy(ret, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ret + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

static void check(const char *text, const char *const want[static DF_EMBEDDED_MAX], bool is_same)
{
	uint8_t addr[16], canonical[16], ret[DF_EMBEDDED_MAX][16], octets[16];
	bool is_same_host = !is_same;
	unsigned n, n_want = (want[0] != NULL) + (want[1] != NULL);

	parse(text, addr);
	n = df_addr_embedded(addr, ret, &is_same_host);
	if (n != n_want || is_same_host != is_same)
		fail_msg("%s: %u addresses, same host %d", text, n, is_same_host);
	for (unsigned i = 0; i < n; i++) {
		parse(want[i], octets);
		if (memcmp(ret[i], octets, 16) != 0)
			fail_msg("%s: address %u is not %s", text, i, want[i]);
	}
	df_addr_canonical(addr, canonical);
	parse(is_same ? want[0] : text, octets);
	assert_memory_equal(canonical, octets, 16);
	df_addr_canonical(addr, addr); /* in place */
	assert_memory_equal(addr, octets, 16);
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *want[DF_EMBEDDED_MAX];
		bool is_same_host;
	} rows[] = {
		/* RFC 6052 2.4: the well-known prefix */
		{"64:ff9b::192.0.2.33", {"192.0.2.33"}, true},
		{"64:ff9b::", {"0.0.0.0"}, true},
		{"64:ff9b::ffff:ffff", {"255.255.255.255"}, true},
		{"64:ff9b:0:0:0:1:c000:221", {NULL}, false}, /* beside it */
		{"64:ff9c::192.0.2.33", {NULL}, false},
		{"64:ff9a:ffff:ffff:ffff:ffff:c000:221", {NULL}, false},
		/* RFC 8215 3 and 5: any /96 of the /48 */
		{"64:ff9b:1::192.0.2.33", {"192.0.2.33"}, false},
		{"64:ff9b:1:fffe::192.0.2.33", {"192.0.2.33"}, false},
		{"64:ff9b:1:ffff:ffff:ffff:192.0.2.33", {"192.0.2.33"}, false},
		{"64:ff9b:2::192.0.2.33", {NULL}, false},
		{"64:ff9b:0:1::192.0.2.33", {NULL}, false},
		/* RFC 3056 2 */
		{"2002:c000:221::1", {"192.0.2.33"}, false},
		{"2002:c000:221:ffff:ffff:ffff:ffff:ffff", {"192.0.2.33"}, false},
		{"2002::", {"0.0.0.0"}, false},
		{"2001:c000:221::1", {NULL}, false},
		{"2003:c000:221::1", {NULL}, false},
		/* RFC 4380 4: server, flags, port, and the client with its bits inverted */
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", {"65.54.227.120", "192.0.2.45"}, false},
		{"2001::", {"0.0.0.0", "255.255.255.255"}, false},
		{"2001:1::1", {NULL}, false}, /* RFC 7723, of the same /23 */
		{"2001:db8::192.0.2.33", {NULL}, false},
		/* RFC 4291 2.5.5.1 */
		{"::192.0.2.33", {"192.0.2.33"}, false},
		{"::2", {"0.0.0.2"}, false},
		{"::", {NULL}, false},
		{"::1", {NULL}, false},
		/* RFC 4291 2.5.5.2: the form of IPv4 itself; and its neighbours */
		{"192.0.2.33", {NULL}, false},
		{"::ffff:192.0.2.33", {NULL}, false},
		{"::fffe:192.0.2.33", {NULL}, false},
		{"::1:0:192.0.2.33", {NULL}, false},
		/* not covered: RFC 5214 6.1 (ISATAP), RFC 5969 4 (6rd), which have no prefix of
		   their own */
		{"2001:db8::5efe:192.0.2.33", {NULL}, false},
		{"fe80::5efe:192.0.2.33", {NULL}, false},
		{"2001:db8:c000:221::1", {NULL}, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		check(rows[i].text, rows[i].want, rows[i].is_same_host);
}

/* The same by octets, as one would read the RFCs. */
static unsigned oracle(const uint8_t *a, uint8_t ret[static DF_EMBEDDED_MAX][16], bool *ret_is_same)
{
	static const uint8_t wkp[12] = {0x00, 0x64, 0xff, 0x9b}, zero[12] = {0};
	static const uint8_t site[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
	static const uint8_t teredo[4] = {0x20, 0x01};

	for (unsigned i = 0; i < DF_EMBEDDED_MAX; i++)
		memcpy(ret[i], mapped, sizeof(mapped));
	memcpy(ret[0] + 12, a + 12, 4);
	*ret_is_same = memcmp(a, wkp, sizeof(wkp)) == 0;
	if (*ret_is_same || memcmp(a, site, sizeof(site)) == 0)
		return 1;
	if (memcmp(a, zero, sizeof(zero)) == 0)
		return a[12] || a[13] || a[14] || a[15] > 1;
	if (a[0] == 0x20 && a[1] == 0x02) {
		memcpy(ret[0] + 12, a + 2, 4);
		return 1;
	}
	if (memcmp(a, teredo, sizeof(teredo)) != 0)
		return 0;
	memcpy(ret[0] + 12, a + 4, 4);
	for (unsigned i = 12; i < 16; i++)
		ret[1][i] = a[i] ^ 0xff;
	return 2;
}

static uint32_t draw(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Addresses near the forms: octets of their prefixes, others, and zeros. */
static void test_against_oracle(void **state)
{
	static const uint8_t prefixes[][6] = {
		{0x00, 0x64, 0xff, 0x9b, 0, 0},
		{0x00, 0x64, 0xff, 0x9b, 0, 1},
		{0x20, 0x02},
		{0x20, 0x01},
		{0},
	};
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 300000; round++) {
		uint8_t addr[16] = {0}, got[DF_EMBEDDED_MAX][16], want[DF_EMBEDDED_MAX][16];
		bool is_got, is_want;
		unsigned n;

		memcpy(addr, prefixes[draw(&seed) % ARRAY_SIZE(prefixes)], 6);
		for (unsigned i = draw(&seed) % 3 ? 12 : 2; i < 16; i++)
			addr[i] =
				draw(&seed) % 3 ? (uint8_t)draw(&seed) : (uint8_t)(draw(&seed) % 3);
		if (draw(&seed) % 4 == 0)
			addr[draw(&seed) % 16] ^= (uint8_t)(1u << draw(&seed) % 8);
		n = oracle(addr, want, &is_want);
		assert_int_equal(df_addr_embedded(addr, got, &is_got), n);
		assert_int_equal(is_got, is_want);
		for (unsigned i = 0; i < n; i++)
			assert_memory_equal(got[i], want[i], 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_against_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
