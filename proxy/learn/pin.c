/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which name is to be pinned when, and what is told of those that cannot be. */
#include "proxy/learn/pin.h"

#include <stddef.h>

#include "lib/base/hash.h"
#include "proxy/learn/learn.h"
#include "proxy/worker/query.h"
#include "proxy/worker/report.h"
#include "proxy/worker/state.h"

#define NS_PER_S 1000000000ull
#define BACKOFF_MIN_NS (NS_PER_S / 4)
#define BACKOFF_MAX_NS (60 * NS_PER_S)
#define BACKOFF_STEPS 8 /* from the least to the most */
#define AGAIN_MIN_S 60u /* whatever the TTL says */
#define AGAIN_MAX_S 3600u
#define START_NS (NS_PER_S / 50)
/* With --uidmap the network comes after us: no event for the first of these failures. */
#define QUIET_FAILURES 3
/* Failures of asked names, which a payload can make at will, that are told one by one. */
#define TOLD_ASKED_MAX 64
#define TELL_NS (10 * NS_PER_S)

/* --- not again so soon ------------------------------------------------------------- */

static uint64_t hash_of(const struct df_worker *w, const struct df_dname *name)
{
	return df_hash_bytes(w->history.seed, name->wire, name->len);
}

static bool is_recent(const struct df_worker *w, const struct df_dname *name)
{
	const uint64_t h = hash_of(w, name);
	const unsigned at = df_hash_fold(h) % DF_PIN_RECENT;

	return w->pin->recent[at].hash == h && w->now_ns < w->pin->recent[at].until_ns;
}

static void remember(struct df_worker *w, const struct df_dname *name, uint64_t until_ns)
{
	const uint64_t h = hash_of(w, name);
	const unsigned at = df_hash_fold(h) % DF_PIN_RECENT;

	w->pin->recent[at].hash = h;
	w->pin->recent[at].until_ns = until_ns;
}

/* --- what is told ------------------------------------------------------------------ */

/* Many different names of a blocked zone may fail; the log has room for other things, too. */
static bool is_told_later(struct df_worker *w, const struct df_pin_slot *s)
{
	struct df_pin *p = w->pin;

	if (s && s->is_listed)
		return false;
	if (p->n_told_asked < TOLD_ASKED_MAX) {
		p->n_told_asked++;
		return false;
	}
	if (w->now_ns >= p->next_tell_ns)
		return false;
	p->n_untold_asked++;
	return true;
}

/* s NULL: no slot has it. */
static void tell(struct df_worker *w, const struct df_pin_slot *s, const struct df_dname *name,
		 struct df_msg_note m)
{
	struct df_pin *p = w->pin;

	if (is_told_later(w, s))
		return;
	if (!s || !s->is_listed) {
		m.n_others = p->n_untold_asked;
		p->n_untold_asked = 0;
		p->next_tell_ns = w->now_ns + TELL_NS;
	}
	m.type = DF_MSG_NOTE;
	m.name = *name;
	df_report_send_note(w, &m);
}

static void tell_cause(struct df_worker *w, struct df_pin_slot *s, enum df_pin_cause cause,
		       uint32_t count)
{
	const uint16_t bit = (uint16_t)(1u << cause);

	if (s->state->told & bit)
		return;
	s->state->told |= bit;
	tell(w, s, &s->name,
	     (struct df_msg_note){.what = DF_NOTE_PIN_FAILED,
				  .why = cause,
				  .count = count,
				  .qtype = s->is_aaaa ? DF_DNS_TYPE_AAAA : DF_DNS_TYPE_A});
}

void df_pin_failed(struct df_worker *w, struct df_pin_slot *s, enum df_pin_cause cause)
{
	s->is_failed = true;
	w->pin->n_failures++;
	if (cause != DF_PIN_UNREACHABLE || s->state->n_failures >= QUIET_FAILURES)
		tell_cause(w, s, cause, 1);
}

/* Tells the outcome for a name: too many addresses, no room for them, or success. */
static void tell_outcome(struct df_worker *w, struct df_pin_slot *s)
{
	const uint32_t n = s->n_addrs[0] + s->n_addrs[1];
	const bool is_many = n > DF_LEARN_STICKY_MAX;

	if (is_many)
		tell_cause(w, s, DF_PIN_MANY, n);
	if (s->is_unlearned)
		df_pin_failed(w, s, DF_PIN_FULL);
	if (s->is_failed || is_many || s->state->told == 0) {
		if (!s->is_failed) /* what else there was is over, and would be told again */
			s->state->told &= 1u << DF_PIN_MANY;
		return;
	}
	s->state->told = 0;
	tell(w, s, &s->name,
	     (struct df_msg_note){.what = DF_NOTE_PIN_RECOVERED, .count = n > 0 ? n : 1});
}

