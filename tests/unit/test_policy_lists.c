/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies of several files: include, block-list, allow-list. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/policy_case.h"

static const char any[] = "whatever is said";
static char dir[] = "/tmp/df-lists-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) && mkdirat(open(dir, O_RDONLY | O_CLOEXEC), "sub", 0700) == 0 ? 0 : -1;
}

static void remove_all(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
}

/* Each test begins without files. */
static int clear(void **state)
{
	char sub[64];

	(void)state;
	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	remove_all(sub);
	remove_all(dir);
	return 0;
}

static int tear_down(void **state)
{
	char sub[64];

	(void)clear(state);
	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	(void)rmdir(sub);
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* want: with DIR for the directory; NULL: nothing. */
static void assert_messages(const char *got, const char *want)
{
	char expected[4096];
	size_t pos = 0;

	if (!want || !got) {
		if (got || want)
			fail_msg("messages: %s\nwanted: %s", got ? got : "none",
				 want ? want : "none");
		return;
	}
	expected[0] = '\0';
	for (const char *at = want; *at;) {
		const char *mark = strstr(at, "DIR");

		df_append(expected, sizeof(expected), &pos, "%.*s%s",
			  mark ? (int)(mark - at) : (int)strlen(at), at, mark ? dir : "");
		at = mark ? mark + 3 : at + strlen(at);
	}
	assert_string_equal(got, expected);
}

static void compile_main(struct compiled *c, int r, const char *messages)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	assert_int_equal(df_policy_compile_file("t", path, &c->result), r);
	if (messages != any)
		assert_messages(c->result.messages, messages);
	assert_int_equal(c->result.table != NULL, r == 0);
	if (r == 0)
		assert_int_equal(df_policy_open(c->result.table, c->result.table_size, &c->policy),
				 0);
}

static void refuse(const char *text, const char *messages)
{
	_cleanup_compiled_ struct compiled c = {0};

	put(FILE_NAME, text);
	compile_main(&c, -EINVAL, messages);
}

static void accept(const char *text, const char *messages, struct compiled *c)
{
	put(FILE_NAME, text);
	compile_main(c, 0, messages);
}

/* want: "FILE:LINE RULE", NULL: the default. */
static void decides(const struct compiled *c, const char *name, const char *want)
{
	const struct df_policy_rule *rule = lookup(c, name);
	char text[512] = "";

	if (rule)
		(void)df_policy_rule_describe(&c->policy, rule, text, sizeof(text));
	if (strcmp(text, want ? want : "") != 0)
		fail_msg("%s: %s, wanted %s", name, text, want ? want : "nothing");
}

static void test_include(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	put("common.policy", "mode audit\nblock a.test\ninclude sub/more.policy\n");
	put("sub/more.policy", "block b.test\ninclude \"../last one\"\n");
	put("last one", "block c.test");
	accept("include common.policy # x\nblock d.test\n", NULL, &c);
	assert_int_equal(df_policy_mode(&c.policy), DF_POLICY_AUDIT);
	decides(&c, "a.test", "common.policy:2 block a.test");
	decides(&c, "b.test", "more.policy:1 block b.test");
	decides(&c, "c.test", "last one:1 block c.test");
	decides(&c, "d.test", FILE_NAME ":2 block d.test");
	assert_int_equal(c.result.files.n, 4);
	assert_false(c.result.files.has_changed);
}

static void test_include_absolute(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char text[128];

	(void)state;
	put("sub/x.policy", "block a.test\n");
	(void)snprintf(text, sizeof(text), "include %s/sub/x.policy\n", dir);
	accept(text, NULL, &c);
	decides(&c, "a.test", "x.policy:1 block a.test");
}

/* Read once, however often it is included: no doubles, and no settings set twice. */
static void test_include_twice(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	put("a.policy", "include common.policy\nblock a.test\n");
	put("b.policy", "include sub/../common.policy\nblock b.test\n");
	put("common.policy", "mode audit\nblock c.test\n");
	accept("include a.policy\ninclude b.policy\ninclude a.policy\n", NULL, &c);
	decides(&c, "c.test", "common.policy:2 block c.test");
	decides(&c, "b.test", "b.policy:2 block b.test");
}

