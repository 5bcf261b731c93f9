/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's network: its own addresses, as the kernel programs look them up, and its
 * resolv.conf after the hook.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include "lib/base/addr.h"
#include "lib/base/own_addr.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"

/* --- own addresses ---------------------------------------------------------------- */

/*
 * The kernel says that something has changed, and then all of them are read again: a change
 * may be lost, if there are many.  A container that changes its addresses all the time is
 * read at intervals.
 */
#define READ_EVERY_NS 50000000ull

static bool is_among(const uint8_t (*addrs)[16], unsigned n, const uint8_t addr[static 16])
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(addrs[i], addr, 16) == 0)
			return true;
	return false;
}

/* New ones first.  One that finds no room (no memory) is refused as any other address. */
static void enter(struct df_own_map *o)
{
	static struct df_own now, entered; /* entered: the addresses that the map has */
	const uint32_t one = 1;

	df_own_read(&now);
	for (unsigned i = 0; i < now.n; i++)
		if (!is_among(entered.addrs, entered.n, now.addrs[i]))
			(void)bpf_map_update_elem(DF_FD_OWN, now.addrs[i], &one, BPF_ANY);
	for (unsigned i = 0; i < entered.n; i++)
		if (!is_among(now.addrs, now.n, entered.addrs[i]))
			(void)bpf_map_delete_elem(DF_FD_OWN, entered.addrs[i]);
	entered = now;
	o->read_ns = df_now_ns();
	o->due_ns = 0;
}

static void addresses_changed(struct df_source *s, uint32_t events)
{
	struct df_own_map *o = DF_CONTAINER_OF(s, struct df_own_map, source);
	char message[1024]; /* its content does not matter */

	(void)events;
	/* ENOBUFS, some were lost, is one of them */
	for (int i = 0; i < DF_MESSAGES_A_ROUND; i++)
		if (recv(o->events, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC) < 0 &&
		    errno != ENOBUFS)
			break;
	o->due_ns = o->read_ns + READ_EVERY_NS; /* if that is over, in this round */
}

