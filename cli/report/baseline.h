/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baseline: what a report has that an earlier one had not.
 *
 * A dependency is a name, or an address and port, whoever asked: command lines and
 * containers change from run to run.  What a shadow policy says is none.
 */
#ifndef DF_BASELINE_H
#define DF_BASELINE_H

#include "cli/report/aggregate.h"

/* Rows stand for their name, or address and port; each once, sorted.  Owned lists. */
struct df_baseline {
	const char *file;            /* as it was given */
	const struct df_row **added; /* of the report; of several the first that is shown */
	const struct df_row **gone;  /* of the baseline */
	size_t n_added, n_gone;
};

/* Marks rows of now as new.  Both are sorted, and outlive *ret.  0, -ENOMEM. */
int df_baseline_compare(const struct df_aggregate *now, const struct df_aggregate *then,
			struct df_baseline *ret);
void df_baseline_done(struct df_baseline *b);

#endif
