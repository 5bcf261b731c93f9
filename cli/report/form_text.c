/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report, a summary or a graph as text for people. */
#include <stdlib.h>
#include <string.h>

#include "cli/report/internal.h"
#include "lib/base/util.h"

/* Command lines have up to 1023 octets; JSON shows them whole. */
#define CMD_MAX 72
#define SCRIPT_MAX 40
#define SUMMARY_SCRIPT_MAX 60

#define NUMBER(name) .title = (name), .is_right = true

static const struct df_text_column row_columns[] = {
	{.title = "VERDICT"},
	{NUMBER("COUNT")},
	{.title = "DOMAIN"},
	{.title = "CLASS", .usual = "-"},
	{.title = "COMMAND", .max = CMD_MAX},
	{.title = "SCRIPT", .max = SCRIPT_MAX, .usual = "-"},
	{.title = "AT", .usual = "dns"},
	{.title = "RULE"},
	{.title = "RULE OWNER", .usual = "-"},
	{.title = "OWNER"},
	{.title = "BASELINE", .usual = "-"},
};
static const struct df_text_column new_columns[] = {
	{.title = "NEW"},
	{.title = "VERDICT"},
	{.title = "CLASS", .usual = "-"},
	{.title = "COMMAND", .max = CMD_MAX},
	{.title = "SCRIPT", .max = SCRIPT_MAX, .usual = "-"},
};
static const struct df_text_column gone_columns[] = {
	{.title = "GONE"},
	{.title = "VERDICT"},
	{.title = "CLASS", .usual = "-"},
	{.title = "COMMAND", .max = CMD_MAX},
	{.title = "SCRIPT", .max = SCRIPT_MAX, .usual = "-"},
};
static const struct df_text_column parent_columns[] = {
	{.title = "PARENT"},
	{NUMBER("NAMES")},
	{NUMBER("COUNT")},
	{NUMBER("REFUSED"), .usual = "0"},
	{NUMBER("WOULD-REFUSE"), .usual = "0"},
};
static const struct df_text_column rule_columns[] = {
	{NUMBER("AGAINST")},
	{NUMBER("NAMES")},
	{NUMBER("CONTAINERS")},
	{.title = "RULE"},
	{.title = "RULE OWNER", .usual = "-"},
	{.title = "OWNER"},
};
static const struct df_text_column script_columns[] = {
	{.title = "CLASS"},
	{.title = "SCRIPT", .max = SUMMARY_SCRIPT_MAX},
	{.title = "NAME"},
	{NUMBER("COUNT")},
	{NUMBER("REFUSED"), .usual = "0"},
	{NUMBER("WOULD-REFUSE"), .usual = "0"},
	{NUMBER("CONTAINERS")},
	{.title = "LAST"},
};
static const struct df_text_column class_columns[] = {
	{.title = "CLASS"},  {NUMBER("DEPENDENCIES")}, {NUMBER("COUNT")},
	{NUMBER("REFUSED")}, {NUMBER("WOULD-REFUSE")}, {NUMBER("RATE")},
};
static const struct df_text_column chain_columns[] = {
	{.title = "VERDICT"},
	{.title = "CHAIN"},
	{NUMBER("COUNT")},
	{.title = "RULE"},
	{.title = "RULE OWNER", .usual = "-"},
	{.title = "OWNER"},
	{.title = "BLOCKED-FOR", .usual = "-"},
};
static const struct df_text_column link_columns[] = {
	{.title = "FROM"}, {.title = "CONTACT"}, {.title = "TO"},
	{.title = "BY"},   {NUMBER("COUNT")},
};

#define TABLE(list) .columns = (list), .n_columns = ARRAY_SIZE(list)

static const char *colour_of(const struct df_report *r, enum df_row_verdict verdict)
{
	if (!r->has_colour)
		return NULL;
	switch (verdict) {
	case DF_ROW_BLOCKED:
		return "\033[31m";
	case DF_ROW_WOULD_BLOCK:
	case DF_ROW_UNOBSERVED:
		return "\033[33m";
	case DF_ROW_ALLOWED:
	case DF_ROW_VERDICTS:
		break;
	}
	return NULL;
}

/* --- containers */

