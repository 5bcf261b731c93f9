/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as one page of HTML, without scripts, and without parts from elsewhere.
 *
 * Every text goes through put_text, in elements, attributes and SVG alike: its five special
 * characters become entities, and characters that reorder a line are shown as df_escape shows
 * them.  Attribute values are in double quotes.
 */
#include <string.h>
#include <time.h>

#include "cli/report/internal.h"
#include "lib/base/util.h"

#define LANES_MAX 80
#define LANE_WIDTH 1000 /* units; a browser stretches them */
#define LANE_MARK 8     /* the least width, so that an instant is visible */

#define TREE_LABEL_MAX 160 /* columns of a command line; the whole text is its title */

/* Colours of both themes; a verdict has its word as well, never the colour alone. */
static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#5b6570;--line:#d9dee3;"
	"--card:#f5f7f9;--link:#0b57d0;--blocked:#b3261e;--blocked-bg:#fdecea;"
	"--would-block:#855500;--would-block-bg:#fff4de;--unobserved:#6a1b9a;"
	"--unobserved-bg:#f5e9fb;--allowed:#1b6e3c;--allowed-bg:#e8f5ec}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--dim:#9aa5b1;"
	"--line:#2d333a;--card:#1c2126;--link:#8ab4f8;--blocked:#ff8a80;--blocked-bg:#3a1a18;"
	"--would-block:#ffc766;--would-block-bg:#38290d;--unobserved:#d9a6f2;"
	"--unobserved-bg:#2d1a36;--allowed:#8fd6a8;--allowed-bg:#15301f}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;padding:16px;max-width:1240px;background:var(--bg);color:var(--fg);"
	"font:15px/1.45 system-ui,sans-serif;overflow-wrap:break-word}\n"
	"h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.2rem;margin:0}"
	"h3{font-size:1rem;margin:1.4em 0 .4em}\n"
	"p{margin:.3em 0}a{color:var(--link)}code,.m{font:13px/1.45 ui-monospace,monospace}\n"
	".dim{color:var(--dim)}\n"
	"article{border:1px solid var(--line);border-radius:10px;padding:16px;margin:18px 0}\n"
	".sums{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0}\n"
	".sums div{background:var(--card);border-radius:8px;padding:6px 12px;min-width:84px}\n"
	".sums b{display:block;font-size:1.25rem}\n"
	".v{display:inline-block;border-radius:5px;padding:0 7px;font-size:13px;"
	"white-space:nowrap}\n"
	".blocked{color:var(--blocked);background:var(--blocked-bg)}"
	".would-block{color:var(--would-block);background:var(--would-block-bg)}"
	".unobserved{color:var(--unobserved);background:var(--unobserved-bg)}"
	".allowed{color:var(--allowed);background:var(--allowed-bg)}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"th,td{text-align:left;vertical-align:top;padding:5px 10px 5px 0;"
	"border-top:1px solid var(--line)}\n"
	"th{color:var(--dim);font-weight:500;font-size:13px;border-top:0}\n"
	"td.n{font-weight:600;min-width:11em}td.m{min-width:9em}td.r{min-width:11em}"
	"td.n,td.m,td.r,summary b{overflow-wrap:anywhere}.fact{display:inline-block;"
	"margin-right:14px;overflow-wrap:anywhere}\n"
	"details{border-top:1px solid var(--line);padding:6px 0}"
	"summary{cursor:pointer}summary b{margin-right:8px}\n"
	".lane{display:grid;grid-template-columns:minmax(0,280px) 1fr;gap:10px;"
	"align-items:center;margin:3px 0}\n"
	".lane span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
	".lane svg{width:100%;height:14px;background:var(--card);border-radius:4px;"
	"display:block}\n"
	".axis{display:flex;justify-content:space-between;margin-left:290px;font-size:12px}\n"
	".tree{background:var(--card);border-radius:8px;padding:8px 12px;"
	"overflow-wrap:anywhere}\n"
	".tree ul{list-style:none;margin:0;padding:0}.tree ul ul{margin-left:6px}"
	".tree li{position:relative;padding:2px 0 2px 18px}.tree>ul>li{padding-left:0}\n"
	".tree li li::before,.tree li li:not(:last-child)::after{content:\"\";position:absolute;"
	"left:0;top:0;width:12px;height:13px;border:0 solid var(--dim);opacity:.6;"
	"border-left-width:1px}.tree li li::before{border-bottom-width:1px}"
	".tree li li:not(:last-child)::after{height:100%;width:0}\n"
	"svg .f-blocked{fill:var(--blocked)}svg .f-would-block{fill:var(--would-block)}"
	"svg .f-unobserved{fill:var(--unobserved)}svg .f-allowed{fill:var(--allowed)}\n"
	"@media (max-width:700px){body{padding:10px}article{padding:12px}"
	"table,tbody,tr,td{display:block}thead{display:none}"
	"tr{border-top:1px solid var(--line);padding:6px 0}td{border:0;padding:1px 0}"
	"td.n,td.m,td.r{min-width:0}td.i{display:inline-block;margin-right:12px}"
	".tree li{padding-left:13px}.tree ul ul{margin-left:3px}"
	".tree li li::before{width:9px}.lane span{white-space:normal;overflow-wrap:anywhere}"
	"td[data-l]::before{content:attr(data-l) \" \";color:var(--dim);font-size:12px}"
	".lane{grid-template-columns:1fr;gap:2px;margin:8px 0}.axis{margin-left:0}}\n";

static void put_text_cut(FILE *out, const char *text, size_t max)
{
	struct df_text_reader r = df_text_begin(text ? text : "", text ? strlen(text) : 0, max);
	const char *piece;
	size_t len;

	while ((piece = df_text_next(&r, &len))) {
		for (size_t i = 0; i < len; i++) {
			static const char special[] = "&<>\"'";
			static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;",
							       "&#39;"};
			const char *found = strchr(special, piece[i]);

			if (found)
				(void)fputs(entities[found - special], out);
			else
				(void)fputc(piece[i], out);
		}
	}
}

