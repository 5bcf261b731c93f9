/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes back from a resolver. */
#include <errno.h>
#include <string.h>

#include "proxy/worker/relay.h"

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

void df_relay_send_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
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

/* Some policy that is enforced lets nothing pass but what it names. */
static bool is_denying(const struct df_worker *w)
{
	for (unsigned t = DF_TABLE_OWN; t <= DF_TABLE_BASE; t++)
		if (df_tables_has(&w->tables, t) && w->tables.modes[t] == DF_MODE_ENFORCE &&
		    df_policy_default(&w->tables.tables[t]) == DF_POLICY_BLOCK)
			return true;
	return false;
}

/* A datagram that a resolver sent without regard to the limit reached the client's host, too. */
static size_t limit_of(const struct df_asked *a, size_t upstream_len)
{
	const size_t limit = df_relay_limit(a);

	return upstream_len > limit ? upstream_len : limit;
}

static void pass_on(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len,
		    const struct df_dns_answer *answer)
{
	int n;

	if (df_relay_is_stream(a) || (a->q.is_verbatim && !answer->has_svcb)) {
		df_relay_pass_octets(w, a, pkt, len);
		return;
	}
	/* what is signed cannot be stripped */
	n = a->q.is_verbatim ? -EPERM
			     : df_dns_build_answer(&a->q, pkt, len, is_denying(w) ? answer : NULL,
						   limit_of(a, len), w->answer, sizeof(w->answer));
	if (n < 0)
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	else
		df_relay_send_answer(w, a, w->answer, (size_t)n);
}

bool df_relay_judge_answer(struct df_worker *w, struct df_asked *a,
			   const struct df_dns_answer *answer)
{
	struct df_decision d = {};

	learn(w, a, answer);
	if (!a->decision.is_enforced)
		d = df_decide_answer(&w->tables, DF_TABLES_FENCE, answer);
	if (df_verdict_strictness(&d) <= df_verdict_strictness(&a->decision)) {
		df_report_outcome(w, a, answer, answer->rcode);
		return false;
	}
	a->decision = d;
	a->is_refusal = true;
	df_report_asked(w, a, &d, answer);
	if (!d.is_enforced)
		return false;
	df_asked_stop_waiting(w, a);
	a->state = DF_ASKED_FREE;
	df_relay_refuse(w, a);
	return true;
}

static void take_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	struct df_dns_answer answer;
	struct df_dns_refusal bare = {.ede = UINT16_MAX};
	bool has_opt;
	int r;

	bare.rcode = (uint16_t)df_dns_bare_error(pkt, len, &has_opt);
	if (bare.rcode != 0) {
		bare.has_no_opt = !has_opt;
		if (bare.rcode > 15 && !a->q.has_edns) /* cannot be said */
			bare.rcode = DF_DNS_RCODE_SERVFAIL;
		df_report_outcome(w, a, NULL, bare.rcode & 15);
		if (a->q.is_verbatim)
			df_relay_pass_octets(w, a, pkt, len);
		else
			df_relay_send_own(w, a, &bare);
		return;
	}
	r = df_dns_parse_answer(pkt, len, &a->q, (uint16_t)(pkt[0] << 8 | pkt[1]), &answer);
	if (r == 0 && answer.is_svcb_malformed)
		r = -EBADMSG;
	if (r == -ENOMSG) {
		w->n_mismatched++; /* to another question: go on waiting for ours */
	} else if (r < 0) {
		df_relay_note_answer(w, a);
		df_relay_send_failure(w, a, DF_DNS_EDE_NETWORK_ERROR);
	} else if (!df_relay_judge_answer(w, a, &answer)) {
		pass_on(w, a, pkt, len, &answer);
	}
}

void df_relay_answer(struct df_worker *w, int upstream, const struct df_connection *connection,
		     const uint8_t *pkt, size_t len)
{
	const bool is_inert = df_worker_is_inert(w);
	struct df_asked *a = NULL;

	if (len >= (is_inert ? 2 : DF_DNS_HEADER_LEN))
		a = df_asked_find(w, upstream, connection, (uint16_t)(pkt[0] << 8 | pkt[1]));
	if (!a) {
		w->n_mismatched++;
		if (is_inert && connection) /* it is that client's, whatever it is */
			df_tcp_reply(w, (int)(connection - w->connections), pkt, len);
		return;
	}
	if (is_inert)
		df_relay_observe(w, a, pkt, len);
	else if (a->is_stream)
		df_relay_pass_octets(w, a, pkt, len);
	else if (a->is_other)
		df_relay_other_answer(w, a, pkt, len);
	else
		take_answer(w, a, pkt, len);
}
