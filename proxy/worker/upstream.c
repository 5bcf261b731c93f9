/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/upstream.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/own_addr.h"
#include "lib/base/util.h"
#include "proxy/worker/query.h"
#include "proxy/worker/udp.h"

#define PER_RESOLVER 8
/*
 * With those that are used up and wait for a last answer.  Beyond, these are used
 * again: a resolver that loses answers must not take the places of the others.
 */
#define PER_RESOLVER_MAX (2 * PER_RESOLVER)
#define USES 256
#define IDLE_NS 5000000000ull
#define ANSWERS_A_ROUND 64 /* then the other sources have their turn */

static void close_upstream(struct df_worker *w, struct df_upstream *u)
{
	df_loop_remove(&w->loop, u->fd, &u->source);
	(void)close(u->fd);
	u->fd = -1;
}

static void upstream_ready(struct df_source *s, uint32_t events)
{
	struct df_upstream *u = (struct df_upstream *)s;
	struct df_worker *w = u->worker;
	const unsigned peer = (unsigned)(u - w->upstreams);

	(void)events;
	for (int i = 0; i < ANSWERS_A_ROUND && u->fd >= 0; i++) {
		ssize_t n = df_upstream_receive(w, u->fd, w->packet, sizeof(w->packet));

		if (n == -ENOMSG)
			continue;
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0) { /* ECONNREFUSED and the like: nobody listens there (ICMP) */
			w->relay->failed(w, peer);
			return;
		}
		w->relay->answer(w, peer, w->packet, (size_t)n);
	}
}

/*
 * The mark of a socket whose resolver the namespace has itself, so that answers come by lo: the
 * program proxy_ingress knows by the priority that this is right.
 */
static bool is_local_expected(int fd)
{
	int priority = 0;
	socklen_t len = sizeof(priority);

	return getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, &len) == 0 &&
	       priority == DF_PRIORITY_LOCAL;
}

/*
 * The program on our cgroup has looked at the interface before; where it lets forged ones pass, in
 * audit, they pass here, too.
 */
ssize_t df_upstream_receive(struct df_worker *w, int fd, uint8_t *buf, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} info;
	struct iovec iov = {buf, size};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = info.bytes,
			   .msg_controllen = sizeof(info.bytes)};
	ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT);
	struct in6_addr to;

	if (n < 0)
		return -errno;
	if (df_udp_destination(&h, &to) != 1 || is_local_expected(fd) || df_worker_is_inert(w))
		return n;
	w->n_mismatched++;
	return -ENOMSG;
}

int df_upstream_connect(const struct df_resolver *to, int type)
{
	const bool is_ipv6 = !IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)to->addr);
	const int one = 1, priority = DF_PRIORITY_LOCAL;
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = to->port};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = to->port};
	_cleanup_close_ int fd =
		socket(is_ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (df_own_is_local(to->addr)) {
		if (!to->may_be_local)
			return -ELOOP;
		r = setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
	}
	/* the interface a datagram came by counts: asked for where it is not known by then */
	if (r == 0 && type == SOCK_DGRAM)
		r = setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
			       is_ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &one, sizeof(one));
	if (r < 0)
		return -errno;
	memcpy(&in6.sin6_addr, to->addr, 16);
	memcpy(&in4.sin_addr, to->addr + 12, 4);
	r = is_ipv6 ? connect(fd, (const void *)&in6, sizeof(in6))
		    : connect(fd, (const void *)&in4, sizeof(in4));
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}

/* At a place of find_room; an idle socket there is closed only now that its successor is open. */
static int open_upstream(struct df_worker *w, struct df_upstream *u, const struct df_resolver *to)
{
	_cleanup_close_ int fd = df_upstream_connect(to, SOCK_DGRAM);
	int r;

	if (fd < 0)
		return fd;
	u->source.ready = upstream_ready;
	r = df_loop_add(&w->loop, fd, EPOLLIN, &u->source);
	if (r < 0)
		return r;
	if (u->fd >= 0)
		close_upstream(w, u);
	u->fd = TAKE_FD(fd);
	u->worker = w;
	u->to = *to;
	u->n_in_flight = u->n_used = 0;
	w->is_any_upstream_open = true;
	return 0;
}