/* text NULL: nothing. */
static void put_text(FILE *out, const char *text)
{
	put_text_cut(out, text, DF_TEXT_ALL);
}

/* A text between two pieces of HTML. */
static void put_between(FILE *out, const char *before, const char *text, const char *after)
{
	(void)fputs(before, out);
	put_text(out, text);
	(void)fputs(after, out);
}

static void put_target(FILE *out, const struct df_row *row)
{
	char text[DF_ROW_TARGET_MAX];

	df_row_target(row, text, sizeof(text));
	put_text(out, *text ? text : row->reason ? row->reason : "-");
}

/* --- tables */

/* A cell; narrow screens show the label before it.  text NULL: an empty cell. */
static void put_cell(FILE *out, const char *label, const char *class, const char *text)
{
	if (text)
		(void)fprintf(out, "<td class=\"%s\" data-l=\"%s\">", class, label);
	else
		(void)fputs("<td>", out);
	put_text(out, text);
	(void)fputs("</td>", out);
}

static void put_row(struct df_writer *w, const struct df_row *row)
{
	const char *verdict = df_row_verdict_name(row->verdict);
	FILE *out = w->out;

	if (w->section == DF_SECTION_NEW || w->section == DF_SECTION_GONE) {
		(void)fputs(w->section == DF_SECTION_NEW ? "<li><b>new</b> " : "<li>gone ", out);
		put_target(out, row);
		(void)fputs("</li>\n", out);
		return;
	}
	(void)fprintf(out, "<tr><td class=\"i\"><span class=\"v %s\">%s</span>%s", verdict, verdict,
		      row->is_new ? " <span class=\"v unobserved\">new</span>" : "");
	(void)fprintf(out, "</td><td class=\"i\" data-l=\"count\">%llu</td><td class=\"n\">",
		      (unsigned long long)row->count);
	put_target(out, row);
	(void)fputs("</td>", out);
	put_cell(out, "class", "", row->domain ? df_class_name(row->class) : row->at);
	put_cell(out, "command", "m", row->cmd);
	put_cell(out, "script", "m", row->script);
	put_between(out, "<td class=\"r\" data-l=\"rule\">",
		    row->rule     ? row->rule
		    : row->reason ? row->reason
				  : "-",
		    "");
	if (row->hint)
		put_between(out, "<br><span class=\"dim\">", row->hint, "</span>");
	(void)fputs("</td>", out);
	put_cell(out, "rule owner", "", row->rule_owner);
	put_cell(out, "owner", "", row->owner);
	(void)fputs("</tr>\n", out);
}

