/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report_dir: the directory report-dir, where the events of fences outlive the
 * container, /run and a reboot.
 *
 * Each file holds one run of lines of a fence's events.jsonl (deployfence.events(5)),
 * and is named by the time of the first of them and the fence's id:
 * 20260131T120000.123456Z-ID.jsonl.  It appears whole or not at all.  A mark in the
 * fence's run directory tells how far events are kept, so that none is kept twice
 * and a file that a crash left unmarked is replaced by itself.
 *
 * Only the holder of a fence's lock keeps its events, or a child of the holder.
 * Other files of the directory are left alone.
 */
#ifndef DF_REPORT_DIR_H
#define DF_REPORT_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/report_limits.h"

#define DF_REPORTS_FILES_MAX 100000 /* counting them takes a fraction of a second */
#define DF_REPORTS_ID_MAX 128
#define DF_REPORTS_NAME_MAX 192

/* Files of a run directory: how far its events are kept; and that the last attempt failed. */
#define DF_REPORTS_MARK "reported"
#define DF_REPORTS_UNKEPT "unreported"

/*
 * Opens the directory; makes it (0700), and its parent, if create.  A descriptor.
 * -EPERM: it belongs to somebody else, or others may write to it.  Other -errno.
 */
int df_reports_open(const char *path, bool create);

/*
 * Keeps the events that the fence of run_fd wrote since the last time, whole lines only, and
 * removes the oldest files where limits are passed: to 7/8 of them, so that not
 * each call has to look at all.  1: kept; 0: there was nothing new; -errno.
 */
int df_reports_keep(int dir_fd, int run_fd, const char *id, const struct df_report_limits *limits);

/* Leaves DF_REPORTS_UNKEPT there, for the sweep. */
void df_reports_note_unkept(int run_fd);

/* Events of a run directory that are not kept yet, oldest first.  fd -1: none. */
#define DF_REPORTS_PARTS 2
struct df_reports_rest {
	struct df_reports_part {
		int fd; /* owned */
		uint64_t ino;
		off_t from, size;
	} parts[DF_REPORTS_PARTS];
};

/*
 * dir_fd -1: marks alone say what is kept.  0 or -errno; done with in every case.
 * A writer may be at work: *ret is a state of some moment.
 */
int df_reports_rest_open(int dir_fd, int run_fd, const char *id, struct df_reports_rest *ret);
void df_reports_rest_done(struct df_reports_rest *rest);
bool df_reports_rest_is_empty(const struct df_reports_rest *rest);

/* The id in the name of a report, or NULL: not the name of one. */
bool df_reports_id(const char *file, char ret[static DF_REPORTS_ID_MAX + 1]);

#endif
