/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One row as it is sorted: all that is alike in key, second, rule_owner and class becomes one
 * total. */
struct item {
	const char *key, *second, *rule_owner;
	enum df_class class;
	const char *name;
	size_t container;
	const struct df_row *row;
};

struct items {
	struct item *list;
	size_t n;
};

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_keys(const struct item *x, const struct item *y)
{
	int r = (int)y->class - (int)x->class;

	if (r == 0)
		r = compare_text(x->key, y->key);
	if (r == 0)
		r = compare_text(x->rule_owner, y->rule_owner);
	return r ? r : compare_text(x->second, y->second);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = compare_keys(x, y);

	if (r == 0)
		r = compare_text(x->name, y->name);
	return r ? r : (x->container > y->container) - (x->container < y->container);
}

static int compare_numbers(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of items that are alike. */
static uint64_t count_containers(const struct item *from, size_t n)
{
	size_t *numbers = reallocarray(NULL, n, sizeof(*numbers));
	uint64_t distinct = 0;

	if (!numbers)
		return 0;
	for (size_t i = 0; i < n; i++)
		numbers[i] = from[i].container;
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || numbers[i] != numbers[i - 1];
	free(numbers);
	return distinct;
}

static struct df_total sum_up(const struct item *from, size_t n)
{
	struct df_total t = {.key = from->key,
			     .second = from->second,
			     .rule_owner = from->rule_owner,
			     .class = from->class};

	for (size_t i = 0; i < n; i++) {
		const struct df_row *row = from[i].row;

		df_aggregate_add(&t.count, row->count);
		if (row->verdict == DF_ROW_BLOCKED)
			df_aggregate_add(&t.blocked, row->count);
		if (row->verdict == DF_ROW_WOULD_BLOCK)
			df_aggregate_add(&t.would_block, row->count);
		if (i == 0 || compare_text(from[i].name, from[i - 1].name) != 0)
			t.n_names++;
		if (strcmp(row->last, t.last) > 0)
			memcpy(t.last, row->last, sizeof(t.last));
	}
	t.n_containers = count_containers(from, n);
	return t;
}

/* Takes the items. */
static int make_totals(struct items *items, struct df_totals *ret)
{
	struct df_totals t = {0};
	size_t from = 0;

	if (items->n > 1)
		qsort(items->list, items->n, sizeof(*items->list), compare_items);
	t.list = reallocarray(NULL, items->n ? items->n : 1, sizeof(*t.list));
	for (size_t i = 0; t.list && i < items->n; i++) {
		if (i + 1 < items->n && compare_keys(&items->list[i], &items->list[i + 1]) == 0)
			continue;
		t.list[t.n++] = sum_up(&items->list[from], i + 1 - from);
		from = i + 1;
	}
	free(items->list);
	if (!t.list)
		return -ENOMEM;
	*ret = t;
	return 0;
}

static int make_items(size_t n, struct items *ret)
{
	ret->list = reallocarray(NULL, n ? n : 1, sizeof(*ret->list));
	ret->n = 0;
	return ret->list ? 0 : -ENOMEM;
}

static int compare_by_rows(const void *a, const void *b)
{
	const struct df_total *x = a, *y = b;
	int r = (y->blocked + y->would_block > 0) - (x->blocked + x->would_block > 0);

	return r ? r : compare_text(x->key, y->key);
}

int df_totals_by_parent(const struct df_report_container *c, struct df_totals *ret)
{
	struct items items;
	int r = make_items(c->n, &items);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n; i++) {
		const struct df_row *row = c->rows[i];

		if (row->kind == DF_ROW_NAME)
			items.list[items.n++] = (struct item){.key = df_class_parent(row->domain),
							      .name = row->domain,
							      .row = row};
	}
	r = make_totals(&items, ret);
	if (r == 0 && ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), compare_by_rows);
	return r;
}

static int compare_refused(const void *a, const void *b)
{
	const struct df_total *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return compare_text(x->key, y->key);
}

int df_totals_by_rule(const struct df_aggregate *a, struct df_totals *ret)
{
	struct items items;
	int r = make_items(a->n_rows, &items);

	if (r < 0)
		return r;
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < a->list[i]->n; k++) {
			const struct df_row *row = a->list[i]->rows[k];

			if (row->kind == DF_ROW_SHADOW || !row->rule ||
			    !df_row_is_against(row->verdict))
				continue;
			items.list[items.n++] =
				(struct item){.key = row->rule,
					      .second = row->owner,
					      .rule_owner = row->rule_owner,
					      .name = row->domain ? row->domain : row->ip,
					      .container = i,
					      .row = row};
		}
	}
	r = make_totals(&items, ret);
	if (r == 0 && ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), compare_refused);
	return r;
}

const char *df_totals_script(const struct df_row *row)
{
	if (row->script)
		return row->script;
	return row->ancestry.n > 0 ? row->ancestry.list[row->ancestry.n - 1] : row->cmd;
}

int df_totals_by_script(const struct df_aggregate *a, struct df_totals *ret)
{
	struct items items;
	int r = make_items(a->n_rows, &items);

	if (r < 0)
		return r;
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < a->list[i]->n; k++) {
			const struct df_row *row = a->list[i]->rows[k];

			if (row->kind != DF_ROW_NAME)
				continue;
			items.list[items.n++] = (struct item){.key = df_totals_script(row),
							      .second = row->domain,
							      .class = row->class,
							      .name = row->domain,
							      .container = i,
							      .row = row};
		}
	}
	return make_totals(&items, ret);
}

void df_totals_done(struct df_totals *t)
{
	free(t->list);
	*t = (struct df_totals){0};
}
