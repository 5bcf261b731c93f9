/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/pin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/util.h"
#include "proxy/worker.h"

#define NS_PER_S 1000000000ull
#define TRY_NS (2 * NS_PER_S)
#define TRIES_MAX 4
#define BACKOFF_MIN_NS (NS_PER_S / 4)
#define BACKOFF_MAX_NS (60 * NS_PER_S)
#define BACKOFF_STEPS 8 /* from the least to the most */
#define AGAIN_MIN_S 60u /* whatever the TTL says */
#define AGAIN_MAX_S 3600u
#define AGAIN_NONE_S 300u /* the name has no address */
#define QUEUE_NS (NS_PER_S / 50)
#define UDP_SIZE 4096 /* what we take; df_dns_build_query announces what fits the path */

/* --- not again so soon ------------------------------------------------------------- */

static uint64_t hash_of(const struct df_worker *w, const struct df_dname *name)
{
	uint64_t h = w->seen.seed;

	for (size_t i = 0; i < name->len; i++)
		h = (h ^ name->wire[i]) * 0x100000001b3ull;
	return h;
}

static bool is_recent(const struct df_worker *w, const struct df_dname *name)
{
	const uint64_t h = hash_of(w, name);
	const unsigned at = (h ^ h >> 32) % DF_PIN_RECENT;

	return w->pin.recent[at].hash == h && w->now_ns < w->pin.recent[at].until_ns;
}

static void remember(struct df_worker *w, const struct df_dname *name, uint64_t until_ns)
{
	const uint64_t h = hash_of(w, name);
	const unsigned at = (h ^ h >> 32) % DF_PIN_RECENT;

	w->pin.recent[at].hash = h;
	w->pin.recent[at].until_ns = until_ns;
}

/* --- one query ------------------------------------------------------------------------ */

static void query_of(const struct df_pin_slot *s, struct df_dns_query *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = s->id;
	ret->rd = true;
	ret->name = s->name;
	memcpy(ret->name_case, s->name.wire, s->name.len);
	ret->type = s->is_aaaa ? DF_DNS_TYPE_AAAA : DF_DNS_TYPE_A;
	ret->has_edns = s->has_edns;
	ret->edns_udp_size = UDP_SIZE;
}

static void close_socket(struct df_worker *w, struct df_pin_slot *s)
{
	if (s->fd < 0)
		return;
	df_loop_remove(&w->loop, s->fd, &s->source);
	(void)close(s->fd);
	s->fd = -1;
}

static void pin_ready(struct df_source *source, uint32_t events);

