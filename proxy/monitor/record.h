/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record: writes events where they belong: events.jsonl and events.log in the
 * fence's run directory, journal or syslog, and the container's stderr.
 *
 * Runs in the monitor.  Whatever fails here is counted and never stops
 * enforcement.  What comes from the worker is checked before use.
 */
#ifndef DF_RECORD_H
#define DF_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/fence/launch.h"
#include "lib/policy/table.h"
#include "proxy/channel.h"
#include "proxy/learn/learn.h"
#include "proxy/tables.h"

#define DF_RECORD_FILE_MAX (4 << 20) /* octets of events.jsonl and of events.log; then rotated */
#define DF_RECORD_WHO_MAX 256        /* identities kept for events that are still to come */
#define DF_RECORD_BURST 4000         /* events; then DF_RECORD_RATE a second, the rest is counted */
#define DF_RECORD_RATE 200
#define DF_RECORD_TELL_NS 10000000000ull
#define DF_RECORD_KEPT_MAX 8
#define DF_RECORD_SHOWN_MAX 64 /* refusals shown on stderr, remembered to show each once */

/* Each sort has its own limit: a flood of allowed names must not hide a refusal. */
enum df_record_sort { DF_RATE_ALLOWED, DF_RATE_REFUSED, DF_RATE_KERNEL, DF_N_RATES };

struct df_record_rate {
	uint64_t tokens, earned_ns, told_ns;
	uint64_t untold; /* suppressed since the last event that said so */
};

struct df_record_file {
	const char *name;
	int fd;
	uint64_t size;
	bool is_rotated; /* since somebody set it to false */
};

struct df_record {
	const struct df_meta *meta;
	const struct df_tables *tables;
	struct df_record_file jsonl, text;
	uint64_t n_queries, n_refusals; /* in audit: that would have been refused */
	uint64_t n_search;              /* refused attempts of the search list; in neither */
	uint64_t n_lost;                /* could not be written */
	uint64_t n_suppressed;          /* over the rate */
	uint64_t n_unlogged; /* neither journal nor syslog took the line; events.log has it */
	uint64_t n_unshown;  /* refusals that the container's stderr did not take */
	struct df_record_rate rates[DF_N_RATES];
	bool is_init_gone; /* then its pid may be anybody's */
	int stderr_fd;     /* O_PATH, of its pipe; -errno: none */
	bool is_stderr_reported;
	bool is_kept_lost;
	unsigned n_kept; /* lines for stderr that wait; untouched memory costs nothing */
	uint64_t kept_since_ns;
	char kept[DF_RECORD_KEPT_MAX][DF_EVENT_TEXT_MAX];
	unsigned n_shown;
	uint64_t shown[DF_RECORD_SHOWN_MAX]; /* hash of (command, name) */
	struct {
		uint16_t generation;  /* as in df_learned.slot */
		struct df_dname name; /* len 0: none */
	} learned[DF_LEARN_NAMES];    /* untouched memory costs nothing */
	struct {
		uint32_t seq; /* 0: empty */
		struct df_identity who;
	} who[DF_RECORD_WHO_MAX];
};

void df_record_init(struct df_record *r, const struct df_meta *meta,
		    const struct df_tables *tables);

/* The worker's numbers begin anew: who asked them is forgotten. */
void df_record_forget(struct df_record *r);

/* Keeps who asked seq for the event that follows. */
void df_record_identity(struct df_record *r, uint32_t seq, const struct df_identity *who);

/* An event of the worker; checked.  -EBADMSG: it makes no sense, nothing was written. */
int df_record_query(struct df_record *r, const struct df_msg_query *m);

/*
 * The name of a slot of learned addresses; checked, as above.  A slot that has a name keeps it
 * for as long as its generation is the same: -EBADMSG for another one.
 */
int df_record_name(struct df_record *r, const struct df_msg_name *m);
/* The name of df_learned.slot.  -ENOENT: it was never told, or another name has the slot. */
int df_record_name_of(const struct df_record *r, uint32_t slot, struct df_dname *ret);

/* What was not learned; checked, as above. */
int df_record_note(struct df_record *r, const struct df_msg_note *m);

/* A refused name that could not be pinned, or is again; checked, as above. */
int df_record_pin(struct df_record *r, const struct df_msg_note *m);

/* Octets that passed and could not be understood; checked, as above. */
int df_record_unread(struct df_record *r, const struct df_msg_note *m);

/* An event of the kernel; who as far as the kernel and /proc know, or NULL. */
void df_record_kernel(struct df_record *r, const struct df_event *k, const struct df_identity *who);
/*
 * On the container's stderr alone, before the rest is known: whoever was refused does not
 * wait.  What is recorded later is not shown again.
 */
void df_record_kernel_early(struct df_record *r, const struct df_event *k,
			    const struct df_identity *who);

/* Life of the fence: "start", "stop", "worker_restarted", … with a free text. */
void df_record_life(struct df_record *r, const char *event, const char *message);

/* The same, with addresses of the container. */
void df_record_addresses(struct df_record *r, const char *event, const char *message,
			 const uint8_t (*addrs)[16], unsigned n);

/*
 * Shows what could not be shown yet, since the container's stderr was redirected.  True:
 * something is still left for another try.  is_last: there will be none.
 */
bool df_record_retry(struct df_record *r, bool is_last);

/* What the hook found that lets the container around its fence. */
void df_record_findings(struct df_record *r);

/* "stop", with all that was counted. */
void df_record_stop(struct df_record *r, const char *message, const struct df_event_totals *totals);

/* As df_record_life, where somebody should act. */
/* One with a number. */
void df_record_counted(struct df_record *r, const char *event, const char *message, uint64_t n);
void df_record_warning(struct df_record *r, const char *event, const char *message);

#endif
