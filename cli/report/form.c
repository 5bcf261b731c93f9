/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The traversal of a report, which calls the functions of a form. */
#include "cli/report/internal.h"

static void call(struct df_writer *w, void (*function)(struct df_writer *w))
{
	if (function)
		function(w);
}

static bool has_row(enum df_section section, const struct df_row *row)
{
	static const unsigned kinds[DF_SECTIONS] = {
		[DF_SECTION_NEW] = ~0u,
		[DF_SECTION_GONE] = ~0u,
		[DF_SECTION_NAMES] = 1u << DF_ROW_NAME,
		[DF_SECTION_CONNECTIONS] = 1u << DF_ROW_CONNECTION,
		[DF_SECTION_NAMES_AND_CONNECTIONS] = 1u << DF_ROW_NAME | 1u << DF_ROW_CONNECTION,
		[DF_SECTION_SHADOW] = 1u << DF_ROW_SHADOW,
	};

	return kinds[section] >> row->kind & 1;
}

static void visit_list(struct df_writer *w, const struct df_row *const *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->n += has_row(w->section, rows[i]);
	call(w, w->form->begin_section);
	for (size_t i = 0; i < n; i++)
		if (has_row(w->section, rows[i]))
			w->form->row(w, rows[i]);
	call(w, w->form->end_section);
}

static void visit_rows(struct df_writer *w)
{
	visit_list(w, (const struct df_row *const *)w->container->rows, w->container->n);
}

static void visit_baseline(struct df_writer *w)
{
	const struct df_baseline *b = w->report->baseline;

	if (b && w->section == DF_SECTION_NEW)
		visit_list(w, b->added, b->n_added);
	else if (b)
		visit_list(w, b->gone, b->n_gone);
}

static bool has_note(enum df_section section, const struct df_report_note *note)
{
	return section == DF_SECTION_FINDINGS_AND_EVENTS ||
	       !note->what == (section == DF_SECTION_EVENTS);
}

static void visit_notes(struct df_writer *w)
{
	const struct df_report_container *c = w->container;

	for (size_t i = 0; i < c->n_notes; i++)
		w->n += has_note(w->section, &c->notes[i]);
	call(w, w->form->begin_section);
	for (size_t i = 0; i < c->n_notes; i++)
		if (has_note(w->section, &c->notes[i]))
			w->form->note(w, &c->notes[i]);
	call(w, w->form->end_section);
}

static void visit_totals(struct df_writer *w)
{
	const struct df_aggregate *all = &w->report->all;
	struct df_totals totals;

	w->status = w->section == DF_SECTION_RULES     ? df_totals_by_rule(all, &totals)
		    : w->section == DF_SECTION_SCRIPTS ? df_totals_by_script(all, &totals)
						       : df_totals_by_parent(w->container, &totals);
	if (w->status < 0)
		return;
	w->totals = &totals;
	w->n = totals.n;
	call(w, w->form->begin_section);
	for (size_t i = 0; i < totals.n; i++)
		w->form->total(w, &totals.list[i]);
	call(w, w->form->end_section);
	w->totals = NULL;
	df_totals_done(&totals);
}

static void visit_tree(struct df_writer *w)
{
	struct df_tree tree;

	w->status = df_tree_build(w->container, &tree);
	if (w->status < 0)
		return;
	w->form->tree(w, &tree);
	df_tree_done(&tree);
}

static void visit_graph(struct df_writer *w)
{
	struct df_graph graph = {.all = &w->report->all};

	w->status = df_graph_build(&graph);
	if (w->status == 0)
		w->form->graph(w, &graph);
	df_graph_done(&graph);
}

static void visit_containers(struct df_writer *w);

static void visit_sections(struct df_writer *w, const enum df_section *sections)
{
	static void (*const visit[DF_SECTIONS])(struct df_writer * w) = {
		[DF_SECTION_CONTAINERS] = visit_containers,
		[DF_SECTION_RULES] = visit_totals,
		[DF_SECTION_SCRIPTS] = visit_totals,
		[DF_SECTION_NEW] = visit_baseline,
		[DF_SECTION_GONE] = visit_baseline,
		[DF_SECTION_GRAPH] = visit_graph,
		[DF_SECTION_PARENTS] = visit_totals,
		[DF_SECTION_NAMES] = visit_rows,
		[DF_SECTION_CONNECTIONS] = visit_rows,
		[DF_SECTION_NAMES_AND_CONNECTIONS] = visit_rows,
		[DF_SECTION_SHADOW] = visit_rows,
		[DF_SECTION_FINDINGS] = visit_notes,
		[DF_SECTION_EVENTS] = visit_notes,
		[DF_SECTION_FINDINGS_AND_EVENTS] = visit_notes,
		[DF_SECTION_TREE] = visit_tree,
	};

	for (; *sections != DF_SECTION_END && w->status == 0; sections++) {
		w->section = *sections;
		w->n = 0;
		visit[w->section](w);
	}
}

static void visit_containers(struct df_writer *w)
{
	const struct df_aggregate *all = &w->report->all;

	w->n = all->n;
	call(w, w->form->begin_section);
	for (size_t i = 0; i < all->n && w->status == 0; i++) {
		w->number = i;
		w->container = all->list[i];
		call(w, w->form->begin_container);
		visit_sections(w, w->form->container_sections);
		call(w, w->form->end_container);
	}
	w->section = DF_SECTION_CONTAINERS;
	call(w, w->form->end_section);
}

bool df_report_has_view(const struct df_form *form, enum df_view view)
{
	return form->sections[view];
}

int df_report_write(FILE *out, const struct df_report *r, const struct df_form *form,
		    enum df_view view)
{
	struct df_writer w = {
		.out = out, .report = r, .form = form, .view = view, .json = {.out = out}};

	call(&w, form->begin);
	visit_sections(&w, form->sections[view]);
	call(&w, form->end);
	return w.status;
}
