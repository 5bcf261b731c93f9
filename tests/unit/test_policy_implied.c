/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shipped list of encrypted resolvers, which `default deny` and `encrypted-dns block` stand
 * for. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/policy_case.h"

#define LIST "encrypted-dns.policy"

static char dir[] = "/tmp/df-implied-XXXXXX", shipped[512];

static int set_up(void **state)
{
	const char *top = getenv("srcdir");

	(void)state;
	(void)snprintf(shipped, sizeof(shipped), "%s/policies", top ? top : ".");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	(void)unlink(path);
	return rmdir(dir);
}

/* messages: the end of what is said of it; NULL: nothing. */
static void compile_in(const char *data_dir, const char *text, const char *messages,
		       struct compiled *c)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(
		df_policy_compile_file_in("t", path, data_dir, DF_POLICY_TRUST_ANY, &c->result), 0);
	if (messages ? !c->result.messages || !strstr(c->result.messages, messages)
		     : c->result.messages != NULL)
		fail_msg("%s says: %s", text, c->result.messages);
	assert_int_equal(df_policy_open(c->result.table, c->result.table_size, &c->policy), 0);
}

static const struct df_policy_rule *rule_of(const struct compiled *c, const char *addr,
					    uint16_t port)
{
	uint8_t bytes[16];

	assert_int_equal(net_of(addr, bytes), 128);
	return df_policy_lookup_addr(&c->policy, bytes, IPPROTO_TCP, port);
}

/* what is a name, or an address and a port. */
static void decides(const struct compiled *c, const char *text, const char *what, uint16_t port,
		    const char *want)
{
	const struct df_policy_rule *rule = port ? rule_of(c, what, port) : lookup(c, what);
	char got[512] = "";

	if (rule)
		(void)df_policy_rule_describe(&c->policy, rule, got, sizeof(got));
	/* of the list the line is left out: it is edited often */
	if (strncmp(got, LIST ":", strlen(LIST ":")) == 0)
		memmove(got, strchr(got, ' ') + 1, strlen(strchr(got, ' ')));
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s %u: %s, wanted %s", text, what, port, got, want);
}

static void test_shipped(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char path[600];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/" LIST, shipped);
	assert_int_equal(df_policy_compile_file("encrypted-dns", path, &c.result), 0);
	assert_null(c.result.messages);
	assert_int_equal(df_policy_open(c.result.table, c.result.table_size, &c.policy), 0);
	decides(&c, LIST, "dns.google", 0, "block dns.google");
	decides(&c, LIST, "9.9.9.9", 443, "block 9.9.9.0/24");
}

