/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust: who is asked, who is not, and who learns from the answer. */
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
#include "proxy/worker/trust.h"

enum { NO = 0, ENFORCE = DF_MODE_ENFORCE, AUDIT = DF_MODE_AUDIT };
enum { OWN = 1 << DF_TABLE_OWN, BASE = 1 << DF_TABLE_BASE, SHADOW = 1 << DF_TABLE_SHADOW };

#define TRUSTED "10.89.53.1"
#define OTHER "8.8.8.8"

static struct df_policy_result compiled[DF_TABLES];
static struct df_meta meta;
static struct df_tables tables;
static struct df_own own; /* never read: it is good until the end of time */
static struct df_trust trust;

/* Resolvers of the meta data, as it is now. */
static void use_resolvers(void)
{
	own.until_ns = UINT64_MAX;
	df_trust_init(&trust, &meta, &own);
}

static void parse(const char *text, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(ret, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ret + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

static void use(int table, const char *text, uint8_t mode)
{
	df_policy_result_done(&compiled[table]);
	memset(&compiled[table], 0, sizeof(compiled[table]));
	tables.modes[table] = mode;
	assert_int_equal(
		df_policy_compile_text("t", "t.policy", text, strlen(text), &compiled[table]), 0);
	assert_int_equal(df_policy_open(compiled[table].table, compiled[table].table_size,
					&tables.tables[table]),
			 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&meta, 0, sizeof(meta));
	memset(&tables, 0, sizeof(tables));
	memset(&own, 0, sizeof(own));
	meta.n_resolvers = 2;
	parse(TRUSTED, meta.resolvers[0]);
	parse("fd00:53::1", meta.resolvers[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < DF_TABLES; i++)
		df_policy_result_done(&compiled[i]);
	memset(compiled, 0, sizeof(compiled));
	return 0;
}

static struct df_token token_to(const char *addr, uint8_t proto)
{
	struct df_token t = {.port = htons(53), .proto = proto};

	parse(addr, t.addr);
	return t;
}

static struct df_route route(const char *addr, uint16_t learned)
{
	const struct df_token t = token_to(addr, IPPROTO_UDP);

	use_resolvers();
	return df_trust_route(&trust, &tables, &t, learned, 0);
}

static bool is_to(const struct df_route *r, const char *addr)
{
	uint8_t want[16];

	parse(addr, want);
	return memcmp(r->to.addr, want, 16) == 0 && r->to.port == htons(53);
}

static void test_trusted(void **state)
{
	struct df_token t = token_to(TRUSTED, IPPROTO_UDP);
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "default deny\n", ENFORCE);
	use(DF_TABLE_SHADOW, "block github.com\n", ENFORCE);
	r = route(TRUSTED, 0);
	assert_true(is_to(&r, TRUSTED));
	assert_false(r.is_rerouted);
	assert_int_equal(r.teaches, OWN | SHADOW);
	assert_false(r.decision.is_refusal);
	r = route("fd00:53::1", 0);
	assert_true(is_to(&r, "fd00:53::1"));
	assert_int_equal(r.teaches, OWN | SHADOW);
	/* another port of the same address is another server */
	t.port = htons(5353);
	assert_false(df_trust_has(&trust, &t, 0));
	assert_true(df_trust_route(&trust, &tables, &t, 0, 0).is_rerouted);
}

static void test_untrusted_under_allow(void **state)
{
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "block github.com\n", ENFORCE);
	r = route(OTHER, 0);
	assert_true(is_to(&r, OTHER));
	assert_int_equal(r.teaches, 0);
	assert_false(r.decision.is_refusal);
}

static void test_untrusted_under_deny(void **state)
{
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "default deny\nallow ok.example\n", ENFORCE);
	r = route(OTHER, 0);
	assert_true(is_to(&r, TRUSTED));
	assert_true(r.is_rerouted);
	assert_int_equal(r.teaches, OWN);
	assert_false(r.decision.is_refusal);
	/* the base policy is as good a reason */
	use(DF_TABLE_OWN, "block github.com\n", ENFORCE);
	use(DF_TABLE_BASE, "default deny\n", ENFORCE);
	r = route("127.0.0.1", 0);
	assert_true(is_to(&r, TRUSTED));
	assert_int_equal(r.teaches, OWN | BASE);
}

static void test_link_local_is_not_first(void **state)
{
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "default deny\n", ENFORCE);
	parse("fe80::1", meta.resolvers[0]);
	r = route(OTHER, 0);
	assert_true(is_to(&r, "fd00:53::1"));
	r = route("fe80::1", 0);
	assert_true(is_to(&r, "fe80::1"));
	assert_false(r.is_rerouted);
}

