/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reports: each line of a fence is kept once, whatever dies when, and limits hold. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/event/report_dir.h"

#define KEPT_MAX 65536

static const struct df_report_limits wide = {.age_s = 86400, .octets = 1 << 30};

static char top[] = "/tmp/df-reports-XXXXXX", dir[64];
static int top_fd = -1, dir_fd = -1, run_fd = -1;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/df-reports-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top_fd < 0 || mkdirat(top_fd, "run", 0700) < 0)
		return -1;
	run_fd = openat(top_fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(dir, sizeof(dir), "%s/a/reports", top);
	dir_fd = df_reports_open(dir, true);
	return run_fd < 0 || dir_fd < 0;
}

static int list(int fd, bool is_removing)
{
	int n = 0, dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fdopendir(dup_fd);
	const struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n += entry->d_name[0] != '.';
		if (is_removing)
			assert_int_equal(unlinkat(fd, entry->d_name, 0), 0);
	}
	return n;
}

static int tear_down(void **state)
{
	(void)state;
	(void)list(dir_fd, true);
	(void)list(run_fd, true);
	(void)close(dir_fd);
	(void)close(run_fd);
	if (unlinkat(top_fd, "a/reports", AT_REMOVEDIR) || unlinkat(top_fd, "a", AT_REMOVEDIR) ||
	    unlinkat(top_fd, "run", AT_REMOVEDIR))
		return -1;
	(void)close(top_fd);
	return rmdir(top);
}

/* As lib/event/event.c writes it, as far as this module looks. */
static void append(const char *file, int second, const char *rest)
{
	_cleanup_close_ int fd =
		openat(run_fd, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "{\"schema\":1,\"time\":\"2026-01-31T12:00:%02d.000000Z\",%s", second,
			 rest);

	assert_int_equal(df_write_all(fd, line, (size_t)n), 0);
}

static int keep(void)
{
	return df_reports_keep(dir_fd, run_fd, "id", &wide);
}

/* What a file of the directory holds, "" if there is none. */
static const char *kept(const char *name)
{
	static char text[KEPT_MAX];

	if (df_read_small(dir_fd, name, text, sizeof(text)) < 0)
		text[0] = '\0';
	return text;
}

static void expect_rest(bool is_empty)
{
	struct df_reports_rest rest;

	assert_int_equal(df_reports_rest_open(dir_fd, run_fd, "id", &rest), 0);
	assert_int_equal(df_reports_rest_is_empty(&rest), is_empty);
	df_reports_rest_done(&rest);
}

#define LINE(second, rest) "{\"schema\":1,\"time\":\"2026-01-31T12:00:" second ".000000Z\"," rest
#define NAME(second) "20260131T1200" second ".000000Z-id.jsonl"

static void test_once(void **state)
{
	(void)state;
	assert_int_equal(keep(), 0); /* no file yet */
	expect_rest(true);
	append("events.jsonl", 1, "1}\n");
	append("events.jsonl", 2, "2}\n");
	expect_rest(false);
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("01")), LINE("01", "1}\n") LINE("02", "2}\n"));
	expect_rest(true);
	assert_int_equal(keep(), 0);
	/* the next run of lines is a file of its own */
	append("events.jsonl", 3, "3}\n");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("03")), LINE("03", "3}\n"));
	assert_int_equal(list(dir_fd, false), 2);
}

static void rotate(void)
{
	assert_int_equal(renameat(run_fd, "events.jsonl", run_fd, "events.jsonl.1"), 0);
}

static void test_rotation(void **state)
{
	(void)state;
	append("events.jsonl", 1, "1}\n");
	assert_int_equal(keep(), 1);
	append("events.jsonl", 2, "2}\n");
	rotate();
	append("events.jsonl", 3, "3}\n");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("02")), LINE("02", "2}\n") LINE("03", "3}\n"));
	/* rotated since, nothing written: the mark is that of the old file now */
	rotate();
	expect_rest(true);
	assert_int_equal(keep(), 0);
	append("events.jsonl", 4, "4}\n");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("04")), LINE("04", "4}\n"));
	/* twice: what stood between is lost, what is there is new */
	append("events.jsonl", 5, "5}\n");
	rotate();
	append("events.jsonl", 6, "6}\n");
	rotate();
	append("events.jsonl", 7, "7}\n");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("06")), LINE("06", "6}\n") LINE("07", "7}\n"));
	assert_int_equal(list(dir_fd, false), 4);
}

static void test_crash(void **state)
{
	_cleanup_close_ int fd = -1;

	(void)state;
	append("events.jsonl", 1, "1}\n");
	append("events.jsonl", 2, "hal");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("01")), LINE("01", "1}\n"));
	/* the mark was not written: the same file again, with what came since */
	assert_int_equal(unlinkat(run_fd, "reported", 0), 0);
	expect_rest(false); /* the half line */
	append("events.jsonl", 3, "3}\n");
	assert_int_equal(keep(), 1);
	assert_string_equal(kept(NAME("01")),
			    LINE("01", "1}\n") LINE("02", "hal") LINE("03", "3}\n"));
	assert_int_equal(list(dir_fd, false), 1);
	/* whoever reads before the mark stands does not read twice */
	assert_int_equal(unlinkat(run_fd, "reported", 0), 0);
	expect_rest(true);
	/* a mark that is no mark, and what a writer left that died */
	fd = openat(run_fd, "reported", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(df_write_all(fd, "x", 1), 0);
	assert_int_equal(close(openat(dir_fd, "." NAME("01") ".new", O_WRONLY | O_CREAT, 0600)), 0);
	assert_int_equal(keep(), 1);
	assert_int_equal(list(dir_fd, false), 1);
	assert_string_equal(kept("." NAME("01") ".new"), "");
}

