/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strpool: NUL-terminated strings in one block, each kept once.  Offset 0 is the
 * empty string.  The block becomes the strings of a compiled policy as it is.
 */
#ifndef DF_STRPOOL_H
#define DF_STRPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"

#define DF_STRPOOL_MAX (128u << 20) /* half of DF_POLICY_SIZE_MAX; offsets stay far below 2^32 */

struct df_strpool {
	char *data;
	size_t len, cap;
	struct df_hash_index index; /* values: offsets */
};

/* *ret is 0 for the empty string only.  -ENOMEM, -E2BIG (pool full).  s must not hold a NUL. */
int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret);
void df_strpool_done(struct df_strpool *pool);

#endif