/* Audit sends nothing elsewhere, and learns what it would have learned. */
static void test_untrusted_in_audit(void **state)
{
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "default deny\nraw-ip allow\n", AUDIT);
	use(DF_TABLE_BASE, "block github.com\n", ENFORCE);
	use(DF_TABLE_SHADOW, "default deny\n", ENFORCE);
	r = route(OTHER, 0);
	assert_true(is_to(&r, OTHER));
	assert_false(r.is_rerouted);
	assert_int_equal(r.teaches, OWN | SHADOW);
	assert_false(r.decision.is_refusal);
	/* what its address is worth is told, and passes */
	use(DF_TABLE_OWN, "default deny\n", AUDIT);
	r = route(OTHER, 0);
	assert_true(is_to(&r, OTHER));
	assert_true(r.decision.is_refusal);
	assert_false(r.decision.is_enforced);
	assert_int_equal(r.decision.reason, DF_REASON_RESOLVER);
}

static void test_none_is_trusted(void **state)
{
	struct df_route r;

	(void)state;
	meta.n_resolvers = 0;
	use(DF_TABLE_OWN, "block github.com\n", ENFORCE);
	r = route(TRUSTED, 0);
	assert_true(is_to(&r, TRUSTED));
	assert_int_equal(r.teaches, 0);
	assert_false(r.decision.is_refusal);
	use(DF_TABLE_BASE, "default deny\nallow ok.example\n", ENFORCE);
	r = route(TRUSTED, 0);
	assert_true(r.decision.is_enforced);
	assert_int_equal(r.decision.reason, DF_REASON_NO_RESOLVER);
	assert_int_equal(r.decision.table, DF_TABLE_BASE);
	assert_int_equal(r.teaches, 0);
	use(DF_TABLE_BASE, "default deny\nraw-ip allow\nallow ok.example\n", AUDIT);
	assert_false(route(TRUSTED, 0).decision.is_refusal);
}

