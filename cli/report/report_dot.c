/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report in DOT: for each container its commands, and what they reached for. */
#include "cli/report.h"
#include "cli/report/dot.h"
#include "cli/report/tree.h"

/* A name that several commands reached for is one node: the first that stands for it. */
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

static void put_node(FILE *out, size_t container, const struct df_tree *t, size_t i)
{
	const struct df_tree_node *n = &t->nodes[i];

	if (n->row && leaf_node(t, i) != i)
		return;
	(void)fprintf(out, "\t\tc%zu_%zu [label=", container, i);
	df_dot_text(out, n->text, NULL);
	if (n->row)
		(void)fprintf(out, ", shape=ellipse, color=%s", df_dot_colour(worst_of(t, i)));
	(void)fputs("];\n", out);
}

static void put_edge(FILE *out, size_t container, const struct df_tree *t, size_t i)
{
	const struct df_tree_node *n = &t->nodes[i];

	if (n->parent == DF_TREE_NONE)
		return;
	(void)fprintf(out, "\t\tc%zu_%zu -> c%zu_%zu", container, n->parent, container,
		      n->row ? leaf_node(t, i) : i);
	if (n->row)
		(void)fprintf(out, " [label=\"%s %llu\", color=%s]",
			      df_row_verdict_name(n->row->verdict), (unsigned long long)n->count,
			      df_dot_colour(n->row->verdict));
	(void)fputs(";\n", out);
}

static int put_container(FILE *out, size_t number, const struct df_report_container *c)
{
	char label[DF_LABEL_MAX];
	struct df_tree t;
	int r = df_tree_build(c, &t);

	if (r < 0)
		return r;
	(void)fprintf(out, "\tsubgraph cluster_%zu {\n\t\tlabel=", number);
	df_aggregate_label(c, label, sizeof(label));
	df_dot_text(out, label, NULL);
	(void)fputs(";\n", out);
	for (size_t i = 0; i < t.n; i++)
		put_node(out, number, &t, i);
	for (size_t i = 0; i < t.n; i++)
		put_edge(out, number, &t, i);
	if (t.n_left_out > 0)
		(void)fprintf(out, "\t\tc%zu_more [label=\"%zu more\", shape=plaintext];\n", number,
			      t.n_left_out);
	(void)fputs("\t}\n", out);
	df_tree_done(&t);
	return 0;
}

int df_report_dot(FILE *out, const struct df_report *r)
{
	int status = 0;

	df_dot_begin(out, "deployfence report");
	for (size_t i = 0; i < r->all.n && status == 0; i++)
		status = put_container(out, i, r->all.list[i]);
	df_dot_end(out);
	return status;
}
