/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/worker/query.h"
#include "proxy/worker/udp.h"
#include "proxy/worker/upstream.h"

#define IDLE_NS 120000000000ull
#define ROOM_IDLE_NS 2000000000ull /* an idle client may lose its place to a new one */
#define PIPELINE_MAX 64            /* queries in flight of one connection; then reading pauses */
#define LENGTH_LEN 2u

static int index_of(const struct df_connection *c)
{
	return (int)(c - c->worker->connections);
}

/* --- one side of a connection ---------------------------------------------------------- */

static void watch(struct df_tcp_side *s, uint32_t events)
{
	if (s->fd < 0 || s->events == events)
		return;
	if (df_loop_change(&s->connection->worker->loop, s->fd, events, &s->source) == 0)
		s->events = events;
}

/* Reading pauses while the pipeline or the way out is full. */
static void update(struct df_connection *c)
{
	const bool is_full = c->n_in_flight >= PIPELINE_MAX;
	const bool has_room = c->client.out_len == 0;
	const bool client_out = c->client.out_sent < c->client.out_len;
	const bool upstream_out = c->is_connecting || c->upstream.out_sent < c->upstream.out_len;

	watch(&c->client, (is_full || c->client.is_eof || !has_room ? 0u : EPOLLIN) |
				  (client_out ? EPOLLOUT : 0u));
	watch(&c->upstream, (has_room ? EPOLLIN : 0u) | (upstream_out ? EPOLLOUT : 0u));
}

static void close_side(struct df_tcp_side *s)
{
	if (s->fd < 0)
		return;
	df_loop_remove(&s->connection->worker->loop, s->fd, &s->source);
	(void)close(s->fd);
	s->fd = -1;
	s->in_len = s->out_len = s->out_sent = 0;
	s->is_eof = false;
}

static void flush(struct df_tcp_side *s)
{
	while (s->fd >= 0 && s->out_sent < s->out_len) {
		ssize_t n = send(s->fd, s->out + s->out_sent, s->out_len - s->out_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			s->is_eof = true;
			s->out_len = s->out_sent = 0;
			return;
		}
		s->out_sent += (uint32_t)n;
	}
	if (s->out_sent == s->out_len)
		s->out_len = s->out_sent = 0;
}

/* 0, or -ENOBUFS. */
static int append(struct df_tcp_side *s, const uint8_t *pkt, size_t len)
{
	if (s->out_size - s->out_len < LENGTH_LEN + len)
		return -ENOBUFS;
	s->out[s->out_len] = (uint8_t)(len >> 8);
	s->out[s->out_len + 1] = (uint8_t)len;
	memcpy(s->out + s->out_len + LENGTH_LEN, pkt, len);
	s->out_len += LENGTH_LEN + (uint32_t)len;
	return 0;
}

/* 1; 0: the other side closed; or -errno. */
static int fill(struct df_tcp_side *s)
{
	ssize_t n;

	if (s->in_len == s->in_size)
		return 1;
	n = recv(s->fd, s->in + s->in_len, s->in_size - s->in_len, MSG_DONTWAIT);
	if (n > 0)
		s->in_len += (uint32_t)n;
	if (n >= 0)
		return n > 0;
	return errno == EAGAIN || errno == EINTR ? 1 : -errno;
}

/*
 * Octets of the next whole message, 0: not there yet, -1: it is none.  Where nothing is enforced
 * every message with room for an id is one.
 */
static int message_length(const struct df_tcp_side *s, uint32_t offset)
{
	const bool is_inert = df_worker_is_inert(s->connection->worker);
	uint32_t len;

	if (s->in_len - offset < LENGTH_LEN)
		return 0;
	len = (uint32_t)s->in[offset] << 8 | s->in[offset + 1];
	if (len < (is_inert ? 2 : DF_DNS_HEADER_LEN))
		return -1;
	return s->in_len - offset >= LENGTH_LEN + len ? (int)len : 0;
}

static void drop_front(struct df_tcp_side *s, uint32_t n)
{
	memmove(s->in, s->in + n, s->in_len - n);
	s->in_len -= n;
}

/* --- the client's side ------------------------------------------------------------------ */

/* Closes both sides now: only where no caller walks over the connection. */
static void close_connection(struct df_connection *c)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct df_worker *w = c->worker;

	c->is_closing = true; /* replies to its queries go nowhere */
	if (c->is_reset && c->client.fd >= 0)
		(void)setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	w->relay->client_gone(w, index_of(c));
	close_side(&c->client);
	close_side(&c->upstream);
	c->is_used = false;
	w->n_connections--;
}

void df_tcp_reply(struct df_worker *w, int connection, const uint8_t *pkt, size_t len)
{
	struct df_connection *c = &w->connections[connection];

	if (c->is_closing || c->client.fd < 0)
		return;
	c->last_ns = w->now_ns;
	if (append(&c->client, pkt, len) < 0) {
		c->is_doomed = true; /* asks much, reads nothing */
		return;
	}
	flush(&c->client);
	update(c);
}

