/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aggregate: the contents of a report.  It holds one entry for each container, and in it one row
 * for each thing that a command asked for, with its verdict and the number of times.
 *
 * event_read fills it from event lines, form_json from reports of other times and hosts; all
 * others only read it.  Its size is bounded, whatever the files say: an entry over a bound is
 * refused with -ENOSPC, and the readers count it.  No I/O.
 */
#ifndef DF_AGGREGATE_H
#define DF_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/report/classify.h"

#define DF_AGGREGATE_ROWS_MAX 200000 /* in all containers: some 100 MiB */
#define DF_AGGREGATE_CONTAINERS_MAX 20000
#define DF_AGGREGATE_NOTES_MAX 256 /* of one container */
#define DF_AGGREGATE_X_MAX 33      /* as many annotations as an event has */
#define DF_ADDRESSES_MAX 64        /* of one container */
#define DF_UNPINNED_MAX 256        /* of one container */
#define DF_COUNT_MAX INT64_MAX     /* the largest number that lib/base/json reads again */
#define DF_ROW_ANCESTORS_MAX 16    /* as in an event */
#define DF_ROW_ANSWERS_MAX 64      /* some names have new addresses in each answer */
#define DF_ROW_ALIASES_MAX 32
#define DF_ROW_TARGET_MAX 1152 /* a name has 1009 octets, an address with a port 54 */
#define DF_TIME_MAX 32

/* Octets of all texts: those of some 100,000 rows without a repetition. */
#define DF_POOL_MAX (256u << 20)

/*
 * Every distinct text once, since command lines and rules repeat in thousands of rows.  Texts live
 * as long as their pool.  Begins as { 0 }.
 */
struct df_pool {
	void *texts; /* tsearch(3) */
	size_t used;
};

/* The pool's copy; text NULL or "": *ret is NULL.  0, -ENOSPC: the pool is full, -ENOMEM. */
int df_pool_add(struct df_pool *p, const char *text, const char **ret);
void df_pool_done(struct df_pool *p);

/* A list of texts of a pool.  Begins as { 0 }; df_texts_done frees the list. */
struct df_texts {
	const char **list;
	size_t n, cap;
};

/* Appends a text, if it is neither empty nor beyond max.  0, -ENOSPC, -ENOMEM. */
int df_texts_append(struct df_texts *t, struct df_pool *p, const char *text, size_t max);
/* The same, unless the list has the text already. */
int df_texts_add(struct df_texts *t, struct df_pool *p, const char *text, size_t max);
void df_texts_remove(struct df_texts *t, const char *text);
void df_texts_done(struct df_texts *t);

/* In the order in which a report shows them. */
enum df_row_verdict {
	DF_ROW_BLOCKED,
	DF_ROW_WOULD_BLOCK, /* audit: not refused, although a rule is against it */
	DF_ROW_UNOBSERVED,  /* passed, because the proxy gave no sign of life */
	DF_ROW_ALLOWED,
	DF_ROW_VERDICTS,
};

enum df_row_kind {
	DF_ROW_NAME,       /* a domain: in a DNS query, a TLS hello or a request to an HTTP proxy */
	DF_ROW_CONNECTION, /* an address, or a socket */
	DF_ROW_SHADOW,     /* a verdict of the shadow policy: WOULD_BLOCK or ALLOWED */
	DF_ROW_KINDS,
};

/*
 * One thing that one command of a container asked for, with one verdict of one rule.  Strings
 * are NULL where unknown, and belong to the pool.  The fields up to reason are its identity.
 */
struct df_row {
	enum df_row_kind kind;
	enum df_row_verdict verdict;
	const char *at;     /* "dns", "connect", "packet", "tls", "http", "proxy" */
	const char *domain; /* with trailing dot */
	const char *ip;     /* NULL: none, or a socket that was refused */
	uint16_t port;      /* 0: none */
	const char *socket; /* "AF_PACKET SOCK_RAW 0x0003" */
	const char *cmd;    /* without the blank at its end */
	const char *script; /* the file that the nearest shell or make runs */
	const char *rule;   /* "default.policy:3 block github.com" */
	const char *rule_owner;
	const char *owner; /* of the container: the annotation */
	const char *reason;
	const char *hint;
	enum df_class class; /* of DF_ROW_NAME */
	uint64_t count;
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_texts ancestry;  /* command lines, parent first, of one of its events */
	struct df_texts answers;   /* addresses */
	struct df_texts aliases;   /* the CNAME chain */
	bool is_new;               /* not in the baseline */
	enum df_row_verdict worst; /* of the rows with the same parent; df_aggregate_sort sets it */
};

/* "blocked", "would-block", "unobserved", "allowed". */
const char *df_row_verdict_name(enum df_row_verdict verdict);
/* DF_ROW_VERDICTS: no verdict has this name. */
enum df_row_verdict df_row_verdict_from_name(const char *name);

/* Whether a rule is against it. */
static inline bool df_row_is_against(enum df_row_verdict verdict)
{
	return verdict == DF_ROW_BLOCKED || verdict == DF_ROW_WOULD_BLOCK;
}

/*
 * The target as text: "github.com", "github.com:443" (of a proxy), "140.82.112.3:443",
 * "github.com [::1]:443", a socket; "": unknown.
 */
void df_row_target(const struct df_row *row, char *buf, size_t size);