/* --- when -------------------------------------------------------------------------- */

static uint64_t jitter(struct df_worker *w, uint64_t ns)
{
	return ns + ns / 8 * (df_query_random16(w) & 0xff) / 0x100;
}

static uint64_t again_ns(struct df_worker *w, const struct df_pin_slot *s)
{
	const unsigned n_failures = s->state->n_failures;
	uint32_t ttl_s = s->ttl_s < AGAIN_MAX_S ? s->ttl_s : AGAIN_MAX_S;
	uint64_t ns;

	if (n_failures == 0)
		return w->now_ns +
		       jitter(w, (ttl_s > AGAIN_MIN_S ? ttl_s : AGAIN_MIN_S) * NS_PER_S);
	ns = BACKOFF_MIN_NS << (n_failures < BACKOFF_STEPS ? n_failures - 1 : BACKOFF_STEPS);
	return w->now_ns + jitter(w, ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS);
}

static struct df_pin_asked *asked_of(const struct df_pin_slot *s)
{
	return (struct df_pin_asked *)((char *)s->state - offsetof(struct df_pin_asked, state));
}

void df_pin_finished(struct df_worker *w, struct df_pin_slot *s)
{
	struct df_pin_state *state = s->state;

	tell_outcome(w, s);
	if (!s->is_failed)
		state->n_failures = 0;
	else if (state->n_failures < UINT8_MAX)
		state->n_failures++;
	state->next_ns = again_ns(w, s);
	state->is_busy = s->is_busy = false;
	remember(w, &s->name, state->next_ns);
	/* one that was pinned is so again when it is asked for again */
	if (!s->is_listed && !s->is_failed)
		asked_of(s)->is_used = false;
}

/* false: all slots are busy. */
static bool start(struct df_worker *w, const struct df_dname *name, struct df_pin_state *state,
		  bool is_listed)
{
	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		struct df_pin_slot *s = &w->pin->slots[i];

		if (s->is_busy)
			continue;
		*s = (struct df_pin_slot){.worker = w,
					  .fd = -1,
					  .is_busy = true,
					  .is_listed = is_listed,
					  .state = state,
					  .has_edns = true,
					  .ttl_s = UINT32_MAX,
					  .name = *name};
		state->is_busy = true;
		remember(w, name, w->now_ns + AGAIN_MIN_S * NS_PER_S);
		df_pin_ask(w, s);
		return true;
	}
	return false;
}

void df_pin_init(struct df_worker *w)
{
	struct df_pin *p = w->pin;

	for (unsigned t = 0; t < DF_TABLES; t++) {
		const struct df_policy *policy = &w->tables.tables[t];

		if (!df_tables_has(&w->tables, t) ||
		    df_policy_pin_blocked(policy) != DF_POLICY_PIN_YES)
			continue;
		for (uint32_t i = 0; i < df_policy_n_pin_names(policy); i++)
			p->names[p->n_names++] =
				(struct df_pin_name){.table = (uint8_t)t, .index = (uint8_t)i};
	}
	p->next_ns = p->n_names > 0 ? 0 : UINT64_MAX;
}

void df_pin_again(struct df_worker *w)
{
	for (unsigned i = 0; i < w->pin->n_names; i++)
		if (w->pin->names[i].state.n_failures > 0)
			w->pin->names[i].state.next_ns = 0;
	if (w->pin->n_names > 0)
		w->pin->next_ns = 0;
}

/* A free place, or that of the name that failed most often and waits; NULL: none. */
static struct df_pin_asked *find_place(struct df_pin *p)
{
	struct df_pin_asked *worst = NULL;

	for (unsigned i = 0; i < DF_PIN_ASKED; i++) {
		struct df_pin_asked *a = &p->asked[i];

		if (!a->is_used)
			return a;
		if (!a->state.is_busy && a->state.n_failures > 0 &&
		    (!worst || a->state.n_failures > worst->state.n_failures))
			worst = a;
	}
	return worst;
}

