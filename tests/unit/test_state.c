/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hook/oci/state.h"
#include "lib/base/util.h"
#include "tests/lib/state_case.h"

#define ID "4f1cd2f9a0d54a3b8c1e6f7081929394a5b6c7d8e9fa0b1c2d3e4f5061728394"

/* clang-format off */
static const struct df_case bad_states[] = {
	{"", 65, "state: parse error: premature EOF"},
	{"\n", 65, "premature EOF"},
	{"[]", 65, "state: not a JSON object"},
	{"null", 65, "not a JSON object"},
	{"\"c1\"", 65, "not a JSON object"},
	{"7", 65, "not a JSON object"},
	{"{}", 65, "state: id is missing"},
	{WITH("{}") "{}", 65, "trailing"},
	{WITH("{}") "\"", 65, "trailing"},
	{"/**/" WITH("{}"), 65, "comment"},
	{"{\"id\":\"c1\",\"id\":\"c2\"}", 65, "duplicate key \"id\""},
	{"{\"id\":\"c1\",\"\\u0069d\":\"c2\"}", 65, "duplicate key \"id\""},
	{WITH("{\"deployfence\":\"on\",\"deployfence\":\"off\"}"), 65, "duplicate key \"deployfence\""},
	{WITH("{\"deployfence\":\"on\",\"deploy\\u0066ence\":\"off\"}"), 65, "duplicate key"},
	{WITH("{\"deployfence\":\"on\\u0000x\"}"), 65, "\\u0000"},
	{WITH("{\"deployfence\\u0000\":\"on\"}"), 65, "\\u0000"},

	{WITH_ID("1"), 65, "state: id is not a string"},
	{WITH_ID("null"), 65, "id is not a string"},
	{WITH_ID("[\"c1\"]"), 65, "id is not a string"},
	{WITH_ID("\"\""), 65, "bad id \"\"; accepted: 1 to 128 of A-Z a-z 0-9 _ + . -"},
	{WITH_ID("\".\""), 65, "bad id \".\""},
	{WITH_ID("\"..\""), 65, "bad id \"..\""},
	{WITH_ID("\"../x\""), 65, "bad id \"../x\""},
	{WITH_ID("\".policies\""), 65, "bad id \".policies\"; accepted: 1 to 128 of A-Z a-z 0-9 _ + . -, "
				     "the first no dot"},
	{WITH_ID("\"@policies\""), 65, "bad id \"@policies\""},
	{WITH_ID("\"a/b\""), 65, "bad id"},
	{WITH_ID("\"a\\/b\""), 65, "bad id \"a/b\""},
	{WITH_ID("\"/\""), 65, "bad id"},
	{WITH_ID("\"a b\""), 65, "bad id"},
	{WITH_ID("\"a\\nb\""), 65, "bad id \"a\\nb\""},
	{WITH_ID("\"a\\u001b[2Jb\""), 65, "bad id \"a\\x1b[2Jb\""},
	{WITH_ID("\"a\\u007f\""), 65, "bad id"},
	{WITH_ID("\"c\xc3\xa9\""), 65, "bad id"},
	{WITH_ID("\"c1\\u0000\""), 65, "\\u0000"},
	{WITH_ID("\"a" A128 "\""), 65, "bad id"},
	{WITH_ID("\"" A1024 "\""), 65, "accepted: 1 to 128"},

	{"{\"id\":\"c1\"}", 65, "status is missing"},
	{WITH_STATUS("1"), 65, "status is not a string"},
	{WITH_STATUS("null"), 65, "status is not a string"},
	{WITH_STATUS("\"\""), 65, "status \"\" belongs to no stage"},
	{WITH_STATUS("\"running\""), 65, "accepted: creating, created (createRuntime), stopped"},
	{WITH_STATUS("\"starting\""), 65, "status \"starting\""},
	{WITH_STATUS("\"Created\""), 65, "status \"Created\""},
	{WITH_STATUS("\"created \""), 65, "status \"created \""},
	{WITH_STATUS("\"stopped\\n\""), 65, "status \"stopped\\n\""},

	{"{\"id\":\"c1\",\"status\":\"created\",\"bundle\":\"/b\"}", 65, "pid is missing"},
	{WITH_PID("0"), 65, "pid 0 is out of range; accepted: 2 to 4194303"},
	{WITH_PID("-0"), 65, "pid 0 is out of range"},
	{WITH_PID("-1"), 65, "pid -1 is out of range"},
	{WITH_PID("1"), 65, "pid 1 is out of range"},
	{WITH_PID("4194304"), 65, "pid 4194304 is out of range"},
	{WITH_PID("4294967298"), 65, "out of range"}, /* 2 if cut to 32 bits */
	{WITH_PID("18446744073709551618"), 65, "pid is not an integer"},
	{WITH_PID("\"4242\""), 65, "pid is not an integer"},
	{WITH_PID("4242.0"), 65, "pid is not an integer"},
	{WITH_PID("4.2e3"), 65, "pid is not an integer"},
	{WITH_PID("true"), 65, "pid is not an integer"},
	{WITH_PID("null"), 65, "pid is not an integer"},
	{WITH_PID("[4242]"), 65, "pid is not an integer"},

	{"{\"id\":\"c1\",\"status\":\"created\",\"pid\":42}", 65, "bundle is missing"},
	{WITH_BUNDLE("null"), 65, "bundle is not a string"},
	{WITH_BUNDLE("{}"), 65, "bundle is not a string"},
	{WITH_BUNDLE("\"\""), 65, "bundle \"\" is no absolute path"},
	{WITH_BUNDLE("\"b\""), 65, "bundle \"b\" is no absolute path"},
	{WITH_BUNDLE("\"./b\""), 65, "no absolute path"},
	{WITH_BUNDLE("\" /b\""), 65, "no absolute path"},
	{WITH_BUNDLE("\"/b\\u0000\""), 65, "\\u0000"},
	{WITH_BUNDLE("\"/" A1024 A1024 A1024 A1024 "\""), 65, "no absolute path"},

	{"{\"ociVersion\":1,\"id\":\"c1\",\"status\":\"created\"}", 65, "ociVersion is not a string"},
	{WITH("[]"), 65, "annotations is not an object"},
	{WITH("null"), 65, "annotations is not an object"},
	{WITH("\"deployfence\""), 65, "annotations is not an object"},
	{WITH("{\"deployfence\":true}"), 65, "annotation \"deployfence\" is not a string"},
	{WITH("{\"deployfence\":null}"), 65, "annotation \"deployfence\" is not a string"},
	{WITH("{\"other\\n\":1}"), 65, "annotation \"other\\n\" is not a string"},
	{WITH("{\"deployfence\":{\"policy\":\"x\"}}"), 65, "is not a string"},
};

