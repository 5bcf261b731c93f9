/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/util.h"
#include "proxy/worker/relay.h"

#define EDE_TEXT_MAX 320
#define EDNS_UDP_MAX 4096 /* on lo there is no path MTU; longer ones come by TCP */

void df_relay_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		    size_t len)
{
	if (client->connection >= 0)
		df_tcp_reply(w, client->connection, pkt, len);
	else
		df_udp_reply(w, client, pkt, len);
}

size_t df_relay_limit(const struct df_asked *a)
{
	if (a->client.connection >= 0)
		return DF_DNS_MSG_MAX;
	if (!a->q.has_edns)
		return DF_DNS_UDP_MIN;
	return a->q.edns_udp_size < EDNS_UDP_MAX ? a->q.edns_udp_size : EDNS_UDP_MAX;
}

void df_relay_send_own(struct df_worker *w, struct df_asked *a, const struct df_dns_refusal *r)
{
	int len = df_dns_build_refusal(&a->q, r, df_relay_limit(a), w->answer, sizeof(w->answer));

	if (len > 0)
		df_relay_reply(w, &a->client, w->answer, (size_t)len);
	df_asked_finish(w, a);
}

/* Where no rule says it; the policy's name goes between the two. */
static void reason_text(enum df_reason reason, const char **ret_why, const char **ret_setting)
{
	*ret_why = "not in the allowlist";
	*ret_setting = "default deny";
	if (reason == DF_REASON_RESOLVER) {
		*ret_why = "this resolver is not trusted, and its address may not be reached";
		*ret_setting = "raw-ip";
	} else if (reason == DF_REASON_NO_RESOLVER) {
		*ret_why = "no resolver is trusted";
	}
}

/* "default.policy:3 block github.com; Deploys must not need github.com" */
static void send_refusal(struct df_worker *w, struct df_asked *a)
{
	const struct df_policy *p = &w->tables.tables[a->decision.table];
	struct df_dns_refusal r = df_decide_refusal(p, &a->decision, &a->q.name);
	const struct df_policy_rule *rule = a->decision.rule;
	char text[EDE_TEXT_MAX];
	const char *hint;
	size_t n = 0;

	if (!rule) {
		const char *why, *setting;

		reason_text(a->decision.reason, &why, &setting);
		df_append(text, sizeof(text), &n, "deployfence: %s; %s.policy %s", why,
			  df_policy_name(p), setting);
		hint = a->decision.reason == DF_REASON_UNLISTED ? df_policy_default_hint(p) : NULL;
	} else {
		char what[EDE_TEXT_MAX];

		hint = df_policy_rule_hint(p, rule);
		(void)df_policy_rule_describe(p, rule, what, sizeof(what));
		df_append(text, sizeof(text), &n, "deployfence: %s", what);
	}
	if (hint)
		df_append(text, sizeof(text), &n, "; %s", hint);
	r.ede_text = text;
	if (a->is_other) { /* nobody asked for records: RFC 2136 2.2, RFC 1996 3.9 */
		r.rcode = DF_DNS_RCODE_REFUSED;
		r.sinkhole = false;
	}
	df_relay_send_own(w, a, &r);
}

/*
 * A client of TCP sees what it would see of the resolver: a connection that cannot be had, so
 * that it goes on to its next resolver.
 */
static bool is_reset_due(const struct df_worker *w, const struct df_asked *a, bool is_timeout)
{
	if (a->client.connection < 0 || a->is_stream)
		return false;
	return df_worker_is_inert(w) ? !is_timeout : df_tcp_is_unconnected(w, a->client.connection);
}

