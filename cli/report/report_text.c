/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as text for people. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "cli/report/totals.h"
#include "cli/text.h"
#include "lib/base/util.h"

/* Command lines have up to 1023 octets; JSON shows them whole. */
#define CMD_WIDTH_MAX 72
#define SCRIPT_WIDTH_MAX 40

const char *df_report_colour(const struct df_report *r, enum df_row_verdict verdict)
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

/* github.com as people write it: the log's dot at the end says nothing here. */
static void put_domain(struct df_table *t, size_t column, const char *domain)
{
	df_table_cellf(t, column, "%.*s", (int)df_class_len(domain), domain);
}

static void put_target(struct df_table *t, size_t column, const struct df_row *row)
{
	char target[DF_ROW_TARGET_MAX];

	df_row_target(row, target, sizeof(target));
	df_table_cell(t, column, target);
}

static void put_rows(FILE *out, const struct df_report *r, const struct df_report_container *c,
		     bool is_shadow)
{
	static const struct df_column columns[] = {
		{.title = "VERDICT"},
		{.title = "COUNT", .is_right = true},
		{.title = "DOMAIN"},
		{.title = "CLASS", .usual = "-"},
		{.title = "COMMAND", .max = CMD_WIDTH_MAX},
		{.title = "SCRIPT", .max = SCRIPT_WIDTH_MAX, .usual = "-"},
		{.title = "AT", .usual = "dns"},
		{.title = "RULE"},
		{.title = "RULE OWNER", .usual = "-"},
		{.title = "OWNER"},
		{.title = "BASELINE", .usual = "-"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < c->n && !t.is_failed; i++) {
		const struct df_row *row = c->rows[i];

		if ((row->kind == DF_ROW_SHADOW) != is_shadow)
			continue;
		df_table_row(&t, df_report_colour(r, row->verdict));
		df_table_cell(&t, 0, df_row_verdict_name(row->verdict));
		df_table_cellf(&t, 1, "%llu", (unsigned long long)row->count);
		put_target(&t, 2, row);
		if (row->domain)
			df_table_cell(&t, 3, df_class_name(row->class));
		df_table_cell(&t, 4, row->cmd);
		df_table_cell(&t, 5, row->script);
		df_table_cell(&t, 6, row->at);
		df_table_cell(&t, 7, row->rule ? row->rule : row->reason);
		df_table_cell(&t, 8, row->rule_owner);
		df_table_cell(&t, 9, row->owner);
		df_table_cell(&t, 10, row->is_new ? "new" : NULL);
	}
	if (is_shadow && t.n > 0)
		(void)fputs("\nthe shadow policy:\n", out);
	df_table_print(out, &t);
}

static void put_text(FILE *out, const char *text)
{
	(void)df_text_put(out, text, strlen(text), DF_TEXT_ALL);
}

static void put_fact(FILE *out, const char *key, const char *text)
{
	if (!text)
		return;
	(void)fprintf(out, "  %s ", key);
	put_text(out, text);
}

static void put_number(FILE *out, const char *key, uint64_t n)
{
	(void)fprintf(out, "  %s %llu", key, (unsigned long long)n);
}

static void put_header(FILE *out, const struct df_report_container *c)
{
	(void)df_text_put(out, c->id, df_text_id_len(c->id), DF_TEXT_ALL);
	put_fact(out, "policy", c->policy);
	put_fact(out, "mode", c->mode);
	put_number(out, "queries", c->n_queries);
	put_number(out, "refused", c->n_blocked);
	if (c->n_would_block)
		put_number(out, "would-refuse", c->n_would_block);
	if (c->n_connections)
		put_number(out, "connections", c->n_connections);
	if (c->n_proxied)
		put_number(out, "proxied", c->n_proxied);
	if (c->n_search)
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

/* Only if a parent has several names: else the table below says it all. */
static int put_parents(FILE *out, const struct df_report_container *c)
{
	static const struct df_column columns[] = {
		{.title = "PARENT"},
		{.title = "NAMES", .is_right = true},
		{.title = "COUNT", .is_right = true},
		{.title = "REFUSED", .is_right = true, .usual = "0"},
		{.title = "WOULD-REFUSE", .is_right = true, .usual = "0"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
	struct df_totals totals;
	int r = df_totals_by_parent(c, &totals);

	if (r < 0)
		return r;
	for (size_t i = 0; i < totals.n && !t.is_failed; i++) {
		const struct df_total *g = &totals.list[i];

		if (g->n_names < 2)
			continue;
		df_table_row(&t, NULL);
		put_domain(&t, 0, g->key);
		df_table_cellf(&t, 1, "%llu", (unsigned long long)g->n_names);
		df_table_cellf(&t, 2, "%llu", (unsigned long long)g->count);
		df_table_cellf(&t, 3, "%llu", (unsigned long long)g->blocked);
		df_table_cellf(&t, 4, "%llu", (unsigned long long)g->would_block);
	}
	if (t.n > 0) {
		df_table_print(out, &t);
		(void)fputc('\n', out);
	}
	df_totals_done(&totals);
	return 0;
}

static void put_findings(FILE *out, const struct df_report_container *c)
{
	for (size_t i = 0; i < c->n_notes; i++) {
		const struct df_note *n = &c->notes[i];

		if (!n->what)
			continue;
		(void)fputs("finding ", out);
		put_text(out, n->what);
		(void)fputs(": ", out);
		put_text(out, n->text ? n->text : "-");
		(void)fputc('\n', out);
	}
}

static void put_notes(FILE *out, const struct df_report_container *c)
{
	for (size_t i = 0; i < c->n_notes; i++) {
		const struct df_note *n = &c->notes[i];

		if (n->what)
			continue;
		put_text(out, n->event);
		if (n->count > 1)
			(void)fprintf(out, " (%llu times)", (unsigned long long)n->count);
		(void)fputs(": ", out);
		put_text(out, n->text ? n->text : "-");
		(void)fputc('\n', out);
	}
}

static void put_losses(FILE *out, const struct df_report_container *c)
{
	const struct {
		const char *what;
		uint64_t n;
	} lost[] = {
		{"events", c->lost[DF_LOSS_EVENTS]},
		{"dropped", c->lost[DF_LOSS_DROPPED]},
		{"malformed", c->lost[DF_LOSS_MALFORMED]},
		{"mismatched", c->lost[DF_LOSS_MISMATCHED]},
		{"stray", c->lost[DF_LOSS_STRAY]},
		{"unlogged", c->lost[DF_LOSS_UNLOGGED]},
		{"unshown", c->lost[DF_LOSS_UNSHOWN]},
	};
	const char *between = "lost: ";

	if (c->n_suppressed > 0)
		(void)fprintf(out, "suppressed: %llu events were only counted\n",
			      (unsigned long long)c->n_suppressed);
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
		if (lost[i].n == 0)
			continue;
		(void)fprintf(out, "%s%llu %s", between, (unsigned long long)lost[i].n,
			      lost[i].what);
		between = ", ";
	}
	if (between[0] == ',')
		(void)fputc('\n', out);
	if (c->is_ended && c->stop_queries > c->n_queries && (!c->is_whole || c->has_gaps))
		(void)fprintf(out, "the fence itself counted %llu queries, %llu refusals\n",
			      (unsigned long long)c->stop_queries,
			      (unsigned long long)c->stop_refused);
}

static int put_container(FILE *out, const struct df_report *r, const struct df_report_container *c)
{
	int status;

	put_header(out, c);
	put_findings(out, c);
	status = put_parents(out, c);
	put_rows(out, r, c, false);
	put_rows(out, r, c, true);
	put_notes(out, c);
	put_losses(out, c);
	return status;
}

/* Who is to be asked; with one rule the tables say it already. */
static int put_rules(FILE *out, const struct df_report *r)
{
	static const struct df_column columns[] = {
		{.title = "AGAINST", .is_right = true},    {.title = "NAMES", .is_right = true},
		{.title = "CONTAINERS", .is_right = true}, {.title = "RULE"},
		{.title = "RULE OWNER", .usual = "-"},     {.title = "OWNER"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
	struct df_totals totals;
	int status = df_totals_by_rule(&r->all, &totals);

	if (status < 0)
		return status;
	for (size_t i = 0; i < totals.n && totals.n > 1 && !t.is_failed; i++) {
		const struct df_total *g = &totals.list[i];

		df_table_row(&t, NULL);
		df_table_cellf(&t, 0, "%llu", (unsigned long long)g->count);
		df_table_cellf(&t, 1, "%llu", (unsigned long long)g->n_names);
		df_table_cellf(&t, 2, "%llu", (unsigned long long)g->n_containers);
		df_table_cell(&t, 3, g->key);
		df_table_cell(&t, 4, g->rule_owner);
		df_table_cell(&t, 5, g->second);
	}
	if (t.n > 0)
		(void)fputc('\n', out);
	df_table_print(out, &t);
	df_totals_done(&totals);
	return 0;
}

static void put_dependencies(FILE *out, const char *title, const struct df_row **rows, size_t n)
{
	const struct df_column columns[] = {
		{.title = title},
		{.title = "VERDICT"},
		{.title = "CLASS", .usual = "-"},
		{.title = "COMMAND", .max = CMD_WIDTH_MAX},
		{.title = "SCRIPT", .max = SCRIPT_WIDTH_MAX, .usual = "-"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < n && !t.is_failed; i++) {
		df_table_row(&t, NULL);
		put_target(&t, 0, rows[i]);
		df_table_cell(&t, 1, df_row_verdict_name(rows[i]->verdict));
		if (rows[i]->domain)
			df_table_cell(&t, 2, df_class_name(rows[i]->class));
		df_table_cell(&t, 3, rows[i]->cmd);
		df_table_cell(&t, 4, rows[i]->script);
	}
	if (n > 0)
		(void)fputc('\n', out);
	df_table_print(out, &t);
}

static void put_baseline(FILE *out, const struct df_baseline *b)
{
	(void)fprintf(out, "\n%zu new, %zu gone since ", b->n_added, b->n_gone);
	(void)df_text_put(out, b->file, strlen(b->file), DF_TEXT_ALL);
	(void)fputc('\n', out);
	put_dependencies(out, "NEW", b->added, b->n_added);
	put_dependencies(out, "GONE", b->gone, b->n_gone);
}

void df_report_text_gaps(FILE *out, const struct df_report *r)
{
	const char *between = r->all.n ? "\n" : "";

	if (r->all.n_damaged)
		(void)fprintf(out, "%s%llu damaged line%s left out\n", between,
			      (unsigned long long)r->all.n_damaged,
			      r->all.n_damaged == 1 ? " was" : "s were");
	if (r->all.n_left_out)
		(void)fprintf(out, "%s%llu entr%s over what a report may hold, and left out\n",
			      r->all.n_damaged ? "" : between,
			      (unsigned long long)r->all.n_left_out,
			      r->all.n_left_out == 1 ? "y was" : "ies were");
}

int df_report_text(FILE *out, const struct df_report *r)
{
	int status = 0;

	for (size_t i = 0; i < r->all.n && status == 0; i++) {
		if (i > 0)
			(void)fputc('\n', out);
		status = put_container(out, r, r->all.list[i]);
	}
	if (status == 0)
		status = put_rules(out, r);
	if (r->baseline)
		put_baseline(out, r->baseline);
	df_report_text_gaps(out, r);
	return status;
}
