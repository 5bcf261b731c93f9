/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a pair (address, name), with the functions that decide it:
 *
 *   learned    df_learn_put: an answer gives the pair its bits, or others, and the kernel's entry
 *              of the address follows.  Permissions end TTL + keep-learned after the answer.
 *   used       Each use moves the end of an entry's permissions to now + keep-learned
 *              (names_say in bpf/address.bpf.h).  read_until has the end from the kernel.
 *   lapsed     Permissions at that end, and the kernel ignores them from then on; a refusal
 *              DF_LEARN_STICKY_NS after the last answer that had it.  expire takes the bits off:
 *              when the address is asked for or learned again, in df_learn_sweep, and when room
 *              is wanted.
 *   displaced  A refusal by DF_LEARN_STICKY_MAX younger ones of its name (unstick_oldest); with a
 *              full table pairs that others stand for (trim), and addresses that raw-ip would let
 *              pass as well (is_needless).  Nothing else makes room.
 *   forgotten  A pair without bits is dropped, and an address without pairs: the kernel's entry
 *              first (forget).
 */
#include "proxy/learn/learn.h"

#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

#define ANY_BITS (DF_LEARN_BLOCKED | DF_LEARN_PERMITS)
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

static bool is_sticky(const struct df_learn_pair *p)
{
	return df_learn_has_any(p->bits, DF_LEARN_BLOCKED);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- the kernel's entry of an address ------------------------------------------------ */

/* The end of its permissions, which only rises while the programs use the entry. */
static void read_until(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value;

	if (a->is_entered && l->map->get(a->addr, &value) == 0)
		a->until_ns = later(a->until_ns, value.until);
}

static int write_entry(struct df_learn *l, struct df_learn_addr *a)
{
	struct df_learned value = {.until = a->until_ns};
	uint16_t i = a->blocker;
	bool is_told = true;
	int r;

	if (i)
		value.rule = df_learn_pair_at(l, i)->rule;
	else if (has(a, DF_LEARN_ALLOWED)) /* for events: one of the names that allow rules have */
		i = a->first_pair;
	while (i && i != a->blocker &&
	       !df_learn_has_any(df_learn_pair_at(l, i)->bits, DF_LEARN_ALLOWED))
		i = df_learn_pair_at(l, i)->addr_next;
	if (i) {
		const uint16_t name = df_learn_pair_at(l, i)->name;
		struct df_learn_name *n = df_learn_name_at(l, name);

		value.slot = (uint32_t)n->generation << DF_LEARN_SLOT_SHIFT | name;
		if (!n->is_told) /* the monitor knows the name before the entry has it */
			n->is_told = l->map->name(value.slot, &n->name) == 0;
		is_told = n->is_told;
	}
	memcpy(value.bits, a->bits, sizeof(value.bits));
	a->is_entered = true;
	r = l->map->put(a->addr, &value);
	if (r == 0)
		a->is_dirty =
			!is_told; /* else the next sweep writes it, and tells the name, again */
	return r;
}

/*
 * Brings the kernel's entry up to the address's pairs, with permissions at least until then (0: as
 * long as it had).  Costs nothing where it is so already.  0 or -errno of the map.
 */
static int update(struct df_learn *l, struct df_learn_addr *a, uint64_t until_ns)
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

/* The address has no pair any more; the kernel forgets it first. */
static void forget(struct df_learn *l, uint16_t i)
{
	if (df_learn_addr_at(l, i)->is_entered)
		(void)l->map->remove(df_learn_addr_at(l, i)->addr);
	df_learn_drop_addr(l, i);
}

/* Its pairs have changed: the kernel follows, and an address without any goes. */
static int settle(struct df_learn *l, uint16_t i, uint64_t until_ns)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	if (a->first_pair)
		return update(l, a, until_ns);
	forget(l, i);
	return 0;
}

/* Takes bits off a pair; one without any is dropped. */
static void weaken(struct df_learn *l, uint16_t i, uint16_t mask)
{
	const struct df_learn_pair *p = df_learn_pair_at(l, i);
	uint16_t bits[DF_PORT_CLASSES];

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		bits[k] = p->bits[k] & (uint16_t)~mask;
	if (df_learn_has_any(bits, ANY_BITS))
		df_learn_set(l, i, bits, p->rule, p->is_pinned);
	else
		df_learn_drop_pair(l, i);
}

/* --- lapsed ---------------------------------------------------------------------------- */

/*
 * Drops the lapsed bits of an address; true where nothing is left of it.  The kernel no
 * longer honours a lapsed permission, so nobody loses one.
 */