static void test_include_errors(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char text[64 * 24] = "", name[16];
	size_t pos = 0;

	(void)state;
	refuse("mode audit\ninclude missing.policy\nblok\n",
	       "DIR/" FILE_NAME ":2:9: DIR/missing.policy: the file is missing\n"
	       "DIR/" FILE_NAME ":3:1: unknown statement 'blok'; did you mean 'block'?\n");
	refuse("include sub\n", "DIR/" FILE_NAME ":1:9: DIR/sub: not a regular file\n");
	refuse("include /dev/null\n", "DIR/" FILE_NAME ":1:9: /dev/null: not a regular file\n");
	/* errors in it, and the others, file after file */
	put("bad.policy", "mode x\nblock a..b\n");
	refuse("blok\ninclude bad.policy\nmode y\n",
	       "DIR/" FILE_NAME ":1:1: unknown statement 'blok'; did you mean 'block'?\n"
	       "DIR/" FILE_NAME ":3:1: 'mode' is set twice; DIR/bad.policy:1 has set it\n"
	       "DIR/bad.policy:1:6: unknown value 'x'; write enforce | audit\n"
	       "DIR/bad.policy:2:9: empty label; one dot between labels\n");
	put("set.policy", "mode audit\non-leak cap-bpf warn\n");
	refuse("mode audit\non-leak cap-bpf refuse\ninclude set.policy\n",
	       "DIR/set.policy:1:1: 'mode' is set twice; DIR/" FILE_NAME ":1 has set it\n"
	       "DIR/set.policy:2:9: 'cap-bpf' is set twice; DIR/" FILE_NAME ":2 has set it\n");
	for (unsigned i = 0; i < 64; i++) {
		(void)snprintf(name, sizeof(name), "f%u.policy", i);
		put(name, "");
		df_append(text, sizeof(text), &pos, "include %s\n", name);
	}
	refuse(text, "DIR/" FILE_NAME ":64:9: DIR/f63.policy: too many files in one policy\n");
	*strstr(text, "include f63") = '#';
	put(FILE_NAME, text);
	compile_main(&c, 0, NULL); /* the twin */
}

static void test_cycles(void **state)
{
	(void)state;
	refuse("include " FILE_NAME "\n",
	       "DIR/" FILE_NAME ":1:9: a cycle: DIR/" FILE_NAME " includes itself\n");
	put("a.policy", "include b.policy\n");
	put("b.policy", "block x.test\ninclude " FILE_NAME "\n");
	refuse("include a.policy\n",
	       "DIR/b.policy:2:9: a cycle: DIR/" FILE_NAME " includes DIR/a.policy includes "
	       "DIR/b.policy includes the first one again\n");
	/* not the whole way, and by another path */
	put("b.policy", "include sub/../a.policy\n");
	refuse("include a.policy\n", "DIR/b.policy:1:9: a cycle: DIR/a.policy includes "
				     "DIR/b.policy includes the first one again\n");
}

static void test_depth(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	char name[16], text[32];

	(void)state;
	for (unsigned i = 1; i < 9; i++) {
		(void)snprintf(name, sizeof(name), "%u.policy", i);
		(void)snprintf(text, sizeof(text), "include %u.policy\n", i + 1);
		put(name, i == 7 ? "block a.test\n" : text);
	}
	accept("include 1.policy\n", NULL, &c);
	decides(&c, "a.test", "7.policy:1 block a.test");
	put("7.policy", "include 8.policy\n");
	put("8.policy", "block a.test\n");
	refuse("include 1.policy\n",
	       "DIR/7.policy:1:9: more than 8 files in one another; include it "
	       "higher up\n");
}

static void assert_says(const struct compiled *c, const char *name, const char *owner,
			const char *hint)
{
	const struct df_policy_rule *rule = lookup(c, name);
	const char *o, *h;

	assert_non_null(rule);
	o = df_policy_rule_owner(&c->policy, rule);
	h = df_policy_rule_hint(&c->policy, rule);
	if (strcmp(o ? o : "-", owner) != 0 || strcmp(h ? h : "-", hint) != 0)
		fail_msg("%s: owner %s, hint %s", name, o ? o : "-", h ? h : "-");
}

/* An included file begins with what holds, and changes it for itself. */
static void test_owner_and_hint(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	put("in.policy", "block a.test\nowner in\nhint in\nblock b.test\n");
	put("quiet.policy", "hint \"\"\nblock c.test\nblock-list list plain\n");
	put("list", "listed.test\n");
	accept("block d.test\ninclude in.policy\nblock e.test\nowner out\ninclude quiet.policy\n"
	       "hint out\nblock f.test\n",
	       NULL, &c);
	assert_says(&c, "a.test", "-", "in");
	assert_says(&c, "b.test", "in", "in");
	assert_says(&c, "c.test", "out", "-");
	assert_says(&c, "listed.test", "out", "-");
	assert_says(&c, "d.test", "-", "out");
	assert_says(&c, "e.test", "-", "out");
	assert_says(&c, "f.test", "out", "out");
}

