/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stmt: the syntax that policies and the host configuration share.
 *
 * UTF-8 without a byte order mark, LF or CRLF, one statement a line, words parted
 * by blanks or tabs, '#' at the start of a line or after white space begins
 * a comment.  Where a statement takes text, that is one bare word, or a string in
 * double quotes with \" and \\.  Refused: control characters (C1 included), NUL,
 * CR inside a line, lines over DF_STMT_LINE_MAX.
 *
 * What is wrong goes to the messages; a bad line is skipped, the next is read.
 */
#ifndef DF_STMT_H
#define DF_STMT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/messages.h"

#define DF_STMT_LINE_MAX 65536 /* no statement comes near it; a file without LF is no policy */
/* Longest text value: it is repeated in log lines and in DNS answers (EDE, RFC 8914). */
#define DF_STMT_STRING_MAX 512

struct df_word {
	const char *s; /* borrowed from the text, not NUL-terminated */
	size_t len;
	unsigned column; /* of its first octet, from 1 */
};

struct df_stmt {
	struct df_messages *messages;
	const char *text;
	size_t len, next; /* next: offset of the next line */
	unsigned line;    /* of the current statement, from 1 */
	const char *start;
	size_t line_len, at;    /* at: what of the line is read */
	struct df_word keyword; /* its first word */
};

/* text need not be NUL-terminated.  Both are borrowed. */
void df_stmt_init(struct df_stmt *s, const char *text, size_t len, struct df_messages *messages);

/* Goes to the next line that holds a statement and reads its keyword.  False at the end. */
bool df_stmt_next(struct df_stmt *s);

/* The next word; false at the end of the statement. */
bool df_stmt_word(struct df_stmt *s, struct df_word *ret);

/* True if no word follows. */
bool df_stmt_at_end(struct df_stmt *s);

bool df_word_is(const struct df_word *w, const char *text);

/* Reports an error in the current line. */
void df_stmt_error(struct df_stmt *s, unsigned column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Those below report what they refuse and then return -EINVAL. */

/* The next word; what names the missing value: "'resolver' needs an address". */
int df_stmt_need(struct df_stmt *s, const char *what, struct df_word *ret);
/* Nothing must follow; hint says what to do with what does. */
int df_stmt_end(struct df_stmt *s, const char *hint);
/* Exactly one word of choices (NULL-terminated).  Returns its index. */
int df_stmt_choice(struct df_stmt *s, const char *const *choices);
/* One word of choices, with more to come. */
int df_stmt_choice_next(struct df_stmt *s, const char *const *choices, struct df_word *ret);
/* A bare word or a quoted string, decoded and NUL-terminated.  Empty only if quoted. */
int df_stmt_string(struct df_stmt *s, const char *what, char ret[static DF_STMT_STRING_MAX + 1],
		   unsigned *ret_column);
/* An unknown keyword: proposes the nearest of names (NULL-terminated), or lists them. */
void df_stmt_unknown(struct df_stmt *s, const char *const *names);

#endif
