/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as one page of HTML. */
#include <stdarg.h>
#include <string.h>

#include "cli/report.h"
#include "cli/report/html.h"
#include "cli/report/totals.h"
#include "cli/text.h"
#include "lib/base/util.h"

static void put(FILE *out, const char *text)
{
	df_html_text(out, text, DF_TEXT_ALL);
}

/* A cell; narrow screens show the label before it.  text NULL: none. */
static void put_cell(FILE *out, const char *label, const char *class, const char *text)
{
	if (!text)
		(void)fputs("<td></td>", out);
	else
		(void)fprintf(out, "<td class=\"%s\" data-l=\"%s\">", class, label);
	put(out, text);
	if (text)
		(void)fputs("</td>", out);
}

static void put_verdict(FILE *out, enum df_row_verdict verdict)
{
	(void)fprintf(out, "<span class=\"v %s\">%s</span>", df_row_verdict_name(verdict),
		      df_row_verdict_name(verdict));
}

static void put_row(FILE *out, const struct df_row *row)
{
	(void)fputs("<tr><td class=\"i\">", out);
	put_verdict(out, row->verdict);
	if (row->is_new)
		(void)fputs(" <span class=\"v unobserved\">new</span>", out);
	(void)fprintf(out, "</td><td class=\"i\" data-l=\"count\">%llu</td><td class=\"n\">",
		      (unsigned long long)row->count);
	df_html_target(out, row, DF_TEXT_ALL);
	(void)fputs("</td>", out);
	put_cell(out, "class", "", row->domain ? df_class_name(row->class) : row->at);
	put_cell(out, "command", "m", row->cmd);
	put_cell(out, "script", "m", row->script);
	(void)fputs("<td class=\"r\" data-l=\"rule\">", out);
	put(out, row->rule ? row->rule : row->reason ? row->reason : "-");
	if (row->hint) {
		(void)fputs("<br><span class=\"dim\">", out);
		put(out, row->hint);
		(void)fputs("</span>", out);
	}
	(void)fputs("</td>", out);
	put_cell(out, "rule owner", "", row->rule_owner);
	put_cell(out, "owner", "", row->owner);
	(void)fputs("</tr>\n", out);
}

static void begin_table(FILE *out, const char *what)
{
	(void)fprintf(out,
		      "<table><thead><tr><th>Verdict</th><th>Count</th><th>%s</th><th>Class</th>"
		      "<th>Command</th><th>Script</th><th>Rule</th><th>Rule owner</th>"
		      "<th>Owner</th></tr></thead>"
		      "<tbody>\n",
		      what);
}

static void end_table(FILE *out)
{
	(void)fputs("</tbody></table>\n", out);
}

static bool has_parent(const struct df_row *row, const char *parent)
{
	return row->kind == DF_ROW_NAME && strcmp(df_class_parent(row->domain), parent) == 0;
}

static void put_group(FILE *out, const struct df_report_container *c, const struct df_total *g)
{
	const bool is_against = g->blocked + g->would_block > 0;
	char parent[2048];

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)df_class_len(g->key), g->key);
	(void)fprintf(out, "<details%s><summary><b>", is_against ? " open" : "");
	put(out, parent);
	(void)fprintf(out, "</b> %llu name%s, asked for %llu time%s",
		      (unsigned long long)g->n_names, g->n_names == 1 ? "" : "s",
		      (unsigned long long)g->count, g->count == 1 ? "" : "s");
	if (g->blocked)
		(void)fprintf(out, " <span class=\"v blocked\">%llu refused</span>",
			      (unsigned long long)g->blocked);
	if (g->would_block)
		(void)fprintf(out, " <span class=\"v would-block\">%llu would be refused</span>",
			      (unsigned long long)g->would_block);
	(void)fputs("</summary>\n", out);
	begin_table(out, "Name");
	for (size_t i = 0; i < c->n; i++)
		if (has_parent(c->rows[i], g->key))
			put_row(out, c->rows[i]);
	end_table(out);
	(void)fputs("</details>\n", out);
}

static int put_names(FILE *out, const struct df_report_container *c)
{
	struct df_totals groups;
	int r = df_totals_by_parent(c, &groups);

	if (r < 0)
		return r;
	if (groups.n > 0)
		(void)fputs("<h3>Names</h3>\n", out);
	for (size_t i = 0; i < groups.n; i++)
		put_group(out, c, &groups.list[i]);
	df_totals_done(&groups);
	return 0;
}

