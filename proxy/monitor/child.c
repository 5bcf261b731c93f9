/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Worker and reader: forked, not executed, so that they share the monitor's pages. */
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"
#include "proxy/monitor/reader.h"
#include "proxy/worker/worker.h"

#define REAP_STEPS 40
#define REAP_STEP_NS 500000      /* 20 ms in all */
#define CHANNEL_BUFFER (1 << 20) /* some hundred events of a burst */

/* Leaves the child its channel and the listed descriptors, nothing else. */
static void keep_only(const int *fds, size_t n, int channel)
{
	for (int fd = DF_FD_FIRST; fd < DF_FD_END; fd++) {
		bool is_kept = false;

		for (size_t i = 0; i < n; i++)
			is_kept |= fds[i] == fd;
		if (!is_kept)
			(void)close(fd);
	}
	if (channel > DF_FD_END)
		(void)syscall(SYS_close_range, (unsigned)DF_FD_END, (unsigned)channel - 1, 0u);
	(void)syscall(SYS_close_range, (unsigned)channel + 1, ~0u, 0u);
}

static int start(struct df_monitor *m, struct df_child *c, bool is_worker)
{
	/* where a table is absent, something else may stand at its number */
	const int base = df_tables_has(&m->tables, DF_TABLE_BASE) ? DF_FD_POLICY_BASE : -1;
	const int shadow = df_tables_has(&m->tables, DF_TABLE_SHADOW) ? DF_FD_POLICY_SHADOW : -1;
	const int worker_fds[] = {DF_FD_UDP4,     DF_FD_UDP6,   DF_FD_TCP4,    DF_FD_TCP6,
				  DF_FD_CONF,     DF_FD_TOK,    DF_FD_LEARNED, DF_FD_FLOWS,
				  DF_FD_PAYLOADS, DF_FD_POLICY, base,          shadow};
	const int buffer = CHANNEL_BUFFER;
	const pid_t monitor = getpid();
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	pid = fork();
	if (pid < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return -errno;
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != monitor)
			_exit(0); /* it died before the line above */
		(void)signal(SIGTERM, SIG_IGN);
		(void)setpriority(PRIO_PROCESS, 0, 0); /* a flood of queries is in no hurry */
		if (is_worker) {
			keep_only(worker_fds, ARRAY_SIZE(worker_fds), pair[1]);
			df_worker_run(m->meta, m->learned, pair[1]);
		}
		keep_only(NULL, 0, pair[1]);
		df_reader_run(m->meta, pair[1]);
	}
	(void)close(pair[1]);
	c->pid = pid;
	c->channel = pair[0];
	return df_loop_add(&m->loop, c->channel, EPOLLIN, &c->source);
}

int df_child_start_worker(struct df_monitor *m)
{
	m->worker_start_ns = m->now_ns;
	m->is_pong_due = false;
	return start(m, &m->worker, true);
}

int df_child_start_reader(struct df_monitor *m)
{
	df_child_reap(m);
	for (unsigned i = 0; i < DF_STUCK_MAX; i++)
		if (m->stuck[i] == 0)
			return start(m, &m->reader, false);
	return -EAGAIN;
}

void df_child_reap(struct df_monitor *m)
{
	for (unsigned i = 0; i < DF_STUCK_MAX; i++)
		if (m->stuck[i] != 0 && waitpid(m->stuck[i], NULL, WNOHANG) != 0)
			m->stuck[i] = 0;
}

static void reap_later(struct df_monitor *m, pid_t pid)
{
	for (unsigned i = 0; i < DF_STUCK_MAX; i++) {
		if (m->stuck[i] == 0) {
			m->stuck[i] = pid;
			return;
		}
	}
}

/* Mostly it ends at once.  false: it has not, in the time that there is. */
static bool has_ended(pid_t pid)
{
	const struct timespec moment = {.tv_nsec = REAP_STEP_NS};

	for (int i = 0; i < REAP_STEPS; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return true;
		(void)nanosleep(&moment, NULL);
	}
	return false;
}

void df_child_stop(struct df_monitor *m, struct df_child *c)
{
	if (c->pid == 0)
		return;
	(void)kill(c->pid, SIGKILL);
	if (!has_ended(c->pid))
		reap_later(m, c->pid);
	df_loop_remove(&m->loop, c->channel, &c->source);
	(void)close(c->channel);
	c->channel = -1;
	c->pid = 0;
}