static void begin_table(FILE *out, const char *target)
{
	(void)fprintf(out,
		      "<table><thead><tr><th>Verdict</th><th>Count</th><th>%s</th><th>Class</th>"
		      "<th>Command</th><th>Script</th><th>Rule</th><th>Rule owner</th>"
		      "<th>Owner</th></tr></thead>"
		      "<tbody>\n",
		      target);
}

static void end_table(FILE *out)
{
	(void)fputs("</tbody></table>\n", out);
}

/* The names below one parent, opened if a rule is against one. */
static void put_parent(struct df_writer *w, const struct df_total *t)
{
	const struct df_report_container *c = w->container;
	FILE *out = w->out;
	char parent[2048];

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)df_class_len(t->key), t->key);
	(void)fprintf(out, "<details%s><summary><b>",
		      t->blocked + t->would_block > 0 ? " open" : "");
	put_text(out, parent);
	(void)fprintf(out, "</b> %llu name%s, asked for %llu time%s",
		      (unsigned long long)t->n_names, t->n_names == 1 ? "" : "s",
		      (unsigned long long)t->count, t->count == 1 ? "" : "s");
	if (t->blocked)
		(void)fprintf(out, " <span class=\"v blocked\">%llu refused</span>",
			      (unsigned long long)t->blocked);
	if (t->would_block)
		(void)fprintf(out, " <span class=\"v would-block\">%llu would be refused</span>",
			      (unsigned long long)t->would_block);
	(void)fputs("</summary>\n", out);
	begin_table(out, "Name");
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i]->kind == DF_ROW_NAME &&
		    strcmp(df_class_parent(c->rows[i]->domain), t->key) == 0)
			put_row(w, c->rows[i]);
	end_table(out);
	(void)fputs("</details>\n", out);
}

static void put_total(struct df_writer *w, const struct df_total *t)
{
	if (w->section == DF_SECTION_PARENTS) {
		put_parent(w, t);
		return;
	}
	(void)fprintf(w->out,
		      "<tr><td class=\"i\" data-l=\"against\">%llu</td>"
		      "<td class=\"i\" data-l=\"names\">%llu</td>"
		      "<td class=\"i\" data-l=\"containers\">%llu</td>",
		      (unsigned long long)t->count, (unsigned long long)t->n_names,
		      (unsigned long long)t->n_containers);
	put_cell(w->out, "rule", "r", t->key ? t->key : "-");
	put_cell(w->out, "rule owner", "", t->rule_owner);
	put_cell(w->out, "owner", "", t->second);
	(void)fputs("</tr>\n", w->out);
}

static void put_note(struct df_writer *w, const struct df_report_note *n)
{
	put_between(w->out, "<li><b>", n->what ? n->what : n->event, "</b> ");
	put_text(w->out, n->text);
	if (n->remedy)
		put_between(w->out, " <span class=\"dim\">", n->remedy, "</span>");
	(void)fprintf(w->out, " &times;%llu</li>\n", (unsigned long long)n->count);
}

static void begin_section(struct df_writer *w)
{
	static const char rules[] = "<h2>By rule and owners</h2>\n<table><thead><tr>"
				    "<th>Against</th><th>Names</th><th>Containers</th>"
				    "<th>Rule</th><th>Rule owner</th><th>Owner</th></tr>"
				    "</thead><tbody>\n";
	static const char *const titles[DF_SECTIONS] = {
		[DF_SECTION_PARENTS] = "<h3>Names</h3>\n",
		[DF_SECTION_CONNECTIONS] = "<h3>Connections</h3>\n",
		[DF_SECTION_SHADOW] = "<h3>What the shadow policy says</h3>\n",
		[DF_SECTION_FINDINGS_AND_EVENTS] = "<h3>Findings and events</h3>\n<ul>\n",
		[DF_SECTION_RULES] = rules,
	};
	const struct df_baseline *b = w->report->baseline;

	if (w->section == DF_SECTION_NEW) {
		(void)fprintf(w->out, "<p><b>%zu new</b>, %zu gone since <code>", b->n_added,
			      b->n_gone);
		put_between(w->out, "", b->file, "</code></p>\n<ul>\n");
	}
	if (w->n > 0 && titles[w->section])
		(void)fputs(titles[w->section], w->out);
	if (w->n > 0 && (w->section == DF_SECTION_CONNECTIONS || w->section == DF_SECTION_SHADOW))
		begin_table(w->out, "Target");
}

