/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input is read three ways: as policy text, as host configuration, and as a
 * compiled table.  What compiles must open, and every name that the text holds
 * must be found; lookups in what opens, damaged or not, must stay inside.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/policy.h"
#include "lib/policy_compile.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define WORDS_MAX 64 /* looked up of one input, to keep it fast */

static void look_up(const struct df_policy *p, const struct df_dname *name)
{
	const struct df_policy_rule *rule = df_policy_lookup(p, name);
	const char *owner, *hint;
	char text[64];

	(void)df_policy_has_allow_below(p, name);
	if (!rule)
		return;
	CHECK(df_policy_rule_at(p, df_policy_rule_index(p, rule)) == rule);
	CHECK(df_policy_rule_describe(p, rule, text, sizeof(text)) == strlen(text));
	owner = df_policy_rule_owner(p, rule);
	hint = df_policy_rule_hint(p, rule);
	CHECK(!owner || *owner);
	CHECK(!hint || *hint);
}

static int is_word_end(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Every word of the input that is a name, and the name below it and above. */
static void look_up_words(const struct df_policy *p, const uint8_t *data, size_t size)
{
	size_t begin = 0;

	for (unsigned n = 0; begin < size && n < WORDS_MAX; n++) {
		size_t end = begin;
		char text[300];
		struct df_dname name;

		while (end < size && !is_word_end(data[end]))
			end++;
		if (end > begin && (data[begin] == '=' || data[begin] == '*'))
			begin += data[begin] == '=' ? 1 : 2;
		if (end > begin && end - begin < sizeof(text) - 2) {
			memcpy(text, "x.", 2);
			memcpy(text + 2, data + begin, end - begin);
			if (df_dname_from_text(text, end - begin + 2, &name, NULL) == 0)
				look_up(p, &name);
			if (df_dname_from_text(text + 2, end - begin, &name, NULL) == 0)
				look_up(p, &name);
		}
		begin = end + 1;
	}
}

static void look_up_fixed(const struct df_policy *p)
{
	static const char *const names[] = {".", "com", "github.com", "a.b.github.com", "a.test"};
	struct df_dname name;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (df_dname_from_text(names[i], strlen(names[i]), &name, NULL) == 0)
			look_up(p, &name);
	}
	(void)df_policy_mode(p);
	(void)df_policy_default(p);
	(void)df_policy_refuse_dns(p);
	CHECK(df_policy_name(p));
}

/* Each rule must be found under the name that its own text says, or what is more specific. */
static void check_rules(const struct df_policy *p)
{
	const struct df_policy_rule *rule;

	for (uint32_t i = 0; (rule = df_policy_rule_at(p, i)); i++) {
		char text[600], *at;
		struct df_dname name;
		size_t len = df_policy_rule_describe(p, rule, text, sizeof(text));

		CHECK(len > strlen("f:1 block "));
		at = strrchr(text, ' ') + 1;
		if (*at == '=')
			at++;
		else if (*at == '*')
			*at = 'x'; /* some name below; it may be too long to exist */
		if (df_dname_from_text(at, strlen(at), &name, NULL) == 0)
			CHECK(df_policy_lookup(p, &name));
		else
			CHECK(rule->scope == DF_POLICY_BELOW);
	}
}

/* The table with damage that depends on all of the input. */
static void fuzz_damaged(const void *table, size_t table_size, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(table_size);
	struct df_policy policy;
	uint64_t h = 14695981039346656037u;

	if (!copy)
		return;
	memcpy(copy, table, table_size);
	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 1099511628211u;
	copy[(h >> 8) % table_size] ^= (uint8_t)(h | 1);
	if (df_policy_open(copy, table_size, &policy) == 0) {
		look_up_fixed(&policy);
		look_up_words(&policy, data, size);
	}
	free(copy);
}

static void fuzz_text(const char *text, const uint8_t *data, size_t size)
{
	struct df_policy_result result;
	struct df_policy policy;

	if (df_policy_compile_text("fuzz", "f", text, size, &result) == 0) {
		CHECK(result.n_errors == 0);
		CHECK(df_policy_open(result.table, result.table_size, &policy) == 0);
		look_up_words(&policy, data, size);
		look_up_fixed(&policy);
		check_rules(&policy);
		fuzz_damaged(result.table, result.table_size, data, size);
	} else {
		CHECK(result.n_errors > 0 && result.messages && !result.table);
	}
	df_policy_result_done(&result);
}

static void fuzz_conf(const char *text, size_t size)
{
	struct df_conf_host conf;
	char *messages;
	time_t when;
	int r = df_conf_parse("c", text, size, &conf, &messages);

	CHECK((r < 0) == (messages != NULL));
	free(messages);
	(void)df_conf_parse_time(text, size, &when);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exact size: ASan sees a read of one octet too many. */
	char *copy = malloc(size ? size : 1);
	struct df_policy policy;

	if (!copy)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	fuzz_text(copy, data, size);
	fuzz_conf(copy, size);
	if (df_policy_open(copy, size, &policy) == 0) {
		look_up_fixed(&policy);
		look_up_words(&policy, data, size);
	}
	free(copy);
	return 0;
}
