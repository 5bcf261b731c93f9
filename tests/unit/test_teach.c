/* SPDX-License-Identifier: GPL-2.0-or-later */
/* teach: what names say of addresses, by port, and what they must not say. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "lib/policy/table.h"
#include "proxy/learn/teach.h"

#define ALLOWED(t) (1u << (DF_LEARNED_ALLOWED + (t)))
#define BLOCKED(t) (1u << (DF_LEARNED_BLOCKED + (t)))
#define DEFAULT(t) (1u << (DF_LEARNED_DEFAULT + (t)))

enum { OWN = DF_TABLE_OWN, BASE = DF_TABLE_BASE, SHADOW = DF_TABLE_SHADOW };

static struct df_policy_result compiled[DF_TABLES];
static struct df_meta meta;
static struct df_tables tables;
static struct df_search_list search;
static struct df_trust trust;
static struct df_teach teach = {.trust = &trust};

/* NULL: there is no such table. */
static void use(const char *own, const char *base, const char *shadow)
{
	const char *const texts[DF_TABLES] = {own, base, shadow};

	for (int i = 0; i < DF_TABLES; i++) {
		df_policy_result_done(&compiled[i]);
		memset(&compiled[i], 0, sizeof(compiled[i]));
		tables.modes[i] = 0;
		if (!texts[i])
			continue;
		tables.modes[i] = DF_MODE_ENFORCE;
		assert_int_equal(df_policy_compile_text("t", "t.policy", texts[i], strlen(texts[i]),
							&compiled[i]),
				 0);
		assert_int_equal(df_policy_open(compiled[i].table, compiled[i].table_size,
						&tables.tables[i]),
				 0);
	}
	assert_int_equal(df_teach_init(&teach, &tables, &search), 0);
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < DF_TABLES; i++)
		df_policy_result_done(&compiled[i]);
	memset(compiled, 0, sizeof(compiled));
	memset(&meta, 0, sizeof(meta));
	memset(&trust, 0, sizeof(trust));
	memset(&search, 0, sizeof(search));
	return 0;
}

static struct df_dname name(const char *s)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(s, strlen(s), &n, NULL), 0);
	return n;
}

