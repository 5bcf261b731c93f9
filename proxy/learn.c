/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn.h"

#include <errno.h>
#include <string.h>

#include "lib/util.h"
#include "proxy/addr.h"
#include "proxy/learn_store.h"

/*
 * An entry is written with this much, or half of keep-learned, to spare, so that the next
 * answer that says the same costs no system call.
 */
#define SPARE_MIN_NS 5000000000ull
#define SWEEP_ADDRS 128       /* a sweep's share: all of a full table in two minutes */
#define FULL_NS 1000000000ull /* a walk that found no room is not repeated sooner */
#define ROOM_WINDOW 64        /* addresses; the oldest of them that can go does */
#define SLOT_SHIFT 16

static bool has(const struct df_learn_addr *a, uint16_t mask)
{
	return df_learn_has_any(a->bits, mask);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* df_learned.slot: the monitor can tell whether it is still the same name. */
static uint32_t slot_of(const struct df_learn *l, uint16_t name)
{
	return (uint32_t)df_learn_name_at(l, name)->generation << SLOT_SHIFT | name;
}

/* --- the kernel's entry --------------------------------------------------------- */

/* What the programs made of `until`.  It only ever rises while an entry is in use. */
static void read_until(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value;

	if (l->map->get(a->addr, &value) == 0)
		a->until_ns = later(a->until_ns, value.until);
}

static int write_entry(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value = {.until = a->until_ns};
	int r;

	if (a->blocker) {
		const struct df_learn_pair *p = df_learn_pair_at(l, a->blocker);

		value.slot = slot_of(l, p->name);
		value.rule = p->rule;
	}
	memcpy(value.bits, a->bits, sizeof(value.bits));
	r = l->map->put(a->addr, &value);
	if (r == 0)
		a->is_dirty = false;
	return r;
}

/*
 * The kernel knows what a's pairs say, and permits it at least until then (0: as long as
 * it did).  Costs nothing where that is so already.
 */
static int sync_until(struct df_learn *l, struct df_learn_addr *a, uint64_t until_ns)
{
	const uint64_t before = a->until_ns;
	int r;

	if (a->is_shrunk)
		df_learn_unite(l, a);
	if (!a->is_dirty && until_ns <= a->until_ns)
		return 0;
	read_until(l, a);
	if (until_ns > a->until_ns)
		a->until_ns = until_ns + later(l->keep_ns / 2, SPARE_MIN_NS);
	r = write_entry(l, a);
	if (r < 0)
		a->until_ns = before;
	return r;
}

/* --- what goes -------------------------------------------------------------------- */

/* The address has no pair any more; the kernel forgets it first. */
static void drop_addr(struct df_learn *l, uint16_t i)
{
	(void)l->map->remove(df_learn_addr_at(l, i)->addr);
	df_learn_drop_addr(l, i);
}

/* As drop_addr, for one that still has pairs. */
static void evict(struct df_learn *l, uint16_t i)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	(void)l->map->remove(a->addr);
	while (a->first_pair)
		df_learn_drop_pair(l, a->first_pair);
	df_learn_drop_addr(l, i);
}

/* Takes bits off a pair; one without any is dropped. */
static void weaken(struct df_learn *l, uint16_t i, uint16_t mask)
{
	const struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_state state = {
		.is_pinned = p->is_pinned, .is_twin = p->is_twin, .rule = p->rule};

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
			weaken(l, k, mask);
	}
	if (!a->first_pair) {
		drop_addr(l, i);
		return true;
	}
	(void)sync_until(l, a, 0); /* on failure it stays dirty, and so is tried again */
	return false;
}

/* Whether to forget the address changes nothing: raw-ip would let it pass as well. */
static bool is_needless(const struct df_learn *l, const struct df_learn_addr *a)
{
	const uint16_t needed = (uint16_t)((DF_TABLES_ALL & ~l->raw_passes) << DF_LEARNED_DEFAULT);

	return !has(a, DF_LEARN_ALLOWED | DF_LEARN_BLOCKED | needed);
}

/* The same where its permissions are over, without a look at each pair where not. */
static bool expire_permits(struct df_learn *l, uint16_t i, uint64_t now_ns)
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
	(void)sync_until(l, a, 0);
}

static bool has_room(const struct df_learn *l)
{
	const struct df_learn_pool *const pools[] = {&l->names, &l->addrs, &l->pairs};

	for (unsigned i = 0; i < ARRAY_SIZE(pools); i++)
		if (!pools[i]->free && *pools[i]->n_ever >= pools[i]->max)
			return false;
	return true;
}

