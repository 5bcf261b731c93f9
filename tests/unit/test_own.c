/* SPDX-License-Identifier: GPL-2.0-or-later */
/* own: the addresses of this namespace, as getifaddrs(3) has them. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/own_addr.h"

static struct df_own own;

static bool take(const struct sockaddr *sa, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (sa && sa->sa_family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return true;
	}
	if (sa && sa->sa_family == AF_INET6) {
		memcpy(ret, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
		return true;
	}
	return false;
}

static void test_all_of_them(void **state)
{
	struct ifaddrs *list;
	uint8_t addr[16];
	unsigned n = 0;

	(void)state;
	assert_int_equal(getifaddrs(&list), 0);
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!take(i->ifa_addr, addr))
			continue;
		n++;
		assert_true(df_own_has(&own, addr, 1));
	}
	freeifaddrs(list);
	assert_int_equal(own.n, n);
	/* 203.0.113.77 and 2001:db8::77 are nobody's */
	memcpy(addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x4d", 16);
	assert_false(df_own_has(&own, addr, 1));
	memcpy(addr, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x77", 16);
	assert_false(df_own_has(&own, addr, 1));
}

/* Kept a moment, then read anew. */
static void test_kept(void **state)
{
	uint8_t addr[16] = {0xfe, 0xed};
	const unsigned n = own.n;

	(void)state;
	memcpy(own.addrs[own.n++], addr, 16);
	assert_true(df_own_has(&own, addr, 1 + DF_OWN_KEEP_NS - 1));
	assert_false(df_own_has(&own, addr, 1 + DF_OWN_KEEP_NS));
	assert_int_equal(own.n, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_them),
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
