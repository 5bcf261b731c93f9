/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/conf.h"

static const struct {
	const char *text;
	const char *want; /* messages; NULL: none */
} message_rows[] = {
	{"", NULL},
	{"# nothing\r\n", NULL},
	/* default-policy */
	{"default-policy strict\n", NULL},
	{"default-policy\n", "c:1:15: 'default-policy' needs the name of a policy\n"},
	{"default-policy ../x\n", "c:1:16: bad policy name '../x'; write letters, digits, '.', '_' "
				  "and '-', a letter or digit first, at most 128\n"},
	{"default-policy a b\n", "c:1:18: unexpected 'b'; one name only\n"},
	{"default-policy a\ndefault-policy a\n",
	 "c:2:1: 'default-policy' is set twice; line 1 has set it\n"},
	/* fail */
	{"fail open\n", NULL},
	{"fail Closed\n", "c:1:6: unknown value 'Closed'; write closed | open\n"},
	{"fail\n", "c:1:5: 'fail' needs closed | open\n"},
	{"fail open closed\n", "c:1:11: unexpected 'closed'; one value only\n"},
	{"fail open\nfail closed\n", "c:2:1: 'fail' is set twice; line 1 has set it\n"},
	/* log */
	{"log journal syslog file # all\n", NULL},
	{"log none\n", NULL},
	{"log\n", "c:1:4: 'log' needs journal | syslog | file | none\n"},
	{"log stderr\n", "c:1:5: unknown value 'stderr'; write journal | syslog | file | none\n"},
	{"log file file\n", "c:1:10: 'file' twice; write it once\n"},
	{"log none none\n", "c:1:10: 'none' twice; write it once\n"},
	{"log file none\n", "c:1:10: 'none' beside a destination; write one or the other\n"},
	{"log none file\n", "c:1:10: 'none' beside a destination; write one or the other\n"},
	{"log file\nlog journal\n", "c:2:1: 'log' is set twice; line 1 has set it\n"},
	/* annotations */
	{"annotations deployfence deployfence.policy deployfence.x-job\n", NULL},
	{"annotations\n", "c:1:12: 'annotations' needs annotation keys\n"},
	{"annotations deployfence policy\n",
	 "c:1:25: unknown annotation 'policy'; write deployfence, deployfence.policy, .shadow, "
	 ".fail, .log, .containers, .owner or .x-…\n"},
	{"annotations deployfence.x-\n",
	 "c:1:13: unknown annotation 'deployfence.x-'; write deployfence, deployfence.policy, "
	 ".shadow, .fail, .log, .containers, .owner or .x-…\n"},
	/* annotations-may-weaken */
	{"annotations-may-weaken no\n", NULL},
	{"annotations-may-weaken false\n", "c:1:24: unknown value 'false'; write yes | no\n"},
	/* selectable-policies, base-policy */
	{"selectable-policies a b\n", NULL},
	{"selectable-policies\n", "c:1:20: 'selectable-policies' needs names of policies\n"},
	{"selectable-policies a -b\n", "c:1:23: bad policy name '-b'; write letters, digits, '.', "
				       "'_' and '-', a letter or digit first, at most 128\n"},
	{"base-policy base\n", NULL},
	{"base-policy .\n", "c:1:13: bad policy name '.'; write letters, digits, '.', '_' and "
			    "'-', a letter or digit first, at most 128\n"},
	/* on-policy-error */
	{"on-policy-error refuse\n", NULL},
	{"on-policy-error ignore\n", "c:1:17: unknown value 'ignore'; write last-good | refuse\n"},
	/* report-dir, report-keep */
	{"report-dir \"/srv/my reports\"\n", NULL},
	{"report-dir reports\n", "c:1:12: not an absolute path; write one from '/'\n"},
	{"report-dir\n", "c:1:11: 'report-dir' needs a directory\n"},
	{"report-dir /a /b\n", "c:1:15: unexpected '/b'; one directory only\n"},
	{"report-keep 1s 16MiB\n", NULL},
	{"report-keep 30d 16383KiB\n", "c:1:17: too small; at least 16MiB\n"},
	{"report-keep 30d\n", "c:1:16: 'report-keep' needs a size too, as 30d 1GiB\n"},
	{"report-keep\n", "c:1:12: 'report-keep' needs a duration and a size, as 30d 1GiB\n"},
	{"report-keep 1GiB 30d\n",
	 "c:1:13: bad duration '1GiB'; write a number and s, m, h or d, as 1h\n"},
	{"report-keep 30d 1GB\n",
	 "c:1:17: bad size '1GB'; write a number and KiB, MiB, GiB or TiB, as 1GiB\n"},
	{"report-keep 30d 99999999999999999999TiB\n",
	 "c:1:17: bad size '99999999999999999999TiB'; write a number and KiB, MiB, GiB or TiB, as "
	 "1GiB\n"},
	{"report-keep 30d 1GiB 2GiB\n", "c:1:22: unexpected '2GiB'; a duration and a size only\n"},
	/* unknown */
	{"default-polcy a\nmode audit\n",
	 "c:1:1: unknown statement 'default-polcy'; did you mean 'default-policy'?\n"
	 "c:2:1: unknown statement 'mode'; statements are annotations, annotations-may-weaken, "
	 "selectable-policies, default-policy, base-policy, on-policy-error, fail, log, "
	 "report-dir, report-keep\n"},
	{"fail \xff\n", "c:1:6: octet 0xff is not UTF-8; save the file as UTF-8\n"},
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(message_rows); i++) {
		const char *text = message_rows[i].text, *want = message_rows[i].want;
		struct df_conf_host conf = {.fail = 42};
		_cleanup_free_ char *got = NULL;
		int r = df_conf_parse("c", text, strlen(text), &conf, &got);

		if ((got || want) && (!got || !want || strcmp(got, want) != 0))
			fail_msg("%s\nwanted: %s\ngot: %s", text, want ? want : "nothing",
				 got ? got : "nothing");
		assert_int_equal(r, want ? -EINVAL : 0);
		/* Untouched on failure. */
		assert_int_equal((int)conf.fail == 42, r < 0);
	}
}

