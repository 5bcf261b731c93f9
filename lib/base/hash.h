/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hash: FNV-1a (64 bits) and an open-addressing index over an array of the caller's.
 *
 * The hash alone is no defence against chosen keys: where others choose them, start with a secret
 * seed and bound the length of a chain.  The low bits are better mixed than the high ones: take
 * df_hash_fold for 32 bits, df_hash_mix where the high bits select a slot.
 */
#ifndef DF_HASH_H
#define DF_HASH_H

#include <stddef.h>
#include <stdint.h>

#define DF_HASH_START                                                                              \
	UINT64_C(0xcbf29ce484222325) /* the offset basis; or a seed of the caller's                \
				      */

/* Continues h by the octets. */
static inline uint64_t df_hash_bytes(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Continues h by the characters of a string without its NUL.  NULL: nothing. */
static inline uint64_t df_hash_text(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

static inline uint32_t df_hash_fold(uint64_t h)
{
	return (uint32_t)(h ^ h >> 32);
}

/* Spreads the hash over all bits, the high ones too: for tables that scale or shift. */
static inline uint64_t df_hash_mix(uint64_t h)
{
	return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

/* --- index ------------------------------------------------------------------------- */

/* The tag is of the hash: most values that do not match are never looked at. */
struct df_hash_slot {
	uint32_t tag;
	uint32_t value; /* the caller's, such as a position in an array; 0: the slot is free */
};

/* Begins as { 0 }. */
struct df_hash_index {
	struct df_hash_slot *slots;
	unsigned bits; /* of their number */
	size_t n;      /* used */
};

/*
 * Makes room for n values, and twice as many slots as are too few; slots that were found before
 * move.  Call it before each search that may end in df_hash_put.  -ENOMEM.
 */
int df_hash_reserve(struct df_hash_index *x, size_t n);
void df_hash_done(struct df_hash_index *x);

static inline struct df_hash_slot *df_hash_home(const struct df_hash_index *x, uint64_t hash)
{
	return &x->slots[df_hash_mix(hash) >> (64 - x->bits)];
}

/* From slot on: the first one with this hash, or the free one where a new value belongs. */
static inline struct df_hash_slot *df_hash_seek(const struct df_hash_index *x,
						struct df_hash_slot *slot, uint64_t hash)
{
	const uint32_t tag = (uint32_t)(df_hash_mix(hash) >> 32);

	while (slot->value && slot->tag != tag)
		slot = slot + 1 < x->slots + ((size_t)1 << x->bits) ? slot + 1 : x->slots;
	return slot;
}

/*
 * Walks the values that may have this hash: `for (s = df_hash_first(x, h); s->value && !…;
 * s = df_hash_next(x, s, h))`.  The walk ends at a free slot.  Room must be reserved.
 */
static inline struct df_hash_slot *df_hash_first(const struct df_hash_index *x, uint64_t hash)
{
	return df_hash_seek(x, df_hash_home(x, hash), hash);
}

static inline struct df_hash_slot *df_hash_next(const struct df_hash_index *x,
						struct df_hash_slot *slot, uint64_t hash)
{
	slot = slot + 1 < x->slots + ((size_t)1 << x->bits) ? slot + 1 : x->slots;
	return df_hash_seek(x, slot, hash);
}

/* Fills the free slot that such a walk ended at. */
static inline void df_hash_put(struct df_hash_index *x, struct df_hash_slot *slot, uint64_t hash,
			       uint32_t value)
{
	*slot = (struct df_hash_slot){(uint32_t)(df_hash_mix(hash) >> 32), value};
	x->n++;
}

#endif
