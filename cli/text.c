/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/text.h"

#include <string.h>

#include "lib/base/util.h"

#define LONG_ID 64
#define SHORT_ID 12

#define PIECE_MAX 4 /* octets of a character in UTF-8 */
#define ESCAPED_MAX DF_TEXT_PIECE_MAX
_Static_assert(ESCAPED_MAX == PIECE_MAX * 4 + 1, "four octets for each, and NUL");

/* Octets of the next character, well-formed or not: one, and what continues it. */
static size_t piece_len(const char *p, size_t len)
{
	size_t n = 1;

	if ((unsigned char)p[0] < 0xc0)
		return 1;
	while (n < len && n < PIECE_MAX && ((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* The character at p as it is shown.  Returns its length in ret, *ret_columns those on screen. */
static size_t show_piece(const char *p, size_t n, char ret[static ESCAPED_MAX], size_t *ret_columns)
{
	size_t shown = 0;

	if (n == 1 && p[0] >= 0x20 && p[0] < 0x7f) {
		ret[shown++] = p[0];
	} else {
		shown = df_escape(p, n, ret, ESCAPED_MAX);
	}
	*ret_columns = 0;
	for (size_t i = 0; i < shown; i++)
		*ret_columns += ((unsigned char)ret[i] & 0xc0) != 0x80;
	return shown;
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
	size_t n, columns;

	if (r->left == 0)
		return NULL;
	n = piece_len(r->text, r->left);
	*ret_len = show_piece(r->text, n, r->shown, &columns);
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

static void new_line(struct df_json_out *j)
{
	(void)fputc('\n', j->out);
	for (unsigned i = 0; i < j->depth; i++)
		(void)fputs("  ", j->out);
}

static void put_char(FILE *out, const char *p, size_t n)
{
	const unsigned char *c = (const unsigned char *)p;
	char escaped[ESCAPED_MAX];
	size_t len;

	if (n == 1 && (c[0] == '"' || c[0] == '\\')) {
		(void)fprintf(out, "\\%c", c[0]);
	} else if (n == 1 && (c[0] < 0x20 || c[0] == 0x7f)) {
		(void)fprintf(out, "\\u%04x", c[0]);
	} else if (n == 2 && c[0] == 0xc2 && c[1] < 0xa0) {
		(void)fprintf(out, "\\u%04x", c[1]);
	} else {
		len = df_escape(p, n, escaped, sizeof(escaped));
		for (size_t i = 0; i < len; i++)
			(void)fprintf(out, escaped[i] == '\\' ? "\\\\" : "%c", escaped[i]);
	}
}

static void put_string(FILE *out, const char *text)
{
	size_t len = strlen(text), n;

	(void)fputc('"', out);
	for (size_t i = 0; i < len; i += n) {
		n = piece_len(text + i, len - i);
		put_char(out, text + i, n);
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

void df_json_out_string(struct df_json_out *j, const char *key, const char *text)
{
	if (!text)
		return;
	begin_value(j, key);
	put_string(j->out, text);
}

void df_json_out_uint(struct df_json_out *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	(void)fprintf(j->out, "%llu", (unsigned long long)value);
}

void df_json_out_bool(struct df_json_out *j, const char *key, bool value)
{
	begin_value(j, key);
	(void)fputs(value ? "true" : "false", j->out);
}