int df_own_map_start(struct df_own_map *o, const struct df_meta *meta, struct df_loop *loop)
{
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
					   .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int r;

	o->events = -1;
	if (meta->is_host_netns)
		return 0;
	o->events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (o->events < 0 || bind(o->events, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
		return -errno;
	o->source.ready = addresses_changed;
	r = df_loop_add(loop, o->events, EPOLLIN, &o->source);
	if (r == 0)
		enter(o); /* behind the line above: every change from here on is told */
	return r;
}

void df_own_map_step(struct df_own_map *o, uint64_t now_ns)
{
	if (o->due_ns && now_ns >= o->due_ns)
		enter(o);
}

/* --- resolv.conf ------------------------------------------------------------------- */

/*
 * With --uidmap podman sets up the network, and writes the file, after the hook; `podman
 * network connect` writes it at any time.  Mostly the payload can write it as well.  So a
 * change counts only as long as the payload does not run: init is still the program that it
 * was when the hook looked.  Later ones count where the container cannot write the file;
 * elsewhere an event tells of them, and that is all.
 *
 * The question whether init has executed the payload comes after the file was read: if it has
 * not, nobody inside can have written what was read.
 */
#define FILE_MAX (64u << 10)   /* as the hook has it */
#define TELL_NS 10000000000ull /* between two events about it */
#define MESSAGE_MAX 1024

static bool is_payload_running(struct df_resolvers *r)
{
	const struct df_meta *meta = r->meta;
	_cleanup_close_ int fd = -1;
	struct df_proc_image now;

	if (r->is_started)
		return true;
	fd = df_proc_open(meta->init_pid);
	r->is_started = fd < 0 || df_proc_image(fd, &now) < 0 ||
			now.exe_dev != meta->init_exe_dev || now.exe_ino != meta->init_exe_ino ||
			now.arg_start != meta->init_arg_start;
	return r->is_started;
}

static bool has_search(const struct df_resolv_conf *c, const struct df_dname *name)
{
	for (unsigned i = 0; i < c->n_search; i++)
		if (df_dname_is_equal(&c->search[i], name))
			return true;
	return false;
}

void df_resolvers_hand_over(struct df_resolvers *r)
{
	const struct df_resolv_conf *now = &r->counts;
	static struct df_msg_resolvers msg;

	if (!r->has_changed)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.type = DF_MSG_RESOLVERS;
	msg.n_resolvers = now->n_resolvers;
	memcpy(msg.resolvers, now->resolvers, now->n_resolvers * sizeof(msg.resolvers[0]));
	msg.n_search = now->n_search;
	memcpy(msg.search, now->search, now->n_search * sizeof(msg.search[0]));
	/* LOCALDOMAIN and the hostname's domain are no lines of the file, and go on to count */
	for (uint32_t i = 0; i < r->meta->n_search && msg.n_search < DF_RESOLV_SEARCH_MAX; i++)
		if (!has_search(now, &r->meta->search[i]))
			msg.search[msg.n_search++] = r->meta->search[i];
	r->is_unsent = df_child_send(r->worker, &msg, sizeof(msg)) < 0;
}

/* Each change once, if it names anybody new. */
static void tell(struct df_resolvers *r, const struct df_resolv_conf *now)
{
	char text[MESSAGE_MAX], addr[46];
	size_t pos = 0;
	unsigned n = 0;

	if (r->told.n_resolvers == now->n_resolvers &&
	    memcmp(r->told.resolvers, now->resolvers,
		   now->n_resolvers * sizeof(now->resolvers[0])) == 0)
		return;
	r->told = *now;
	df_append(text, sizeof(text), &pos, "resolv.conf of the container names ");
	for (unsigned i = 0; i < now->n_resolvers; i++) {
		if (is_among(r->counts.resolvers, r->counts.n_resolvers, now->resolvers[i]))
			continue;
		df_addr_text(now->resolvers[i], addr);
		df_append(text, sizeof(text), &pos, "%s%s", n++ > 0 ? ", " : "", addr);
	}
	if (n == 0)
		return;
	df_append(text, sizeof(text), &pos,
		  " since its payload has started, which can write that file: not trusted; name %s "
		  "by a resolver statement of the policy, or restart the container",
		  n > 1 ? "them" : "it");
	r->next_tell_ns = df_now_ns() + TELL_NS;
	df_record_warning(r->record, "resolvers_changed", text);
}

static void look(struct df_resolvers *r)
{
	static char text[FILE_MAX];
	ssize_t n = pread(DF_FD_RESOLV_CONF, text, sizeof(text) - 1, 0);
	struct df_resolv_conf now;

	r->is_due = false;
	if (n <= 0)
		return;
	text[n] = '\0';
	df_resolv_conf_parse(text, &now);
	if (now.n_resolvers == 0) /* as between truncation and writing */
		return;
	if (!is_payload_running(r) || r->meta->is_resolv_conf_trusted) {
		r->counts = now;
		r->told = now;
		r->has_changed = true;
		df_resolvers_hand_over(r);
	} else if (!r->meta->are_resolvers_named) {
		if (df_now_ns() >= r->next_tell_ns)
			tell(r, &now);
		else
			r->is_due = true;
	}
}

void df_resolvers_step(struct df_resolvers *r)
{
	struct stat st;

	if (!r->meta->has_resolv_conf)
		return;
	if (r->is_unsent) /* there was no room */
		df_resolvers_hand_over(r);
	if (fstat(DF_FD_RESOLV_CONF, &st) == 0 &&
	    (st.st_ctim.tv_sec != r->ctime.tv_sec || st.st_ctim.tv_nsec != r->ctime.tv_nsec)) {
		r->ctime = st.st_ctim;
		r->is_due = true;
	}
	if (r->is_due)
		look(r);
	if (r->fd < 0 || !is_payload_running(r))
		return;
	df_loop_remove(r->loop, r->fd, &r->source);
	(void)close(r->fd);
	r->fd = -1;
}

static void changed(struct df_source *s, uint32_t events)
{
	struct df_resolvers *r = DF_CONTAINER_OF(s, struct df_resolvers, source);
	char notes[4096] __attribute__((aligned(8)));

	(void)events;
	if (read(r->fd, notes, sizeof(notes)) > 0) /* that there were some is enough */
		df_resolvers_step(r);
}

/*
 * The moment counts as long as the payload does not run.  Later a look now and then does: root
 * has no more than 128 instances of inotify by default, for everything.
 */
void df_resolvers_init(struct df_resolvers *r)
{
	char path[64];

	r->fd = -1;
	r->counts.n_resolvers = r->meta->n_resolvers;
	memcpy(r->counts.resolvers, r->meta->resolvers, sizeof(r->counts.resolvers));
	r->told = r->counts;
	if (!r->meta->has_resolv_conf)
		return;
	r->ctime.tv_sec = r->meta->resolv_conf_s;
	r->ctime.tv_nsec = r->meta->resolv_conf_ns;
	r->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->fd < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)DF_FD_RESOLV_CONF);
	r->source.ready = changed;
	if (inotify_add_watch(r->fd, path, IN_MODIFY | IN_CLOSE_WRITE) >= 0 &&
	    df_loop_add(r->loop, r->fd, EPOLLIN, &r->source) == 0)
		return;
	(void)close(r->fd);
	r->fd = -1;
}
