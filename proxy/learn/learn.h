/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * learn: the addresses that answers gave to names, and the kernel's map of them.
 *
 * A pair (address, name) holds the verdicts of the tables on the name, for each class of ports
 * (lib/policy/ports.h, df_learned.bits of abi.h).  The kernel's entry of an address is the union
 * of its pairs.  Its permissions end together: at `until`, which answers set and the
 * kernel's programs move with every use, so that an entry in use is never taken away.
 * Refusals are sticky: 64 addresses a name, each until a day after the last answer with it.
 * learn.c begins with the life of a pair.
 *
 * All sizes are fixed, untouched pages cost nothing.  In a full table pairs that lapsed make
 * room, then the oldest addresses that are allowed by default and would pass by raw-ip too.
 * Nothing else makes room, and a lesson that finds none is not learned.  Under raw-ip
 * allow a refusal that is not learned is a false allow, so room is kept for refusals:
 * permissions find the table full while some is left, and so do, later, refusals of names
 * that the policy does not pin.
 */
#ifndef DF_LEARN_H
#define DF_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "proxy/learn/table.h"

#define DF_LEARN_STICKY_MAX 64 /* refused addresses of a name; the oldest makes room */
#define DF_LEARN_STICKY_NS (24ull * 3600 * 1000000000)
/* Refusals of names that the policy does not pin by itself: a payload can ask for many. */
#define DF_LEARN_UNPINNED_MAX (DF_LEARNED_MAX / 2)
/* Parts (1/n) of addresses, names and pairs that permissions, or those refusals, leave free. */
#define DF_LEARN_RESERVE_PERMITS 4
#define DF_LEARN_RESERVE_UNPINNED 8

/* Of a set of bits: the refusals that no allow rule for another name lifts. */
static inline uint16_t df_learn_refusals(uint16_t bits)
{
	return (uint16_t)(bits & DF_LEARN_BLOCKED &
			  ~((bits & DF_LEARN_ALLOWED)
			    << (DF_LEARNED_BLOCKED - DF_LEARNED_ALLOWED)));
}

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
	 * On failure it is called again with the next entry, or when a sweep comes by; the entry
	 * has no name meanwhile.
	 */
	int (*name)(uint32_t slot, const struct df_dname *name);
};

/* The part of an answer about one address. */
struct df_lesson {
	const struct df_dname *name;
	uint64_t ttl_ns; /* the permissions' end, before keep-learned is added */
	uint32_t rule;   /* that blocks (tables.h), where bits have BLOCKED */
	bool is_pinned;  /* the name is one that the policy has resolved */
	bool is_refusal; /* permissions, those of before included, stay as they are */
	uint16_t bits[DF_PORT_CLASSES];
};

/* For the worker.  l is zero. */
void df_learn_start(struct df_learn *l, struct df_learn_shared *s, const struct df_learn_map *map,
		    uint64_t keep_ns, uint8_t raw_passes);

/*
 * The lesson replaces an earlier one of this address and name; the kernel's map has it when the
 * function returns.  The address is entered by its canonical form (lib/base/addr.h), by
 * which the programs look it up.  -ENOSPC: no room, nothing has changed.  Other -errno of the map.
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

/* Looks for lapsed pairs in a part of the table.  Cheap; once a second or less often. */
void df_learn_sweep(struct df_learn *l, uint64_t now_ns);

#endif
