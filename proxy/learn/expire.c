/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's entries, what lapses, and what goes where there is no room. */
#include <errno.h>
#include <string.h>

#include "lib/base/util.h"
#include "proxy/learn/store.h"

/*
 * An entry is written with this much, or half of keep-learned, to spare, so that the next
 * answer that says the same costs no system call.
 */
#define SPARE_MIN_NS 5000000000ull
#define SWEEP_ADDRS 128       /* a sweep's share: all of a full table in two minutes */
#define FULL_NS 1000000000ull /* a walk that found no room is not repeated sooner */
#define ROOM_WINDOW 64        /* addresses; the oldest of them that can go does */

static bool has(const struct df_learn_addr *a, uint16_t mask)
{
	return df_learn_has_any(a->bits, mask);
}

/* --- the kernel's entry --------------------------------------------------------- */

/* What the programs made of `until`.  It only ever rises while an entry is in use. */
static void read_until(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value;

	if (a->is_entered && l->map->get(a->addr, &value) == 0)
		a->until_ns = df_learn_later(a->until_ns, value.until);
}

/* For events, where nothing blocks: one of the names that allow rules have. */
static uint16_t allowed_name(const struct df_learn *l, const struct df_learn_addr *a)
{
	for (uint16_t i = has(a, DF_LEARN_ALLOWED) ? a->first_pair : 0; i;
	     i = df_learn_pair_at(l, i)->addr_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, i);

		if (df_learn_has_any(p->bits, DF_LEARN_ALLOWED))
			return p->name;
	}
	return 0;
}

/* The slot of a name for an entry: the monitor knows it first. */
static uint32_t told_slot(struct df_learn *l, uint16_t name)
{
	struct df_learn_name *n = df_learn_name_at(l, name);
	const uint32_t slot = df_learn_slot_of(l, name);

	if (!n->is_told)
		n->is_told = l->map->name(slot, &n->name) == 0;
	return slot;
}

static int write_entry(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value = {.until = a->until_ns};
	uint16_t name = a->blocker ? df_learn_pair_at(l, a->blocker)->name : allowed_name(l, a);
	int r;

	if (a->blocker)
		value.rule = df_learn_pair_at(l, a->blocker)->rule;
	if (name)
		value.slot = told_slot(l, name);
	memcpy(value.bits, a->bits, sizeof(value.bits));
	a->is_entered = true;
	r = l->map->put(a->addr, &value);
	if (r == 0)
		a->is_dirty = false;
	return r;
}

int df_learn_sync(struct df_learn *l, struct df_learn_addr *a, uint64_t until_ns)
{
	const uint64_t before = a->until_ns;
	int r;

	if (a->is_shrunk)
		df_learn_unite(l, a);
	if (!a->is_dirty && until_ns <= a->until_ns)
		return 0;
	read_until(l, a);
	if (until_ns > a->until_ns)
		a->until_ns = until_ns + df_learn_later(l->keep_ns / 2, SPARE_MIN_NS);
	r = write_entry(l, a);
	if (r < 0)
		a->until_ns = before;
	return r;
}

/* --- what goes -------------------------------------------------------------------- */

void df_learn_forget(struct df_learn *l, uint16_t i)
{
	if (df_learn_addr_at(l, i)->is_entered)
		(void)l->map->remove(df_learn_addr_at(l, i)->addr);
	df_learn_drop_addr(l, i);
}

/* As df_learn_forget, for one that still has pairs. */
static void evict(struct df_learn *l, uint16_t i)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	(void)l->map->remove(a->addr);
	while (a->first_pair)
		df_learn_drop_pair(l, a->first_pair);
	df_learn_drop_addr(l, i);
}

void df_learn_weaken(struct df_learn *l, uint16_t i, uint16_t mask)
{
	const struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_state state = {.is_pinned = p->is_pinned, .rule = p->rule};

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		state.bits[k] = p->bits[k] & (uint16_t)~mask;
	if (df_learn_has_any(state.bits, DF_LEARN_BLOCKED | DF_LEARN_PERMITS))
		df_learn_set(l, i, &state);
	else
		df_learn_drop_pair(l, i);
}

/*
 * Drops what has lapsed of an address; true where nothing is left of it.  The kernel no
 * longer honours a lapsed permission, so nothing is taken from anybody.
 */