/*
 * Room for one more address, name and pair, at the cost of what lapsed or is needless, the
 * oldest of some that stand together.  -ENOSPC: there is none to be had.
 */
static int make_room(struct df_learn *l, uint64_t now_ns)
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
		if (!has_room(l) && oldest && (seen % ROOM_WINDOW == 0 || seen == n - 1)) {
			evict(l, oldest);
			oldest = 0;
		}
		if (has_room(l))
			return 0;
	}
	l->full_until_ns = now_ns + FULL_NS;
	return -ENOSPC;
}

/* --- lessons ------------------------------------------------------------------------ */

static bool is_sticky(const struct df_learn_pair *p)
{
	return df_learn_has_any(p->bits, DF_LEARN_BLOCKED);
}

/* Its pairs have changed: the kernel follows, and an address without any goes. */
static int settle(struct df_learn *l, uint16_t addr, uint64_t until_ns)
{
	struct df_learn_addr *a = df_learn_addr_at(l, addr);

	if (a->first_pair)
		return sync_until(l, a, until_ns);
	drop_addr(l, addr);
	return 0;
}

static void unstick(struct df_learn *l, uint16_t pair)
{
	const uint16_t addr = df_learn_pair_at(l, pair)->addr;

	weaken(l, pair, DF_LEARN_BLOCKED);
	(void)settle(l, addr, 0);
}

/* The pair of the same name that was made for the address's NAT64 twin.  0: none. */
static uint16_t twin_of(const struct df_learn *l, const struct df_learn_pair *p)
{
	uint8_t twin[16];
	uint16_t addr, pair = 0;

	if (!df_addr_nat64(df_learn_addr_at(l, p->addr)->addr, twin))
		return 0;
	addr = df_learn_find_addr(l, twin);
	if (addr)
		pair = df_learn_find_pair(l, addr, p->name);
	return pair && df_learn_pair_at(l, pair)->is_twin ? pair : 0;
}

/* One refused address of the name less: the one that no answer has named for longest. */
static void unstick_oldest(struct df_learn *l, uint16_t name)
{
	uint16_t oldest = 0, twin;

	for (uint16_t i = df_learn_name_at(l, name)->first_pair; i;
	     i = df_learn_pair_at(l, i)->name_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, i);

		if (!p->is_twin && is_sticky(p) &&
		    (!oldest || p->seen_ns < df_learn_pair_at(l, oldest)->seen_ns))
			oldest = i;
	}
	if (!oldest)
		return;
	twin = twin_of(l, df_learn_pair_at(l, oldest));
	unstick(l, oldest);
	if (twin)
		unstick(l, twin);
}

/* The pair of address and name, made if need be.  0: no room. */
static uint16_t take_pair(struct df_learn *l, const uint8_t *addr, const struct df_dname *name,
			  uint64_t now_ns)
{
	uint16_t a = df_learn_find_addr(l, addr), n, pair;

	/* what lapsed must not come to life again with this name's permission */
	if (a && expire_permits(l, a, now_ns))
		a = 0;
	n = df_learn_find_name(l, name);
	pair = a && n ? df_learn_find_pair(l, a, n) : 0;
	if (pair)
		return pair;
	if (!has_room(l)) {
		if (make_room(l, now_ns) < 0)
			return 0;
		a = df_learn_find_addr(l, addr); /* they may be what had to go */
		n = df_learn_find_name(l, name);
	}
	if (!a)
		a = df_learn_add_addr(l, addr);
	if (!n)
		n = df_learn_add_name(l, name);
	return df_learn_add_pair(l, a, n);
}

/* What the pair is to be, by what it is and the lesson. */
static struct df_learn_state merge(const struct df_learn_pair *p, const struct df_lesson *lesson)
{
	struct df_learn_state state = {
		.is_pinned = p->is_pinned || lesson->is_pinned,
		.is_twin = lesson->is_twin && (p->is_twin || !is_sticky(p)),
		.rule = lesson->rule,
	};

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++) {
		state.bits[k] = lesson->bits[k];
		if (lesson->is_refusal)
			state.bits[k] = (lesson->bits[k] & DF_LEARN_BLOCKED) |
					(p->bits[k] & DF_LEARN_PERMITS);
	}
	return state;
}

