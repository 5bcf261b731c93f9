/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's resolv.conf, read again when it changes.
 *
 * With --uidmap podman sets up the network, and writes the file, after the hook; `podman
 * network connect` writes it at any time.  Mostly the payload can write it as well.  So a
 * change counts only as long as the payload does not run: init is still the program that it
 * was when the hook looked.  Later ones count where the container cannot write the file;
 * elsewhere they are told, and that is all.
 *
 * The question whether init has executed the payload comes after the file was read: if it has
 * not, nobody inside can have written what was read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/proc.h"
#include "lib/base/resolv_conf.h"
#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"

#define FILE_MAX (64u << 10)   /* as the hook has it */
#define TELL_NS 10000000000ull /* between two events about it */
#define MESSAGE_MAX 1024

static bool is_payload_running(struct df_monitor *m)
{
	const struct df_meta *meta = m->meta;
	_cleanup_close_ int fd = -1;
	struct df_proc_image now;

	if (m->resolvers.is_started)
		return true;
	fd = df_proc_open(meta->init_pid);
	m->resolvers.is_started =
		fd < 0 || df_proc_image(fd, &now) < 0 || now.exe_dev != meta->init_exe_dev ||
		now.exe_ino != meta->init_exe_ino || now.arg_start != meta->init_arg_start;
	return m->resolvers.is_started;
}