static bool expire(struct df_learn *l, uint16_t i, uint64_t now_ns)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);
	uint16_t next;
	bool is_over = has(a, DF_LEARN_PERMITS) && a->until_ns <= now_ns;

	if (is_over) {
		read_until(l, a);
		is_over = a->until_ns <= now_ns;
	}
	for (uint16_t k = a->first_pair; k; k = next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, k);
		uint16_t mask = is_over ? DF_LEARN_PERMITS : 0;

		next = p->addr_next;
		if (now_ns >= p->seen_ns + DF_LEARN_STICKY_NS)
			mask |= DF_LEARN_BLOCKED;
		if (mask && df_learn_has_any(p->bits, mask))
			df_learn_weaken(l, k, mask);
	}
	if (!a->first_pair) {
		df_learn_forget(l, i);
		return true;
	}
	(void)df_learn_sync(l, a, 0); /* on failure it stays dirty, and so is tried again */
	return false;
}

/* Whether to forget the address changes nothing: raw-ip would let it pass as well. */
static bool is_needless(const struct df_learn *l, const struct df_learn_addr *a)
{
	const uint16_t needed = (uint16_t)((DF_TABLES_ALL & ~l->raw_passes) << DF_LEARNED_DEFAULT);

	return !has(a, DF_LEARN_ALLOWED | DF_LEARN_BLOCKED | needed);
}

/* The same where its permissions are over, without a look at each pair where not. */
bool df_learn_expire_permits(struct df_learn *l, uint16_t i, uint64_t now_ns)
{
	const struct df_learn_addr *a = df_learn_addr_at(l, i);

	return has(a, DF_LEARN_PERMITS) && a->until_ns <= now_ns && expire(l, i, now_ns);
}

/* Of an address that stays: names whose own time is over, and which others stand for. */
static void trim(struct df_learn *l, struct df_learn_addr *a, uint64_t now_ns)
{
	uint16_t bits[DF_PORT_CLASSES] = {}, next;

	for (uint16_t k = a->first_pair; k; k = df_learn_pair_at(l, k)->addr_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, k);

		for (unsigned i = 0; p->end_ns > now_ns && i < DF_PORT_CLASSES; i++)
			bits[i] |= p->bits[i];
	}
	for (uint16_t k = a->first_pair; k; k = next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, k);
		bool is_needed = p->end_ns > now_ns;

		next = p->addr_next;
		for (unsigned i = 0; i < DF_PORT_CLASSES; i++)
			is_needed |= (p->bits[i] & ~bits[i]) != 0;
		if (!is_needed)
			df_learn_drop_pair(l, k);
	}
	(void)df_learn_sync(l, a, 0);
}

bool df_learn_has_room(const struct df_learn *l, unsigned reserve)
{
	const struct df_learn_pool *const pools[] = {&l->names, &l->addrs, &l->pairs};

	for (unsigned i = 0; i < ARRAY_SIZE(pools); i++) {
		const uint32_t kept = reserve ? pools[i]->max / reserve : 0;

		if (pools[i]->n_used + kept >= pools[i]->max - 1) /* index 0 is none */
			return false;
	}
	return true;
}

int df_learn_make_room(struct df_learn *l, unsigned reserve, uint64_t now_ns)
{
	const uint32_t n = *l->addrs.n_ever;
	uint16_t oldest = 0;

	if (now_ns < l->full_until_ns)
		return -ENOSPC;
	for (uint32_t seen = 1; seen < n; seen++) {
		struct df_learn_addr *a;

		l->room_at = l->room_at + 1 < n ? l->room_at + 1 : 1;
		a = df_learn_addr_at(l, l->room_at);
		if (a->slot.is_used && !expire(l, (uint16_t)l->room_at, now_ns)) {
			trim(l, a, now_ns);
			if (is_needless(l, a) &&
			    (!oldest || a->seen_ns < df_learn_addr_at(l, oldest)->seen_ns))
				oldest = (uint16_t)l->room_at;
		}
		if (!df_learn_has_room(l, reserve) && oldest &&
		    (seen % ROOM_WINDOW == 0 || seen == n - 1)) {
			evict(l, oldest);
			oldest = 0;
		}
		if (df_learn_has_room(l, reserve))
			return 0;
	}
	l->full_until_ns = now_ns + FULL_NS;
	return -ENOSPC;
}

void df_learn_sweep(struct df_learn *l, uint64_t now_ns)
{
	const uint32_t n = *l->addrs.n_ever;

	for (uint32_t i = 1; i < n && i <= SWEEP_ADDRS; i++) {
		l->sweep_at = l->sweep_at + 1 < n ? l->sweep_at + 1 : 1;
		if (df_learn_addr_at(l, l->sweep_at)->slot.is_used)
			(void)expire(l, (uint16_t)l->sweep_at, now_ns);
	}
}
