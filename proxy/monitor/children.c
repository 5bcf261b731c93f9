/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Worker and reader: forked, not executed, so that they share the monitor's pages. */
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/util.h"
#include "proxy/monitor/identity.h"
#include "proxy/monitor/internal.h"
#include "proxy/tables.h"
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

/* In the child: never returns. */
static _Noreturn void run(const struct df_children *c, bool is_worker, int channel)
{
	/* where a table is absent, something else may stand at its number */
	const int base = df_tables_has(c->tables, DF_TABLE_BASE) ? DF_FD_POLICY_BASE : -1;
	const int shadow = df_tables_has(c->tables, DF_TABLE_SHADOW) ? DF_FD_POLICY_SHADOW : -1;
	const int worker_fds[] = {DF_FD_UDP4,     DF_FD_UDP6,   DF_FD_TCP4,    DF_FD_TCP6,
				  DF_FD_CONF,     DF_FD_TOK,    DF_FD_LEARNED, DF_FD_FLOWS,
				  DF_FD_PAYLOADS, DF_FD_POLICY, base,          shadow};

	(void)signal(SIGTERM, SIG_IGN);
	(void)setpriority(PRIO_PROCESS, 0, 0); /* a flood of queries is in no hurry */
	keep_only(worker_fds, is_worker ? ARRAY_SIZE(worker_fds) : 0, channel);
	if (is_worker)
		df_worker_run(c->meta, c->learned, channel);
	df_identity_run_reader(c->meta, channel);
}

static int start(struct df_children *c, struct df_child *child, bool is_worker)
{
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
		const int r = -errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != monitor)
			_exit(0); /* it died before the line above */
		run(c, is_worker, pair[1]);
	}
	(void)close(pair[1]);
	child->pid = pid;
	child->channel = pair[0];
	return df_loop_add(c->loop, child->channel, EPOLLIN, &child->source);
}

int df_children_start_worker(struct df_children *c, struct df_child *child)
{
	return start(c, child, true);
}

int df_children_start_reader(struct df_children *c, struct df_child *child)
{
	bool has_room = false;

	for (unsigned i = 0; i < DF_STUCK_MAX; i++) {
		if (c->stuck[i] != 0 && waitpid(c->stuck[i], NULL, WNOHANG) != 0)
			c->stuck[i] = 0;
		has_room |= c->stuck[i] == 0;
	}
	return has_room ? start(c, child, false) : -EAGAIN;
}

void df_children_stop(struct df_children *c, struct df_child *child)
{
	const struct timespec moment = {.tv_nsec = REAP_STEP_NS};
	bool is_done = false;

	if (child->pid == 0)
		return;
	(void)kill(child->pid, SIGKILL);
	for (int i = 0; i < REAP_STEPS && !is_done; i++) { /* mostly it ends at once */
		is_done = waitpid(child->pid, NULL, WNOHANG) != 0;
		if (!is_done)
			(void)nanosleep(&moment, NULL);
	}
	for (unsigned i = 0; i < DF_STUCK_MAX && !is_done; i++) {
		if (c->stuck[i] == 0) {
			c->stuck[i] = child->pid;
			is_done = true;
		}
	}
	df_loop_remove(c->loop, child->channel, &child->source);
	(void)close(child->channel);
	child->channel = -1;
	child->pid = 0;
}

int df_child_send(const struct df_child *c, const void *message, size_t size)
{
	if (c->pid == 0)
		return -ESRCH;
	return send(c->channel, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
