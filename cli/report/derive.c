/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/derive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

/* --- totals */

/* One row while it is sorted. */
struct item {
	const char *key, *rule_owner, *second, *name;
	size_t container;
	const struct df_row *row;
	enum df_class class;
};

static int compare_keys(const struct item *x, const struct item *y)
{
	return (int)y->class - (int)x->class ?: df_compare_text(x->key, y->key)
		?: df_compare_text(x->rule_owner, y->rule_owner)
		?: df_compare_text(x->second, y->second);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return compare_keys(x, y) ?: df_compare_text(x->name, y->name)
		?: (x->container > y->container) - (x->container < y->container);
}

static int compare_item_containers(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return (x->container > y->container) - (x->container < y->container);
}

/* Of items with the same keys, sorted by name; it leaves them sorted by container. */
static struct df_total sum_up(struct item *from, size_t n)
{
	struct df_total t = {.key = from->key,
			     .rule_owner = from->rule_owner,
			     .second = from->second,
			     .class = from->class};

	for (size_t i = 0; i < n; i++) {
		const struct df_row *row = from[i].row;

		df_aggregate_add(&t.count, row->count);
		if (row->verdict == DF_ROW_BLOCKED)
			df_aggregate_add(&t.blocked, row->count);
		if (row->verdict == DF_ROW_WOULD_BLOCK)
			df_aggregate_add(&t.would_block, row->count);
		t.n_names += i == 0 || df_compare_text(from[i].name, from[i - 1].name) != 0;
		if (strcmp(row->last, t.last) > 0)
			memcpy(t.last, row->last, sizeof(t.last));
	}
	qsort(from, n, sizeof(*from), compare_item_containers);
	for (size_t i = 0; i < n; i++)
		t.n_containers += i == 0 || from[i].container != from[i - 1].container;
	return t;
}

/*
 * Sums up the rows for which item_of sets the keys and returns true.  compare: the order of the
 * totals, NULL: by their keys.
 */
static int make_totals(struct df_report_container *const *list, size_t n_containers, size_t n_rows,
		       bool (*item_of)(const struct df_row *row, struct item *ret),
		       int (*compare)(const void *, const void *), struct df_totals *ret)
{
	_cleanup_free_ struct item *items = reallocarray(NULL, n_rows + 1, sizeof(*items));
	struct df_totals t = {.list = reallocarray(NULL, n_rows + 1, sizeof(*t.list))};
	size_t n = 0, from = 0;

	if (!items || !t.list) {
		free(t.list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_containers; i++) {
		for (size_t k = 0; k < list[i]->n; k++) {
			items[n] = (struct item){.container = i, .row = list[i]->rows[k]};
			n += item_of(list[i]->rows[k], &items[n]);
		}
	}
	qsort(items, n, sizeof(*items), compare_items);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && compare_keys(&items[i], &items[i + 1]) == 0)
			continue;
		t.list[t.n++] = sum_up(&items[from], i + 1 - from);
		from = i + 1;
	}
	if (compare)
		qsort(t.list, t.n, sizeof(*t.list), compare);
	*ret = t;
	return 0;
}

static int compare_refused_first(const void *a, const void *b)
{
	const struct df_total *x = a, *y = b;

	return (y->blocked + y->would_block > 0) - (x->blocked + x->would_block > 0)
		       ?: df_compare_text(x->key, y->key);
}

static bool item_of_parent(const struct df_row *row, struct item *ret)
{
	if (row->kind != DF_ROW_NAME)
		return false;
	ret->key = df_class_parent(row->domain);
	ret->name = row->domain;
	return true;
}

int df_totals_by_parent(struct df_report_container *c, struct df_totals *ret)
{
	return make_totals(&c, 1, c->n, item_of_parent, compare_refused_first, ret);
}

static int compare_most_first(const void *a, const void *b)
{
	const struct df_total *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count) ?: df_compare_text(x->key, y->key);
}

static bool item_of_rule(const struct df_row *row, struct item *ret)
{
	ret->key = row->rule;
	ret->rule_owner = row->rule_owner;
	ret->second = row->owner;
	ret->name = row->domain ? row->domain : row->ip;
	return row->kind != DF_ROW_SHADOW && row->rule && df_row_is_against(row->verdict);
}