static void end_section(struct df_writer *w)
{
	const bool is_table = w->section == DF_SECTION_CONNECTIONS ||
			      w->section == DF_SECTION_SHADOW || w->section == DF_SECTION_RULES;

	if (w->n > 0 && is_table)
		end_table(w->out);
	if ((w->n > 0 && w->section == DF_SECTION_FINDINGS_AND_EVENTS) ||
	    w->section == DF_SECTION_GONE)
		(void)fputs("</ul>\n", w->out);
}

/* --- containers */

static void put_sum(FILE *out, uint64_t n, const char *what)
{
	(void)fprintf(out, "<div><b>%llu</b>%s</div>", (unsigned long long)n, what);
}

static void put_sum_unless_0(FILE *out, uint64_t n, const char *what)
{
	if (n > 0)
		put_sum(out, n, what);
}

/* Distinct names with this class, or the new ones: rows of one name are neighbours. */
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

static void put_fact(FILE *out, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	(void)fprintf(out, "<span class=\"fact\"><span class=\"dim\">%s</span> ", key);
	put_between(out, "", text, "</span> ");
}

static void put_header(FILE *out, const struct df_report_container *c)
{
	char id[160], label[DF_LABEL_MAX];

	(void)snprintf(id, sizeof(id), "%.*s", (int)df_text_id_len(c->id), c->id);
	df_aggregate_label(c, label, sizeof(label));
	put_between(out, "<h2>", label, "</h2>\n<p>");
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

static void begin_container(struct df_writer *w)
{
	const struct df_report_container *c = w->container;
	FILE *out = w->out;

	(void)fprintf(out, "<article id=\"c%zu\">\n", w->number);
	put_header(out, c);
	(void)fputs("<div class=\"sums\">", out);
	put_sum(out, c->n_queries, "queries");
	put_sum(out, c->n_blocked, "refused");
	put_sum_unless_0(out, c->n_would_block, "would be refused");
	put_sum_unless_0(out, c->n_connections, "connections");
	put_sum(out, count_names(c, DF_CLASS_DIRECT, false), "direct names");
	put_sum(out, count_names(c, DF_CLASS_HIDDEN, false), "hidden names");
	put_sum_unless_0(out, c->n_proxied, "proxied");
	put_sum_unless_0(out, c->n_search, "search attempts");
	if (w->report->baseline)
		put_sum(out, count_names(c, DF_CLASS_UNKNOWN, true), "new names");
	(void)fputs("</div>\n", out);
}

static void end_container(struct df_writer *w)
{
	const struct df_report_container *c = w->container;

	if (c->n_suppressed || c->lost[DF_LOSS_EVENTS] || c->lost[DF_LOSS_DROPPED])
		(void)fprintf(w->out,
			      "<p><b>Losses</b> %llu events were only counted, %llu not written, "
			      "%llu messages dropped.</p>\n",
			      (unsigned long long)c->n_suppressed,
			      (unsigned long long)c->lost[DF_LOSS_EVENTS],
			      (unsigned long long)c->lost[DF_LOSS_DROPPED]);
	(void)fputs("</article>\n", w->out);
}

/* --- timeline */

/* Microseconds of a time in an event; -1: it is none. */
static int64_t read_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t us = 0, unit = 100000;

	if (!rest)
		return -1;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit > 0; rest++, unit /= 10)
			us += (*rest - '0') * unit;
	return (int64_t)timegm(&tm) * 1000000 + us;
}

struct lane {
	const struct df_row *row; /* the worst of its rows */
	int64_t first, last;
	uint64_t count;
};

