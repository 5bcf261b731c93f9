/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * html: the parts of a report in HTML: one file, nothing from elsewhere, no script.
 *
 * Every text goes through df_html_text, in elements, attributes and SVG alike: its five
 * characters are entities, and what would reorder a line is shown as df_escape does.
 * Attribute values stand in double quotes.
 */
#ifndef DF_HTML_H
#define DF_HTML_H

#include <stdio.h>

#include "cli/report/aggregate.h"

/* At most max columns; DF_TEXT_ALL: all of it.  text NULL: nothing. */
void df_html_text(FILE *out, const char *text, size_t max);

/* Name or address of a row, as text. */
void df_html_target(FILE *out, const struct df_row *row, size_t max);

/* Doctype to <body>, and its end. */
void df_html_begin(FILE *out, const char *title);
void df_html_end(FILE *out);

/* When each name was asked for; nothing where no time is known. */
void df_html_timeline(FILE *out, const struct df_report_container *c);

/* Commands, and what they reached for.  0 or -ENOMEM. */
int df_html_tree(FILE *out, const struct df_report_container *c);

#endif
