/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader: who asked, from /proc, while the asking process still waits.
 *
 * Runs as a process of its own that the monitor may kill: /proc/PID/cmdline of
 * a hostile process can block (its memory may be a FUSE file).  Reads are capped
 * and go through one descriptor of /proc/PID, so that a reused pid cannot slip
 * in between; a process that started after the question is "gone", never taken
 * for the asker.
 */
#ifndef DF_READER_H
#define DF_READER_H

#include "lib/event/event.h"
#include "lib/fence/launch.h"

/* Answers struct df_msg_lookup on channel until it closes.  Never returns. */
_Noreturn void df_reader_run(const struct df_meta *meta, int channel);

/* Arguments as the published log shows them: each followed by a blank.  The new length. */
size_t df_reader_cmdline(char *cmd, size_t len);

/* The directory of the very process in proc_fd, if it is the container's; else -ESRCH. */
int df_reader_open(const struct df_meta *meta, int proc_fd, const struct df_token *t);

/* What the token alone says: a process that could not be read. */
void df_reader_from_token(const struct df_token *t, enum df_identity_state state,
			  struct df_identity *ret);

/*
 * Reads the process of the token.  proc_fd is a directory descriptor of /proc.
 * Never fails: *ret says GONE or UNAVAILABLE where it could not.  Of one that is gone its
 * ancestors are read all the same, if the kernel recorded its parent.
 */
void df_reader_identify(const struct df_meta *meta, int proc_fd, const struct df_token *t,
			struct df_identity *ret);

#endif
