/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy sets, and what holds where it does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/policy_case.h"

#define DENY "default deny\nallow a.test\n"

static void test_defaults(void **state)
{
	_cleanup_compiled_ struct compiled allow = {0}, deny = {0};

	(void)state;
	compile("default allow\n", &allow);
	assert_int_equal(df_policy_mode(&allow.policy), DF_POLICY_ENFORCE);
	assert_int_equal(df_policy_default(&allow.policy), DF_POLICY_ALLOW);
	assert_int_equal(df_policy_refuse_dns(&allow.policy), DF_POLICY_NXDOMAIN);
	assert_int_equal(df_policy_enforce_share(&allow.policy), 100);
	assert_int_equal(df_policy_raw_ip(&allow.policy), DF_POLICY_RAW_ALLOW);
	assert_int_equal(df_policy_pin_blocked(&allow.policy), DF_POLICY_PIN_YES);
	assert_int_equal(df_policy_shared_address(&allow.policy), DF_POLICY_SHARED_SNI);
	assert_int_equal(df_policy_keep_learned_s(&allow.policy), 3600);
	assert_int_equal(df_policy_refuse_errno(&allow.policy), EPERM);
	assert_false(df_policy_is_nested_netns_allowed(&allow.policy));
	assert_int_equal(df_policy_n_resolvers(&allow.policy), 0);
	assert_int_equal(df_policy_n_pin_names(&allow.policy), 0);
	assert_int_equal(df_policy_n_nets(&allow.policy), 0);
	assert_int_equal(df_policy_n_ranges(&allow.policy), 0);
	compile(DENY, &deny);
	assert_int_equal(df_policy_raw_ip(&deny.policy), DF_POLICY_RAW_BLOCK);
	for (unsigned i = 0; i < DF_FINDINGS; i++)
		assert_int_equal(df_policy_on_leak(&allow.policy, i), DF_POLICY_LEAK_WARN);
}

