/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree: the commands of one container as a tree, with what each reached for as leaves.
 *
 * Commands that look alike below the same parent are one node, whatever their pids.
 */
#ifndef DF_TREE_H
#define DF_TREE_H

#include "cli/report/aggregate.h"

/* Beyond that nobody sees anything in a picture. */
#define DF_TREE_NODES_MAX 600
#define DF_TREE_NONE ((size_t)-1)

/* Strings belong to the report. */
struct df_tree_node {
	const char *text;                 /* command line; of a leaf the name or the address */
	const struct df_row *row;         /* of a leaf: the worst; NULL: a command */
	uint64_t count;                   /* of a leaf */
	unsigned depth;                   /* 0: at the top */
	size_t parent, first, last, next; /* DF_TREE_NONE: there is none */
};

struct df_tree {
	struct df_tree_node *nodes; /* owned */
	size_t n, first, last;
	size_t n_left_out; /* rows */
};

/* 0 or -ENOMEM. */
int df_tree_build(const struct df_report_container *c, struct df_tree *ret);
void df_tree_done(struct df_tree *t);

/* The node behind i from top to bottom, DF_TREE_NONE at the end; begin with t->first. */
size_t df_tree_next(const struct df_tree *t, size_t i);

#endif
