/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rows {
	struct df_row **list;
	size_t n;
};

static const char *name_of(const struct df_row *row)
{
	if (row->kind == DF_ROW_NAME)
		return row->domain;
	if (row->ip)
		return row->ip;
	return row->socket ? row->socket : row->reason ? row->reason : "";
}

/* What makes two rows one dependency. */
static int compare_dependencies(const struct df_row *x, const struct df_row *y)
{
	int r = (int)x->kind - (int)y->kind;

	if (r == 0)
		r = strcmp(name_of(x), name_of(y));
	return r || x->kind == DF_ROW_NAME ? r : (int)x->port - (int)y->port;
}

static int compare(const void *a, const void *b)
{
	return compare_dependencies(*(struct df_row *const *)a, *(struct df_row *const *)b);
}

/* Of those that are alike, the one that a report would show first. */
static int compare_all(const void *a, const void *b)
{
	const struct df_row *x = *(struct df_row *const *)a, *y = *(struct df_row *const *)b;
	int r = compare_dependencies(x, y);

	if (r == 0)
		r = (int)x->verdict - (int)y->verdict;
	if (r == 0)
		r = (int)y->class - (int)x->class;
	return r ? r : strcmp(x->cmd ? x->cmd : "", y->cmd ? y->cmd : "");
}

static int collect(const struct df_aggregate *a, struct rows *ret)
{
	struct rows rows = {.list = reallocarray(NULL, a->n_rows + 1, sizeof(struct df_row *))};

	if (!rows.list)
		return -ENOMEM;
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->list[i]->n; k++)
			if (a->list[i]->rows[k]->kind != DF_ROW_SHADOW)
				rows.list[rows.n++] = a->list[i]->rows[k];
	qsort(rows.list, rows.n, sizeof(struct df_row *), compare_all);
	*ret = rows;
	return 0;
}

static bool has(const struct rows *rows, const struct df_row *row)
{
	return rows->n > 0 && bsearch(&row, rows->list, rows->n, sizeof(struct df_row *), compare);
}

/* What from has and other has not, once each, to the front of from's list.  Their number. */
static size_t reduce(struct rows *from, const struct rows *other, bool is_marked)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		struct df_row *row = from->list[i];

		if (has(other, row))
			continue;
		row->is_new = is_marked;
		if (n == 0 || compare_dependencies(from->list[n - 1], row) != 0)
			from->list[n++] = row;
	}
	return n;
}

int df_baseline_compare(const struct df_aggregate *now, const struct df_aggregate *then,
			struct df_baseline *ret)
{
	struct rows new = {0}, old = {0}, kept = {0};
	int r = collect(now, &new);

	if (r == 0)
		r = collect(then, &old);
	if (r == 0)
		r = collect(now, &kept);
	if (r < 0) {
		free(new.list);
		free(old.list);
		return r;
	}
	ret->n_added = reduce(&new, &old, true);
	ret->n_gone = reduce(&old, &kept, false);
	free(kept.list);
	ret->added = (const struct df_row **)new.list;
	ret->gone = (const struct df_row **)old.list;
	return 0;
}

void df_baseline_done(struct df_baseline *b)
{
	free(b->added);
	free(b->gone);
	*b = (struct df_baseline){0};
}
