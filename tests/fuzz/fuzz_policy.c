/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input is read three ways: as policy text, as host configuration, and as a
 * compiled table.  What compiles must open, and every name that the text holds
 * must be found; lookups in what opens, damaged or not, must stay inside.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/policy/compile.h"
#include "lib/policy/conf.h"
#include "lib/policy/ports.h"
#include "lib/policy/table.h"
#include "lib/policy/value.h"

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
	(void)df_policy_lookup_port(p, name, IPPROTO_TCP, 443);
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
	for (uint32_t i = 0; i < df_policy_n_nets(p); i++) {
		uint8_t addr[16];
		unsigned len;

		df_policy_net_at(p, i, addr, &len);
		(void)df_policy_lookup_net(p, addr, len, IPPROTO_TCP, 443);
		(void)df_policy_lookup_addr(p, addr, IPPROTO_UDP, 53);
	}
	for (uint32_t i = 0; i < df_policy_n_pin_names(p); i++) {
		CHECK(df_policy_pin_name_at(p, i, &name) == 0);
		look_up(p, &name);
	}
	for (uint32_t i = 0; i < df_policy_n_ranges(p); i++)
		(void)df_policy_range_at(p, i);
	for (uint32_t i = 0; i < df_policy_n_resolvers(p); i++) {
		uint8_t addr[16];

		df_policy_resolver_at(p, i, addr);
	}
	(void)df_policy_mode(p);
	(void)df_policy_default(p);
	(void)df_policy_refuse_dns(p);
	CHECK(df_policy_name(p));
}

/* What the target of a rule names is decided by that rule, or by one that goes before it. */
static void check_target(const struct df_policy *p, const struct df_policy_rule *rule,
			 const struct df_policy_target *t)
{
	uint8_t proto = t->ports.proto ? t->ports.proto : IPPROTO_TCP, addr[16];
	uint16_t port = t->ports.lo ? t->ports.hi : 1;

	CHECK(rule->port_lo == t->ports.lo && rule->port_hi == t->ports.hi);
	CHECK(rule->proto == t->ports.proto);
	if (t->is_name) {
		CHECK(rule->scope == t->scope);
		if (t->scope != DF_POLICY_BELOW)
			CHECK(df_policy_lookup_port(p, &t->name, proto, port));
		return;
	}
	CHECK(rule->scope == DF_POLICY_NET);
	CHECK(df_policy_lookup_net(p, addr, df_value_net_mapped(&t->net, addr), proto, port));
}

static void check_rules(const struct df_policy *p)
{
	const struct df_policy_rule *rule;

	for (uint32_t i = 0; (rule = df_policy_rule_at(p, i)); i++) {
		struct df_policy_target target;
		struct df_value_error error;
		char text[600], *at;
		size_t len = df_policy_rule_describe(p, rule, text, sizeof(text));

		CHECK(len > strlen("f:1 block "));
		at = strrchr(text, ' ') + 1;
		CHECK(df_policy_target_parse(at, strlen(at), &target, &error) == 0);
		check_target(p, rule, &target);
	}
}

/* Nets stand in order, and each is decided by a rule of its own or of one that holds it. */
static void check_nets(const struct df_policy *p)
{
	struct df_ports ports;
	uint8_t before[16];
	unsigned before_len = 0;

	for (uint32_t i = 0; i < df_policy_n_nets(p); i++) {
		uint8_t addr[16];
		unsigned len;

		df_policy_net_at(p, i, addr, &len);
		CHECK(len <= 128);
		if (i > 0) {
			int order = memcmp(before, addr, sizeof(addr));

			CHECK(order < 0 || (order == 0 && before_len < len));
		}
		memcpy(before, addr, sizeof(addr));
		before_len = len;
		(void)df_policy_lookup_net(p, addr, len, IPPROTO_UDP, 53);
		(void)df_policy_lookup_addr(p, addr, 0, 0);
	}
	df_ports_init(&ports);
	CHECK(df_ports_add(&ports, p) == 0 && ports.n_classes <= DF_PORT_CLASSES - DF_PORTS_SPARE);
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
		check_nets(&policy);
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
