/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seen: which (process, name, verdict) was reported already.  What is asked of an HTTP proxy
 * or a server may be an address, or nothing that can be read.
 *
 * A first sight is an event; repetitions are counted and reported as a summary.
 * Entries are compared exactly, so no name can hide behind another's hash.
 * Fixed memory; an entry that is displaced hands out its count first.
 */
#ifndef DF_SEEN_H
#define DF_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"

#define DF_SEEN_SLOTS 1024               /* power of two */
#define DF_SEEN_FORGET_NS 60000000000ull /* then the next one is a first sight again */
#define DF_SEEN_SUMMARY_NS 10000000000ull

/* What was asked for, and where: of two at different places each is a first sight. */
struct df_seen_what {
	uint32_t at;          /* enum df_event_at */
	struct df_dname name; /* len 0: none; then the address tells them apart */
	uint8_t addr[16];
	uint16_t port; /* host byte order */
	bool has_addr;
};

struct df_seen_entry {
	bool is_used, is_refusal;
	bool is_search;      /* an attempt of the search list */
	unsigned strictness; /* 0: passed; 1: would be refused; 2: refused */
	uint32_t seq;        /* of the event it was first reported with */
	bool is_identity_pending;
	uint64_t first_ns, last_summary_ns;
	uint64_t repeated; /* since the last summary */
	uint32_t rule, reason;
	uint16_t qtype;
	struct df_token token;
	struct df_seen_what what;
};

struct df_seen {
	uint64_t seed;
	uint32_t next_seq;
	unsigned n_repeated; /* entries with repeated > 0 */
	struct df_seen_entry slots[DF_SEEN_SLOTS];
};

typedef void df_seen_summary_fn(void *data, const struct df_seen_entry *e);

/*
 * The entry of this process and what it asked for.  *ret_is_first: it is new, with a new seq;
 * the caller fills rule, reason and qtype.  summary is called for an entry that
 * had to go and still held a count.
 */
struct df_seen_entry *df_seen_note(struct df_seen *s, const struct df_token *token,
				   const struct df_seen_what *what, unsigned strictness,
				   uint64_t now, bool *ret_is_first, df_seen_summary_fn *summary,
				   void *data);

/* Hands out the counts that are due (all: at the end).  Cheap while there are none. */
void df_seen_summaries(struct df_seen *s, uint64_t now, bool all, df_seen_summary_fn *summary,
		       void *data);

#endif