static void put_kind(FILE *out, const struct df_report_container *c, enum df_row_kind kind,
		     const char *title)
{
	bool is_any = false;

	for (size_t i = 0; i < c->n; i++) {
		if (c->rows[i]->kind != kind)
			continue;
		if (!is_any) {
			(void)fprintf(out, "<h3>%s</h3>\n", title);
			begin_table(out, "Target");
		}
		is_any = true;
		put_row(out, c->rows[i]);
	}
	if (is_any)
		end_table(out);
}

static void put_sum(FILE *out, uint64_t n, const char *what)
{
	(void)fprintf(out, "<div><b>%llu</b>%s</div>", (unsigned long long)n, what);
}

static uint64_t count_names(const struct df_report_container *c, enum df_class class, bool is_new)
{
	const char *last = NULL;
	uint64_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct df_row *row = c->rows[i];

		if (row->kind != DF_ROW_NAME || row->domain == last ||
		    (is_new ? !row->is_new : row->class != class))
			continue;
		last = row->domain;
		n++;
	}
	return n;
}

static void put_sums(FILE *out, const struct df_report *r, const struct df_report_container *c)
{
	(void)fputs("<div class=\"sums\">", out);
	put_sum(out, c->n_queries, "queries");
	put_sum(out, c->n_blocked, "refused");
	if (c->n_would_block)
		put_sum(out, c->n_would_block, "would be refused");
	if (c->n_connections)
		put_sum(out, c->n_connections, "connections");
	put_sum(out, count_names(c, DF_CLASS_DIRECT, false), "direct names");
	put_sum(out, count_names(c, DF_CLASS_HIDDEN, false), "hidden names");
	if (c->n_proxied)
		put_sum(out, c->n_proxied, "proxied");
	if (c->n_search)
		put_sum(out, c->n_search, "search attempts");
	if (r->baseline)
		put_sum(out, count_names(c, DF_CLASS_UNKNOWN, true), "new names");
	(void)fputs("</div>\n", out);
}

static void put_fact(FILE *out, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	(void)fprintf(out, "<span class=\"fact\"><span class=\"dim\">%s</span> ", key);
	put(out, text);
	(void)fputs("</span> ", out);
}

static void put_header(FILE *out, const struct df_report_container *c)
{
	char id[160], label[DF_LABEL_MAX];

	(void)snprintf(id, sizeof(id), "%.*s", (int)df_text_id_len(c->id), c->id);
	df_aggregate_label(c, label, sizeof(label));
	(void)fputs("<h2>", out);
	put(out, label);
	(void)fputs("</h2>\n<p>", out);
	put_fact(out, "container", id);
	put_fact(out, "name", c->name);
	put_fact(out, "hostname", c->hostname);
	put_fact(out, "image", c->image);
	put_fact(out, "pod", c->pod);
	put_fact(out, "namespace", c->k8s_namespace);
	put_fact(out, "host", c->host);
	put_fact(out, "policy", c->policy);
	put_fact(out, "mode", c->mode);
	for (size_t i = 0; i < c->n_x; i++)
		put_fact(out, c->x[i].key, c->x[i].value);
	(void)fputs("</p>\n", out);
	if (!c->is_whole || c->has_gaps || c->lost[DF_LOSS_EVENTS])
		(void)fputs("<p><span class=\"v would-block\">incomplete</span> some events are "
			    "missing, and the counts too low.</p>\n",
			    out);
	if (c->unpinned.n > 0)
		(void)fprintf(out,
			      "<p><span class=\"v would-block\">incomplete</span> %zu refused "
			      "name%s addresses that are not refused: see below.</p>\n",
			      c->unpinned.n, c->unpinned.n == 1 ? " has" : "s have");
}

static void put_notes(FILE *out, const struct df_report_container *c)
{
	if (c->n_notes > 0)
		(void)fputs("<h3>Findings and events</h3>\n<ul>\n", out);
	for (size_t i = 0; i < c->n_notes; i++) {
		const struct df_note *n = &c->notes[i];

		(void)fputs("<li><b>", out);
		put(out, n->what ? n->what : n->event);
		(void)fputs("</b> ", out);
		put(out, n->text);
		if (n->remedy) {
			(void)fputs(" <span class=\"dim\">", out);
			put(out, n->remedy);
			(void)fputs("</span>", out);
		}
		(void)fprintf(out, " &times;%llu</li>\n", (unsigned long long)n->count);
	}
	if (c->n_notes > 0)
		(void)fputs("</ul>\n", out);
	if (c->n_suppressed || c->lost[DF_LOSS_EVENTS] || c->lost[DF_LOSS_DROPPED])
		(void)fprintf(out,
			      "<p><b>Losses</b> %llu events were only counted, %llu not written, "
			      "%llu messages dropped.</p>\n",
			      (unsigned long long)c->n_suppressed,
			      (unsigned long long)c->lost[DF_LOSS_EVENTS],
			      (unsigned long long)c->lost[DF_LOSS_DROPPED]);
}