static void parse(const char *text, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(ret, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ret + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

static unsigned cls(uint8_t proto, uint16_t port)
{
	return df_ports_class(&teach.ports, proto, port);
}

static unsigned question(const char *qname, unsigned class)
{
	const struct df_dname n = name(qname);
	struct df_taught taught;

	df_teach_question(&teach, df_teach_tables(&tables), &n, &taught);
	return taught.bits[class];
}

/* --- names ------------------------------------------------------------------------ */

static void test_default_allow(void **state)
{
	(void)state;
	use("block github.com\nallow status.github.com\n", NULL, NULL);
	assert_int_equal(question("ok.example", 0), DEFAULT(OWN));
	assert_int_equal(question("ok.example", 1), DEFAULT(OWN));
	assert_int_equal(question("ok.example", 2), DEFAULT(OWN));
	assert_int_equal(question("ok.example", 3), 0); /* there is no such class */
	assert_int_equal(question("github.com", 0), BLOCKED(OWN));
	assert_int_equal(question("www.github.com", 0), BLOCKED(OWN));
	assert_int_equal(question("status.github.com", 0), ALLOWED(OWN));
}

static void test_default_deny(void **state)
{
	(void)state;
	use("default deny\nallow ok.example\nblock not.ok.example\n", NULL, NULL);
	assert_int_equal(question("ok.example", 0), ALLOWED(OWN));
	assert_int_equal(question("other.example", 0), 0);
	assert_int_equal(question("not.ok.example", 0), BLOCKED(OWN));
}

static void test_ports(void **state)
{
	(void)state;
	use("default deny\nallow ok.example:443/tcp\nblock ok.example:22\nallow "
	    "ok.example:1-100/udp\n",
	    NULL, NULL);
	assert_int_equal(question("ok.example", cls(IPPROTO_TCP, 443)), ALLOWED(OWN));
	assert_int_equal(question("ok.example", cls(IPPROTO_UDP, 443)), 0);
	assert_int_equal(question("ok.example", cls(IPPROTO_TCP, 22)), BLOCKED(OWN));
	assert_int_equal(question("ok.example", cls(IPPROTO_UDP, 22)), BLOCKED(OWN));
	assert_int_equal(question("ok.example", cls(IPPROTO_UDP, 21)), ALLOWED(OWN));
	assert_int_equal(question("ok.example", cls(IPPROTO_TCP, 80)), 0);
	assert_int_equal(question("ok.example", cls(IPPROTO_ICMP, 0)), 0);
}

static void test_tables_side_by_side(void **state)
{
	struct df_taught taught;
	struct df_dname n;
	const struct df_policy_rule *rule;
	enum df_table_id table;

	(void)state;
	use("block a.example\nallow b.example\n", "default deny\nallow a.example\n",
	    "block c.example\n");
	assert_int_equal(question("a.example", 0), BLOCKED(OWN) | ALLOWED(BASE) | DEFAULT(SHADOW));
	assert_int_equal(question("b.example", 0), ALLOWED(OWN) | DEFAULT(SHADOW));
	assert_int_equal(question("c.example", 0), DEFAULT(OWN) | BLOCKED(SHADOW));
	/* a set of tables that learn; the rule is the one that blocks */
	n = name("a.example");
	df_teach_question(&teach, 1u << BASE | 1u << SHADOW, &n, &taught);
	assert_int_equal(taught.bits[0], ALLOWED(BASE) | DEFAULT(SHADOW));
	n = name("c.example");
	df_teach_question(&teach, 7, &n, &taught);
	assert_int_equal(df_tables_rule(&tables, taught.rule, &table, &rule), 0);
	assert_int_equal(table, SHADOW);
	assert_int_equal(rule->line, 1);
}

/* The address of github.com.corp.example is corp.example's, not github.com's. */
static void test_search_list(void **state)
{
	struct df_dname suffix = name("corp.example");

	(void)state;
	search = (struct df_search_list){&suffix, 1};
	use("block github.com\n", NULL, NULL);
	assert_int_equal(question("github.com.corp.example", 0), 0);
	assert_int_equal(question("www.corp.example", 0), DEFAULT(OWN));
	use("default deny\nallow www\n", NULL, NULL);
	assert_int_equal(question("www.corp.example", 0), 0);
	assert_int_equal(question("www", 0), ALLOWED(OWN));
}

static void test_chain(void **state)
{
	const struct df_dname alias = name("alias.example"), target = name("github.com"),
			      ok = name("ok.example");
	struct df_taught q, c;

	(void)state;
	use("block github.com:443\nallow alias.example\n", "allow github.com\n", NULL);
	df_teach_question(&teach, 3, &alias, &q);
	assert_int_equal(q.bits[0], ALLOWED(OWN) | DEFAULT(BASE));
	df_teach_chain(&teach, 3, &target, &c);
	assert_int_equal(c.bits[cls(IPPROTO_TCP, 443)], BLOCKED(OWN));
	assert_int_equal(c.bits[0], 0); /* a chain permits nothing */
	df_teach_withdraw(&q, &c);
	assert_int_equal(q.bits[cls(IPPROTO_TCP, 443)], DEFAULT(BASE));
	assert_int_equal(q.bits[0], ALLOWED(OWN) | DEFAULT(BASE));
	df_teach_chain(&teach, 3, &ok, &c);
	assert_false(df_teach_has(&c, UINT16_MAX));
}

/* pin-blocked no: what is refused at some ports only cannot do without its addresses. */
static void test_unpinned(void **state)
{
	const struct df_dname whole = name("whole.example"), part = name("part.example");
	struct df_taught taught;

	(void)state;
	use("pin-blocked no\nblock whole.example\nblock part.example:25\n", "block whole.example\n",
	    NULL);
	df_teach_question(&teach, 3, &whole, &taught);
	assert_int_equal(taught.bits[0], BLOCKED(OWN) | BLOCKED(BASE));
	df_teach_unpin(&teach, &whole, &taught);
	assert_int_equal(taught.bits[0], BLOCKED(BASE));
	df_teach_question(&teach, 1, &part, &taught);
	df_teach_unpin(&teach, &part, &taught);
	assert_int_equal(taught.bits[cls(IPPROTO_TCP, 25)], BLOCKED(OWN));
	assert_int_equal(taught.bits[0], DEFAULT(OWN));
}

static void test_too_many_classes(void **state)
{
	static char text[4096];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		if (i == 20) {
			use(text, NULL, NULL);
			n = 0;
		}
		df_append(text, sizeof(text), &n, "allow a.example:%u\n", 1000 + i);
	}
	tables.modes[BASE] = DF_MODE_ENFORCE;
	assert_int_equal(
		df_policy_compile_text("t", "t.policy", text, strlen(text), &compiled[BASE]), 0);
	assert_int_equal(df_policy_open(compiled[BASE].table, compiled[BASE].table_size,
					&tables.tables[BASE]),
			 0);
	assert_int_equal(df_teach_init(&teach, &tables, &search), -E2BIG);
}

/* --- levers --------------------------------------------------------------------------- */

static void set_resolvers(const char *a, const char *b)
{
	trust.n = 2;
	parse(a, trust.addrs[0]);
	parse(b, trust.addrs[1]);
}

/* A blocked zone points at what the container needs. */
static void test_refusal_levers(void **state)
{
	static const struct {
		const char *addr;
		enum df_lever why;
	} rows[] = {
		{"140.82.112.3", DF_LEVER_NONE},
		{"2606:50c0:8000::153", DF_LEVER_NONE},
		{"64:ff9b::140.82.112.3", DF_LEVER_NONE},
		{"127.0.0.1", DF_LEVER_LOOPBACK},
		{"::1", DF_LEVER_LOOPBACK},
		{"169.254.169.254", DF_LEVER_LINK_LOCAL},
		{"fe80::1", DF_LEVER_LINK_LOCAL},
		{"10.88.0.1", DF_LEVER_PRIVATE},
		{"172.17.0.1", DF_LEVER_PRIVATE},
		{"192.168.1.1", DF_LEVER_PRIVATE},
		{"100.64.0.1", DF_LEVER_PRIVATE},
		{"fd00::1", DF_LEVER_PRIVATE},
		{"64:ff9b::10.0.0.1", DF_LEVER_PRIVATE},
		{"2002:a00:1::1", DF_LEVER_PRIVATE},
		{"64:ff9b::9.9.9.9", DF_LEVER_RESOLVER},
		{"2002:909:909::1", DF_LEVER_RESOLVER},
		{"224.0.0.251", DF_LEVER_MULTICAST},
		{"255.255.255.255", DF_LEVER_MULTICAST},
		{"0.0.0.0", DF_LEVER_UNSPECIFIED},
		{"::", DF_LEVER_UNSPECIFIED},
		{"10.89.53.1", DF_LEVER_RESOLVER},
		{"9.9.9.9", DF_LEVER_RESOLVER},
	};
	const struct df_dname n = name("github.com");

	(void)state;
	set_resolvers("10.89.53.1", "9.9.9.9");
	use("block github.com\n", NULL, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_taught taught;
		uint8_t addr[16];

		parse(rows[i].addr, addr);
		df_teach_question(&teach, 1, &n, &taught);
		if (df_teach_limit_refusal(&teach, addr, false, &taught) != rows[i].why ||
		    df_teach_has(&taught, BLOCKED(OWN)) != (rows[i].why == DF_LEVER_NONE))
			fail_msg("%s", rows[i].addr);
	}
}

static void test_refusal_of_own_address(void **state)
{
	const struct df_dname n = name("github.com");
	struct df_taught taught;
	uint8_t addr[16];

	(void)state;
	use("block github.com\n", NULL, NULL);
	parse("203.0.113.1", addr);
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_refusal(&teach, addr, true, &taught), DF_LEVER_OWN);
	assert_false(df_teach_has(&taught, UINT16_MAX));
	/* nothing to take off is nothing to tell */
	assert_int_equal(df_teach_limit_refusal(&teach, addr, true, &taught), DF_LEVER_NONE);
}

