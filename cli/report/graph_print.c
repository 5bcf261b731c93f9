/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence report --graph as text, JSON and DOT. */
#include <string.h>

#include "cli/cli.h"
#include "cli/report/dot.h"
#include "cli/report/graph.h"
#include "cli/text.h"
#include "lib/base/util.h"

#define ARROW " → "

static const char *by_name(enum df_graph_by by)
{
	return by == DF_GRAPH_BY_NAME ? "name" : "address";
}

static const struct df_graph_contact *contact_of(const struct df_graph *g, size_t link)
{
	return &g->contacts[g->links[link].contact];
}

static const struct df_graph_service *service_of(const struct df_graph *g,
						 const struct df_graph_contact *c)
{
	return &g->services[c->service];
}

static bool is_chain_guess(const struct df_graph *g, const struct df_graph_chain *chain)
{
	bool is_guess = g->contacts[chain->end].is_blocked_guess;

	for (size_t i = 0; i < chain->n; i++)
		is_guess |= g->links[chain->links[i]].is_guess;
	return is_guess;
}

/* "deploy-web → artifacts.internal → github.com"; a guess has a "?" behind it. */
static char *chain_text(const struct df_graph *g, const struct df_graph_chain *chain)
{
	const struct df_graph_contact *end = &g->contacts[chain->end];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	(void)fputs(service_of(g, contact_of(g, chain->links[0]))->label, out);
	for (size_t i = 0; i < chain->n; i++)
		(void)fprintf(out, ARROW "%s%s", contact_of(g, chain->links[i])->name,
			      g->links[chain->links[i]].is_guess ? "?" : "");
	(void)fprintf(out, ARROW "%s%s", end->name, end->is_blocked_guess ? "?" : "");
	return fclose(out) == 0 ? text : NULL;
}

/* Where the name is allowed, and blocked for another. */
static const char *end_verdict(const struct df_graph_contact *c)
{
	if (c->row->kind == DF_ROW_SHADOW)
		return "shadow-would-block";
	return df_row_verdict_name(c->row->verdict);
}

/* --- text */

