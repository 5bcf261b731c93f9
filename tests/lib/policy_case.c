/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/policy_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/policy/value.h"

void compiled_done(struct compiled *c)
{
	df_policy_result_done(&c->result);
}

void compile(const char *text, struct compiled *c)
{
	int r = df_policy_compile_text("t", "dir/" FILE_NAME, text, strlen(text), &c->result);

	if (r != 0)
		print_error("%s", c->result.messages ? c->result.messages : "(no message)");
	assert_int_equal(r, 0);
	assert_int_equal(df_policy_open(c->result.table, c->result.table_size, &c->policy), 0);
}

void compile_saying(const char *text, const char *messages, struct compiled *c)
{
	compile(text, c);
	assert_int_equal(c->result.messages != NULL, messages != NULL);
	if (messages)
		assert_string_equal(c->result.messages, messages);
}

struct df_dname name_of(const char *text)
{
	struct df_dname name;

	assert_int_equal(df_dname_from_text(text, strlen(text), &name, NULL), 0);
	return name;
}

unsigned net_of(const char *text, uint8_t ret[static 16])
{
	struct df_value_error error;
	struct df_value_net net;

	assert_int_equal(df_value_net(text, strlen(text), &net, &error), 0);
	return df_value_net_mapped(&net, ret);
}

const struct df_policy_rule *lookup(const struct compiled *c, const char *name)
{
	const struct df_dname n = name_of(name);

	return df_policy_lookup(&c->policy, &n);
}

void assert_rule(const struct compiled *c, const struct df_policy_rule *rule, const char *what,
		 const char *want)
{
	char text[512];

	if (!want || !rule) {
		if (rule || want)
			fail_msg("%s: rule %s, wanted %s", what, rule ? "found" : "none",
				 want ? want : "none");
		return;
	}
	(void)df_policy_rule_describe(&c->policy, rule, text, sizeof(text));
	if (strcmp(text + strlen(FILE_NAME ":"), want) != 0)
		fail_msg("%s: %s, wanted %s", what, text, want);
}

void assert_decides(const struct compiled *c, const char *name, const char *want)
{
	assert_rule(c, lookup(c, name), name, want);
}
