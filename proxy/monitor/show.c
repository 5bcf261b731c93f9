/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refusals on the container's own stderr: deployfence.events(5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "proxy/monitor/record.h"

#define GIVE_UP_NS 30000000000ull

/* Once for each (command, name): a loop must not flood the deploy's output. */
static bool is_shown_first(struct df_record *r, const struct df_event_line *e)
{
	uint64_t h = df_hash_text(DF_HASH_START, e->domain ? e->domain : e->reason);

	if (e->who) {
		h = e->who->cmd_len ? df_hash_bytes(h, e->who->cmd, e->who->cmd_len)
				    : df_hash_bytes(h, e->who->comm, DF_COMM_LEN);
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
 * end first.
 *
 * 0: it is there.  -EPERM: init's stderr is something else or closed, and nobody reads the pipe.
 * -ESRCH: init has ended, and nobody reads the pipe.  Others: full, or nobody reads it.
 */
static int write_stderr(struct df_record *r, const char *text)
{
	const struct df_log_target target = target_of(r->meta);
	char line[DF_EVENT_TEXT_MAX + 16];
	int init = -ESRCH, pipe = -ENOENT;

	(void)snprintf(line, sizeof(line), "deployfence: %s", text);
	if (!r->is_init_gone)
		init = df_log_process_stderr(r->meta->init_pid, &target, line);
	if (init != -EPERM && init != -ENOENT && init != -ESRCH)
		return init;
	if (r->stderr_fd >= 0)
		pipe = df_log_kept_stderr(r->stderr_fd, line);
	if (pipe == 0 || pipe == -EAGAIN)
		return pipe;
	return init == -ESRCH ? -ESRCH : -EPERM;
}

void df_record_show(struct df_record *r, const struct df_event_line *e, const char *text)
{
	int result;

	if (!r->meta->is_logged_to_stderr || !e->is_blocked || e->is_search ||
	    !is_shown_first(r, e))
		return;
	result = r->n_waiting > 0 ? -EPERM : write_stderr(r, text);
	if (result != -EPERM) {
		r->n_unshown += result < 0; /* waiting is not ours */
		return;
	}
	/* a terminal that init redirected may come back: the line waits, but not for too long */
	if (r->n_waiting == DF_RECORD_WAITING_MAX || r->is_stderr_reported) {
		r->is_waiting_lost = true;
		r->n_unshown++;
		return;
	}
	if (r->n_waiting == 0)
		r->waiting_since_ns = df_now_ns();
	(void)snprintf(r->waiting[r->n_waiting++], sizeof(r->waiting[0]), "%s", text);
}

void df_record_show_waiting(struct df_record *r, bool is_last)
{
	unsigned n;

	for (n = 0; n < r->n_waiting; n++) {
		const int result = write_stderr(r, r->waiting[n]);

		if (result == -EPERM || result == -ESRCH)
			break;
		r->n_unshown += result < 0;
	}
	memmove(r->waiting[0], r->waiting[n], (r->n_waiting - n) * sizeof(r->waiting[0]));
	r->n_waiting -= n;
	if (r->n_waiting > 0 ? !is_last && !r->is_init_gone &&
				       df_now_ns() - r->waiting_since_ns <= GIVE_UP_NS
			     : !r->is_waiting_lost)
		return;
	r->n_unshown += r->n_waiting;
	r->n_waiting = 0;
	if (r->is_stderr_reported)
		return;
	r->is_stderr_reported = true;
	df_record_info(r, "stderr_unavailable",
		       "the container's stderr is neither the pipe of its start nor a terminal");
}
