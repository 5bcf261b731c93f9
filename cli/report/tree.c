/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/tree.h"

#include <errno.h>
#include <stdlib.h>

static const char nobody[] = "(nobody known)";

/* The child of parent with this text; texts of one pool are equal if they are the same. */
static size_t find(const struct df_tree *t, size_t parent, const char *text, bool is_leaf)
{
	size_t i = parent == DF_TREE_NONE ? t->first : t->nodes[parent].first;

	while (i != DF_TREE_NONE && (t->nodes[i].text != text || !t->nodes[i].row == is_leaf))
		i = t->nodes[i].next;
	return i;
}

/* DF_TREE_NONE: the tree is full. */
static size_t add(struct df_tree *t, size_t parent, const char *text, const struct df_row *row)
{
	size_t i = find(t, parent, text, row != NULL);
	size_t *first = parent == DF_TREE_NONE ? &t->first : &t->nodes[parent].first;
	size_t *last = parent == DF_TREE_NONE ? &t->last : &t->nodes[parent].last;

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
	const char *target = row->domain   ? row->domain
			     : row->ip     ? row->ip
			     : row->socket ? row->socket
					   : row->reason;
	size_t at = DF_TREE_NONE;

	if (!target || row->kind == DF_ROW_SHADOW)
		return;
	for (size_t i = row->ancestry.n; i-- > 0;) {
		at = add(t, at, row->ancestry.list[i], NULL);
		if (at == DF_TREE_NONE)
			break;
	}
	if (at != DF_TREE_NONE || row->ancestry.n == 0)
		at = add(t, at, row->cmd ? row->cmd : nobody, NULL);
	if (at != DF_TREE_NONE)
		at = add(t, at, target, row);
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
