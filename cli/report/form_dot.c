/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report in the language of Graphviz (dot(1)): for each container its commands, and the targets
 * they asked for; a graph: services, their links, and the names that a rule is against.
 */
#include <string.h>

#include "cli/report/internal.h"

#define LABEL_MAX 60 /* columns */

/* In a label \N, \G, \n and the like have a meaning: each backslash is doubled. */
static void put_escaped(FILE *out, const char *text)
{
	struct df_text_reader r = df_text_begin(text, strlen(text), LABEL_MAX);
	size_t len;
	const char *piece;

	while ((piece = df_text_next(&r, &len))) {
		for (size_t i = 0; i < len; i++) {
			if (piece[i] == '"' || piece[i] == '\\')
				(void)fputc('\\', out);
			(void)fputc(piece[i], out);
		}
	}
}

/* A quoted string, cut to the size of a node. */
static void put_text(FILE *out, const char *text, const char *suffix)
{
	(void)fputc('"', out);
	put_escaped(out, text);
	put_escaped(out, suffix);
	(void)fputc('"', out);
}

static const char *colour_of(enum df_row_verdict verdict)
{
	switch (verdict) {
	case DF_ROW_BLOCKED:
		return "\"#c62828\"";
	case DF_ROW_WOULD_BLOCK:
		return "\"#b26a00\"";
	case DF_ROW_UNOBSERVED:
		return "\"#6a1b9a\"";
	case DF_ROW_ALLOWED:
	case DF_ROW_VERDICTS:
		break;
	}
	return "\"#37474f\"";
}

/* --- report */

/* Leaves with the same name are one node, the first of them. */
static size_t leaf_node(const struct df_tree *t, size_t leaf)
{
	for (size_t i = 0; i < leaf; i++)
		if (t->nodes[i].row && t->nodes[i].text == t->nodes[leaf].text)
			return i;
	return leaf;
}

static enum df_row_verdict worst_of(const struct df_tree *t, size_t leaf)
{
	enum df_row_verdict worst = t->nodes[leaf].row->verdict;

	for (size_t i = leaf; i < t->n; i++)
		if (t->nodes[i].row && t->nodes[i].text == t->nodes[leaf].text &&
		    t->nodes[i].row->verdict < worst)
			worst = t->nodes[i].row->verdict;
	return worst;
}

static void put_tree(struct df_writer *w, const struct df_tree *t)
{
	const size_t number = w->number;
	char label[DF_LABEL_MAX];
	FILE *out = w->out;

	(void)fprintf(out, "\tsubgraph cluster_%zu {\n\t\tlabel=", number);
	df_aggregate_label(w->container, label, sizeof(label));
	put_text(out, label, "");
	(void)fputs(";\n", out);
	for (size_t i = 0; i < t->n; i++) {
		const struct df_tree_node *n = &t->nodes[i];

		if (n->row && leaf_node(t, i) != i)
			continue;
		(void)fprintf(out, "\t\tc%zu_%zu [label=", number, i);
		put_text(out, n->text, "");
		if (n->row)
			(void)fprintf(out, ", shape=ellipse, color=%s", colour_of(worst_of(t, i)));
		(void)fputs("];\n", out);
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct df_tree_node *n = &t->nodes[i];

		if (n->parent == DF_TREE_NONE)
			continue;
		(void)fprintf(out, "\t\tc%zu_%zu -> c%zu_%zu", number, n->parent, number,
			      n->row ? leaf_node(t, i) : i);
		if (n->row)
			(void)fprintf(out, " [label=\"%s %llu\", color=%s]",
				      df_row_verdict_name(n->row->verdict),
				      (unsigned long long)n->count, colour_of(n->row->verdict));
		(void)fputs(";\n", out);
	}
	if (t->n_left_out > 0)
		(void)fprintf(out, "\t\tc%zu_more [label=\"%zu more\", shape=plaintext];\n", number,
			      t->n_left_out);
	(void)fputs("\t}\n", out);
}

/* --- graph */

static void put_contact(FILE *out, const struct df_graph *g, size_t contact)
{
	const struct df_graph_contact *c = &g->contacts[contact];

	for (size_t i = c->links; i < c->links + c->n_links; i++) {
		(void)fprintf(out, "\ts%zu -> s%zu [label=", c->service, g->links[i].to);
		put_text(out, c->name, g->links[i].is_guess ? "?" : "");
		(void)fprintf(out, "%s];\n", g->links[i].is_guess ? ", style=dashed" : "");
	}
	if (!c->is_against && c->blocked_for == DF_GRAPH_NONE)
		return;
	(void)fprintf(out, "\tn%zu [label=", contact);
	put_text(out, c->name, "");
	(void)fprintf(out, ", shape=ellipse, color=%s];\n", colour_of(c->row->verdict));
	(void)fprintf(out, "\ts%zu -> n%zu [label=", c->service, contact);
	put_text(out, df_graph_verdict(c), c->is_blocked_guess ? "?" : "");
	(void)fprintf(out, ", color=%s%s];\n", colour_of(c->row->verdict),
		      c->is_blocked_guess ? ", style=dashed" : "");
}

static void put_graph(struct df_writer *w, const struct df_graph *g)
{
	for (size_t i = 0; i < g->n_services; i++) {
		(void)fprintf(w->out, "\ts%zu [label=", i);
		put_text(w->out, g->services[i].label, "");
		(void)fputs("];\n", w->out);
	}
	for (size_t i = 0; i < g->n_contacts; i++)
		put_contact(w->out, g, i);
}

static void begin(struct df_writer *w)
{
	(void)fprintf(w->out,
		      "digraph \"deployfence %s\" {\n"
		      "\trankdir=LR;\n"
		      "\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
		      "\tedge [fontname=\"sans-serif\", fontsize=10];\n",
		      w->view == DF_VIEW_GRAPH ? "graph" : "report");
}

static void end(struct df_writer *w)
{
	(void)fputs("}\n", w->out);
}

const struct df_form df_form_dot = {
	.sections[DF_VIEW_REPORT] = DF_SECTION_LIST(DF_SECTION_CONTAINERS),
	.sections[DF_VIEW_GRAPH] = DF_SECTION_LIST(DF_SECTION_GRAPH),
	.container_sections = DF_SECTION_LIST(DF_SECTION_TREE),
	.begin = begin,
	.end = end,
	.tree = put_tree,
	.graph = put_graph,
};
