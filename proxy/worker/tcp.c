/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS over TCP, pipelined (RFC 1035 4.2.2, RFC 7766).
 *
 * Each client connection has at most one to the resolver it asked, opened with
 * its first allowed query.  Messages keep their boundaries; ids are ours
 * upstream.  A connection that must go is marked and closed at the end of the
 * round, so that no function frees what its caller still walks over.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/worker/tcp.h"

#define IDLE_NS 120000000000ull
#define PIPELINE_MAX 64 /* queries in flight of one connection; then reading pauses */
#define ID_TRIES 32
#define LENGTH_LEN 2u

static int index_of(const struct df_connection *c)
{
	return (int)(c - c->worker->connections);
}

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

static void doom(struct df_connection *c)
{
	c->is_doomed = true;
}

void df_tcp_close(struct df_worker *w, struct df_connection *c)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	c->is_closing = true; /* replies to what is given up go nowhere */
	if (c->is_reset && c->client.fd >= 0)
		(void)setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	df_relay_client_gone(w, c);
	close_side(&c->client);
	close_side(&c->upstream);
	c->is_used = false;
	w->n_connections--;
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

void df_tcp_reply(struct df_worker *w, int connection, const uint8_t *pkt, size_t len)
{
	struct df_connection *c = &w->connections[connection];

	if (c->is_closing || c->client.fd < 0)
		return;
	c->last_ns = w->now_ns;
	if (append(&c->client, pkt, len) < 0) {
		doom(c); /* asks much, reads nothing */
		return;
	}
	flush(&c->client);
	update(c);
}

