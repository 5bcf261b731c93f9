/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report_print.h"

#include <arpa/inet.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/fences.h"
#include "cli/text.h"
#include "lib/util.h"

/* Command lines have up to 1023 octets; JSON shows them whole. */
#define CMD_WIDTH_MAX 72
/* What is wider than this moves its own line only, not every line. */
#define COLUMN_WIDTH_MAX 72
#define CELL_MAX 64

enum column { COLUMN_VERDICT, COLUMN_COUNT, COLUMN_NAME, COLUMN_CMD, COLUMN_RULE, COLUMN_OWNER };
#define N_COLUMNS (COLUMN_OWNER + 1)

static const char *const titles[N_COLUMNS] = {
	[COLUMN_VERDICT] = "VERDICT", [COLUMN_COUNT] = "COUNT", [COLUMN_NAME] = "DOMAIN",
	[COLUMN_CMD] = "COMMAND",     [COLUMN_RULE] = "RULE",   [COLUMN_OWNER] = "OWNER",
};

struct cell {
	const char *text;
	size_t len, max;
	char buf[CELL_MAX]; /* where the text is not somebody else's */
};

static void set_cell(struct cell *c, const char *text)
{
	c->text = text && *text ? text : "-";
	c->len = strlen(c->text);
}

/* github.com as people write it: the log's dot at the end says nothing here. */
static void set_domain(struct cell *c, const char *domain)
{
	set_cell(c, domain);
	if (c->len > 1 && c->text[c->len - 1] == '.')
		c->len--;
}

static void set_connection(struct cell *c, const struct df_row *row)
{
	if (!row->ip || strlen(row->ip) >= INET6_ADDRSTRLEN) { /* none, or no address */
		set_cell(c, row->ip);
		return;
	}
	(void)snprintf(c->buf, sizeof(c->buf), strchr(row->ip, ':') ? "[%s]:%u" : "%s:%u", row->ip,
		       row->port);
	set_cell(c, c->buf);
}

static void make_cell(struct cell *c, const struct df_row *row, enum column column)
{
	c->max = DF_TEXT_ALL;
	switch (column) {
	case COLUMN_VERDICT:
		set_cell(c, df_verdict_name(row->verdict));
		break;
	case COLUMN_COUNT:
		(void)snprintf(c->buf, sizeof(c->buf), "%llu", (unsigned long long)row->count);
		set_cell(c, c->buf);
		break;
	case COLUMN_NAME:
		if (row->domain)
			set_domain(c, row->domain);
		else
			set_connection(c, row);
		break;
	case COLUMN_CMD:
		c->max = CMD_WIDTH_MAX;
		set_cell(c, row->cmd);
		break;
	case COLUMN_RULE:
		set_cell(c, row->domain ? row->rule : row->reason);
		break;
	case COLUMN_OWNER:
		set_cell(c, row->owner);
		break;
	}
}

static void put_blanks(FILE *out, size_t from, size_t to)
{
	for (; from < to; from++)
		(void)fputc(' ', out);
}

static const char *colour_of(enum df_verdict verdict)
{
	switch (verdict) {
	case DF_VERDICT_BLOCKED:
		return "\033[31m";
	case DF_VERDICT_WOULD_BLOCK:
	case DF_VERDICT_UNOBSERVED:
		return "\033[33m";
	case DF_VERDICT_ALLOWED:
		return "";
	}
	return "";
}

/* row NULL: the titles. */
static void put_row(FILE *out, const struct df_row *row, const size_t *widths, const char *colour)
{
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		struct cell c = {.max = DF_TEXT_ALL};
		size_t width;

		if (row)
			make_cell(&c, row, (enum column)i);
		else
			set_cell(&c, titles[i]);
		if (i > 0)
			(void)fputs("  ", out);
		width = df_text_put(NULL, c.text, c.len, c.max);
		if (i == COLUMN_COUNT)
			put_blanks(out, width, widths[i]);
		if (i == COLUMN_VERDICT)
			(void)fputs(colour, out);
		(void)df_text_put(out, c.text, c.len, c.max);
		if (i == COLUMN_VERDICT && *colour)
			(void)fputs("\033[0m", out);
		if (i != COLUMN_COUNT && i != COLUMN_OWNER)
			put_blanks(out, width, widths[i]);
	}
	(void)fputc('\n', out);
}

static void put_table(FILE *out, const struct df_container *c, bool has_colour)
{
	size_t widths[N_COLUMNS];

	for (unsigned i = 0; i < N_COLUMNS; i++)
		widths[i] = strlen(titles[i]);
	for (size_t k = 0; k < c->n; k++) {
		for (unsigned i = 0; i < N_COLUMNS; i++) {
			struct cell cell = {0};
			size_t width;

			make_cell(&cell, c->rows[k], (enum column)i);
			width = df_text_put(NULL, cell.text, cell.len, cell.max);
			if (width > widths[i] && width <= COLUMN_WIDTH_MAX)
				widths[i] = width;
		}
	}
	put_row(out, NULL, widths, "");
	for (size_t k = 0; k < c->n; k++)
		put_row(out, c->rows[k], widths, has_colour ? colour_of(c->rows[k]->verdict) : "");
}