static void test_values(void **state)
{
	static const struct {
		const char *text, *policy;
		enum df_conf_fail fail;
		unsigned log;
	} rows[] = {
		{"", "default", DF_HOST_FAIL_CLOSED, DF_CONF_LOG_JOURNAL},
		{"fail open\n", "default", DF_HOST_FAIL_OPEN, DF_CONF_LOG_JOURNAL},
		{"fail closed\nlog none", "default", DF_HOST_FAIL_CLOSED, 0},
		{"log syslog file\ndefault-policy A.b_c-1\n", "A.b_c-1", DF_HOST_FAIL_CLOSED,
		 DF_CONF_LOG_SYSLOG | DF_CONF_LOG_FILE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_conf_host conf;
		char *messages;

		assert_int_equal(
			df_conf_parse("c", rows[i].text, strlen(rows[i].text), &conf, &messages),
			0);
		assert_null(messages);
		assert_string_equal(conf.default_policy, rows[i].policy);
		assert_int_equal(conf.fail, rows[i].fail);
		assert_int_equal(conf.log, rows[i].log);
	}
}

static void test_demands(void **state)
{
	static const char text[] = "annotations deployfence deployfence.x-job\n"
				   "annotations-may-weaken no\n"
				   "selectable-policies a b.c\n"
				   "on-policy-error refuse\n";
	static struct df_conf_host conf;
	char *messages;

	(void)state;
	df_conf_init(&conf);
	assert_true(conf.may_weaken);
	assert_false(conf.has_annotations || conf.refuse_on_policy_error);
	assert_int_equal(df_conf_parse("c", text, strlen(text), &conf, &messages), 0);
	assert_true(conf.has_annotations && conf.refuse_on_policy_error);
	assert_false(conf.may_weaken);
	assert_true(df_conf_has_name(&conf.annotations, "deployfence.x-job"));
	assert_false(df_conf_has_name(&conf.annotations, "deployfence.x-jobs"));
	assert_true(df_conf_has_name(&conf.selectable, "a"));
	assert_true(df_conf_has_name(&conf.selectable, "b.c"));
	assert_false(df_conf_has_name(&conf.selectable, "b"));
}

/* One more than fits, and as many as fit. */
static void test_many_names(void **state)
{
	static struct df_conf_host conf;

	(void)state;
	for (unsigned n = DF_CONF_NAMES_MAX; n <= DF_CONF_NAMES_MAX + 1; n++) {
		char text[1024] = "";
		_cleanup_free_ char *messages = NULL;
		size_t pos = 0;

		df_append(text, sizeof(text), &pos, "selectable-policies");
		for (unsigned i = 0; i < n; i++)
			df_append(text, sizeof(text), &pos, " p%u", i);
		assert_int_equal(df_conf_parse("c", text, pos, &conf, &messages),
				 n > DF_CONF_NAMES_MAX ? -EINVAL : 0);
	}
}

/* A directory of the test's own, and a file in it. */
struct place {
	char dir[32], path[64];
};

static int set_up(void **state)
{
	static struct place place;

	(void)snprintf(place.dir, sizeof(place.dir), "/tmp/df-conf-XXXXXX");
	if (!mkdtemp(place.dir))
		return -1;
	(void)snprintf(place.path, sizeof(place.path), "%s/file", place.dir);
	*state = &place;
	return 0;
}

static int tear_down(void **state)
{
	const struct place *place = *state;

	(void)unlink(place->path); /* not every test leaves it */
	return rmdir(place->dir);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_load(void **state)
{
	const struct place *place = *state;
	struct df_conf_host conf;
	char *messages, want[128];

	assert_int_equal(df_conf_load(place->path, &conf, &messages), 0);
	assert_null(messages);
	assert_string_equal(conf.default_policy, "default");
	assert_int_equal(conf.fail, DF_HOST_FAIL_CLOSED);
	assert_int_equal(conf.log, DF_CONF_LOG_JOURNAL);

	write_file(place->path, "fail open\n");
	assert_int_equal(df_conf_load(place->path, &conf, &messages), 0);
	assert_int_equal(conf.fail, DF_HOST_FAIL_OPEN);

	write_file(place->path, "\nfail x\n");
	assert_int_equal(df_conf_load(place->path, &conf, &messages), -EINVAL);
	(void)snprintf(want, sizeof(want), "%s:2:6: unknown value 'x'; write closed | open\n",
		       place->path);
	assert_string_equal(messages, want);
	free(messages);

	/* What is there but no file is an error, not "missing". */
	assert_int_equal(df_conf_load(place->dir, &conf, &messages), -EINVAL);
	(void)snprintf(want, sizeof(want), "%s: not a regular file\n", place->dir);
	assert_string_equal(messages, want);
	free(messages);
}

#define NOW 1767225600 /* 2026-01-01T00:00:00Z */

#define NONE DF_CONF_SWITCH_NONE
#define THROWN DF_CONF_SWITCH_THROWN
#define VOID DF_CONF_SWITCH_VOID

static void test_switch(void **state)
{
	static const struct {
		const char *text;
		enum df_conf_switch want;
		const char *said; /* with NONE nothing */
	} rows[] = {
		{"reason incident 4711\n", THROWN, "incident 4711"},
		{"  reason\t two  words \r\n", THROWN, "two  words"},
		{"reason a \"b\"\x1b[0m\n", THROWN, "a \\\"b\\\"\\x1b[0m"},
		{"# why\n\n reason x\n\t# who\n", THROWN, "x"},
		{"reason x", THROWN, "x"},
		{"reason # no comment\n", THROWN, "# no comment"},
		/* the end */
		{"until 2026-01-01T00:00:01Z\nreason x\n", THROWN, "x"},
		{"until 2026-01-01T01:00:01+01:00\nreason x\n", THROWN, "x"},
		{"until 2026-01-01T00:00:00Z\nreason x\n", NONE, NULL},
		{"reason x\nuntil 2025-12-31T23:59:59Z", NONE, NULL},
		{"reason x\nuntil 2026-01-01T01:00:00+01:00\n", NONE, NULL},
		/* what a runtime, or touch, leaves there */
		{"", VOID, "it is empty"},
		{"\n\n", VOID, "it names no reason"},
		{"# reason x\n", VOID, "it names no reason"},
		{"until 2026-01-01T00:00:01Z\n", VOID, "it names no reason"},
		{"deployfence: container x refused: reason y\n", VOID, "line 1: neither 'reason"},
		{"reason x\nmore\n", VOID, "line 2: neither 'reason"},
		{"reasons x\n", VOID, "line 1: neither"},
		{"Reason x\n", VOID, "line 1: neither"},
		{"\xef\xbb\xbfreason x\n", VOID, "line 1: neither"},
		{"reason x\runtil 2025-12-31T23:59:59Z\r", VOID, "line 1: a carriage return"},
		{"# x\rreason x\r", VOID, "line 1: a carriage return"},
		{"reason x\r\nuntil 2026-01-01T00:00:01Z\r\n", THROWN, "x"},
		{"reason\n", VOID, "line 1: a reason without a text"},
		{"reason   \n", VOID, "line 1: a reason without a text"},
		{"reason a\nreason b\n", VOID, "line 2: a second reason"},
		{"reason x\nuntil yesterday\n", VOID, "line 2: 'until' needs a time such as 2026"},
		{"reason x\nuntil\n", VOID, "line 2: 'until' needs"},
		{"reason x\nuntil 2025-12-31\n", VOID, "line 2: 'until' needs"},
		{"reason x\nuntil 2025-12-31T23:59:59\n", VOID, "line 2: 'until' needs"},
		{"reason x\nuntil 2027-01-01T00:00:00Z\nuntil 2027-02-01T00:00:00Z\n", VOID,
		 "line 3: a second 'until'"},
	};
	const struct place *place = *state;
	char text[DF_CONF_SWITCH_TEXT_MAX];

	assert_int_equal(df_conf_switch(place->path, NOW, text), NONE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_file(place->path, rows[i].text);
		if (df_conf_switch(place->path, NOW, text) != rows[i].want)
			fail_msg("%s", rows[i].text);
		if (rows[i].want == THROWN)
			assert_string_equal(text, rows[i].said);
		if (rows[i].want == VOID && strncmp(text, rows[i].said, strlen(rows[i].said)) != 0)
			fail_msg("%s: %s", rows[i].text, text);
	}
}

/* Others could have written it, a directory, a dangling link, a link to a good one. */
static void test_switch_of_others(void **state)
{
	const struct place *place = *state;
	char text[DF_CONF_SWITCH_TEXT_MAX], good[512];

	write_file(place->path, "reason x\n");
	assert_int_equal(chmod(place->path, 0664), 0);
	assert_int_equal(df_conf_switch(place->path, NOW, text), VOID);
	assert_non_null(strstr(text, "can be written by others"));
	assert_non_null(strstr(text, "chmod go-w "));
	assert_int_equal(chmod(place->path, 0600), 0);
	assert_int_equal(df_conf_switch(place->path, NOW, text), THROWN);
	assert_int_equal(chmod(place->dir, 0777), 0);
	assert_int_equal(df_conf_switch(place->path, NOW, text), VOID);
	assert_int_equal(chmod(place->dir, 0700), 0);

	assert_int_equal(df_conf_switch(place->dir, NOW, text), VOID);
	assert_string_equal(text, "it is no regular file");
	(void)snprintf(good, sizeof(good), "%s.good", place->path);
	assert_int_equal(rename(place->path, good), 0);
	assert_int_equal(symlink("nowhere", place->path), 0);
	assert_int_equal(df_conf_switch(place->path, NOW, text), VOID);
	assert_string_equal(text, "it is a link to a file that is missing");
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(symlink(good, place->path), 0);
	assert_int_equal(df_conf_switch(place->path, NOW, text), THROWN);
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(unlink(good), 0);
}

static void test_switch_long_reason(void **state)
{
	const struct place *place = *state;
	char reason[2000] = "reason ", text[DF_CONF_SWITCH_TEXT_MAX];
	size_t n = strlen(reason);

	memset(reason + n, 'y', sizeof(reason) - n - 1);
	write_file(place->path, reason);
	assert_int_equal(df_conf_switch(place->path, NOW, text), THROWN);
	assert_int_equal(strlen(text), DF_CONF_REASON_MAX - 1);
}

static void test_time(void **state)
{
	static const struct {
		const char *text;
		time_t want; /* -1: refused */
	} rows[] = {
		{"2026-01-01T00:00:00Z", NOW},
		{"2026-01-01t00:00:00z", NOW},
		{"2026-01-01 00:00:00Z", NOW},
		{"2026-01-01T00:00:00.123456Z", NOW},
		{"2026-01-01T05:30:00+05:30", NOW},
		{"2025-12-31T20:00:00-04:00", NOW},
		{"2026-01-01T00:00:00-00:00", NOW},
		{"2025-12-31T23:59:60Z", NOW},
		{"2024-02-29T00:00:00Z", 1709164800},
		{"2000-02-29T00:00:00Z", 951782400},
		{"1970-01-01T00:00:00Z", 0},
		{"", -1},
		{"2026-01-01", -1},
		{"2026-01-01T00:00:00", -1},
		{"2026-01-01T00:00Z", -1},
		{"2026-01-01T00:00:00.Z", -1},
		{"2026-01-01T00:00:00ZZ", -1},
		{"2026-01-01T00:00:00+0100", -1},
		{"2026-01-01T00:00:00+24:00", -1},
		{"2026-01-01T00:00:00+01:60", -1},
		{"2026-1-1T00:00:00Z", -1},
		{"2026-00-01T00:00:00Z", -1},
		{"2026-13-01T00:00:00Z", -1},
		{"2026-01-00T00:00:00Z", -1},
		{"2026-04-31T00:00:00Z", -1},
		{"2025-02-29T00:00:00Z", -1},
		{"1900-02-29T00:00:00Z", -1},
		{"2026-01-01T24:00:00Z", -1},
		{"2026-01-01T00:60:00Z", -1},
		{"2026-01-01T00:00:61Z", -1},
		{"+026-01-01T00:00:00Z", -1},
		{"1969-12-31T23:59:59Z", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].text);
		_cleanup_free_ char *copy = malloc(len ? len : 1); /* exact, for ASan */
		time_t got = 42;
		int r;

		assert_non_null(copy);
		memcpy(copy, rows[i].text, len);
		r = df_conf_parse_time(copy, len, &got);
		if (r != (rows[i].want < 0 ? -EINVAL : 0) ||
		    got != (rows[i].want < 0 ? 42 : rows[i].want))
			fail_msg("%s: %d, %lld", rows[i].text, r, (long long)got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_demands),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test_setup_teardown(test_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_switch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_switch_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_switch_long_reason, set_up, tear_down),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
