/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/strpool.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/array.h"

void df_strpool_done(struct df_strpool *pool)
{
	free(pool->data);
	df_hash_done(&pool->index);
	*pool = (struct df_strpool){0};
}

/* strncmp, as the other string may be the shorter one. */
static bool is_string_at(const struct df_strpool *pool, uint32_t at, const char *s, size_t len)
{
	return strncmp(pool->data + at, s, len) == 0 && pool->data[at + len] == '\0';
}

int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret)
{
	size_t start = pool->len ? pool->len : 1;
	struct df_hash_slot *slot;
	uint64_t hash;
	int r;

	if (len >= DF_STRPOOL_MAX - start)
		return -E2BIG;
	r = df_array_reserve(&pool->data, &pool->cap, start + len + 1, 1);
	if (r < 0)
		return r;
	if (pool->len == 0) {
		pool->data[0] = '\0';
		pool->len = 1;
	}
	if (len == 0) {
		*ret = 0;
		return 0;
	}
	r = df_hash_reserve(&pool->index, pool->index.n + 1);
	if (r < 0)
		return r;
	/* Only the administrator's own text comes here, so no seed is needed. */
	hash = df_hash_bytes(DF_HASH_START, s, len);
	slot = df_hash_first(&pool->index, hash);
	while (slot->value && !is_string_at(pool, slot->value, s, len))
		slot = df_hash_next(&pool->index, slot, hash);
	if (!slot->value) {
		memcpy(pool->data + start, s, len);
		pool->data[start + len] = '\0';
		pool->len = start + len + 1;
		df_hash_put(&pool->index, slot, hash, (uint32_t)start);
	}
	*ret = slot->value;
	return 0;
}