static bool expire(struct df_learn *l, uint16_t i, uint64_t now_ns)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);
	bool is_over = has(a, DF_LEARN_PERMITS) && a->until_ns <= now_ns;
	uint16_t next;

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
	(void)settle(l, i, 0); /* on failure it stays dirty, and so is tried again */
	return !a->slot.is_used;
}

/* An address that is about to be used; 0: it is not known, or nothing is left of it. */
static uint16_t find_live(struct df_learn *l, const uint8_t addr[static 16], uint64_t now_ns)
{
	const uint16_t i = df_learn_find_addr(l, addr);
	const struct df_learn_addr *a = df_learn_addr_at(l, i);

	/* no look at each pair while the permissions last */
	if (i && has(a, DF_LEARN_PERMITS) && a->until_ns <= now_ns && expire(l, i, now_ns))
		return 0;
	return i;
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

/* --- displaced ------------------------------------------------------------------------- */

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
	(void)update(l, a, 0);
}

/* To forget the address changes nothing: raw-ip would let it pass as well. */
static bool is_needless(const struct df_learn *l, const struct df_learn_addr *a)
{
	const uint16_t needed = (uint16_t)((DF_TABLES_ALL & ~l->raw_passes) << DF_LEARNED_DEFAULT);

	return !has(a, DF_LEARN_ALLOWED | DF_LEARN_BLOCKED | needed);
}

/* For one more of each, and 1/reserve of all is still free then; 0: none need be. */
static bool has_room(const struct df_learn *l, unsigned reserve)
{
	const struct df_learn_pool *const pools[] = {&l->names, &l->addrs, &l->pairs};

	for (unsigned i = 0; i < ARRAY_SIZE(pools); i++) {
		const uint32_t kept = reserve ? pools[i]->max / reserve : 0;

		if (pools[i]->n_used + kept >= pools[i]->max - 1) /* index 0 is none */
			return false;
	}
	return true;
}

/*
 * Makes room for one more address, name and pair: lapsed pairs go, then needless addresses, of
 * some that stand together the oldest.  -ENOSPC: there is none to be had.
 */
static int make_room(struct df_learn *l, unsigned reserve, uint64_t now_ns)
{
	const uint32_t n = *l->addrs.n_ever;
	uint16_t oldest = 0;

	if (has_room(l, reserve))
		return 0;
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
		if (!has_room(l, reserve) && oldest && (seen % ROOM_WINDOW == 0 || seen == n - 1)) {
			while (df_learn_addr_at(l, oldest)->first_pair)
				df_learn_drop_pair(l, df_learn_addr_at(l, oldest)->first_pair);
			forget(l, oldest);
			oldest = 0;
		}
		if (has_room(l, reserve))
			return 0;
	}
	l->full_until_ns = now_ns + FULL_NS;
	return -ENOSPC;
}

/* One refused address of the name less: the one that no answer has named for longest. */
static void unstick_oldest(struct df_learn *l, uint16_t name)
{
	uint16_t oldest = 0, addr;

	for (uint16_t i = df_learn_name_at(l, name)->first_pair; i;
	     i = df_learn_pair_at(l, i)->name_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, i);

		if (is_sticky(p) && (!oldest || p->seen_ns < df_learn_pair_at(l, oldest)->seen_ns))
			oldest = i;
	}
	if (!oldest)
		return;
	l->n_unstuck++;
	addr = df_learn_pair_at(l, oldest)->addr;
	weaken(l, oldest, DF_LEARN_BLOCKED);
	(void)settle(l, addr, 0);
}

/* --- learned --------------------------------------------------------------------------- */

static uint16_t find_pair(const struct df_learn *l, const uint8_t *addr,
			  const struct df_dname *name)
{
	const uint16_t a = df_learn_find_addr(l, addr), n = a ? df_learn_find_name(l, name) : 0;

	return n ? df_learn_find_pair(l, a, n) : 0;
}

/* The pair of address and name, made if need be.  0: no room. */
static uint16_t take_pair(struct df_learn *l, const uint8_t *addr, const struct df_lesson *lesson,
			  uint64_t now_ns)
{
	const bool is_sticky = df_learn_has_any(lesson->bits, DF_LEARN_BLOCKED);
	unsigned reserve = lesson->is_pinned ? 0 : DF_LEARN_RESERVE_UNPINNED;
	uint16_t a, n, pair;

	if (!is_sticky)
		reserve = DF_LEARN_RESERVE_PERMITS;
	/* permissions that lapsed must not come to life again with this name's */
	(void)find_live(l, addr, now_ns);
	pair = find_pair(l, addr, lesson->name);
	if (pair)
		return pair;
	if (make_room(l, reserve, now_ns) < 0)
		return 0;
	a = df_learn_find_addr(l, addr);
	n = df_learn_find_name(l, lesson->name);
	if (!a)
		a = df_learn_add_addr(l, addr);
	if (!n)
		n = df_learn_add_name(l, lesson->name);
	return df_learn_add_pair(l, a, n);
}

