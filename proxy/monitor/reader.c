/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "proxy/channel.h"
#include "proxy/monitor/push.h"
#include "proxy/sandbox.h"

/* PROC_PID_INIT_INO of <linux/proc_ns.h>: only there are the kernel's pids those of /proc */
#define INITIAL_PID_NAMESPACE 0xeffffffcu
#define SMALL_MAX 1024

size_t df_reader_cmdline(char *cmd, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (cmd[i] == '\0')
			cmd[i] = ' ';
	return len;
}

static size_t read_cmdline(int fd, char *buf, size_t size)
{
	ssize_t n = df_read_small(fd, "cmdline", buf, size);

	return df_reader_cmdline(buf, n < 0 ? 0 : (size_t)n);
}

static void read_link(int fd, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(fd, name, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
}

static bool is_in_container(const struct df_meta *meta, int fd)
{
	const size_t len = strlen(meta->cgroup);
	char path[DF_META_PATH_MAX];

	return df_proc_cgroup(fd, path, sizeof(path)) == 0 &&
	       strncmp(path, meta->cgroup, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/*
 * The process's numbers, from the initial pid namespace inwards: how many there are, the
 * depth'th in *ret, or with depth 0 the last.  0: there is none.
 */
static unsigned read_pids(int fd, unsigned depth, uint32_t *ret)
{
	char text[SMALL_MAX];
	uint64_t pid = 0;
	unsigned n = 0;

	if (df_proc_status(fd, "NSpid", text, sizeof(text)) < 0)
		return 0;
	for (char *word = strtok(text, "\t "); word; word = strtok(NULL, "\t "))
		if ((++n == depth || depth == 0) && df_parse_u64(word, UINT32_MAX, &pid) == 0)
			*ret = (uint32_t)pid;
	return n;
}

/* As the container's init counts; a process may be in a namespace further in. */
static uint32_t read_container_pid(const struct df_meta *meta, int proc_fd, int fd)
{
	static unsigned depth; /* of init, who may be gone later; 0: not known */
	uint32_t pid = 0, own;

	if (depth == 0) {
		_cleanup_close_ int init = df_proc_open_at(proc_fd, meta->init_pid);

		if (init >= 0 && is_in_container(meta, init))
			depth = read_pids(init, 0, &own);
	}
	(void)read_pids(fd, depth, &pid);
	return pid;
}

/* Where the kernel did not record them: as they are now. */
static void read_owner(int fd, const struct df_proc_stat *p, struct df_identity *ret)
{
	char text[SMALL_MAX];
	uint64_t uid;

	memcpy(ret->comm, p->comm, sizeof(ret->comm));
	if (df_proc_status(fd, "Uid", text, sizeof(text)) < 0)
		return;
	text[strcspn(text, "\t ")] = '\0';
	if (df_parse_u64(text, UINT32_MAX - 1, &uid) == 0)
		ret->uid = (uint32_t)uid;
}

/*
 * Up to the container's init; a process that podman exec started has none inside.  One that
 * is younger than its child has the number of a parent that ended.
 */
static void read_ancestry(const struct df_meta *meta, int proc_fd, const struct df_proc_stat *from,
			  struct df_identity *ret)
{
	struct df_proc_stat p = *from;
	uint64_t child;

	while (p.pid != meta->init_pid && p.parent > 1 &&
	       ret->n_ancestors < DF_EVENT_ANCESTORS_MAX) {
		struct df_ancestor *a = &ret->ancestors[ret->n_ancestors];
		_cleanup_close_ int fd = df_proc_open_at(proc_fd, p.parent);
		size_t n;

		child = p.start;
		if (fd < 0 || !is_in_container(meta, fd) || df_proc_stat(fd, &p) < 0 ||
		    p.start > child)
			return;
		a->pid = (uint32_t)p.pid;
		memcpy(a->comm, p.comm, sizeof(a->comm));
		n = read_cmdline(fd, a->cmd, sizeof(a->cmd));
		a->cmd[n < sizeof(a->cmd) ? n : sizeof(a->cmd) - 1] = '\0';
		ret->n_ancestors++;
	}
}

void df_reader_from_token(const struct df_token *t, enum df_identity_state state,
			  struct df_identity *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->state = state;
	ret->pid = t->tgid;
	ret->tid = t->tid;
	ret->uid = t->uid;
	memcpy(ret->comm, t->comm, sizeof(ret->comm));
	ret->comm[DF_COMM_LEN - 1] = '\0';
}

/* It has ended; its parent need not have. */
static void read_parents_of_gone(const struct df_meta *meta, int proc_fd, const struct df_token *t,
				 struct df_identity *ret)
{
	const struct df_proc_stat p = {.pid = (pid_t)t->tgid,
				       .parent = (pid_t)t->parent,
				       .start = t->start ? t->start : t->time / DF_TICK_NS};

	read_ancestry(meta, proc_fd, &p, ret);
}

/* Whether a process of that number is the one that the kernel saw. */
static bool is_asker(const struct df_proc_stat *p, const struct df_token *t)
{
	if (t->start)
		return (uint32_t)p->start == t->start;
	return p->start <= t->time / DF_TICK_NS; /* not known: one that is younger is another */
}

int df_reader_open(const struct df_meta *meta, int proc_fd, const struct df_token *t)
{
	_cleanup_close_ int fd = df_proc_open_at(proc_fd, (pid_t)t->tgid);
	struct df_proc_stat p;

	if (fd < 0 || df_proc_stat(fd, &p) < 0 || !is_asker(&p, t) || !is_in_container(meta, fd))
		return -ESRCH;
	return TAKE_FD(fd);
}

void df_reader_identify(const struct df_meta *meta, int proc_fd, const struct df_token *t,
			struct df_identity *ret)
{
	_cleanup_close_ int fd = -1;
	struct df_proc_stat p;

	df_reader_from_token(t, DF_IDENTITY_GONE, ret);
	if (t->tgid == 0) {
		ret->state = DF_IDENTITY_UNAVAILABLE; /* a kernel thread acted for somebody */
		return;
	}
	fd = df_proc_open_at(proc_fd, (pid_t)t->tgid);
	if (fd < 0 || df_proc_stat(fd, &p) < 0 || !is_asker(&p, t)) {
		read_parents_of_gone(meta, proc_fd, t, ret);
		return;
	}
	if (!is_in_container(meta, fd)) {
		/* moved away, or a compromised worker asks about somebody else's process */
		if (df_proc_stat(fd, &p) == 0)
			ret->state = DF_IDENTITY_UNAVAILABLE;
		else
			read_parents_of_gone(meta, proc_fd, t, ret);
		return;
	}
	if (t->uid == DF_UID_UNKNOWN)
		read_owner(fd, &p, ret);
	ret->cmd_len = (uint16_t)read_cmdline(fd, ret->cmd, sizeof(ret->cmd));
	read_link(fd, "exe", ret->exe, sizeof(ret->exe));
	read_link(fd, "cwd", ret->cwd, sizeof(ret->cwd));
	ret->container_pid = read_container_pid(meta, proc_fd, fd);
	read_ancestry(meta, proc_fd, &p, ret);
	/* it may have ended while we read; one that lives has an exe, if not always arguments */
	if (ret->cmd_len == 0 && !*ret->exe)
		return;
	ret->state = DF_IDENTITY_OK;
}

static bool is_initial_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INITIAL_PID_NAMESPACE;
}

_Noreturn void df_reader_run(const struct df_meta *meta, int channel)
{
	const bool is_readable = is_initial_pid_namespace();
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct df_msg_identity out;
	union {
		uint32_t type;
		struct df_msg_lookup lookup;
		struct df_msg_push push;
	} in;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "df-reader");
	memset(&out, 0, sizeof(out));
	if (df_sandbox_reader() < 0)
		_exit(1);
	while ((n = recv(channel, &in, sizeof(in), 0)) > 0) {
		if (n == (ssize_t)sizeof(in.push) && in.type == DF_MSG_PUSH) {
			if (proc_fd >= 0 && is_readable)
				df_push(meta, proc_fd, &in.push);
			continue;
		}
		if (n != (ssize_t)sizeof(in.lookup) || in.type != DF_MSG_LOOKUP)
			break;
		out.type = DF_MSG_IDENTITY;
		out.seq = in.lookup.seq;
		if (proc_fd >= 0 && is_readable)
			df_reader_identify(meta, proc_fd, &in.lookup.token, &out.who);
		else
			df_reader_from_token(&in.lookup.token, DF_IDENTITY_UNAVAILABLE, &out.who);
		if (send(channel, &out, sizeof(out), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}
