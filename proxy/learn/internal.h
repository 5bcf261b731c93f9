/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal: the table behind learn.h.  table.c has its slots, indexes, chains and unions;
 * learn.c decides what stands in it, and writes the kernel's entries.
 *
 * Fields that a new worker makes anew from the others are marked so.
 */
#ifndef DF_LEARN_INTERNAL_H
#define DF_LEARN_INTERNAL_H

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
