/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util.h"
#include "proxy/worker.h"

#define QR_BIT 0x80 /* in the third octet of a message */
#define EDE_TEXT_MAX 320
#define EDNS_UDP_MAX 4096 /* on lo there is no path MTU; longer ones come by TCP */

static struct df_asked *at(struct df_worker *w, uint32_t i)
{
	return &w->asked[i];
}

static uint32_t index_of(const struct df_worker *w, const struct df_asked *a)
{
	return (uint32_t)(a - w->asked);
}

static void list_append(struct df_worker *w, struct df_list *l, struct df_asked *a)
{
	uint32_t i = index_of(w, a);

	a->prev = l->last;
	a->next = 0;
	if (l->last)
		at(w, l->last)->next = i;
	else
		l->first = i;
	l->last = i;
}

static void list_remove(struct df_worker *w, struct df_list *l, struct df_asked *a)
{
	if (a->prev)
		at(w, a->prev)->next = a->next;
	else
		l->first = a->next;
	if (a->next)
		at(w, a->next)->prev = a->prev;
	else
		l->last = a->prev;
}

static struct df_asked *asked_new(struct df_worker *w)
{
	uint32_t i = w->free_list;

	if (i)
		w->free_list = at(w, i)->next;
	else if (w->n_asked_ever < DF_QUERIES_MAX - 1)
		i = ++w->n_asked_ever;
	else
		return NULL;
	return at(w, i);
}

static uint32_t hash_of(int upstream, const struct df_connection *c, const struct df_worker *w,
			uint16_t id)
{
	uint32_t peer = upstream >= 0 ? (uint32_t)upstream
				      : DF_UPSTREAMS_MAX + (uint32_t)(c - w->connections);

	return (id ^ peer * 0x9e3779b1u) % DF_QUERIES_MAX;
}

static bool is_at(const struct df_asked *a, int upstream, const struct df_connection *c,
		  const struct df_worker *w)
{
	if (upstream >= 0)
		return a->upstream == upstream;
	return a->upstream < 0 && &w->connections[a->client.connection] == c;
}

static struct df_asked *find(const struct df_worker *w, int upstream, const struct df_connection *c,
			     uint16_t id)
{
	uint32_t i = w->hash[hash_of(upstream, c, w, id)];

	while (i) {
		const struct df_asked *a = &w->asked[i];

		if (a->upstream_id == id && is_at(a, upstream, c, w))
			return (struct df_asked *)a;
		i = a->hash_next;
	}
	return NULL;
}

bool df_relay_is_id_free(const struct df_worker *w, int upstream, const struct df_connection *c,
			 uint16_t id)
{
	return !find(w, upstream, c, id);
}

static uint32_t hash_of_asked(const struct df_worker *w, const struct df_asked *a)
{
	const struct df_connection *c =
		a->upstream >= 0 ? NULL : &w->connections[a->client.connection];

	return hash_of(a->upstream, c, w, a->upstream_id);
}

static void start_waiting(struct df_worker *w, struct df_asked *a)
{
	uint32_t *head = &w->hash[hash_of_asked(w, a)];

	a->hash_next = *head;
	*head = index_of(w, a);
	a->state = DF_ASKED_UPSTREAM;
	a->deadline_ns = w->now_ns + DF_UPSTREAM_DEADLINE_NS;
	list_append(w, &w->in_flight, a);
}

static void stop_waiting(struct df_worker *w, struct df_asked *a)
{
	uint32_t *link = &w->hash[hash_of_asked(w, a)];

	while (*link != index_of(w, a))
		link = &at(w, *link)->hash_next;
	*link = a->hash_next;
	list_remove(w, &w->in_flight, a);
	df_upstream_settled(w, a);
}

static struct df_list *held_list(struct df_worker *w, const struct df_asked *a)
{
	return a->held >= 0 ? &w->held_answers : &w->held_refusals;
}

/* Takes a off whatever holds it. */
static void finish(struct df_worker *w, struct df_asked *a)
{
	int16_t connection = a->client.connection;

	switch (a->state) {
	case DF_ASKED_UPSTREAM:
		stop_waiting(w, a);
		break;
	case DF_ASKED_HELD:
		list_remove(w, held_list(w, a), a);
		if (a->held >= 0)
			w->held_used &= ~(1ull << a->held);
		break;
	case DF_ASKED_FREE:
		break;
	}
	a->state = DF_ASKED_FREE;
	a->next = w->free_list;
	w->free_list = index_of(w, a);
	if (connection >= 0)
		df_tcp_settled(w, connection);
}

static void reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len)
{
	if (client->connection >= 0)
		df_tcp_reply(w, client->connection, pkt, len);
	else
		df_udp_reply(w, client, pkt, len);
}

static size_t limit_of(const struct df_asked *a)
{
	if (a->client.connection >= 0)
		return DF_DNS_MSG_MAX;
	if (!a->q.has_edns)
		return DF_DNS_UDP_MIN;
	return a->q.edns_udp_size < EDNS_UDP_MAX ? a->q.edns_udp_size : EDNS_UDP_MAX;
}

