/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define BITS_FIRST 6
#define BITS_MAX 32 /* a place is the high bits of a tag */

static struct df_hash_slot *free_slot_for(const struct df_hash_index *x, uint32_t tag)
{
	const size_t mask = ((size_t)1 << x->bits) - 1;
	size_t i = tag >> (32 - x->bits);

	while (x->slots[i].value)
		i = (i + 1) & mask;
	return &x->slots[i];
}

int df_hash_reserve(struct df_hash_index *x, size_t n)
{
	struct df_hash_index bigger = *x;

	/* At three quarters, runs of slots are still short. */
	if (x->slots && n <= ((size_t)1 << x->bits) / 4 * 3)
		return 0;
	if (bigger.bits < BITS_FIRST)
		bigger.bits = BITS_FIRST;
	while (bigger.bits < BITS_MAX && n > ((size_t)1 << bigger.bits) / 4 * 3)
		bigger.bits++;
	bigger.slots = calloc((size_t)1 << bigger.bits, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; x->slots && i < (size_t)1 << x->bits; i++)
		if (x->slots[i].value)
			*free_slot_for(&bigger, x->slots[i].tag) = x->slots[i];
	free(x->slots);
	*x = bigger;
	return 0;
}

void df_hash_done(struct df_hash_index *x)
{
	free(x->slots);
	*x = (struct df_hash_index){0};
}