void df_tcp_reset(struct df_worker *w, int connection)
{
	w->connections[connection].is_reset = true;
	doom(&w->connections[connection]);
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

/*
 * Octets of the next whole message, 0: not there yet, -1: it is none.  Where nothing is enforced
 * whatever has room for an id is one.
 */
static int message_length(const struct df_worker *w, const struct df_tcp_side *s, uint32_t offset)
{
	uint32_t len;

	if (s->in_len - offset < LENGTH_LEN)
		return 0;
	len = (uint32_t)s->in[offset] << 8 | s->in[offset + 1];
	if (len < (df_worker_is_inert(w) ? 2 : DF_DNS_HEADER_LEN))
		return -1;
	return s->in_len - offset >= LENGTH_LEN + len ? (int)len : 0;
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

static void drop_front(struct df_tcp_side *s, uint32_t n)
{
	memmove(s->in, s->in + n, s->in_len - n);
	s->in_len -= n;
}

static void take_queries(struct df_worker *w, struct df_connection *c)
{
	const struct df_client client = {.connection = (int16_t)index_of(c),
					 .is_ipv6 = c->is_ipv6,
					 .token_addr = c->token_addr};
	uint32_t offset = 0;
	int len = 0;

	while (!c->is_doomed && c->n_in_flight < PIPELINE_MAX &&
	       (len = message_length(w, &c->client, offset)) > 0) {
		df_relay_query(w, &client, &c->token, c->client.in + offset + LENGTH_LEN,
			       (size_t)len);
		offset += LENGTH_LEN + (uint32_t)len;
	}
	drop_front(&c->client, offset);
	if (len < 0)
		doom(c);
}

void df_tcp_client_ready(struct df_source *s, uint32_t events)
{
	struct df_tcp_side *side = (struct df_tcp_side *)s;
	struct df_connection *c = side->connection;
	struct df_worker *w = c->worker;

	if (side->fd < 0 || c->is_doomed)
		return;
	c->last_ns = w->now_ns;
	if (events & EPOLLOUT)
		flush(side);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !side->is_eof && fill(side) <= 0)
		side->is_eof = true;
	take_queries(w, c);
	/* level-triggered and not to be masked: both directions are gone */
	if (events & (EPOLLERR | EPOLLHUP))
		doom(c);
	update(c);
}

static void take_answers(struct df_worker *w, struct df_connection *c)
{
	uint32_t offset = 0;
	int len = 0;

	while (!c->is_doomed && (len = message_length(w, &c->upstream, offset)) > 0) {
		c->n_answered++;
		df_relay_answer(w, -1, c, c->upstream.in + offset + LENGTH_LEN, (size_t)len);
		offset += LENGTH_LEN + (uint32_t)len;
	}
	drop_front(&c->upstream, offset);
	if (len < 0 && !df_worker_is_inert(w))
		doom(c);
}

/* Where nothing is enforced the client's connection ends as the resolver's does. */
static void mirror_end(struct df_connection *c, bool is_error)
{
	struct df_tcp_side *in = &c->upstream, *out = &c->client;

	df_relay_upstream_gone(c->worker, c);
	/* part of a message, or what is none */
	if (!is_error && in->in_len > 0 && in->in_len <= out->out_size - out->out_len) {
		memcpy(out->out + out->out_len, in->in, in->in_len);
		out->out_len += in->in_len;
		flush(out);
	}
	c->is_reset |= is_error;
	close_side(&c->upstream);
	out->is_eof = true; /* what it asks now, nobody answers */
	out->in_len = 0;
	if (is_error)
		doom(c);
}

/*
 * The resolver's side ended.  Resolvers close what idles, and some after one answer: then the
 * rest is asked again on a new connection.  Each of those has answered something, so this
 * ends.  One that does not answer at all cannot be reached.
 */
static void upstream_ended(struct df_worker *w, struct df_connection *c, bool is_error)
{
	const bool has_answered = c->n_answered > 0 && !c->is_connecting;

	if (df_worker_is_inert(w)) {
		mirror_end(c, is_error);
		return;
	}
	close_side(&c->upstream);
	c->is_connecting = false;
	if (!df_relay_is_waiting(w, c))
		return;
	if (has_answered)
		df_relay_ask_again(w, c);
	else
		df_tcp_reset(w, index_of(c));
}

static void upstream_ready(struct df_source *s, uint32_t events)
{
	struct df_tcp_side *side = (struct df_tcp_side *)s;
	struct df_connection *c = side->connection;
	struct df_worker *w = c->worker;
	int r = 1;

	if (side->fd < 0 || c->is_doomed)
		return;
	c->last_ns = w->now_ns;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = fill(side);
	if (r > 0 && events & EPOLLOUT) {
		c->is_connecting = false;
		flush(side);
	}
	take_answers(w, c);
	if (c->is_doomed)
		return;
	if (r <= 0 || side->is_eof)
		upstream_ended(w, c, r < 0);
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

int df_tcp_send_upstream(struct df_worker *w, struct df_asked *a)
{
	struct df_connection *c = &w->connections[a->client.connection];
	int r, len = 0;

	if (c->upstream.fd < 0) {
		r = open_upstream(w, c, &a->to); /* the same for all of its queries */
		if (r < 0) {
			if (r != -ELOOP) /* another is asked instead */
				df_tcp_reset(w, a->client.connection);
			return r;
		}
	}
	/* where nothing is enforced the client's own, so that even a wrong one comes as it is */
	a->upstream_id = df_worker_is_inert(w) ? a->q.id : df_worker_random16(w);
	for (int i = 0; !df_relay_is_id_free(w, -1, c, a->upstream_id); i++) {
		if (i == ID_TRIES)
			return -EBUSY;
		a->upstream_id = df_worker_random16(w);
	}
	len = df_relay_build(w, a, a->upstream_id);
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

static bool is_over(const struct df_worker *w, const struct df_connection *c)
{
	if (c->is_doomed)
		return true;
	if (c->n_in_flight > 0 || message_length(w, &c->client, 0) > 0)
		return false;
	return (c->client.is_eof && c->client.out_len == 0) || w->now_ns - c->last_ns >= IDLE_NS;
}

void df_tcp_expire(struct df_worker *w)
{
	for (int i = 0; i < DF_CONNECTIONS_MAX; i++) {
		struct df_connection *c = &w->connections[i];

		if (!c->is_used)
			continue;
		/* what a full pipeline left in the buffer */
		if (!c->is_doomed && c->client.in_len > 0) {
			take_queries(w, c);
			update(c);
		}
		if (is_over(w, c))
			df_tcp_close(w, c);
	}
	if (w->is_accept_paused && df_tcp_has_room(w))
		df_tcp_accept(w, true);
}