int df_totals_by_rule(const struct df_aggregate *a, struct df_totals *ret)
{
	return make_totals(a->list, a->n, a->n_rows, item_of_rule, compare_most_first, ret);
}

static bool item_of_script(const struct df_row *row, struct item *ret)
{
	const struct df_texts *ancestry = &row->ancestry;

	ret->key = row->script   ? row->script
		   : ancestry->n ? ancestry->list[ancestry->n - 1]
				 : row->cmd;
	ret->second = ret->name = row->domain;
	ret->class = row->class;
	return row->kind == DF_ROW_NAME;
}

int df_totals_by_script(const struct df_aggregate *a, struct df_totals *ret)
{
	return make_totals(a->list, a->n, a->n_rows, item_of_script, NULL, ret);
}

void df_totals_done(struct df_totals *t)
{
	free(t->list);
	*t = (struct df_totals){0};
}

void df_totals_sum_classes(const struct df_totals *t, struct df_class_sum ret[static DF_CLASS_SUMS])
{
	static const enum df_class classes[] = {DF_CLASS_DIRECT, DF_CLASS_HIDDEN, DF_CLASS_UNKNOWN};
	struct df_class_sum *all = &ret[DF_CLASS_SUM_ALL];

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		ret[i] = (struct df_class_sum){.name = df_class_name(classes[i])};
	*all = (struct df_class_sum){.name = "all"};
	for (size_t i = 0; i < t->n; i++) {
		const struct df_total *d = &t->list[i];
		struct df_class_sum *sums[] = {&ret[DF_CLASS_DIRECT - d->class], all};

		for (size_t k = 0; k < ARRAY_SIZE(sums); k++) {
			sums[k]->n_dependencies++;
			df_aggregate_add(&sums[k]->count, d->count);
			df_aggregate_add(&sums[k]->blocked, d->blocked);
			df_aggregate_add(&sums[k]->would_block, d->would_block);
		}
	}
	for (size_t i = 0; i < DF_CLASS_SUMS; i++) {
		uint64_t against = ret[i].blocked;

		df_aggregate_add(&against, ret[i].would_block);
		if (ret[i].count > 0)
			ret[i].against_per_mille =
				(unsigned)((double)against / (double)ret[i].count * 1000 + 0.5);
	}
}

/* --- baseline */

struct rows {
	struct df_row **list;
	size_t n;
};

static const char *target_of(const struct df_row *row)
{
	if (row->kind == DF_ROW_NAME)
		return row->domain;
	return row->ip ? row->ip : row->socket ? row->socket : row->reason;
}

static int compare_dependencies(const void *a, const void *b)
{
	const struct df_row *x = *(struct df_row *const *)a, *y = *(struct df_row *const *)b;

	return (int)x->kind - (int)y->kind ?: df_compare_text(target_of(x), target_of(y))
		?: (x->kind == DF_ROW_NAME ? 0 : (int)x->port - (int)y->port);
}

/* Of rows of one dependency, the one that a report shows first. */
static int compare_dependency_rows(const void *a, const void *b)
{
	const struct df_row *x = *(struct df_row *const *)a, *y = *(struct df_row *const *)b;

	return compare_dependencies(a, b) ?: (int)x->verdict - (int)y->verdict
		?: (int)y->class - (int)x->class ?: df_compare_text(x->cmd, y->cmd);
}

static int collect(const struct df_aggregate *a, struct rows *ret)
{
	ret->list = reallocarray(NULL, a->n_rows + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->list[i]->n; k++)
			if (a->list[i]->rows[k]->kind != DF_ROW_SHADOW)
				ret->list[ret->n++] = a->list[i]->rows[k];
	qsort(ret->list, ret->n, sizeof(*ret->list), compare_dependency_rows);
	return 0;
}

/* Keeps one row of each dependency that the other list has not, and marks all of its rows. */
static void subtract(struct rows *from, const struct rows *other, bool is_marked)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		struct df_row *row = from->list[i];

		if (bsearch(&row, other->list, other->n, sizeof(*other->list),
			    compare_dependencies))
			continue;
		if (is_marked)
			row->is_new = true;
		if (n == 0 || compare_dependencies(&from->list[n - 1], &row) != 0)
			from->list[n++] = row;
	}
	from->n = n;
}

