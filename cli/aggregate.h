/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aggregate: event lines (deployfence.events(5)) to what a report shows: for each
 * container, what it asked for, by which command, how often, with what verdict.
 *
 * Lines may come in any order and from many containers.  One that is no JSON, of
 * another schema, or without what its event needs is counted and left out; events
 * that are no verdict only tell about the container.  No I/O.
 */
#ifndef DF_AGGREGATE_H
#define DF_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which a report shows them. */
enum df_verdict {
	DF_VERDICT_BLOCKED,
	DF_VERDICT_WOULD_BLOCK, /* audit: not refused, but a rule is against it */
	DF_VERDICT_UNOBSERVED,  /* passed, since the proxy gave no sign of life */
	DF_VERDICT_ALLOWED,
};

/* Strings are NULL where unknown. */
struct df_row {
	enum df_verdict verdict;
	char *domain; /* with trailing dot; NULL: a connection */
	char *ip;     /* NULL: a socket that was refused */
	uint16_t port;
	char *cmd;  /* without the blank at its end; NULL: nobody */
	char *rule; /* "default.policy:3 block github.com" */
	char *owner;
	char *reason; /* of a connection */
	uint64_t count;
};

/* What lets a container around its fence; both as the event says. */
struct df_leak {
	char *finding, *seen;
};

#define DF_LEAKS_MAX 32 /* of a container; there are fewer */

struct df_container {
	char *id, *name, *image, *pod, *k8s_namespace;
	char *policy, *mode, *owner; /* as its last event says */
	char *first, *last;          /* time of its earliest and latest event */
	bool is_whole;               /* its earliest event is the start of the fence … */
	bool has_gaps;               /* … but some were over the rate, and not written */
	uint64_t n_queries, n_blocked, n_would_block;
	uint64_t n_connections;             /* refused or unobserved */
	struct df_leak leaks[DF_LEAKS_MAX]; /* in the order of the events */
	size_t n_leaks;
	struct df_row **rows;
	size_t n, cap;
	void *index; /* of rows: tsearch(3) */
};

/* Begins as { 0 }. */
struct df_aggregate {
	struct df_container **list;
	size_t n, cap;
	uint64_t n_damaged;
};

/* Takes one line of len octets.  0; -EBADMSG: damaged, and counted; -ENOMEM. */
int df_aggregate_line(struct df_aggregate *a, const char *line, size_t len);

/* For lines that could not be read as a whole. */
void df_aggregate_damaged(struct df_aggregate *a);

/* Containers by the time of their first event; rows by verdict, name and command. */
void df_aggregate_sort(struct df_aggregate *a);

void df_aggregate_done(struct df_aggregate *a);

/* "blocked", "would-block", "unobserved", "allowed". */
const char *df_verdict_name(enum df_verdict verdict);

#endif