/* Rows of one name are neighbours mostly; if they are not, the name has two lanes. */
static size_t make_lanes(const struct df_report_container *c, struct lane lanes[static LANES_MAX],
			 size_t *ret_left_out)
{
	size_t n = 0;

	*ret_left_out = 0;
	for (size_t i = 0; i < c->n; i++) {
		const struct df_row *row = c->rows[i];
		int64_t first = read_time(row->first), last = read_time(row->last);
		struct lane *l = n > 0 ? &lanes[n - 1] : NULL;

		if (row->kind == DF_ROW_SHADOW || first < 0 || last < first)
			continue;
		/* texts of one pool are equal if their addresses are */
		if (l && l->row->kind == row->kind && l->row->domain == row->domain &&
		    l->row->ip == row->ip && l->row->port == row->port &&
		    l->row->reason == row->reason) {
			l->first = first < l->first ? first : l->first;
			l->last = last > l->last ? last : l->last;
			df_aggregate_add(&l->count, row->count);
			continue;
		}
		if (n == LANES_MAX)
			(*ret_left_out)++;
		else
			lanes[n++] = (struct lane){row, first, last, row->count};
	}
	return n;
}

static void put_lane(FILE *out, const struct lane *l, int64_t from, int64_t to)
{
	const double scale = to > from ? (double)(LANE_WIDTH - LANE_MARK) / (double)(to - from) : 0;
	const double x = (double)(l->first - from) * scale;
	const double width = (double)(l->last - l->first) * scale + LANE_MARK;

	(void)fputs("<div class=\"lane\"><span class=\"m\">", out);
	put_target(out, l->row);
	(void)fprintf(out, " <span class=\"dim\">&times;%llu</span></span>",
		      (unsigned long long)l->count);
	(void)fprintf(out,
		      "<svg viewBox=\"0 0 %d 14\" preserveAspectRatio=\"none\" role=\"img\">"
		      "<title>",
		      LANE_WIDTH);
	put_target(out, l->row);
	(void)fprintf(out, ", %s, ", df_row_verdict_name(l->row->verdict));
	put_text(out, l->row->first);
	(void)fputs(" to ", out);
	put_text(out, l->row->last);
	(void)fprintf(out,
		      "</title><rect class=\"f-%s\" x=\"%.1f\" y=\"3\" width=\"%.1f\" "
		      "height=\"8\" rx=\"3\"/></svg></div>\n",
		      df_row_verdict_name(l->row->verdict), x, width);
}

/* Nothing where no time is known. */
static void put_timeline(FILE *out, const struct df_report_container *c)
{
	struct lane lanes[LANES_MAX];
	size_t left_out, n = make_lanes(c, lanes, &left_out);
	int64_t from = read_time(c->first), to = read_time(c->last);

	if (n == 0 || from < 0 || to < from)
		return;
	(void)fputs("<h3>Timeline</h3>\n", out);
	for (size_t i = 0; i < n; i++) {
		/* in a report, rows may have times outside of those of their container */
		if (lanes[i].first < from)
			from = lanes[i].first;
		if (lanes[i].last > to)
			to = lanes[i].last;
	}
	for (size_t i = 0; i < n; i++)
		put_lane(out, &lanes[i], from, to);
	/* "2026-11-22 08:00:00", of times that were read above */
	(void)fprintf(out,
		      "<p class=\"axis dim\"><span>%.10s %.8s</span><span>%.10s %.8s</span></p>\n",
		      c->first, c->first + strlen("2026-11-22T"), c->last,
		      c->last + strlen("2026-11-22T"));
	if (left_out > 0)
		(void)fprintf(out, "<p class=\"dim\">%zu more are in the tables.</p>\n", left_out);
}

/* --- tree: nested lists, so that long command lines wrap on a phone */

static void put_node(FILE *out, const struct df_tree_node *n)
{
	char name[2048];

	if (n->row) {
		const char *verdict = df_row_verdict_name(n->row->verdict);

		(void)snprintf(name, sizeof(name), "%.*s", (int)df_class_len(n->text), n->text);
		put_between(out, "<li><b>", name, "");
		(void)fprintf(out, "</b> <span class=\"v %s\">%s &times;%llu</span>", verdict,
			      verdict, (unsigned long long)n->count);
	} else {
		put_between(out, "<li><span title=\"", n->text, "\">");
		put_text_cut(out, n->text, TREE_LABEL_MAX);
		(void)fputs("</span>", out);
	}
}

