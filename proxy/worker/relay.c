/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/relay.h"

#include <errno.h>
#include <string.h>

#include "lib/base/util.h"
#include "proxy/learn/answer.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/pin.h"
#include "proxy/learn/teach.h"
#include "proxy/worker/query.h"
#include "proxy/worker/report.h"
#include "proxy/worker/tcp.h"
#include "proxy/worker/udp.h"
#include "proxy/worker/upstream.h"

#define EDE_TEXT_MAX 320
#define EDNS_UDP_MAX 4096 /* on lo there is no path MTU; longer ones come by TCP */

static uint16_t id_of(const uint8_t *pkt)
{
	return (uint16_t)(pkt[0] << 8 | pkt[1]);
}

/* --- replies --------------------------------------------------------------------------- */

static void reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len)
{
	if (client->connection >= 0)
		df_tcp_reply(w, client->connection, pkt, len);
	else
		df_udp_reply(w, client, pkt, len);
}

static void stop_waiting(struct df_worker *w, struct df_query *q)
{
	df_query_stop_waiting(w, q);
	df_upstream_settled(w, q->peer);
}

/* Ends q in any state; its slot is another query's from now on. */
static void finish(struct df_worker *w, struct df_query *q)
{
	const int connection = q->client.connection;

	if (q->state == DF_QUERY_STATE_WAITING)
		stop_waiting(w, q);
	df_query_free(w, q);
	if (connection >= 0)
		df_tcp_settled(w, connection);
}

static void reply_and_finish(struct df_worker *w, struct df_query *q, const uint8_t *pkt,
			     size_t len)
{
	reply(w, &q->client, pkt, len);
	finish(w, q);
}

/* Octets that the client of q takes. */
static size_t limit_of(const struct df_query *q)
{
	if (q->client.connection >= 0)
		return DF_DNS_MSG_MAX;
	if (!q->msg.has_edns)
		return DF_DNS_UDP_MIN;
	return q->msg.edns_udp_size < EDNS_UDP_MAX ? q->msg.edns_udp_size : EDNS_UDP_MAX;
}

/* An answer of our own; q is finished. */
static void send_own(struct df_worker *w, struct df_query *q, const struct df_dns_refusal *r)
{
	int len = df_dns_build_refusal(&q->msg, r, limit_of(q), w->answer, sizeof(w->answer));

	if (len > 0)
		reply(w, &q->client, w->answer, (size_t)len);
	finish(w, q);
}

/* "default.policy:3 block github.com; Deploys must not need github.com" */
static void send_refusal(struct df_worker *w, struct df_query *q)
{
	const struct df_policy *p = &w->tables.tables[q->decision.table];
	struct df_dns_refusal r = df_decide_refusal(p, &q->decision, &q->msg.name);
	const struct df_policy_rule *rule = q->decision.rule;
	char text[EDE_TEXT_MAX], what[EDE_TEXT_MAX];
	const char *hint = NULL;
	size_t n = 0;

	if (rule) {
		hint = df_policy_rule_hint(p, rule);
		(void)df_policy_rule_describe(p, rule, what, sizeof(what));
		df_append(text, sizeof(text), &n, "deployfence: %s", what);
	} else {
		const char *why = "not in the allowlist", *setting = "default deny";

		if (q->decision.reason == DF_REASON_RESOLVER) {
			why = "this resolver is not trusted, and its address may not be reached";
			setting = "raw-ip";
		} else if (q->decision.reason == DF_REASON_NO_RESOLVER) {
			why = "no resolver is trusted";
		} else if (q->decision.reason == DF_REASON_UNLISTED) {
			hint = df_policy_default_hint(p);
		}
		df_append(text, sizeof(text), &n, "deployfence: %s; %s.policy %s", why,
			  df_policy_name(p), setting);
	}
	if (hint)
		df_append(text, sizeof(text), &n, "; %s", hint);
	r.ede_text = text;
	if (q->is_other) { /* nobody asked for records: RFC 2136 2.2, RFC 1996 3.9 */
		r.rcode = DF_DNS_RCODE_REFUSED;
		r.sinkhole = false;
	}
	send_own(w, q, &r);
}

