/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/report/classify.h"
#include "lib/base/util.h"

static const struct {
	const char *domain, *cmd;
	bool stands;
	const char *why;
} names[] = {
	{"github.com.", "curl github.com", true, "the name"},
	{"github.com", "curl github.com", true, "without the dot at its end"},
	{"github.com.", "curl https://github.com/x?y#z", true, "of a URL"},
	{"github.com.", "git clone git@github.com:foo/bar.git", true, "of an scp place"},
	{"github.com.", "curl GitHub.COM.", true, "case and a dot at the end"},
	{"api.github.com.", "git clone https://github.com/x", true, "a parent of two labels"},
	{"a.b.github.com.", "curl b.github.com", true, "a parent of three"},
	{"github.com.", "curl http://x/?u=https%3A%2F%2Fgithub.com%2Fy", true, "escaped in a URL"},
	{"github.com.", "x --host=github.com", true, "value of an option"},
	{"db.example.com.", "mysql -hdb.example.com", true, "option with its value"},
	{"github.com.", "x [github.com]", true, "brackets"},
	{"github.com.", "wget --domain .github.com", true, "as of a cookie"},
	{"github.com.", "x 'a\\ngithub.com'", true, "behind an escape of the log"},
	{"github.com.", "x \\xffgithub.com", true, "behind an octet that is not UTF-8"},
	{"a_b.example.com.", "x a_b.example.com", true, "underscore"},
	{"localhost.", "curl localhost", true, "one label that is the name itself"},
	{"github.com.", "curl notgithub.com", false, "inside another name"},
	{"github.com.", "curl x-github.com", false, "inside a label"},
	{"github.com.", "curl github.com.evil.example", false, "a name above"},
	{"github.com.", "curl api.github.com", false, "a name below"},
	{"codeload.github.com.", "curl api.github.com", false, "a neighbour"},
	{"evil.co.uk.", "curl www.co.uk", false, "a neighbour below a public suffix"},
	{"github.com.", "curl com", false, "a parent of one label"},
	{"xcom.", "curl com", false, "the end of a label"},
	{"github.com.", "", false, "nothing"},
	{"github.com.", "x ... . .. -", false, "dots and dashes"},
	{"a\\.github.com.", "curl github.com", false, "an escaped dot parts no labels"},
	{".", "x .", false, "the root stands nowhere"},
	{"github.com.", "x -xxgithub.com", false, "two letters are no option"},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (df_class_stands_in(names[i].domain, names[i].cmd) != names[i].stands)
			fail_msg("%s: %s in %s", names[i].why, names[i].domain, names[i].cmd);
}

static const struct {
	const char *cmd, *script;
} scripts[] = {
	{"bash ./deploy.sh prod", "./deploy.sh"},
	{"/bin/sh -e ./deploy.sh", "./deploy.sh"},
	{"-bash deploy.sh", "deploy.sh"},
	{"bash -o pipefail -x deploy.sh", "deploy.sh"},
	{"bash --norc -- deploy.sh", "deploy.sh"},
	{"bash --rcfile x deploy.sh", "deploy.sh"},
	{"busybox sh deploy.sh", "deploy.sh"},
	{"make", "make"},
	{"make all", "make"},
	{"/usr/bin/make -f build.mk all", "build.mk"},
	{"make -fbuild.mk", "build.mk"},
	{"bash -c ./deploy.sh", NULL},
	{"bash -ec ./deploy.sh", NULL},
	{"bash -s prod", NULL},
	{"bash - x", NULL},
	{"bash", NULL},
	{"bash -", NULL},
	{"python3 deploy.py", NULL},
	{"bashful deploy.sh", NULL},
	{"", NULL},
	{"   ", NULL},
	{"busybox", NULL},
};

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		const char *script = NULL, *want = scripts[i].script;
		size_t len = df_class_script(scripts[i].cmd, &script);

		if (len != (want ? strlen(want) : 0) || (want && memcmp(script, want, len) != 0))
			fail_msg("%s: %.*s", scripts[i].cmd, (int)len, script);
	}
}

static void test_parents(void **state)
{
	static const struct {
		const char *domain, *parent;
	} cases[] = {
		{"api.github.com.", "github.com."},
		{"github.com.", "github.com."},
		{"a.b.c.d.", "c.d."},
		{"com.", "com."},
		{".", "."},
		{"x.a\\.b.c.", "a\\.b.c."},
		{"x.a\\\\.b.c.", "b.c."},
		{"a.b.c", "b.c"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(df_class_parent(cases[i].domain), cases[i].parent);
}

static void test_covers(void **state)
{
	(void)state;
	assert_true(df_class_covers("github.com", "github.com."));
	assert_true(df_class_covers("GitHub.com.", "api.github.com"));
	assert_false(df_class_covers("github.com", "notgithub.com"));
	assert_false(df_class_covers("api.github.com", "github.com"));
	assert_false(df_class_covers("b.c", "a\\.b.c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