/* false: it cannot be read, or names nobody, as between truncation and writing. */
static bool read_file(struct df_resolv_conf *ret)
{
	static char text[FILE_MAX];
	ssize_t n = pread(DF_FD_RESOLV_CONF, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	df_resolv_conf_parse(text, ret);
	return ret->n_resolvers > 0;
}

static bool has_search(const struct df_resolv_conf *c, const struct df_dname *name)
{
	for (unsigned i = 0; i < c->n_search; i++)
		if (df_dname_is_equal(&c->search[i], name))
			return true;
	return false;
}

/* To a worker that has only what the hook read. */
void df_resolvers_hand_over(struct df_monitor *m)
{
	const struct df_resolv_conf *now = &m->resolvers.counts;
	static struct df_msg_resolvers msg;

	if (!m->resolvers.has_changed || m->worker.pid == 0)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.type = DF_MSG_RESOLVERS;
	msg.n_resolvers = now->n_resolvers;
	memcpy(msg.resolvers, now->resolvers, now->n_resolvers * sizeof(msg.resolvers[0]));
	msg.n_search = now->n_search;
	memcpy(msg.search, now->search, now->n_search * sizeof(msg.search[0]));
	/* LOCALDOMAIN and the hostname's domain are no lines of the file, and go on to count */
	for (uint32_t i = 0; i < m->meta->n_search && msg.n_search < DF_RESOLV_SEARCH_MAX; i++)
		if (!has_search(now, &m->meta->search[i]))
			msg.search[msg.n_search++] = m->meta->search[i];
	m->resolvers.is_unsent =
		send(m->worker.channel, &msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
}

static bool has_same_resolvers(const struct df_resolv_conf *a, const struct df_resolv_conf *b)
{
	return a->n_resolvers == b->n_resolvers &&
	       memcmp(a->resolvers, b->resolvers, a->n_resolvers * sizeof(a->resolvers[0])) == 0;
}

static void append_addr(char *text, size_t size, size_t *pos, const uint8_t addr[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool is_ipv4 = memcmp(addr, mapped, sizeof(mapped)) == 0;
	char one[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? addr + 12 : addr, one, sizeof(one));
	df_append(text, size, pos, "%s", one);
}

static bool is_counting(const struct df_resolv_conf *counts, const uint8_t addr[static 16])
{
	for (unsigned i = 0; i < counts->n_resolvers; i++)
		if (memcmp(counts->resolvers[i], addr, 16) == 0)
			return true;
	return false;
}

/* Each change once, if it names anybody new. */
static void tell(struct df_monitor *m, const struct df_resolv_conf *now)
{
	struct df_resolvers *r = &m->resolvers;
	char text[MESSAGE_MAX];
	size_t pos = 0;
	unsigned n = 0;

	if (has_same_resolvers(&r->told, now))
		return;
	r->told = *now;
	df_append(text, sizeof(text), &pos, "resolv.conf of the container names ");
	for (unsigned i = 0; i < now->n_resolvers; i++) {
		if (is_counting(&r->counts, now->resolvers[i]))
			continue;
		df_append(text, sizeof(text), &pos, "%s", n++ > 0 ? ", " : "");
		append_addr(text, sizeof(text), &pos, now->resolvers[i]);
	}
	if (n == 0)
		return;
	df_append(text, sizeof(text), &pos,
		  " since its payload has started, which can write that file: not trusted; name %s "
		  "by a resolver statement of the policy, or restart the container",
		  n > 1 ? "them" : "it");
	r->next_tell_ns = m->now_ns + TELL_NS;
	df_record_warning(&m->record, "resolvers_changed", text);
}

/* Later than this it is written again.  false: as it was when it was last read. */
static bool is_written(struct df_monitor *m)
{
	struct df_resolvers *r = &m->resolvers;
	struct stat st;

	if (fstat(DF_FD_RESOLV_CONF, &st) < 0 ||
	    (st.st_ctim.tv_sec == r->ctime.tv_sec && st.st_ctim.tv_nsec == r->ctime.tv_nsec))
		return false;
	r->ctime = st.st_ctim;
	return true;
}

/* At what was written. */
static void look(struct df_monitor *m)
{
	struct df_resolvers *r = &m->resolvers;
	struct df_resolv_conf now;

	r->is_due = false;
	if (!read_file(&now))
		return;
	if (!is_payload_running(m) || m->meta->is_resolv_conf_trusted) {
		r->counts = now;
		r->told = now;
		r->has_changed = true;
		df_resolvers_hand_over(m);
	} else if (!m->meta->are_resolvers_named) {
		if (m->now_ns >= r->next_tell_ns)
			tell(m, &now);
		else
			r->is_due = true;
	}
}

static void changed(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, resolvers.source));
	char notes[4096] __attribute__((aligned(8)));

	(void)events;
	if (read(m->resolvers.fd, notes, sizeof(notes)) > 0) /* that there were some is enough */
		df_resolvers_step(m);
}

void df_resolvers_step(struct df_monitor *m)
{
	struct df_resolvers *r = &m->resolvers;

	if (!m->meta->has_resolv_conf)
		return;
	if (r->is_unsent) /* there was no room */
		df_resolvers_hand_over(m);
	if (is_written(m) || r->is_due)
		look(m);
	if (r->fd < 0 || !is_payload_running(m))
		return;
	df_loop_remove(&m->loop, r->fd, &r->source);
	(void)close(r->fd);
	r->fd = -1;
}

/*
 * The moment counts as long as the payload does not run.  Later a look now and then does: root
 * has no more than 128 instances of inotify by default, for everything.
 */
void df_resolvers_init(struct df_monitor *m)
{
	struct df_resolvers *r = &m->resolvers;
	char path[64];

	r->fd = -1;
	r->counts.n_resolvers = m->meta->n_resolvers;
	memcpy(r->counts.resolvers, m->meta->resolvers, sizeof(r->counts.resolvers));
	r->told = r->counts;
	if (!m->meta->has_resolv_conf)
		return;
	r->ctime.tv_sec = m->meta->resolv_conf_s;
	r->ctime.tv_nsec = m->meta->resolv_conf_ns;
	r->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->fd < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)DF_FD_RESOLV_CONF);
	r->source.ready = changed;
	if (inotify_add_watch(r->fd, path, IN_MODIFY | IN_CLOSE_WRITE) >= 0 &&
	    df_loop_add(&m->loop, r->fd, EPOLLIN, &r->source) == 0)
		return;
	(void)close(r->fd);
	r->fd = -1;
}