static void test_doubles(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	put("in.policy", "block a.test\nallow b.test\n");
	accept("include in.policy\nblock a.test\nblock b.test\n",
	       "DIR/" FILE_NAME ":2:1: warning: the same rule as in DIR/in.policy:1; remove one\n"
	       "DIR/" FILE_NAME
	       ":3:1: warning: contradicts DIR/in.policy:2, and block wins; remove "
	       "one\n",
	       &c);
}

static void test_lists(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	const struct df_policy_rule *rule;
	uint8_t addr[16];

	(void)state;
	put("sub/ads.txt", "# x\na.test\r\n=b.test\n*.c.test\n192.0.2.0/24\nd.test:443\n");
	put("ok", "0.0.0.0 ok.a.test\n");
	accept("owner o\nblock-list \"sub/ads.txt\"  plain # why\nhint h\nallow-list ok hosts\n",
	       NULL, &c);
	decides(&c, "x.a.test", FILE_NAME ":2 block-list \\\"sub/ads.txt\\\"  plain");
	decides(&c, "b.test", FILE_NAME ":2 block-list \\\"sub/ads.txt\\\"  plain");
	decides(&c, "x.b.test", NULL);
	decides(&c, "c.test", NULL);
	decides(&c, "x.c.test", FILE_NAME ":2 block-list \\\"sub/ads.txt\\\"  plain");
	decides(&c, "ok.a.test", FILE_NAME ":4 allow-list ok hosts");
	decides(&c, "x.ok.a.test", FILE_NAME ":2 block-list \\\"sub/ads.txt\\\"  plain");
	decides(&c, "d.test", NULL);
	assert_says(&c, "ok.a.test", "o", "h");
	(void)net_of("192.0.2.7", addr);
	rule = df_policy_lookup_addr(&c.policy, addr, 6, 80);
	assert_non_null(rule);
	assert_true(df_policy_rule_is_listed(&c.policy, rule));
	assert_false(df_policy_rule_is_exception(&c.policy, rule));
	assert_int_equal(df_policy_n_ranges(&c.policy), 1);
	assert_int_equal(c.result.files.n, 3);
}

/* Names that one list has share one rule. */
static void test_shared_rules(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	_cleanup_free_ char *text = malloc(20000 * 16);
	size_t pos = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < 20000; i++)
		df_append(text, 20000 * 16, &pos, "n%u.test\n", i);
	put("list", text);
	put("again", "n7.test\nn8.test\nmore.test\n");
	accept("block-list list plain\nblock-list again plain\nblock n9.test\nallow n8.test\n",
	       NULL, &c);
	decides(&c, "n19999.test", FILE_NAME ":1 block-list list plain");
	decides(&c, "n7.test", FILE_NAME ":1 block-list list plain");
	decides(&c, "more.test", FILE_NAME ":2 block-list again plain");
	decides(&c, "n9.test", FILE_NAME ":3 block n9.test");
	decides(&c, "n8.test", FILE_NAME ":1 block-list list plain"); /* block wins */
	assert_null(df_policy_rule_at(&c.policy, 5));
	/* a list takes no start from the names that the policy itself has */
	assert_int_equal(df_policy_pin_blocked(&c.policy), DF_POLICY_PIN_YES);
	assert_int_equal(df_policy_n_pin_names(&c.policy), 64);
}