/* To the next resolver, from a port of its own.  0 or -errno. */
static int send_query(struct df_worker *w, struct df_pin_slot *s)
{
	const unsigned which = w->pin.good + s->n_tries++;
	struct df_resolver to;
	struct df_dns_query q;
	unsigned index;
	int r, len;

	if (!df_trust_pick(&w->trust, which, w->now_ns, &to, &index))
		return -ENOENT;
	s->resolver = (uint8_t)index;
	s->deadline_ns = w->now_ns + TRY_NS;
	s->id = df_worker_random16(w);
	query_of(s, &q);
	len = df_dns_build_query(&q, s->id, false, w->answer, sizeof(w->answer));
	if (len < 0)
		return len;
	r = df_upstream_connect(&to, SOCK_DGRAM);
	if (r < 0)
		return r;
	s->fd = r;
	s->source.ready = pin_ready;
	r = df_loop_add(&w->loop, s->fd, EPOLLIN, &s->source);
	if (r == 0 && send(s->fd, w->answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r < 0)
		close_socket(w, s);
	return r;
}

/* --- one name ------------------------------------------------------------------------- */

static uint64_t jitter(struct df_worker *w, uint64_t ns)
{
	return ns + ns / 8 * (df_worker_random16(w) & 0xff) / 0x100;
}

static uint64_t again_ns(struct df_worker *w, const struct df_pin_slot *s, unsigned n_failures)
{
	uint32_t ttl_s = s->ttl_s < AGAIN_MAX_S ? s->ttl_s : AGAIN_MAX_S;
	uint64_t ns;

	if (n_failures == 0)
		return w->now_ns +
		       jitter(w, (ttl_s > AGAIN_MIN_S ? ttl_s : AGAIN_MIN_S) * NS_PER_S);
	ns = BACKOFF_MIN_NS << (n_failures < BACKOFF_STEPS ? n_failures - 1 : BACKOFF_STEPS);
	return w->now_ns + jitter(w, ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS);
}

static void finish(struct df_worker *w, struct df_pin_slot *s)
{
	struct df_pin_name *n = s->listed >= 0 ? &w->pin.names[s->listed] : NULL;

	s->is_busy = false;
	if (n) {
		n->is_busy = false;
		if (!s->is_failed)
			n->n_failures = 0;
		else if (n->n_failures < UINT8_MAX)
			n->n_failures++;
		n->next_ns = again_ns(w, s, n->n_failures);
	}
	remember(w, &s->name, again_ns(w, s, n ? n->n_failures : s->is_failed * BACKOFF_STEPS));
}

/* The next try, then the next type, then the end. */
static void go_on(struct df_worker *w, struct df_pin_slot *s)
{
	w->pin.next_ns = 0;
	for (;;) {
		close_socket(w, s);
		while (s->n_tries < TRIES_MAX)
			if (send_query(w, s) == 0)
				return;
		s->is_failed |= s->n_tries == TRIES_MAX; /* an answer sets it beyond */
		if (s->is_aaaa)
			break;
		s->is_aaaa = true;
		s->n_tries = 0;
	}
	finish(w, s);
}

/* Nothing more is to be had of this type. */
static void type_done(struct df_worker *w, struct df_pin_slot *s)
{
	s->n_tries = TRIES_MAX + 1;
	go_on(w, s);
}

static void learn(struct df_worker *w, struct df_pin_slot *s, const struct df_dns_answer *answer)
{
	const struct df_learn_scope scope = {.tables = df_teach_tables(&w->tables),
					     .is_refusal = true,
					     .is_pinned = s->listed >= 0};

	df_learn_answer(w, &s->name, answer, &scope);
	for (unsigned i = 0; i < answer->n_addrs; i++)
		if (answer->addrs[i].ttl < s->ttl_s)
			s->ttl_s = answer->addrs[i].ttl;
	if (answer->n_addrs == 0 && s->ttl_s > AGAIN_NONE_S)
		s->ttl_s = AGAIN_NONE_S;
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
		go_on(w, s);
		return;
	}
	query_of(s, &q);
	r = df_dns_parse_answer(pkt, len, &q, s->id, &answer);
	if (r == -ENOMSG)
		return; /* to another question: go on waiting for ours */
	if (r < 0 ||
	    (answer.rcode != DF_DNS_RCODE_NOERROR && answer.rcode != DF_DNS_RCODE_NXDOMAIN)) {
		go_on(w, s);
		return;
	}
	w->pin.good = s->resolver;
	learn(w, s, &answer);
	type_done(w, s);
}

static void pin_ready(struct df_source *source, uint32_t events)
{
	struct df_pin_slot *s = (struct df_pin_slot *)source;
	struct df_worker *w = s->worker;
	ssize_t n = df_upstream_receive(w, s->fd, w->packet, sizeof(w->packet));

	(void)events;
	if (n >= 0)
		take_answer(w, s, w->packet, (size_t)n);
	else if (n != -EAGAIN && n != -EINTR && n != -ENOMSG)
		go_on(w, s); /* ECONNREFUSED and the like: nobody listens there (ICMP) */
}

/* NULL: all are busy. */
static struct df_pin_slot *start(struct df_worker *w, const struct df_dname *name, int16_t listed)
{
	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		struct df_pin_slot *s = &w->pin.slots[i];

		if (s->is_busy)
			continue;
		*s = (struct df_pin_slot){.worker = w,
					  .fd = -1,
					  .is_busy = true,
					  .listed = listed,
					  .has_edns = true,
					  .ttl_s = UINT32_MAX,
					  .name = *name};
		go_on(w, s);
		return s;
	}
	return NULL;
}