static void test_odd(void **state)
{
	char id[DF_REPORTS_ID_MAX + 1];
	_cleanup_close_ int fd = openat(run_fd, "events.jsonl", O_WRONLY | O_CREAT, 0600);

	(void)state;
	/* a line without a time is named by the present one */
	assert_int_equal(df_write_all(fd, "nonsense\n", 9), 0);
	assert_int_equal(keep(), 1);
	assert_int_equal(list(dir_fd, false), 1);
	/* nothing but a half line is nothing */
	assert_int_equal(df_write_all(fd, "half", 4), 0);
	assert_int_equal(keep(), 0);
	/* what cannot be the name of a file is none */
	assert_int_equal(df_write_all(fd, "line\n", 5), 0);
	assert_int_equal(df_reports_keep(dir_fd, run_fd, "a/b", &wide), -ENOENT);
	assert_int_equal(df_reports_keep(dir_fd, run_fd, "", &wide), -EINVAL);
	assert_int_equal(keep(), 1);
	assert_true(df_reports_id(NAME("01"), id));
	assert_string_equal(id, "id");
	assert_false(df_reports_id("20260131T120001.000000Z-.jsonl", id));
	assert_false(df_reports_id("20260131T120001.000000Z_id.jsonl", id));
	assert_false(df_reports_id("20260131-120001.000000Z-id.jsonl", id));
	assert_false(df_reports_id("id.jsonl", id));
	assert_false(df_reports_id("", id));
}

static void test_directory(void **state)
{
	_cleanup_close_ int fd = -1;

	(void)state;
	assert_int_equal(chmod(dir, 0755), 0);
	fd = df_reports_open(dir, false);
	assert_true(fd >= 0);
	assert_int_equal(chmod(dir, 0770), 0);
	assert_int_equal(df_reports_open(dir, false), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(df_reports_open("/tmp", true), geteuid() == 0 ? -EPERM : -EPERM);
	assert_int_equal(df_reports_open("/nowhere/a/b", false), -ENOENT);
	assert_int_equal(df_reports_open("/dev/null", true), -ENOTDIR);
}

/* A report of so many octets that is so old. */
static void put(const char *name, off_t octets, time_t age_s)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, octets), 0);
	assert_int_equal(futimens(fd, times), 0);
}

static bool is_there(const char *name)
{
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

static void keep_with(const struct df_report_limits *limits, int second)
{
	append("events.jsonl", second, "}\n");
	assert_int_equal(df_reports_keep(dir_fd, run_fd, "id", limits), 1);
}

static void test_age(void **state)
{
	const struct df_report_limits limits = {.age_s = 3600, .octets = 1 << 20};

	(void)state;
	put("20260101T000000.000000Z-old.jsonl", 10, 4000);
	put("20260101T000000.000000Z-young.jsonl", 10, 3000);
	put("20260101T000000.000000Z-future.jsonl", 10, -4000);
	put("notes.txt", 10, 4000);
	put(".20260101T000000.000000Z-x.jsonl.new", 10, 4000);
	put(".20260101T000000.000000Z-y.jsonl.new", 10, 10);
	keep_with(&limits, 1);
	assert_false(is_there("20260101T000000.000000Z-old.jsonl"));
	assert_true(is_there("20260101T000000.000000Z-young.jsonl"));
	assert_true(is_there("20260101T000000.000000Z-future.jsonl"));
	assert_true(is_there("notes.txt")); /* not ours */
	assert_false(is_there(".20260101T000000.000000Z-x.jsonl.new"));
	assert_true(is_there(".20260101T000000.000000Z-y.jsonl.new"));
	assert_true(is_there(NAME("01")));
	/* within the hour nobody looks again, unless the sum says so */
	put("20260101T000000.000000Z-old.jsonl", 10, 4000);
	keep_with(&limits, 2);
	assert_true(is_there("20260101T000000.000000Z-old.jsonl"));
	assert_int_equal(unlinkat(dir_fd, ".usage", 0), 0);
	keep_with(&limits, 3);
	assert_false(is_there("20260101T000000.000000Z-old.jsonl"));
}

static void test_size(void **state)
{
	const struct df_report_limits limits = {.age_s = 86400, .octets = 8000};
	char name[DF_REPORTS_NAME_MAX];

	(void)state;
	for (int i = 0; i < 7; i++) {
		(void)snprintf(name, sizeof(name), "20260101T000000.000000Z-%d.jsonl", i);
		put(name, 1000, 1000 - i);
	}
	keep_with(&limits, 1); /* 7 kB and a line */
	assert_true(is_there("20260101T000000.000000Z-0.jsonl"));
	for (int i = 2; is_there("20260101T000000.000000Z-0.jsonl") && i < 60; i++)
		keep_with(&limits, i);
	/* the sum passed 8000: down to 7000, the oldest first */
	assert_false(is_there("20260101T000000.000000Z-0.jsonl"));
	assert_false(is_there("20260101T000000.000000Z-1.jsonl"));
	assert_true(is_there("20260101T000000.000000Z-2.jsonl"));
	assert_true(is_there(NAME("01")));
	/* a report that is too big by itself goes, too, and a broken sum does not matter */
	put(".usage", 0, 0);
	put("20260101T000000.000000Z-7.jsonl", 9000, 500);
	keep_with(&limits, 59);
	assert_false(is_there("20260101T000000.000000Z-6.jsonl"));
	assert_false(is_there("20260101T000000.000000Z-7.jsonl"));
	assert_true(is_there(NAME("01")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_odd, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_size, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
