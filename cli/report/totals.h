/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * totals: sums over the rows of a report by one thing that they have in common: the
 * parent of their name, their rule and its owner, their script and name.
 */
#ifndef DF_TOTALS_H
#define DF_TOTALS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/report/aggregate.h"

struct df_total {
	const char *key;        /* parent, rule, or script; NULL: none */
	const char *second;     /* the container's owner, or name; NULL: none */
	const char *rule_owner; /* NULL: none, or no totals of rules */
	enum df_class class;
	uint64_t count, blocked, would_block;
	uint64_t n_names;      /* distinct domains, or addresses */
	uint64_t n_containers; /* distinct ones */
	char last[DF_TIME_MAX];
};

/* Owned list; strings belong to the report. */
struct df_totals {
	struct df_total *list;
	size_t n;
};

/* Names of one container by their parent, in the order of its rows. */
int df_totals_by_parent(const struct df_report_container *c, struct df_totals *ret);
/* What rules are against, of all containers, by rule and owner; the most refused first. */
int df_totals_by_rule(const struct df_aggregate *a, struct df_totals *ret);
/*
 * Names of all containers by class, script and name.  Where no shell or make runs a file,
 * the first command of the container stands for the script.
 */
int df_totals_by_script(const struct df_aggregate *a, struct df_totals *ret);
void df_totals_done(struct df_totals *t);

/* The script of a row, as df_totals_by_script has it; NULL: nobody is known. */
const char *df_totals_script(const struct df_row *row);

#endif
