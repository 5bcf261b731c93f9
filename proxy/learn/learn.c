/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/learn.h"

#include <errno.h>
#include <string.h>

#include "lib/base/addr_embedded.h"
#include "lib/base/util.h"
#include "proxy/learn/store.h"

static bool is_sticky(const struct df_learn_pair *p)
{
	return df_learn_has_any(p->bits, DF_LEARN_BLOCKED);
}

/* Its pairs have changed: the kernel follows, and an address without any goes. */
static int settle(struct df_learn *l, uint16_t addr, uint64_t until_ns)
{
	struct df_learn_addr *a = df_learn_addr_at(l, addr);

	if (a->first_pair)
		return df_learn_sync(l, a, until_ns);
	df_learn_forget(l, addr);
	return 0;
}

static void unstick(struct df_learn *l, uint16_t pair)
{
	const uint16_t addr = df_learn_pair_at(l, pair)->addr;

	df_learn_weaken(l, pair, DF_LEARN_BLOCKED);
	(void)settle(l, addr, 0);
}

/* One refused address of the name less: the one that no answer has named for longest. */
static void unstick_oldest(struct df_learn *l, uint16_t name)
{
	uint16_t oldest = 0;

	for (uint16_t i = df_learn_name_at(l, name)->first_pair; i;
	     i = df_learn_pair_at(l, i)->name_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, i);

		if (is_sticky(p) && (!oldest || p->seen_ns < df_learn_pair_at(l, oldest)->seen_ns))
			oldest = i;
	}
	if (!oldest)
		return;
	l->n_unstuck++;
	unstick(l, oldest);
}

static uint16_t find_pair(const struct df_learn *l, const uint8_t *addr,
			  const struct df_dname *name)
{
	const uint16_t a = df_learn_find_addr(l, addr), n = a ? df_learn_find_name(l, name) : 0;

	return n ? df_learn_find_pair(l, a, n) : 0;
}

static unsigned reserve_of(const struct df_lesson *lesson)
{
	if (!df_learn_has_any(lesson->bits, DF_LEARN_BLOCKED))
		return DF_LEARN_RESERVE_PERMITS;
	return lesson->is_pinned ? 0 : DF_LEARN_RESERVE_UNPINNED;
}

/* The pair of address and name, made if need be.  0: no room. */
static uint16_t take_pair(struct df_learn *l, const uint8_t *addr, const struct df_lesson *lesson,
			  uint64_t now_ns)
{
	const struct df_dname *name = lesson->name;
	const unsigned reserve = reserve_of(lesson);
	uint16_t a = df_learn_find_addr(l, addr), n, pair;

	/* what lapsed must not come to life again with this name's permission */
	if (a)
		(void)df_learn_expire_permits(l, a, now_ns);
	pair = find_pair(l, addr, name);
	if (pair)
		return pair;
	if (!df_learn_has_room(l, reserve) && df_learn_make_room(l, reserve, now_ns) < 0)
		return 0;
	a = df_learn_find_addr(l, addr);
	n = df_learn_find_name(l, name);
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
	if (df_learn_name_at(l, p->name)->n_sticky >= DF_LEARN_STICKY_MAX)
		unstick_oldest(l, p->name);
	return 0;
}

int df_learn_put(struct df_learn *l, const uint8_t addr[static 16], const struct df_lesson *lesson,
		 uint64_t now_ns)
{
	const bool is_empty = !df_learn_has_any(lesson->bits, DF_LEARN_BLOCKED | DF_LEARN_PERMITS);
	struct df_learn_state state;
	struct df_learn_pair *p;
	uint64_t until_ns = 0;
	uint8_t canonical[16];
	uint16_t a, pair;
	int r, result;

	df_addr_canonical(addr, canonical);
	if (is_empty && !find_pair(l, canonical, lesson->name))
		return 0;
	pair = take_pair(l, canonical, lesson, now_ns);
	if (!pair)
		return -ENOSPC;
	p = df_learn_pair_at(l, pair);
	a = p->addr;
	state = merge(p, lesson);
	r = make_sticky_room(l, p, &state);
	for (unsigned k = 0; r < 0 && k < DF_PORT_CLASSES; k++)
		state.bits[k] &= DF_LEARN_PERMITS;
	if (!lesson->is_refusal && df_learn_has_any(state.bits, DF_LEARN_PERMITS))
		until_ns = now_ns + lesson->ttl_ns + l->keep_ns;
	p->seen_ns = df_learn_addr_at(l, a)->seen_ns = now_ns;
	p->end_ns = df_learn_later(p->end_ns, until_ns);
	df_learn_set(l, pair, &state);
	if (!df_learn_has_any(state.bits, DF_LEARN_BLOCKED | DF_LEARN_PERMITS))
		df_learn_drop_pair(l, pair);
	result = settle(l, a, until_ns);
	return result < 0 ? result : r;
}

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
	uint16_t a = df_learn_find_addr(l, addr);

	if (a && df_learn_expire_permits(l, a, now_ns))
		a = 0;
	return a ? df_learn_addr_at(l, a)->bits[cls] : 0;
}

/* As names_say of bpf/address.bpf.h has it. */
uint16_t df_learn_bits(struct df_learn *l, const uint8_t addr[static 16], unsigned cls,
		       uint64_t now_ns)
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host;
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);
	uint16_t bits, inner;

	if (is_same_host)
		return bits_of(l, embedded[0], cls, now_ns);
	bits = bits_of(l, addr, cls, now_ns);
	for (unsigned i = 0; i < n; i++) {
		inner = bits_of(l, embedded[i], cls, now_ns);
		bits |= df_learn_refusals(inner);
	}
	return bits;
}

static bool is_blocker(const struct df_learned *l)
{
	return df_learn_has_any(l->bits, DF_LEARN_BLOCKED);
}

int df_learn_blocker(int (*get)(const uint8_t addr[static 16], struct df_learned *ret),
		     const uint8_t addr[static 16], struct df_learned *ret)
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host;
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);
	struct df_learned found;

	if (get(addr, &found) == 0 && is_blocker(&found)) {
		*ret = found;
		return 0;
	}
	for (unsigned i = 0; i < n; i++) {
		if (get(embedded[i], &found) < 0 || !is_blocker(&found))
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
			df_learn_forget(l, (uint16_t)i); /* its worker died in between */
}