static void test_values(void **state)
{
	static const struct {
		const char *text;
		unsigned raw_ip, pin, shared;
		uint32_t keep_s;
		int error;
		bool nested;
	} rows[] = {
		{"raw-ip allow\npin-blocked yes\nshared-address sni\nkeep-learned 1h\n"
		 "refuse-with EPERM\nnested-netns refuse\n",
		 DF_POLICY_RAW_ALLOW, DF_POLICY_PIN_YES, DF_POLICY_SHARED_SNI, 3600, EPERM, false},
		{"raw-ip block\npin-blocked on-refusal\nshared-address allow\nkeep-learned 90s\n"
		 "refuse-with EACCES\nnested-netns allow\n",
		 DF_POLICY_RAW_BLOCK, DF_POLICY_PIN_ON_REFUSAL, DF_POLICY_SHARED_ALLOW, 90, EACCES,
		 true},
		{DENY "raw-ip audit\npin-blocked no\nshared-address block\nkeep-learned 3660d\n"
		      "refuse-with ECONNREFUSED\n",
		 DF_POLICY_RAW_AUDIT, DF_POLICY_PIN_NO, DF_POLICY_SHARED_BLOCK, 316224000,
		 ECONNREFUSED, false},
		{DENY "raw-ip allow\nrefuse-with EHOSTUNREACH\nkeep-learned 0s\n",
		 DF_POLICY_RAW_ALLOW, DF_POLICY_PIN_YES, DF_POLICY_SHARED_SNI, 0, EHOSTUNREACH,
		 false},
		{"refuse-with ENETUNREACH\n", DF_POLICY_RAW_ALLOW, DF_POLICY_PIN_YES,
		 DF_POLICY_SHARED_SNI, 3600, ENETUNREACH, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile_saying(rows[i].text, NULL, &c);
		assert_int_equal(df_policy_raw_ip(&c.policy), rows[i].raw_ip);
		assert_int_equal(df_policy_pin_blocked(&c.policy), rows[i].pin);
		assert_int_equal(df_policy_shared_address(&c.policy), rows[i].shared);
		assert_int_equal(df_policy_keep_learned_s(&c.policy), rows[i].keep_s);
		assert_int_equal(df_policy_refuse_errno(&c.policy), rows[i].error);
		assert_int_equal(df_policy_is_nested_netns_allowed(&c.policy), rows[i].nested);
	}
}

static void assert_resolver(const struct compiled *c, uint32_t i, const char *want)
{
	uint8_t addr[16], wanted[16];

	(void)net_of(want, wanted);
	df_policy_resolver_at(&c->policy, i, addr);
	assert_memory_equal(addr, wanted, sizeof(addr));
}

static void test_resolvers(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	compile_saying("resolver 10.0.0.2 2001:db8::53\nresolver 10.0.0.2 127.0.0.53\n", NULL, &c);
	assert_int_equal(df_policy_n_resolvers(&c.policy), 3);
	assert_resolver(&c, 0, "10.0.0.2");
	assert_resolver(&c, 1, "2001:db8::53");
	assert_resolver(&c, 2, "127.0.0.53");
}

/* set: findings that are refused, by name. */
static void test_on_leak(void **state)
{
#define CIRCUMSTANCES "http-proxy loopback-resolver shared-netns host-network host-socket "
#define LEAKS                                                                                      \
	"cap-net-raw cap-net-admin cap-sys-admin cap-bpf privileged host-cgroup engine-socket "    \
	"resolver-socket tun-device passed-fds "
#define LATER_LEAKS "host-pid shared-pid host-mount runtime-annotation parent-filter "
	static const struct {
		const char *text, *refused;
	} rows[] = {
		{"default allow\n", " "},
		{DENY, " " LEAKS LATER_LEAKS},
		{"on-leak all refuse\n", " " LEAKS CIRCUMSTANCES LATER_LEAKS},
		{DENY "on-leak all warn\n", " "},
		{DENY "on-leak all refuse\n", " " LEAKS CIRCUMSTANCES LATER_LEAKS},
		{"on-leak cap-bpf http-proxy refuse\n", " cap-bpf http-proxy "},
		/* the one over all of them, whatever stands first */
		{"on-leak cap-bpf refuse\non-leak all warn\n", " cap-bpf "},
		{"on-leak all refuse\non-leak cap-bpf warn\non-leak " CIRCUMSTANCES "warn\n",
		 " cap-net-raw cap-net-admin cap-sys-admin privileged host-cgroup engine-socket "
		 "resolver-socket tun-device passed-fds " LATER_LEAKS},
		{DENY "on-leak cap-net-raw engine-socket warn\non-leak shared-netns refuse\n",
		 " cap-net-admin cap-sys-admin cap-bpf privileged host-cgroup "
		 "resolver-socket tun-device passed-fds shared-netns " LATER_LEAKS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile_saying(rows[i].text, NULL, &c);
		for (unsigned f = 0; f < DF_FINDINGS; f++) {
			char word[64];
			bool is_refused;

			(void)snprintf(word, sizeof(word), " %s ", df_finding_name(f));
			is_refused = df_policy_on_leak(&c.policy, f) == DF_POLICY_LEAK_REFUSE;
			if (is_refused != (strstr(rows[i].refused, word) != NULL))
				fail_msg("%s: %s", rows[i].text, word);
		}
		assert_int_equal(df_policy_on_leak(&c.policy, DF_FINDINGS), DF_POLICY_LEAK_WARN);
	}
}

/* want: the names, parted by blanks. */
static void assert_pins(const struct compiled *c, const char *text, const char *want)
{
	char got[512] = "";
	size_t pos = 0;
	struct df_dname name;

	for (uint32_t i = 0; i < df_policy_n_pin_names(&c->policy); i++) {
		char one[DF_DNAME_TEXT_MAX];

		assert_int_equal(df_policy_pin_name_at(&c->policy, i, &name), 0);
		(void)df_dname_to_text(&name, one);
		df_append(got, sizeof(got), &pos, "%s ", one);
	}
	assert_int_equal(
		df_policy_pin_name_at(&c->policy, df_policy_n_pin_names(&c->policy), &name),
		-ENOENT);
	if (strcmp(got, want) != 0)
		fail_msg("%s: pins %s, wanted %s", text, got, want);
}

static void test_pin_names(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"allow a.test\nblock 10.0.0.0/8\n", ""},
		{"block b.test\nblock =a.test\nblock *.c.test\n", "b.test. a.test. "},
		{"block A.test\nblock =a.test\nblock b.test\n", "a.test. b.test. "},
		{"block a.test:443\nblock b.test\nallow b.test:443\n", "a.test. b.test. "},
		/* not refused itself */
		{"block a.test\nallow =a.test\n", ""},
		{"block a.test\nallow =a.test:443\n", "a.test. "},
		{"block a.test\nallow *.a.test\n", "a.test. "},
		{"default deny\nallow a.test\nblock b.a.test\n", "b.a.test. "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_pins(&c, rows[i].text, rows[i].want);
		assert_int_equal(df_policy_pin_blocked(&c.policy), DF_POLICY_PIN_YES);
	}
}

static void test_many_pins(void **state)
{
	char text[8192] = "pin-blocked yes\n";
	size_t pos = strlen(text);

	(void)state;
	for (unsigned n = 1; n <= 65; n++) {
		_cleanup_compiled_ struct compiled unset = {0}, set = {0};

		df_append(text, sizeof(text), &pos, "block b%u.test\n", n);
		if (n < 64)
			continue;
		compile_saying(strchr(text, '\n') + 1, NULL, &unset);
		assert_int_equal(df_policy_n_pin_names(&unset.policy), 64);
		assert_int_equal(df_policy_pin_blocked(&unset.policy),
				 n == 64 ? DF_POLICY_PIN_YES : DF_POLICY_PIN_ON_REFUSAL);
		compile_saying(
			text,
			n == 64 ? NULL
				: "dir/t.policy:1:1: warning: more than 64 names are blocked, "
				  "and only the first 64 are resolved; write on-refusal, or "
				  "rules for addresses\n",
			&set);
		assert_int_equal(df_policy_pin_blocked(&set.policy), DF_POLICY_PIN_YES);
	}
}

/* NULL and NULL, or the same text. */
static void assert_text(const char *text, const char *expected)
{
	assert_int_equal(text == NULL, expected == NULL);
	if (text)
		assert_string_equal(text, expected);
}

static void test_texts_of_settings(void **state)
{
	static const struct {
		const char *text, *default_owner, *default_hint, *raw_owner, *raw_hint;
	} rows[] = {
		{DENY, NULL, NULL, NULL, NULL},
		{"owner o\nhint h\n" DENY "owner p\nhint i\nallow b.test\n", "o", "h", "o", "h"},
		/* as a rule before the first hint of its file */
		{DENY "hint late\n", NULL, "late", NULL, "late"},
		{DENY "owner late\n", NULL, NULL, NULL, NULL},
		{"hint h\nhint \"\"\n" DENY "hint i\n", NULL, NULL, NULL, NULL},
		/* raw-ip has its own, if it is there */
		{"hint h\n" DENY "hint i\nowner q\nraw-ip block\n", NULL, "h", "q", "i"},
		{"hint h\nraw-ip block\nhint i\n" DENY, NULL, "i", NULL, "h"},
		{"hint h\n" DENY "hint \"\"\nraw-ip audit\n", NULL, "h", NULL, NULL},
		{"raw-ip block\nhint h\n", NULL, NULL, NULL, "h"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_text(df_policy_default_owner(&c.policy), rows[i].default_owner);
		assert_text(df_policy_default_hint(&c.policy), rows[i].default_hint);
		assert_text(df_policy_raw_owner(&c.policy), rows[i].raw_owner);
		assert_text(df_policy_raw_hint(&c.policy), rows[i].raw_hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),          cmocka_unit_test(test_values),
		cmocka_unit_test(test_resolvers),         cmocka_unit_test(test_on_leak),
		cmocka_unit_test(test_pin_names),         cmocka_unit_test(test_many_pins),
		cmocka_unit_test(test_texts_of_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
