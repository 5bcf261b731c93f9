/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route: who is asked, who is not, and who learns from the answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/policy_compile.h"
#include "lib/util.h"
#include "proxy/route.h"

enum { NO = 0, ENFORCE = DF_MODE_ENFORCE, AUDIT = DF_MODE_AUDIT };
enum { OWN = 1 << DF_TABLE_OWN, BASE = 1 << DF_TABLE_BASE, SHADOW = 1 << DF_TABLE_SHADOW };

#define TRUSTED "10.89.53.1"
#define OTHER "8.8.8.8"

static struct df_policy_result compiled[DF_TABLES];
static struct df_meta meta;
static struct df_tables tables = {.meta = &meta};
static struct df_search_list search;
static struct df_teach teach;

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
	meta.table_modes[table] = mode;
	assert_int_equal(
		df_policy_compile_text("t", "t.policy", text, strlen(text), &compiled[table]), 0);
	assert_int_equal(df_policy_open(compiled[table].table, compiled[table].table_size,
					&tables.tables[table]),
			 0);
	assert_int_equal(df_teach_init(&teach, &tables, &search), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&meta, 0, sizeof(meta));
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

	return df_route(&teach, &t, learned);
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
	assert_false(df_route_is_trusted(&meta, &t));
	assert_true(df_route(&teach, &t, 0).is_rerouted);
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
		if (df_tables_strictness(&r.decision) != rows[i].strictness)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