/* Refuses q, in hand, by its decision; it is held while the asker is being looked up. */
static void refuse(struct df_worker *w, struct df_query *q)
{
	if (df_report_is_pending(w, q->seq))
		(void)df_query_hold(w, q, NULL, 0); /* a refusal needs no buffer */
	else
		send_refusal(w, q);
}

/* The resolver did not answer, or not in a way that may pass. */
static void send_failure(struct df_worker *w, struct df_query *q, uint16_t ede)
{
	const struct df_dns_refusal r = {
		.rcode = DF_DNS_RCODE_SERVFAIL, .ede = ede, .ede_text = "resolver does not answer"};
	const bool is_timeout = ede == DF_DNS_EDE_NO_REACHABLE_AUTHORITY;
	const bool is_inert = df_worker_is_inert(w);
	const int connection = q->client.connection;

	if (!q->is_raw && !q->is_stream)
		df_report_outcome(w, q, NULL, DF_DNS_RCODE_SERVFAIL);
	/*
	 * A client of TCP sees the same as it would see of the resolver: no connection, so that it
	 * goes on to its next resolver.
	 */
	if (connection >= 0 && !q->is_stream &&
	    (is_inert ? !is_timeout : df_tcp_is_unconnected(w, connection))) {
		df_tcp_reset(w, connection);
		finish(w, q);
	} else if (q->is_raw || q->is_stream || (is_inert && is_timeout)) {
		finish(w, q); /* no answer of ours would fit, or none is due */
	} else {
		send_own(w, q, &r);
	}
}

/* --- queries --------------------------------------------------------------------------- */

/* Which resolver to ask; a refusal of the name itself is told before one of the resolver. */
static void find_route(struct df_worker *w, struct df_query *q)
{
	const struct df_token *t = &q->token;
	uint16_t learned = 0;
	struct df_route r;

	if (!df_trust_has(&w->trust, t, w->now_ns))
		learned = df_learn_bits(w->learn, t->addr,
					df_ports_class(&w->teach->ports, t->proto, DF_DNS_PORT),
					w->now_ns);
	r = df_trust_route(&w->trust, &w->tables, t, learned, w->now_ns);
	if (q->msg.opcode != DF_DNS_OPCODE_QUERY && r.is_rerouted) {
		/* an update or a NOTIFY is for the server that it was sent to, and for no other */
		r = (struct df_route){.to = {.port = t->port}};
		memcpy(r.to.addr, t->addr, sizeof(r.to.addr));
		r.decision = df_verdict_addr(&w->tables, DF_TABLES_FENCE, t->addr, t->proto,
					     DF_DNS_PORT, learned);
		if (r.decision.is_refusal)
			r.decision.reason = DF_REASON_RESOLVER;
	}
	q->to = r.to;
	q->is_rerouted = r.is_rerouted;
	q->teaches = r.teaches;
	if (df_verdict_strictness(&r.decision) > df_verdict_strictness(&q->decision))
		q->decision = r.decision;
}

static int send_upstream(struct df_worker *w, struct df_query *q, const uint8_t *raw,
			 size_t raw_len)
{
	if (q->client.connection >= 0)
		return df_tcp_send_upstream(w, q, raw, raw_len);
	return df_upstream_send(w, q, raw, raw_len);
}

/* Sends q, in hand, to its resolver.  raw: its octets, or NULL where they are no longer kept. */
static void forward(struct df_worker *w, struct df_query *q, const uint8_t *raw, size_t raw_len)
{
	int r = send_upstream(w, q, raw, raw_len);

	if (r == -ELOOP) {
		/* the namespace has got that address since its own were last read */
		df_own_add(&w->own, q->to.addr);
		find_route(w, q);
		if (q->decision.is_enforced) {
			q->is_refusal = true;
			refuse(w, q);
			return;
		}
		r = send_upstream(w, q, raw, raw_len);
	}
	if (r == 0)
		df_query_wait(w, q);
	else
		send_failure(w, q, DF_DNS_EDE_NETWORK_ERROR);
}