void df_tcp_reset(struct df_worker *w, int connection)
{
	w->connections[connection].is_reset = true;
	w->connections[connection].is_doomed = true;
}

bool df_tcp_is_unconnected(const struct df_worker *w, int connection)
{
	return w->connections[connection].is_connecting || w->connections[connection].is_reset;
}

void df_tcp_settled(struct df_worker *w, int connection)
{
	struct df_connection *c = &w->connections[connection];

	c->n_in_flight--;
	if (!c->is_closing)
		update(c);
}

static void take_queries(struct df_connection *c)
{
	const struct df_client client = {.connection = (int16_t)index_of(c),
					 .is_ipv6 = c->is_ipv6,
					 .token_addr = c->token_addr};
	uint32_t offset = 0;
	int len = 0;

	while (!c->is_doomed && c->n_in_flight < PIPELINE_MAX &&
	       (len = message_length(&c->client, offset)) > 0) {
		c->worker->relay->query(c->worker, &client, &c->token,
					c->client.in + offset + LENGTH_LEN, (size_t)len);
		offset += LENGTH_LEN + (uint32_t)len;
	}
	drop_front(&c->client, offset);
	c->is_doomed |= len < 0;
}

static void client_ready(struct df_source *s, uint32_t events)
{
	struct df_tcp_side *side = (struct df_tcp_side *)s;
	struct df_connection *c = side->connection;

	if (side->fd < 0 || c->is_doomed)
		return;
	c->last_ns = c->worker->now_ns;
	if (events & EPOLLOUT)
		flush(side);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !side->is_eof && fill(side) <= 0)
		side->is_eof = true;
	take_queries(c);
	/* level-triggered and not to be masked: both directions are gone */
	c->is_doomed |= (events & (EPOLLERR | EPOLLHUP)) != 0;
	update(c);
}

/* --- the resolver's side ---------------------------------------------------------------- */

static void take_answers(struct df_connection *c)
{
	struct df_worker *w = c->worker;
	uint32_t offset = 0;
	int len = 0;

	while (!c->is_doomed && (len = message_length(&c->upstream, offset)) > 0) {
		c->n_answered++;
		w->relay->answer(w, df_query_tcp_peer(index_of(c)),
				 c->upstream.in + offset + LENGTH_LEN, (size_t)len);
		offset += LENGTH_LEN + (uint32_t)len;
	}
	drop_front(&c->upstream, offset);
	c->is_doomed |= len < 0 && !df_worker_is_inert(w);
}

/*
 * The resolver's side ended.  Resolvers close idle connections, and some after one answer: then the
 * rest is asked again on a new connection.  Each of those has answered something, so this
 * ends.  One that does not answer at all cannot be reached.
 * Where nothing is enforced the client's connection ends as the resolver's does.
 */
static void upstream_ended(struct df_connection *c, bool is_error)
{
	const bool has_answered = c->n_answered > 0 && !c->is_connecting;
	struct df_tcp_side *in = &c->upstream, *out = &c->client;
	struct df_worker *w = c->worker;

	if (df_worker_is_inert(w)) {
		w->relay->upstream_gone(w, index_of(c));
		/* part of a message, or octets that are none */
		if (!is_error && in->in_len > 0 && in->in_len <= out->out_size - out->out_len) {
			memcpy(out->out + out->out_len, in->in, in->in_len);
			out->out_len += in->in_len;
			flush(out);
		}
		close_side(in);
		c->is_reset |= is_error;
		c->is_doomed |= is_error;
		out->is_eof = true; /* nobody answers later queries */
		out->in_len = 0;
		return;
	}
	close_side(in);
	c->is_connecting = false;
	if (!df_query_is_waiting(w, df_query_tcp_peer(index_of(c))))
		return;
	if (has_answered)
		w->relay->ask_again(w, index_of(c));
	else
		df_tcp_reset(w, index_of(c));
}

static void upstream_ready(struct df_source *s, uint32_t events)
{
	struct df_tcp_side *side = (struct df_tcp_side *)s;
	struct df_connection *c = side->connection;
	int r = 1;

	if (side->fd < 0 || c->is_doomed)
		return;
	c->last_ns = c->worker->now_ns;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = fill(side);
	if (r > 0 && events & EPOLLOUT) {
		c->is_connecting = false;
		flush(side);
	}
	take_answers(c);
	if (c->is_doomed)
		return;
	if (r <= 0 || side->is_eof)
		upstream_ended(c, r < 0);
	update(c);
}