/* Refusals have limits of their own.  -ENOSPC: the pair must not become sticky. */
static int make_sticky_room(struct df_learn *l, const struct df_learn_pair *p,
			    const struct df_learn_state *state)
{
	if (is_sticky(p) || !df_learn_has_any(state->bits, DF_LEARN_BLOCKED))
		return 0;
	if (!state->is_pinned && l->n_unpinned >= DF_LEARN_UNPINNED_MAX)
		return -ENOSPC;
	if (!state->is_twin && df_learn_name_at(l, p->name)->n_sticky >= DF_LEARN_STICKY_MAX)
		unstick_oldest(l, p->name);
	return 0;
}

int df_learn_put(struct df_learn *l, const uint8_t addr[static 16], const struct df_lesson *lesson,
		 uint64_t now_ns)
{
	const uint16_t pair = take_pair(l, addr, lesson->name, now_ns);
	struct df_learn_pair *p = df_learn_pair_at(l, pair);
	struct df_learn_state state;
	uint64_t until_ns = 0;
	uint16_t a = p->addr;
	int r, result;

	if (!pair)
		return -ENOSPC;
	state = merge(p, lesson);
	r = make_sticky_room(l, p, &state);
	for (unsigned k = 0; r < 0 && k < DF_PORT_CLASSES; k++)
		state.bits[k] &= DF_LEARN_PERMITS;
	if (!lesson->is_refusal && df_learn_has_any(state.bits, DF_LEARN_PERMITS))
		until_ns = now_ns + lesson->ttl_ns + l->keep_ns;
	p->seen_ns = df_learn_addr_at(l, a)->seen_ns = now_ns;
	p->end_ns = later(p->end_ns, until_ns);
	df_learn_set(l, pair, &state);
	if (!df_learn_has_any(state.bits, DF_LEARN_BLOCKED | DF_LEARN_PERMITS))
		df_learn_drop_pair(l, pair);
	result = settle(l, a, until_ns);
	return result < 0 ? result : r;
}

/* --- questions ------------------------------------------------------------------------ */

bool df_learn_has(const struct df_learn *l, const uint8_t addr[static 16],
		  const struct df_dname *name)
{
	const uint16_t a = df_learn_find_addr(l, addr), n = df_learn_find_name(l, name);
	const uint16_t pair = a && n ? df_learn_find_pair(l, a, n) : 0;

	return pair && df_learn_has_any(df_learn_pair_at(l, pair)->bits, DF_LEARN_PERMITS);
}

uint16_t df_learn_bits(struct df_learn *l, const uint8_t addr[static 16], unsigned cls,
		       uint64_t now_ns)
{
	uint16_t a = df_learn_find_addr(l, addr);

	if (a && expire_permits(l, a, now_ns))
		a = 0;
	return a ? df_learn_addr_at(l, a)->bits[cls] : 0;
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

int df_learn_name(const struct df_learn_shared *s, uint32_t slot, struct df_dname *ret)
{
	const uint32_t i = slot & ((1u << SLOT_SHIFT) - 1);
	const struct df_learn_name *n = &s->names[i < DF_LEARN_NAMES ? i : 0];
	struct df_dname name, again;
	size_t pos = 0;

	if (i == 0 || i >= DF_LEARN_NAMES || i >= __atomic_load_n(&s->n_names, __ATOMIC_ACQUIRE))
		return -ENOENT;
	name = n->name;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* the worker may be writing another name over it */
	if (!__atomic_load_n(&n->slot.is_used, __ATOMIC_ACQUIRE) ||
	    __atomic_load_n(&n->generation, __ATOMIC_RELAXED) != slot >> SLOT_SHIFT)
		return -ENOENT;
	if (name.len < 1 || df_dname_from_wire(name.wire, name.len, &pos, &again) < 0 ||
	    pos != name.len)
		return -ENOENT;
	*ret = again;
	return 0;
}

void df_learn_start(struct df_learn *l, struct df_learn_shared *s, const struct df_learn_map *map,
		    uint64_t keep_ns, uint8_t raw_passes)
{
	l->shared = s;
	l->map = map;
	l->keep_ns = keep_ns;
	l->raw_passes = raw_passes;
	df_random(&l->seed, sizeof(l->seed));
	df_learn_load(l);
	for (uint32_t i = 1; i < s->n_addrs; i++)
		if (s->addrs[i].slot.is_used && !s->addrs[i].first_pair)
			drop_addr(l, (uint16_t)i); /* its worker died in between */
}
