/* SPDX-License-Identifier: GPL-2.0-or-later */
/* save: when events are kept, by a clock of this test's.  Nothing is written. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/event/report_dir.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"

#define S 1000000000ull
#define DAY (86400 * S) /* what deployfence.events(5) promises */

static struct df_meta meta = {.job.id = "x", .has_reports = true};
static struct df_record record;
static struct df_save save;
static uint64_t now;
static int keep_result;
static unsigned n_failed, n_unkept;

/* In the child, but for the last time. */
int df_reports_keep(int dir_fd, int run_fd, const char *id, const struct df_report_limits *limits)
{
	assert_int_equal(dir_fd, DF_FD_REPORTS);
	assert_int_equal(run_fd, DF_FD_RUN);
	assert_string_equal(id, "x");
	assert_ptr_equal(limits, &meta.report_limits);
	return keep_result;
}

void df_reports_note_unkept(int run_fd)
{
	assert_int_equal(run_fd, DF_FD_RUN);
	n_unkept++;
}

void df_record_warning(struct df_record *r, const char *event, const char *message)
{
	assert_ptr_equal(r, &record);
	assert_string_equal(event, "report_failed");
	assert_non_null(strstr(message, strerror(ENOSPC)));
	n_failed++;
}

static int set_up(void **state)
{
	(void)state;
	record.jsonl.is_rotated = false;
	save = (struct df_save){.meta = &meta, .record = &record};
	now = 1000 * S;
	meta.has_reports = true;
	keep_result = 1; /* something was kept */
	n_failed = n_unkept = 0;
	df_save_init(&save, now);
	return 0;
}

/* Whether a step at this time keeps; then it is waited for. */
static bool keeps_at(uint64_t now_ns)
{
	siginfo_t info;

	now = now_ns;
	df_save_step(&save, now);
	if (save.child == 0)
		return false;
	assert_int_equal(waitid(P_PID, (id_t)save.child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	df_save_step(&save, now);
	assert_int_equal(save.child, 0);
	return true;
}

static void test_daily(void **state)
{
	const uint64_t start = now;

	(void)state;
	assert_false(keeps_at(start));
	assert_false(keeps_at(start + DAY - S));
	assert_true(keeps_at(start + DAY));
	assert_false(keeps_at(start + DAY));
	assert_false(keeps_at(start + 2 * DAY - S));
	assert_true(keeps_at(start + 2 * DAY));
	/* late, as on a host that slept: once, and a day from then */
	assert_true(keeps_at(start + 5 * DAY + 7 * S));
	assert_false(keeps_at(start + 6 * DAY + 6 * S));
	assert_true(keeps_at(start + 6 * DAY + 7 * S));
	assert_int_equal(n_failed, 0);
}

/* Each is one more time, and a day from then the next. */
static void test_asked(void **state)
{
	const uint64_t start = now;

	(void)state;
	assert_int_equal(raise(SIGTERM), 0);
	assert_true(keeps_at(start + S));
	assert_false(keeps_at(start + 2 * S));
	record.jsonl.is_rotated = true;
	assert_true(keeps_at(start + 3 * S));
	assert_false(keeps_at(start + 4 * S));
	assert_false(keeps_at(start + DAY + 2 * S));
	assert_true(keeps_at(start + DAY + 3 * S));
	/* the text log is not kept */
	record.text.is_rotated = true;
	assert_false(keeps_at(start + DAY + 4 * S));
}

/* A log that is rotated while one works: once more, when that is done. */
static void test_meanwhile(void **state)
{
	const uint64_t start = now;
	siginfo_t info;
	pid_t first;

	(void)state;
	now = start + DAY;
	df_save_step(&save, now);
	first = save.child;
	assert_true(first > 0);
	record.jsonl.is_rotated = true;
	assert_int_equal(waitid(P_PID, (id_t)first, &info, WEXITED | WNOWAIT), 0);
	assert_true(keeps_at(start + DAY));
	assert_false(record.jsonl.is_rotated);
	assert_false(keeps_at(start + DAY));
}

static void test_failures(void **state)
{
	(void)state;
	keep_result = -ENOSPC;
	assert_true(keeps_at(now + DAY));
	assert_int_equal(n_failed, 1);
	df_save_last(&save);
	assert_int_equal(n_failed, 2);
	assert_int_equal(n_unkept, 1);
	keep_result = 0;
	df_save_last(&save);
	assert_int_equal(n_failed, 2);
	assert_int_equal(n_unkept, 1);
}

static void test_nowhere(void **state)
{
	(void)state;
	meta.has_reports = false;
	record.jsonl.is_rotated = true;
	assert_false(keeps_at(now + 2 * DAY));
	df_save_last(&save);
	assert_int_equal(n_unkept, 1);
	assert_int_equal(n_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_daily, set_up),
		cmocka_unit_test_setup(test_asked, set_up),
		cmocka_unit_test_setup(test_meanwhile, set_up),
		cmocka_unit_test_setup(test_failures, set_up),
		cmocka_unit_test_setup(test_nowhere, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