/* Where default allow, its address is judged as any connection to port 53 of it would be. */
static void test_address_of_an_untrusted_one(void **state)
{
	enum {
		A = 1 << DF_LEARNED_ALLOWED,
		B = 1 << DF_LEARNED_BLOCKED,
		D = 1 << DF_LEARNED_DEFAULT
	};
	static const struct {
		const char *policy, *addr;
		uint16_t learned;
		unsigned strictness;
	} rows[] = {
		{"default allow\n", OTHER, 0, 0},
		{"block 8.8.8.8\n", OTHER, 0, 2},
		{"block 8.8.8.8\n", "64:ff9b::8.8.8.8", 0, 2},
		{"block 8.8.8.8\n", "8.8.4.4", 0, 0},
		{"block 8.8.8.8:443\n", OTHER, 0, 0},
		{"block 8.8.8.8:53/udp\n", OTHER, 0, 2},
		{"block 8.8.8.8:53/tcp\n", OTHER, 0, 0},
		{"block 8.8.8.0/24\nallow 8.8.8.8\n", OTHER, 0, 0},
		{"raw-ip block\n", OTHER, 0, 2},
		{"raw-ip block\nallow 8.8.8.8\n", OTHER, 0, 0},
		{"raw-ip block\n", OTHER, A, 0},
		{"raw-ip block\n", OTHER, D, 0},
		{"raw-ip audit\n", OTHER, 0, 1},
		{"raw-ip block\n", "127.0.0.1", 0, 0}, /* loopback is the container's own */
		{"raw-ip block\n", "::1", 0, 0},
		{"default allow\n", OTHER, B, 2},
		{"default allow\n", OTHER, B | D, 2},
		{"default allow\n", OTHER, B | A, 0},
		{"shared-address allow\n", OTHER, B | D, 0},
		{"shared-address allow\n", OTHER, B, 2},
		{"allow 8.8.8.8\n", OTHER, B, 0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_route r;

		use(DF_TABLE_OWN, rows[i].policy, ENFORCE);
		r = route(rows[i].addr, rows[i].learned);
		if (df_verdict_strictness(&r.decision) != rows[i].strictness)
			fail_msg("row %u: %s %s", i, rows[i].policy, rows[i].addr);
		assert_true(is_to(&r, rows[i].addr));
		assert_int_equal(r.teaches, 0);
	}
	/* the stricter of two, and its rule */
	use(DF_TABLE_OWN, "raw-ip audit\n", ENFORCE);
	use(DF_TABLE_BASE, "block 8.8.8.8\n", ENFORCE);
	assert_int_equal(route(OTHER, 0).decision.table, DF_TABLE_BASE);
	assert_int_equal(route(OTHER, 0).decision.rule->line, 1);
}

static void own_address(const char *addr)
{
	parse(addr, own.addrs[own.n++]);
}

/* The container can be it: it teaches nothing, and under default deny is not asked. */
static void test_local_resolver(void **state)
{
	static const char *const addrs[] = {
		"127.0.0.1", "127.0.0.11", "127.255.255.254",  "0.0.0.0",
		"::",        "::1",        "::127.0.0.1",      "::ffff:127.0.0.53",
		"10.88.0.5", "fd00::5",    "64:ff9b::7f00:1",  "2002:7f00:1::",
		"0.1.2.3",   "fe80::5",    "::ffff:10.88.0.5",
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct df_route r;

		setup(NULL);
		own_address("10.88.0.5");
		own_address("fd00::5");
		own_address("fe80::5");
		parse(addrs[i], meta.resolvers[0]);
		use(DF_TABLE_OWN, "block github.com\nraw-ip block\n", ENFORCE);
		r = route(addrs[i], 0);
		if (!is_to(&r, addrs[i]) || r.teaches != 0 || r.decision.is_refusal ||
		    !r.to.may_be_local)
			fail_msg("%s under default allow", addrs[i]);
		use(DF_TABLE_OWN, "default deny\n", ENFORCE);
		r = route(addrs[i], 0);
		if (!is_to(&r, "fd00:53::1") || !r.is_rerouted || r.teaches != OWN)
			fail_msg("%s under default deny", addrs[i]);
		meta.n_resolvers = 1;
		r = route(addrs[i], 0);
		if (!r.decision.is_enforced || r.decision.reason != DF_REASON_NO_RESOLVER)
			fail_msg("%s alone under default deny", addrs[i]);
		/* a policy names it: believed, whatever it is */
		meta.are_resolvers_named = 1;
		r = route(addrs[i], 0);
		if (!is_to(&r, addrs[i]) || r.teaches != OWN || !r.to.may_be_local)
			fail_msg("%s by a resolver statement", addrs[i]);
		/* in the host's namespace it is the host's */
		meta.are_resolvers_named = 0;
		meta.is_host_netns = 1;
		r = route(addrs[i], 0);
		if (!is_to(&r, addrs[i]) || r.teaches != OWN || !r.to.may_be_local)
			fail_msg("%s in the host's namespace", addrs[i]);
	}
}

/* Docker's alone, and only where the hook was told so. */
static void test_docker(void **state)
{
	struct df_route r;

	(void)state;
	use(DF_TABLE_OWN, "default deny\n", ENFORCE);
	meta.is_docker = 1;
	meta.n_resolvers = 1;
	parse("127.0.0.11", meta.resolvers[0]);
	r = route("127.0.0.11", 0);
	assert_true(is_to(&r, "127.0.0.11"));
	assert_int_equal(r.teaches, OWN);
	parse("127.0.0.1", meta.resolvers[0]);
	assert_true(route("127.0.0.1", 0).decision.is_enforced);
}

/* A resolver whose address the namespace gets after the start is not believed any more. */
static void test_address_that_comes_later(void **state)
{
	struct df_resolver to;
	struct df_route r;
	unsigned index;

	(void)state;
	use(DF_TABLE_OWN, "default deny\n", ENFORCE);
	r = route(TRUSTED, 0);
	assert_true(is_to(&r, TRUSTED));
	assert_false(r.to.may_be_local);
	own_address(TRUSTED);
	assert_true(route(TRUSTED, 0).is_rerouted);
	for (unsigned k = 0; k < 4; k++) {
		assert_true(df_trust_pick(&trust, k, 0, &to, &index));
		assert_int_equal(index, 0);
		assert_int_equal(to.addr[0], 0xfd);
	}
	own_address("fd00:53::1");
	assert_true(route("fd00:53::1", 0).decision.is_enforced);
	assert_false(df_trust_pick(&trust, 0, 0, &to, &index));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_trusted),
		T(test_untrusted_under_allow),
		T(test_untrusted_under_deny),
		T(test_link_local_is_not_first),
		T(test_untrusted_in_audit),
		T(test_none_is_trusted),
		T(test_address_of_an_untrusted_one),
		T(test_local_resolver),
		T(test_docker),
		T(test_address_that_comes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
