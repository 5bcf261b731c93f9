/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * derive: data computed from a sorted aggregate: totals over its rows, the difference to an
 * earlier report, the tree of the commands of one container.  Strings and rows belong to the
 * aggregate, the lists to the caller.  No I/O.
 */
#ifndef DF_DERIVE_H
#define DF_DERIVE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/report/aggregate.h"

/* The sum over rows with the same class and keys. */
struct df_total {
	const char *key;        /* parent, rule, or script; NULL: none */
	const char *rule_owner; /* NULL: none, or no totals of rules */
	const char *second;     /* the container's owner, or name; NULL: none */
	enum df_class class;
	uint64_t count, blocked, would_block;
	uint64_t n_names;      /* distinct domains, or addresses */
	uint64_t n_containers; /* distinct ones */
	char last[DF_TIME_MAX];
};

struct df_totals {
	struct df_total *list;
	size_t n;
};

/* Each returns 0 or -ENOMEM. */

/* Names of a container by their parent (df_class_parent); refused ones first. */
int df_totals_by_parent(struct df_report_container *c, struct df_totals *ret);
/* Rows that a rule is against, of all containers, by rule and owners; the most frequent first. */
int df_totals_by_rule(const struct df_aggregate *a, struct df_totals *ret);
/*
 * Names of all containers by class, script and name.  Where no shell or make runs a file, the
 * first command of the container stands for the script.
 */
int df_totals_by_script(const struct df_aggregate *a, struct df_totals *ret);
void df_totals_done(struct df_totals *t);

/* Sums over the totals of one class each, direct ones first, and over all of them. */
enum { DF_CLASS_SUM_ALL = DF_CLASS_DIRECT + 1, DF_CLASS_SUMS };
struct df_class_sum {
	const char *name; /* "direct", "hidden", "unknown", "all" */
	uint64_t n_dependencies, count, blocked, would_block;
	unsigned against_per_mille; /* blocked or would-block, of count */
};

void df_totals_sum_classes(const struct df_totals *t,
			   struct df_class_sum ret[static DF_CLASS_SUMS]);

/*
 * The difference to an earlier report.  A dependency is a name, or an address and port, whatever
 * command asked for it: command lines and containers change from run to run.  Verdicts of a
 * shadow policy do not count.  Each dependency occurs once, as one of its rows; sorted.
 */
struct df_baseline {
	const char *file;            /* as it was given */
	const struct df_row **added; /* of the report; of several the first that is shown */
	const struct df_row **gone;  /* of the baseline */
	size_t n_added, n_gone;
};

/* Marks rows of now as new.  Both aggregates outlive *ret.  0, -ENOMEM. */
int df_baseline_compare(const struct df_aggregate *now, const struct df_aggregate *then,
			struct df_baseline *ret);
void df_baseline_done(struct df_baseline *b);

#define DF_TREE_NODES_MAX 600 /* no picture of more is readable */
#define DF_TREE_NONE ((size_t)-1)

struct df_tree_node {
	const char *text;                 /* command line; of a leaf the name or the address */
	const struct df_row *row;         /* of a leaf: the worst; NULL: a command */
	uint64_t count;                   /* of a leaf */
	unsigned depth;                   /* 0: at the top */
	size_t parent, first, last, next; /* DF_TREE_NONE: there is none */
};

/*
 * The commands of one container as a tree; leaves are the targets that each asked for.  Commands
 * with equal command lines below the same parent are one node, whatever their pids.
 */
struct df_tree {
	struct df_tree_node *nodes;
	size_t n, first, last;
	size_t n_left_out; /* rows */
};

/* 0 or -ENOMEM. */
int df_tree_build(const struct df_report_container *c, struct df_tree *ret);
void df_tree_done(struct df_tree *t);

/* The node behind i from top to bottom, DF_TREE_NONE at the end; begin with t->first. */
size_t df_tree_next(const struct df_tree *t, size_t i);

#endif
