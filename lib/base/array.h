/* SPDX-License-Identifier: GPL-2.0-or-later */
/* array: growing arrays for the compilers.  Doubles, so that appending costs O(1). */
#ifndef DF_ARRAY_H
#define DF_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for need elements of elem octets.  array: address of the owning pointer.  -ENOMEM. */
static inline int df_array_reserve(void *array, size_t *cap, size_t need, size_t elem)
{
	size_t want = need > *cap * 2 ? need : *cap * 2;
	void *old, *new;

	if (need <= *cap)
		return 0;
	memcpy(&old, array, sizeof(old));
	new = reallocarray(old, want, elem);
	if (!new)
		return -ENOMEM;
	memcpy(array, &new, sizeof(new));
	*cap = want;
	/* cppcheck-suppress memleak ; the owner's pointer was just set to it */
	return 0;
}

#endif
