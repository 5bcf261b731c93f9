/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aggregate: what a report shows: for each container what it asked for, by which
 * command, how often, with what verdict.
 *
 * event_read fills it from event lines, report_read from reports of other times and
 * hosts; baseline, graph and the formats only read it.  All of it is bounded,
 * whatever the files say: what does not fit is counted.  No I/O.
 */
#ifndef DF_AGGREGATE_H
#define DF_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/report/row.h"

#define DF_AGGREGATE_ROWS_MAX 200000 /* in all containers: some 100 MiB */
#define DF_AGGREGATE_CONTAINERS_MAX 20000
#define DF_AGGREGATE_NOTES_MAX 256 /* of one container */
#define DF_AGGREGATE_X_MAX 33      /* as many annotations as an event has */
#define DF_ADDRESSES_MAX 64        /* of one container */
#define DF_UNPINNED_MAX 256        /* of one container */
#define DF_COUNT_MAX INT64_MAX     /* what lib/json reads again */

/* A finding (what lets the container around its fence), or what happened to the fence. */
struct df_note {
	const char *event;
	const char *what;   /* "cap-net-raw"; NULL: no finding */
	const char *text;   /* of a finding what was seen */
	const char *remedy; /* NULL: none */
	uint64_t count;
};

struct df_annotation {
	const char *key, *value;
};

/* What the fence could not write or handle: deployfence.events(5). */
struct df_losses {
	uint64_t events, dropped, malformed, mismatched, stray, unlogged, unshown;
};

struct df_container {
	const char *id, *host; /* host NULL: its file does not say */
	const char *name, *hostname, *image, *pod, *k8s_namespace;
	const char *policy, *mode, *owner; /* as its last event says */
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_texts addresses; /* its own, and those it had */
	struct df_texts unpinned;  /* refused names that have addresses which are not, maybe */
	struct df_annotation x[DF_AGGREGATE_X_MAX];
	size_t n_x;
	bool is_imported;       /* from a report, not from events */
	bool is_whole;          /* its earliest event is the start of the fence … */
	bool has_gaps;          /* … but some were over the rate, and not written */
	bool is_ended;          /* there is a stop */
	uint64_t n_suppressed;  /* counted only, as far as the log says so */
	struct df_losses lost;  /* of its end … */
	uint64_t stop_queries;  /* … like these two, which no gap makes smaller */
	uint64_t stop_refused;  /* connections included */
	uint64_t n_queries;     /* names by DNS */
	uint64_t n_blocked;     /* of them */
	uint64_t n_would_block; /* of them */
	uint64_t n_connections; /* refused, would be, or unobserved; TLS and HTTP too */
	uint64_t n_proxied;     /* names and addresses that an HTTP proxy was asked for */
	uint64_t n_search;      /* refused attempts of the search list: in no other number */
	uint64_t n_probes;      /* sockets connected to sort addresses, RFC 6724: no attempts */
	struct df_note *notes;
	size_t n_notes, cap_notes;
	struct df_row **rows;
	size_t n, cap;
	void *index; /* of rows: tsearch(3) */
};

/* Begins as { 0 }. */
struct df_aggregate {
	struct df_pool pool;
	struct df_container **list;
	size_t n, cap;
	void *index;             /* of containers */
	size_t n_rows;           /* of all of them */
	char since[DF_TIME_MAX]; /* what is older does not count; "": everything does */
	uint64_t n_damaged;      /* lines */
	uint64_t n_left_out;     /* what met -ENOSPC, counted by the readers */
};

/* The container with this id, made if need be.  0, -ENOSPC: too many, -ENOMEM. */
int df_aggregate_container(struct df_aggregate *a, const char *id, struct df_container **ret);
/* The same, but only if it is there. */
struct df_container *df_aggregate_find(const struct df_aggregate *a, const char *id);
/* Forgets all but its id. */
void df_aggregate_reset(struct df_aggregate *a, struct df_container *c);

/*
 * Adds count askings to the row like probe, which is made if need be, and to the sums of
 * the container.  probe borrows its strings, and has no lists: those of *ret are the
 * caller's to fill.  0, -ENOSPC: too many (*ret is NULL), -ENOMEM.
 */
int df_aggregate_count(struct df_aggregate *a, struct df_container *c, const struct df_row *probe,
		       uint64_t count, struct df_row **ret);

/*
 * A note like this one counts once more; of a finding the last text stays, since a container
 * that is restarted has it again.  Strings are borrowed.  0, -ENOSPC, -ENOMEM.
 */
int df_aggregate_note(struct df_aggregate *a, struct df_container *c, const struct df_note *note);

/* "owner" and "x-NAME", each once; other keys are none, and ignored.  0, -ENOSPC, -ENOMEM. */
int df_aggregate_annotate(struct df_aggregate *a, struct df_container *c, const char *key,
			  const char *value);

/* Takes the text into the pool; *ret is NULL for none.  0, -ENOSPC, -ENOMEM. */
int df_aggregate_text(struct df_aggregate *a, const char *text, const char **ret);

/*
 * What people call it, the first of these that is known: the annotation x-service,
 * "NAMESPACE/NAME", its name, a hostname that somebody chose, its id.
 */
#define DF_LABEL_MAX 512
void df_aggregate_label(const struct df_container *c, char *buf, size_t size);

/* Short enough, and of the characters of RFC 3339 (in any order): shown and sorted as it is. */
bool df_time_is_plain(const char *time);

/* *sum stops at DF_COUNT_MAX. */
void df_aggregate_add(uint64_t *sum, uint64_t count);

/*
 * To be called when all is read: leaves out what ended before a->since; containers by the
 * time of their first event; rows by kind, then names by their parent (df_class_parent),
 * those parents first that something is against, then by verdict, name and command.
 */
void df_aggregate_sort(struct df_aggregate *a);

void df_aggregate_done(struct df_aggregate *a);

#endif
