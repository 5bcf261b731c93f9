/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/seen.h"

#include <string.h>

#include "lib/base/hash.h"

static bool is_same_what(const struct df_seen_what *a, const struct df_seen_what *b)
{
	if (a->at != b->at || a->name.len != b->name.len)
		return false;
	if (a->name.len > 0)
		return df_dname_is_equal(&a->name, &b->name);
	return a->port == b->port && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static bool is_same(const struct df_seen_entry *e, const struct df_token *token,
		    const struct df_seen_what *what, unsigned strictness)
{
	return e->is_used && e->strictness == strictness && e->token.tgid == token->tgid &&
	       e->token.start == token->start &&
	       memcmp(e->token.comm, token->comm, sizeof(token->comm)) == 0 &&
	       is_same_what(&e->what, what);
}

static void give_summary(struct df_seen *s, struct df_seen_entry *e, uint64_t now,
			 df_seen_summary_fn *summary, void *data)
{
	if (e->repeated == 0)
		return;
	summary(data, e);
	e->repeated = 0;
	e->last_summary_ns = now;
	s->n_repeated--;
}

struct df_seen_entry *df_seen_note(struct df_seen *s, const struct df_token *token,
				   const struct df_seen_what *what, unsigned strictness,
				   uint64_t now, bool *ret_is_first, df_seen_summary_fn *summary,
				   void *data)
{
	uint64_t h = df_hash_bytes(s->seed, &token->tgid, sizeof(token->tgid));
	struct df_seen_entry *e;

	h = df_hash_bytes(h, token->comm, sizeof(token->comm));
	h = df_hash_bytes(h, &what->at, sizeof(what->at));
	h = what->name.len ? df_hash_bytes(h, what->name.wire, what->name.len)
			   : df_hash_bytes(h, what->addr, sizeof(what->addr));
	e = &s->slots[df_hash_fold(h) % DF_SEEN_SLOTS];
	if (is_same(e, token, what, strictness) && now - e->first_ns < DF_SEEN_FORGET_NS) {
		if (e->repeated++ == 0)
			s->n_repeated++;
		*ret_is_first = false;
		return e;
	}
	give_summary(s, e, now, summary, data);
	*e = (struct df_seen_entry){
		.is_used = true,
		.is_refusal = strictness > 0,
		.strictness = strictness,
		.seq = ++s->next_seq,
		.first_ns = now,
		.last_summary_ns = now,
		.token = *token,
		.what = *what,
	};
	*ret_is_first = true;
	return e;
}

void df_seen_summaries(struct df_seen *s, uint64_t now, bool all, df_seen_summary_fn *summary,
		       void *data)
{
	for (unsigned i = 0; s->n_repeated > 0 && i < DF_SEEN_SLOTS; i++) {
		struct df_seen_entry *e = &s->slots[i];

		if (e->repeated && (all || now - e->last_summary_ns >= DF_SEEN_SUMMARY_NS))
			give_summary(s, e, now, summary, data);
	}
}
