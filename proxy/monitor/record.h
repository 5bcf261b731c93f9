/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record: writes events to events.jsonl and events.log in the fence's run directory, to journal
 * or syslog, and to the container's stderr.
 *
 * Runs in the monitor.  A failure here is counted and never stops enforcement.  Messages of
 * the worker are checked before use.
 *
 * record.c (files and limits), record_worker.c and record_kernel.c (events of the worker and of
 * the kernel programs), show.c (the container's stderr)
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
#define DF_RECORD_WAITING_MAX 8
#define DF_RECORD_SHOWN_MAX 64 /* refusals shown on stderr, remembered to show each once */
#define DF_RECORD_RULE_MAX 512

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
	bool is_waiting_lost;
	unsigned n_waiting; /* lines for stderr; untouched memory costs nothing */
	uint64_t waiting_since_ns;
	char waiting[DF_RECORD_WAITING_MAX][DF_EVENT_TEXT_MAX];
	unsigned n_shown;
	uint64_t shown[DF_RECORD_SHOWN_MAX]; /* hash of (command, name) */
	struct {
		uint16_t generation;  /* as in df_learned.slot */
		struct df_dname name; /* len 0: none */
	} learned[DF_LEARN_NAMES];    /* by the number of the slot */
	struct {
		uint32_t seq; /* 0: empty */
		struct df_identity who;
	} who[DF_RECORD_WHO_MAX];
};

void df_record_init(struct df_record *r, const struct df_meta *meta,
		    const struct df_tables *tables);

/*
 * Writes e as JSON, and, with_text, as a line to events.log, journal or syslog and, if it is
 * about an enforced refusal, to the container's stderr.
 */
void df_record_emit(struct df_record *r, const struct df_event_line *e, bool with_text);

/* An event about the fence itself: a free text, and where somebody should act. */
void df_record_info(struct df_record *r, const char *event, const char *message);
void df_record_warning(struct df_record *r, const char *event, const char *message);

/* The part of an identity that the token holds: of a process that is not (yet) read. */
void df_record_from_token(const struct df_token *t, enum df_identity_state state,
			  struct df_identity *ret);

/* True: the event is over the rate of its sort, and was only counted. */
bool df_record_is_over_rate(struct df_record *r, enum df_record_sort sort);

/* --- record_worker --- */

/* The worker's numbers begin anew: who asked them is forgotten. */
void df_record_forget(struct df_record *r);

/* Keeps who asked seq for the event that follows. */
void df_record_identity(struct df_record *r, uint32_t seq, const struct df_identity *who);

/*
 * A query or a payload; a note, which is an event that names no process; the name of a slot
 * of learned addresses.  Each is checked.  -EBADMSG: it makes no sense, nothing was written.
 * A slot keeps its name for as long as its generation is the same: -EBADMSG for another one.
 */
int df_record_query(struct df_record *r, const struct df_msg_query *m);
int df_record_note(struct df_record *r, const struct df_msg_note *m);
int df_record_name(struct df_record *r, const struct df_msg_name *m);

/* The name of df_learned.slot.  -ENOENT: it was never told, or another name has the slot. */
int df_record_name_of(const struct df_record *r, uint32_t slot, struct df_dname *ret);

/* --- record_kernel --- */

/* Why the programs refused an address: the tables' verdict, and the name behind it. */
struct df_kernel_verdict {
	struct df_decision decision;
	struct df_decision rule; /* whose rule is named: the decision's, or a blocked name's */
	struct df_dname name;    /* len 0: none */
};

/* Once, when the event comes: the address may have been learned for other names later. */
void df_record_judge(const struct df_record *r, const struct df_event *k,
		     struct df_kernel_verdict *ret);
/* An event of the kernel; who as far as the kernel and /proc know, or NULL. */
void df_record_kernel(struct df_record *r, const struct df_event *k,
		      const struct df_kernel_verdict *v, const struct df_identity *who);
/*
 * On the container's stderr alone, before the rest is known: a refused process does not wait.  The
 * event that is recorded later is not shown again.
 */
void df_record_kernel_early(struct df_record *r, const struct df_event *k,
			    const struct df_kernel_verdict *v, const struct df_identity *who);

/* --- for both --- */

/* The reason of an event: deployfence.events(5).  NULL: none. */
const char *df_record_reason(uint32_t reason);

/* Storage for the texts of a verdict. */
struct df_record_texts {
	char rule[DF_RECORD_RULE_MAX], remedy[DF_RECORD_RULE_MAX];
};

/* Sets what e says of a verdict: its rule, the rule's owner and hint, and the remedy. */
void df_record_verdict(const struct df_record *r, const struct df_decision *d, uint8_t proto,
		       struct df_event_line *e, struct df_record_texts *texts);

/* --- show: the container's stderr --- */

/* At the start, while the container's init is there. */
void df_record_show_init(struct df_record *r);
/* Once for each (command, name).  A line that finds no room waits for df_record_show_waiting. */
void df_record_show(struct df_record *r, const struct df_event_line *e, const char *text);
/*
 * Shows the lines that wait, since the container's stderr was redirected.  is_last: there is no
 * other try.
 */
void df_record_show_waiting(struct df_record *r, bool is_last);

#endif