int df_baseline_compare(const struct df_aggregate *now, const struct df_aggregate *then,
			struct df_baseline *ret)
{
	struct rows new = {0}, old = {0}, all = {0};
	int r = collect(now, &new) ?: collect(then, &old) ?: collect(now, &all);

	if (r == 0) {
		subtract(&new, &old, true);
		subtract(&old, &all, false);
		*ret = (struct df_baseline){.added = (const struct df_row **)new.list,
					    .gone = (const struct df_row **)old.list,
					    .n_added = new.n,
					    .n_gone = old.n};
	} else {
		free(new.list);
		free(old.list);
	}
	free(all.list);
	return r;
}

void df_baseline_done(struct df_baseline *b)
{
	free(b->added);
	free(b->gone);
	*b = (struct df_baseline){0};
}

/* --- tree of commands */

static const char unknown_command[] = "(nobody known)";

/* The child of parent with this text, added if need be.  DF_TREE_NONE: the tree is full. */
static size_t add_node(struct df_tree *t, size_t parent, const char *text, const struct df_row *row)
{
	size_t *first = parent == DF_TREE_NONE ? &t->first : &t->nodes[parent].first;
	size_t *last = parent == DF_TREE_NONE ? &t->last : &t->nodes[parent].last;
	size_t i = *first;

	/* texts of one pool are equal if their addresses are */
	while (i != DF_TREE_NONE && (t->nodes[i].text != text || !t->nodes[i].row != !row))
		i = t->nodes[i].next;
	if (i != DF_TREE_NONE || t->n == DF_TREE_NODES_MAX)
		return i;
	i = t->n++;
	t->nodes[i] = (struct df_tree_node){
		.text = text,
		.row = row,
		.depth = parent == DF_TREE_NONE ? 0 : t->nodes[parent].depth + 1,
		.parent = parent,
		.first = DF_TREE_NONE,
		.last = DF_TREE_NONE,
		.next = DF_TREE_NONE,
	};
	if (*first == DF_TREE_NONE)
		*first = i;
	else
		t->nodes[*last].next = i;
	*last = i;
	return i;
}

static void add_row(struct df_tree *t, const struct df_row *row)
{
	const char *target = row->domain ?: row->ip ?: row->socket ?: row->reason;
	size_t at = DF_TREE_NONE;

	if (!target || row->kind == DF_ROW_SHADOW)
		return;
	for (size_t i = row->ancestry.n; i-- > 0;) {
		at = add_node(t, at, row->ancestry.list[i], NULL);
		if (at == DF_TREE_NONE)
			break;
	}
	if (at != DF_TREE_NONE || row->ancestry.n == 0)
		at = add_node(t, at, row->cmd ?: unknown_command, NULL);
	if (at != DF_TREE_NONE)
		at = add_node(t, at, target, row);
	if (at == DF_TREE_NONE) {
		t->n_left_out++;
		return;
	}
	df_aggregate_add(&t->nodes[at].count, row->count);
	if (row->verdict < t->nodes[at].row->verdict)
		t->nodes[at].row = row;
}

int df_tree_build(const struct df_report_container *c, struct df_tree *ret)
{
	struct df_tree t = {.first = DF_TREE_NONE, .last = DF_TREE_NONE};

	t.nodes = reallocarray(NULL, DF_TREE_NODES_MAX, sizeof(*t.nodes));
	if (!t.nodes)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		add_row(&t, c->rows[i]);
	*ret = t;
	return 0;
}

void df_tree_done(struct df_tree *t)
{
	free(t->nodes);
	*t = (struct df_tree){0};
}

size_t df_tree_next(const struct df_tree *t, size_t i)
{
	if (t->nodes[i].first != DF_TREE_NONE)
		return t->nodes[i].first;
	while (i != DF_TREE_NONE && t->nodes[i].next == DF_TREE_NONE)
		i = t->nodes[i].parent;
	return i == DF_TREE_NONE ? DF_TREE_NONE : t->nodes[i].next;
}
