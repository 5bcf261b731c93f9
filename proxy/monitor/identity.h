/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity: who asked, from /proc, while the asking process still waits.
 *
 * The reader is a process of its own that the monitor may kill: /proc/PID/cmdline of
 * a hostile process can block (its memory may be a FUSE file).  Reads are capped
 * and go through one descriptor of /proc/PID, so that a reused pid cannot slip
 * in between; a process that started after the question is "gone", never taken
 * for the asker.  The monitor keeps each question, and the event or answer that waits for it,
 * until the reader has answered or does not answer in time.
 */
#ifndef DF_IDENTITY_H
#define DF_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/event/event.h"
#include "lib/fence/launch.h"
#include "proxy/channel.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"

/*
 * Reads the process of the token.  proc_fd is a directory descriptor of /proc.
 * Never fails: *ret says GONE or UNAVAILABLE where it could not.  Of one that is gone its
 * ancestors are read all the same, if the kernel recorded its parent.
 */
void df_identity_read(const struct df_meta *meta, int proc_fd, const struct df_token *t,
		      struct df_identity *ret);

/* Arguments as the published log shows them: each followed by a blank.  The new length. */
size_t df_identity_cmdline(char *cmd, size_t len);

/* The reader: answers struct df_msg_lookup on channel until that closes. */
_Noreturn void df_identity_run_reader(const struct df_meta *meta, int channel);

#define DF_LOOKUPS_MAX 1024 /* at once: a burst of processes; touched as far as it needs */
#define DF_LOOKUP_DEADLINE_NS 200000000ull /* then the reader is killed: something blocks it */

/* A process is being looked up; what depends on its identity waits here. */
struct df_lookup {
	uint32_t seq; /* 0: free; else its place in the array, and above that a count */
	uint64_t since_ns;
	bool is_kernel;
	bool has_record;
	uint32_t worker_seq;
	struct df_token token;
	struct df_event_task event;       /* is_kernel */
	struct df_kernel_verdict verdict; /* the same */
	struct df_msg_query record;       /* has_record */
};

struct df_lookups {
	struct df_children *children;
	const struct df_child *worker; /* its answers wait */
	struct df_record *record;
	struct df_child reader;
	uint64_t answer_ns; /* many questions may wait; one that blocks the reader stops all */
	uint32_t seq;
	unsigned n; /* places that may be taken: none from here on is */
	struct df_lookup places[DF_LOOKUPS_MAX];
};

/* A query of the worker: its asker is looked up, or its outcome follows an earlier message. */
void df_lookups_query(struct df_lookups *ls, const struct df_msg_query *q);
void df_lookups_kernel(struct df_lookups *ls, const struct df_event_task *task);
/* For the reader, too: a connection that was held may go on. */
void df_lookups_resume(struct df_lookups *ls, const struct df_msg_resume *m);

bool df_lookups_is_any_open(const struct df_lookups *ls);
/* The worker is gone, and with it the meaning of its numbers. */
void df_lookups_forget_worker(struct df_lookups *ls);
/* Stops a reader that does not answer in time. */
void df_lookups_expire(struct df_lookups *ls, uint64_t now_ns);
/* Stops the reader; what waits for it is recorded without an identity. */
void df_lookups_stop(struct df_lookups *ls);

#endif
