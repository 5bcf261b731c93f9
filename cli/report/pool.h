/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool: every distinct text of a report once, and lists of them.
 *
 * Command lines and rules repeat in thousands of rows; and what a file from
 * elsewhere can make us keep has one bound here.  Texts live as long as the pool.
 */
#ifndef DF_POOL_H
#define DF_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* Octets of all texts: those of some 100,000 rows without a repetition. */
#define DF_POOL_MAX (256u << 20)

/* Begins as { 0 }. */
struct df_pool {
	void *texts; /* tsearch(3) */
	size_t used;
};

/* The pool's copy; text NULL or "": *ret is NULL.  0, -ENOSPC: the pool is full, -ENOMEM. */
int df_pool_add(struct df_pool *p, const char *text, const char **ret);
void df_pool_done(struct df_pool *p);

/* Texts of a pool, each once.  Begins as { 0 }; free the list with df_texts_done. */
struct df_texts {
	const char **list;
	size_t n, cap;
};

/* A text that is there already, or is beyond max, changes nothing.  0, -ENOSPC, -ENOMEM. */
int df_texts_add(struct df_texts *t, struct df_pool *p, const char *text, size_t max);
/* The same, but keeps repetitions: for what has an order. */
int df_texts_append(struct df_texts *t, struct df_pool *p, const char *text, size_t max);
void df_texts_remove(struct df_texts *t, const char *text);
bool df_texts_has(const struct df_texts *t, const char *text);
void df_texts_done(struct df_texts *t);

#endif
