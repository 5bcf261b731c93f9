/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report: the forms in which deployfence report shows a sorted aggregate.
 *
 * One traversal calls the functions of a form in the order of its sections.  Every string of the
 * aggregate was chosen by somebody else, and each form escapes it.
 */
#ifndef DF_REPORT_H
#define DF_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/report/aggregate.h"
#include "cli/report/derive.h"
#include "lib/base/json.h"

enum df_view { DF_VIEW_REPORT, DF_VIEW_SUMMARY, DF_VIEW_GRAPH, DF_VIEWS };

struct df_report {
	struct df_aggregate all;
	const struct df_baseline *baseline; /* NULL: none */
	bool has_colour;
};

struct df_form;
extern const struct df_form df_form_text, df_form_json, df_form_sarif, df_form_html, df_form_dot;

bool df_report_has_view(const struct df_form *form, enum df_view view);

/*
 * Writes a view that the form has.  ferror(out) shows an error of the file.  -ENOMEM: parts are
 * missing, and no message was printed; else 0.
 */
int df_report_write(FILE *out, const struct df_report *r, const struct df_form *form,
		    enum df_view view);

/* Of a report file: some 80,000 rows. */
#define DF_REPORT_FILE_MAX (64u << 20)
#define DF_REPORT_VALUES_MAX (2u << 20)
#define DF_REPORT_ERROR_MAX (DF_JSON_ERROR_MAX + 64)

/*
 * Reads a report in JSON (docs/report.schema.json) back into an aggregate.
 *
 * It may come from another host and another hand: one that is no report of this schema, or has
 * an impossible value, is refused as a whole.  Unknown keys are ignored.  Of a container that is
 * known already, the report with the later last event counts, and the other does not.
 * 0; -EBADMSG: refused, the error tells why; -ENOMEM.  Entries over a bound are counted.
 */
int df_report_read(struct df_aggregate *a, const char *text, size_t len,
		   char ret_error[static DF_REPORT_ERROR_MAX]);

#endif
