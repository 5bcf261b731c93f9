/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/pin.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/learn/answer.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/teach.h"
#include "proxy/worker/query.h"
#include "proxy/worker/report.h"
#include "proxy/worker/state.h"
#include "proxy/worker/upstream.h"

#define NS_PER_S 1000000000ull
/* a name */
#define BACKOFF_MIN_NS (NS_PER_S / 4)
#define BACKOFF_MAX_NS (60 * NS_PER_S)
#define BACKOFF_STEPS 8 /* from the least to the most */
#define AGAIN_MIN_S 60u /* whatever the TTL says */
#define AGAIN_MAX_S 3600u
#define AGAIN_NONE_S 300u /* the name has no address */
#define START_NS (NS_PER_S / 50)
/* its events */
#define QUIET_FAILURES                                                                             \
	3                 /* with --uidmap the network comes after us: no event for the first ones \
			   */
#define TOLD_ASKED_MAX 64 /* failures of asked names, which a payload makes at will, one by one */
#define TELL_NS (10 * NS_PER_S)
/* a question */
#define TRY_NS (2 * NS_PER_S)
#define STREAM_NS (5 * NS_PER_S) /* from the connect to the last octet */
#define TRIES_MAX 4
#define HOPS_MAX 8    /* questions that one chain of CNAMEs may cost */
#define UDP_SIZE 4096 /* that we take; df_dns_build_query announces as much as fits the path */

/* --- events: names that are not pinned, and that they are again ----------------------- */

/* Many different names of a blocked zone may fail; the log has room for other things, too. */
static void tell(struct df_worker *w, const struct df_dname *name, bool is_listed,
		 struct df_msg_note m)
{
	struct df_pin *p = w->pin;

	if (!is_listed) {
		if (p->n_told_asked < TOLD_ASKED_MAX) {
			p->n_told_asked++;
		} else if (w->now_ns < p->next_tell_ns) {
			p->n_untold_asked++;
			return;
		}
		m.n_others = p->n_untold_asked;
		p->n_untold_asked = 0;
		p->next_tell_ns = w->now_ns + TELL_NS;
	}
	m.type = DF_MSG_NOTE;
	m.name = *name;
	df_report_send_note(w, &m);
}

static void tell_cause(struct df_worker *w, struct df_pin_slot *s, enum df_pin_cause cause,
		       uint32_t count)
{
	const uint16_t bit = (uint16_t)(1u << cause);

	if (s->name->told & bit)
		return;
	s->name->told |= bit;
	tell(w, &s->name->name, s->name->is_listed,
	     (struct df_msg_note){.what = DF_NOTE_PIN_FAILED,
				  .why = cause,
				  .count = count,
				  .qtype = s->is_aaaa ? DF_DNS_TYPE_AAAA : DF_DNS_TYPE_A});
}

/* The addresses of this type could not be had, or not be learned. */
static void fail(struct df_worker *w, struct df_pin_slot *s, enum df_pin_cause cause)
{
	s->is_failed = true;
	w->pin->n_failures++;
	if (cause != DF_PIN_UNREACHABLE || s->name->n_failures >= QUIET_FAILURES)
		tell_cause(w, s, cause, 1);
}

/* Tells the outcome for a name: too many addresses, no room for them, or success. */
static void tell_outcome(struct df_worker *w, struct df_pin_slot *s)
{
	const uint32_t n = s->n_addrs[0] + s->n_addrs[1];
	const bool is_many = n > DF_LEARN_STICKY_MAX;

	if (is_many)
		tell_cause(w, s, DF_PIN_MANY, n);
	if (s->is_unlearned)
		fail(w, s, DF_PIN_FULL);
	if (s->is_failed || is_many || s->name->told == 0) {
		if (!s->is_failed) /* any other cause is over, and would be told again */
			s->name->told &= 1u << DF_PIN_MANY;
		return;
	}
	s->name->told = 0;
	tell(w, &s->name->name, s->name->is_listed,
	     (struct df_msg_note){.what = DF_NOTE_PIN_RECOVERED, .count = n > 0 ? n : 1});
}

/* --- when a name is asked for again ---------------------------------------------------- */

