/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "proxy/channel.h"
#include "proxy/monitor/connections.h"
#include "proxy/monitor/internal.h"
#include "proxy/sandbox.h"

/* --- one process, from /proc ------------------------------------------------------ */

/* PROC_PID_INIT_INO of <linux/proc_ns.h>: only there are the kernel's pids those of /proc */
#define INITIAL_PID_NAMESPACE 0xeffffffcu
#define SMALL_MAX 1024

size_t df_identity_cmdline(char *cmd, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (cmd[i] == '\0')
			cmd[i] = ' ';
	return len;
}

static size_t read_cmdline(int fd, char *buf, size_t size)
{
	ssize_t n = df_read_small(fd, "cmdline", buf, size);

	return df_identity_cmdline(buf, n < 0 ? 0 : (size_t)n);
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

void df_identity_read(const struct df_meta *meta, int proc_fd, const struct df_token *t,
		      struct df_identity *ret)
{
	_cleanup_close_ int fd = -1;
	struct df_proc_stat p;

	df_record_from_token(t, DF_IDENTITY_GONE, ret);
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

/* --- the reader: a process of its own ----------------------------------------------- */

/* Its descriptors are in proc_fd: a directory of the very process, if it is the container's. */
static void resume(const struct df_meta *meta, int proc_fd, const struct df_msg_resume *m)
{
	const struct df_token t = {.tgid = m->tgid, .time = m->connect_time};
	/* First: of a process that ended before the next line nothing can be had by it. */
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)m->tgid, 0u);
	_cleanup_close_ int fd = df_proc_open_at(proc_fd, (pid_t)m->tgid);
	struct df_proc_stat p;

	if (pidfd >= 0 && fd >= 0 && df_proc_stat(fd, &p) == 0 && is_asker(&p, &t) &&
	    is_in_container(meta, fd))
		df_connections_resume(pidfd, fd, m->cookie);
}

