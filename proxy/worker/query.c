/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/query.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/base/util.h"

#define ID_TRIES 32

static uint32_t index_of(const struct df_worker *w, const struct df_query *q)
{
	return (uint32_t)(q - w->queries);
}

static void list_append(struct df_worker *w, struct df_query_list *l, struct df_query *q)
{
	uint32_t i = index_of(w, q);

	q->prev = l->last;
	q->next = 0;
	if (l->last)
		w->queries[l->last].next = i;
	else
		l->first = i;
	l->last = i;
}

static void list_remove(struct df_worker *w, struct df_query_list *l, struct df_query *q)
{
	if (q->prev)
		w->queries[q->prev].next = q->next;
	else
		l->first = q->next;
	if (q->next)
		w->queries[q->next].prev = q->prev;
	else
		l->last = q->prev;
}

struct df_query *df_query_new(struct df_worker *w)
{
	uint32_t i = w->free_list;
	struct df_query *q;

	if (i)
		w->free_list = w->queries[i].next;
	else if (w->n_queries_ever < DF_QUERIES_MAX - 1)
		i = ++w->n_queries_ever;
	else
		return NULL;
	q = &w->queries[i];
	q->state = DF_QUERY_STATE_IN_HAND;
	q->held = -1;
	q->is_raw = q->is_other = q->is_stream = false;
	return q;
}

static uint32_t hash_of(unsigned peer, uint16_t id)
{
	return (id ^ peer * 0x9e3779b1u) % DF_QUERIES_MAX;
}

struct df_query *df_query_find(struct df_worker *w, unsigned peer, uint16_t id)
{
	struct df_query *q = df_query_at(w, w->hash[hash_of(peer, id)]);

	while (q && (q->peer_id != id || q->peer != peer))
		q = df_query_at(w, q->hash_next);
	return q;
}

bool df_query_is_waiting(struct df_worker *w, unsigned peer)
{
	const struct df_query *q = df_query_at(w, w->in_flight.first);

	while (q && q->peer != peer)
		q = df_query_at(w, q->next);
	return q;
}

uint16_t df_query_random16(struct df_worker *w)
{
	uint16_t value;

	if (w->random_left < sizeof(value)) {
		df_random(w->random, sizeof(w->random));
		w->random_left = sizeof(w->random);
	}
	w->random_left -= (uint32_t)sizeof(value);
	memcpy(&value, w->random + w->random_left, sizeof(value));
	return value;
}

int df_query_draw_id(struct df_worker *w, unsigned peer, uint16_t first, uint16_t *ret)
{
	uint16_t id = first;

	for (int i = 0; i < ID_TRIES; i++) {
		if (!df_query_find(w, peer, id)) {
			*ret = id;
			return 0;
		}
		id = df_query_random16(w);
	}
	return -EBUSY;
}

int df_query_build(struct df_worker *w, const struct df_query *q, uint16_t id, const uint8_t *raw,
		   size_t raw_len)
{
	if (!df_worker_is_inert(w) && !q->is_raw && !q->msg.is_verbatim)
		return df_dns_build_query(&q->msg, id, true, w->answer, sizeof(w->answer));
	if (!raw)
		return -ENODATA;
	memcpy(w->answer, raw, raw_len);
	w->answer[0] = (uint8_t)(id >> 8);
	w->answer[1] = (uint8_t)id;
	return (int)raw_len;
}

void df_query_wait(struct df_worker *w, struct df_query *q)
{
	uint32_t *head = &w->hash[hash_of(q->peer, q->peer_id)];

	assert(q->state == DF_QUERY_STATE_IN_HAND);
	q->hash_next = *head;
	*head = index_of(w, q);
	q->state = DF_QUERY_STATE_WAITING;
	q->deadline_ns = w->now_ns + DF_UPSTREAM_DEADLINE_NS;
	list_append(w, &w->in_flight, q);
}

void df_query_stop_waiting(struct df_worker *w, struct df_query *q)
{
	uint32_t *link = &w->hash[hash_of(q->peer, q->peer_id)];

	assert(q->state == DF_QUERY_STATE_WAITING);
	while (*link != index_of(w, q))
		link = &w->queries[*link].hash_next;
	*link = q->hash_next;
	list_remove(w, &w->in_flight, q);
	q->state = DF_QUERY_STATE_IN_HAND;
}

bool df_query_hold(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len)
{
	int slot = -1;

	assert(q->state == DF_QUERY_STATE_IN_HAND);
	if (pkt) {
		for (int i = 0; slot < 0 && i < DF_HELD_MAX; i++)
			if (!(w->held_used & 1ull << i))
				slot = i;
		if (slot < 0 || len > DF_HELD_SIZE)
			return false;
		w->held_used |= 1ull << slot;
		memcpy(w->held[slot], pkt, len);
		q->held_len = (uint16_t)len;
	}
	q->held = (int16_t)slot;
	q->state = DF_QUERY_STATE_HELD;
	q->deadline_ns = w->now_ns + (pkt ? DF_HOLD_ANSWER_NS : DF_HOLD_REFUSAL_NS);
	list_append(w, pkt ? &w->held_answers : &w->held_refusals, q);
	return true;
}

void df_query_free(struct df_worker *w, struct df_query *q)
{
	assert(q->state == DF_QUERY_STATE_IN_HAND || q->state == DF_QUERY_STATE_HELD);
	if (q->state == DF_QUERY_STATE_HELD) {
		list_remove(w, q->held >= 0 ? &w->held_answers : &w->held_refusals, q);
		if (q->held >= 0)
			w->held_used &= ~(1ull << q->held);
	}
	q->state = DF_QUERY_STATE_FREE;
	q->next = w->free_list;
	w->free_list = index_of(w, q);
}
