/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decide: names, search list, CNAME chains, and what a refusal looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "proxy/worker/decide.h"

static const char text[] = "block github.com\n"
			   "allow status.github.com\n"
			   "block =gist.example.org\n"
			   "block *.ghcr.io\n"
			   "allow github.com.trusted.example\n";

static struct df_policy_result compiled;
static struct df_tables tables = {.modes = {DF_MODE_ENFORCE}};
static struct df_policy *const policy = &tables.tables[DF_TABLE_OWN];

static void compile(const char *source)
{
	assert_int_equal(df_policy_compile_text("t", "t.policy", source, strlen(source), &compiled),
			 0);
	assert_int_equal(df_policy_open(compiled.table, compiled.table_size, policy), 0);
}

static struct df_dname name(const char *s)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(s, strlen(s), &n, NULL), 0);
	return n;
}

static void test_question(void **state)
{
	static const struct {
		const char *qname;
		bool is_refusal;
		enum df_reason reason;
		const char *why;
	} cases[] = {
		{"github.com", true, DF_REASON_QNAME, "the name"},
		{"GitHub.COM.", true, DF_REASON_QNAME, "case and trailing dot"},
		{"api.github.com", true, DF_REASON_QNAME, "below it"},
		{"status.github.com", false, DF_REASON_NONE, "the more specific rule"},
		{"notgithub.com", false, DF_REASON_NONE, "label boundary"},
		{"github.com.example", false, DF_REASON_NONE, "not a suffix"},
		{"gist.example.org", true, DF_REASON_QNAME, "exact"},
		{"a.gist.example.org", false, DF_REASON_NONE, "exact only"},
		{"ghcr.io", false, DF_REASON_NONE, "below only"},
		{"x.ghcr.io", true, DF_REASON_QNAME, "below"},
		{"github.com.corp.example", true, DF_REASON_SEARCH, "with a search suffix"},
		{"api.github.com.corp.example", true, DF_REASON_SEARCH, "below, with a suffix"},
		{"status.github.com.corp.example", false, DF_REASON_NONE, "allowed without it"},
		{"github.com.trusted.example", false, DF_REASON_NONE, "allowed in full"},
		{"ok.corp.example", false, DF_REASON_NONE, "nothing of ours"},
		{"corp.example", false, DF_REASON_NONE, "the suffix itself"},
		{".", false, DF_REASON_NONE, "the root"},
	};
	const struct df_dname suffixes[] = {name("corp.example"), name("trusted.example")};
	const struct df_search_list search = {suffixes, ARRAY_SIZE(suffixes)};

	(void)state;
	compile(text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct df_dname q = name(cases[i].qname);
		const struct df_decision d =
			df_verdict_question(&tables, DF_TABLES_FENCE, &search, &q);

		if (d.is_refusal != cases[i].is_refusal || d.reason != cases[i].reason)
			fail_msg("%s: %s", cases[i].qname, cases[i].why);
		assert_true(!d.is_refusal || d.rule);
	}
	df_policy_result_done(&compiled);
}

/* What is decided of an answer with this chain, or these TargetNames. */
static struct df_decision decide(const struct df_dname *names, unsigned n, bool are_targets)
{
	static struct df_dns_answer answer;

	answer.n_chain = are_targets ? 0 : n;
	answer.n_targets = are_targets ? n : 0;
	for (unsigned i = 0; i < n; i++)
		(are_targets ? answer.targets : answer.chain)[i] = names[i];
	return df_decide_answer(&tables, DF_TABLES_FENCE, &answer);
}

static void test_answer(void **state)
{
	const struct df_dname good[] = {name("cdn.example"), name("edge.example")};
	const struct df_dname bad[] = {name("cdn.example"), name("www.github.com")};
	struct df_decision d;

	(void)state;
	compile(text);
	for (int are_targets = 0; are_targets < 2; are_targets++) {
		assert_false(decide(good, 2, are_targets).is_refusal);
		assert_false(decide(bad, 1, are_targets).is_refusal);
		d = decide(bad, 2, are_targets);
		assert_true(d.is_refusal);
		assert_int_equal(d.reason, are_targets ? DF_REASON_TARGET : DF_REASON_CNAME);
		assert_non_null(d.rule);
		assert_false(decide(NULL, 0, are_targets).is_refusal);
	}
	df_policy_result_done(&compiled);
}

