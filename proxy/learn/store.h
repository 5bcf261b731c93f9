/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * learn_store: private to learn.c (lessons and questions), learn_expire.c (the kernel's
 * entries, what goes) and learn_store.c (slots, their indexes and chains).
 *
 * Fields that a new worker makes anew from the others are marked so.
 */
#ifndef DF_LEARN_STORE_H
#define DF_LEARN_STORE_H

#include "proxy/learn/learn.h"

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
	uint16_t addr, name;
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

/* Makes indexes, chains and counts anew; drops what makes no sense or leads nowhere. */
void df_learn_load(struct df_learn *l);

/* 0: not there. */
uint16_t df_learn_find_name(const struct df_learn *l, const struct df_dname *name);
uint16_t df_learn_find_addr(const struct df_learn *l, const uint8_t addr[static 16]);
uint16_t df_learn_find_pair(const struct df_learn *l, uint16_t addr, uint16_t name);

/* 0: full. */
uint16_t df_learn_add_name(struct df_learn *l, const struct df_dname *name);
uint16_t df_learn_add_addr(struct df_learn *l, const uint8_t addr[static 16]);
/* Without bits.  Both are in use. */
uint16_t df_learn_add_pair(struct df_learn *l, uint16_t addr, uint16_t name);

/*
 * Frees a pair, and its name if that was the last of it.  The address stays.
 */
void df_learn_drop_pair(struct df_learn *l, uint16_t i);
void df_learn_drop_addr(struct df_learn *l, uint16_t i); /* that has no pair */
void df_learn_drop_name(struct df_learn *l, uint16_t i); /* that has no pair */

struct df_learn_state {
	bool is_pinned;
	uint32_t rule;
	uint16_t bits[DF_PORT_CLASSES];
};
/*
 * What a pair is from now on.  The counts follow; the address's union and blocker where it
 * gained, else is_shrunk is set: many pairs may change before that is made good.
 */
void df_learn_set(struct df_learn *l, uint16_t i, const struct df_learn_state *state);

void df_learn_unite(struct df_learn *l, struct df_learn_addr *a);

/* learn_expire */

/*
 * The kernel knows what the address's pairs say, and permits it at least until then (0: as
 * long as it did).  Costs nothing where that is so already.  0 or -errno of the map.
 */
int df_learn_sync(struct df_learn *l, struct df_learn_addr *a, uint64_t until_ns);

/* The address has no pair any more; the kernel forgets it first. */
void df_learn_forget(struct df_learn *l, uint16_t i);

/* Takes bits off a pair; one without any is dropped. */
void df_learn_weaken(struct df_learn *l, uint16_t i, uint16_t mask);

/* Drops the permissions of an address if they are over; true where nothing is left of it. */
bool df_learn_expire_permits(struct df_learn *l, uint16_t i, uint64_t now_ns);

/* For one more of each, and 1/reserve of all is still free then; 0: none need be. */
bool df_learn_has_room(const struct df_learn *l, unsigned reserve);
/*
 * Room for one more address, name and pair, at the cost of what lapsed or is needless, the
 * oldest of some that stand together.  -ENOSPC: there is none to be had.
 */
int df_learn_make_room(struct df_learn *l, unsigned reserve, uint64_t now_ns);

static inline uint64_t df_learn_later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* df_learned.slot of a name. */
static inline uint32_t df_learn_slot_of(const struct df_learn *l, uint16_t name)
{
	return (uint32_t)df_learn_name_at(l, name)->generation << DF_LEARN_SLOT_SHIFT | name;
}

#endif
