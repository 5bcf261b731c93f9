/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where nothing is enforced nothing may be broken either: what the decoder refuses goes to
 * the resolver that was asked, or comes from it, as octets with another id.  Nothing is
 * judged or learned of it, and that is told.
 */
#include <string.h>
#include <sys/socket.h>

#include "proxy/relay.h"

static void put_id(uint8_t *pkt, uint16_t id)
{
	pkt[0] = (uint8_t)(id >> 8);
	pkt[1] = (uint8_t)id;
}

/* The first at once, then one every ten seconds, with how many it stands for. */
static void note(struct df_worker *w, const struct df_asked *a, enum df_note what)
{
	const unsigned i = what == DF_NOTE_UNREAD_ANSWER;
	struct df_msg_note m = {.type = DF_MSG_NOTE, .what = what};

	w->unread[i].n++;
	w->n_malformed++;
	if (w->now_ns < w->unread[i].next_note_ns)
		return;
	m.count = w->unread[i].n;
	memcpy(m.addr, a->token.addr, sizeof(m.addr));
	if (!a->is_raw)
		m.name = a->q.name;
	w->unread[i].n = 0;
	w->unread[i].next_note_ns = w->now_ns + DF_SEEN_SUMMARY_NS;
	if (send(w->channel, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++;
}

size_t df_relay_query_max(const struct df_worker *w)
{
	return df_worker_is_inert(w) ? DF_DNS_MSG_MAX : DF_DNS_QUERY_MAX;
}

int df_relay_build(struct df_worker *w, const struct df_asked *a, uint16_t id)
{
	if (!a->is_raw)
		return df_dns_build_query(&a->q, id, true, w->answer, sizeof(w->answer));
	memcpy(w->answer, w->raw, w->raw_len);
	put_id(w->answer, id);
	return (int)w->raw_len;
}

bool df_relay_raw_query(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	if (!df_worker_is_inert(w) || len < 2 || len > sizeof(w->answer))
		return false;
	a->is_raw = true;
	a->q.id = (uint16_t)(pkt[0] << 8 | pkt[1]);
	a->decision = (struct df_decision){};
	a->is_refusal = a->is_first = false;
	w->raw = pkt;
	w->raw_len = len;
	note(w, a, DF_NOTE_UNREAD_QUERY);
	df_relay_find_route(w, a);
	df_relay_forward(w, a);
	w->raw = NULL;
	return true;
}

bool df_relay_is_stream(const struct df_worker *w, const struct df_asked *a)
{
	/* RFC 5936 2.2: any number of messages, and only the first needs the question */
	return df_worker_is_inert(w) && a->client.connection >= 0 &&
	       (a->q.type == DF_DNS_TYPE_AXFR || a->q.type == DF_DNS_TYPE_IXFR);
}

void df_relay_raw_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len)
{
	if (!a->is_raw && !a->is_stream && pkt != w->answer)
		note(w, a, DF_NOTE_UNREAD_ANSWER);
	a->is_stream = !a->is_raw && df_relay_is_stream(w, a);
	if (pkt != w->answer)
		memcpy(w->answer, pkt, len);
	put_id(w->answer, a->q.id);
	df_relay_reply(w, &a->client, w->answer, len);
	if (a->is_stream) { /* a new deadline: there may be more */
		df_asked_stop_waiting(w, a);
		df_asked_wait(w, a);
	} else {
		df_asked_finish(w, a);
	}
}