/* clang-format on */

static void test_bad_state(void **state)
{
	(void)state;
	df_case_check(bad_states, ARRAY_SIZE(bad_states));
}

/* No prefix of a good state is a good state; nor is one that is too long or too deep. */
static void test_cut_and_huge(void **state)
{
	static const char good[] =
		WITH("{\"deployfence\":\"enforce\",\"deployfence.owner\":\"\\ud83d"
		     "\\ude00\"}");
	char deep[256] = "{\"id\":\"c1\",\"x\":";
	char *huge = malloc(DF_OCI_JSON_MAX + 1);
	struct df_state s;

	(void)state;
	assert_non_null(huge);
	for (size_t len = 0; len < sizeof(good) - 1; len++)
		df_case_refused(good, len, 65, "state: ");
	memset(huge, ' ', DF_OCI_JSON_MAX);
	huge[DF_OCI_JSON_MAX] = '\0';
	memcpy(huge, good, sizeof(good) - 1);
	s = df_case_accepted(huge);
	df_state_done(&s);
	huge[DF_OCI_JSON_MAX] = ' ';
	df_case_refused(huge, DF_OCI_JSON_MAX + 1, 65, "longer than the limit of 1048576 octets");
	free(huge);
	memset(deep + strlen(deep), '[', 32);
	df_case_refused(deep, strlen(deep), 65, "nested too deep");
}

static void test_limits(void **state)
{
	struct df_state s = df_case_accepted(WITH_ID("\"" A128 "\""));

	(void)state;
	assert_int_equal(strlen(s.id), 128);
	assert_int_equal(s.pid, 4242);
	df_state_done(&s);
	s = df_case_accepted(WITH_ID("\"a+B_9.-..\""));
	assert_string_equal(s.id, "a+B_9.-..");
	df_state_done(&s);
	s = df_case_accepted(WITH_PID("2"));
	assert_int_equal(s.pid, 2);
	df_state_done(&s);
	s = df_case_accepted(WITH_PID("4194303"));
	assert_int_equal(s.pid, 4194303);
	df_state_done(&s);
	s = df_case_accepted(WITH_BUNDLE("\"/a b/\\u00e9\\n\""));
	assert_string_equal(s.bundle, "/a b/\xc3\xa9\n");
	df_state_done(&s);
	s = df_case_accepted(WITH("{\"deployfence.policy\":\"" A128
				  "\",\"deployfence.owner\":\"" A1024 "\","
				  "\"deployfence.x-aaaa" TEN("aaaaaa") "\":\"" A1024 "\"}"));
	assert_int_equal(strlen(s.annotations.policy), 128);
	assert_int_equal(strlen(s.annotations.owner), 1024);
	assert_int_equal(s.annotations.n_x, 1);
	assert_int_equal(strlen(s.annotations.x[0].key), 66);
	assert_int_equal(strlen(s.annotations.x[0].value), 1024);
	df_state_done(&s);
}

