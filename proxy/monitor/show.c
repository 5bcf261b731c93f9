/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refusals on the container's own stderr: deployfence.events(5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/util.h"
#include "proxy/monitor/record_emit.h"

#define GIVE_UP_NS 30000000000ull

/* Once for each (command, name): a loop must not flood the deploy's output. */
static bool is_shown_first(struct df_record *r, const struct df_event_line *e)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *p = e->domain ? e->domain : e->reason; p && *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	if (e->who) {
		const char *cmd = e->who->cmd_len ? e->who->cmd : e->who->comm;

		for (size_t i = 0; i < (e->who->cmd_len ? e->who->cmd_len : DF_COMM_LEN); i++)
			h = (h ^ (uint8_t)cmd[i]) * 0x100000001b3ull;
	}
	for (unsigned i = 0; i < r->n_shown; i++)
		if (r->shown[i] == h)
			return false;
	if (r->n_shown == DF_RECORD_SHOWN_MAX)
		return false; /* enough is enough: the log has them all */
	r->shown[r->n_shown++] = h;
	return true;
}

static struct df_log_target target_of(const struct df_meta *meta)
{
	return (struct df_log_target){.is_pipe = meta->is_stderr_pipe,
				      .pidfd = DF_FD_PIDFD,
				      .dev = meta->stderr_dev,
				      .ino = meta->stderr_ino};
}

void df_record_show_init(struct df_record *r)
{
	const struct df_log_target target = target_of(r->meta);

	r->stderr_fd = r->meta->is_logged_to_stderr ? df_log_open_stderr(r->meta->init_pid, &target)
						    : -ENOENT;
}

/*
 * Never held open and never blocking.  The line goes to init's descriptor 2 while that is the pipe
 * of the start or a terminal; else to that pipe by the O_PATH descriptor of the start: a shell that
 * is init redirects its own stderr while `command 2>/dev/null` runs, and an init that ends has no
 * descriptors before its pidfd says so.  A line that waits for either is lost when conmon sees the
 * end first.  false: init's stderr is something else or closed, and nobody reads the pipe.
 */
static bool write_stderr(struct df_record *r, const char *text)
{
	const struct df_log_target target = target_of(r->meta);
	char line[DF_EVENT_TEXT_MAX + 16];
	int result = -ESRCH, kept = -ENOENT;

	(void)snprintf(line, sizeof(line), "deployfence: %s", text);
	if (!r->is_init_gone)
		result = df_log_process_stderr(r->meta->init_pid, &target, line);
	if (result != -EPERM && result != -ENOENT && result != -ESRCH) {
		r->n_unshown += result < 0; /* full, or nobody reads it: waiting is not ours */
		return true;
	}
	if (r->stderr_fd >= 0)
		kept = df_log_kept_stderr(r->stderr_fd, line);
	if (kept < 0 && kept != -EAGAIN && result != -ESRCH)
		return false;
	r->n_unshown += kept < 0;
	return true;
}

/* A terminal that init redirected may come back: such a line waits, but not for too long. */
static void keep(struct df_record *r, const char *text)
{
	if (r->n_kept == DF_RECORD_KEPT_MAX || r->is_stderr_reported) {
		r->is_kept_lost = true;
		r->n_unshown++;
		return;
	}
	if (r->n_kept == 0)
		r->kept_since_ns = df_now_ns();
	(void)snprintf(r->kept[r->n_kept++], sizeof(r->kept[0]), "%s", text);
}

void df_record_show(struct df_record *r, const struct df_event_line *e, const char *text)
{
	if (!r->meta->is_logged_to_stderr || !e->is_blocked || e->is_search ||
	    !is_shown_first(r, e))
		return;
	if (r->n_kept > 0 || !write_stderr(r, text))
		keep(r, text);
}

static void give_up(struct df_record *r)
{
	r->n_unshown += r->n_kept;
	r->n_kept = 0;
	if (r->is_stderr_reported)
		return;
	r->is_stderr_reported = true;
	df_record_life(r, "stderr_unavailable",
		       "the container's stderr is neither the pipe of its start nor a terminal");
}

bool df_record_retry(struct df_record *r, bool is_last)
{
	unsigned n = 0;

	while (n < r->n_kept && !r->is_init_gone && write_stderr(r, r->kept[n]))
		n++;
	memmove(r->kept[0], r->kept[n], (r->n_kept - n) * sizeof(r->kept[0]));
	r->n_kept -= n;
	if (r->n_kept > 0 &&
	    (is_last || r->is_init_gone || df_now_ns() - r->kept_since_ns > GIVE_UP_NS))
		give_up(r);
	if (r->n_kept == 0 && r->is_kept_lost)
		give_up(r);
	return r->n_kept > 0;
}