static bool is_asked(const struct df_pin *p, const struct df_dname *name)
{
	for (unsigned i = 0; i < DF_PIN_ASKED; i++)
		if (p->asked[i].is_used && df_dname_is_equal(&p->asked[i].name, name))
			return true;
	return false;
}

void df_pin_refused(struct df_worker *w, enum df_table table, const struct df_dname *name)
{
	const struct df_policy *policy = &w->tables.tables[table];
	struct df_pin *p = w->pin;
	struct df_pin_asked *place;

	if (w->trust.n == 0 || df_policy_pin_blocked(policy) == DF_POLICY_PIN_NO ||
	    df_policy_raw_ip(policy) == DF_POLICY_RAW_BLOCK || is_recent(w, name) ||
	    is_asked(p, name))
		return;
	place = find_place(p);
	if (!place) { /* its next query finds room, maybe */
		p->n_failures++;
		tell(w, NULL, name,
		     (struct df_msg_note){
			     .what = DF_NOTE_PIN_FAILED, .why = DF_PIN_QUEUE_FULL, .count = 1});
		return;
	}
	*place = (struct df_pin_asked){.is_used = true, .name = *name};
	remember(w, name, w->now_ns + AGAIN_MIN_S * NS_PER_S);
	p->next_ns = 0;
}

static void start_listed(struct df_worker *w)
{
	for (unsigned i = 0; i < w->pin->n_names; i++) {
		struct df_pin_name *n = &w->pin->names[i];
		struct df_dname name;

		if (n->state.is_busy || w->now_ns < n->state.next_ns)
			continue;
		if (df_policy_pin_name_at(&w->tables.tables[n->table], n->index, &name) < 0)
			n->state.is_busy = true; /* for ever */
		else if (!start(w, &name, &n->state, true))
			return; /* when a slot is free again */
	}
}

/* One at a time: a payload must not make us flood a resolver. */
static void start_asked(struct df_worker *w)
{
	struct df_pin *p = w->pin;
	struct df_pin_asked *first = NULL;

	for (unsigned i = 0; w->now_ns >= p->asked_ns && i < DF_PIN_ASKED; i++) {
		struct df_pin_asked *a = &p->asked[i];

		if (a->is_used && !a->state.is_busy && w->now_ns >= a->state.next_ns &&
		    (!first || a->state.next_ns < first->state.next_ns))
			first = a;
	}
	if (first && start(w, &first->name, &first->state, false))
		p->asked_ns = w->now_ns + START_NS;
}

static void sooner(uint64_t *ns, uint64_t other_ns)
{
	if (other_ns < *ns)
		*ns = other_ns;
}

static uint64_t next_due(const struct df_pin *p)
{
	uint64_t ns = UINT64_MAX;
	bool is_any_free = false;

	for (unsigned i = 0; i < DF_PIN_SLOTS; i++) {
		is_any_free |= !p->slots[i].is_busy;
		if (p->slots[i].is_busy)
			sooner(&ns, p->slots[i].deadline_ns);
	}
	for (unsigned i = 0; is_any_free && i < p->n_names; i++)
		if (!p->names[i].state.is_busy)
			sooner(&ns, p->names[i].state.next_ns);
	for (unsigned i = 0; is_any_free && i < DF_PIN_ASKED; i++)
		if (p->asked[i].is_used && !p->asked[i].state.is_busy)
			sooner(&ns, p->asked[i].state.next_ns > p->asked_ns
					    ? p->asked[i].state.next_ns
					    : p->asked_ns);
	return ns;
}

int df_pin_run(struct df_worker *w)
{
	struct df_pin *p = w->pin;

	if (w->trust.n == 0)
		return -1;
	if (w->now_ns >= p->next_ns) {
		for (unsigned i = 0; i < DF_PIN_SLOTS; i++)
			if (p->slots[i].is_busy && w->now_ns >= p->slots[i].deadline_ns)
				df_pin_ask_late(w, &p->slots[i]);
		start_listed(w);
		start_asked(w);
		p->next_ns = next_due(p);
	}
	if (p->next_ns == UINT64_MAX)
		return -1;
	if (p->next_ns <= w->now_ns)
		return 0;
	return (int)((p->next_ns - w->now_ns) / 1000000) + 1; /* AGAIN_MAX_S and some, at most */
}
