/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/strpool.h"

#include <errno.h>
#include <string.h>

#include "lib/base/array.h"

#define SLOTS_FIRST 64u

void df_strpool_done(struct df_strpool *pool)
{
	free(pool->data);
	free(pool->slots);
	*pool = (struct df_strpool){0};
}

/* FNV-1a.  Only the administrator's own text comes here, so no seed is needed. */
static uint64_t hash(const char *s, size_t len)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 1099511628211u;
	return h ^ (h >> 32);
}

static uint32_t *find_slot(const struct df_strpool *pool, const char *s, size_t len)
{
	size_t mask = pool->n_slots - 1;

	for (size_t i = hash(s, len) & mask;; i = (i + 1) & mask) {
		const char *other = pool->data + pool->slots[i];

		/* strncmp, as the other string may be the shorter one. */
		if (pool->slots[i] == 0 || (strncmp(other, s, len) == 0 && other[len] == '\0'))
			return &pool->slots[i];
	}
}

static int grow(struct df_strpool *pool)
{
	struct df_strpool bigger = *pool;

	if (pool->n_slots && pool->n_strings < pool->n_slots / 2)
		return 0;
	bigger.n_slots = pool->n_slots ? pool->n_slots * 2 : SLOTS_FIRST;
	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < pool->n_slots; i++) {
		const char *s = pool->data + pool->slots[i];

		if (pool->slots[i])
			*find_slot(&bigger, s, strlen(s)) = pool->slots[i];
	}
	free(pool->slots);
	*pool = bigger;
	return 0;
}

int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret)
{
	size_t start = pool->len ? pool->len : 1;
	uint32_t *slot;
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
	r = grow(pool);
	if (r < 0)
		return r;
	slot = find_slot(pool, s, len);
	if (*slot == 0) {
		memcpy(pool->data + start, s, len);
		pool->data[start + len] = '\0';
		pool->len = start + len + 1;
		pool->n_strings++;
		*slot = (uint32_t)start;
	}
	*ret = *slot;
	return 0;
}