static int put_container(FILE *out, const struct df_report *r, size_t number)
{
	const struct df_report_container *c = r->all.list[number];
	int status;

	(void)fprintf(out, "<article id=\"c%zu\">\n", number);
	put_header(out, c);
	put_sums(out, r, c);
	status = put_names(out, c);
	put_kind(out, c, DF_ROW_CONNECTION, "Connections");
	put_kind(out, c, DF_ROW_SHADOW, "What the shadow policy says");
	df_html_timeline(out, c);
	if (status == 0)
		status = df_html_tree(out, c);
	put_notes(out, c);
	(void)fputs("</article>\n", out);
	return status;
}

static int put_rules(FILE *out, const struct df_report *r)
{
	struct df_totals totals;
	int status = df_totals_by_rule(&r->all, &totals);

	if (status < 0)
		return status;
	if (totals.n > 0)
		(void)fputs("<h2>By rule and owners</h2>\n<table><thead><tr><th>Against</th>"
			    "<th>Names</th><th>Containers</th><th>Rule</th><th>Rule owner</th>"
			    "<th>Owner</th></tr></thead><tbody>\n",
			    out);
	for (size_t i = 0; i < totals.n; i++) {
		const struct df_total *t = &totals.list[i];

		(void)fprintf(out,
			      "<tr><td class=\"i\" data-l=\"against\">%llu</td>"
			      "<td class=\"i\" data-l=\"names\">%llu</td>"
			      "<td class=\"i\" data-l=\"containers\">%llu</td>",
			      (unsigned long long)t->count, (unsigned long long)t->n_names,
			      (unsigned long long)t->n_containers);
		put_cell(out, "rule", "r", t->key ? t->key : "-");
		put_cell(out, "rule owner", "", t->rule_owner);
		put_cell(out, "owner", "", t->second);
		(void)fputs("</tr>\n", out);
	}
	if (totals.n > 0)
		end_table(out);
	df_totals_done(&totals);
	return 0;
}

static void put_baseline(FILE *out, const struct df_baseline *b)
{
	(void)fprintf(out, "<p><b>%zu new</b>, %zu gone since <code>", b->n_added, b->n_gone);
	put(out, b->file);
	(void)fputs("</code></p>\n<ul>\n", out);
	for (size_t i = 0; i < b->n_added + b->n_gone; i++) {
		bool is_new = i < b->n_added;

		(void)fputs(is_new ? "<li><b>new</b> " : "<li>gone ", out);
		df_html_target(out, is_new ? b->added[i] : b->gone[i - b->n_added], DF_TEXT_ALL);
		(void)fputs("</li>\n", out);
	}
	(void)fputs("</ul>\n", out);
}

static void put_top(FILE *out, const struct df_report *r)
{
	uint64_t queries = 0, blocked = 0, would_block = 0;
	char now[DF_TIME_MAX];

	df_time_text(now);
	for (size_t i = 0; i < r->all.n; i++) {
		df_aggregate_add(&queries, r->all.list[i]->n_queries);
		df_aggregate_add(&blocked, r->all.list[i]->n_blocked);
		df_aggregate_add(&would_block, r->all.list[i]->n_would_block);
	}
	(void)fprintf(out, "<h1>deployfence report</h1>\n<p class=\"dim\">made %.19s UTC", now);
	if (*r->all.since) {
		(void)fputs(", since ", out);
		put(out, r->all.since);
	}
	(void)fputs("</p>\n<div class=\"sums\">", out);
	put_sum(out, r->all.n, r->all.n == 1 ? "container" : "containers");
	put_sum(out, queries, "queries");
	put_sum(out, blocked, "refused");
	if (would_block)
		put_sum(out, would_block, "would be refused");
	(void)fputs("</div>\n", out);
	if (r->all.n_damaged || r->all.n_left_out)
		(void)fprintf(out,
			      "<p>%llu damaged lines and %llu entries too many were left "
			      "out.</p>\n",
			      (unsigned long long)r->all.n_damaged,
			      (unsigned long long)r->all.n_left_out);
	if (r->baseline)
		put_baseline(out, r->baseline);
}

int df_report_html(FILE *out, const struct df_report *r)
{
	int status = 0;

	df_html_begin(out, "deployfence report");
	put_top(out, r);
	for (size_t i = 0; i < r->all.n && status == 0; i++)
		status = put_container(out, r, i);
	if (status == 0)
		status = put_rules(out, r);
	df_html_end(out);
	return status;
}
