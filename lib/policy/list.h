/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list: files of names in formats that other programs define.
 *
 * Five formats; of each the lines that name a domain or a network are read, as
 * deployfence.policy(5) describes.  Lines end in LF or CR LF.  A line that is not understood is
 * counted, and nothing of it is read: lists come from elsewhere, and one odd line must
 * not make a policy useless.  No I/O, no allocation, no messages.
 */
#ifndef DF_LIST_H
#define DF_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/value.h"

#define DF_LIST_UNKNOWN_KEPT 5 /* numbers of lines that are not understood, for a message */

enum df_list_format {
	DF_LIST_PLAIN,
	DF_LIST_HOSTS,
	DF_LIST_ADBLOCK,
	DF_LIST_RPZ,
	DF_LIST_DNSMASQ,
};

struct df_list_entry {
	struct df_policy_target target;
	bool is_exception; /* not to be blocked by this list; in block-lists only */
	bool is_important; /* adblock's: no exception counts against it, but an important one */
};

struct df_list_file {
	/* set by the caller */
	enum df_list_format format;
	bool is_allow;    /* an allow-list: its exceptions are names like the others */
	const char *text; /* len octets, need not be NUL-terminated */
	size_t len;
	/* Takes an entry, which is the callee's for the call only.  Not 0: reading ends. */
	int (*take)(void *data, const struct df_list_entry *entry);
	void *data;
	/* results */
	unsigned n_lines, n_entries;
	unsigned n_read;    /* lines or records that made entries */
	unsigned n_unknown; /* those that made none, without comments, … */
	unsigned n_alien;   /* … and those of them that are not of the format at all */
	unsigned unknown[DF_LIST_UNKNOWN_KEPT];
};

/* 0, or the error of take. */
int df_list_read(struct df_list_file *list);

/*
 * The name of another format that the text has: "an HTML page".  A server that has lost its list
 * answers so, and a word such as "Forbidden" would be a name.  NULL: none was recognized.
 */
const char *df_list_not_a_list(const char *text, size_t len);

/* Read, and most of it is not of its format.  Small lists are taken as they are. */
bool df_list_is_alien(const struct df_list_file *list);

/* The format that most lines of such a list have, as words for people; NULL: none. */
const char *df_list_guess(const struct df_list_file *list);

/* Between list.c and list_rpz.c. */

/* A run of octets in the text of a list. */
struct df_span {
	const char *s;
	size_t len;
};

/* The result for a line, or for one thing in it. */
enum df_list_line {
	DF_LIST_NOTHING, /* blank, a comment, or without a meaning here */
	DF_LIST_READ,
	DF_LIST_UNUSED,  /* of the format, but no rule can be made of it */
	DF_LIST_UNKNOWN, /* not of the format */
};

struct df_list_reader {
	struct df_list_file *list;
	struct df_list_entry entry;
	size_t next;   /* offset of the next line */
	unsigned line; /* number of the current one, from 1 */
	int r;         /* of take; not 0: the end */
	bool is_trial; /* take nothing yet: a line is read as a whole or not at all */
};

/* The next line without its end; false behind the last. */
bool df_list_next_line(struct df_list_reader *r, struct df_span *ret);
bool df_span_is(struct df_span s, const char *text);
/* ASCII letters alike. */
bool df_span_is_nocase(struct df_span s, const char *text);
bool df_span_is_one_of(struct df_span s, const char *const *texts, size_t n); /* no case */
bool df_span_begins(struct df_span s, const char *text);
/* s without its first n octets. */
struct df_span df_span_behind(struct df_span s, size_t n);

/* Both hand out r->entry.target.name, or net; DF_LIST_UNKNOWN if such a name may not be listed. */
enum df_list_line df_list_take_dname(struct df_list_reader *r, enum df_policy_scope scope,
				     bool is_exception);
enum df_list_line df_list_take_net(struct df_list_reader *r, const struct df_value_net *net,
				   bool is_exception);

/* Reads all of it: records may take several lines. */
void df_list_rpz(struct df_list_reader *r);

/* Counts the result for a line. */
void df_list_count(struct df_list_reader *r, enum df_list_line result, unsigned line);

#endif