/* An allow rule for the address; of a port, of one table, and of the net that it is in. */
static void test_refusal_of_allowed_address(void **state)
{
	const struct df_dname n = name("github.com");
	struct df_taught taught;
	uint8_t addr[16], twin[16];

	(void)state;
	parse("140.82.112.3", addr);
	parse("64:ff9b::140.82.112.3", twin);
	use("block github.com\nallow 140.82.112.0/24\n", NULL, NULL);
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_refusal(&teach, addr, false, &taught), DF_LEVER_RULE);
	assert_false(df_teach_has(&taught, UINT16_MAX));
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_refusal(&teach, twin, false, &taught), DF_LEVER_RULE);
	assert_false(df_teach_has(&taught, UINT16_MAX));

	use("block github.com\nallow 140.82.112.3:443\n", "block github.com\n", NULL);
	df_teach_question(&teach, 3, &n, &taught);
	assert_int_equal(df_teach_limit_refusal(&teach, addr, false, &taught), DF_LEVER_RULE);
	assert_int_equal(taught.bits[cls(IPPROTO_TCP, 443)], BLOCKED(BASE));
	assert_int_equal(taught.bits[0], BLOCKED(OWN) | BLOCKED(BASE));

	use("block github.com\nallow 140.82.112.0/24\nblock 140.82.112.3\n", NULL, NULL);
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_refusal(&teach, addr, false, &taught), DF_LEVER_NONE);
	assert_true(df_teach_has(&taught, BLOCKED(OWN)));
}

