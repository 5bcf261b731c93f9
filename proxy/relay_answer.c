/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes back from a resolver. */
#include <errno.h>
#include <string.h>

#include "proxy/relay.h"

/* A server that knows no EDNS may answer with the bare header (RFC 6891 7). */
static bool is_bare_error(const uint8_t *pkt, size_t len)
{
	static const uint8_t none[8];

	return len == DF_DNS_HEADER_LEN && (pkt[2] & 0xf8) == DF_DNS_QR_BIT && (pkt[3] & 15) != 0 &&
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
		df_relay_reply(w, &a->client, pkt, len);
		df_asked_finish(w, a);
		return;
	}
	df_asked_stop_waiting(w, a);
	memcpy(w->held[slot], pkt, len);
	a->held = (int16_t)slot;
	a->held_len = (uint16_t)len;
	df_asked_hold(w, a, DF_HOLD_ANSWER_NS);
}

/* The hints of HTTPS and SVCB count as answers only where the client gets them. */
static void learn(struct df_worker *w, const struct df_asked *a, const struct df_dns_answer *answer)
{
	const bool is_address = a->q.type == DF_DNS_TYPE_A || a->q.type == DF_DNS_TYPE_AAAA;
	const struct df_learn_scope scope = {.tables = a->teaches};

	if (is_address || (df_worker_is_inert(w) && !answer->is_svcb_malformed))
		(void)df_learn_answer(w, &a->q.name, answer, &scope);
}

static void pass_on(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	const size_t limit = df_relay_limit(a), size = sizeof(w->answer);
	int n;

	if (df_worker_is_inert(w))
		n = df_dns_build_answer(&a->q, pkt, len, limit, w->answer, size);
	else
		n = df_dns_build_stripped(&a->q, pkt, len, limit, w->answer, size);
	if (n < 0)
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	else if (df_relay_is_stream(w, a))
		df_relay_raw_answer(w, a, w->answer, (size_t)n);
	else
		send_answer(w, a, w->answer, (size_t)n);
}

static void answer_valid(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len,
			 const struct df_dns_answer *answer)
{
	struct df_decision d = {};

	learn(w, a, answer);
	if (!a->decision.is_enforced)
		d = df_tables_answer(&w->tables, answer);
	if (df_tables_strictness(&d) > df_tables_strictness(&a->decision)) {
		a->decision = d;
		a->is_refusal = true;
		df_report_asked(w, a, &d, answer);
		if (d.is_enforced) {
			df_asked_stop_waiting(w, a);
			a->state = DF_ASKED_FREE;
			df_relay_refuse(w, a);
			return;
		}
	} else {
		df_report_outcome(w, a, answer, answer->rcode);
	}
	pass_on(w, a, pkt, len);
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
	a = df_asked_find(w, upstream, connection, id);
	if (!a) {
		w->n_mismatched++;
		return;
	}
	if (a->is_raw || a->is_stream) {
		df_relay_raw_answer(w, a, pkt, len);
		return;
	}
	if (is_bare_error(pkt, len)) {
		const struct df_dns_refusal bare = {.rcode = pkt[3] & 15, .ede = UINT16_MAX};

		df_report_outcome(w, a, NULL, bare.rcode);
		df_relay_send_own(w, a, &bare);
		return;
	}
	r = df_dns_parse_answer(pkt, len, &a->q, id, &answer);
	if (r == 0 && answer.is_svcb_malformed && !df_worker_is_inert(w))
		r = -EBADMSG;
	if (r == 0) {
		answer_valid(w, a, pkt, len, &answer);
	} else if (r == -ENOMSG) {
		w->n_mismatched++; /* to another question: go on waiting for ours */
	} else if (df_worker_is_inert(w) && df_dns_is_answer_to(pkt, len, &a->q, id)) {
		df_report_outcome(w, a, NULL, pkt[3] & 15);
		df_relay_raw_answer(w, a, pkt, len);
	} else {
		w->n_malformed++;
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	}
}
