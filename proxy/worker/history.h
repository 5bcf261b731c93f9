/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history: the recent requests of each process.
 *
 * Repetitions: which (process, name, verdict) was reported already.  A
 * request to an HTTP proxy or a server may also have an address, or nothing that can be read.  A
 * first sight is an event;
 * repetitions are counted and reported as a summary.  Entries are compared exactly, so no name can
 * hide behind another's hash.  An entry that is displaced hands out its count first.
 *
 * The search list: which refused names are attempts of the container's search list, and not names
 * that a program asked for.  A client with a search list asks for NAME.SUFFIX before NAME (glibc
 * and musl, of names with fewer dots than ndots), or behind it (glibc).  Under `default deny` each
 * of these is a refusal, and would hide the one that somebody should look at.  An attempt is a name
 * that
 *  - is allowed without the suffix, or that
 *  - the same process asks for without the suffix, or with another one, before or soon after.
 * Any other name is taken for a name below the suffix that was refused.  Where the part before the
 * suffix has a dot, as public names have, the event waits some milliseconds for the next question
 * of the process.  The client has its answer by then.
 *
 * Fixed memory, no I/O.
 */
#ifndef DF_HISTORY_H
#define DF_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "proxy/channel.h"
#include "proxy/worker/decide.h"

#define DF_HISTORY_ENTRIES 1024             /* power of two */
#define DF_HISTORY_FORGET_NS 60000000000ull /* then the next one is a first sight again */
#define DF_HISTORY_SUMMARY_NS 10000000000ull
#define DF_HISTORY_SETS 64 /* of names asked for, with or without a suffix, … */
#define DF_HISTORY_WAYS 4  /* … each with so many: one query adds some, in any order */
#define DF_HISTORY_HELD 16 /* events that wait; more do not */
#define DF_HISTORY_SEARCH_NS                                                                       \
	5000000000ull /* the next name of a client; its resolver may be slow                       \
		       */
#define DF_HISTORY_HOLD_NS 50000000ull

/* The thing asked for, and where: of two at different places each is a first sight. */
struct df_history_what {
	uint32_t at;          /* enum df_event_at */
	struct df_dname name; /* len 0: none; then the address tells them apart */
	uint8_t addr[16];
	uint16_t port; /* host byte order */
	bool has_addr;
};

struct df_history_entry {
	bool is_used, is_refusal;
	bool is_search;      /* an attempt of the search list */
	unsigned strictness; /* df_verdict_strictness */
	uint32_t seq;        /* of the event it was first reported with */
	uint64_t first_ns, last_summary_ns;
	uint64_t repeated; /* since the last summary */
	uint32_t rule, reason;
	uint16_t qtype;
	struct df_token token;
	struct df_history_what what;
};

struct df_history {
	uint64_t seed; /* of all hashes; set by the caller, random */
	uint32_t next_seq;
	unsigned n_repeated; /* entries with repeated > 0 */
	struct df_history_entry entries[DF_HISTORY_ENTRIES];
	struct df_history_name {
		uint64_t hash, time_ns;
		uint8_t how; /* 0: without a suffix; else the suffix's number, plus 1 */
	} names[DF_HISTORY_SETS][DF_HISTORY_WAYS];
	unsigned n_held;
	struct df_history_held {
		uint64_t deadline_ns;           /* 0: free */
		struct df_history_entry *entry; /* another's by now, if seq differs */
		struct df_msg_query message;
	} held[DF_HISTORY_HELD];
};

typedef void df_history_summary_fn(void *data, const struct df_history_entry *e);

/*
 * The entry of this process and its request.  *ret_is_first: it is new, with a new seq; the
 * caller fills rule, reason and qtype.  summary is called for an entry that had to go and still
 * held a count.
 */
struct df_history_entry *df_history_note(struct df_history *h, const struct df_token *token,
					 const struct df_history_what *what, unsigned strictness,
					 uint64_t now_ns, bool *ret_is_first,
					 df_history_summary_fn *summary, void *data);

/* Hands out the counts that are due (all: at the end).  Cheap while there are none. */
void df_history_summaries(struct df_history *h, uint64_t now_ns, bool all,
			  df_history_summary_fn *summary, void *data);

enum df_search_kind {
	DF_SEARCH_NO,      /* a name that the program asked for */
	DF_SEARCH_ATTEMPT, /* of its search list */
	DF_SEARCH_MAYBE,   /* the next question will tell */
};

/* Of a query for name, with the verdict d; the name is remembered. */
enum df_search_kind df_history_search(struct df_history *h, const struct df_search_list *search,
				      unsigned ndots, const struct df_token *token,
				      const struct df_dname *name, const struct df_decision *d,
				      uint64_t now_ns);

typedef void df_history_held_fn(void *data, const struct df_msg_query *m);

/* The event m waits, which entry was first reported with.  false: there is no room. */
bool df_history_hold(struct df_history *h, const struct df_msg_query *m,
		     struct df_history_entry *entry, uint64_t now_ns);
/* Hands out the events that are due (all: every one).  Milliseconds to the next, or -1. */
int df_history_release(struct df_history *h, uint64_t now_ns, bool all, df_history_held_fn *release,
		       void *data);

#endif