/* --- what is due ---------------------------------------------------------------------------- */

void df_pin_init(struct df_worker *w)
{
	struct df_pin *p = &w->pin;

	for (unsigned t = 0; t < DF_TABLES && w->trust.n > 0; t++) {
		const struct df_policy *policy = &w->tables.tables[t];

		if (!df_tables_has(&w->tables, t) ||
		    df_policy_pin_blocked(policy) != DF_POLICY_PIN_YES)
			continue;
		for (uint32_t i = 0; i < df_policy_n_pin_names(policy); i++)
			p->names[p->n_names++] =
				(struct df_pin_name){.table = (uint8_t)t, .index = (uint8_t)i};
	}
	p->next_ns = p->n_names > 0 ? 0 : UINT64_MAX;
}

void df_pin_refused(struct df_worker *w, enum df_table table, const struct df_dname *name)
{
	const struct df_policy *policy = &w->tables.tables[table];
	struct df_pin *p = &w->pin;

	if (w->trust.n == 0 || df_policy_pin_blocked(policy) == DF_POLICY_PIN_NO ||
	    df_policy_raw_ip(policy) == DF_POLICY_RAW_BLOCK || p->n_queued == DF_PIN_QUEUE ||
	    is_recent(w, name))
		return;
	p->queue[(p->first_queued + p->n_queued++) % DF_PIN_QUEUE] = *name;
	remember(w, name, w->now_ns + AGAIN_MIN_S * NS_PER_S);
	p->next_ns = 0;
}

static void start_listed(struct df_worker *w)
{
	for (unsigned i = 0; i < w->pin.n_names; i++) {
		struct df_pin_name *n = &w->pin.names[i];
		struct df_dname name;

		if (n->is_busy || w->now_ns < n->next_ns)
			continue;
		n->is_busy = true;
		if (df_policy_pin_name_at(&w->tables.tables[n->table], n->index, &name) < 0 ||
		    start(w, &name, (int16_t)i))
			continue;
		n->is_busy = false;
		return; /* when a slot is free again */
	}
}

static void start_queued(struct df_worker *w)
{
	struct df_pin *p = &w->pin;

	if (p->n_queued == 0 || w->now_ns < p->queue_ns ||
	    !start(w, &p->queue[p->first_queued], -1))
		return;
	p->first_queued = (p->first_queued + 1) % DF_PIN_QUEUE;
	p->n_queued--;
	p->queue_ns = w->now_ns + QUEUE_NS;
}

static void sooner(uint64_t *ns, uint64_t other_ns)
{
	if (other_ns < *ns)
		*ns = other_ns;
}

static uint64_t next_due(const struct df_pin *p)
{
	uint64_t ns = UINT64_MAX;
	bool is_any_free = false;

	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		is_any_free |= !p->slots[i].is_busy;
		if (p->slots[i].is_busy)
			sooner(&ns, p->slots[i].deadline_ns);
	}
	for (unsigned i = 0; is_any_free && i < p->n_names; i++)
		if (!p->names[i].is_busy)
			sooner(&ns, p->names[i].next_ns);
	if (is_any_free && p->n_queued > 0)
		sooner(&ns, p->queue_ns);
	return ns;
}

int df_pin_run(struct df_worker *w)
{
	struct df_pin *p = &w->pin;

	if (w->now_ns >= p->next_ns) {
		for (unsigned i = 0; i < DF_PIN_SLOTS; i++)
			if (p->slots[i].is_busy && w->now_ns >= p->slots[i].deadline_ns)
				go_on(w, &p->slots[i]);
		start_listed(w);
		start_queued(w);
		p->next_ns = next_due(p);
	}
	if (p->next_ns == UINT64_MAX)
		return -1;
	if (p->next_ns <= w->now_ns)
		return 0;
	return (int)((p->next_ns - w->now_ns) / 1000000) + 1; /* AGAIN_MAX_S and some, at most */
}