static void send_own(struct df_worker *w, struct df_asked *a, const struct df_dns_refusal *r)
{
	int len = df_dns_build_refusal(&a->q, r, limit_of(a), w->answer, sizeof(w->answer));

	if (len > 0)
		reply(w, &a->client, w->answer, (size_t)len);
	finish(w, a);
}

/* "default.policy:3 block github.com; Deploys must not need github.com" */
static void send_refusal(struct df_worker *w, struct df_asked *a)
{
	const struct df_policy *p = &w->tables.tables[a->decision.table];
	struct df_dns_refusal r = df_decide_refusal(p, &a->decision, &a->q.name);
	const struct df_policy_rule *rule = a->decision.rule;
	char text[EDE_TEXT_MAX];
	size_t n = 0;

	if (!rule) {
		df_append(text, sizeof(text), &n,
			  "deployfence: not in the allowlist; %s.policy default deny",
			  df_policy_name(p));
	} else {
		char what[EDE_TEXT_MAX];
		const char *hint = df_policy_rule_hint(p, rule);

		(void)df_policy_rule_describe(p, rule, what, sizeof(what));
		df_append(text, sizeof(text), &n, "deployfence: %s", what);
		if (hint)
			df_append(text, sizeof(text), &n, "; %s", hint);
	}
	r.ede_text = text;
	send_own(w, a, &r);
}

static void send_failure(struct df_worker *w, struct df_asked *a, uint16_t ede)
{
	const struct df_dns_refusal r = {
		.rcode = DF_DNS_RCODE_SERVFAIL, .ede = ede, .ede_text = "resolver does not answer"};

	df_report_outcome(w, a, NULL, DF_DNS_RCODE_SERVFAIL);
	send_own(w, a, &r);
}

static void hold(struct df_worker *w, struct df_asked *a, uint64_t how_long_ns)
{
	a->state = DF_ASKED_HELD;
	a->deadline_ns = w->now_ns + how_long_ns;
	list_append(w, held_list(w, a), a);
}

static void refuse_name(struct df_worker *w, struct df_asked *a)
{
	if (df_report_is_pending(w, a))
		hold(w, a, DF_HOLD_REFUSAL_NS);
	else
		send_refusal(w, a);
}

static void forward(struct df_worker *w, struct df_asked *a)
{
	int r;

	if (a->client.connection >= 0)
		r = df_tcp_send_upstream(w, a);
	else
		r = df_upstream_send(w, a);
	if (r == 0)
		start_waiting(w, a);
	else
		send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
}

static void answer_malformed(struct df_worker *w, const struct df_client *client,
			     const uint8_t *pkt, size_t len, uint16_t id, int error)
{
	uint8_t header[DF_DNS_HEADER_LEN];
	int n;

	w->n_malformed++;
	/* never answer an answer: two servers could go on for ever */
	if (len < DF_DNS_HEADER_LEN || (pkt[2] & QR_BIT))
		return;
	n = df_dns_build_error(
		id, error == -EOPNOTSUPP ? DF_DNS_RCODE_NOTIMP : DF_DNS_RCODE_FORMERR, header);
	if (n > 0)
		reply(w, client, header, (size_t)n);
}

void df_relay_query(struct df_worker *w, const struct df_client *client,
		    const struct df_token *token, const uint8_t *pkt, size_t len)
{
	struct df_asked *a = asked_new(w);
	uint16_t id = 0;
	int r;

	if (!a) {
		w->n_dropped++;
		return;
	}
	a->state = DF_ASKED_FREE;
	a->client = *client;
	a->token = *token;
	a->held = -1;
	a->upstream = -1;
	if (client->connection >= 0)
		w->connections[client->connection].n_in_flight++;
	r = df_dns_parse_query(pkt, len, &a->q, &id);
	if (r < 0) {
		answer_malformed(w, client, pkt, len, id, r);
		finish(w, a);
		return;
	}
	a->decision = df_tables_question(&w->tables, &w->search, &a->q.name);
	a->is_refusal = a->decision.is_refusal;
	df_report_asked(w, a, &a->decision, NULL);
	if (a->decision.is_enforced)
		refuse_name(w, a);
	else
		forward(w, a);
}

/* A server that knows no EDNS may answer with the bare header (RFC 6891 7). */
static bool is_bare_error(const uint8_t *pkt, size_t len)
{
	static const uint8_t none[8];

	return len == DF_DNS_HEADER_LEN && (pkt[2] & 0xf8) == QR_BIT && (pkt[3] & 15) != 0 &&
	       memcmp(pkt + 4, none, sizeof(none)) == 0;
}

static int take_held(struct df_worker *w)
{
	for (int i = 0; i < DF_HELD_MAX; i++) {
		if (w->held_used & (1ull << i))
			continue;
		w->held_used |= 1ull << i;
		return i;
	}
	return -1;
}