/*
 * Finds the resolver of a query whose names were judged, reports it, and refuses or forwards it.
 * name: that q->decision is about.
 */
static void handle_judged(struct df_worker *w, struct df_query *q, const struct df_dname *name,
			  const uint8_t *pkt, size_t len)
{
	const struct df_decision *d = &q->decision;

	find_route(w, q);
	q->is_refusal = d->is_refusal;
	df_report_query(w, q, name, NULL);
	if (!d->is_enforced) {
		forward(w, q, pkt, len);
		return;
	}
	/* under default deny nothing asks for a name that the policy does not have */
	if (d->reason == DF_REASON_QNAME && !q->is_other &&
	    !(d->rule && df_policy_rule_is_implied(&w->tables.tables[d->table], d->rule)))
		df_pin_refused(w, d->table, &q->msg.name);
	refuse(w, q);
}

/* An answer that has this name alone: blocked names count in it, unlisted ones do not. */
static const struct df_dns_answer *answer_with(struct df_worker *w, const struct df_dname *name)
{
	w->one_name.n_strays = 1;
	w->one_name.strays[0] = *name;
	return &w->one_name;
}

/* The strictest verdict on the names of a message, and the name that it is about. */
struct judged {
	struct df_worker *w;
	bool is_answer, is_any;
	struct df_decision decision;
	struct df_dname name;
};

static int judge_name(void *data, const struct df_dname *name)
{
	struct judged *j = data;
	const struct df_tables *t = &j->w->tables;
	const struct df_decision d =
		j->is_answer ? df_verdict_names(t, DF_TABLES_FENCE, name, 1, DF_REASON_CNAME)
			     : df_verdict_question(t, DF_TABLES_FENCE, &j->w->search, name);

	if (!j->is_any || df_verdict_strictness(&d) > df_verdict_strictness(&j->decision)) {
		j->is_any = true;
		j->decision = d;
		j->name = *name;
	}
	return 0;
}

/* A query that df_dns_parse_query refuses: passed on, refused, or answered with an error. */
static void handle_unparsed(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	uint8_t header[DF_DNS_HEADER_LEN];
	struct judged j = {.w = w};

	if (df_dns_parse_other(pkt, len, judge_name, &j, &q->msg) == 0 &&
	    (q->msg.opcode != DF_DNS_OPCODE_QUERY || q->msg.other_class != 0)) {
		q->is_other = true;
		q->decision = j.decision;
		handle_judged(w, q, &j.name, pkt, len);
		return;
	}
	q->is_raw = true;
	q->is_refusal = q->is_first = false;
	q->decision = (struct df_decision){};
	df_report_unread(w, q, true);
	if (!df_worker_is_inert(w) || len < 2 || len > sizeof(w->answer)) {
		int n = df_dns_build_error(pkt, len, header);

		if (n > 0)
			reply(w, &q->client, header, (size_t)n);
		finish(w, q);
		return;
	}
	q->msg.id = id_of(pkt);
	q->msg.opcode = DF_DNS_OPCODE_QUERY;
	find_route(w, q);
	forward(w, q, pkt, len);
}

static void on_query(struct df_worker *w, const struct df_client *client,
		     const struct df_token *token, const uint8_t *pkt, size_t len)
{
	struct df_query *q = df_query_new(w);
	uint16_t id = 0;

	if (!q) {
		w->n_dropped++;
		return;
	}
	q->client = *client;
	q->token = *token;
	if (client->connection >= 0)
		w->connections[client->connection].n_in_flight++;
	if (df_dns_parse_query(pkt, len, &q->msg, &id) < 0) {
		handle_unparsed(w, q, pkt, len);
		return;
	}
	q->decision = df_verdict_question(&w->tables, DF_TABLES_FENCE, &w->search, &q->msg.name);
	handle_judged(w, q, &q->msg.name, pkt, len);
}

