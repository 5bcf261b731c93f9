/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * learn: which address was named by which answer, and the kernel's map of it.
 *
 * A pair (address, name) holds for each class of ports what the tables say of the name
 * (lib/policy/ports.h, df_learned.bits of abi.h).  The kernel's entry of an address is the union
 * of its pairs.  Its permissions end together: at `until`, which answers set and the
 * kernel's programs move with every use, so that an entry in use is never taken away.
 * Refusals are sticky: 64 addresses a name, each until nobody saw it for a day.
 *
 * The pairs are in memory that one worker leaves to the next.  The monitor makes this memory
 * and never reads it: the names that its events need come by message (df_learn_map.name).
 * Indexes are private to a worker and made anew.  A new worker checks the shared part before
 * it uses it: its predecessor may have died at any point, or have been taken over.  An
 * address gets its slot before, and loses it after the kernel's entry, so that none of those
 * is ever without a slot; a slot without pairs, and entries that may be old, are put right by
 * the next worker.
 *
 * All sizes are fixed, untouched pages cost nothing.  With a full table what nobody needs
 * goes: lapsed pairs, then the oldest addresses that are allowed by default and would pass
 * by raw-ip too.  Nothing else goes, and what finds no room is not learned.  Under raw-ip
 * allow a refusal that is not learned is a false allow, so room is kept for refusals:
 * permissions find the table full while some is left, and so do, later, refusals of names
 * that the policy does not pin.
 */
#ifndef DF_LEARN_H
#define DF_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"

/* Index 0 is none. */
#define DF_LEARN_ADDRS DF_LEARNED_MAX
#define DF_LEARN_NAMES 8192
#define DF_LEARN_PAIRS 16384

#define DF_LEARN_STICKY_MAX 64 /* refused addresses of a name; the oldest makes room */
#define DF_LEARN_STICKY_NS (24ull * 3600 * 1000000000)
/* Refusals of names that the policy does not pin by itself: a payload can ask for many. */
#define DF_LEARN_UNPINNED_MAX (DF_LEARNED_MAX / 2)
/* Parts (1/n) of addresses, names and pairs that permissions, or those refusals, leave free. */
#define DF_LEARN_RESERVE_PERMITS 4
#define DF_LEARN_RESERVE_UNPINNED 8

/* Sets of tables in an element of df_learned.bits. */
#define DF_LEARN_BLOCKED ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_BLOCKED))
#define DF_LEARN_DEFAULT ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_DEFAULT))
#define DF_LEARN_ALLOWED ((uint16_t)(DF_TABLES_ALL << DF_LEARNED_ALLOWED))
#define DF_LEARN_PERMITS ((uint16_t)(DF_LEARN_ALLOWED | DF_LEARN_DEFAULT))

/* Of a set of bits: the refusals that no allow rule for another name lifts. */
static inline uint16_t df_learn_refusals(uint16_t bits)
{
	return (uint16_t)(bits & DF_LEARN_BLOCKED &
			  ~((bits & DF_LEARN_ALLOWED)
			    << (DF_LEARNED_BLOCKED - DF_LEARNED_ALLOWED)));
}

struct df_learn_shared; /* what outlives a worker */

/*
 * df_learned.slot: the number of a name, and above it a generation, which changes whenever
 * the number goes to another name.  0: no name.
 */
#define DF_LEARN_SLOT_SHIFT 16

/* The kernel's map: 0 or -errno; get: -ENOENT where there is no entry. */
struct df_learn_map {
	int (*get)(const uint8_t addr[static 16], struct df_learned *ret);
	int (*put)(const uint8_t addr[static 16], const struct df_learned *value);
	int (*remove)(const uint8_t addr[static 16]);
	/*
	 * Tells the monitor which name a slot stands for, before put() first enters that slot.
	 * On failure it is called again with the next entry; that one has no name meanwhile.
	 */
	int (*name)(uint32_t slot, const struct df_dname *name);
};

#define DF_LEARN_FEW 64 /* buckets of a small table, which touches few pages; power of two */

/* One kind of slots: names, addresses, pairs. */
struct df_learn_pool {
	uint8_t *slots;
	size_t stride;
	size_t key_at, key_len; /* in a slot: what is looked up; len 0: a struct df_dname */
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

/* What an answer says of one address. */
struct df_lesson {
	const struct df_dname *name;
	uint64_t ttl_ns; /* the permissions' end, before keep-learned is added */
	uint32_t rule;   /* that blocks (tables.h), where bits have BLOCKED */
	bool is_pinned;  /* the name is one that the policy has resolved */
	bool is_refusal; /* permissions, those of before included, stay as they are */
	uint16_t bits[DF_PORT_CLASSES];
};

/* For the monitor, before it forks, and which leaves it to its workers.  NULL: no memory. */
struct df_learn_shared *df_learn_new(void);
void df_learn_free(struct df_learn_shared *s);

/* For the worker.  l is zero. */
void df_learn_start(struct df_learn *l, struct df_learn_shared *s, const struct df_learn_map *map,
		    uint64_t keep_ns, uint8_t raw_passes);

/*
 * An address is entered by its canonical form (lib/base/addr_embedded.h), as the programs look it
 * up.  Takes the lesson's place of what was known of this address and name; the kernel knows
 * when it returns.  -ENOSPC: no room, nothing has changed.  Other -errno of the map.
 */
int df_learn_put(struct df_learn *l, const uint8_t addr[static 16], const struct df_lesson *lesson,
		 uint64_t now_ns);

/* True where some class of ports may be reached since an answer gave name this address. */
bool df_learn_has(const struct df_learn *l, const uint8_t addr[static 16],
		  const struct df_dname *name);

/*
 * The knowledge of an address at a class: an element of df_learned.bits, with the refusals of the
 * IPv4 addresses that it holds.
 */
uint16_t df_learn_bits(struct df_learn *l, const uint8_t addr[static 16], unsigned cls,
		       uint64_t now_ns);

/*
 * The kernel's entry by which an address is refused: its own, or that of an IPv4 address which
 * it holds.  For the monitor as well.  -ENOENT: there is none.
 */
int df_learn_blocker(int (*get)(const uint8_t addr[static 16], struct df_learned *ret),
		     const uint8_t addr[static 16], struct df_learned *ret);

/* Looks at a part of the table for what has lapsed.  Cheap; once a second or less often. */
void df_learn_sweep(struct df_learn *l, uint64_t now_ns);

#endif