/* DNS rebinding: an allowed zone points at the inside. */
static void test_permission_levers(void **state)
{
	static const struct {
		const char *addr;
		enum df_lever why;
	} rows[] = {
		{"203.0.113.1", DF_LEVER_NONE},
		{"10.88.0.1", DF_LEVER_NONE}, /* the name is written in the policy */
		{"fd00::1", DF_LEVER_NONE},
		{"127.0.0.1", DF_LEVER_LOOPBACK},
		{"64:ff9b::127.0.0.1", DF_LEVER_LOOPBACK},
		{"2001:0:4136:e378:8000:63bf:80ff:fffe", DF_LEVER_LOOPBACK},
		{"64:ff9b:1::169.254.169.254", DF_LEVER_LINK_LOCAL},
		{"::9.9.9.9", DF_LEVER_RESOLVER},
		{"169.254.169.254", DF_LEVER_LINK_LOCAL},
		{"ff02::1", DF_LEVER_MULTICAST},
		{"0.0.0.0", DF_LEVER_UNSPECIFIED},
		{"::", DF_LEVER_UNSPECIFIED},
		{"10.89.53.1", DF_LEVER_RESOLVER},
		{"9.9.9.9", DF_LEVER_RESOLVER},
	};
	const struct df_dname n = name("ok.example");

	(void)state;
	set_resolvers("10.89.53.1", "9.9.9.9");
	use("default deny\nallow ok.example\n", NULL, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_taught taught;
		uint8_t addr[16];

		parse(rows[i].addr, addr);
		df_teach_question(&teach, 1, &n, &taught);
		if (df_teach_limit_permission(&teach, addr, &n, &taught) != rows[i].why ||
		    df_teach_has(&taught, ALLOWED(OWN)) != (rows[i].why == DF_LEVER_NONE))
			fail_msg("%s", rows[i].addr);
	}
	/* under default allow a name opens what raw-ip would open, too */
	use("allow ok.example\n", "default deny\nallow ok.example\n", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_taught taught;
		uint8_t addr[16];

		parse(rows[i].addr, addr);
		df_teach_question(&teach, 3, &n, &taught);
		(void)df_teach_limit_permission(&teach, addr, &n, &taught);
		assert_true(df_teach_has(&taught, ALLOWED(OWN)));
		assert_int_equal(df_teach_has(&taught, ALLOWED(BASE)),
				 rows[i].why == DF_LEVER_NONE);
	}
}

/* Private addresses are opened by names that somebody wrote, not by those of a list. */
static void test_permission_by_a_list(void **state)
{
	const struct df_dname n = name("ok.example");
	struct df_taught taught;
	uint8_t addr[16];

	(void)state;
	use("default deny\nallow ok.example\n", NULL, NULL);
	parse("10.88.0.1", addr);
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_permission(&teach, addr, &n, &taught), DF_LEVER_NONE);
	assert_true(df_teach_has(&taught, ALLOWED(OWN)));
	((struct df_policy_rule *)(uintptr_t)df_policy_rule_at(&tables.tables[OWN], 0))->flags |=
		DF_POLICY_RULE_LISTED;
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_permission(&teach, addr, &n, &taught), DF_LEVER_PRIVATE);
	assert_false(df_teach_has(&taught, UINT16_MAX));
	parse("203.0.113.1", addr);
	df_teach_question(&teach, 1, &n, &taught);
	assert_int_equal(df_teach_limit_permission(&teach, addr, &n, &taught), DF_LEVER_NONE);
	assert_true(df_teach_has(&taught, ALLOWED(OWN)));
}

int main(void)
{
#define T(test) cmocka_unit_test_teardown(test, teardown)
	const struct CMUnitTest tests[] = {
		T(test_default_allow),
		T(test_default_deny),
		T(test_ports),
		T(test_tables_side_by_side),
		T(test_search_list),
		T(test_chain),
		T(test_unpinned),
		T(test_too_many_classes),
		T(test_refusal_levers),
		T(test_refusal_of_own_address),
		T(test_refusal_of_allowed_address),
		T(test_permission_levers),
		T(test_permission_by_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