/* A free place, if need be that of the longest idle socket; NULL: none is free or idle. */
static struct df_upstream *find_room(struct df_worker *w)
{
	struct df_upstream *oldest = NULL;

	for (int i = 0; i < DF_UPSTREAMS_MAX; i++) {
		struct df_upstream *u = &w->upstreams[i];

		if (u->fd < 0)
			return u;
		if (u->n_in_flight == 0 && (!oldest || u->last_ns < oldest->last_ns))
			oldest = u;
	}
	return oldest;
}

/* A socket to this resolver, new or one of those that there are.  0 or -errno. */
static int pick(struct df_worker *w, const struct df_resolver *to, struct df_upstream **ret)
{
	struct df_upstream *fresh[DF_UPSTREAMS_MAX], *all[DF_UPSTREAMS_MAX], *u;
	unsigned n = 0, n_all = 0;
	int r;

	for (int i = 0; i < DF_UPSTREAMS_MAX; i++) {
		u = &w->upstreams[i];
		if (u->fd < 0 || u->to.port != to->port || u->to.may_be_local != to->may_be_local ||
		    memcmp(u->to.addr, to->addr, sizeof(u->to.addr)) != 0)
			continue;
		all[n_all++] = u;
		if (u->n_used < USES)
			fresh[n++] = u;
	}
	if (n < PER_RESOLVER && n_all < PER_RESOLVER_MAX) {
		u = find_room(w);
		r = u ? open_upstream(w, u, to) : -EBUSY;
		if (r == 0) {
			*ret = u;
			return 0;
		}
		if (n_all == 0)
			return r;
	}
	*ret = n > 0 ? fresh[df_query_random16(w) % n] : all[df_query_random16(w) % n_all];
	return 0;
}

int df_upstream_send(struct df_worker *w, struct df_query *q, const uint8_t *raw, size_t raw_len)
{
	struct df_upstream *u;
	unsigned peer;
	uint16_t id;
	int r, len;

	r = pick(w, &q->to, &u);
	if (r < 0)
		return r;
	peer = (unsigned)(u - w->upstreams);
	r = df_query_draw_id(w, peer, df_query_random16(w), &id);
	if (r < 0)
		return r;
	len = df_query_build(w, q, id, raw, raw_len);
	if (len < 0)
		return len;
	u->last_ns = w->now_ns;
	u->n_used++;
	/* an error of an earlier query may sit on the socket: once more */
	if (send(u->fd, w->answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    send(u->fd, w->answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	u->n_in_flight++;
	q->peer = (uint16_t)peer;
	q->peer_id = id;
	return 0;
}

void df_upstream_settled(struct df_worker *w, unsigned peer)
{
	if (peer >= DF_UPSTREAMS_MAX)
		return;
	w->upstreams[peer].last_ns = w->now_ns;
	w->upstreams[peer].n_in_flight--;
	/* one that is used up stays open till expiry: a late answer must not meet its successor */
}

void df_upstream_init(struct df_worker *w)
{
	for (int i = 0; i < DF_UPSTREAMS_MAX; i++)
		w->upstreams[i].fd = -1;
}

bool df_upstream_expire(struct df_worker *w)
{
	bool is_any_open = false;

	for (int i = 0; i < DF_UPSTREAMS_MAX; i++) {
		struct df_upstream *u = &w->upstreams[i];

		if (u->fd < 0)
			continue;
		/* an address that has become the namespace's own: answers come by lo from now on */
		if (u->to.may_be_local && df_own_has(&w->own, u->to.addr, w->now_ns) &&
		    !is_local_expected(u->fd))
			u->n_used = USES;
		if (u->n_in_flight == 0 && (u->n_used >= USES || w->now_ns - u->last_ns >= IDLE_NS))
			close_upstream(w, u);
		else
			is_any_open = true;
	}
	return is_any_open;
}
