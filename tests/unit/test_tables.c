/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables: own and base policy together, and rule numbers that cannot be trusted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "proxy/tables.h"
#include "proxy/worker/decide.h"

static const char *const texts[DF_TABLES] = {
	"block a.example\nblock both.example\nallow b.example\n",
	"block b.example\nblock both.example\n",
	"block c.example\n",
};
static struct df_policy_result compiled[DF_TABLES];
static struct df_tables tables;

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < DF_TABLES; i++) {
		if (df_policy_compile_text("t", "t.policy", texts[i], strlen(texts[i]),
					   &compiled[i]) < 0 ||
		    df_policy_open(compiled[i].table, compiled[i].table_size, &tables.tables[i]) <
			    0)
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < DF_TABLES; i++)
		df_policy_result_done(&compiled[i]);
	return 0;
}

static struct df_dname name(const char *s)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(s, strlen(s), &n, NULL), 0);
	return n;
}

static void test_stricter(void **state)
{
	enum { NO, AUDIT = DF_MODE_AUDIT, ENFORCE = DF_MODE_ENFORCE };
	static const struct {
		uint8_t own, base;
		const char *name;
		unsigned strictness;
		enum df_table_id table;
	} rows[] = {
		{ENFORCE, NO, "a.example", 2, DF_TABLE_OWN},
		{ENFORCE, NO, "b.example", 0, DF_TABLE_OWN},
		{ENFORCE, ENFORCE, "a.example", 2, DF_TABLE_OWN},
		{ENFORCE, ENFORCE, "b.example", 2, DF_TABLE_BASE},
		{ENFORCE, ENFORCE, "both.example", 2, DF_TABLE_OWN},
		{ENFORCE, ENFORCE, "c.example", 0, DF_TABLE_OWN}, /* the shadow's alone */
		{AUDIT, ENFORCE, "both.example", 2, DF_TABLE_BASE},
		{AUDIT, ENFORCE, "a.example", 1, DF_TABLE_OWN},
		{ENFORCE, AUDIT, "b.example", 1, DF_TABLE_BASE},
		{AUDIT, AUDIT, "both.example", 1, DF_TABLE_OWN},
	};
	const struct df_search_list search = {NULL, 0};
	static struct df_dns_answer answer;
	struct df_decision d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_dname q = name(rows[i].name);

		tables.modes[DF_TABLE_OWN] = rows[i].own;
		tables.modes[DF_TABLE_BASE] = rows[i].base;
		d = df_verdict_question(&tables, DF_TABLES_FENCE, &search, &q);
		if (df_verdict_strictness(&d) != rows[i].strictness || d.table != rows[i].table)
			fail_msg("row %zu: %s", i, rows[i].name);
		answer.n_chain = 1;
		answer.chain[0] = q;
		d = df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
		assert_int_equal(df_verdict_strictness(&d), rows[i].strictness);
	}
	/* of two alike the own policy's, whatever part of the answer it is about */
	tables.modes[DF_TABLE_OWN] = tables.modes[DF_TABLE_BASE] = ENFORCE;
	answer.chain[0] = name("b.example");
	answer.n_targets = 1;
	answer.targets[0] = name("a.example");
	d = df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
	assert_int_equal(d.table, DF_TABLE_OWN);
	assert_int_equal(d.reason, DF_REASON_TARGET);
}

/* Of two refusals alike the own policy's counts, even if the base policy's name comes first. */
static void test_names_of_an_answer(void **state)
{
	static struct df_dns_answer answer;
	struct df_decision d;

	(void)state;
	tables.modes[DF_TABLE_OWN] = tables.modes[DF_TABLE_BASE] = DF_MODE_ENFORCE;
	answer.n_chain = answer.n_strays = answer.n_targets = 1;
	answer.chain[0] = name("b.example"); /* blocked by the base policy */
	answer.strays[0] = name("c.example");
	answer.targets[0] = name("a.example"); /* by the own one */
	d = df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
	assert_int_equal(d.table, DF_TABLE_OWN);
	assert_int_equal(d.reason, DF_REASON_TARGET);
	answer.chain[0] = name("both.example");
	d = df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
	assert_int_equal(d.table, DF_TABLE_OWN);
	assert_int_equal(d.reason, DF_REASON_CNAME);
	tables.modes[DF_TABLE_OWN] = DF_MODE_AUDIT;
	d = df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
	assert_int_equal(d.table, DF_TABLE_BASE);
	assert_int_equal(df_verdict_strictness(&d), 2);
}

static void test_numbers(void **state)
{
	static const uint32_t bad[] = {0x03000000, 0x03ffffff, 0xffffffff, 0x00000003,
				       0x01000002, 0x00fffffe, 0x02000000};
	const struct df_policy_rule *rule, *back;
	enum df_table_id table;

	(void)state;
	tables.modes[DF_TABLE_OWN] = tables.modes[DF_TABLE_BASE] = DF_MODE_ENFORCE;
	tables.modes[DF_TABLE_SHADOW] = 0;
	rule = df_policy_rule_at(&tables.tables[DF_TABLE_BASE], 1);
	assert_int_equal(df_tables_rule(&tables, df_tables_number(&tables, DF_TABLE_BASE, rule),
					&table, &back),
			 0);
	assert_int_equal(table, DF_TABLE_BASE);
	assert_ptr_equal(back, rule);
	assert_int_equal(df_tables_rule(&tables, df_tables_number(&tables, DF_TABLE_OWN, NULL),
					&table, &back),
			 0);
	assert_null(back);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(df_tables_rule(&tables, bad[i], &table, &back), -EBADMSG);
	tables.modes[DF_TABLE_SHADOW] = DF_MODE_AUDIT; /* the last one's twin */
	assert_int_equal(df_tables_rule(&tables, 0x02000000, &table, &back), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stricter),
		cmocka_unit_test(test_names_of_an_answer),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
