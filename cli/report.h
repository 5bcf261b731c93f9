/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report: the forms in which deployfence report shows a sorted aggregate.
 *
 * Whatever the aggregate holds was somebody else's to choose: each form escapes it.
 * An error of the file shows in ferror.  -ENOMEM: something is missing, and nobody
 * was told; else 0.
 */
#ifndef DF_REPORT_H
#define DF_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/report/aggregate.h"
#include "cli/report/baseline.h"

struct df_report {
	struct df_aggregate all;
	const struct df_baseline *baseline; /* NULL: none */
	bool has_colour;
};

int df_report_text(FILE *out, const struct df_report *r);
int df_report_json(FILE *out, const struct df_report *r);
int df_report_sarif(FILE *out, const struct df_report *r);
int df_report_html(FILE *out, const struct df_report *r);
int df_report_dot(FILE *out, const struct df_report *r);

/* --summary */
int df_summary_text(FILE *out, const struct df_report *r);
int df_summary_json(FILE *out, const struct df_report *r);

/* "\033[31m" and so on; NULL: none. */
const char *df_report_colour(const struct df_report *r, enum df_row_verdict verdict);

/* What of the report was left out, and damaged lines; nothing if all is there. */
void df_report_text_gaps(FILE *out, const struct df_report *r);

#endif
