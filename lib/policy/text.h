/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text: the syntax that policies and the host configuration share, and the messages about it.
 *
 * UTF-8 without a byte order mark, LF or CRLF, one statement a line, words separated
 * by blanks or tabs; '#' at the start of a line or after white space begins a comment.
 * Where a statement takes text, that is one bare word, or a string in double quotes
 * with \" and \\.  Refused: control characters (C1 included), NUL, CR inside a line,
 * lines over DF_STMT_LINE_MAX.
 *
 * Errors go to the messages; a bad line is skipped, and the next is read, so that all errors of
 * a file are reported and not just the first: "FILE:LINE:COLUMN: the fault; the remedy", sorted
 * by line, file after file.  Columns count octets from 1.  Warnings have "warning: " before the
 * text.
 */
#ifndef DF_POLICY_TEXT_H
#define DF_POLICY_TEXT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Kept of errors, and of warnings: more would only bury the first; the rest is counted. */
#define DF_MESSAGES_MAX 50
#define DF_MESSAGES_QUOTE 80 /* octets of an input fragment in a message, escaped */

#define DF_STMT_LINE_MAX 65536 /* no statement comes near it; a file without LF is no policy */
/* Longest text value: it is repeated in log lines and in DNS answers (EDE, RFC 8914). */
#define DF_STMT_STRING_MAX 512

struct df_message {
	const char *file;
	unsigned file_number;
	unsigned line, column; /* line 0: about the file as a whole */
	bool is_error;
	char *text;
};

/* Caller's storage; begins as { .file = … }. */
struct df_messages {
	const char *file; /* that messages are about from now on; borrowed until they are text */
	unsigned file_number; /* and its place among the files */
	struct df_message *list;
	size_t n, cap;
	unsigned n_errors, n_warnings;
	bool is_out_of_memory; /* a message was lost; the reader must give up with -ENOMEM */
};

void df_messages_done(struct df_messages *m);

void df_messages_add(struct df_messages *m, bool is_error, unsigned line, unsigned column,
		     const char *format, va_list args) __attribute__((format(printf, 5, 0)));
void df_messages_error(struct df_messages *m, unsigned line, unsigned column, const char *format,
		       ...) __attribute__((format(printf, 4, 5)));

/* The messages as text, malloc'd; NULL in *ret if there are none.  -ENOMEM. */
int df_messages_text(struct df_messages *m, char **ret);

/* A fragment of input, escaped and cut, for "%s" in a message.  Returns buf. */
const char *df_messages_quote(const char *s, size_t len, char buf[static DF_MESSAGES_QUOTE]);

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
	size_t line_len, at;    /* at: octets of the line that are read */
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
void df_stmt_report(struct df_stmt *s, unsigned column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same as an expression that is -EINVAL; a macro, so that clang-tidy knows the value. */
#define df_stmt_error(...) (df_stmt_report(__VA_ARGS__), -EINVAL)

/* The functions below report an error in the same way, and then return -EINVAL. */

/* The next word; value names it if it is missing: "'resolver' needs an address". */
int df_stmt_need(struct df_stmt *s, const char *value, struct df_word *ret);
/* Nothing must follow; the hint says how to correct that. */
int df_stmt_end(struct df_stmt *s, const char *hint);
/* Exactly one word of choices (NULL-terminated).  Returns its index. */
int df_stmt_choice(struct df_stmt *s, const char *const *choices);
/* One word of choices, with more to come. */
int df_stmt_choice_next(struct df_stmt *s, const char *const *choices, struct df_word *ret);
/* A bare word or a quoted string, decoded and NUL-terminated.  Empty only if quoted. */
int df_stmt_string(struct df_stmt *s, const char *value, char ret[static DF_STMT_STRING_MAX + 1],
		   unsigned *ret_column);
/* An unknown keyword: proposes the nearest of names (NULL-terminated), or lists them. */
int df_stmt_unknown(struct df_stmt *s, const char *const *names);

#endif