/* --- answers --------------------------------------------------------------------------- */

/* Sends the answer, or keeps it a moment until the asker is known. */
static void send_answer(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	stop_waiting(w, q);
	if (!df_report_is_pending(w, q->seq) || !df_query_hold(w, q, pkt, len))
		reply_and_finish(w, q, pkt, len);
}

/* A zone transfer.  RFC 5936 2.2: any number of messages, and only the first needs the question. */
static bool is_transfer(const struct df_query *q)
{
	return q->client.connection >= 0 && !q->is_raw && !q->is_other &&
	       (q->msg.type == DF_DNS_TYPE_AXFR || q->msg.type == DF_DNS_TYPE_IXFR);
}

/* The octets of a message, as they are but for the id, in w->answer. */
static void copy_octets(struct df_worker *w, const struct df_query *q, const uint8_t *pkt,
			size_t len)
{
	memcpy(w->answer, pkt, len);
	w->answer[0] = (uint8_t)(q->msg.id >> 8);
	w->answer[1] = (uint8_t)q->msg.id;
}

/* Passes an answer as octets; q goes on waiting if more may come. */
static void pass_octets(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	copy_octets(w, q, pkt, len);
	q->is_stream = is_transfer(q);
	if (q->is_stream) { /* a new deadline: there may be more */
		reply(w, &q->client, w->answer, len);
		stop_waiting(w, q);
		df_query_wait(w, q);
	} else if (q->is_raw) {
		reply_and_finish(w, q, w->answer, len);
	} else {
		send_answer(w, q, w->answer, len);
	}
}

/* An answer that cannot be read, or must not pass. */
static void fail_unread(struct df_worker *w, struct df_query *q)
{
	df_report_unread(w, q, false);
	send_failure(w, q, DF_DNS_EDE_NETWORK_ERROR);
}

/*
 * Learns from a valid answer, judges the names in it and tells the verdict.  True: the answer is
 * refused for them, and q with it.
 */
static bool judge_answer(struct df_worker *w, struct df_query *q,
			 const struct df_dns_answer *answer)
{
	const bool is_address = q->msg.type == DF_DNS_TYPE_A || q->msg.type == DF_DNS_TYPE_AAAA;
	const struct df_learn_scope scope = {.tables = q->teaches};
	struct df_decision d = {};

	/* the hints of HTTPS and SVCB count as answers only where the client gets them */
	if (is_address || (df_worker_is_inert(w) && !answer->is_svcb_malformed))
		(void)df_learn_answer(w, &q->msg.name, answer, &scope);
	if (!q->decision.is_enforced)
		d = df_decide_answer(&w->tables, DF_TABLES_FENCE, answer);
	if (df_verdict_strictness(&d) <= df_verdict_strictness(&q->decision)) {
		df_report_outcome(w, q, answer, answer->rcode);
		return false;
	}
	q->decision = d;
	q->is_refusal = true;
	df_report_query(w, q, &q->msg.name, answer);
	return d.is_enforced;
}

static void refuse_answer(struct df_worker *w, struct df_query *q)
{
	stop_waiting(w, q);
	refuse(w, q);
}

static void pass_on(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len,
		    const struct df_dns_answer *answer)
{
	/* a datagram that a resolver sent without regard to the limit reached the client's host */
	const size_t limit = len > limit_of(q) ? len : limit_of(q);
	/* with default deny nothing passes but the names that were asked for and their chain */
	const bool is_deny = df_trust_denying_table(&w->tables) >= 0;
	int n;

	if (is_transfer(q) || (q->msg.is_verbatim && !answer->has_svcb)) {
		pass_octets(w, q, pkt, len);
		return;
	}
	n = q->msg.is_verbatim ? -EPERM /* a signed message cannot be stripped */
			       : df_dns_build_answer(&q->msg, pkt, len, is_deny ? answer : NULL,
						     limit, w->answer, sizeof(w->answer));
	if (n < 0)
		send_failure(w, q, DF_DNS_EDE_NETWORK_ERROR);
	else
		send_answer(w, q, w->answer, (size_t)n);
}

