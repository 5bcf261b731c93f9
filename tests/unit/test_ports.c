/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/ports.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

static void add(struct df_ports *p, uint8_t proto, uint16_t lo, uint16_t hi)
{
	assert_int_equal(df_ports_add_range(p, (struct df_policy_range){proto, lo, hi}), 0);
}

/* By definition: which of the added ranges hold the port. */
static uint64_t names(const struct df_ports *p, uint8_t proto, unsigned port)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < p->n_named; i++) {
		const struct df_policy_range *r = &p->named[i];

		if ((r->proto == 0 || r->proto == proto) && port >= r->lo && port <= r->hi)
			set |= UINT64_C(1) << i;
	}
	return set;
}

/* Every port of a class is named by the same ranges, and by others than any other class. */
static void check(const struct df_ports *p)
{
	uint64_t sets[DF_PORT_CLASSES] = {0};

	assert_in_range(p->n_classes, DF_PORTS_FIRST_NAMED, DF_PORT_CLASSES);
	for (unsigned cls = 0; cls < p->n_classes; cls++) {
		uint8_t proto;
		uint16_t port;

		df_ports_representative(p, cls, &proto, &port);
		if (cls == DF_PORTS_PORTLESS)
			assert_true(proto == 0 && port == 0);
		else if (port != 0 || cls >= DF_PORTS_FIRST_NAMED)
			assert_int_equal(df_ports_class(p, proto, port), cls);
		sets[cls] = names(p, proto, port);
		for (unsigned i = DF_PORTS_FIRST_NAMED; i < cls; i++)
			assert_true(sets[i] != sets[cls]);
	}
	for (unsigned port = 1; port <= 65535; port++) {
		unsigned tcp = df_ports_class(p, TCP, (uint16_t)port);
		unsigned udp = df_ports_class(p, UDP, (uint16_t)port);

		if (tcp >= p->n_classes || sets[tcp] != names(p, TCP, port) ||
		    udp >= p->n_classes || sets[udp] != names(p, UDP, port))
			fail_msg("port %u: classes %u, %u", port, tcp, udp);
		if ((tcp == 0) != (names(p, TCP, port) == 0) ||
		    (udp == 2) != (names(p, UDP, port) == 0))
			fail_msg("port %u: classes %u, %u", port, tcp, udp);
	}
	for (unsigned i = 0; i < p->n_named; i++) {
		uint32_t classes = 0;

		for (unsigned cls = DF_PORTS_FIRST_NAMED; cls < p->n_classes; cls++)
			classes |= sets[cls] & (UINT64_C(1) << i) ? UINT32_C(1) << cls : 0;
		assert_int_equal(df_ports_classes_of(p, p->named[i]), classes);
	}
}

static void test_none(void **state)
{
	struct df_ports p;

	(void)state;
	df_ports_init(&p);
	check(&p);
	assert_int_equal(p.n_classes, 3);
	assert_int_equal(df_ports_class(&p, TCP, 443), DF_PORTS_OTHER_TCP);
	assert_int_equal(df_ports_class(&p, UDP, 443), DF_PORTS_OTHER_UDP);
	assert_int_equal(df_ports_class(&p, IPPROTO_ICMP, 443), DF_PORTS_PORTLESS);
	assert_int_equal(df_ports_class(&p, IPPROTO_UDPLITE, 443), DF_PORTS_PORTLESS);
	assert_int_equal(df_ports_class(&p, TCP, 0), DF_PORTS_OTHER_TCP);
	assert_int_equal(df_ports_classes(&p), 1u << 0 | 1u << 2);
}

static void test_cuts(void **state)
{
	struct df_ports p;

	(void)state;
	df_ports_init(&p);
	add(&p, 0, 443, 443);
	check(&p);
	assert_int_equal(p.n_classes, 4);
	assert_int_equal(df_ports_class(&p, TCP, 443), df_ports_class(&p, UDP, 443));
	add(&p, 0, 443, 443); /* a double changes nothing */
	assert_int_equal(p.n_named, 1);
	add(&p, TCP, 443, 443);
	check(&p);
	assert_int_equal(p.n_classes, 5);
	assert_int_not_equal(df_ports_class(&p, TCP, 443), df_ports_class(&p, UDP, 443));
	add(&p, UDP, 1000, 2000);
	add(&p, UDP, 1500, 1600); /* both ends of the former stay one class */
	check(&p);
	assert_int_equal(p.n_classes, 7);
	assert_int_equal(df_ports_class(&p, UDP, 1499), df_ports_class(&p, UDP, 1601));
	assert_int_equal(df_ports_class(&p, TCP, 1500), DF_PORTS_OTHER_TCP);
	add(&p, UDP, 2001, 2001);
	add(&p, 0, 1, 1);
	add(&p, 0, 65535, 65535);
	add(&p, TCP, 1, 65535);
	check(&p);
	assert_false(df_ports_classes(&p) & 1u << DF_PORTS_OTHER_TCP);
	assert_true(df_ports_classes(&p) & 1u << DF_PORTS_OTHER_UDP);
	add(&p, 0, 1, 65535);
	check(&p);
	assert_false(df_ports_classes(&p) & (1u << DF_PORTS_OTHER_TCP | 1u << DF_PORTS_OTHER_UDP));
}

static void test_too_many(void **state)
{
	struct df_ports p, before;
	unsigned port = 0;

	(void)state;
	df_ports_init(&p);
	for (; p.n_classes < DF_PORT_CLASSES; port += 2)
		add(&p, 0, (uint16_t)(1000 + port), (uint16_t)(1000 + port));
	check(&p);
	before = p;
	assert_int_equal(df_ports_add_range(&p, (struct df_policy_range){TCP, 1, 1}), -E2BIG);
	assert_memory_equal(&p, &before, sizeof(p));
	add(&p, 0, 1000, 1000); /* its twin is there already */
}

/* Ranges of all shapes, until one does not fit. */
static void test_random(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		static const uint8_t protos[] = {0, TCP, UDP};
		struct df_ports p;
		int r = 0;

		df_ports_init(&p);
		for (unsigned i = 0; i < 12 && r == 0; i++) {
			struct df_policy_range range;
			uint32_t a = (seed = seed * 1103515245 + 12345) >> 8;
			uint32_t b = (seed = seed * 1103515245 + 12345) >> 8;
			unsigned lo = 1 + a % (round % 2 ? 40 : 65535);
			unsigned hi = lo + b % (round % 2 ? 20 : 65535);

			range = (struct df_policy_range){protos[a % 3], (uint16_t)lo,
							 (uint16_t)(hi > 65535 ? 65535 : hi)};
			r = df_ports_add_range(&p, range);
		}
		assert_true(r == 0 || r == -E2BIG);
		check(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