static void check_stopped(const char *text, const char *bundle)
{
	struct df_state s = df_case_accepted(text);

	assert_string_equal(s.id, "c1");
	assert_int_equal(s.status, DF_STATUS_STOPPED);
	assert_int_equal(s.pid, 0);
	assert_int_equal(s.annotations.ask, DF_ASK_NONE);
	if (bundle)
		assert_string_equal(s.bundle, bundle);
	else
		assert_null(s.bundle);
	df_state_done(&s);
}

/* Clean-up must not hang on anything but the id. */
static void test_stopped(void **state)
{
	static const struct df_case bad[] = {
		{STATE("\"..\"", "\"stopped\"", "0", "\"/b\"", "{}"), 65, "bad id"},
		{"{\"status\":\"stopped\"}", 65, "id is missing"},
		{"{\"id\":\"c1\",\"status\":\"stopped\",\"status\":\"created\"}", 65, "duplicate"},
	};

	(void)state;
	check_stopped(STOPPED("{}"), "/b");
	check_stopped(STOPPED("{\"deployfence\":\"on\",\"deployfence.policy\":\"ci\"}"), "/b");
	check_stopped(STOPPED("{\"deployfence\":\"On\"}"), "/b");
	check_stopped(STOPPED("{\"Deployfence-x\":\"\",\"deployfence.shadow\":\"a\"}"), "/b");
	check_stopped(STOPPED("{\"deployfence\":1}"), "/b");
	check_stopped(STOPPED("null"), "/b");
	check_stopped("{\"id\":\"c1\",\"status\":\"stopped\"}", NULL);
	check_stopped("{\"id\":\"c1\",\"status\":\"stopped\",\"pid\":-1,\"bundle\":7}", NULL);
	df_case_check(bad, ARRAY_SIZE(bad));
}

/* runc restore: the caller must look whether the process lives, and then needs all of it. */
static void test_stopped_with_pid(void **state)
{
	struct df_state s = df_case_accepted(STATE("\"c1\"", "\"stopped\"", "4242", "\"/b\"",
						   "{\"deployfence.policy\":\"ci\"}"));
	char error[DF_OCI_ERROR_MAX];
	static const char no_bundle[] = "{\"id\":\"c1\",\"status\":\"stopped\",\"pid\":4242}";
	static const char typo[] =
		STATE("\"c1\"", "\"stopped\"", "4242", "\"/b\"", "{\"deployfence\":\"On\"}");

	static const char one[] = STATE("\"c1\"", "\"stopped\"", "1", "\"/b\"", "{}");
	static const char text[] = STATE("\"c1\"", "\"stopped\"", "\"42\"", "\"/b\"", "{}");

	(void)state;
	assert_int_equal(s.status, DF_STATUS_STOPPED);
	assert_int_equal(s.pid, 4242);
	assert_int_equal(s.annotations.ask, DF_ASK_ON);
	assert_string_equal(s.annotations.policy, "ci");
	df_state_done(&s);
	/* refused only if it lives: id and pid are known by then */
	assert_int_equal(df_state_parse(no_bundle, strlen(no_bundle), &s, error), 65);
	assert_string_equal(error, "state: bundle is missing");
	assert_string_equal(s.id, "c1");
	assert_int_equal(s.pid, 4242);
	df_state_done(&s);
	assert_int_equal(df_state_parse(typo, strlen(typo), &s, error), 64);
	assert_int_equal(s.pid, 4242);
	df_state_done(&s);
	assert_int_equal(df_state_parse(one, strlen(one), &s, error), 65);
	assert_string_equal(error, "state: pid 1 is out of range; accepted: 2 to 4194303");
	assert_int_equal(df_state_parse(text, strlen(text), &s, error), 65);
	assert_string_equal(error, "state: pid is not an integer");
}

