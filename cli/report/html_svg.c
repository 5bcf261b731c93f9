/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pictures of a report in HTML. */
#include <string.h>
#include <time.h>

#include "cli/report/html.h"
#include "cli/report/tree.h"
#include "cli/text.h"
#include "lib/base/util.h"

#define LANES_MAX 80
#define LANE_WIDTH 1000 /* units; a browser stretches them */
#define LANE_MARK 8     /* what is an instant is still seen */

#define LABEL_MAX 160 /* columns of a command line; the whole text is its title */

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

/* --- timeline */

struct lane {
	const struct df_row *row; /* the worst of its rows */
	int64_t first, last;
	uint64_t count;
};

static bool is_same_target(const struct df_row *a, const struct df_row *b)
{
	return a->kind == b->kind && a->domain == b->domain && a->ip == b->ip &&
	       a->port == b->port && a->reason == b->reason;
}

/* Rows of one name mostly stand together; where they do not, it has two lanes. */
static size_t make_lanes(const struct df_report_container *c, struct lane lanes[static LANES_MAX],
			 size_t *ret_left_out)
{
	size_t n = 0;

	*ret_left_out = 0;
	for (size_t i = 0; i < c->n; i++) {
		const struct df_row *row = c->rows[i];
		int64_t first = read_time(row->first), last = read_time(row->last);

		if (row->kind == DF_ROW_SHADOW || first < 0 || last < first)
			continue;
		if (n > 0 && is_same_target(lanes[n - 1].row, row)) {
			struct lane *l = &lanes[n - 1];

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
	df_html_target(out, l->row, DF_TEXT_ALL);
	(void)fprintf(out, " <span class=\"dim\">&times;%llu</span></span>",
		      (unsigned long long)l->count);
	(void)fprintf(out,
		      "<svg viewBox=\"0 0 %d 14\" preserveAspectRatio=\"none\" role=\"img\">"
		      "<title>",
		      LANE_WIDTH);
	df_html_target(out, l->row, DF_TEXT_ALL);
	(void)fprintf(out, ", %s, ", df_row_verdict_name(l->row->verdict));
	df_html_text(out, l->row->first, DF_TEXT_ALL);
	(void)fputs(" to ", out);
	df_html_text(out, l->row->last, DF_TEXT_ALL);
	(void)fprintf(out,
		      "</title><rect class=\"f-%s\" x=\"%.1f\" y=\"3\" width=\"%.1f\" "
		      "height=\"8\" rx=\"3\"/></svg></div>\n",
		      df_row_verdict_name(l->row->verdict), x, width);
}

/* "2026-11-22 08:00:00" of a time that was read. */
static void put_second(FILE *out, const char *time)
{
	(void)fprintf(out, "%.10s %.8s", time, time + strlen("2026-11-22T"));
}

void df_html_timeline(FILE *out, const struct df_report_container *c)
{
	struct lane lanes[LANES_MAX];
	size_t left_out, n = make_lanes(c, lanes, &left_out);
	int64_t from = read_time(c->first), to = read_time(c->last);

	if (n == 0 || from < 0 || to < from)
		return;
	(void)fputs("<h3>Timeline</h3>\n", out);
	for (size_t i = 0; i < n; i++) {
		/* a report may say of a row what its container does not cover */
		if (lanes[i].first < from)
			from = lanes[i].first;
		if (lanes[i].last > to)
			to = lanes[i].last;
	}
	for (size_t i = 0; i < n; i++)
		put_lane(out, &lanes[i], from, to);
	(void)fputs("<p class=\"axis dim\"><span>", out);
	put_second(out, c->first);
	(void)fputs("</span><span>", out);
	put_second(out, c->last);
	(void)fputs("</span></p>\n", out);
	if (left_out > 0)
		(void)fprintf(out, "<p class=\"dim\">%zu more are in the tables.</p>\n", left_out);
}

/* --- tree: nested lists, so that long command lines wrap on a phone */

static void put_label(FILE *out, const struct df_tree_node *n, size_t max)
{
	char text[2048];

	if (n->row) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)df_class_len(n->text), n->text);
		df_html_text(out, text, max);
	} else {
		df_html_text(out, n->text, max);
	}
}

static void put_node(FILE *out, const struct df_tree_node *n)
{
	const char *verdict = n->row ? df_row_verdict_name(n->row->verdict) : NULL;

	(void)fputs(n->row ? "<li><b>" : "<li><span title=\"", out);
	if (!n->row) {
		put_label(out, n, DF_TEXT_ALL);
		(void)fputs("\">", out);
	}
	put_label(out, n, n->row ? DF_TEXT_ALL : LABEL_MAX);
	if (n->row)
		(void)fprintf(out, "</b> <span class=\"v %s\">%s &times;%llu</span>", verdict,
			      verdict, (unsigned long long)n->count);
	else
		(void)fputs("</span>", out);
}

static void put_tree(FILE *out, const struct df_tree *t)
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

int df_html_tree(FILE *out, const struct df_report_container *c)
{
	struct df_tree t;
	int r = df_tree_build(c, &t);

	if (r < 0)
		return r;
	if (t.n > 0) {
		(void)fputs("<h3>Commands, and what they reached for</h3>\n", out);
		put_tree(out, &t);
	}
	if (t.n_left_out > 0)
		(void)fprintf(out, "<p class=\"dim\">%zu more are in the tables.</p>\n",
			      t.n_left_out);
	df_tree_done(&t);
	return 0;
}
