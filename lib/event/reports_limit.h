/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reports_limit: how much report-dir holds, and what goes when it is too much.  Part of reports. */
#ifndef DF_REPORTS_LIMIT_H
#define DF_REPORTS_LIMIT_H

#include "lib/event/reports.h"

#define DF_REPORTS_TEMPORARY ".new" /* end of the name of a file that is being written */

/*
 * Adds to the directory's sum, and looks at every file if the sum passes a limit,
 * is unknown, or was counted an hour ago.  Whoever finds it locked for long leaves
 * it to the next.
 */
void df_reports_account(int dir_fd, off_t octets, bool is_new,
			const struct df_reports_limits *limits);

#endif