/* Sends the answer, or keeps it a moment until it is known who asked. */
static void send_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	int slot = -1;

	if (df_report_is_pending(w, a) && len <= DF_HELD_SIZE)
		slot = take_held(w);
	if (slot < 0) {
		reply(w, &a->client, pkt, len);
		finish(w, a);
		return;
	}
	stop_waiting(w, a);
	memcpy(w->held[slot], pkt, len);
	a->held = (int16_t)slot;
	a->held_len = (uint16_t)len;
	hold(w, a, DF_HOLD_ANSWER_NS);
}

static void answer_valid(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len,
			 const struct df_dns_answer *answer)
{
	struct df_decision d = {};
	int n;

	if (!a->decision.is_enforced)
		d = df_tables_chain(&w->tables, answer->chain, answer->n_chain);
	if (df_tables_strictness(&d) > df_tables_strictness(&a->decision)) {
		a->decision = d;
		a->is_refusal = true;
		df_report_asked(w, a, &d, answer);
		if (d.is_enforced) {
			stop_waiting(w, a);
			a->state = DF_ASKED_FREE;
			refuse_name(w, a);
			return;
		}
	} else {
		df_report_outcome(w, a, answer, answer->rcode);
	}
	n = df_dns_build_answer(&a->q, pkt, len, limit_of(a), w->answer, sizeof(w->answer));
	if (n < 0)
		send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	else
		send_answer(w, a, w->answer, (size_t)n);
}

void df_relay_answer(struct df_worker *w, int upstream, const struct df_connection *connection,
		     const uint8_t *pkt, size_t len)
{
	struct df_dns_answer answer;
	struct df_asked *a;
	uint16_t id;
	int r;

	if (len < DF_DNS_HEADER_LEN)
		return;
	id = (uint16_t)(pkt[0] << 8 | pkt[1]);
	a = find(w, upstream, connection, id);
	if (!a) {
		w->n_mismatched++;
		return;
	}
	if (is_bare_error(pkt, len)) {
		const struct df_dns_refusal bare = {.rcode = pkt[3] & 15, .ede = UINT16_MAX};

		df_report_outcome(w, a, NULL, bare.rcode);
		send_own(w, a, &bare);
		return;
	}
	r = df_dns_parse_answer(pkt, len, &a->q, id, &answer);
	if (r == 0) {
		answer_valid(w, a, pkt, len, &answer);
	} else if (r == -ENOMSG) {
		w->n_mismatched++; /* to another question: go on waiting for ours */
	} else {
		w->n_malformed++;
		send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	}
}

void df_relay_upstream_failed(struct df_worker *w, int upstream,
			      const struct df_connection *connection)
{
	uint32_t next;

	for (uint32_t i = w->in_flight.first; i; i = next) {
		struct df_asked *a = at(w, i);

		next = a->next;
		if (is_at(a, upstream, connection, w))
			send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	}
}

static void forget_in(struct df_worker *w, const struct df_list *l,
		      const struct df_connection *connection)
{
	uint32_t next;

	for (uint32_t i = l->first; i; i = next) {
		struct df_asked *a = at(w, i);

		next = a->next;
		if (a->client.connection >= 0 &&
		    &w->connections[a->client.connection] == connection)
			finish(w, a);
	}
}

void df_relay_client_gone(struct df_worker *w, const struct df_connection *connection)
{
	forget_in(w, &w->in_flight, connection);
	forget_in(w, &w->held_answers, connection);
	forget_in(w, &w->held_refusals, connection);
}

/* What was held goes out: the identity is known, or must not delay it any longer. */
static void release(struct df_worker *w, struct df_asked *a)
{
	if (a->held >= 0) {
		reply(w, &a->client, w->held[a->held], a->held_len);
		finish(w, a);
	} else {
		send_refusal(w, a);
	}
}

void df_relay_identified(struct df_worker *w, uint32_t seq)
{
	const struct df_list *lists[] = {&w->held_answers, &w->held_refusals};

	w->identified[seq % DF_QUERIES_MAX] = seq;
	for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
		uint32_t next;

		for (uint32_t i = lists[k]->first; i; i = next) {
			struct df_asked *a = at(w, i);

			next = a->next;
			if (a->seen_seq == seq)
				release(w, a);
		}
	}
}

static int ms_until(const struct df_worker *w, const struct df_list *l, int so_far)
{
	uint64_t deadline;
	int ms;

	if (!l->first)
		return so_far;
	deadline = w->asked[l->first].deadline_ns;
	ms = deadline <= w->now_ns ? 0 : (int)((deadline - w->now_ns) / 1000000) + 1;
	return so_far < 0 || ms < so_far ? ms : so_far;
}

int df_relay_expire(struct df_worker *w)
{
	struct df_list *const lists[] = {&w->in_flight, &w->held_answers, &w->held_refusals};
	int ms = -1;

	for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
		uint32_t i;

		while ((i = lists[k]->first) && at(w, i)->deadline_ns <= w->now_ns) {
			if (at(w, i)->state == DF_ASKED_HELD)
				release(w, at(w, i));
			else
				send_failure(w, at(w, i), DF_DNS_EDE_NO_REACHABLE_AUTHORITY);
		}
		ms = ms_until(w, lists[k], ms);
	}
	return ms;
}