/* A finding (a way around the fence that the container has), or an event of the fence's life. */
struct df_report_note {
	const char *event;
	const char *what;   /* "cap-net-raw"; NULL: no finding */
	const char *text;   /* of a finding: where it was seen */
	const char *remedy; /* NULL: none */
	uint64_t count;
};

struct df_report_annotation {
	const char *key, *value;
};

/* Losses that the fence counts at its end: deployfence.events(5). */
enum df_loss {
	DF_LOSS_EVENTS,
	DF_LOSS_DROPPED,
	DF_LOSS_MALFORMED,
	DF_LOSS_MISMATCHED,
	DF_LOSS_STRAY,
	DF_LOSS_UNLOGGED,
	DF_LOSS_UNSHOWN,
	DF_LOSSES,
};

/* "events", "dropped" and so on: as in the text and the JSON of a report. */
const char *df_loss_name(enum df_loss loss);

struct df_report_container {
	const char *id, *host; /* host NULL: its file does not tell */
	const char *name, *hostname, *image, *pod, *k8s_namespace;
	const char *policy, *mode, *owner; /* of its last event */
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_texts addresses; /* its own ones, also earlier ones */
	struct df_texts unpinned;  /* refused names of which some addresses may not be refused */
	struct df_report_annotation x[DF_AGGREGATE_X_MAX];
	size_t n_x;
	bool is_imported;      /* from a report, not from events */
	bool is_whole;         /* its earliest event is the start of the fence … */
	bool has_gaps;         /* … but some events were over the rate limit, and not written */
	bool is_ended;         /* there is a stop */
	uint64_t n_suppressed; /* events over the rate limit, as far as the log has their number */
	uint64_t lost[DF_LOSSES]; /* counted by the fence itself, at its stop … */
	uint64_t stop_queries;    /* … as are these two, which no gap in the events reduces */
	uint64_t stop_refused;    /* connections included */
	uint64_t n_queries;       /* names by DNS */
	uint64_t n_blocked;       /* of them */
	uint64_t n_would_block;   /* of them */
	uint64_t n_connections;   /* refused, would be, or unobserved; TLS and HTTP too */
	uint64_t n_proxied;       /* names and addresses in requests to an HTTP proxy */
	uint64_t n_search;        /* refused attempts of the search list: in no other number */
	uint64_t n_probes;        /* sockets connected to sort addresses, RFC 6724: no attempts */
	struct df_report_note *notes;
	size_t n_notes, cap_notes;
	struct df_row **rows;
	size_t n, cap;
	void *index; /* of rows: tsearch(3) */
};

/* Begins as { 0 }. */
struct df_aggregate {
	struct df_pool pool;
	struct df_report_container **list;
	size_t n, cap;
	void *index;             /* of containers: tsearch(3) */
	size_t n_rows;           /* of all of them */
	char since[DF_TIME_MAX]; /* older events do not count; "": all do */
	uint64_t n_damaged;      /* lines */
	uint64_t n_left_out;     /* entries refused with -ENOSPC, counted by the readers */
};

/* The container with this id, which is made if need be.  0, -ENOSPC: too many, -ENOMEM. */
int df_aggregate_container(struct df_aggregate *a, const char *id,
			   struct df_report_container **ret);
/* The same, but NULL if there is none. */
struct df_report_container *df_aggregate_find(const struct df_aggregate *a, const char *id);
/* Forgets all but its id. */
void df_aggregate_reset(struct df_aggregate *a, struct df_report_container *c);

/*
 * Adds count to the row with the identity of probe, which is made if need be, and to the sums of
 * the container.  probe borrows its strings, and has no lists: the caller fills those of *ret.
 * 0, -ENOSPC: too many (*ret is NULL), -ENOMEM.
 */
int df_aggregate_count(struct df_aggregate *a, struct df_report_container *c,
		       const struct df_row *probe, uint64_t count, struct df_row **ret);

/*
 * Adds to the count of the note with the same event and text, which is made if need be.  Of a
 * finding the last text stays, since a container that is restarted has the finding again.
 * Strings are borrowed.  0, -ENOSPC, -ENOMEM.
 */
int df_aggregate_note(struct df_aggregate *a, struct df_report_container *c,
		      const struct df_report_note *note);

/* Takes "owner" and "x-NAME", each once; other keys are ignored.  0, -ENOSPC, -ENOMEM. */
int df_aggregate_annotate(struct df_aggregate *a, struct df_report_container *c, const char *key,
			  const char *value);

/*
 * The label of a container is the first of these that is known: the annotation x-service,
 * "NAMESPACE/NAME", its name, a hostname that somebody chose, its id.
 */
#define DF_LABEL_MAX 512
void df_aggregate_label(const struct df_report_container *c, char *buf, size_t size);

/* Whether it is short enough, and has only characters of RFC 3339: then it is shown unescaped. */
bool df_time_is_plain(const char *time);

/* *sum stops at DF_COUNT_MAX. */
void df_aggregate_add(uint64_t *sum, uint64_t count);

/* Attempts of the search list, of all containers. */
uint64_t df_aggregate_search_attempts(const struct df_aggregate *a);

/* NULL compares as "". */
int df_compare_text(const char *a, const char *b);

/*
 * To be called when all is read: leaves out containers that ended before a->since; sorts
 * containers by the time of their first event; rows by kind, then names by their parent
 * (df_class_parent), parents with a refused name first, then by verdict, name and command.
 */
void df_aggregate_sort(struct df_aggregate *a);

void df_aggregate_done(struct df_aggregate *a);

#endif
