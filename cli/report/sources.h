/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sources: reads the sources of a report: fences of this host, files of events, and reports in
 * JSON.
 *
 * Each function returns 0, or an exit status after an error message.  After an error of one source
 * the others are still read.
 */
#ifndef DF_SOURCES_H
#define DF_SOURCES_H

#include <stdbool.h>

#include "cli/report/aggregate.h"

/*
 * Events of the one fence whose id is the prefix, else begins with it; NULL: of all fences.  An
 * event in both /run/deployfence and report-dir counts once.
 */
int df_sources_fences(struct df_aggregate *a, const char *prefix);

/* Whether an argument names a file, and no id: ids have no slash. */
bool df_sources_is_file(const char *argument);

/*
 * Reads files of events first, then reports: of a container in both the events count, unless the
 * report has later ones.
 */
int df_sources_files(struct df_aggregate *a, char *const *paths, int n);

#endif