static void check_real(const char *text, enum df_state_status status, pid_t pid, enum df_ask ask)
{
	struct df_state s = df_case_accepted(text);

	assert_string_equal(s.id, ID);
	assert_string_equal(s.bundle,
			    "/var/lib/containers/storage/overlay-containers/" ID "/userdata");
	assert_int_equal(s.status, status);
	assert_int_equal(s.pid, pid);
	assert_int_equal(s.annotations.ask, ask);
	df_state_done(&s);
}

/* clang-format off */
#define BUNDLE "/var/lib/containers/storage/overlay-containers/" ID "/userdata"

static const char crun_1_8[] =
	"{\"ociVersion\":\"1.0\",\"id\":\"" ID "\",\"pid\":266767,\"root\":\"/var/lib/containers/"
	"storage/overlay/aa/merged\",\"bundle\":\"" BUNDLE "\",\"status\":\"created\","
	"\"annotations\":{\"deployfence\":\"on\",\"io.container.manager\":\"libpod\","
	"\"io.kubernetes.cri-o.Created\":\"2026-01-02T03:04:05.678901234Z\","
	"\"io.kubernetes.cri-o.TTY\":\"false\",\"io.podman.annotations.autoremove\":\"TRUE\","
	"\"org.opencontainers.image.stopSignal\":\"15\"}}";

static const char crun_1_28[] =
	"{\n  \"ociVersion\": \"1.0\",\n  \"id\": \"" ID "\",\n  \"pid\": 266767,\n"
	"  \"root\": \"rootfs\",\n"
	"  \"bundle\": \"\\/var\\/lib\\/containers\\/storage\\/overlay-containers\\/" ID "\\/userdata\",\n"
	"  \"status\": \"created\",\n  \"annotations\": {\n    \"deployfence\": \"enforce\",\n"
	"    \"deployfence.owner\": \"https:\\/\\/ci.example\\/job\\/7\"\n  }\n}\n";

static const char runc[] =
	"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"" ID "\",\"status\":\"creating\",\"pid\":266767,"
	"\"bundle\":\"" BUNDLE "\",\"annotations\":{\"deployfence\":\"audit\"}}";

static const char runc_bare[] =
	"{\"ociVersion\":\"1.2.0\",\"id\":\"" ID "\",\"status\":\"creating\",\"pid\":266767,"
	"\"bundle\":\"" BUNDLE "\"}";

static const char podman_poststop[] =
	"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"" ID "\",\"status\":\"stopped\","
	"\"bundle\":\"" BUNDLE "\",\"annotations\":{\"io.container.manager\":\"libpod\"}}";

static const char crun_poststop[] =
	"{\"ociVersion\":\"1.0\",\"id\":\"" ID "\",\"pid\":0,\"root\":\"rootfs\",\"bundle\":\"" BUNDLE
	"\",\"status\":\"stopped\",\"annotations\":{\"deployfence\":\"on\"}}";
/* clang-format on */

static void test_real(void **state)
{
	struct df_state s;

	(void)state;
	check_real(crun_1_8, DF_STATUS_CREATE, 266767, DF_ASK_ON);
	check_real(crun_1_28, DF_STATUS_CREATE, 266767, DF_ASK_ENFORCE);
	check_real(runc, DF_STATUS_CREATE, 266767, DF_ASK_AUDIT);
	check_real(runc_bare, DF_STATUS_CREATE, 266767, DF_ASK_NONE);
	check_real(podman_poststop, DF_STATUS_STOPPED, 0, DF_ASK_NONE);
	check_real(crun_poststop, DF_STATUS_STOPPED, 0, DF_ASK_NONE);

	s = df_case_accepted(crun_1_28);
	assert_string_equal(s.annotations.owner, "https://ci.example/job/7");
	df_state_done(&s);
	/* containerd CRI with pod_annotations=["deployfence", "deployfence.*"] */
	s = df_case_accepted(
		"{\"ociVersion\":\"1.1.0\",\"id\":\"" ID "\",\"status\":\"creating\",\"pid\":9001,"
		"\"bundle\":\"/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "\","
		"\"annotations\":{\"deployfence\":\"on\",\"deployfence.policy\":\"ci\","
		"\"io.kubernetes.cri.container-type\":\"container\","
		"\"io.kubernetes.cri.sandbox-name\":\"web-0\"}}");
	assert_string_equal(s.annotations.policy, "ci");
	assert_int_equal(s.pid, 9001);
	df_state_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_state),        cmocka_unit_test(test_cut_and_huge),
		cmocka_unit_test(test_limits),           cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_stopped_with_pid), cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