/* An answer to a query, where policies are enforced. */
static void handle_answer(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	struct df_dns_answer answer;
	struct df_dns_refusal bare = {.ede = UINT16_MAX};
	bool has_opt;
	int r;

	bare.rcode = (uint16_t)df_dns_bare_error(pkt, len, &has_opt);
	if (bare.rcode != 0) {
		bare.has_no_opt = !has_opt;
		if (bare.rcode > 15 && !q->msg.has_edns) /* cannot be said */
			bare.rcode = DF_DNS_RCODE_SERVFAIL;
		df_report_outcome(w, q, NULL, bare.rcode & 15);
		if (q->msg.is_verbatim)
			pass_octets(w, q, pkt, len);
		else
			send_own(w, q, &bare);
		return;
	}
	r = df_dns_parse_answer(pkt, len, &q->msg, id_of(pkt), &answer);
	if (r == -ENOMSG)
		w->n_mismatched++; /* to another question: go on waiting for ours */
	else if (r < 0 || answer.is_svcb_malformed)
		fail_unread(w, q);
	else if (judge_answer(w, q, &answer))
		refuse_answer(w, q);
	else
		pass_on(w, q, pkt, len, &answer);
}

/* Judges the names of an answer to q, which is_other.  Result of df_dns_check_other. */
static int check_other(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	struct judged j = {.w = w, .is_answer = true};
	int r = df_dns_check_other(pkt, len, id_of(pkt), judge_name, &j);

	if (r < 0)
		return r;
	if (df_verdict_strictness(&j.decision) > df_verdict_strictness(&q->decision)) {
		q->decision = j.decision;
		q->is_refusal = true;
		df_report_query(w, q, &q->msg.name, answer_with(w, &j.name));
	} else {
		df_report_outcome(w, q, NULL, pkt[3] & 15);
	}
	return 0;
}

/* An answer to a query that is_other, where policies are enforced. */
static void handle_other_answer(struct df_worker *w, struct df_query *q, const uint8_t *pkt,
				size_t len)
{
	int r = check_other(w, q, pkt, len);

	if (r == -ENOMSG)
		w->n_mismatched++;
	else if (r < 0)
		fail_unread(w, q);
	else if (q->decision.is_enforced)
		refuse_answer(w, q);
	else
		pass_octets(w, q, pkt, len);
}

/*
 * Where nothing is enforced: reports the answer and learns from it.  True: it is the answer, as far
 * as can be said.  Else it may be, and the real one may still come.
 */
static bool observe_answer(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	struct df_dns_answer answer;
	bool has_opt;
	int r;

	if (q->is_raw || q->is_stream)
		return true;
	if (q->is_other) {
		if (check_other(w, q, pkt, len) < 0)
			df_report_unread(w, q, false);
		return true;
	}
	if (!df_dns_bare_error(pkt, len, &has_opt)) {
		r = df_dns_parse_answer(pkt, len, &q->msg, id_of(pkt), &answer);
		if (r == 0) {
			(void)judge_answer(w, q, &answer); /* nothing is refused */
			return true;
		}
		if (r == -ENOMSG) {
			w->n_mismatched++;
			return false;
		}
		df_report_unread(w, q, false);
		if (!df_dns_is_answer_to(pkt, len, &q->msg, id_of(pkt)))
			return false;
	}
	df_report_outcome(w, q, NULL, pkt[3] & 15);
	return true;
}

static void on_answer(struct df_worker *w, unsigned peer, const uint8_t *pkt, size_t len)
{
	const bool is_inert = df_worker_is_inert(w);
	struct df_query *q = NULL;

	if (len >= (is_inert ? 2 : DF_DNS_HEADER_LEN))
		q = df_query_find(w, peer, id_of(pkt));
	if (!q) {
		w->n_mismatched++;
		if (is_inert && peer >= df_query_tcp_peer(0)) /* it is that client's */
			df_tcp_reply(w, (int)(peer - df_query_tcp_peer(0)), pkt, len);
	} else if (is_inert) {
		if (observe_answer(w, q, pkt, len)) {
			pass_octets(w, q, pkt, len);
		} else {
			copy_octets(w, q, pkt, len);
			reply(w, &q->client, w->answer, len);
		}
	} else if (q->is_stream) {
		pass_octets(w, q, pkt, len);
	} else if (q->is_other) {
		handle_other_answer(w, q, pkt, len);
	} else {
		handle_answer(w, q, pkt, len);
	}
}

