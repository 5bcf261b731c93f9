/* SPDX-License-Identifier: GPL-2.0-or-later */
/* addr: what sort of place an address is. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

static void parse(const char *text, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(ret, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ret + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

/* Of each network the first and the last address, and those beside it. */
static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum df_addr_kind kind;
	} rows[] = {
		{"0.0.0.0", DF_ADDR_UNSPECIFIED},
		{"0.255.255.255", DF_ADDR_UNSPECIFIED},
		{"1.0.0.0", DF_ADDR_PUBLIC},
		{"9.255.255.255", DF_ADDR_PUBLIC},
		{"10.0.0.0", DF_ADDR_PRIVATE},
		{"10.255.255.255", DF_ADDR_PRIVATE},
		{"11.0.0.0", DF_ADDR_PUBLIC},
		{"100.63.255.255", DF_ADDR_PUBLIC},
		{"100.64.0.0", DF_ADDR_PRIVATE},
		{"100.127.255.255", DF_ADDR_PRIVATE},
		{"100.128.0.0", DF_ADDR_PUBLIC},
		{"126.255.255.255", DF_ADDR_PUBLIC},
		{"127.0.0.1", DF_ADDR_LOOPBACK},
		{"127.255.255.255", DF_ADDR_LOOPBACK},
		{"128.0.0.0", DF_ADDR_PUBLIC},
		{"169.253.255.255", DF_ADDR_PUBLIC},
		{"169.254.169.254", DF_ADDR_LINK_LOCAL},
		{"169.255.0.0", DF_ADDR_PUBLIC},
		{"172.15.255.255", DF_ADDR_PUBLIC},
		{"172.16.0.0", DF_ADDR_PRIVATE},
		{"172.31.255.255", DF_ADDR_PRIVATE},
		{"172.32.0.0", DF_ADDR_PUBLIC},
		{"192.167.255.255", DF_ADDR_PUBLIC},
		{"192.168.0.0", DF_ADDR_PRIVATE},
		{"192.168.255.255", DF_ADDR_PRIVATE},
		{"192.169.0.0", DF_ADDR_PUBLIC},
		{"198.51.100.1", DF_ADDR_PUBLIC},
		{"203.0.113.1", DF_ADDR_PUBLIC},
		{"223.255.255.255", DF_ADDR_PUBLIC},
		{"224.0.0.1", DF_ADDR_MULTICAST},
		{"239.255.255.255", DF_ADDR_MULTICAST},
		{"240.0.0.0", DF_ADDR_PRIVATE},
		{"255.255.255.254", DF_ADDR_PRIVATE},
		{"255.255.255.255", DF_ADDR_MULTICAST},
		{"::", DF_ADDR_UNSPECIFIED},
		{"::1", DF_ADDR_LOOPBACK},
		{"2001:db8::1", DF_ADDR_PUBLIC},
		{"2606:50c0:8000::153", DF_ADDR_PUBLIC},
		{"fbff:ffff::", DF_ADDR_PUBLIC},
		{"fc00::", DF_ADDR_PRIVATE},
		{"fdff:ffff::1", DF_ADDR_PRIVATE},
		{"fe00::", DF_ADDR_PUBLIC},
		{"fe80::1", DF_ADDR_LINK_LOCAL},
		{"febf:ffff::1", DF_ADDR_LINK_LOCAL},
		{"fec0::1", DF_ADDR_PRIVATE},
		{"feff:ffff::1", DF_ADDR_PRIVATE},
		{"ff00::", DF_ADDR_MULTICAST},
		{"ff02::1", DF_ADDR_MULTICAST},
		/* IPv4 inside of IPv6 */
		{"::ffff:10.0.0.1", DF_ADDR_PRIVATE},
		{"::ffff:140.82.112.3", DF_ADDR_PUBLIC},
		{"64:ff9b::127.0.0.1", DF_ADDR_LOOPBACK},
		{"64:ff9b::169.254.169.254", DF_ADDR_LINK_LOCAL},
		{"64:ff9b::0.0.0.0", DF_ADDR_UNSPECIFIED},
		{"64:ff9b::140.82.112.3", DF_ADDR_PUBLIC},
		{"64:ff9b:0:0:0:1:10.0.0.1", DF_ADDR_PUBLIC}, /* another prefix */
		{"2002:7f00:1::", DF_ADDR_LOOPBACK},
		{"2002:c0a8:101::1", DF_ADDR_PRIVATE},
		{"2002:8c52:7003::1", DF_ADDR_PUBLIC},
		{"64:ff9b:1::10.0.0.1", DF_ADDR_PRIVATE},
		{"2001:0:a00:1::ffff:ffff", DF_ADDR_PRIVATE},               /* Teredo's server */
		{"2001:0:4136:e378:8000:63bf:80ff:fffe", DF_ADDR_LOOPBACK}, /* and client */
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", DF_ADDR_PUBLIC},
		{"::127.0.0.1", DF_ADDR_LOOPBACK},
		{"::192.168.0.1", DF_ADDR_PRIVATE},
		{"::8.8.8.8", DF_ADDR_PUBLIC},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t addr[16];

		parse(rows[i].text, addr);
		if (df_addr_kind(addr) != rows[i].kind)
			fail_msg("%s is %d", rows[i].text, (int)df_addr_kind(addr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
