/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/pool.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"

/* A balanced tree, not a hash table: no choice of texts makes it slow. */
static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int df_pool_add(struct df_pool *p, const char *text, const char **ret)
{
	char *const *found, *new;
	size_t size;

	*ret = NULL;
	if (!text || !*text)
		return 0;
	found = tfind(text, &p->texts, compare);
	if (found) {
		*ret = *found;
		return 0;
	}
	size = strlen(text) + 1;
	if (size > DF_POOL_MAX - p->used)
		return -ENOSPC;
	new = malloc(size);
	if (!new)
		return -ENOMEM;
	memcpy(new, text, size);
	if (!tsearch(new, &p->texts, compare)) {
		free(new);
		return -ENOMEM;
	}
	p->used += size;
	*ret = new;
	return 0;
}

void df_pool_done(struct df_pool *p)
{
	tdestroy(p->texts, free);
	*p = (struct df_pool){0};
}

bool df_texts_has(const struct df_texts *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->list[i], text) == 0)
			return true;
	return false;
}

void df_texts_remove(struct df_texts *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->list[i], text) != 0)
			continue;
		t->n--;
		memmove(&t->list[i], &t->list[i + 1], (t->n - i) * sizeof(*t->list));
		return;
	}
}

int df_texts_append(struct df_texts *t, struct df_pool *p, const char *text, size_t max)
{
	const char *kept;
	int r;

	if (!text || !*text || t->n >= max)
		return 0;
	r = df_pool_add(p, text, &kept);
	if (r == 0)
		r = df_array_reserve(&t->list, &t->cap, t->n + 1, sizeof(*t->list));
	if (r == 0)
		t->list[t->n++] = kept;
	return r;
}

int df_texts_add(struct df_texts *t, struct df_pool *p, const char *text, size_t max)
{
	if (text && df_texts_has(t, text))
		return 0;
	return df_texts_append(t, p, text, max);
}

void df_texts_done(struct df_texts *t)
{
	free(t->list);
	*t = (struct df_texts){0};
}