static void put_chains(FILE *out, const struct df_graph *g, const struct df_report *r)
{
	static const struct df_column columns[] = {
		{.title = "VERDICT"},
		{.title = "CHAIN"},
		{.title = "COUNT", .is_right = true},
		{.title = "RULE"},
		{.title = "RULE OWNER", .usual = "-"},
		{.title = "OWNER"},
		{.title = "BLOCKED-FOR", .usual = "-"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < g->n_chains && !t.is_failed; i++) {
		const struct df_graph_contact *end = &g->contacts[g->chains[i].end];
		_cleanup_free_ char *text = chain_text(g, &g->chains[i]);

		df_table_row(&t, df_report_colour(r, end->row->verdict));
		df_table_cell(&t, 0, end_verdict(end));
		df_table_cell(&t, 1, text);
		df_table_cellf(&t, 2, "%llu", (unsigned long long)end->count);
		df_table_cell(&t, 3, end->row->rule ? end->row->rule : end->row->reason);
		df_table_cell(&t, 4, end->row->rule_owner);
		df_table_cell(&t, 5, end->row->owner);
		if (end->blocked_for != DF_GRAPH_NONE)
			df_table_cell(&t, 6, g->services[end->blocked_for].label);
	}
	if (t.n > 0)
		(void)fputc('\n', out);
	df_table_print(out, &t);
}

static void put_links(FILE *out, const struct df_graph *g)
{
	static const struct df_column columns[] = {
		{.title = "FROM"},
		{.title = "CONTACT"},
		{.title = "TO"},
		{.title = "BY"},
		{.title = "COUNT", .is_right = true},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < g->n_links && !t.is_failed; i++) {
		const struct df_graph_link *l = &g->links[i];
		const struct df_graph_contact *c = contact_of(g, i);

		df_table_row(&t, NULL);
		df_table_cell(&t, 0, service_of(g, c)->label);
		df_table_cell(&t, 1, c->name);
		df_table_cell(&t, 2, g->services[l->to].label);
		df_table_cellf(&t, 3, "%s%s", by_name(l->by), l->is_guess ? " (a guess)" : "");
		df_table_cellf(&t, 4, "%llu", (unsigned long long)c->count);
	}
	if (t.n > 0)
		(void)fputc('\n', out);
	df_table_print(out, &t);
}

static void put_count(FILE *out, size_t n, const char *what)
{
	(void)fprintf(out, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

static void put_text(FILE *out, const struct df_graph *g, const struct df_report *r)
{
	put_count(out, g->n_services, "service");
	(void)fputs(", ", out);
	put_count(out, g->n_links, "link");
	(void)fputs(", ", out);
	put_count(out, g->n_chains, "chain");
	(void)fputs(" to a blocked name\n", out);
	put_chains(out, g, r);
	put_links(out, g);
	if (g->is_cut)
		(void)fputs("\nthere is more than is shown\n", out);
	df_report_text_gaps(out, r);
}

/* --- JSON */

static void put_json_contact(struct df_json_out *j, const struct df_graph *g,
			     const struct df_graph_contact *c)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "name", c->name);
	df_json_out_string(j, "verdict", end_verdict(c));
	df_json_out_uint(j, "count", c->count);
	df_json_out_string(j, "rule", c->row->rule);
	df_json_out_string(j, "rule_owner", c->row->rule_owner);
	df_json_out_string(j, "owner", c->row->owner);
	if (c->blocked_for != DF_GRAPH_NONE) {
		df_json_out_string(j, "blocked_for", g->services[c->blocked_for].label);
		df_json_out_bool(j, "guess", c->is_blocked_guess);
	}
	df_json_out_open(j, "links", '[');
	for (size_t i = c->links; i < c->links + c->n_links; i++) {
		df_json_out_open(j, NULL, '{');
		df_json_out_string(j, "service", g->services[g->links[i].to].label);
		df_json_out_string(j, "by", by_name(g->links[i].by));
		df_json_out_bool(j, "guess", g->links[i].is_guess);
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
	df_json_out_close(j, '}');
}

static void put_json_services(struct df_json_out *j, const struct df_graph *g)
{
	df_json_out_open(j, "services", '[');
	for (size_t i = 0; i < g->n_services; i++) {
		const struct df_graph_service *s = &g->services[i];

		df_json_out_open(j, NULL, '{');
		df_json_out_string(j, "service", s->label);
		df_json_out_uint(j, "containers", s->n_containers);
		df_json_out_open(j, "contacts", '[');
		for (size_t k = s->contacts; k < s->contacts + s->n_contacts; k++)
			put_json_contact(j, g, &g->contacts[k]);
		df_json_out_close(j, ']');
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
}

static void put_json_chain(struct df_json_out *j, const struct df_graph *g,
			   const struct df_graph_chain *chain)
{
	const struct df_graph_contact *end = &g->contacts[chain->end];
	_cleanup_free_ char *text = chain_text(g, chain);

	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "chain", text);
	df_json_out_string(j, "from", service_of(g, contact_of(g, chain->links[0]))->label);
	df_json_out_open(j, "through", '[');
	for (size_t i = 0; i < chain->n; i++) {
		const struct df_graph_link *l = &g->links[chain->links[i]];

		df_json_out_open(j, NULL, '{');
		df_json_out_string(j, "name", contact_of(g, chain->links[i])->name);
		df_json_out_string(j, "service", g->services[l->to].label);
		df_json_out_string(j, "by", by_name(l->by));
		df_json_out_bool(j, "guess", l->is_guess);
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
	df_json_out_string(j, "name", end->name);
	df_json_out_string(j, "verdict", end_verdict(end));
	df_json_out_string(j, "rule", end->row->rule);
	df_json_out_string(j, "rule_owner", end->row->rule_owner);
	df_json_out_string(j, "owner", end->row->owner);
	if (end->blocked_for != DF_GRAPH_NONE)
		df_json_out_string(j, "blocked_for", g->services[end->blocked_for].label);
	df_json_out_bool(j, "guess", is_chain_guess(g, chain));
	df_json_out_close(j, '}');
}

static void put_json(FILE *out, const struct df_graph *g, const struct df_report *r)
{
	struct df_json_out j = {.out = out};

	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(&j, "kind", "graph");
	if (*r->all.since)
		df_json_out_string(&j, "since", r->all.since);
	df_json_out_uint(&j, "damaged_lines", r->all.n_damaged);
	df_json_out_uint(&j, "left_out", r->all.n_left_out);
	df_json_out_bool(&j, "complete", !g->is_cut);
	put_json_services(&j, g);
	df_json_out_open(&j, "chains", '[');
	for (size_t i = 0; i < g->n_chains; i++)
		put_json_chain(&j, g, &g->chains[i]);
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
}

/* --- DOT: services, what links them, and the names that something is against */

static void put_dot_edges(FILE *out, const struct df_graph *g, size_t contact)
{
	const struct df_graph_contact *c = &g->contacts[contact];

	for (size_t i = c->links; i < c->links + c->n_links; i++) {
		(void)fprintf(out, "\ts%zu -> s%zu [label=", c->service, g->links[i].to);
		df_dot_text(out, c->name, g->links[i].is_guess ? "?" : NULL);
		(void)fprintf(out, "%s];\n", g->links[i].is_guess ? ", style=dashed" : "");
	}
	if (!c->is_against && c->blocked_for == DF_GRAPH_NONE)
		return;
	(void)fprintf(out, "\tn%zu [label=", contact);
	df_dot_text(out, c->name, NULL);
	(void)fprintf(out, ", shape=ellipse, color=%s];\n", df_dot_colour(c->row->verdict));
	(void)fprintf(out, "\ts%zu -> n%zu [label=", c->service, contact);
	df_dot_text(out, end_verdict(c), c->is_blocked_guess ? "?" : NULL);
	(void)fprintf(out, ", color=%s%s];\n", df_dot_colour(c->row->verdict),
		      c->is_blocked_guess ? ", style=dashed" : "");
}

static void put_dot(FILE *out, const struct df_graph *g, const struct df_report *r)
{
	(void)r;
	df_dot_begin(out, "deployfence graph");
	for (size_t i = 0; i < g->n_services; i++) {
		(void)fprintf(out, "\ts%zu [label=", i);
		df_dot_text(out, g->services[i].label, NULL);
		(void)fputs("];\n", out);
	}
	for (size_t i = 0; i < g->n_contacts; i++)
		put_dot_edges(out, g, i);
	df_dot_end(out);
}

static int with_graph(FILE *out, const struct df_report *r,
		      void (*put)(FILE *out, const struct df_graph *g, const struct df_report *r))
{
	struct df_graph g = {.all = &r->all};
	int status = df_graph_build(&g);

	if (status == 0)
		put(out, &g, r);
	df_graph_done(&g);
	return status;
}

int df_graph_text(FILE *out, const struct df_report *r)
{
	return with_graph(out, r, put_text);
}

int df_graph_json(FILE *out, const struct df_report *r)
{
	return with_graph(out, r, put_json);
}

int df_graph_dot(FILE *out, const struct df_report *r)
{
	return with_graph(out, r, put_dot);
}
