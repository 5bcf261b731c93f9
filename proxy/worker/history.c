/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/history.h"

#include <string.h>

#include "lib/base/hash.h"

/* --- repetitions --------------------------------------------------------------------- */

static bool is_same(const struct df_history_entry *e, const struct df_token *token,
		    const struct df_history_what *what, unsigned strictness)
{
	if (!e->is_used || e->strictness != strictness || e->token.tgid != token->tgid ||
	    e->token.start != token->start ||
	    memcmp(e->token.comm, token->comm, sizeof(token->comm)) != 0 ||
	    e->what.at != what->at || e->what.name.len != what->name.len)
		return false;
	if (what->name.len > 0)
		return df_dname_is_equal(&e->what.name, &what->name);
	return e->what.port == what->port &&
	       memcmp(e->what.addr, what->addr, sizeof(what->addr)) == 0;
}

static void give_summary(struct df_history *h, struct df_history_entry *e, uint64_t now_ns,
			 df_history_summary_fn *summary, void *data)
{
	if (e->repeated == 0)
		return;
	summary(data, e);
	e->repeated = 0;
	e->last_summary_ns = now_ns;
	h->n_repeated--;
}

struct df_history_entry *df_history_note(struct df_history *h, const struct df_token *token,
					 const struct df_history_what *what, unsigned strictness,
					 uint64_t now_ns, bool *ret_is_first,
					 df_history_summary_fn *summary, void *data)
{
	uint64_t hash = df_hash_bytes(h->seed, &token->tgid, sizeof(token->tgid));
	struct df_history_entry *e;

	hash = df_hash_bytes(hash, token->comm, sizeof(token->comm));
	hash = df_hash_bytes(hash, &what->at, sizeof(what->at));
	if (what->name.len)
		hash = df_hash_bytes(hash, what->name.wire, what->name.len);
	else
		hash = df_hash_bytes(hash, what->addr, sizeof(what->addr));
	e = &h->entries[df_hash_fold(hash) % DF_HISTORY_ENTRIES];
	if (is_same(e, token, what, strictness) && now_ns - e->first_ns < DF_HISTORY_FORGET_NS) {
		if (e->repeated++ == 0)
			h->n_repeated++;
		*ret_is_first = false;
		return e;
	}
	give_summary(h, e, now_ns, summary, data);
	*e = (struct df_history_entry){
		.is_used = true,
		.is_refusal = strictness > 0,
		.strictness = strictness,
		.seq = ++h->next_seq,
		.first_ns = now_ns,
		.last_summary_ns = now_ns,
		.token = *token,
		.what = *what,
	};
	*ret_is_first = true;
	return e;
}

void df_history_summaries(struct df_history *h, uint64_t now_ns, bool all,
			  df_history_summary_fn *summary, void *data)
{
	for (unsigned i = 0; h->n_repeated > 0 && i < DF_HISTORY_ENTRIES; i++) {
		struct df_history_entry *e = &h->entries[i];

		if (all || now_ns - e->last_summary_ns >= DF_HISTORY_SUMMARY_NS)
			give_summary(h, e, now_ns, summary, data);
	}
}

/* --- the search list ------------------------------------------------------------------- */

