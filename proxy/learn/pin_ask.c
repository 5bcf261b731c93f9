/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The questions for the addresses of one name: by UDP, by TCP where that is cut, A, then AAAA. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/learn/answer.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/pin.h"
#include "proxy/learn/teach.h"
#include "proxy/worker/query.h"
#include "proxy/worker/state.h"
#include "proxy/worker/upstream.h"

#define NS_PER_S 1000000000ull
#define TRY_NS (2 * NS_PER_S)
#define STREAM_NS (5 * NS_PER_S) /* from the connect to the last octet */
#define TRIES_MAX 4
#define HOPS_MAX 8        /* questions that one chain of CNAMEs may cost */
#define AGAIN_NONE_S 300u /* the name has no address */
#define UDP_SIZE 4096     /* what we take; df_dns_build_query announces what fits the path */

static void ready(struct df_source *source, uint32_t events);

static void query_of(const struct df_pin_slot *s, struct df_dns_query *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = s->id;
	ret->rd = true;
	ret->name = s->target;
	memcpy(ret->name_case, s->target.wire, s->target.len);
	ret->type = s->is_aaaa ? DF_DNS_TYPE_AAAA : DF_DNS_TYPE_A;
	ret->has_edns = s->has_edns;
	ret->edns_udp_size = UDP_SIZE;
}

/* Into s->out, with its length in front (RFC 7766 8).  The length of all, or -errno. */
static int build(struct df_pin_slot *s)
{
	struct df_dns_query q;
	int len;

	query_of(s, &q);
	len = df_dns_build_query(&q, s->id, false, s->out + 2, sizeof(s->out) - 2);
	if (len < 0)
		return len;
	s->out[0] = (uint8_t)(len >> 8);
	s->out[1] = (uint8_t)len;
	return 2 + len;
}

static void close_socket(struct df_worker *w, struct df_pin_slot *s)
{
	if (s->fd < 0)
		return;
	df_loop_remove(&w->loop, s->fd, &s->source);
	(void)close(s->fd);
	s->fd = -1;
}

static int open_socket(struct df_worker *w, struct df_pin_slot *s, int type, uint32_t events)
{
	int r = df_upstream_connect(&s->to, type);

	if (r < 0)
		return r;
	s->fd = r;
	s->source.ready = ready;
	r = df_loop_add(&w->loop, s->fd, events, &s->source);
	if (r < 0)
		close_socket(w, s);
	return r;
}