/* --- ends ------------------------------------------------------------------------------ */

static void on_failed(struct df_worker *w, unsigned peer)
{
	struct df_query *next;

	for (struct df_query *q = df_query_at(w, w->in_flight.first); q; q = next) {
		next = df_query_at(w, q->next);
		if (q->peer == peer)
			send_failure(w, q, DF_DNS_EDE_NETWORK_ERROR);
	}
}

/* A query is sent again behind the last one that waits now. */
static void on_ask_again(struct df_worker *w, int connection)
{
	const struct df_query *last = df_query_at(w, w->in_flight.last);
	struct df_query *next;

	for (struct df_query *q = df_query_at(w, w->in_flight.first); q; q = next) {
		next = q == last ? NULL : df_query_at(w, q->next);
		if (q->client.connection == connection) {
			stop_waiting(w, q);
			forward(w, q, NULL, 0);
		}
	}
}

/* An answer or refusal that was held goes out: the identity is known, or must not delay it more. */
static void release(struct df_worker *w, struct df_query *q)
{
	if (q->held >= 0)
		reply_and_finish(w, q, w->held[q->held], q->held_len);
	else
		send_refusal(w, q);
}

/* Ends the queries of a TCP connection that are in this list. */
static void end_all(struct df_worker *w, const struct df_query_list *l, int connection,
		    void (*end)(struct df_worker *w, struct df_query *q))
{
	struct df_query *next;

	for (struct df_query *q = df_query_at(w, l->first); q; q = next) {
		next = df_query_at(w, q->next);
		if (q->client.connection == connection)
			end(w, q);
	}
}

static void on_client_gone(struct df_worker *w, int connection)
{
	end_all(w, &w->in_flight, connection, finish);
	end_all(w, &w->held_answers, connection, finish);
	end_all(w, &w->held_refusals, connection, finish);
}

static void on_upstream_gone(struct df_worker *w, int connection)
{
	end_all(w, &w->in_flight, connection, finish);
	end_all(w, &w->held_answers, connection, release);
}

void df_relay_init(struct df_worker *w)
{
	static const struct df_relay_ops ops = {on_query,     on_answer,      on_failed,
						on_ask_again, on_client_gone, on_upstream_gone};

	w->relay = &ops;
}

void df_relay_identified(struct df_worker *w, uint32_t seq)
{
	const struct df_query_list *lists[] = {&w->held_answers, &w->held_refusals};

	w->identified[seq % DF_QUERIES_MAX] = seq;
	for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
		struct df_query *next;

		for (struct df_query *q = df_query_at(w, lists[k]->first); q; q = next) {
			next = df_query_at(w, q->next);
			if (q->seq == seq)
				release(w, q);
		}
	}
}

int df_relay_expire(struct df_worker *w)
{
	const struct df_query_list *const lists[] = {&w->in_flight, &w->held_answers,
						     &w->held_refusals};
	int ms = -1;

	for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
		struct df_query *q;
		int next_ms;

		while ((q = df_query_at(w, lists[k]->first)) && q->deadline_ns <= w->now_ns) {
			if (q->state == DF_QUERY_STATE_HELD)
				release(w, q);
			else
				send_failure(w, q, DF_DNS_EDE_NO_REACHABLE_AUTHORITY);
		}
		if (!q)
			continue;
		next_ms = (int)((q->deadline_ns - w->now_ns) / 1000000) + 1;
		ms = ms < 0 || next_ms < ms ? next_ms : ms;
	}
	return ms;
}
