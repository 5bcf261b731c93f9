/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

#define LONG_ID 64
#define SHORT_ID 12

#define PIECE_MAX 4 /* octets of a character in UTF-8 */
_Static_assert(DF_TEXT_PIECE_MAX == PIECE_MAX * 4 + 1, "four octets for each, and NUL");

/* Octets of the next character, well-formed or not: one, and its continuation octets. */
static size_t piece_len(const char *p, size_t len)
{
	size_t n = 1;

	if ((unsigned char)p[0] < 0xc0)
		return 1;
	while (n < len && n < PIECE_MAX && ((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

size_t df_text_id_len(const char *id)
{
	size_t len = strlen(id);

	return len == LONG_ID && strspn(id, "0123456789abcdef") == len ? SHORT_ID : len;
}

struct df_text_reader df_text_begin(const char *text, size_t len, size_t max)
{
	struct df_text_reader r = {.text = text, .left = len, .max = max};

	/* one column stays free for "…" if not everything fits */
	if (max != DF_TEXT_ALL)
		r.is_too_long = df_text_put(NULL, text, len, DF_TEXT_ALL) > max;
	return r;
}

const char *df_text_next(struct df_text_reader *r, size_t *ret_len)
{
	static const char dots[] = "…";
	size_t n, columns = 0;

	if (r->left == 0)
		return NULL;
	n = piece_len(r->text, r->left);
	if (n == 1 && r->text[0] >= 0x20 && r->text[0] < 0x7f) {
		r->shown[0] = r->text[0]; /* quotes and backslashes stay */
		*ret_len = 1;
	} else {
		*ret_len = df_escape(r->text, n, r->shown, sizeof(r->shown));
	}
	for (size_t i = 0; i < *ret_len; i++)
		columns += ((unsigned char)r->shown[i] & 0xc0) != 0x80;
	r->text += n;
	r->left -= n;
	if (r->is_too_long && r->columns + columns > r->max - 1) {
		r->left = 0;
		r->columns++;
		*ret_len = sizeof(dots) - 1;
		return dots;
	}
	r->columns += columns;
	return r->shown;
}

size_t df_text_put(FILE *out, const char *text, size_t len, size_t max)
{
	struct df_text_reader r = df_text_begin(text, len, max);
	const char *piece;

	while ((piece = df_text_next(&r, &len)))
		if (out)
			(void)fwrite(piece, 1, len, out);
	return r.columns;
}

size_t df_text_puts(FILE *out, const char *text)
{
	return df_text_put(out, text, strlen(text), DF_TEXT_ALL);
}

/* --- JSON */

static void new_line(struct df_json_out *j)
{
	(void)fputc('\n', j->out);
	for (unsigned i = 0; i < j->depth; i++)
		(void)fputs("  ", j->out);
}

static void put_string(FILE *out, const char *text)
{
	char escaped[DF_TEXT_PIECE_MAX];
	size_t len = strlen(text), n, n_escaped;

	(void)fputc('"', out);
	for (; len > 0; text += n, len -= n) {
		const unsigned char *c = (const unsigned char *)text;

		n = piece_len(text, len);
		if (n == 1 && (c[0] == '"' || c[0] == '\\')) {
			(void)fprintf(out, "\\%c", c[0]);
		} else if (n == 1 && (c[0] < 0x20 || c[0] == 0x7f)) {
			(void)fprintf(out, "\\u%04x", c[0]);
		} else if (n == 2 && c[0] == 0xc2 && c[1] < 0xa0) {
			(void)fprintf(out, "\\u%04x", c[1]);
		} else {
			n_escaped = df_escape(text, n, escaped, sizeof(escaped));
			for (size_t i = 0; i < n_escaped; i++)
				(void)fprintf(out, escaped[i] == '\\' ? "\\\\" : "%c", escaped[i]);
		}
	}
	(void)fputc('"', out);
}

static void begin_value(struct df_json_out *j, const char *key)
{
	if (j->has_values)
		(void)fputc(',', j->out);
	if (j->depth > 0)
		new_line(j);
	j->has_values = true;
	if (key) {
		put_string(j->out, key);
		(void)fputs(": ", j->out);
	}
}

void df_json_out_open(struct df_json_out *j, const char *key, char kind)
{
	begin_value(j, key);
	(void)fputc(kind, j->out);
	j->depth++;
	j->has_values = false;
}

void df_json_out_close(struct df_json_out *j, char kind)
{
	j->depth--;
	if (j->has_values)
		new_line(j);
	(void)fputc(kind, j->out);
	j->has_values = true;
	if (j->depth == 0)
		(void)fputc('\n', j->out);
}

void df_json_out_values(struct df_json_out *j, const struct df_text_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct df_text_value *v = &values[i];

		if (v->type == DF_TEXT_STRING && !v->text)
			continue;
		begin_value(j, v->key);
		if (v->type == DF_TEXT_STRING)
			put_string(j->out, v->text);
		else if (v->type == DF_TEXT_BOOL)
			(void)fputs(v->number ? "true" : "false", j->out);
		else
			(void)fprintf(j->out, "%llu", (unsigned long long)v->number);
	}
}

/* --- columns */

/* A wider cell moves the rest of its own line only, not every line. */
#define WIDTH_MAX 72

void df_text_add_row(struct df_text_table *t, const char *colour,
		     const struct df_text_value *values, size_t n)
{
	if (df_array_reserve(&t->rows, &t->cap, t->n + 1, sizeof(*t->rows)) < 0) {
		t->is_failed = true;
		return;
	}
	t->rows[t->n++] = (struct df_text_row){.colour = colour};
	for (size_t i = 0; i < n; i++) {
		if (values[i].type == DF_TEXT_NUMBER)
			df_text_cell(t, i, "%llu", (unsigned long long)values[i].number);
		else if (values[i].text && *values[i].text)
			df_text_cell(t, i, "%s", values[i].text);
	}
}

void df_text_cell(struct df_text_table *t, size_t column, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	if (t->is_failed)
		return;
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		t->is_failed = true;
		return;
	}
	free(t->rows[t->n - 1].cells[column]);
	if (n == 0) {
		free(text);
		text = NULL;
	}
	t->rows[t->n - 1].cells[column] = text;
}

static const char *shown(const struct df_text_row *row, size_t column)
{
	return row->cells[column] ? row->cells[column] : "-";
}

/* 0: the column is left out. */
static size_t width_of(const struct df_text_table *t, size_t column)
{
	const struct df_text_column *c = &t->columns[column];
	size_t width = df_text_puts(NULL, c->title);
	bool is_usual = c->usual;

	for (size_t i = 0; i < t->n; i++) {
		const char *text = shown(&t->rows[i], column);
		size_t w = df_text_put(NULL, text, strlen(text), c->max ? c->max : DF_TEXT_ALL);

		if (w > width && w <= WIDTH_MAX)
			width = w;
		is_usual = is_usual && (!t->rows[i].cells[column] || strcmp(text, c->usual) == 0);
	}
	return is_usual ? 0 : width;
}

/* row NULL: the titles. */
static void put_row(FILE *out, const struct df_text_table *t, const struct df_text_row *row,
		    const size_t *widths)
{
	size_t pending = 0; /* blanks, which are written if another cell follows */
	const char *colour = row && row->colour ? row->colour : "";

	for (size_t i = 0; i < t->n_columns; i++) {
		const char *text = row ? shown(row, i) : t->columns[i].title;
		size_t max = row && t->columns[i].max ? t->columns[i].max : DF_TEXT_ALL;
		size_t w = df_text_put(NULL, text, strlen(text), max);
		size_t blanks = w < widths[i] ? widths[i] - w : 0;

		if (widths[i] == 0)
			continue;
		(void)fprintf(out, "%*s%s", (int)(pending + (t->columns[i].is_right ? blanks : 0)),
			      "", colour);
		(void)df_text_put(out, text, strlen(text), max);
		(void)fputs(*colour ? "\033[0m" : "", out);
		colour = "";
		pending = 2 + (t->columns[i].is_right ? 0 : blanks);
	}
	(void)fputc('\n', out);
}

void df_text_print(FILE *out, struct df_text_table *t)
{
	size_t widths[DF_TEXT_COLUMNS_MAX];

	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = width_of(t, i);
	if (t->n > 0)
		put_row(out, t, NULL, widths);
	for (size_t i = 0; i < t->n; i++) {
		put_row(out, t, &t->rows[i], widths);
		for (size_t k = 0; k < t->n_columns; k++)
			free(t->rows[i].cells[k]);
	}
	free(t->rows);
	t->rows = NULL;
	t->n = t->cap = 0;
}
