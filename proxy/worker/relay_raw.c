/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages that pass as octets, with another id.
 *
 * Where nothing is enforced all messages do, since audit mode must break nothing: the client sees
 * the resolver's own octets.  A message that the decoder refuses is neither judged nor learned
 * from, and an event says so.
 *
 * Where policies are enforced, signed messages and those of another opcode or class do.  The names
 * in them are judged, and those in the answer.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker/relay.h"

static void put_id(uint8_t *pkt, uint16_t id)
{
	pkt[0] = (uint8_t)(id >> 8);
	pkt[1] = (uint8_t)id;
}

/* The first at once, then one every ten seconds, with how many it stands for. */
static void note(struct df_worker *w, const struct df_asked *a, bool is_query)
{
	const bool is_inert = df_worker_is_inert(w);
	struct df_msg_note m = {.type = DF_MSG_NOTE};

	w->unread[is_query].n++;
	w->n_malformed++;
	if (w->now_ns < w->unread[is_query].next_note_ns)
		return;
	if (is_query)
		m.what = is_inert ? DF_NOTE_UNREAD_QUERY : DF_NOTE_REFUSED_QUERY;
	else
		m.what = is_inert ? DF_NOTE_UNREAD_ANSWER : DF_NOTE_REFUSED_ANSWER;
	m.count = w->unread[is_query].n;
	memcpy(m.addr, a->token.addr, sizeof(m.addr));
	if (!a->is_raw)
		m.name = a->q.name;
	w->unread[is_query].n = 0;
	w->unread[is_query].next_note_ns = w->now_ns + DF_SEEN_SUMMARY_NS;
	if (send(w->channel, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++;
}

void df_relay_note_answer(struct df_worker *w, const struct df_asked *a)
{
	note(w, a, false);
}

static bool is_octets(const struct df_worker *w, const struct df_asked *a)
{
	return df_worker_is_inert(w) || a->is_raw || a->q.is_verbatim;
}

int df_relay_build(struct df_worker *w, const struct df_asked *a, uint16_t id)
{
	if (!is_octets(w, a))
		return df_dns_build_query(&a->q, id, true, w->answer, sizeof(w->answer));
	if (!w->raw)
		return -ENODATA;
	memcpy(w->answer, w->raw, w->raw_len);
	put_id(w->answer, id);
	return (int)w->raw_len;
}

/* --- names ------------------------------------------------------------------------- */

struct judged {
	struct df_worker *w;
	bool is_any;
	struct df_decision decision; /* the strictest */
	struct df_dname name;
};

static int keep_strictest(struct judged *j, const struct df_decision *d,
			  const struct df_dname *name)
{
	if (!j->is_any || df_verdict_strictness(d) > df_verdict_strictness(&j->decision)) {
		j->decision = *d;
		j->name = *name;
	}
	j->is_any = true;
	return 0;
}

static int judge_asked(void *data, const struct df_dname *name)
{
	struct judged *j = data;
	const struct df_decision d =
		df_verdict_question(&j->w->tables, DF_TABLES_FENCE, &j->w->search, name);

	return keep_strictest(j, &d, name);
}

/* As one that stands in an answer: blocked names count. */
static int judge_answered(void *data, const struct df_dname *name)
{
	struct judged *j = data;
	const struct df_decision d =
		df_verdict_names(&j->w->tables, DF_TABLES_FENCE, name, 1, DF_REASON_CNAME);

	return keep_strictest(j, &d, name);
}

/* --- queries ------------------------------------------------------------------------- */

/* Neither query nor anything else: what can be said without knowing what it is. */
static void send_error(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	uint8_t header[DF_DNS_HEADER_LEN];
	int n = df_dns_build_error(pkt, len, header);

	if (n > 0)
		df_relay_reply(w, &a->client, header, (size_t)n);
	df_asked_finish(w, a);
}

void df_relay_odd_query(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	struct judged j = {.w = w};

	if (df_dns_parse_other(pkt, len, judge_asked, &j, &a->q) == 0 &&
	    (a->q.opcode != DF_DNS_OPCODE_QUERY || a->q.other_class != 0)) {
		a->is_other = true;
		a->decision = j.decision;
		df_relay_decided(w, a, &j.name);
		return;
	}
	a->is_raw = true;
	a->is_refusal = a->is_first = false;
	a->decision = (struct df_decision){};
	note(w, a, true);
	if (!df_worker_is_inert(w) || len < 2 || len > sizeof(w->answer)) {
		send_error(w, a, pkt, len);
		return;
	}
	a->q.id = (uint16_t)(pkt[0] << 8 | pkt[1]);
	a->q.opcode = DF_DNS_OPCODE_QUERY;
	df_relay_find_route(w, a);
	df_relay_forward(w, a);
}

/* --- answers ------------------------------------------------------------------------- */

bool df_relay_is_stream(const struct df_asked *a)
{
	/* RFC 5936 2.2: any number of messages, and only the first needs the question */
	return a->client.connection >= 0 && !a->is_raw && !a->is_other &&
	       (a->q.type == DF_DNS_TYPE_AXFR || a->q.type == DF_DNS_TYPE_IXFR);
}

static size_t copy_octets(struct df_worker *w, const struct df_asked *a, const uint8_t *pkt,
			  size_t len)
{
	memcpy(w->answer, pkt, len);
	put_id(w->answer, a->q.id);
	return len;
}

void df_relay_pass_octets(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	copy_octets(w, a, pkt, len);
	a->is_stream = df_relay_is_stream(a);
	if (a->is_stream) { /* a new deadline: there may be more */
		df_relay_reply(w, &a->client, w->answer, len);
		df_asked_stop_waiting(w, a);
		df_asked_wait(w, a);
	} else if (a->is_raw) {
		df_relay_reply(w, &a->client, w->answer, len);
		df_asked_finish(w, a);
	} else {
		df_relay_send_answer(w, a, w->answer, len);
	}
}

/* The names of an answer to what is_other.  Result of df_dns_check_other. */
static int check_other(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	struct df_dns_answer *answer = &w->other;
	struct judged j = {.w = w};
	int r = df_dns_check_other(pkt, len, (uint16_t)(pkt[0] << 8 | pkt[1]), judge_answered, &j);

	if (r < 0)
		return r;
	if (df_verdict_strictness(&j.decision) > df_verdict_strictness(&a->decision)) {
		answer->n_strays = 1;
		answer->strays[0] = j.name;
		a->decision = j.decision;
		a->is_refusal = true;
		df_report_asked(w, a, &a->decision, answer);
	} else {
		df_report_outcome(w, a, NULL, pkt[3] & 15);
	}
	return 0;
}

void df_relay_other_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	int r = check_other(w, a, pkt, len);

	if (r == -ENOMSG) {
		w->n_mismatched++;
	} else if (r < 0) {
		df_relay_note_answer(w, a);
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	} else if (a->decision.is_enforced) {
		df_asked_stop_waiting(w, a);
		a->state = DF_ASKED_FREE;
		df_relay_refuse(w, a);
	} else {
		df_relay_pass_octets(w, a, pkt, len);
	}
}

/* 0: it is the answer, as far as can be said.  Else it may be, and the real one may still come. */
static int observe_query(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	const uint16_t id = (uint16_t)(pkt[0] << 8 | pkt[1]);
	struct df_dns_answer answer;
	bool has_opt;
	int r;

	if (df_dns_bare_error(pkt, len, &has_opt)) {
		df_report_outcome(w, a, NULL, pkt[3] & 15);
		return 0;
	}
	r = df_dns_parse_answer(pkt, len, &a->q, id, &answer);
	if (r == 0) {
		(void)df_relay_judge_answer(w, a, &answer);
		return 0;
	}
	if (r == -ENOMSG) {
		w->n_mismatched++;
		return r;
	}
	df_relay_note_answer(w, a);
	if (!df_dns_is_answer_to(pkt, len, &a->q, id))
		return r;
	df_report_outcome(w, a, NULL, pkt[3] & 15);
	return 0;
}

void df_relay_observe(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	int r = 0;

	if (!a->is_raw && !a->is_stream)
		r = a->is_other ? check_other(w, a, pkt, len) : observe_query(w, a, pkt, len);
	if (a->is_other && r < 0) {
		df_relay_note_answer(w, a);
		r = 0;
	}
	if (r == 0) {
		df_relay_pass_octets(w, a, pkt, len);
		return;
	}
	copy_octets(w, a, pkt, len);
	df_relay_reply(w, &a->client, w->answer, len);
}