static void test_refusal(void **state)
{
	static const struct {
		const char *refuse_dns, *qname;
		uint8_t rcode;
		bool sinkhole;
	} cases[] = {
		{"nxdomain", "ghcr.example", DF_DNS_RCODE_NXDOMAIN, false},
		{"nxdomain", "github.com", DF_DNS_RCODE_NOERROR,
		 false}, /* status below it: RFC 8020 */
		{"nxdomain", "api.github.com", DF_DNS_RCODE_NXDOMAIN, false},
		{"refused", "github.com", DF_DNS_RCODE_REFUSED, false},
		{"sinkhole", "github.com", DF_DNS_RCODE_NOERROR, true},
	};

	const struct df_decision none = {.is_refusal = true, .reason = DF_REASON_QNAME};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct df_dname q = name(cases[i].qname);
		char source[512];
		struct df_dns_refusal r;

		(void)snprintf(source, sizeof(source),
			       "refuse-dns %s\nblock github.com\nallow status.github.com\n"
			       "block ghcr.example\n",
			       cases[i].refuse_dns);
		compile(source);
		r = df_decide_refusal(policy, &none, &q);
		assert_int_equal(r.rcode, cases[i].rcode);
		assert_int_equal(r.sinkhole, cases[i].sinkhole);
		assert_int_equal(r.ede, DF_DNS_EDE_BLOCKED);
		df_policy_result_done(&compiled);
	}
}

/* default deny: what no rule names is refused, but for the chain of what one does. */
static void test_deny(void **state)
{
	static const struct {
		const char *qname;
		enum df_reason reason; /* NONE: allowed */
		bool is_search_miss;
		const char *why;
	} cases[] = {
		{"ok.example", DF_REASON_NONE, false, "listed"},
		{"www.ok.example", DF_REASON_NONE, false, "below it"},
		{"bad.ok.example", DF_REASON_QNAME, false, "blocked below"},
		{"other.example", DF_REASON_UNLISTED, false, "unlisted"},
		{"notok.example", DF_REASON_UNLISTED, false, "label boundary"},
		{"example", DF_REASON_UNLISTED, false, "above"},
		{".", DF_REASON_UNLISTED, false, "the root"},
		{"ok.example.corp.example", DF_REASON_UNLISTED, true, "made by the search list"},
		{"other.example.corp.example", DF_REASON_UNLISTED, false, "unlisted either way"},
		{"bad.ok.example.corp.example", DF_REASON_SEARCH, false, "blocked without it"},
		{"db.corp.example", DF_REASON_NONE, false, "listed in full"},
	};
	const struct df_dname suffixes[] = {name("corp.example")};
	const struct df_search_list search = {suffixes, ARRAY_SIZE(suffixes)};
	const struct df_dname unlisted[] = {name("cdn.other.example")};
	const struct df_dname blocked[] = {name("cdn.other.example"), name("bad.ok.example")};

	(void)state;
	compile("default deny\nallow ok.example\nblock bad.ok.example\nallow =db.corp.example\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct df_dname q = name(cases[i].qname);
		const struct df_decision d =
			df_verdict_question(&tables, DF_TABLES_FENCE, &search, &q);

		if (d.is_refusal != (cases[i].reason != DF_REASON_NONE) ||
		    d.reason != cases[i].reason || d.is_search_miss != cases[i].is_search_miss)
			fail_msg("%s: %s", cases[i].qname, cases[i].why);
	}
	assert_false(decide(unlisted, 1, false).is_refusal);
	assert_int_equal(decide(blocked, 2, false).reason, DF_REASON_CNAME);
	df_policy_result_done(&compiled);
}

/* Nothing allowed: every name is refused, and NXDOMAIN lies about none. */
static void test_deny_everything(void **state)
{
	static const char *const qnames[] = {"github.com", "com", ".", "a.b.c.d.example"};
	const struct df_search_list search = {NULL, 0};

	(void)state;
	compile("default deny\n");
	for (size_t i = 0; i < ARRAY_SIZE(qnames); i++) {
		const struct df_dname q = name(qnames[i]);
		const struct df_decision d =
			df_verdict_question(&tables, DF_TABLES_FENCE, &search, &q);

		assert_int_equal(d.reason, DF_REASON_UNLISTED);
		assert_int_equal(df_decide_refusal(policy, &d, &q).rcode, DF_DNS_RCODE_NXDOMAIN);
	}
	df_policy_result_done(&compiled);
}

/* A client's search list must lead on to the allowed name, whatever refuse-dns says. */
static void test_search_miss_is_nxdomain(void **state)
{
	static const char *const ways[] = {"nxdomain", "refused", "sinkhole"};
	const struct df_decision miss = {.is_refusal = true, .is_search_miss = true};
	const struct df_dname q = name("ok.example.corp.example");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct df_dns_refusal r;
		char source[128];

		(void)snprintf(source, sizeof(source),
			       "default deny\nrefuse-dns %s\nallow ok.example\n", ways[i]);
		compile(source);
		r = df_decide_refusal(policy, &miss, &q);
		assert_int_equal(r.rcode, DF_DNS_RCODE_NXDOMAIN);
		assert_false(r.sinkhole);
		df_policy_result_done(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_deny),
		cmocka_unit_test(test_deny_everything),
		cmocka_unit_test(test_search_miss_is_nxdomain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
