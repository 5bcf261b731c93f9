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
 * The fences whose id begins with prefix: exactly one; NULL: all.  Of each what is in
 * /run/deployfence and what is kept in report-dir, every event once.
 */
int df_sources_fences(struct df_aggregate *a, const char *prefix);

/* Whether an argument is a file, and not an id: ids have no slash. */
bool df_sources_is_file(const char *argument);

/*
 * Files of events, then reports, in that order: of a container in both the events count,
 * unless the report knows more.
 */
int df_sources_files(struct df_aggregate *a, char *const *paths, int n);

#endif
