/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hook/annotations.h"
#include "hook/oci/state.h"
#include "lib/base/util.h"
#include "tests/lib/state_case.h"

/* clang-format off */
#define ACCEPTED "accepted: deployfence, deployfence.policy, deployfence.shadow, deployfence.fail, deployfence.log, " \
		 "deployfence.containers, deployfence.owner, deployfence.x-NAME"
#define MEANT(key) "unknown key; did you mean \"" key "\"? " ACCEPTED

static const struct df_case bad_annotations[] = {
	{WITH("{\"deployfence\":\"On\"}"), 64,
	 "annotation \"deployfence\"=\"On\": unknown value; accepted: on, enforce, audit, off"},
	{WITH("{\"deployfence\":\"ON\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"true\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"1\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"\"}"), 64, "annotation \"deployfence\"=\"\": unknown value"},
	{WITH("{\"deployfence\":\" on\"}"), 64, "=\" on\": unknown value"},
	{WITH("{\"deployfence\":\"on \"}"), 64, "=\"on \": unknown value"},
	{WITH("{\"deployfence\":\"on\\n\"}"), 64, "=\"on\\n\": unknown value"},
	{WITH("{\"deployfence\":\"only\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"o\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"no\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"Off\"}"), 64, "unknown value"},
	{WITH("{\"deployfence\":\"\\\"x\\u001b[0m\"}"), 64, "=\"\\\"x\\x1b[0m\": unknown value"},
	{WITH("{\"deployfence\":\"" A1024 "\"}"), 64, "accepted: on, enforce, audit, off"},

	{WITH("{\"Deployfence\":\"on\"}"), 64, "annotation \"Deployfence\": " MEANT("deployfence")},
	{WITH("{\"DEPLOYFENCE\":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"DEPLOYFENCE.policy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence-policy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence_policy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence/policy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfencepolicy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence.polcy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence.polic\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence.Policy\":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence.policy \":\"x\"}"), 64, MEANT("deployfence.policy")},
	{WITH("{\"deployfence.failed\":\"x\"}"), 64, MEANT("deployfence.fail")},
	{WITH("{\"deployfence.logs\":\"x\"}"), 64, MEANT("deployfence.log")},
	{WITH("{\"deployfence.ower\":\"x\"}"), 64, MEANT("deployfence.owner")},
	{WITH("{\"deployfence_\":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"deployfencex\":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"deployfence.\":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"deployfence. \":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"deployfence \":\"on\"}"), 64, MEANT("deployfence")},
	{WITH("{\"deployfence\\n\":\"on\"}"), 64, "annotation \"deployfence\\n\": unknown key"},
	{WITH("{\"deployfence\xc3\xa9\":\"on\"}"), 64, "unknown key"},
	{WITH("{\"deployfence.mode\":\"on\"}"), 64, "unknown key; " ACCEPTED},
	{WITH("{\"deployfence." A1024 "\":\"on\"}"), 64, "unknown key; " ACCEPTED},
	{WITH("{\"deployfence.X-team\":\"a\"}"), 64, MEANT("deployfence.x-NAME")},
	{WITH("{\"deployfence-x-team\":\"a\"}"), 64, MEANT("deployfence.x-NAME")},
	{WITH("{\"deployfence.xteam\":\"a\"}"), 64, MEANT("deployfence.x-NAME")},
	{WITH("{\"deployfence.x\":\"a\"}"), 64, MEANT("deployfence.x-NAME")},
	/* Whatever else is there: off and audit do not excuse it, nor does its place. */
	{WITH("{\"deployfence\":\"audit\",\"deployfence.x\":\"a\"}"), 64, "unknown key"},
	{WITH("{\"deployfence\":\"off\",\"deployfence.polcy\":\"a\"}"), 64, "unknown key"},
	{WITH("{\"Deployfence\":\"on\",\"deployfence\":\"on\"}"), 64, "unknown key"},
	{WITH("{\"deployfence\":\"on\",\"z\":\"\",\"deployfence.fail\":\"Open\"}"), 64, "unknown value"},

	{WITH("{\"deployfence.shadow\":\"../x\"}"), 64, "not a policy name"},

	{WITH("{\"deployfence.containers\":\"\"}"), 64,
	 "annotation \"deployfence.containers\"=\"\": not a list of container names; accepted: NAME,NAME"},
	{WITH("{\"deployfence.containers\":\",\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a,\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\",a\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a,,b\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a, b\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a;b\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a,b\\n\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"*\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"-a\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"caf\xc3\xa9\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"b,a" A128 "\"}"), 64, "not a list of container names"},
	{WITH("{\"deployfence.containers\":\"a" A1024 "\"}"), 64, "value too long"},
	{WITH("{\"deployfence.container\":\"a\"}"), 64, MEANT("deployfence.containers")},
	{WITH("{\"deployfence.Containers\":\"a\"}"), 64, MEANT("deployfence.containers")},

	{WITH("{\"deployfence.fail\":\"close\"}"), 64,
	 "annotation \"deployfence.fail\"=\"close\": unknown value; accepted: closed, open"},
	{WITH("{\"deployfence.fail\":\"\"}"), 64, "accepted: closed, open"},
	{WITH("{\"deployfence.fail\":\"OPEN\"}"), 64, "accepted: closed, open"},
	{WITH("{\"deployfence.log\":\"off\"}"), 64, "unknown value; accepted: stderr, none"},
	{WITH("{\"deployfence.log\":\"\"}"), 64, "accepted: stderr, none"},

	{WITH("{\"deployfence.policy\":\"\"}"), 64, "\"deployfence.policy\"=\"\": not a policy name"},
	{WITH("{\"deployfence.policy\":\"../x\"}"), 64, "=\"../x\": not a policy name; accepted: 1 to 128"},
	{WITH("{\"deployfence.policy\":\".hidden\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"-x\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"_x\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"a/b\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"a b\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"ab\\n\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"caf\xc3\xa9\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"a" A128 "\"}"), 64, "not a policy name"},
	{WITH("{\"deployfence.policy\":\"" TEN("aaaaaaaaaaaaaaaaaaaa") "\"}"), 64, "not a policy name"},

	{WITH("{\"deployfence.owner\":\"a" A1024 "\"}"), 64,
	 "annotation \"deployfence.owner\": value too long; accepted: free text up to 1024 octets"},
	{WITH("{\"deployfence.x-team\":\"a" A1024 "\"}"), 64, "value too long"},
	{WITH("{\"deployfence.x-\":\"a\"}"), 64, "bad name behind deployfence.x-; accepted: 1 to 64 of"},
	{WITH("{\"deployfence.x-Team\":\"a\"}"), 64, "bad name behind deployfence.x-"},
	{WITH("{\"deployfence.x-a b\":\"a\"}"), 64, "bad name behind"},
	{WITH("{\"deployfence.x-a/b\":\"a\"}"), 64, "bad name behind"},
	{WITH("{\"deployfence.x-a=b\":\"a\"}"), 64, "bad name behind"},
	{WITH("{\"deployfence.x-a\\n\":\"a\"}"), 64, "bad name behind"},
	{WITH("{\"deployfence.x-aaaaa" TEN("aaaaaa") "\":\"a\"}"), 64, "bad name behind"}, /* 65 */
};
/* clang-format on */