static void test_rules(void **state)
{
	static const struct {
		const char *text, *what;
		uint16_t port;
		const char *want;
	} rows[] = {
		{"default deny\nallow a.test\n", "dns.google", 0, "block dns.google"},
		{"default deny\nallow a.test\n", "x.dns.google", 0, "block dns.google"},
		{"default deny\nallow a.test\n", "a.test", 0, "t.policy:2 allow a.test"},
		{"default deny\nallow a.test\n", "8.8.8.8", 443, "block 8.8.8.8"},
		{"default deny\nallow a.test\n", "192.0.2.1", 853, "block 0.0.0.0/0:853"},
		{"default deny\nallow a.test\n", "2001:db8::1", 853, "block [::/0]:853"},
		{"default deny\nallow a.test\n", "192.0.2.1", 443, ""},
		{"default deny\nallow 0.0.0.0/0:443\n", "8.8.8.8", 443, "block 8.8.8.8"},
		{"default deny\nallow 0.0.0.0/0:443\n", "192.0.2.1", 443,
		 "t.policy:2 allow 0.0.0.0/0:443"},
		/* what is written for the same target replaces it, whatever it says */
		{"default deny\nallow 8.8.8.8\n", "8.8.8.8", 443, "t.policy:2 allow 8.8.8.8"},
		{"default deny\nallow 8.8.8.8\n", "8.8.4.4", 443, "block 8.8.4.4"},
		{"default deny\nallow 8.8.8.8:443\n", "8.8.8.8", 443,
		 "t.policy:2 allow 8.8.8.8:443"},
		{"default deny\nallow 8.8.8.8:443\n", "8.8.8.8", 80, "block 8.8.8.8"},
		{"default deny\nallow dns.google\n", "dns.google", 0,
		 "t.policy:2 allow dns.google"},
		{"default deny\nallow a.test\nblock dns.google\n", "dns.google", 0,
		 "t.policy:3 block dns.google"},
		{"default deny\nallow google\n", "dns.google", 0, "block dns.google"},
		/* the rules for 853 are of addresses, hence final */
		{"default deny\nallow a.test:853\n", "192.0.2.1", 853, ""},
		{"default deny\nallow a.test:800-900/tcp\n", "192.0.2.1", 853, ""},
		{"default deny\nallow a.test:443\n", "192.0.2.1", 853, "block 0.0.0.0/0:853"},
		{"default deny\nallow a.test\nblock b.test:853\n", "192.0.2.1", 853,
		 "block 0.0.0.0/0:853"},
		{"default deny\nallow 10.0.0.0/8\n", "10.1.1.1", 853,
		 "t.policy:2 allow 10.0.0.0/8"},
		/* switched off and on */
		{"default deny\nencrypted-dns allow\nallow a.test\n", "8.8.8.8", 443, ""},
		{"default deny\nencrypted-dns block\nallow a.test\n", "8.8.8.8", 443,
		 "block 8.8.8.8"},
		{"block a.test\n", "8.8.8.8", 443, ""},
		{"block a.test\n", "dns.google", 0, ""},
		{"encrypted-dns block\n", "dns.google", 0, "block dns.google"},
		{"encrypted-dns block\n", "192.0.2.1", 853, "block 0.0.0.0/0:853"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile_in(shipped, rows[i].text, NULL, &c);
		decides(&c, rows[i].text, rows[i].what, rows[i].port, rows[i].want);
	}
}

static void test_flag_and_place(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	const struct df_policy_rule *rule;
	char text[512];

	(void)state;
	compile_in(shipped, "default deny\nowner me\nhint \"mine\"\nallow a.test\n", NULL, &c);
	rule = rule_of(&c, "1.1.1.1", 443);
	assert_true(df_policy_rule_is_implied(&c.policy, rule));
	assert_null(df_policy_rule_hint(&c.policy, rule));
	(void)df_policy_rule_describe(&c.policy, rule, text, sizeof(text));
	assert_non_null(strstr(text, LIST ":"));
	assert_false(df_policy_rule_is_implied(&c.policy, lookup(&c, "a.test")));
	assert_non_null(df_policy_rule_hint(&c.policy, lookup(&c, "a.test")));
	/* the cache must see it change */
	assert_int_equal(c.result.files.n, 2);
	assert_non_null(strstr(c.result.files.list[1].path, LIST));
	assert_false(c.result.files.has_changed);
}

/* Written into the policy by include, its rules are written ones: once, and not to be undone. */
static void test_included(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char text[700];

	(void)state;
	(void)snprintf(text, sizeof(text), "default deny\nallow 8.8.8.8\ninclude %s/" LIST "\n",
		       shipped);
	compile_in(shipped, text, "contradicts", &c);
	assert_int_equal(c.result.n_warnings, 1);
	decides(&c, text, "8.8.8.8", 443, "block 8.8.8.8");
	assert_false(df_policy_rule_is_implied(&c.policy, rule_of(&c, "8.8.8.8", 443)));
}

/* Neither does it turn `pin-blocked yes` into on-refusal, nor is one of its names a pin. */
static void test_pins(void **state)
{
	_cleanup_compiled_ struct compiled implied = {0}, included = {0};
	struct df_dname name, want;
	char text[700];

	(void)state;
	compile_in(shipped, "default deny\nallow test\nblock a.test\n", NULL, &implied);
	assert_int_equal(df_policy_pin_blocked(&implied.policy), DF_POLICY_PIN_YES);
	assert_int_equal(df_policy_n_pin_names(&implied.policy), 1);
	(void)snprintf(text, sizeof(text), "include %s/" LIST "\nblock a.test\n", shipped);
	compile_in(shipped, text, NULL, &included);
	assert_int_equal(df_policy_pin_blocked(&included.policy), DF_POLICY_PIN_YES);
	/* names of the policy itself come first */
	assert_int_equal(df_policy_pin_name_at(&included.policy, 0, &name), 0);
	want = name_of("a.test");
	assert_true(df_dname_is_equal(&name, &want));
}

static void test_missing(void **state)
{
	_cleanup_compiled_ struct compiled c = {0}, set = {0}, off = {0};

	(void)state;
	compile_in(dir, "default deny\nallow a.test\n", "/t.policy:1:1: warning: ", &c);
	assert_non_null(strstr(c.result.messages, LIST ": the file is missing; "));
	assert_true(c.result.files.has_changed);
	compile_in(dir, "mode audit\nencrypted-dns block\n", "/t.policy:2:1: warning: ", &set);
	compile_in(dir, "default deny\nencrypted-dns allow\nallow a.test\n", NULL, &off);
}

/* A policy may tell as many ports apart as it could without the list. */
static void test_ports(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char text[2048];
	size_t pos = 0;

	(void)state;
	df_append(text, sizeof(text), &pos, "default deny\n");
	for (unsigned i = 0; i < 27; i++)
		df_append(text, sizeof(text), &pos, "allow a.test:%u\n", 1000 + 2 * i);
	compile_in(shipped, text, NULL, &c);
	decides(&c, text, "192.0.2.1", 853, "");
	decides(&c, text, "8.8.8.8", 443, "block 8.8.8.8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shipped),        cmocka_unit_test(test_rules),
		cmocka_unit_test(test_flag_and_place), cmocka_unit_test(test_included),
		cmocka_unit_test(test_pins),           cmocka_unit_test(test_missing),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
