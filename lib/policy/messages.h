/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * messages: what a reader of policy or configuration text has to say, collected
 * so that all errors of a file are reported and not just the first.
 *
 * "FILE:LINE:COLUMN: what is wrong; what would be right", sorted by line, file after
 * file.  Columns count octets from 1.  Warnings say "warning: " before the text.
 */
#ifndef DF_MESSAGES_H
#define DF_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Kept of each kind: more would only bury the first; the rest is counted. */
#define DF_MESSAGES_MAX 50
#define DF_MESSAGES_QUOTE 80 /* octets of an input fragment in a message, escaped */

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

void df_messages_error(struct df_messages *m, unsigned line, unsigned column, const char *format,
		       ...) __attribute__((format(printf, 4, 5)));
void df_messages_warning(struct df_messages *m, unsigned line, unsigned column, const char *format,
			 ...) __attribute__((format(printf, 4, 5)));

/* The messages as text, malloc'd; NULL in *ret if there are none.  -ENOMEM. */
int df_messages_text(struct df_messages *m, char **ret);

/* A fragment of input, escaped and cut, for "%s" in a message.  Returns buf. */
const char *df_messages_quote(const char *s, size_t len, char buf[static DF_MESSAGES_QUOTE]);

#endif