_Noreturn void df_identity_run_reader(const struct df_meta *meta, int channel)
{
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct df_msg_identity out;
	struct stat st;
	const bool is_readable = proc_fd >= 0 && stat("/proc/self/ns/pid", &st) == 0 &&
				 st.st_ino == INITIAL_PID_NAMESPACE;
	union {
		uint32_t type;
		struct df_msg_lookup lookup;
		struct df_msg_resume resume;
	} in;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "df-reader");
	memset(&out, 0, sizeof(out));
	out.type = DF_MSG_IDENTITY;
	if (df_sandbox_reader() < 0)
		_exit(1);
	while ((n = recv(channel, &in, sizeof(in), 0)) > 0) {
		if (n == (ssize_t)sizeof(in.resume) && in.type == DF_MSG_RESUME) {
			if (is_readable)
				resume(meta, proc_fd, &in.resume);
			continue;
		}
		if (n != (ssize_t)sizeof(in.lookup) || in.type != DF_MSG_LOOKUP)
			break;
		out.seq = in.lookup.seq;
		if (is_readable)
			df_identity_read(meta, proc_fd, &in.lookup.token, &out.who);
		else
			df_record_from_token(&in.lookup.token, DF_IDENTITY_UNAVAILABLE, &out.who);
		if (send(channel, &out, sizeof(out), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* --- the monitor's side: questions, and what waits for the answers ------------------- */

#define RESUME_LOOKUPS_MAX 8

/*
 * A refusal is at once, and its process may be gone: the command line is as the kernel found it
 * then.
 */
static void take_recorded_cmd(const struct df_event_task *e, struct df_identity *who)
{
	_Static_assert(sizeof(who->cmd) >= sizeof(e->cmd), "who->cmd holds it");

	if (who->state == DF_IDENTITY_OK || e->cmd_len > sizeof(e->cmd))
		return;
	memcpy(who->cmd, e->cmd, e->cmd_len);
	who->cmd_len = (uint16_t)df_identity_cmdline(who->cmd, e->cmd_len);
}

/* The line needs no more than the command, if the kernel has all of it. */
static void show_early(struct df_lookups *ls, const struct df_event_task *e,
		       const struct df_kernel_verdict *v, const struct df_token *t)
{
	struct df_identity who;

	if (!e->event.refused || e->cmd_len == 0 || e->cmd_len >= sizeof(e->cmd))
		return;
	df_record_from_token(t, DF_IDENTITY_GONE, &who);
	take_recorded_cmd(e, &who);
	who.state = DF_IDENTITY_OK;
	df_record_kernel_early(ls->record, &e->event, v, &who);
}

static void tell_worker(const struct df_lookups *ls, uint32_t seq)
{
	const struct df_msg_short s = {.type = DF_MSG_IDENTIFIED, .seq = seq};

	(void)df_child_send(ls->worker, &s, sizeof(s));
}

/* The identity is there, or will not come: let go of what waited. */
static void settle(struct df_lookups *ls, struct df_lookup *l, struct df_identity *who)
{
	if (l->is_kernel) {
		take_recorded_cmd(&l->event, who);
		df_record_kernel(ls->record, &l->event.event, &l->verdict, who);
	} else {
		df_record_identity(ls->record, l->worker_seq, who);
		/*
		 * First our line on the container's stderr, then the answer, and with it what
		 * the client says.
		 */
		if (l->has_record)
			(void)df_record_query(ls->record, &l->record);
		tell_worker(ls, l->worker_seq);
	}
	l->seq = 0;
	while (ls->n > 0 && ls->places[ls->n - 1].seq == 0)
		ls->n--;
}

static void give_up(struct df_lookups *ls, struct df_lookup *l)
{
	struct df_identity who;

	df_record_from_token(&l->token, DF_IDENTITY_UNAVAILABLE, &who);
	settle(ls, l, &who);
}

/* The reader parses what a hostile process shows of itself: its word is checked too. */
static void make_sane(struct df_identity *who)
{
	if (who->cmd_len > sizeof(who->cmd))
		who->cmd_len = sizeof(who->cmd);
	if (who->n_ancestors > DF_EVENT_ANCESTORS_MAX)
		who->n_ancestors = DF_EVENT_ANCESTORS_MAX;
	if (who->state > DF_IDENTITY_UNAVAILABLE)
		who->state = DF_IDENTITY_UNAVAILABLE;
	who->comm[sizeof(who->comm) - 1] = '\0';
	who->exe[sizeof(who->exe) - 1] = '\0';
	who->cwd[sizeof(who->cwd) - 1] = '\0';
	for (unsigned i = 0; i < DF_EVENT_ANCESTORS_MAX; i++) {
		who->ancestors[i].comm[sizeof(who->ancestors[i].comm) - 1] = '\0';
		who->ancestors[i].cmd[sizeof(who->ancestors[i].cmd) - 1] = '\0';
	}
}

static void reader_ready(struct df_source *s, uint32_t events)
{
	struct df_lookups *ls = DF_CONTAINER_OF(s, struct df_lookups, reader.source);
	struct df_msg_identity in;
	struct df_lookup *l;

	(void)events;
	for (int k = 0; ls->reader.pid && k < DF_MESSAGES_A_ROUND; k++) {
		ssize_t n = recv(ls->reader.channel, &in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t)sizeof(in)) {
			df_lookups_stop(ls);
			return;
		}
		make_sane(&in.who);
		ls->answer_ns = df_now_ns();
		l = &ls->places[in.seq % DF_LOOKUPS_MAX];
		if (in.seq && l->seq == in.seq)
			settle(ls, l, &in.who);
	}
}

/* NULL: all places are taken. */
static struct df_lookup *take(struct df_lookups *ls, const struct df_token *t)
{
	struct df_lookup *l;
	unsigned i = 0;

	_Static_assert((DF_LOOKUPS_MAX & (DF_LOOKUPS_MAX - 1)) == 0, "the rest of seq is a place");
	while (i < ls->n && ls->places[i].seq)
		i++;
	if (i == DF_LOOKUPS_MAX)
		return NULL;
	if (i == ls->n)
		ls->n++;
	ls->seq += DF_LOOKUPS_MAX;
	if (ls->seq == 0) /* it has wrapped, and 0 is of a free place */
		ls->seq = DF_LOOKUPS_MAX;
	l = &ls->places[i];
	l->seq = ls->seq | i;
	l->since_ns = df_now_ns();
	l->has_record = false;
	l->is_kernel = false;
	l->token = *t;
	return l;
}

/* Starts the reader with the first message: an idle fence needs none. */
static bool tell_reader(struct df_lookups *ls, const void *message, size_t size)
{
	if (ls->reader.pid == 0) {
		ls->reader.source.ready = reader_ready;
		if (df_children_start_reader(ls->children, &ls->reader) < 0)
			return false;
	}
	return df_child_send(&ls->reader, message, size) == 0;
}

static void ask(struct df_lookups *ls, struct df_lookup *l)
{
	const struct df_msg_lookup q = {.type = DF_MSG_LOOKUP, .seq = l->seq, .token = l->token};

	if (!tell_reader(ls, &q, sizeof(q)))
		give_up(ls, l);
}

void df_lookups_resume(struct df_lookups *ls, const struct df_msg_resume *m)
{
	/* who asked goes first: it waits for two milliseconds; and TCP tries again by itself */
	if (ls->n < RESUME_LOOKUPS_MAX)
		(void)tell_reader(ls, m, sizeof(*m));
}

void df_lookups_query(struct df_lookups *ls, const struct df_msg_query *q)
{
	struct df_lookup *l;

	if (!(q->flags & DF_QUERY_IDENTIFY)) {
		for (unsigned i = 0; i < ls->n; i++) {
			l = &ls->places[i];
			if (l->seq && !l->is_kernel && l->worker_seq == q->seq && !l->has_record) {
				l->has_record = true;
				l->record = *q;
				return;
			}
		}
		(void)df_record_query(ls->record, q);
		return;
	}
	l = take(ls, &q->token);
	if (!l) {
		tell_worker(ls, q->seq);
		if (q->flags & DF_QUERY_RECORD)
			(void)df_record_query(ls->record, q);
		return;
	}
	l->worker_seq = q->seq;
	l->has_record = q->flags & DF_QUERY_RECORD;
	if (l->has_record)
		l->record = *q;
	ask(ls, l);
}

void df_lookups_kernel(struct df_lookups *ls, const struct df_event_task *task)
{
	const struct df_event *e = &task->event;
	struct df_token t = {.tgid = e->tgid,
			     .tid = e->tid,
			     .uid = e->uid,
			     .time = e->time,
			     .parent = task->parent,
			     .start = task->start};
	struct df_kernel_verdict v;
	struct df_lookup *l;

	df_record_judge(ls->record, e, &v);
	if (!e->has_identity) {
		df_record_kernel(ls->record, e, &v, NULL);
		return;
	}
	memcpy(t.comm, e->comm, sizeof(t.comm));
	l = take(ls, &t);
	if (!l) {
		struct df_identity who;

		df_record_from_token(&t, DF_IDENTITY_UNAVAILABLE, &who);
		take_recorded_cmd(task, &who);
		df_record_kernel(ls->record, e, &v, &who);
		return;
	}
	show_early(ls, task, &v, &t);
	l->is_kernel = true;
	l->event = *task;
	l->verdict = v;
	ask(ls, l);
}

bool df_lookups_is_any_open(const struct df_lookups *ls)
{
	for (unsigned i = 0; i < ls->n; i++)
		if (ls->places[i].seq)
			return true;
	return false;
}

void df_lookups_forget_worker(struct df_lookups *ls)
{
	for (unsigned i = 0; i < ls->n; i++)
		if (ls->places[i].seq && !ls->places[i].is_kernel)
			give_up(ls, &ls->places[i]);
	df_record_forget(ls->record);
}

void df_lookups_expire(struct df_lookups *ls, uint64_t now_ns)
{
	bool is_stuck = false;

	for (unsigned i = 0; i < ls->n; i++)
		is_stuck |= ls->places[i].seq &&
			    now_ns >= ls->places[i].since_ns + DF_LOOKUP_DEADLINE_NS &&
			    now_ns >= ls->answer_ns + DF_LOOKUP_DEADLINE_NS;
	if (is_stuck)
		df_lookups_stop(ls);
}

void df_lookups_stop(struct df_lookups *ls)
{
	df_children_stop(ls->children, &ls->reader);
	for (unsigned i = 0; i < ls->n; i++)
		if (ls->places[i].seq)
			give_up(ls, &ls->places[i]);
}
