/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

/* What is wider than this moves its own line only, not every line. */
#define WIDTH_MAX 72

void df_table_row(struct df_table *t, const char *colour)
{
	if (df_array_reserve(&t->rows, &t->cap, t->n + 1, sizeof(*t->rows)) < 0) {
		t->is_failed = true;
		return;
	}
	t->rows[t->n++] = (struct df_table_row){.colour = colour};
}

void df_table_cell(struct df_table *t, size_t column, const char *text)
{
	char *copy = text && *text ? strdup(text) : NULL;

	if (t->is_failed || (text && *text && !copy)) {
		t->is_failed = true;
		free(copy);
		return;
	}
	free(t->rows[t->n - 1].cells[column]);
	t->rows[t->n - 1].cells[column] = copy;
}

void df_table_cellf(struct df_table *t, size_t column, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		t->is_failed = true;
		return;
	}
	df_table_cell(t, column, text);
}

static const char *shown(const struct df_table_row *row, size_t column)
{
	return row->cells[column] ? row->cells[column] : "-";
}

static size_t limit(const struct df_column *c)
{
	return c->max ? c->max : DF_TEXT_ALL;
}

static size_t put(FILE *out, const char *text, size_t max)
{
	return df_text_put(out, text, strlen(text), max);
}

static bool is_left_out(const struct df_table *t, size_t column)
{
	const char *usual = t->columns[column].usual;

	for (size_t i = 0; usual && i < t->n; i++)
		if (t->rows[i].cells[column] && strcmp(t->rows[i].cells[column], usual) != 0)
			return false;
	return usual;
}

static size_t width_of(const struct df_table *t, size_t column)
{
	size_t width = put(NULL, t->columns[column].title, DF_TEXT_ALL);

	for (size_t i = 0; i < t->n; i++) {
		size_t w = put(NULL, shown(&t->rows[i], column), limit(&t->columns[column]));

		if (w > width && w <= WIDTH_MAX)
			width = w;
	}
	return width;
}

static void put_blanks(FILE *out, size_t from, size_t to)
{
	for (; from < to; from++)
		(void)fputc(' ', out);
}

/* Widths are 0 for columns that are left out. */
static void put_row(FILE *out, const struct df_table *t, const struct df_table_row *row,
		    const size_t *widths)
{
	size_t pending = 0; /* blanks that only stand if something follows */
	const char *colour = row ? row->colour : NULL;

	for (size_t i = 0; i < t->n_columns; i++) {
		const char *text = row ? shown(row, i) : t->columns[i].title;
		size_t max = row ? limit(&t->columns[i]) : DF_TEXT_ALL, w;

		if (widths[i] == 0)
			continue;
		put_blanks(out, 0, pending);
		w = put(NULL, text, max);
		if (t->columns[i].is_right)
			put_blanks(out, w, widths[i]);
		if (colour)
			(void)fputs(colour, out);
		(void)put(out, text, max);
		if (colour)
			(void)fputs("\033[0m", out);
		colour = NULL;
		pending = 2 + (!t->columns[i].is_right && w < widths[i] ? widths[i] - w : 0);
	}
	(void)fputc('\n', out);
}

void df_table_print(FILE *out, struct df_table *t)
{
	size_t widths[DF_TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = is_left_out(t, i) ? 0 : width_of(t, i);
	if (t->n > 0)
		put_row(out, t, NULL, widths);
	for (size_t i = 0; i < t->n; i++)
		put_row(out, t, &t->rows[i], widths);
	for (size_t i = 0; i < t->n; i++)
		for (size_t k = 0; k < t->n_columns; k++)
			free(t->rows[i].cells[k]);
	free(t->rows);
	t->rows = NULL;
	t->n = t->cap = 0;
}
