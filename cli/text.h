/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text: what others wrote, for a terminal or as JSON.
 *
 * Names and command lines are a container's to choose.  What would move the
 * cursor, change a colour or reorder a line is shown as df_escape does, whatever
 * file it came from.  Backslashes and quotes stay: names and log lines come
 * escaped already.
 */
#ifndef DF_TEXT_H
#define DF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DF_TEXT_ALL SIZE_MAX

/*
 * Writes at most max columns; what is longer ends in "…".  Returns the columns,
 * a character each.  out NULL: only counts.
 */
size_t df_text_put(FILE *out, const char *text, size_t len, size_t max);

/* Length of "76b82b5fc15c": of the 64 hexadecimal digits of a container manager the first 12. */
size_t df_text_id_len(const char *id);

#define DF_TEXT_PIECE_MAX 17

/* The same, piece by piece, for those who escape further: HTML, DOT. */
struct df_text_reader {
	const char *text;
	size_t left, max;
	bool is_too_long;
	size_t columns; /* of what was read so far */
	char shown[DF_TEXT_PIECE_MAX];
};

struct df_text_reader df_text_begin(const char *text, size_t len, size_t max);
/* What the next character is shown as, at the end perhaps "…"; valid until the next call; NULL:
 * over. */
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
/* What is not UTF-8 stands as \xHH in the string.  text NULL: nothing is written. */
void df_json_out_string(struct df_json_out *j, const char *key, const char *text);
void df_json_out_uint(struct df_json_out *j, const char *key, uint64_t value);
void df_json_out_bool(struct df_json_out *j, const char *key, bool value);

#endif