/* After its TTL; after failures later and later. */
static uint64_t again_ns(struct df_worker *w, const struct df_pin_slot *s)
{
	const unsigned n = s->name->n_failures;
	uint32_t ttl_s = s->ttl_s < AGAIN_MAX_S ? s->ttl_s : AGAIN_MAX_S;
	uint64_t ns = (ttl_s > AGAIN_MIN_S ? ttl_s : AGAIN_MIN_S) * NS_PER_S;

	if (n > 0) {
		ns = BACKOFF_MIN_NS << (n < BACKOFF_STEPS ? n - 1 : BACKOFF_STEPS);
		if (ns > BACKOFF_MAX_NS)
			ns = BACKOFF_MAX_NS;
	}
	return w->now_ns + ns + ns / 8 * (df_query_random16(w) & 0xff) / 0x100;
}

/* Both types are through. */
static void finish(struct df_worker *w, struct df_pin_slot *s)
{
	struct df_pin_name *n = s->name;

	tell_outcome(w, s);
	if (!s->is_failed)
		n->n_failures = 0;
	else if (n->n_failures < UINT8_MAX)
		n->n_failures++;
	n->next_ns = again_ns(w, s);
	n->is_busy = false;
	/* one that was pinned is so again when it is asked for again */
	n->is_done = !n->is_listed && !s->is_failed;
	s->name = NULL;
}

/* --- the questions for one name: by UDP, by TCP where that is cut, A, then AAAA --------- */

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