static void put_fact(FILE *out, const char *key, const char *text)
{
	if (!text)
		return;
	(void)fprintf(out, "  %s ", key);
	(void)df_text_put(out, text, strlen(text), DF_TEXT_ALL);
}

static void put_number(FILE *out, const char *key, uint64_t n)
{
	(void)fprintf(out, "  %s %llu", key, (unsigned long long)n);
}

static void put_header(FILE *out, const struct df_container *c)
{
	(void)df_text_put(out, c->id, df_fences_short_id(c->id), DF_TEXT_ALL);
	put_fact(out, "policy", c->policy);
	put_fact(out, "mode", c->mode);
	put_number(out, "queries", c->n_queries);
	put_number(out, "refused", c->n_blocked);
	if (c->n_would_block)
		put_number(out, "would-refuse", c->n_would_block);
	if (c->n_connections)
		put_number(out, "connections", c->n_connections);
	put_fact(out, "name", c->name);
	put_fact(out, "image", c->image);
	if (!c->is_whole)
		(void)fputs("  (incomplete: the first events are not there any more)", out);
	else if (c->has_gaps)
		(void)fputs("  (incomplete: there were more events than may be written)", out);
	(void)fputc('\n', out);
}

static void put_leaks(FILE *out, const struct df_container *c)
{
	for (size_t i = 0; i < c->n_leaks; i++) {
		const struct df_leak *leak = &c->leaks[i];

		(void)fputs("finding ", out);
		(void)df_text_put(out, leak->finding, strlen(leak->finding), DF_TEXT_ALL);
		(void)fputs(": ", out);
		(void)df_text_put(out, leak->seen, strlen(leak->seen), DF_TEXT_ALL);
		(void)fputc('\n', out);
	}
}

void df_report_text(FILE *out, const struct df_aggregate *a, bool has_colour)
{
	for (size_t i = 0; i < a->n; i++) {
		if (i > 0)
			(void)fputc('\n', out);
		put_header(out, a->list[i]);
		put_leaks(out, a->list[i]);
		if (a->list[i]->n > 0)
			put_table(out, a->list[i], has_colour);
	}
	if (a->n_damaged)
		(void)fprintf(out, "%s%llu damaged line%s left out\n", a->n ? "\n" : "",
			      (unsigned long long)a->n_damaged,
			      a->n_damaged == 1 ? " was" : "s were");
}

static void put_json_row(struct df_json_out *j, const struct df_row *row)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "domain", row->domain);
	df_json_out_string(j, "ip", row->ip);
	if (row->ip)
		df_json_out_uint(j, "port", row->port);
	df_json_out_string(j, "verdict", df_verdict_name(row->verdict));
	df_json_out_uint(j, "count", row->count);
	df_json_out_string(j, "cmd", row->cmd);
	df_json_out_string(j, "reason", row->reason);
	df_json_out_string(j, "rule", row->rule);
	df_json_out_string(j, "owner", row->owner);
	df_json_out_close(j, '}');
}

static void put_json_rows(struct df_json_out *j, const char *key, const struct df_container *c,
			  bool is_name)
{
	df_json_out_open(j, key, '[');
	for (size_t i = 0; i < c->n; i++)
		if (!c->rows[i]->domain == !is_name)
			put_json_row(j, c->rows[i]);
	df_json_out_close(j, ']');
}

static void put_json_container(struct df_json_out *j, const struct df_container *c)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "id", c->id);
	df_json_out_string(j, "name", c->name);
	df_json_out_string(j, "image", c->image);
	df_json_out_string(j, "pod", c->pod);
	df_json_out_string(j, "namespace", c->k8s_namespace);
	df_json_out_string(j, "owner", c->owner);
	df_json_out_string(j, "policy", c->policy);
	df_json_out_string(j, "mode", c->mode);
	df_json_out_string(j, "first", c->first);
	df_json_out_string(j, "last", c->last);
	df_json_out_bool(j, "complete", c->is_whole && !c->has_gaps);
	df_json_out_uint(j, "queries", c->n_queries);
	df_json_out_uint(j, "refused", c->n_blocked);
	df_json_out_uint(j, "would_refuse", c->n_would_block);
	df_json_out_open(j, "findings", '[');
	for (size_t i = 0; i < c->n_leaks; i++) {
		df_json_out_open(j, NULL, '{');
		df_json_out_string(j, "finding", c->leaks[i].finding);
		df_json_out_string(j, "seen", c->leaks[i].seen);
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
	put_json_rows(j, "domains", c, true);
	put_json_rows(j, "connections", c, false);
	df_json_out_close(j, '}');
}

void df_report_json(FILE *out, const struct df_aggregate *a)
{
	struct df_json_out j = {.out = out};

	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_uint(&j, "damaged_lines", a->n_damaged);
	df_json_out_open(&j, "containers", '[');
	for (size_t i = 0; i < a->n; i++)
		put_json_container(&j, a->list[i]);
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
}
