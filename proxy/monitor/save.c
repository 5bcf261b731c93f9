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
#include "lib/event/reports.h"
#include "proxy/monitor/monitor.h"

#define EVERY_NS (24ull * 3600 * 1000000000)
#define MESSAGE_MAX 512

/* A signal handler has nowhere else to write to. */
static volatile sig_atomic_t is_asked;

static void ask(int signal_number)
{
	(void)signal_number;
	is_asked = 1;
}

static int keep(const struct df_monitor *m)
{
	return df_reports_keep(DF_FD_REPORTS, DF_FD_RUN, m->meta->job.id, &m->meta->report_limits);
}

static void tell_failure(struct df_monitor *m, const char *why)
{
	char text[MESSAGE_MAX];

	(void)snprintf(text, sizeof(text), "events could not be kept in report-dir: %s", why);
	df_record_warning(&m->record, "report_failed", text);
}

void df_save_init(struct df_monitor *m)
{
	const struct sigaction on_term = {.sa_handler = ask};

	m->next_save_ns = m->now_ns + EVERY_NS;
	(void)sigaction(SIGTERM, &on_term, NULL);
}

static void start(struct df_monitor *m)
{
	const pid_t monitor = getpid();
	int r;

	m->next_save_ns = m->now_ns + EVERY_NS;
	is_asked = 0;
	m->record.jsonl.is_rotated = false;
	m->saver = fork();
	if (m->saver != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != monitor)
		_exit(0);
	r = keep(m);
	_exit(r < 0 ? -r & 0x7f : 0); /* 1: something was kept */
}

static void reap(struct df_monitor *m, int flags)
{
	int status;

	if (m->saver <= 0 || waitpid(m->saver, &status, flags) != m->saver)
		return;
	m->saver = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		tell_failure(m, strerror(WEXITSTATUS(status)));
}

void df_save_step(struct df_monitor *m)
{
	reap(m, WNOHANG);
	if (m->saver <= 0 && m->meta->has_reports &&
	    (is_asked || m->record.jsonl.is_rotated || m->now_ns >= m->next_save_ns))
		start(m);
}

void df_save_last(struct df_monitor *m)
{
	int r;

	if (m->saver > 0)
		(void)kill(m->saver, SIGKILL);
	reap(m, 0);
	if (!m->meta->has_reports) {
		df_reports_note_unkept(DF_FD_RUN); /* the hook said why */
		return;
	}
	r = keep(m);
	if (r >= 0)
		return;
	tell_failure(m, strerror(-r));
	df_reports_note_unkept(DF_FD_RUN);
}
