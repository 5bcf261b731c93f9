/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table: the slots of learn's names, addresses and pairs, their indexes and chains, and the
 * union of an address's pairs.  learn.c decides about its content.
 *
 * The pairs are in memory that one worker leaves to the next.  The monitor makes this memory
 * and never reads it: the names that its events need come by message (df_learn_map.name).
 * Indexes are private to a worker and made anew.  A new worker checks the shared part before
 * it uses it: its predecessor may have died at any point, or have been taken over.  An
 * address gets its slot before, and loses it after the kernel's entry, so that none of those
 * is ever without a slot; a slot without pairs, and entries that may be old, are put right by
 * the next worker.
 *
 * Fields that a new worker makes anew from the others are marked so.  Nothing is allocated later.
 */
#ifndef DF_LEARN_TABLE_H
#define DF_LEARN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"

/* Index 0 is none. */
#define DF_LEARN_ADDRS DF_LEARNED_MAX
#define DF_LEARN_NAMES 8192
#define DF_LEARN_PAIRS 16384

/* Sets of tables in an element of df_learned.bits. */
#define DF_LEARN_BLOCKED ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_BLOCKED))
#define DF_LEARN_DEFAULT ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_DEFAULT))
#define DF_LEARN_ALLOWED ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_ALLOWED))
#define DF_LEARN_PERMITS ((uint16_t)(DF_LEARN_ALLOWED | DF_LEARN_DEFAULT))

/* Every kind of slot begins so. */
struct df_learn_slot {
	uint32_t hash;      /* made anew */
	uint16_t hash_next; /* made anew; of a free slot: the next free one */
	uint16_t is_used;   /* set last, cleared first */
};

struct df_learn_name {
	struct df_learn_slot slot;
	uint16_t generation; /* rises with every other name that gets the slot */
	uint16_t first_pair; /* made anew */
	uint16_t n_sticky;   /* made anew: refused addresses */
	uint16_t is_told;    /* made anew: the monitor has it */
	struct df_dname name;
};

struct df_learn_addr {
	struct df_learn_slot slot;
	uint64_t until_ns; /* made anew: as the kernel's entry had it when we last looked */
	uint64_t seen_ns;
	uint16_t first_pair; /* made anew */
	uint16_t blocker;    /* made anew: the pair that stands for all that block */
	bool is_entered;     /* made anew: the kernel may have an entry */
	bool is_dirty;       /* made anew: and it may be another */
	bool is_shrunk;      /* made anew: a pair lost bits, the union is out of date */
	uint8_t addr[16];
	uint16_t bits[DF_PORT_CLASSES]; /* made anew: the union */
};

struct df_learn_pair {
	struct df_learn_slot slot;
	uint64_t seen_ns, end_ns;
	uint32_t rule;
	uint16_t addr, name;                                 /* the key */
	uint16_t addr_prev, addr_next, name_prev, name_next; /* made anew */
	uint8_t is_pinned; /* 0 or 1; no bool, since any octet may stand there */
	uint16_t bits[DF_PORT_CLASSES];
};

struct df_learn_shared {
	uint32_t n_names, n_addrs, n_pairs; /* touched so far */
	struct df_learn_name names[DF_LEARN_NAMES];
	struct df_learn_addr addrs[DF_LEARN_ADDRS];
	struct df_learn_pair pairs[DF_LEARN_PAIRS];
};

struct df_learn_map; /* learn.h */

#define DF_LEARN_FEW 64 /* buckets of a small table, which touches few pages; power of two */

/* One kind of slots: names, addresses, pairs. */
struct df_learn_pool {
	uint8_t *slots;
	size_t stride;
	size_t key_at, key_len; /* the key's place in a slot; len 0: a struct df_dname */
	uint32_t max;
	uint32_t *n_ever; /* shared: slots touched so far; the rest is fresh */
	uint32_t n_used, free, n_buckets;
	uint16_t *heads;     /* few, until there are more */
	uint16_t *all_heads; /* room for max */
	uint16_t few[DF_LEARN_FEW];
};

struct df_learn {
	struct df_learn_shared *shared;
	const struct df_learn_map *map;
	uint8_t raw_passes; /* tables to which an unknown address is no event */
	uint64_t keep_ns;   /* keep-learned */
	uint64_t seed;
	uint64_t n_unstuck;         /* refused addresses that made room for others of their name */
	uint32_t n_unpinned;        /* sticky pairs that no policy pins by itself */
	uint32_t sweep_at, room_at; /* addresses: where the next walk begins */
	uint64_t full_until_ns;     /* no walk for room before */
	struct df_learn_pool names, addrs, pairs;
	uint16_t name_heads[DF_LEARN_NAMES], addr_heads[DF_LEARN_ADDRS];
	uint16_t pair_heads[DF_LEARN_PAIRS];
};

/* For the monitor, before it forks, and which leaves it to its workers.  NULL: no memory. */
struct df_learn_shared *df_learn_new(void);
void df_learn_free(struct df_learn_shared *s);

static inline struct df_learn_name *df_learn_name_at(const struct df_learn *l, uint32_t i)
{
	return &l->shared->names[i];
}
static inline struct df_learn_addr *df_learn_addr_at(const struct df_learn *l, uint32_t i)
{
	return &l->shared->addrs[i];
}
static inline struct df_learn_pair *df_learn_pair_at(const struct df_learn *l, uint32_t i)
{
	return &l->shared->pairs[i];
}

bool df_learn_has_any(const uint16_t bits[static DF_PORT_CLASSES], uint16_t mask);

/* Makes indexes, chains and counts anew; drops slots that make no sense or lead nowhere. */
void df_learn_load(struct df_learn *l);

/* 0: not there. */
uint16_t df_learn_find_name(const struct df_learn *l, const struct df_dname *name);
uint16_t df_learn_find_addr(const struct df_learn *l, const uint8_t addr[static 16]);
uint16_t df_learn_find_pair(const struct df_learn *l, uint16_t addr, uint16_t name);

/* 0: full.  A pair has no bits yet; its address and name are in use. */
uint16_t df_learn_add_name(struct df_learn *l, const struct df_dname *name);
uint16_t df_learn_add_addr(struct df_learn *l, const uint8_t addr[static 16]);
uint16_t df_learn_add_pair(struct df_learn *l, uint16_t addr, uint16_t name);

/* With a pair goes its name if that was the last of it; the address stays. */
void df_learn_drop_pair(struct df_learn *l, uint16_t i);
void df_learn_drop_addr(struct df_learn *l, uint16_t i); /* that has no pair */

/*
 * The bits, the rule and the origin of a pair from now on.  The counts follow; the address's union
 * and blocker where it gained, else is_shrunk is set: many pairs may change before the union is
 * made anew.
 */
void df_learn_set(struct df_learn *l, uint16_t i, const uint16_t bits[static DF_PORT_CLASSES],
		  uint32_t rule, bool is_pinned);

/* The union of an address's pairs, and its blocker; is_dirty if that differs from before. */
void df_learn_unite(struct df_learn *l, struct df_learn_addr *a);

#endif