static int open_upstream(struct df_worker *w, struct df_connection *c, const struct df_resolver *to)
{
	_cleanup_close_ int fd = df_upstream_connect(to, SOCK_STREAM);
	struct df_tcp_side *s = &c->upstream;
	int r;

	if (fd < 0)
		return fd;
	s->source.ready = upstream_ready;
	r = df_loop_add(&w->loop, fd, EPOLLIN | EPOLLOUT, &s->source);
	if (r < 0)
		return r;
	s->fd = TAKE_FD(fd);
	s->events = EPOLLIN | EPOLLOUT;
	c->is_connecting = true;
	c->n_answered = 0;
	return 0;
}

int df_tcp_send_upstream(struct df_worker *w, struct df_query *q, const uint8_t *raw,
			 size_t raw_len)
{
	const int connection = q->client.connection;
	struct df_connection *c = &w->connections[connection];
	/* where nothing is enforced the client's own id, so that even a wrong one comes as it is */
	const uint16_t first = df_worker_is_inert(w) ? q->msg.id : df_query_random16(w);
	int r, len;

	if (c->upstream.fd < 0) {
		r = open_upstream(w, c, &q->to); /* the same for all of its queries */
		if (r < 0) {
			if (r != -ELOOP) /* another is asked instead */
				df_tcp_reset(w, connection);
			return r;
		}
	}
	q->peer = (uint16_t)df_query_tcp_peer(connection);
	r = df_query_draw_id(w, q->peer, first, &q->peer_id);
	if (r < 0)
		return r;
	len = df_query_build(w, q, q->peer_id, raw, raw_len);
	if (len < 0)
		return len;
	r = append(&c->upstream, w->answer, (size_t)len);
	if (r < 0)
		return r;
	if (!c->is_connecting)
		flush(&c->upstream);
	update(c);
	return 0;
}

/* --- new connections -------------------------------------------------------------------- */

/*
 * A free place, or that of the client that idles longest: a resolver may close idle ones (RFC 7766
 * 6.2.3), and clients expect it.  One that has just connected does not idle: its query is on the
 * way.  NULL: there is none.
 */
static struct df_connection *find_place(struct df_worker *w)
{
	struct df_connection *best = NULL;

	for (int i = 0; i < DF_CONNECTIONS_MAX; i++) {
		struct df_connection *c = &w->connections[i];

		if (!c->is_used)
			return c;
		if (c->n_in_flight == 0 && c->client.out_len == 0 &&
		    w->now_ns - c->last_ns >= ROOM_IDLE_NS && (!best || c->last_ns < best->last_ns))
			best = c;
	}
	return best;
}

/* Takes new clients, or leaves them in the kernel's queue. */
static void set_accepting(struct df_worker *w, bool is_wanted)
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
		*ret_addr = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
		memcpy(ret_addr->s6_addr + 12, &local.in4.sin_addr, 4);
	}
	return df_udp_token_lookup(w->meta, ret_addr, ret);
}

void df_tcp_accept(struct df_source *s, uint32_t events)
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
		set_accepting(w, false);
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
		close_connection(c);
	b = &w->tcp_buffers[c - w->connections];
	*c = (struct df_connection){
		.worker = w,
		.client = {.source.ready = client_ready,
			   .connection = c,
			   .fd = -1,
			   .in = b->client_in,
			   .in_size = sizeof(b->client_in),
			   .out = b->client_out,
			   .out_size = sizeof(b->client_out)},
		.upstream = {.connection = c,
			     .fd = -1,
			     .in = b->upstream_in,
			     .in_size = sizeof(b->upstream_in),
			     .out = b->upstream_out,
			     .out_size = sizeof(b->upstream_out)},
		.token_addr = addr,
		.is_ipv6 = l->is_ipv6,
		.token = token,
		.last_ns = w->now_ns,
	};
	if (df_loop_add(&w->loop, fd, EPOLLIN, &c->client.source) < 0)
		return;
	c->is_used = true;
	c->client.fd = TAKE_FD(fd);
	c->client.events = EPOLLIN;
	w->n_connections++;
}

static bool is_over(const struct df_connection *c)
{
	if (c->is_doomed)
		return true;
	if (c->n_in_flight > 0 || message_length(&c->client, 0) > 0)
		return false;
	return (c->client.is_eof && c->client.out_len == 0) ||
	       c->worker->now_ns - c->last_ns >= IDLE_NS;
}

void df_tcp_expire(struct df_worker *w)
{
	for (int i = 0; i < DF_CONNECTIONS_MAX; i++) {
		struct df_connection *c = &w->connections[i];

		if (!c->is_used)
			continue;
		/* queries that a full pipeline left in the buffer */
		if (!c->is_doomed && c->client.in_len > 0) {
			take_queries(c);
			update(c);
		}
		if (is_over(c))
			close_connection(c);
	}
	if (w->is_accept_paused && find_place(w))
		set_accepting(w, true);
}
