/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events go from /run to report-dir: at the container's end; daily, since a reboot
 * takes /run; when a log was rotated, since the next rotation takes it; and when the
 * host shuts down, of which SIGTERM is all the notice there is.  As long as the container lives a
 * child does it: a disk that hangs must not stop the heart.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/base/util.h"
#include "lib/event/report_dir.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"

#define EVERY_NS (24ull * 3600 * 1000000000)
#define MESSAGE_MAX 512

/* A signal handler has nowhere else to write to. */
static volatile sig_atomic_t is_asked;

static void ask(int signal_number)
{
	(void)signal_number;
	is_asked = 1;
}

void df_save_init(struct df_save *s, uint64_t now_ns)
{
	const struct sigaction on_term = {.sa_handler = ask};

	s->next_ns = now_ns + EVERY_NS;
	(void)sigaction(SIGTERM, &on_term, NULL);
}

static int keep(const struct df_save *s)
{
	return df_reports_keep(DF_FD_REPORTS, DF_FD_RUN, s->meta->job.id, &s->meta->report_limits);
}

static void tell_failure(struct df_save *s, int error)
{
	char text[MESSAGE_MAX];

	(void)snprintf(text, sizeof(text), "events could not be kept in report-dir: %s",
		       strerror(error));
	df_record_warning(s->record, "report_failed", text);
}

static void reap(struct df_save *s, int flags)
{
	int status;

	if (s->child <= 0 || waitpid(s->child, &status, flags) != s->child)
		return;
	s->child = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		tell_failure(s, WEXITSTATUS(status));
}

void df_save_step(struct df_save *s, uint64_t now_ns)
{
	const pid_t monitor = getpid();
	int r;

	reap(s, WNOHANG);
	if (s->child > 0 || !s->meta->has_reports ||
	    (!is_asked && !s->record->jsonl.is_rotated && now_ns < s->next_ns))
		return;
	s->next_ns = now_ns + EVERY_NS;
	is_asked = 0;
	s->record->jsonl.is_rotated = false;
	s->child = fork();
	if (s->child != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != monitor)
		_exit(0);
	r = keep(s);
	_exit(r < 0 ? -r & 0x7f : 0); /* 1: something was kept */
}

void df_save_last(struct df_save *s)
{
	int r = 0;

	if (s->child > 0)
		(void)kill(s->child, SIGKILL);
	reap(s, 0);
	if (s->meta->has_reports)
		r = keep(s);
	if (r < 0)
		tell_failure(s, -r);
	if (r < 0 || !s->meta->has_reports) /* the hook said why there is no report-dir */
		df_reports_note_unkept(DF_FD_RUN);
}