static void put_fact(FILE *out, const char *key, const char *text)
{
	if (!text)
		return;
	(void)fprintf(out, "  %s ", key);
	(void)df_text_puts(out, text);
}

static void put_number(FILE *out, const char *key, uint64_t n)
{
	if (n > 0)
		(void)fprintf(out, "  %s %llu", key, (unsigned long long)n);
}

static void begin_container(struct df_writer *w)
{
	const struct df_report_container *c = w->container;
	FILE *out = w->out;

	if (w->number > 0)
		(void)fputc('\n', out);
	(void)df_text_put(out, c->id, df_text_id_len(c->id), DF_TEXT_ALL);
	put_fact(out, "policy", c->policy);
	put_fact(out, "mode", c->mode);
	(void)fprintf(out, "  queries %llu  refused %llu", (unsigned long long)c->n_queries,
		      (unsigned long long)c->n_blocked);
	put_number(out, "would-refuse", c->n_would_block);
	put_number(out, "connections", c->n_connections);
	put_number(out, "proxied", c->n_proxied);
	put_number(out, "search-attempts", c->n_search);
	put_fact(out, "name", c->name);
	put_fact(out, "image", c->image);
	if (!c->is_whole && c->is_imported)
		(void)fputs("  (incomplete)", out);
	else if (!c->is_whole)
		(void)fputs("  (incomplete: the first events are not there any more)", out);
	else if (c->has_gaps)
		(void)fputs("  (incomplete: there were more events than may be written)", out);
	else if (c->lost[DF_LOSS_EVENTS])
		(void)fputs("  (incomplete: some events could not be written)", out);
	if (c->unpinned.n > 0)
		(void)fprintf(out, "  (incomplete: %zu name%s addresses that are not refused)",
			      c->unpinned.n, c->unpinned.n == 1 ? " has" : "s have");
	(void)fputc('\n', out);
}

static void end_container(struct df_writer *w)
{
	const struct df_report_container *c = w->container;
	const char *between = "lost: ";
	FILE *out = w->out;

	if (c->n_suppressed > 0)
		(void)fprintf(out, "suppressed: %llu events were only counted\n",
			      (unsigned long long)c->n_suppressed);
	for (enum df_loss i = 0; i < DF_LOSSES; i++) {
		if (c->lost[i] == 0)
			continue;
		(void)fprintf(out, "%s%llu %s", between, (unsigned long long)c->lost[i],
			      df_loss_name(i));
		between = ", ";
	}
	if (between[0] == ',')
		(void)fputc('\n', out);
	if (c->is_ended && c->stop_queries > c->n_queries && (!c->is_whole || c->has_gaps))
		(void)fprintf(out, "the fence itself counted %llu queries, %llu refusals\n",
			      (unsigned long long)c->stop_queries,
			      (unsigned long long)c->stop_refused);
}

/* --- sections */

static void begin_summary(struct df_writer *w)
{
	const struct df_aggregate *all = &w->report->all;
	const uint64_t n_search = df_aggregate_search_attempts(all);
	struct df_class_sum sums[DF_CLASS_SUMS];
	struct df_text_table t = {TABLE(class_columns)};

	(void)fprintf(w->out, "%zu container%s", all->n, all->n == 1 ? "" : "s");
	if (*all->since)
		(void)fprintf(w->out, " since %s", all->since);
	(void)fputc('\n', w->out);
	if (n_search > 0)
		(void)fprintf(w->out, "%llu attempts of search lists are not counted\n",
			      (unsigned long long)n_search);
	(void)fputc('\n', w->out);
	df_totals_sum_classes(w->totals, sums);
	for (size_t i = 0; i < DF_CLASS_SUMS; i++) {
		const struct df_class_sum *s = &sums[i];

		df_text_row(&t, NULL, DF_CELL(s->name), DF_CELL(s->n_dependencies),
			    DF_CELL(s->count), DF_CELL(s->blocked), DF_CELL(s->would_block));
		df_text_cell(&t, 5, "%u.%u%%", s->against_per_mille / 10,
			     s->against_per_mille % 10);
	}
	df_text_print(w->out, &t);
}