static void test_bad_annotations(void **state)
{
	(void)state;
	df_case_check(bad_annotations, ARRAY_SIZE(bad_annotations));
}

static enum df_ask ask_of(const char *text)
{
	struct df_state s = df_case_accepted(text);
	enum df_ask ask = s.annotations.ask;

	df_state_done(&s);
	return ask;
}

static void test_ask(void **state)
{
	(void)state;
	assert_int_equal(ask_of(WITH("{\"deployfence\":\"on\"}")), DF_ASK_ON);
	assert_int_equal(ask_of(WITH("{\"deployfence\":\"enforce\"}")), DF_ASK_ENFORCE);
	assert_int_equal(ask_of(WITH("{\"deployfence\":\"audit\"}")), DF_ASK_AUDIT);
	assert_int_equal(ask_of(WITH("{\"deployfence\":\"off\"}")), DF_ASK_OFF);
	assert_int_equal(ask_of(WITH("{\"deploy\\u0066ence\":\"off\"}")), DF_ASK_OFF);
	assert_int_equal(ask_of(WITH("{}")), DF_ASK_NONE);
	assert_int_equal(
		ask_of("{\"id\":\"c1\",\"status\":\"created\",\"pid\":42,\"bundle\":\"/b\"}"),
		DF_ASK_NONE);
	/* Not ours: they only contain the word. */
	assert_int_equal(
		ask_of(WITH("{\"xdeployfence\":\"on\",\"io.deployfence\":\"On\",\"deployfenc"
			    "\":\"\",\" deployfence\":\"x\",\"\":\"deployfence\"}")),
		DF_ASK_NONE);
	/* Who names a policy, or only an owner, asks for a fence. */
	assert_int_equal(ask_of(WITH("{\"deployfence.policy\":\"ci\"}")), DF_ASK_ON);
	assert_int_equal(ask_of(WITH("{\"deployfence.owner\":\"\"}")), DF_ASK_ON);
	assert_int_equal(ask_of(WITH("{\"deployfence.x-a\":\"\"}")), DF_ASK_ON);
	assert_int_equal(ask_of(WITH("{\"deployfence.fail\":\"open\"}")), DF_ASK_ON);
	/* In any order. */
	assert_int_equal(ask_of(WITH("{\"deployfence.policy\":\"ci\",\"deployfence\":\"off\"}")),
			 DF_ASK_OFF);
}