void df_relay_send_failure(struct df_worker *w, struct df_asked *a, uint16_t ede)
{
	const struct df_dns_refusal r = {
		.rcode = DF_DNS_RCODE_SERVFAIL, .ede = ede, .ede_text = "resolver does not answer"};
	const bool is_timeout = ede == DF_DNS_EDE_NO_REACHABLE_AUTHORITY;

	if (!a->is_raw && !a->is_stream)
		df_report_outcome(w, a, NULL, DF_DNS_RCODE_SERVFAIL);
	if (is_reset_due(w, a, is_timeout)) {
		df_tcp_reset(w, a->client.connection);
		df_asked_finish(w, a);
	} else if (a->is_raw || a->is_stream || (df_worker_is_inert(w) && is_timeout)) {
		df_asked_finish(w, a); /* no answer of ours would fit, or none is due */
	} else {
		df_relay_send_own(w, a, &r);
	}
}

void df_relay_refuse(struct df_worker *w, struct df_asked *a)
{
	if (df_report_is_pending(w, a))
		df_asked_hold(w, a, DF_HOLD_REFUSAL_NS);
	else
		send_refusal(w, a);
}

static int send_upstream(struct df_worker *w, struct df_asked *a)
{
	if (a->client.connection >= 0)
		return df_tcp_send_upstream(w, a);
	return df_upstream_send(w, a);
}

void df_relay_forward(struct df_worker *w, struct df_asked *a)
{
	int r = send_upstream(w, a);

	if (r == -ELOOP) {
		/* the namespace has got that address since its own were last read */
		df_own_add(&w->own, a->to.addr);
		df_relay_find_route(w, a);
		if (a->decision.is_enforced) {
			a->is_refusal = true;
			df_relay_refuse(w, a);
			return;
		}
		r = send_upstream(w, a);
	}
	if (r == 0)
		df_asked_wait(w, a);
	else
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
}

/* An update or a NOTIFY is for the server that it was sent to, and for no other one. */
static struct df_route direct_route(const struct df_worker *w, const struct df_asked *a,
				    uint16_t learned)
{
	struct df_route r = {.to = {.port = a->token.port}};

	memcpy(r.to.addr, a->token.addr, sizeof(r.to.addr));
	r.decision = df_verdict_addr(&w->tables, DF_TABLES_FENCE, a->token.addr, a->token.proto,
				     DF_DNS_PORT, learned);
	if (r.decision.is_refusal)
		r.decision.reason = DF_REASON_RESOLVER;
	return r;
}

/* Whom to ask; a refusal of the name itself is told before one of the resolver. */
void df_relay_find_route(struct df_worker *w, struct df_asked *a)
{
	uint16_t learned = 0;
	struct df_route r;

	if (!df_route_is_trusted(&w->trust, &a->token, w->now_ns))
		learned = df_learn_bits(
			&w->learn, a->token.addr,
			df_ports_class(&w->teach.ports, a->token.proto, DF_DNS_PORT), w->now_ns);
	r = df_route(&w->teach, &a->token, learned, w->now_ns);
	if (a->q.opcode != DF_DNS_OPCODE_QUERY && r.is_rerouted)
		r = direct_route(w, a, learned);
	a->to = r.to;
	a->is_rerouted = r.is_rerouted;
	a->teaches = r.teaches;
	if (df_verdict_strictness(&r.decision) > df_verdict_strictness(&a->decision))
		a->decision = r.decision;
}

/* Under default deny nothing asks for a name that the policy does not have. */
static bool is_implied(const struct df_worker *w, const struct df_decision *d)
{
	return d->rule && df_policy_rule_is_implied(&w->tables.tables[d->table], d->rule);
}

void df_relay_decided(struct df_worker *w, struct df_asked *a, const struct df_dname *judged)
{
	const struct df_dname asked = a->q.name;

	df_relay_find_route(w, a);
	a->is_refusal = a->decision.is_refusal;
	a->q.name = *judged;
	df_report_asked(w, a, &a->decision, NULL);
	a->q.name = asked;
	if (!a->decision.is_enforced) {
		df_relay_forward(w, a);
		return;
	}
	if (a->decision.reason == DF_REASON_QNAME && !is_implied(w, &a->decision) && !a->is_other)
		df_pin_refused(w, a->decision.table, &a->q.name);
	df_relay_refuse(w, a);
}