static void begin_section(struct df_writer *w)
{
	static const struct df_text_table tables[DF_SECTIONS] = {
		[DF_SECTION_RULES] = {TABLE(rule_columns)},
		[DF_SECTION_SCRIPTS] = {TABLE(script_columns)},
		[DF_SECTION_NEW] = {TABLE(new_columns)},
		[DF_SECTION_GONE] = {TABLE(gone_columns)},
		[DF_SECTION_PARENTS] = {TABLE(parent_columns)},
		[DF_SECTION_NAMES_AND_CONNECTIONS] = {TABLE(row_columns)},
		[DF_SECTION_SHADOW] = {TABLE(row_columns)},
	};
	const struct df_baseline *b = w->report->baseline;

	w->table = tables[w->section];
	if (w->section == DF_SECTION_SCRIPTS)
		begin_summary(w);
	if (w->section == DF_SECTION_NEW) {
		(void)fprintf(w->out, "\n%zu new, %zu gone since ", b->n_added, b->n_gone);
		(void)df_text_puts(w->out, b->file);
		(void)fputc('\n', w->out);
	}
}

static void end_section(struct df_writer *w)
{
	const bool is_any = w->table.n > 0;

	if (w->section == DF_SECTION_SHADOW && is_any)
		(void)fputs("\nthe shadow policy:\n", w->out);
	else if (is_any && w->section != DF_SECTION_PARENTS &&
		 w->section != DF_SECTION_NAMES_AND_CONNECTIONS)
		(void)fputc('\n', w->out);
	df_text_print(w->out, &w->table);
	if (w->section == DF_SECTION_PARENTS && is_any)
		(void)fputc('\n', w->out);
}

static void put_row(struct df_writer *w, const struct df_row *row)
{
	const char *verdict = df_row_verdict_name(row->verdict);
	const char *class = row->domain ? df_class_name(row->class) : NULL;
	char target[DF_ROW_TARGET_MAX];

	df_row_target(row, target, sizeof(target));
	if (w->section == DF_SECTION_NEW || w->section == DF_SECTION_GONE)
		df_text_row(&w->table, NULL, DF_CELL(target), DF_CELL(verdict), DF_CELL(class),
			    DF_CELL(row->cmd), DF_CELL(row->script));
	else
		df_text_row(&w->table, colour_of(w->report, row->verdict), DF_CELL(verdict),
			    DF_CELL(row->count), DF_CELL(target), DF_CELL(class), DF_CELL(row->cmd),
			    DF_CELL(row->script), DF_CELL(row->at),
			    DF_CELL(row->rule ? row->rule : row->reason), DF_CELL(row->rule_owner),
			    DF_CELL(row->owner), DF_CELL(row->is_new ? "new" : NULL));
}

static void put_note(struct df_writer *w, const struct df_report_note *n)
{
	(void)fputs(n->what ? "finding " : "", w->out);
	(void)df_text_puts(w->out, n->what ? n->what : n->event);
	if (!n->what && n->count > 1)
		(void)fprintf(w->out, " (%llu times)", (unsigned long long)n->count);
	(void)fputs(": ", w->out);
	(void)df_text_puts(w->out, n->text ? n->text : "-");
	(void)fputc('\n', w->out);
}

static void put_total(struct df_writer *w, const struct df_total *t)
{
	/* domains without the dot at their end, as people write them */
	if (w->section == DF_SECTION_SCRIPTS) {
		df_text_row(&w->table, NULL, DF_CELL(df_class_name(t->class)), DF_CELL(t->key),
			    DF_CELL(""), DF_CELL(t->count), DF_CELL(t->blocked),
			    DF_CELL(t->would_block), DF_CELL(t->n_containers));
		df_text_cell(&w->table, 2, "%.*s", (int)df_class_len(t->second), t->second);
		df_text_cell(&w->table, 7, "%.19s", t->last);
	} else if (w->section == DF_SECTION_PARENTS && t->n_names > 1) {
		df_text_row(&w->table, NULL, DF_CELL(""), DF_CELL(t->n_names), DF_CELL(t->count),
			    DF_CELL(t->blocked), DF_CELL(t->would_block));
		df_text_cell(&w->table, 0, "%.*s", (int)df_class_len(t->key), t->key);
	} else if (w->section == DF_SECTION_RULES && w->n > 1) {
		df_text_row(&w->table, NULL, DF_CELL(t->count), DF_CELL(t->n_names),
			    DF_CELL(t->n_containers), DF_CELL(t->key), DF_CELL(t->rule_owner),
			    DF_CELL(t->second));
	} /* else the tables of containers have it */
}

