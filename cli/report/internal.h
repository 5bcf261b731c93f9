/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of cli/report that only its forms share: form.c, which traverses a report, and form_text.c,
 * form_json.c, form_sarif.c, form_html.c and form_dot.c, which write it.
 */
#ifndef DF_REPORT_INTERNAL_H
#define DF_REPORT_INTERNAL_H

#include "cli/report/graph.h"
#include "cli/report/report.h"
#include "cli/text.h"

enum df_section {
	DF_SECTION_END, /* behind the last one of a list of sections */

	/* of the whole report */
	DF_SECTION_CONTAINERS,
	DF_SECTION_RULES,   /* totals by rule and owners */
	DF_SECTION_SCRIPTS, /* totals by class, script and name */
	DF_SECTION_NEW,     /* rows that the baseline has not; only if there is a baseline */
	DF_SECTION_GONE,    /* rows that only the baseline has; the same */
	DF_SECTION_GRAPH,

	/* of one container */
	DF_SECTION_PARENTS, /* totals by the parent of a name */
	DF_SECTION_NAMES,   /* rows */
	DF_SECTION_CONNECTIONS,
	DF_SECTION_NAMES_AND_CONNECTIONS,
	DF_SECTION_SHADOW,
	DF_SECTION_FINDINGS, /* notes */
	DF_SECTION_EVENTS,
	DF_SECTION_FINDINGS_AND_EVENTS,
	DF_SECTION_TREE,
	DF_SECTIONS,
};

#define DF_SECTION_LIST(...) ((const enum df_section[]){__VA_ARGS__, DF_SECTION_END})

struct df_writer {
	FILE *out;
	const struct df_report *report;
	const struct df_form *form;
	enum df_view view;
	struct df_report_container *container; /* of a section of one container … */
	size_t number;                         /* … its place in the report */
	enum df_section section;
	size_t n;                       /* items of the section */
	const struct df_totals *totals; /* of the section */
	struct df_json_out json;        /* of JSON and SARIF */
	struct df_text_table table;     /* of text */
	int status;                     /* 0, -ENOMEM; the first error ends the traversal */
};

/* Functions are NULL where a form has nothing to write. */
struct df_form {
	const enum df_section *sections[DF_VIEWS]; /* NULL: the form has no such view */
	const enum df_section *container_sections;
	void (*begin)(struct df_writer *w);
	void (*end)(struct df_writer *w);
	void (*begin_container)(struct df_writer *w);
	void (*end_container)(struct df_writer *w);
	void (*begin_section)(struct df_writer *w); /* of items */
	void (*end_section)(struct df_writer *w);
	/* the items of a section */
	void (*row)(struct df_writer *w, const struct df_row *row);
	void (*note)(struct df_writer *w, const struct df_report_note *note);
	void (*total)(struct df_writer *w, const struct df_total *total);
	void (*tree)(struct df_writer *w, const struct df_tree *tree);
	void (*graph)(struct df_writer *w, const struct df_graph *graph);
};

#endif
