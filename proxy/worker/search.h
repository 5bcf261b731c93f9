/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * search: which refused names are attempts of the container's search list, and not what a
 * program asked for.
 *
 * A client with a search list asks for NAME.SUFFIX before NAME (glibc and musl, of names with
 * fewer dots than ndots), or behind it (glibc).  Under `default deny` each of these is a
 * refusal, and would hide the one that somebody should look at.  An attempt is a name that
 *  - is allowed without the suffix, or that
 *  - the same process asks for without the suffix, or with another one, before or soon after.
 * All else is what it looks like: a name below the suffix that was refused.
 *
 * Where the part before the suffix has a dot, as public names have, the event waits some
 * milliseconds for the next question of the process.  The client has its answer by then.
 */
#ifndef DF_SEARCH_H
#define DF_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/channel.h"

#define DF_SEARCH_SETS 64          /* of names asked for, with or without a suffix, … */
#define DF_SEARCH_WAYS 4           /* … each with so many: one query adds some, in any order */
#define DF_SEARCH_HELD 16          /* events that wait; more do not */
#define DF_SEARCH_NS 5000000000ull /* a client goes on within that: its resolver may be slow */
#define DF_SEARCH_HOLD_NS 50000000ull

struct df_worker;
struct df_asked;
struct df_seen_entry;

struct df_search_held {
	uint64_t deadline_ns;        /* 0: free */
	struct df_seen_entry *entry; /* another's by now, if its seq is not the message's */
	struct df_msg_query message;
};

struct df_search_seen {
	uint64_t hash, time_ns;
	uint8_t how; /* 0: as it is; else the suffix's number, plus 1 */
};

struct df_search {
	struct df_search_seen seen[DF_SEARCH_SETS][DF_SEARCH_WAYS];
	unsigned n_held;
	struct df_search_held held[DF_SEARCH_HELD];
};

enum df_search_kind {
	DF_SEARCH_NO,      /* what the program asked for */
	DF_SEARCH_ATTEMPT, /* of its search list */
	DF_SEARCH_MAYBE,   /* what comes next will tell */
};

/* Of a query at its first sight, and keeps it in mind. */
enum df_search_kind df_search_note(struct df_worker *w, const struct df_asked *a);

/* The event waits; false: there is no room. */
bool df_search_hold(struct df_worker *w, const struct df_msg_query *m, struct df_seen_entry *entry);
/* Lets go what is due (all: everything).  Milliseconds to the next, or -1. */
int df_search_release(struct df_worker *w, bool all);

#endif