/* --- graph */

static void put_graph_count(FILE *out, size_t n, const char *what, const char *behind)
{
	(void)fprintf(out, "%zu %s%s%s", n, what, n == 1 ? "" : "s", behind);
}

static void print_graph_table(FILE *out, struct df_text_table *t)
{
	if (t->n > 0)
		(void)fputc('\n', out);
	df_text_print(out, t);
}

static void put_graph(struct df_writer *w, const struct df_graph *g)
{
	struct df_text_table chains = {TABLE(chain_columns)}, links = {TABLE(link_columns)};

	put_graph_count(w->out, g->n_services, "service", ", ");
	put_graph_count(w->out, g->n_links, "link", ", ");
	put_graph_count(w->out, g->n_chains, "chain", " to a blocked name\n");
	for (size_t i = 0; i < g->n_chains; i++) {
		const struct df_graph_contact *end = &g->contacts[g->chains[i].end];
		_cleanup_free_ char *text = df_graph_chain_text(g, &g->chains[i]);

		df_text_row(&chains, colour_of(w->report, end->row->verdict),
			    DF_CELL(df_graph_verdict(end)), DF_CELL(text), DF_CELL(end->count),
			    DF_CELL(end->row->rule ? end->row->rule : end->row->reason),
			    DF_CELL(end->row->rule_owner), DF_CELL(end->row->owner),
			    DF_CELL(end->blocked_for != DF_GRAPH_NONE
					    ? g->services[end->blocked_for].label
					    : NULL));
	}
	print_graph_table(w->out, &chains);
	for (size_t i = 0; i < g->n_links; i++) {
		const struct df_graph_link *l = &g->links[i];
		const struct df_graph_contact *c = &g->contacts[l->contact];

		df_text_row(&links, NULL, DF_CELL(g->services[c->service].label), DF_CELL(c->name),
			    DF_CELL(g->services[l->to].label), DF_CELL(""), DF_CELL(c->count));
		df_text_cell(&links, 3, "%s%s", df_graph_by_name(l->by),
			     l->is_guess ? " (a guess)" : "");
	}
	print_graph_table(w->out, &links);
	if (g->is_cut)
		(void)fputs("\nthere is more than is shown\n", w->out);
}

static void end(struct df_writer *w)
{
	const struct df_aggregate *all = &w->report->all;
	const char *between = all->n ? "\n" : "";

	if (all->n_damaged)
		(void)fprintf(w->out, "%s%llu damaged line%s left out\n", between,
			      (unsigned long long)all->n_damaged,
			      all->n_damaged == 1 ? " was" : "s were");
	if (all->n_left_out)
		(void)fprintf(w->out, "%s%llu entr%s over what a report may hold, and left out\n",
			      all->n_damaged ? "" : between, (unsigned long long)all->n_left_out,
			      all->n_left_out == 1 ? "y was" : "ies were");
}

const struct df_form df_form_text = {
	.sections[DF_VIEW_REPORT] = DF_SECTION_LIST(DF_SECTION_CONTAINERS, DF_SECTION_RULES,
						    DF_SECTION_NEW, DF_SECTION_GONE),
	.sections[DF_VIEW_SUMMARY] = DF_SECTION_LIST(DF_SECTION_SCRIPTS),
	.sections[DF_VIEW_GRAPH] = DF_SECTION_LIST(DF_SECTION_GRAPH),
	.container_sections = DF_SECTION_LIST(DF_SECTION_FINDINGS, DF_SECTION_PARENTS,
					      DF_SECTION_NAMES_AND_CONNECTIONS, DF_SECTION_SHADOW,
					      DF_SECTION_EVENTS),
	.end = end,
	.begin_container = begin_container,
	.end_container = end_container,
	.begin_section = begin_section,
	.end_section = end_section,
	.row = put_row,
	.note = put_note,
	.total = put_total,
	.graph = put_graph,
};
