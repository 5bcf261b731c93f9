/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP clients: who may connect, and which place they get. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/worker/tcp.h"

#define IDLE_NS 2000000000ull /* an idle client may lose its place to a new one */

static void init_side(struct df_connection *c, struct df_tcp_side *s, uint8_t *in, uint32_t in_size,
		      uint8_t *out, uint32_t out_size)
{
	*s = (struct df_tcp_side){.connection = c,
				  .fd = -1,
				  .in = in,
				  .in_size = in_size,
				  .out = out,
				  .out_size = out_size};
}

/*
 * A resolver may close what idles (RFC 7766 6.2.3), and clients expect it.  One that has just
 * connected does not idle: its query is on the way.
 */
static bool is_idle(const struct df_worker *w, const struct df_connection *c)
{
	return c->n_in_flight == 0 && c->client.out_len == 0 && w->now_ns - c->last_ns >= IDLE_NS;
}

/* NULL: none is free or idle. */
static struct df_connection *find_place(const struct df_worker *w)
{
	const struct df_connection *best = NULL;

	for (int i = 0; i < DF_CONNECTIONS_MAX; i++) {
		const struct df_connection *c = &w->connections[i];

		if (!c->is_used)
			return (struct df_connection *)c;
		if (is_idle(w, c) && (!best || c->last_ns < best->last_ns))
			best = c;
	}
	return (struct df_connection *)best;
}

bool df_tcp_has_room(const struct df_worker *w)
{
	return find_place(w);
}

void df_tcp_accept(struct df_worker *w, bool is_wanted)
{
	w->is_accept_paused = !is_wanted;
	for (int i = 2; i < 4; i++)
		if (w->listeners[i].fd >= 0)
			(void)df_loop_change(&w->loop, w->listeners[i].fd, is_wanted ? EPOLLIN : 0,
					     &w->listeners[i].source);
}

/*
 * IPv6 listens on every interface: the peer must be an address of this
 * namespace, or somebody on the link could route the token prefix here.
 */
static bool is_local_peer(int fd)
{
	struct sockaddr_in6 peer = {0};
	socklen_t len = sizeof(peer);
	_cleanup_close_ int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (probe < 0 || getpeername(fd, (void *)&peer, &len) < 0 || peer.sin6_family != AF_INET6)
		return false;
	peer.sin6_port = 0;
	return bind(probe, (const void *)&peer, sizeof(peer)) == 0;
}

static int token_of(const struct df_worker *w, int fd, bool is_ipv6, struct in6_addr *ret_addr,
		    struct df_token *ret)
{
	union {
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (void *)&local, &len) < 0)
		return -errno;
	if (is_ipv6) {
		if (!is_local_peer(fd))
			return -EPERM;
		*ret_addr = local.in6.sin6_addr;
	} else {
		*ret_addr = (struct in6_addr){};
		ret_addr->s6_addr[10] = 0xff;
		ret_addr->s6_addr[11] = 0xff;
		memcpy(ret_addr->s6_addr + 12, &local.in4.sin_addr, 4);
	}
	return df_udp_token_lookup(w->meta, ret_addr, ret);
}

static void listener_ready(struct df_source *s, uint32_t events)
{
	struct df_listener *l = (struct df_listener *)s;
	struct df_worker *w = l->worker;
	struct df_connection *c = find_place(w);
	_cleanup_close_ int fd = -1;
	struct df_tcp_buffers *b;
	struct in6_addr addr;
	struct df_token token;

	(void)events;
	if (!c) { /* until a place is free: df_tcp_expire */
		df_tcp_accept(w, false);
		return;
	}
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (token_of(w, fd, l->is_ipv6, &addr, &token) < 0) {
		w->n_unknown_token++;
		return;
	}
	if (c->is_used)
		df_tcp_close(w, c);
	b = &w->tcp_buffers[c - w->connections];
	*c = (struct df_connection){.worker = w,
				    .token_addr = addr,
				    .is_ipv6 = l->is_ipv6,
				    .is_used = true,
				    .token = token,
				    .last_ns = w->now_ns};
	init_side(c, &c->client, b->client_in, sizeof(b->client_in), b->client_out,
		  sizeof(b->client_out));
	init_side(c, &c->upstream, b->upstream_in, sizeof(b->upstream_in), b->upstream_out,
		  sizeof(b->upstream_out));
	c->client.source.ready = df_tcp_client_ready;
	if (df_loop_add(&w->loop, fd, EPOLLIN, &c->client.source) < 0) {
		c->is_used = false;
		return;
	}
	c->client.fd = TAKE_FD(fd);
	c->client.events = EPOLLIN;
	w->n_connections++;
}

int df_tcp_init(struct df_worker *w)
{
	for (int i = 2; i < 4; i++) {
		struct df_listener *l = &w->listeners[i];
		int r;

		if (l->fd < 0)
			continue;
		l->source.ready = listener_ready;
		r = df_loop_add(&w->loop, l->fd, EPOLLIN, &l->source);
		if (r < 0)
			return r;
	}
	return 0;
}
