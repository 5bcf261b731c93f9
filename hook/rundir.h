/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rundir: /run/deployfence/ID, its lock, its logs, and the removal of what dead fences left behind.
 *
 * The lock is held by the fence's monitor; a process that gets it knows that no
 * monitor lives.  Logs (hook.log, events.log, events.jsonl) stay for the reader of a
 * failed deploy; the sweep keeps the newest DF_RUNDIR_KEEP of them.  The events go to
 * report-dir as well: by the monitor at its end, else by the sweep.
 */
#ifndef DF_RUNDIR_H
#define DF_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/job.h"
#include "lib/event/report_dir.h"

#define DF_RUNDIR_KEEP 100 /* ended fences whose logs stay; 8 MiB each at most */

/* Creates it (0700).  A directory descriptor, or -errno. */
int df_rundir_open(const char *id);

/*
 * Takes the lock; waits up to timeout_ms for a fence of the same id to end.
 * The locked descriptor, or -EBUSY, or -errno.
 */
int df_rundir_lock(int run_fd, int timeout_ms);

/* poststop: waits until the monitor of this id has cleaned up, if one lives. */
void df_rundir_wait(const char *id, int timeout_ms);

/* The facts that the sweep needs if no process of the fence is left to clean up. */
struct df_rundir_fence {
	int init_pid;
	uint64_t init_start; /* ticks since boot: field 22 of /proc/PID/stat */
	int is_host_netns;   /* then the token route outlives the container */
	int is_fail_open;    /* then DNS passed once the monitor was gone */
	uint8_t token6_prefix[DF_TOKEN6_PREFIX_LEN];
};

/* Writes the file "fence"; 0 or -errno. */
int df_rundir_note(int run_fd, const struct df_rundir_fence *f);

/* Start time of a process, 0 if there is none. */
uint64_t df_rundir_start_of(int pid);

/* Where the sweep keeps the events of dead fences. */
struct df_rundir_reports {
	int fd; /* of report-dir; negative: there is none */
	const struct df_report_limits *limits;
	bool is_retrying; /* also those that could not be kept when their fence ended */
};

/* Cleans up after fences whose monitor and container are both gone. */
void df_rundir_sweep(struct df_rundir_reports *reports);

/* Appends a line with the time to hook.log. */
void df_rundir_log(int run_fd, const char *line);

/*
 * Appends one event of the hook to events.jsonl, deployfence.events(5), where no monitor writes:
 * there is no fence, or its processes are gone.  An event that cannot be written is lost: hook.log
 * and syslog have it too.
 */
void df_rundir_event(int run_fd, const struct df_job *job, const char *event, const char *message);

#define DF_RUNDIR_FACT_VALUES_MAX 32

/*
 * Numbers that were found out about this kernel, kept below /run/deployfence with the boot's id
 * beside them.  name: a file name of ours.  get: n numbers into values, else untouched and false,
 * not known.  set: what cannot be kept is found out again.
 */
bool df_rundir_get_fact(const char *name, uint32_t *values, size_t n);
void df_rundir_set_fact(const char *name, const uint32_t *values, size_t n);

#endif