void df_relay_query(struct df_worker *w, const struct df_client *client,
		    const struct df_token *token, const uint8_t *pkt, size_t len)
{
	struct df_asked *a = df_asked_new(w);
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
	a->is_raw = a->is_other = a->is_stream = false;
	if (client->connection >= 0)
		w->connections[client->connection].n_in_flight++;
	w->raw = pkt;
	w->raw_len = len;
	r = df_dns_parse_query(pkt, len, &a->q, &id);
	if (r < 0) {
		df_relay_odd_query(w, a, pkt, len);
	} else {
		a->decision =
			df_verdict_question(&w->tables, DF_TABLES_FENCE, &w->search, &a->q.name);
		df_relay_decided(w, a, &a->q.name);
	}
	w->raw = NULL;
}

void df_relay_ask_again(struct df_worker *w, const struct df_connection *connection)
{
	const uint32_t last = w->in_flight.last; /* what is asked again goes behind it */
	uint32_t next;

	for (uint32_t i = w->in_flight.first; i; i = i == last ? 0 : next) {
		struct df_asked *a = df_asked_at(w, i);

		next = a->next;
		if (!df_asked_is_at(a, -1, connection, w))
			continue;
		df_asked_stop_waiting(w, a);
		a->state = DF_ASKED_FREE;
		df_relay_forward(w, a);
	}
}

bool df_relay_is_waiting(const struct df_worker *w, const struct df_connection *connection)
{
	for (uint32_t i = w->in_flight.first; i; i = w->asked[i].next)
		if (df_asked_is_at(&w->asked[i], -1, connection, w))
			return true;
	return false;
}

void df_relay_upstream_failed(struct df_worker *w, int upstream,
			      const struct df_connection *connection)
{
	uint32_t next;

	for (uint32_t i = w->in_flight.first; i; i = next) {
		struct df_asked *a = df_asked_at(w, i);

		next = a->next;
		if (df_asked_is_at(a, upstream, connection, w))
			df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	}
}

static void forget_in(struct df_worker *w, const struct df_list *l,
		      const struct df_connection *connection)
{
	uint32_t next;

	for (uint32_t i = l->first; i; i = next) {
		struct df_asked *a = df_asked_at(w, i);

		next = a->next;
		if (a->client.connection >= 0 &&
		    &w->connections[a->client.connection] == connection)
			df_asked_finish(w, a);
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
		df_relay_reply(w, &a->client, w->held[a->held], a->held_len);
		df_asked_finish(w, a);
	} else {
		send_refusal(w, a);
	}
}

void df_relay_upstream_gone(struct df_worker *w, const struct df_connection *connection)
{
	uint32_t next;

	forget_in(w, &w->in_flight, connection);
	for (uint32_t i = w->held_answers.first; i; i = next) {
		struct df_asked *a = df_asked_at(w, i);

		next = a->next;
		if (a->client.connection >= 0 &&
		    &w->connections[a->client.connection] == connection)
			release(w, a);
	}
}

void df_relay_identified(struct df_worker *w, uint32_t seq)
{
	const struct df_list *lists[] = {&w->held_answers, &w->held_refusals};

	w->identified[seq % DF_QUERIES_MAX] = seq;
	for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
		uint32_t next;

		for (uint32_t i = lists[k]->first; i; i = next) {
			struct df_asked *a = df_asked_at(w, i);

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

		while ((i = lists[k]->first) && df_asked_at(w, i)->deadline_ns <= w->now_ns) {
			if (df_asked_at(w, i)->state == DF_ASKED_HELD)
				release(w, df_asked_at(w, i));
			else
				df_relay_send_failure(w, df_asked_at(w, i),
						      DF_DNS_EDE_NO_REACHABLE_AUTHORITY);
		}
		ms = ms_until(w, lists[k], ms);
	}
	return ms;
}