static void test_values(void **state)
{
	struct df_state s = df_case_accepted(WITH(
		"{\"a\":\"b\",\"deployfence\":\"audit\",\"deployfence.policy\":\"Ci-2.prod_x\","
		"\"deployfence.fail\":\"open\",\"deployfence.log\":\"none\","
		"\"deployfence.owner\":\"team \\\"a\\\"\\n\\u001b[31m\\u00e9\","
		"\"deployfence.x-job\":\"\",\"deployfence.x-9_.-\":\"7\"}"));

	(void)state;
	assert_int_equal(s.annotations.ask, DF_ASK_AUDIT);
	assert_string_equal(s.annotations.policy, "Ci-2.prod_x");
	assert_int_equal(s.annotations.fail, DF_ASK_FAIL_OPEN);
	assert_int_equal(s.annotations.log, DF_ASK_LOG_NONE);
	assert_string_equal(s.annotations.owner, "team \"a\"\n\x1b[31m\xc3\xa9");
	assert_int_equal(s.annotations.n_x, 2);
	assert_string_equal(s.annotations.x[0].key, "x-job");
	assert_string_equal(s.annotations.x[0].value, "");
	assert_string_equal(s.annotations.x[1].key, "x-9_.-");
	assert_string_equal(s.annotations.x[1].value, "7");
	df_state_done(&s);
	df_state_done(&s); /* harmless twice */

	s = df_case_accepted(WITH("{\"deployfence.fail\":\"closed\",\"deployfence.log\":\"stderr\","
				  "\"deployfence.owner\":\"\"}"));
	assert_int_equal(s.annotations.fail, DF_ASK_FAIL_CLOSED);
	assert_int_equal(s.annotations.log, DF_ASK_LOG_STDERR);
	assert_string_equal(s.annotations.owner, "");
	assert_null(s.annotations.policy);
	df_state_done(&s);

	s = df_case_accepted(WITH("{\"deployfence\":\"on\"}"));
	assert_int_equal(s.annotations.fail, DF_ASK_FAIL_UNSET);
	assert_int_equal(s.annotations.log, DF_ASK_LOG_UNSET);
	assert_null(s.annotations.owner);
	assert_int_equal(s.annotations.n_x, 0);
	df_state_done(&s);
}

#define LIST(list) "\"deployfence.containers\":\"" list "\","
#define CRI(name) "\"io.kubernetes.cri.container-name\":\"" name "\""

