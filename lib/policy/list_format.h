/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list_format: what the files of list share. */
#ifndef DF_LIST_FORMAT_H
#define DF_LIST_FORMAT_H

#include "lib/policy/list.h"

/* A run of octets in the text of a list. */
struct df_span {
	const char *s;
	size_t len;
};

/* What became of a line, or of one thing in it. */
enum df_list_line {
	DF_LIST_NOTHING, /* blank, a comment, or of no meaning here */
	DF_LIST_READ,
	DF_LIST_UNUSED,  /* of the format, but it says nothing that could be a rule here */
	DF_LIST_UNKNOWN, /* not of the format */
};

struct df_list_reader {
	struct df_list *list;
	struct df_list_entry entry;
	size_t next;   /* offset of the next line */
	unsigned line; /* number of the current one, from 1 */
	int r;         /* of take; not 0: the end */
	bool is_trial; /* take nothing yet: a line is read as a whole or not at all */
};

/* The next line without its end; false behind the last. */
bool df_list_next_line(struct df_list_reader *r, struct df_span *ret);
/* Takes white space, then a word, off the front.  False: there is none. */
bool df_list_word(struct df_span *line, struct df_span *ret);
/* Without white space at both ends. */
struct df_span df_list_trim(struct df_span s);
bool df_span_is(struct df_span s, const char *text);
/* ASCII letters alike. */
bool df_span_is_nocase(struct df_span s, const char *text);
bool df_span_begins(struct df_span s, const char *text);
/* s without its first n octets. */
struct df_span df_span_behind(struct df_span s, size_t n);

/* Each hands out an entry; DF_LIST_UNKNOWN if the text is no name (or none that may be listed). */
enum df_list_line df_list_take_name(struct df_list_reader *r, struct df_span name,
				    enum df_policy_scope scope, bool is_exception);
/* The same for r->entry.target.name. */
enum df_list_line df_list_take_dname(struct df_list_reader *r, enum df_policy_scope scope,
				     bool is_exception);
enum df_list_line df_list_take_net(struct df_list_reader *r, const struct df_value_net *net,
				   bool is_exception);
/* As r->entry says. */
enum df_list_line df_list_take(struct df_list_reader *r);

/* 0.0.0.0, 127.0.0.0/8, :: and ::1: what block lists answer with. */
bool df_list_is_sink(struct df_span addr);
bool df_list_is_address(struct df_span addr);

enum df_list_line df_list_plain(struct df_list_reader *r, struct df_span line);
enum df_list_line df_list_hosts(struct df_list_reader *r, struct df_span line);
enum df_list_line df_list_adblock(struct df_list_reader *r, struct df_span line);
enum df_list_line df_list_dnsmasq(struct df_list_reader *r, struct df_span line);

/* Reads all of it: records may take several lines. */
void df_list_rpz(struct df_list_reader *r);

/* Counts what became of a line. */
void df_list_count(struct df_list_reader *r, enum df_list_line what, unsigned line);

#endif