/* Refusals have limits of their own.  -ENOSPC: the pair must not become sticky. */
static int make_sticky_room(struct df_learn *l, const struct df_learn_pair *p, bool is_pinned)
{
	if (is_sticky(p))
		return 0;
	if (!is_pinned && l->n_unpinned >= DF_LEARN_UNPINNED_MAX)
		return -ENOSPC;
	if (df_learn_name_at(l, p->name)->n_sticky >= DF_LEARN_STICKY_MAX)
		unstick_oldest(l, p->name);
	return 0;
}

int df_learn_put(struct df_learn *l, const uint8_t addr[static 16], const struct df_lesson *lesson,
		 uint64_t now_ns)
{
	uint8_t canonical[16];
	uint16_t a, pair, bits[DF_PORT_CLASSES];
	uint64_t until_ns = 0;
	struct df_learn_pair *p;
	int r = 0, result;
	bool is_pinned;

	df_addr_canonical(addr, canonical);
	if (!df_learn_has_any(lesson->bits, ANY_BITS) && !find_pair(l, canonical, lesson->name))
		return 0;
	pair = take_pair(l, canonical, lesson, now_ns);
	if (!pair)
		return -ENOSPC;
	p = df_learn_pair_at(l, pair);
	a = p->addr;
	is_pinned = p->is_pinned || lesson->is_pinned;
	if (df_learn_has_any(lesson->bits, DF_LEARN_BLOCKED))
		r = make_sticky_room(l, p, is_pinned);
	for (unsigned k = 0; k < DF_PORT_CLASSES; k++) {
		const uint16_t permits = lesson->is_refusal ? p->bits[k] : lesson->bits[k];
		const uint16_t refusals = r < 0 ? 0 : lesson->bits[k];

		bits[k] = (permits & DF_LEARN_PERMITS) | (refusals & DF_LEARN_BLOCKED);
	}
	if (!lesson->is_refusal && df_learn_has_any(bits, DF_LEARN_PERMITS))
		until_ns = now_ns + lesson->ttl_ns + l->keep_ns;
	p->seen_ns = df_learn_addr_at(l, a)->seen_ns = now_ns;
	p->end_ns = later(p->end_ns, until_ns);
	df_learn_set(l, pair, bits, lesson->rule, is_pinned);
	if (!df_learn_has_any(bits, ANY_BITS))
		df_learn_drop_pair(l, pair);
	result = settle(l, a, until_ns);
	return result < 0 ? result : r;
}

/* --- questions ------------------------------------------------------------------------- */

bool df_learn_has(const struct df_learn *l, const uint8_t addr[static 16],
		  const struct df_dname *name)
{
	uint8_t canonical[16];
	uint16_t pair;

	df_addr_canonical(addr, canonical);
	pair = find_pair(l, canonical, name);
	return pair && df_learn_has_any(df_learn_pair_at(l, pair)->bits, DF_LEARN_PERMITS);
}

static uint16_t bits_of(struct df_learn *l, const uint8_t addr[static 16], unsigned cls,
			uint64_t now_ns)
{
	const uint16_t a = find_live(l, addr, now_ns);

	return a ? df_learn_addr_at(l, a)->bits[cls] : 0;
}

/* As look_up_all of bpf/address.bpf.h has it. */
uint16_t df_learn_bits(struct df_learn *l, const uint8_t addr[static 16], unsigned cls,
		       uint64_t now_ns)
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host;
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);
	uint16_t bits;

	if (is_same_host)
		return bits_of(l, embedded[0], cls, now_ns);
	bits = bits_of(l, addr, cls, now_ns);
	for (unsigned i = 0; i < n; i++)
		bits |= df_learn_refusals(bits_of(l, embedded[i], cls, now_ns));
	return bits;
}

int df_learn_blocker(int (*get)(const uint8_t addr[static 16], struct df_learned *ret),
		     const uint8_t addr[static 16], struct df_learned *ret)
{
	uint8_t all[1 + DF_EMBEDDED_MAX][16];
	bool is_same_host;
	const unsigned n = 1 + df_addr_embedded(addr, all + 1, &is_same_host);
	struct df_learned found;

	memcpy(all[0], addr, sizeof(all[0]));
	for (unsigned i = 0; i < n; i++) {
		if (get(all[i], &found) < 0 || !df_learn_has_any(found.bits, DF_LEARN_BLOCKED))
			continue;
		*ret = found;
		return 0;
	}
	return -ENOENT;
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
			forget(l, (uint16_t)i); /* its worker died in between */
}
