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

/* A value whose type the compiler tells: of a cell, or with a key of a member of a JSON object. */
struct df_text_value {
	const char *key, *text; /* text NULL: none */
	enum { DF_TEXT_STRING, DF_TEXT_NUMBER, DF_TEXT_BOOL } type;
	uint64_t number;
};

static inline struct df_text_value df_text_string(const char *key, const char *text)
{
	return (struct df_text_value){key, text, DF_TEXT_STRING, 0};
}
static inline struct df_text_value df_text_number(const char *key, uint64_t number)
{
	return (struct df_text_value){key, NULL, DF_TEXT_NUMBER, number};
}
static inline struct df_text_value df_text_bool(const char *key, bool value)
{
	return (struct df_text_value){key, NULL, DF_TEXT_BOOL, value};
}

#define DF_MEMBER(key, value)                                                                      \
	_Generic((value), char *                                                                   \
		 : df_text_string, const char *                                                    \
		 : df_text_string, bool                                                            \
		 : df_text_bool, default                                                           \
		 : df_text_number)((key), (value))
#define DF_CELL(value) DF_MEMBER(NULL, value)
#define DF_TEXT_VALUES(...)                                                                        \
	(const struct df_text_value[]){__VA_ARGS__},                                               \
		sizeof((const struct df_text_value[]){__VA_ARGS__}) / sizeof(struct df_text_value)

/* A JSON document while it is written, indented.  Begins as { .out = … }. */
struct df_json_out {
	FILE *out;
	unsigned depth;
	bool has_values; /* in the innermost object or array */
};

/* key NULL: in an array, or the document itself.  kind: '{' or '['; close with '}' or ']'. */
void df_json_out_open(struct df_json_out *j, const char *key, char kind);
void df_json_out_close(struct df_json_out *j, char kind);
/*
 * Members of the open object, or values of the open array without keys.  Octets that are not UTF-8
 * become \xHH in a string.  A text that is NULL is left out.
 */
void df_json_out_values(struct df_json_out *j, const struct df_text_value *values, size_t n);
#define df_json_out_string(j, key, text) df_json_out_members(j, df_text_string(key, text))
#define df_json_out_uint(j, key, value) df_json_out_members(j, df_text_number(key, value))
#define df_json_out_bool(j, key, value) df_json_out_members(j, df_text_bool(key, value))

/* Several members, and a whole object: DF_MEMBER(key, value), … */
#define df_json_out_members(j, ...) df_json_out_values(j, DF_TEXT_VALUES(__VA_ARGS__))
#define df_json_out_object(j, key, ...)                                                            \
	do {                                                                                       \
		df_json_out_open(j, key, '{');                                                     \
		df_json_out_members(j, __VA_ARGS__);                                               \
		df_json_out_close(j, '}');                                                         \
	} while (0)

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

/* A new row: DF_CELL(value), …  A text that is NULL or "" shows "-". */
#define df_text_row(t, colour, ...) df_text_add_row(t, colour, DF_TEXT_VALUES(__VA_ARGS__))
void df_text_add_row(struct df_text_table *t, const char *colour,
		     const struct df_text_value *values, size_t n);
/* Replaces a cell of the last row. */
void df_text_cell(struct df_text_table *t, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* With titles; a table without rows prints nothing.  It is empty afterwards. */
void df_text_print(FILE *out, struct df_text_table *t);

#endif
