/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool of queries: in flight by resolver and id, held by deadline. */
#include "proxy/worker/relay.h"

struct df_asked *df_asked_at(struct df_worker *w, uint32_t i)
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
		df_asked_at(w, l->last)->next = i;
	else
		l->first = i;
	l->last = i;
}

static void list_remove(struct df_worker *w, struct df_list *l, struct df_asked *a)
{
	if (a->prev)
		df_asked_at(w, a->prev)->next = a->next;
	else
		l->first = a->next;
	if (a->next)
		df_asked_at(w, a->next)->prev = a->prev;
	else
		l->last = a->prev;
}

struct df_asked *df_asked_new(struct df_worker *w)
{
	uint32_t i = w->free_list;

	if (i)
		w->free_list = df_asked_at(w, i)->next;
	else if (w->n_asked_ever < DF_QUERIES_MAX - 1)
		i = ++w->n_asked_ever;
	else
		return NULL;
	return df_asked_at(w, i);
}

static uint32_t hash_of(int upstream, const struct df_connection *c, const struct df_worker *w,
			uint16_t id)
{
	uint32_t peer = upstream >= 0 ? (uint32_t)upstream
				      : DF_UPSTREAMS_MAX + (uint32_t)(c - w->connections);

	return (id ^ peer * 0x9e3779b1u) % DF_QUERIES_MAX;
}

bool df_asked_is_at(const struct df_asked *a, int upstream, const struct df_connection *c,
		    const struct df_worker *w)
{
	if (upstream >= 0)
		return a->upstream == upstream;
	return a->upstream < 0 && &w->connections[a->client.connection] == c;
}

struct df_asked *df_asked_find(const struct df_worker *w, int upstream,
			       const struct df_connection *c, uint16_t id)
{
	uint32_t i = w->hash[hash_of(upstream, c, w, id)];

	while (i) {
		const struct df_asked *a = &w->asked[i];

		if (a->upstream_id == id && df_asked_is_at(a, upstream, c, w))
			return (struct df_asked *)a;
		i = a->hash_next;
	}
	return NULL;
}

bool df_relay_is_id_free(const struct df_worker *w, int upstream, const struct df_connection *c,
			 uint16_t id)
{
	return !df_asked_find(w, upstream, c, id);
}

static uint32_t hash_of_asked(const struct df_worker *w, const struct df_asked *a)
{
	const struct df_connection *c =
		a->upstream >= 0 ? NULL : &w->connections[a->client.connection];

	return hash_of(a->upstream, c, w, a->upstream_id);
}

void df_asked_wait(struct df_worker *w, struct df_asked *a)
{
	uint32_t *head = &w->hash[hash_of_asked(w, a)];

	a->hash_next = *head;
	*head = index_of(w, a);
	a->state = DF_ASKED_UPSTREAM;
	a->deadline_ns = w->now_ns + DF_UPSTREAM_DEADLINE_NS;
	list_append(w, &w->in_flight, a);
}

void df_asked_stop_waiting(struct df_worker *w, struct df_asked *a)
{
	uint32_t *link = &w->hash[hash_of_asked(w, a)];

	while (*link != index_of(w, a))
		link = &df_asked_at(w, *link)->hash_next;
	*link = a->hash_next;
	list_remove(w, &w->in_flight, a);
	df_upstream_settled(w, a);
}

static struct df_list *held_list(struct df_worker *w, const struct df_asked *a)
{
	return a->held >= 0 ? &w->held_answers : &w->held_refusals;
}

void df_asked_finish(struct df_worker *w, struct df_asked *a)
{
	int16_t connection = a->client.connection;

	switch (a->state) {
	case DF_ASKED_UPSTREAM:
		df_asked_stop_waiting(w, a);
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

void df_asked_hold(struct df_worker *w, struct df_asked *a, uint64_t how_long_ns)
{
	a->state = DF_ASKED_HELD;
	a->deadline_ns = w->now_ns + how_long_ns;
	list_append(w, held_list(w, a), a);
}