/* Larger than a policy may be, but not than a list may. */
static void test_large_list(void **state)
{
	enum { N = 100000 };
	_cleanup_compiled_ struct compiled c = {0};
	char path[256], label[58], name[300];
	FILE *f;

	(void)state;
	memset(label, 'x', sizeof(label));
	label[sizeof(label) - 1] = '\0';
	(void)snprintf(path, sizeof(path), "%s/large", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	for (unsigned i = 0; i < N; i++)
		(void)fprintf(f, "n%u.%s.%s.%s.test\n", i, label, label, label);
	assert_true(ftell(f) > DF_POLICY_FILE_MAX);
	assert_int_equal(fclose(f), 0);
	accept("block-list large plain\n", NULL, &c);
	(void)snprintf(name, sizeof(name), "n%u.%s.%s.%s.test", N - 1, label, label, label);
	decides(&c, name, FILE_NAME ":1 block-list large plain");
	(void)snprintf(name, sizeof(name), "n%u.%s.%s.%s.test", N, label, label, label);
	decides(&c, name, NULL);
	/* as a policy it is refused */
	refuse("include large\n", "DIR/" FILE_NAME ":1:9: DIR/large: too big; at most 16 MiB\n");
	assert_int_equal(truncate(path, (128 << 20) + 1), 0);
	refuse("block-list large plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/large: too big; at most 128 MiB\n");
}

static void test_unknown_lines(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	put("one", "a.test\n\n??\n");
	put("many", "!\n!\n!\nb.test\nc.test\nd.test\ne.test\nf.test\ng.test\n!\n!\n!\n");
	put("empty", "# nothing\n");
	put("in.policy", "block-list one plain\n");
	accept("include in.policy\nblock-list many plain\nallow-list empty hosts\n",
	       "DIR/one:3:1: warning: 1 of 3 lines are not understood as plain and left out: 3\n"
	       "DIR/many:1:1: warning: 6 of 12 lines are not understood as plain and left out: 1, "
	       "2, "
	       "3, 10, 11, …\n"
	       "DIR/empty: warning: the list is empty\n",
	       &c);
	decides(&c, "b.test", FILE_NAME ":2 block-list many plain");
}

static void test_list_errors(void **state)
{
	char text[4096];
	size_t pos = 0;

	(void)state;
	put("hosts", "0.0.0.0 a.test\n0.0.0.0 b.test\n");
	put("ok", "a.test\n");
	refuse("block-list missing plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/missing: the file is missing\n");
	refuse("block-list sub plain\nblock a..b\n",
	       "DIR/" FILE_NAME ":1:12: DIR/sub: not a regular file\n"
	       "DIR/" FILE_NAME ":2:9: empty label; one dot between labels\n");
	refuse("block-list hosts plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/hosts: no line is understood "
	       "as plain; name its format: it looks like the hosts format\n");
	/* one name more or less is no list: what most lines say counts */
	put("mixed", "a.test\nb.test\n||x.test^\n||y.test^\n||z.test^\n||v.test^\n||w.test^\n");
	refuse("block-list mixed plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/mixed: 5 lines are not plain, and 2 are; name its "
	       "format: it looks like the adblock format\n");
	put("page", "\n<!DOCTYPE html>\n<html>\nexample.com\n</html>\n");
	refuse("block-list page plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/page: no list; it looks like "
	       "an HTML page; fetch the list again\n");
	put("error", "403 Forbidden\n");
	refuse("allow-list error plain\n",
	       "DIR/" FILE_NAME ":1:12: DIR/error: no list; it looks like "
	       "the error of a server; fetch the list again\n");
	refuse("block-list ok\n",
	       "DIR/" FILE_NAME
	       ":1:14: 'block-list' needs plain | hosts | adblock | rpz | dnsmasq\n");
	refuse("block-list ok plain x\n",
	       "DIR/" FILE_NAME ":1:21: unexpected 'x'; one value only\n");
	for (unsigned i = 1; i < 40; i++)
		df_append(text, sizeof(text), &pos, "a.test:%u\n", i * 10);
	put("ports", text);
	refuse("block-list ports plain\n",
	       "DIR/" FILE_NAME
	       ":1:12: the policy tells too many ports apart; at most 27 groups of "
	       "ports that its rules treat alike, so name fewer or wider ranges\n");
}

static void test_exceptions(void **state)
{
	static const struct {
		const char *policy, *list, *name, *want;
		unsigned left_out;
	} rows[] = {
#define LIST FILE_NAME ":1 block-list list adblock"
		{"", "||x.test^\n@@||a.x.test^\n", "a.x.test", LIST, 0},
		{"", "||x.test^\n@@||a.x.test^\n", "b.x.test", LIST, 0},
		/* at the same name it takes the block out, in whichever order */
		{"", "||x.test^\n@@||x.test^\n", "x.test", LIST, 0},
		{"", "@@||x.test^\n||x.test^\n", "x.test", LIST, 0},
		{"", "||x.test^\n@@||*.x.test^\n", "a.x.test", LIST, 0},
		/* nothing to take out: nothing is opened, and nothing said */
		{"", "||y.test^\n@@||x.test^\n", "x.test", NULL, 0},
		{"default deny\nallow z.test\n", "||y.test^\n@@||x.test^\n", "x.test", NULL, 1},
		/* what another rule refuses stays refused */
		{"block x.test\n", "||x.test^\n@@||a.x.test^\n", "a.x.test",
		 FILE_NAME ":2 block x.test", 1},
		{"block a.x.test\n", "||x.test^\n@@||a.x.test^\n", "a.x.test",
		 FILE_NAME ":2 block a.x.test", 1},
		{"block x.test:22\n", "||x.test^\n@@||a.x.test^\n", "a.x.test", LIST, 1},
		{"block-list other plain\n", "||x.test^\n@@||a.x.test^\n", "a.x.test", LIST, 1},
		{"default deny\nallow z.test\n", "||x.test^\n@@||a.x.test^\n", "a.x.test", LIST, 1},
		/* and what another allows passes */
		{"default deny\nallow x.test\n", "||a.x.test^\n@@||b.a.x.test^\n", "b.a.x.test",
		 LIST, 0},
		{"default deny\nallow x.test\n", "||a.x.test^\n@@||b.a.x.test^\n", "a.x.test", LIST,
		 0},
		{"block test\nallow x.test\n", "||a.x.test^\n@@||b.a.x.test^\n", "b.a.x.test", LIST,
		 0},
		/* important */
		{"", "||x.test^$important\n@@||a.x.test^\n", "a.x.test", LIST, 1},
		{"", "||x.test^$important\n@@||a.x.test^$important\n", "a.x.test", LIST, 0},
		{"", "||x.test^\n||x.test^$important\n@@||x.test^\n", "x.test", LIST, 1},
		{"", "||x.test^$important\n||x.test^\n@@||x.test^\n", "x.test", LIST, 1},
	};
	static const bool is_allowed[ARRAY_SIZE(rows)] = {
		[0] = true,  [2] = true,  [3] = true,  [4] = true,
		[12] = true, [14] = true, [16] = true,
	};

	(void)state;
	put("other", "x.test\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};
		const struct df_policy_rule *rule;
		char text[256], message[256];

		put("list", rows[i].list);
		(void)snprintf(text, sizeof(text), "block-list list adblock\n%s", rows[i].policy);
		(void)snprintf(
			message, sizeof(message),
			"DIR/list: warning: %u exception is left out, for other rules or the "
			"default refuse the names\n",
			rows[i].left_out);
		accept(text, rows[i].left_out ? message : NULL, &c);
		decides(&c, rows[i].name, rows[i].want);
		rule = lookup(&c, rows[i].name);
		if (!rule)
			continue;
		if ((rule->action == DF_POLICY_ALLOW) != is_allowed[i])
			fail_msg("row %zu: %s: action %u", i, rows[i].list, rule->action);
		assert_int_equal(df_policy_rule_is_exception(&c.policy, rule), is_allowed[i]);
	}
}

/* By brute force: with an exception, a name gets what it had without the list, or stays refused. */
static void test_exceptions_open_nothing(void **state)
{
	static const char *const names[] = {"x.test", "a.x.test", "b.a.x.test", "c.b.a.x.test"};
	uint32_t seed = 3;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		_cleanup_compiled_ struct compiled with = {0}, without = {0};
		char policy[256] = "block-list list adblock\n", list[256] = "||filler.test^\n";
		size_t p = strlen(policy), l = strlen(list);

		for (unsigned i = 0; i < 6; i++) {
			const char *name = names[(seed = seed * 1103515245 + 12345) >> 16 & 3];
			const char *scope = seed >> 20 & 1 ? "" : "*.";

			switch (seed >> 24 & 3) {
			case 0:
				df_append(list, sizeof(list), &l, "||%s%s^\n", scope, name);
				break;
			case 1:
				df_append(list, sizeof(list), &l, "@@||%s%s^\n", scope, name);
				break;
			default:
				df_append(policy, sizeof(policy), &p, "%s %s%s\n",
					  seed >> 26 & 1 ? "block" : "allow", scope, name);
			}
		}
		df_append(policy, sizeof(policy), &p, "default %s\nallow other.test\n",
			  seed >> 8 & 1 ? "deny" : "allow");
		put("list", list);
		put(FILE_NAME, policy);
		compile_main(&with, 0, any);
		put(FILE_NAME, strchr(policy, '\n') + 1);
		compile_main(&without, 0, any);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			const struct df_policy_rule *a = lookup(&with, names[i]);
			const struct df_policy_rule *b = lookup(&without, names[i]);
			unsigned verdict = a ? a->action : df_policy_default(&with.policy);
			unsigned before = b ? b->action : df_policy_default(&without.policy);

			if (verdict == DF_POLICY_ALLOW && before == DF_POLICY_BLOCK)
				fail_msg("%s is opened by\n%s\n%s", names[i], policy, list);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup(f, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_include),
		TEST(test_include_absolute),
		TEST(test_include_twice),
		TEST(test_include_errors),
		TEST(test_cycles),
		TEST(test_depth),
		TEST(test_owner_and_hint),
		TEST(test_doubles),
		TEST(test_lists),
		TEST(test_shared_rules),
		TEST(test_large_list),
		TEST(test_unknown_lines),
		TEST(test_list_errors),
		TEST(test_exceptions),
		TEST(test_exceptions_open_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