/* Into s->out under a new id, with its length in front (RFC 7766 8).  0 or -errno. */
static int build(struct df_worker *w, struct df_pin_slot *s)
{
	struct df_dns_query q;
	int len;

	s->id = df_query_random16(w);
	query_of(s, &q);
	len = df_dns_build_query(&q, s->id, false, s->out + 2, sizeof(s->out) - 2);
	if (len < 0)
		return len;
	s->out[0] = (uint8_t)(len >> 8);
	s->out[1] = (uint8_t)len;
	s->out_len = 2 + (uint32_t)len;
	return 0;
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
	int r;

	if (!df_trust_pick(&w->trust, which, w->now_ns, &s->to, &index))
		return -ENOENT;
	s->resolver = (uint8_t)index;
	s->is_stream = false;
	s->deadline_ns = w->now_ns + TRY_NS;
	r = build(w, s);
	if (r == 0)
		r = open_socket(w, s, SOCK_DGRAM, EPOLLIN);
	if (r == 0 && send(s->fd, s->out + 2, s->out_len - 2, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		r = -errno;
		close_socket(w, s);
	}
	return r;
}

/* The same question to the same resolver, by TCP.  0 or -errno. */
static int begin_stream(struct df_worker *w, struct df_pin_slot *s)
{
	int r;

	close_socket(w, s);
	s->is_stream = true;
	s->deadline_ns = w->now_ns + STREAM_NS;
	w->pin->next_ns = 0;
	s->in_len = s->out_sent = 0;
	r = build(w, s);
	return r < 0 ? r : open_socket(w, s, SOCK_STREAM, EPOLLOUT);
}

static void begin_type(struct df_pin_slot *s, bool is_aaaa)
{
	s->is_aaaa = is_aaaa;
	s->n_tries = s->n_hops = 0;
	s->cause = DF_PIN_UNREACHABLE;
	s->target = s->name->name;
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
			fail(w, s, s->cause);
		if (s->is_aaaa)
			break;
		begin_type(s, true);
		is_type_done = false;
	}
	finish(w, s);
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

/* As many as a name may have refused: of more the first, and not ever others of them. */
static void learn(struct df_worker *w, struct df_pin_slot *s, struct df_dns_answer *answer)
{
	const struct df_learn_scope scope = {.tables = df_teach_tables(&w->tables),
					     .is_refusal = true,
					     .is_pinned = s->name->is_listed};
	const uint32_t others = s->is_aaaa ? s->n_addrs[0] : 0;
	const uint32_t room = others < DF_LEARN_STICKY_MAX ? DF_LEARN_STICKY_MAX - others : 0;

	for (unsigned i = 0; i < answer->n_addrs; i++)
		if (answer->addrs[i].ttl < s->ttl_s)
			s->ttl_s = answer->addrs[i].ttl;
	if (answer->n_addrs > room)
		answer->n_addrs = room;
	s->is_unlearned |= df_learn_answer(w, &s->name->name, answer, &scope) > 0;
}

static void take_whole(struct df_worker *w, struct df_pin_slot *s, const uint8_t *pkt,
		       struct df_dns_answer *answer)
{
	/* an empty authority section: not even a SOA says that there is no address (RFC 2308 2.2)
	 */
	const bool is_chain_cut = answer->n_chain > 0 && answer->n_addrs == 0 &&
				  answer->rcode == DF_DNS_RCODE_NOERROR && pkt[8] == 0 &&
				  pkt[9] == 0;

	if (answer->rcode != DF_DNS_RCODE_NOERROR && answer->rcode != DF_DNS_RCODE_NXDOMAIN) {
		fail_try(w, s,
			 answer->rcode == DF_DNS_RCODE_SERVFAIL ? DF_PIN_SERVFAIL : DF_PIN_REFUSED);
		return;
	}
	w->pin->good = s->resolver;
	if (is_chain_cut && s->n_hops == HOPS_MAX) {
		fail_try(w, s, DF_PIN_MALFORMED);
		return;
	}
	if (is_chain_cut) {
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

/* A server that does not know EDNS, RFC 6891 7; maybe with a bare header. */
static bool is_edns_unknown(const struct df_pin_slot *s, const uint8_t *pkt, size_t len)
{
	return s->has_edns && len >= DF_DNS_HEADER_LEN && (pkt[0] << 8 | pkt[1]) == s->id &&
	       (pkt[2] & DF_DNS_QR_BIT) &&
	       ((pkt[3] & 15) == DF_DNS_RCODE_FORMERR || (pkt[3] & 15) == DF_DNS_RCODE_NOTIMP);
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
	if (df_dns_is_answer_to(pkt, len, &q, s->id) && (pkt[2] & 2)) { /* TC: RFC 1035 4.1.1 */
		if (r == 0 && answer.rcode == DF_DNS_RCODE_NOERROR)
			learn(w, s,
			      &answer); /* the part that is there counts, even if the rest fails */
		if (s->is_stream || begin_stream(w, s) < 0)
			fail_try(w, s, DF_PIN_CUT);
	} else if (r == 0) {
		take_whole(w, s, pkt, &answer);
	} else if (r != -ENOMSG || s->is_stream) { /* by UDP: to another question, ours may come */
		fail_try(w, s, DF_PIN_MALFORMED);
	}
}

static void read_stream(struct df_worker *w, struct df_pin_slot *s)
{
	uint8_t *in = w->pin->in[s - w->pin->slots];
	size_t end;

	while (s->in_len < (end = s->in_len < 2 ? 2 : 2u + (size_t)(in[0] << 8 | in[1]))) {
		const ssize_t n = recv(s->fd, in + s->in_len, end - s->in_len, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
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
	const ssize_t n = df_upstream_receive(w, s->fd, w->packet, sizeof(w->packet));

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

/* --- which name is due ------------------------------------------------------------------ */

void df_pin_init(struct df_worker *w)
{
	struct df_pin *p = w->pin;

	for (unsigned t = 0; t < DF_TABLES; t++) {
		const struct df_policy *policy = &w->tables.tables[t];

		if (!df_tables_has(&w->tables, t) ||
		    df_policy_pin_blocked(policy) != DF_POLICY_PIN_YES)
			continue;
		for (uint32_t i = 0; i < df_policy_n_pin_names(policy); i++) {
			struct df_pin_name *n = &p->names[p->n_listed];

			if (df_policy_pin_name_at(policy, i, &n->name) < 0)
				continue;
			n->is_used = n->is_listed = true;
			p->n_listed++;
		}
	}
	p->next_ns = p->n_listed > 0 ? 0 : UINT64_MAX;
}

void df_pin_again(struct df_worker *w)
{
	struct df_pin *p = w->pin;

	for (unsigned i = 0; i < p->n_listed; i++)
		if (p->names[i].n_failures > 0)
			p->names[i].next_ns = 0;
	if (p->n_listed > 0)
		p->next_ns = 0;
}

/* The place that a client's name has, or may have; NULL: none. */
static struct df_pin_name *find_place(struct df_pin *p, const struct df_dname *name)
{
	struct df_pin_name *best = NULL;

	for (unsigned i = 0; i < p->n_listed + DF_PIN_ASKED; i++)
		if (p->names[i].is_used && df_dname_is_equal(&p->names[i].name, name))
			return &p->names[i];
	/* a free one, else the oldest that is done, else of those that wait the one that failed
	 * most */
	for (unsigned i = p->n_listed; i < p->n_listed + DF_PIN_ASKED; i++) {
		struct df_pin_name *n = &p->names[i];

		if (!n->is_used)
			return n;
		if (n->is_done ? !best || !best->is_done || n->next_ns < best->next_ns
			       : !n->is_busy && n->n_failures > 0 &&
					 (!best ||
					  (!best->is_done && n->n_failures > best->n_failures)))
			best = n;
	}
	return best;
}

void df_pin_refused(struct df_worker *w, enum df_table_id table, const struct df_dname *name)
{
	const struct df_policy *policy = &w->tables.tables[table];
	struct df_pin *p = w->pin;
	struct df_pin_name *n;

	if (w->trust.n == 0 || df_policy_pin_blocked(policy) == DF_POLICY_PIN_NO ||
	    df_policy_raw_ip(policy) == DF_POLICY_RAW_BLOCK)
		return;
	n = find_place(p, name);
	if (!n) { /* its next query finds room, maybe */
		p->n_failures++;
		tell(w, name, false,
		     (struct df_msg_note){
			     .what = DF_NOTE_PIN_FAILED, .why = DF_PIN_QUEUE_FULL, .count = 1});
	} else if (!n->is_used || !df_dname_is_equal(&n->name, name)) {
		*n = (struct df_pin_name){.is_used = true, .name = *name};
		p->next_ns = 0;
	} else if (n->is_done && w->now_ns >= n->next_ns) {
		n->is_done = false;
		p->next_ns = 0;
	}
}

/* false: all slots are busy. */
static bool start(struct df_worker *w, struct df_pin_name *name)
{
	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		struct df_pin_slot *s = &w->pin->slots[i];

		if (s->name)
			continue;
		*s = (struct df_pin_slot){
			.worker = w, .fd = -1, .name = name, .has_edns = true, .ttl_s = UINT32_MAX};
		name->is_busy = true;
		begin_type(s, false);
		go_on(w, s, false);
		return true;
	}
	return false;
}

/* Asked names one at a time: a payload must not make us flood a resolver. */
static void start_due(struct df_worker *w)
{
	struct df_pin *p = w->pin;
	struct df_pin_name *first = NULL;

	for (unsigned i = 0; i < p->n_listed + DF_PIN_ASKED; i++) {
		struct df_pin_name *n = &p->names[i];

		if (!n->is_used || n->is_busy || n->is_done || w->now_ns < n->next_ns)
			continue;
		if (n->is_listed && !start(w, n))
			return; /* when a slot is free again */
		if (!n->is_listed && (!first || n->next_ns < first->next_ns))
			first = n;
	}
	if (first && w->now_ns >= p->asked_ns && start(w, first))
		p->asked_ns = w->now_ns + START_NS;
}

static uint64_t next_due(const struct df_pin *p)
{
	uint64_t due_ns = UINT64_MAX;
	bool is_any_free = false;

	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		is_any_free |= !p->slots[i].name;
		if (p->slots[i].name && p->slots[i].deadline_ns < due_ns)
			due_ns = p->slots[i].deadline_ns;
	}
	for (unsigned i = 0; is_any_free && i < p->n_listed + DF_PIN_ASKED; i++) {
		const struct df_pin_name *n = &p->names[i];
		const uint64_t ns =
			n->is_listed || n->next_ns > p->asked_ns ? n->next_ns : p->asked_ns;

		if (n->is_used && !n->is_busy && !n->is_done && ns < due_ns)
			due_ns = ns;
	}
	return due_ns;
}

int df_pin_run(struct df_worker *w)
{
	struct df_pin *p = w->pin;

	if (w->trust.n == 0)
		return -1;
	if (w->now_ns >= p->next_ns) {
		for (unsigned i = 0; i < DF_PIN_SLOTS; i++)
			if (p->slots[i].name && w->now_ns >= p->slots[i].deadline_ns)
				fail_try(w, &p->slots[i], DF_PIN_TIMEOUT);
		start_due(w);
		p->next_ns = next_due(p);
	}
	if (p->next_ns == UINT64_MAX)
		return -1;
	if (p->next_ns <= w->now_ns)
		return 0;
	return (int)((p->next_ns - w->now_ns) / 1000000) + 1; /* AGAIN_MAX_S and some, at most */
}
