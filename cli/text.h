/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text: output of texts from elsewhere to a terminal, in aligned columns, or as JSON.
 *
 * A container chooses its names and command lines.  Characters that would move the cursor, change
 * a colour or reorder a line are shown as df_escape shows them, whatever file they came from.
 * Backslashes and quotes stay: names and log lines come escaped already.
 */
#ifndef DF_TEXT_H
#define DF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DF_TEXT_ALL SIZE_MAX

/*
 * Writes at most max columns; a longer text ends in "…".  Returns the columns, one for each
 * character.  out NULL: only counts.
 */
size_t df_text_put(FILE *out, const char *text, size_t len, size_t max);
/* The whole of a string. */
size_t df_text_puts(FILE *out, const char *text);

/* Octets of an id as people write it: 12 of 64 hexadecimal digits, else all. */
size_t df_text_id_len(const char *id);

#define DF_TEXT_PIECE_MAX 17

/* The same, character by character, for forms that escape further: HTML, DOT. */
struct df_text_reader {
	const char *text;
	size_t left, max;
	bool is_too_long;
	size_t columns; /* of what was read so far */
	char shown[DF_TEXT_PIECE_MAX];
};

struct df_text_reader df_text_begin(const char *text, size_t len, size_t max);
/* The next character as it is shown, or "…"; valid until the next call.  NULL: the end. */
const char *df_text_next(struct df_text_reader *r, size_t *ret_len);

/* A JSON document while it is written, indented.  Begins as { .out = … }. */
struct df_json_out {
	FILE *out;
	unsigned depth;
	bool has_values; /* in the innermost object or array */
};

/* key NULL: in an array, or the document itself.  kind: '{' or '['; close with '}' or ']'. */
void df_json_out_open(struct df_json_out *j, const char *key, char kind);
void df_json_out_close(struct df_json_out *j, char kind);
/* Octets that are not UTF-8 become \xHH in the string.  text NULL: nothing is written. */
void df_json_out_string(struct df_json_out *j, const char *key, const char *text);
void df_json_out_uint(struct df_json_out *j, const char *key, uint64_t value);
void df_json_out_bool(struct df_json_out *j, const char *key, bool value);

/* Aligned columns for people.  A column whose cells are all the usual one is left out. */
#define DF_TEXT_COLUMNS_MAX 12

struct df_text_column {
	const char *title;
	bool is_right;
	size_t max;        /* columns on screen; longer cells are cut; 0: never */
	const char *usual; /* not worth a column; NULL: always shown */
};

/* Begins as { .columns = …, .n_columns = … }. */
struct df_text_table {
	const struct df_text_column *columns;
	size_t n_columns;
	struct df_text_row {
		const char *colour; /* of the first cell, an escape sequence; NULL: none */
		char *cells[DF_TEXT_COLUMNS_MAX];
	} * rows;
	size_t n, cap;
	bool is_failed; /* no memory: rows are missing */
};

/* A new row of empty cells. */
void df_text_row(struct df_text_table *t, const char *colour);
/* A cell of the last row; text NULL or "": it shows "-". */
void df_text_cell(struct df_text_table *t, size_t column, const char *text);
void df_text_cellf(struct df_text_table *t, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void df_text_number(struct df_text_table *t, size_t column, uint64_t number);

/* With titles; a table without rows prints nothing.  It is empty afterwards. */
void df_text_print(FILE *out, struct df_text_table *t);

#endif
