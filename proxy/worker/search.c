/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/search.h"

#include <string.h>

#include "lib/base/hash.h"
#include "proxy/worker/worker.h"

static uint64_t hash_of(const struct df_worker *w, const struct df_token *t,
			const struct df_dname *name)
{
	uint64_t h = df_hash_bytes(w->seen.seed, &t->tgid, sizeof(t->tgid));

	h = df_hash_bytes(h, &t->start, sizeof(t->start));
	return df_hash_bytes(h, name->wire, name->len);
}

/* The place of the name in its set: where it stands, else that of the oldest. */
static struct df_search_seen *place_of(struct df_search *a, uint64_t hash)
{
	struct df_search_seen *set = a->seen[df_hash_fold(hash) % DF_SEARCH_SETS], *oldest = set;

	for (unsigned i = 0; i < DF_SEARCH_WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].time_ns < oldest->time_ns)
			oldest = &set[i];
	}
	return oldest;
}

/* Notes that the process asked for the name so; true: a short while ago in another way. */
static bool was_asked(struct df_worker *w, uint64_t hash, uint8_t how)
{
	struct df_search_seen *s = place_of(&w->attempts, hash);
	const bool is_known = s->hash == hash && w->now_ns - s->time_ns < DF_SEARCH_NS;
	const bool is_other = is_known && s->how != how;

	s->time_ns = w->now_ns;
	if (is_other && how != 0)
		return true;
	s->hash = hash;
	s->how = how;
	return is_other;
}

static bool is_same_process(const struct df_token *a, const struct df_token *b)
{
	return a->tgid == b->tgid && a->start == b->start;
}

/* The name is bare with one of the suffixes. */
static bool is_attempt_for(const struct df_search_list *search, const struct df_dname *name,
			   const struct df_dname *bare)
{
	struct df_dname rest;

	for (unsigned i = 0; i < search->n; i++)
		if (df_dname_strip_suffix(name, &search->names[i], &rest) == 0 &&
		    df_dname_is_equal(&rest, bare))
			return true;
	return false;
}

/* The process goes on with the same name: what waits was an attempt for it. */
static void settle(struct df_worker *w, const struct df_asked *a, const struct df_dname *bare)
{
	for (unsigned i = 0; w->attempts.n_held > 0 && i < DF_SEARCH_HELD; i++) {
		struct df_search_held *h = &w->attempts.held[i];

		if (h->deadline_ns && is_same_process(&h->message.token, &a->token) &&
		    !df_dname_is_equal(&h->message.name, &a->q.name) &&
		    is_attempt_for(&w->search, &h->message.name, bare))
			h->message.flags |= DF_QUERY_SEARCH;
	}
}

enum df_search_kind df_search_note(struct df_worker *w, const struct df_asked *a)
{
	const bool is_candidate =
		a->decision.reason == DF_REASON_UNLISTED || a->decision.reason == DF_REASON_SEARCH;
	enum df_search_kind kind = DF_SEARCH_NO;
	bool is_bare; /* it was asked for with a suffix */

	if (w->search.n == 0 || a->token.tgid == 0)
		return DF_SEARCH_NO;
	settle(w, a, &a->q.name);
	is_bare = was_asked(w, hash_of(w, &a->token, &a->q.name), 0);
	for (unsigned i = 0; i < w->search.n; i++) {
		struct df_dname bare;

		if (df_dname_strip_suffix(&a->q.name, &w->search.names[i], &bare) < 0)
			continue;
		settle(w, a, &bare);
		if (was_asked(w, hash_of(w, &a->token, &bare), (uint8_t)(i + 1)))
			kind = DF_SEARCH_ATTEMPT;
		else if (i == 0 && bare.n_labels > 1 && bare.n_labels <= w->meta->ndots &&
			 a->decision.reason == DF_REASON_UNLISTED)
			kind = DF_SEARCH_MAYBE; /* a client begins with the first suffix */
	}
	if (a->decision.is_search_miss)
		kind = DF_SEARCH_ATTEMPT;
	else if (is_bare)
		kind = DF_SEARCH_NO;
	return is_candidate ? kind : DF_SEARCH_NO;
}

bool df_search_hold(struct df_worker *w, const struct df_msg_query *m, struct df_seen_entry *entry)
{
	for (unsigned i = 0; i < DF_SEARCH_HELD; i++) {
		struct df_search_held *h = &w->attempts.held[i];

		if (h->deadline_ns)
			continue;
		h->deadline_ns = w->now_ns + DF_SEARCH_HOLD_NS;
		h->message = *m;
		h->entry = entry;
		w->attempts.n_held++;
		return true;
	}
	return false;
}

int df_search_release(struct df_worker *w, bool all)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; w->attempts.n_held > 0 && i < DF_SEARCH_HELD; i++) {
		struct df_search_held *h = &w->attempts.held[i];

		if (!h->deadline_ns)
			continue;
		if (all || w->now_ns >= h->deadline_ns || (h->message.flags & DF_QUERY_SEARCH)) {
			h->deadline_ns = 0;
			w->attempts.n_held--;
			if (h->entry->seq == h->message.seq)
				h->entry->is_search = h->message.flags & DF_QUERY_SEARCH;
			df_report_held(w, &h->message);
		} else if (h->deadline_ns < next_ns) {
			next_ns = h->deadline_ns;
		}
	}
	if (next_ns == UINT64_MAX)
		return -1;
	return (int)((next_ns - w->now_ns) / 1000000) + 1;
}