static void test_containers(void **state)
{
	static const struct {
		const char *text;
		bool is_left_out;
		const char *name, *near;
	} rows[] = {
		{WITH("{" LIST("web") CRI("web") "}"), false, "web", NULL},
		{WITH("{" CRI("web") "," LIST("db,web,x") "\"a\":\"b\"}"), false, "web", NULL},
		{WITH("{" LIST("web") CRI("sidecar") "}"), true, "sidecar", NULL},
		/* a name is a whole one, in the case that it is written in */
		{WITH("{" LIST("web,db") CRI("we") "}"), true, "we", "web,db"},
		{WITH("{" LIST("db,web") CRI("webs") "}"), true, "webs", "web"},
		{WITH("{" LIST("x,wbe,y") CRI("web") "}"), true, "web", "wbe,y"},
		{WITH("{" LIST("Web") CRI("web") "}"), true, "web", "Web"},
		{WITH("{" LIST("web") "\"io.kubernetes.container.name\":\"web\"}"), false, "web",
		 NULL},
		{WITH("{" LIST("web") "\"nerdctl/name\":\"db-main\"}"), true, "db-main", NULL},
		/* CRI-O's long form of the name is no name that anybody lists */
		{WITH("{" LIST("web") "\"io.kubernetes.cri-o.ContainerName\":\"k8s_web_p_n_u_0\"}"),
		 false, NULL, NULL},
		/* nobody tells: fenced */
		{WITH("{" LIST("web") "\"io.container.manager\":\"libpod\"}"), false, NULL, NULL},
		{WITH("{" LIST("web") CRI("") "}"), false, NULL, NULL},
		/* a pod's sandbox */
		{WITH("{" LIST("web") "\"io.kubernetes.cri.container-type\":\"sandbox\"}"), true,
		 NULL, NULL},
		{WITH("{" LIST("web") "\"io.kubernetes.cri-o.ContainerType\":\"sandbox\"}"), true,
		 NULL, NULL},
		{WITH("{" LIST("web") "\"io.kubernetes.cri.container-type\":\"container\"," CRI(
			 "web") "}"),
		 false, "web", NULL},
		/* without the list nothing of this is looked at */
		{WITH("{\"deployfence\":\"on\"," CRI("web") "}"), false, NULL, NULL},
		{WITH("{\"deployfence\":\"on\",\"io.kubernetes.cri.container-type\":\"sandbox\"}"),
		 false, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_state s;
		const char *near;
		size_t len = 0;

		s = df_case_accepted(rows[i].text);
		near = s.annotations.containers ? df_annotations_near_name(&s.annotations, &len)
						: NULL;
		if (s.annotations.ask != DF_ASK_ON ||
		    s.annotations.is_left_out != rows[i].is_left_out ||
		    strcmp(s.annotations.name ? s.annotations.name : "-",
			   rows[i].name ? rows[i].name : "-") != 0)
			fail_msg("%s: left out %d, name %s", rows[i].text,
				 s.annotations.is_left_out,
				 s.annotations.name ? s.annotations.name : "-");
		if (s.annotations.is_left_out &&
		    strcmp(near ? near : "-", rows[i].near ? rows[i].near : "-") != 0)
			fail_msg("%s: near %s", rows[i].text, near ? near : "-");
		if (near)
			assert_int_equal(len, strcspn(near, ","));
		df_state_done(&s);
	}
}

static void test_long_names(void **state)
{
	struct df_state s = df_case_accepted(WITH("{" LIST("b," A128) CRI(A128) "}"));
	size_t len;

	(void)state;
	assert_false(s.annotations.is_left_out);
	df_state_done(&s);
	s = df_case_accepted(WITH("{" LIST("b," A128) CRI("a" A128) "}"));
	assert_true(s.annotations.is_left_out);
	assert_null(df_annotations_near_name(&s.annotations, &len)); /* too long for a slip */
	df_state_done(&s);
}

static void test_many_x(void **state)
{
	char annotations[2048], text[4096];
	size_t pos = 0;
	struct df_state s;

	(void)state;
	df_append(annotations, sizeof(annotations), &pos, "{\"deployfence\":\"on\"");
	for (unsigned int i = 0; i < DF_ANNOTATIONS_X_MAX; i++)
		df_append(annotations, sizeof(annotations), &pos, ",\"deployfence.x-%u\":\"%u\"", i,
			  i);
	(void)snprintf(text, sizeof(text), WITH("%s}"), annotations);
	s = df_case_accepted(text);
	assert_int_equal(s.annotations.n_x, DF_ANNOTATIONS_X_MAX);
	assert_string_equal(s.annotations.x[31].key, "x-31");
	assert_string_equal(s.annotations.x[31].value, "31");
	df_state_done(&s);
	(void)snprintf(text, sizeof(text), WITH("%s,\"deployfence.x-one\":\"\"}"), annotations);
	df_case_refused(text, strlen(text), 64,
			"too many deployfence.x-NAME keys; accepted: up to 32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_annotations), cmocka_unit_test(test_ask),
		cmocka_unit_test(test_values),          cmocka_unit_test(test_containers),
		cmocka_unit_test(test_long_names),      cmocka_unit_test(test_many_x),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