/* To the next resolver, from a port of its own.  0 or -errno. */
static int send_query(struct df_worker *w, struct df_pin_slot *s)
{
	const unsigned which = w->pin->good + s->n_tries++;
	unsigned index;
	int r, len;

	if (!df_trust_pick(&w->trust, which, w->now_ns, &s->to, &index))
		return -ENOENT;
	s->resolver = (uint8_t)index;
	s->is_stream = false;
	s->deadline_ns = w->now_ns + TRY_NS;
	s->id = df_query_random16(w);
	len = build(s);
	if (len < 0)
		return len;
	r = open_socket(w, s, SOCK_DGRAM, EPOLLIN);
	if (r == 0 && send(s->fd, s->out + 2, (size_t)len - 2, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r < 0)
		close_socket(w, s);
	return r;
}

/* The same question to the same resolver, by TCP.  0 or -errno. */
static int begin_stream(struct df_worker *w, struct df_pin_slot *s)
{
	int len;

	close_socket(w, s);
	s->is_stream = true;
	s->deadline_ns = w->now_ns + STREAM_NS;
	w->pin->next_ns = 0;
	s->id = df_query_random16(w);
	len = build(s);
	if (len < 0)
		return len;
	s->out_len = (uint32_t)len;
	s->in_len = s->out_sent = 0;
	return open_socket(w, s, SOCK_STREAM, EPOLLOUT);
}

static void begin_type(struct df_pin_slot *s, bool is_aaaa)
{
	s->is_aaaa = is_aaaa;
	s->n_tries = s->n_hops = 0;
	s->cause = DF_PIN_UNREACHABLE;
	s->target = s->name;
}

/* The next try, then the next type, then the end. */
static void go_on(struct df_worker *w, struct df_pin_slot *s, bool is_type_done)
{
	w->pin->next_ns = 0;
	for (;;) {
		/* one that cannot be sent to now cannot a moment later: each resolver once */
		unsigned n_left = w->trust.n > 0 ? w->trust.n : 1;

		close_socket(w, s);
		while (!is_type_done && s->n_tries < TRIES_MAX && n_left-- > 0) {
			if (send_query(w, s) == 0)
				return;
			s->cause = DF_PIN_UNREACHABLE;
		}
		if (!is_type_done)
			df_pin_failed(w, s, s->cause);
		if (s->is_aaaa)
			break;
		begin_type(s, true);
		is_type_done = false;
	}
	df_pin_finished(w, s);
}

/* This try came to nothing. */
static void fail_try(struct df_worker *w, struct df_pin_slot *s, enum df_pin_cause cause)
{
	/* the answer by UDP said that there is more */
	if (s->is_stream && (cause == DF_PIN_TIMEOUT || cause == DF_PIN_UNREACHABLE))
		cause = DF_PIN_CUT;
	s->cause = cause;
	go_on(w, s, false);
}

void df_pin_ask(struct df_worker *w, struct df_pin_slot *s)
{
	begin_type(s, false);
	go_on(w, s, false);
}

void df_pin_ask_late(struct df_worker *w, struct df_pin_slot *s)
{
	fail_try(w, s, DF_PIN_TIMEOUT);
}

/* As many as a name may have refused: of more the first, and not ever others of them. */
static void learn(struct df_worker *w, struct df_pin_slot *s, struct df_dns_answer *answer)
{
	const struct df_learn_scope scope = {.tables = df_teach_tables(&w->tables),
					     .is_refusal = true,
					     .is_pinned = s->is_listed};
	const uint32_t others = s->is_aaaa ? s->n_addrs[0] : 0;
	const uint32_t room = others < DF_LEARN_STICKY_MAX ? DF_LEARN_STICKY_MAX - others : 0;

	for (unsigned i = 0; i < answer->n_addrs; i++)
		if (answer->addrs[i].ttl < s->ttl_s)
			s->ttl_s = answer->addrs[i].ttl;
	if (answer->n_addrs > room)
		answer->n_addrs = room;
	s->is_unlearned |= df_learn_answer(w, &s->name, answer, &scope) > 0;
}

/* A server that does not know EDNS, RFC 6891 7; maybe with a bare header. */
static bool is_edns_unknown(const struct df_pin_slot *s, const uint8_t *pkt, size_t len)
{
	return s->has_edns && len >= DF_DNS_HEADER_LEN && (pkt[0] << 8 | pkt[1]) == s->id &&
	       (pkt[2] & DF_DNS_QR_BIT) &&
	       ((pkt[3] & 15) == DF_DNS_RCODE_FORMERR || (pkt[3] & 15) == DF_DNS_RCODE_NOTIMP);
}

static bool has_tc(const uint8_t *pkt)
{
	return pkt[2] & 2; /* RFC 1035 4.1.1 */
}

/* An empty authority section: not even a SOA says that there is no address (RFC 2308 2.2). */
static bool is_chain_cut(const uint8_t *pkt, const struct df_dns_answer *answer)
{
	return answer->n_chain > 0 && answer->n_addrs == 0 &&
	       answer->rcode == DF_DNS_RCODE_NOERROR && pkt[8] == 0 && pkt[9] == 0;
}

static enum df_pin_cause cause_of(uint8_t rcode)
{
	return rcode == DF_DNS_RCODE_SERVFAIL ? DF_PIN_SERVFAIL : DF_PIN_REFUSED;
}

static void take_whole(struct df_worker *w, struct df_pin_slot *s, const uint8_t *pkt,
		       struct df_dns_answer *answer)
{
	if (answer->rcode != DF_DNS_RCODE_NOERROR && answer->rcode != DF_DNS_RCODE_NXDOMAIN) {
		fail_try(w, s, cause_of(answer->rcode));
		return;
	}
	w->pin->good = s->resolver;
	if (is_chain_cut(pkt, answer) && s->n_hops == HOPS_MAX) {
		fail_try(w, s, DF_PIN_MALFORMED);
		return;
	}
	if (is_chain_cut(pkt, answer)) {
		s->target = answer->chain[answer->n_chain - 1];
		s->n_hops++;
		s->n_tries = 0;
		go_on(w, s, false);
		return;
	}
	s->n_addrs[s->is_aaaa] = answer->n_addrs + answer->n_more_addrs;
	learn(w, s, answer);
	if (s->n_addrs[s->is_aaaa] == 0 && s->ttl_s > AGAIN_NONE_S)
		s->ttl_s = AGAIN_NONE_S;
	go_on(w, s, true);
}

static void take_answer(struct df_worker *w, struct df_pin_slot *s, const uint8_t *pkt, size_t len)
{
	struct df_dns_answer answer;
	struct df_dns_query q;
	int r;

	if (is_edns_unknown(s, pkt, len)) {
		s->has_edns = false;
		s->n_tries--; /* the same one again */
		go_on(w, s, false);
		return;
	}
	query_of(s, &q);
	r = df_dns_parse_first(pkt, len, &q, s->id, &answer);
	if (df_dns_is_answer_to(pkt, len, &q, s->id) && has_tc(pkt)) {
		if (r == 0 && answer.rcode == DF_DNS_RCODE_NOERROR)
			learn(w, s, &answer); /* what is there counts, whatever comes of the rest */
		if (s->is_stream || begin_stream(w, s) < 0)
			fail_try(w, s, DF_PIN_CUT);
	} else if (r == 0) {
		take_whole(w, s, pkt, &answer);
	} else if (r != -ENOMSG || s->is_stream) { /* by UDP: to another question, ours may come */
		fail_try(w, s, DF_PIN_MALFORMED);
	}
}

/* --- octets --- */

/* The only place that reads what a resolver sent.  Octets, or -errno; 0 ends a stream. */
static ssize_t receive(struct df_pin_slot *s, uint8_t *buf, size_t size)
{
	ssize_t n;

	if (!s->is_stream)
		return df_upstream_receive(s->worker, s->fd, buf, size);
	n = recv(s->fd, buf, size, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static uint8_t *stream_in(struct df_worker *w, const struct df_pin_slot *s)
{
	return w->pin->in[s - w->pin->slots];
}

/* Octets that the message still lacks, as far as is known. */
static size_t missing(const uint8_t *in, size_t in_len)
{
	return in_len < 2 ? 2 - in_len : 2u + (size_t)(in[0] << 8 | in[1]) - in_len;
}

static void read_stream(struct df_worker *w, struct df_pin_slot *s)
{
	uint8_t *in = stream_in(w, s);
	size_t lacking;

	while ((lacking = missing(in, s->in_len)) > 0) {
		const ssize_t n = receive(s, in + s->in_len, lacking);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			fail_try(w, s, DF_PIN_CUT);
			return;
		}
		s->in_len += (uint32_t)n;
	}
	take_answer(w, s, in + 2, s->in_len - 2);
}

static void write_stream(struct df_worker *w, struct df_pin_slot *s)
{
	const ssize_t n = send(s->fd, s->out + s->out_sent, s->out_len - s->out_sent,
			       MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		s->out_sent += (uint32_t)n;
	if (n <= 0 ||
	    (s->out_sent == s->out_len && df_loop_change(&w->loop, s->fd, EPOLLIN, &s->source) < 0))
		fail_try(w, s, DF_PIN_CUT);
}

static void read_datagram(struct df_worker *w, struct df_pin_slot *s)
{
	const ssize_t n = receive(s, w->packet, sizeof(w->packet));

	if (n >= 0)
		take_answer(w, s, w->packet, (size_t)n);
	else if (n != -EAGAIN && n != -EINTR && n != -ENOMSG)
		fail_try(w, s, DF_PIN_UNREACHABLE); /* ECONNREFUSED and the like (ICMP) */
}

static void ready(struct df_source *source, uint32_t events)
{
	struct df_pin_slot *s = (struct df_pin_slot *)source;
	struct df_worker *w = s->worker;

	(void)events;
	if (!s->is_stream)
		read_datagram(w, s);
	else if (s->out_sent < s->out_len)
		write_stream(w, s);
	else
		read_stream(w, s);
}