static void put_lists(FILE *out, const struct df_tree *t)
{
	unsigned depth = 0;
	bool is_first = true;

	(void)fputs("<div class=\"tree m\"><ul>\n", out);
	for (size_t i = t->first; i != DF_TREE_NONE; i = df_tree_next(t, i)) {
		const struct df_tree_node *n = &t->nodes[i];

		if (n->depth > depth) /* by one: a child follows its parent */
			(void)fputs("<ul>\n", out);
		else if (!is_first)
			(void)fputs("</li>\n", out);
		for (; depth > n->depth; depth--)
			(void)fputs("</ul></li>\n", out);
		depth = n->depth;
		is_first = false;
		put_node(out, n);
	}
	for (; depth > 0; depth--)
		(void)fputs("</li>\n</ul>", out);
	(void)fputs("</li>\n</ul></div>\n", out);
}

static void put_tree(struct df_writer *w, const struct df_tree *t)
{
	put_timeline(w->out, w->container);
	if (t->n > 0) {
		(void)fputs("<h3>Commands, and what they reached for</h3>\n", w->out);
		put_lists(w->out, t);
	}
	if (t->n_left_out > 0)
		(void)fprintf(w->out, "<p class=\"dim\">%zu more are in the tables.</p>\n",
			      t->n_left_out);
}

/* --- page */

static void begin(struct df_writer *w)
{
	const struct df_aggregate *all = &w->report->all;
	uint64_t queries = 0, blocked = 0, would_block = 0;
	char now[DF_TIME_MAX];
	FILE *out = w->out;

	(void)fprintf(out,
		      "<!DOCTYPE html>\n"
		      "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		      "style-src 'unsafe-inline'; img-src data:\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		      "<meta name=\"referrer\" content=\"no-referrer\">\n"
		      "<link rel=\"icon\" href=\"data:,\">\n<title>deployfence report</title>\n"
		      "<style>\n%s</style>\n</head>\n<body>\n",
		      style);
	df_time_text(now);
	for (size_t i = 0; i < all->n; i++) {
		df_aggregate_add(&queries, all->list[i]->n_queries);
		df_aggregate_add(&blocked, all->list[i]->n_blocked);
		df_aggregate_add(&would_block, all->list[i]->n_would_block);
	}
	(void)fprintf(out, "<h1>deployfence report</h1>\n<p class=\"dim\">made %.19s UTC", now);
	if (*all->since)
		put_between(out, ", since ", all->since, "");
	(void)fputs("</p>\n<div class=\"sums\">", out);
	put_sum(out, all->n, all->n == 1 ? "container" : "containers");
	put_sum(out, queries, "queries");
	put_sum(out, blocked, "refused");
	put_sum_unless_0(out, would_block, "would be refused");
	(void)fputs("</div>\n", out);
	if (all->n_damaged || all->n_left_out)
		(void)fprintf(out,
			      "<p>%llu damaged lines and %llu entries too many were left "
			      "out.</p>\n",
			      (unsigned long long)all->n_damaged,
			      (unsigned long long)all->n_left_out);
}

static void end(struct df_writer *w)
{
	(void)fputs("</body>\n</html>\n", w->out);
}

const struct df_form df_form_html = {
	.sections[DF_VIEW_REPORT] = DF_SECTION_LIST(DF_SECTION_NEW, DF_SECTION_GONE,
						    DF_SECTION_CONTAINERS, DF_SECTION_RULES),
	.container_sections =
		DF_SECTION_LIST(DF_SECTION_PARENTS, DF_SECTION_CONNECTIONS, DF_SECTION_SHADOW,
				DF_SECTION_TREE, DF_SECTION_FINDINGS_AND_EVENTS),
	.begin = begin,
	.end = end,
	.begin_container = begin_container,
	.end_container = end_container,
	.begin_section = begin_section,
	.end_section = end_section,
	.row = put_row,
	.note = put_note,
	.total = put_total,
	.tree = put_tree,
};
