/* SPDX-License-Identifier: GPL-2.0-or-later */
/* annotations: those that a host with `annotations-may-weaken no` accepts, each refusal beside its
 * twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "hook/oci/state.h"
#include "lib/base/util.h"

static struct df_conf_host conf;

static void configure(const char *text)
{
	_cleanup_free_ char *messages = NULL;

	if (df_conf_parse("c", text, strlen(text), &conf, &messages) != 0)
		fail_msg("%s", messages);
}

static void annotate(const char *annotations, struct df_state *ret)
{
	char text[1024], error[DF_OCI_ERROR_MAX];

	(void)snprintf(text, sizeof(text),
		       "{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"status\":\"creating\","
		       "\"pid\":1234,\"bundle\":\"/b\",\"annotations\":{%s}}",
		       annotations);
	if (df_state_parse(text, strlen(text), ret, error) != 0)
		fail_msg("%s: %s", annotations, error);
}

#define NO "annotations-may-weaken no\n"
#define CRI_WEB "\"io.kubernetes.cri.container-name\":\"web\""
#define A(key, value) "\"deployfence" key "\":\"" value "\""

static void test_check(void **state)
{
	static const struct {
		const char *conf, *annotations;
		const char *want; /* part of the error; NULL: accepted */
	} rows[] = {
		{"", A("", "off"), NULL},
		{"", A(".fail", "open"), NULL},
		{NO, A("", "on"), NULL},
		{NO, A("", "enforce"), NULL},
		{NO, A("", "audit"), NULL}, /* depends on the policy */
		{NO, A("", "off"), "\"deployfence=off\": this host demands a fence"},
		{NO, A(".fail", "open"),
		 "\"deployfence.fail=open\": this host demands fail closed"},
		{NO, A(".fail", "closed"), NULL},
		{NO "fail open\n", A(".fail", "open"), NULL},
		{NO "fail open\n", A(".fail", "closed"), NULL},
		{NO, A(".log", "none"), "\"deployfence.log=none\": this host demands log stderr"},
		{NO, A(".log", "stderr"), NULL},
		{NO, A(".containers", "web") "," CRI_WEB, NULL},
		{NO, A(".containers", "db") "," CRI_WEB,
		 "\"deployfence.containers=db\": leaves this container out, and this host demands "
		 "a fence"},
		{NO, A(".containers", "db"), NULL}, /* no name: it is fenced */
		{"", A(".containers", "db") "," CRI_WEB, NULL},
		{NO, A(".policy", "default"), NULL},
		{NO, A(".policy", "other"), "this host demands its default policy 'default';"},
		{NO "default-policy other\n", A(".policy", "other"), NULL},
		{NO "selectable-policies a b\n", A(".policy", "b"), NULL},
		{NO "selectable-policies a b\n", A(".policy", "c"),
		 "\"deployfence.policy=c\": this host demands its default policy 'default' or one "
		 "of "
		 "`selectable-policies`"},
		{"selectable-policies a b\n", A(".policy", "c"), NULL},
		/* keys */
		{"annotations deployfence\n", A("", "off"), NULL},
		{"annotations deployfence\n", A(".policy", "default"),
		 "\"deployfence.policy\": this host does not honour it"},
		{"annotations deployfence.policy\n", A(".policy", "a"), NULL},
		{"annotations deployfence.policy\n", A("", "on"),
		 "\"deployfence\": this host does not honour it"},
		{"annotations deployfence\n", A(".fail", "closed"), "\"deployfence.fail\""},
		{"annotations deployfence\n", A(".log", "none"), "\"deployfence.log\""},
		{"annotations deployfence\n", A(".owner", "me"), "\"deployfence.owner\""},
		{"annotations deployfence\n", A(".containers", "a"), "\"deployfence.containers\""},
		{"annotations deployfence.containers\n", A(".containers", "a"), NULL},
		{"annotations deployfence.x-a\n", A(".x-a", "1"), NULL},
		{"annotations deployfence.x-a\n", A(".x-a", "1") "," A(".x-b", "1"),
		 "\"deployfence.x-b\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char error[DF_OCI_ERROR_MAX] = "";
		struct df_state s;
		int r;

		configure(rows[i].conf);
		annotate(rows[i].annotations, &s);
		r = df_annotations_check(&conf, &s.annotations, error);
		if (r != (rows[i].want ? EX_CONFIG : 0) ||
		    (rows[i].want && !strstr(error, rows[i].want)))
			fail_msg("%s%s: %d %s", rows[i].conf, rows[i].annotations, r, error);
		df_state_done(&s);
	}
}

static void test_audit(void **state)
{
	static const struct {
		const char *conf, *annotations;
		bool host_enforces;
		int want;
	} rows[] = {
		{NO, A("", "audit"), true, EX_CONFIG}, {NO, A("", "audit"), false, 0},
		{"", A("", "audit"), true, 0},         {NO, A("", "on"), true, 0},
		{NO, A("", "enforce"), true, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char error[DF_OCI_ERROR_MAX] = "";
		struct df_state s;

		configure(rows[i].conf);
		annotate(rows[i].annotations, &s);
		assert_int_equal(df_annotations_check_audit(&conf, &s.annotations,
							    rows[i].host_enforces, error),
				 rows[i].want);
		assert_int_equal(strstr(error, "demands mode enforce") != NULL, rows[i].want != 0);
		df_state_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