/* Notes that the process asked for the name so; true: a short while ago in another way. */
static bool was_asked(struct df_history *h, const struct df_token *t, const struct df_dname *name,
		      uint8_t how, uint64_t now_ns)
{
	uint64_t hash = df_hash_bytes(h->seed, &t->tgid, sizeof(t->tgid));
	struct df_history_name *set, *place;
	bool is_other;

	hash = df_hash_bytes(hash, &t->start, sizeof(t->start));
	hash = df_hash_bytes(hash, name->wire, name->len);
	place = set = h->names[df_hash_fold(hash) % DF_HISTORY_SETS];
	/* the place of the name, else that of the oldest */
	for (unsigned i = 0; place->hash != hash && i < DF_HISTORY_WAYS; i++)
		if (set[i].hash == hash || set[i].time_ns < place->time_ns)
			place = &set[i];
	is_other = place->hash == hash && now_ns - place->time_ns < DF_HISTORY_SEARCH_NS &&
		   place->how != how;
	place->time_ns = now_ns;
	if (is_other && how != 0)
		return true;
	place->hash = hash;
	place->how = how;
	return is_other;
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

/*
 * The process goes on with name, which is bare or bare with a suffix: an event of it that waits for
 * another name with the same bare part was an attempt.
 */
static void settle(struct df_history *h, const struct df_search_list *search,
		   const struct df_token *token, const struct df_dname *name,
		   const struct df_dname *bare)
{
	for (unsigned i = 0; h->n_held > 0 && i < DF_HISTORY_HELD; i++) {
		struct df_msg_query *m = &h->held[i].message;

		if (h->held[i].deadline_ns && m->token.tgid == token->tgid &&
		    m->token.start == token->start && !df_dname_is_equal(&m->name, name) &&
		    is_attempt_for(search, &m->name, bare))
			m->flags |= DF_QUERY_SEARCH;
	}
}

enum df_search_kind df_history_search(struct df_history *h, const struct df_search_list *search,
				      unsigned ndots, const struct df_token *token,
				      const struct df_dname *name, const struct df_decision *d,
				      uint64_t now_ns)
{
	enum df_search_kind kind = DF_SEARCH_NO;
	bool is_bare; /* it was asked for with a suffix */

	if (search->n == 0 || token->tgid == 0)
		return DF_SEARCH_NO;
	settle(h, search, token, name, name);
	is_bare = was_asked(h, token, name, 0, now_ns);
	for (unsigned i = 0; i < search->n; i++) {
		struct df_dname bare;

		if (df_dname_strip_suffix(name, &search->names[i], &bare) < 0)
			continue;
		settle(h, search, token, name, &bare);
		if (was_asked(h, token, &bare, (uint8_t)(i + 1), now_ns))
			kind = DF_SEARCH_ATTEMPT;
		else if (i == 0 && bare.n_labels > 1 && bare.n_labels <= ndots &&
			 d->reason == DF_REASON_UNLISTED)
			kind = DF_SEARCH_MAYBE; /* a client begins with the first suffix */
	}
	if (d->is_search_miss)
		kind = DF_SEARCH_ATTEMPT;
	else if (is_bare)
		kind = DF_SEARCH_NO;
	return d->reason == DF_REASON_UNLISTED || d->reason == DF_REASON_SEARCH ? kind
										: DF_SEARCH_NO;
}

bool df_history_hold(struct df_history *h, const struct df_msg_query *m,
		     struct df_history_entry *entry, uint64_t now_ns)
{
	for (unsigned i = 0; i < DF_HISTORY_HELD; i++) {
		if (h->held[i].deadline_ns)
			continue;
		h->held[i] = (struct df_history_held){now_ns + DF_HISTORY_HOLD_NS, entry, *m};
		h->n_held++;
		return true;
	}
	return false;
}

int df_history_release(struct df_history *h, uint64_t now_ns, bool all, df_history_held_fn *release,
		       void *data)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; h->n_held > 0 && i < DF_HISTORY_HELD; i++) {
		struct df_history_held *e = &h->held[i];

		if (!e->deadline_ns)
			continue;
		if (all || now_ns >= e->deadline_ns || (e->message.flags & DF_QUERY_SEARCH)) {
			e->deadline_ns = 0;
			h->n_held--;
			if (e->entry->seq == e->message.seq)
				e->entry->is_search = e->message.flags & DF_QUERY_SEARCH;
			release(data, &e->message);
		} else if (e->deadline_ns < next_ns) {
			next_ns = e->deadline_ns;
		}
	}
	return next_ns == UINT64_MAX ? -1 : (int)((next_ns - now_ns) / 1000000) + 1;
}
