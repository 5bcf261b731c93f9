/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report_read: a report in JSON (docs/report.schema.json) back into an aggregate.
 *
 * It may come from another host and another hand: one that is no report of this schema,
 * or says of a key what cannot be, is refused as a whole, and nothing of it is used.
 * Unknown keys are left alone.  Of a container that is known already the report that
 * knows more of its life counts, and the other does not.  No I/O.
 */
#ifndef DF_REPORT_READ_H
#define DF_REPORT_READ_H

#include <stddef.h>

#include "cli/report/aggregate.h"
#include "lib/base/json.h"

/* Of a report file: some 80,000 rows. */
#define DF_REPORT_FILE_MAX (64u << 20)
#define DF_REPORT_VALUES_MAX (2u << 20)
#define DF_REPORT_ERROR_MAX (DF_JSON_ERROR_MAX + 64)

/* 0; -EBADMSG: refused, error says why; -ENOMEM.  What is over a bound is counted. */
int df_report_read(struct df_aggregate *a, const char *text, size_t len,
		   char ret_error[static DF_REPORT_ERROR_MAX]);

#endif
