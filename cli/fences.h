/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fences: the places where fences of this host leave their files.
 *
 * /run/deployfence has one directory for each running fence, and for ended ones until the hook
 * sweeps them away.  report-dir (deployfence.conf(5)) keeps events for longer.
 */
#ifndef DF_FENCES_H
#define DF_FENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct df_fences {
	int run_fd; /* directory DF_RUNDIR, owned; -1: there is none */
	struct df_fence_dir {
		char *id;
		struct timespec written; /* last write to one of its logs */
	} * list;
	size_t n, cap;
};

/*
 * Lists the fences whose id begins with prefix (NULL: all), the one that wrote last at the end.
 * If an id equals the prefix, it alone is listed.  With a prefix exactly one fence must remain.
 * A host without any fence yields an empty list.  0, or an exit status after an error message;
 * df_fences_done is due in every case.
 */
int df_fences_select(const char *prefix, struct df_fences *ret);
void df_fences_done(struct df_fences *f);

/* The directory of a fence, or -errno. */
int df_fences_open(const struct df_fences *f, const char *id);
bool df_fences_has(const struct df_fences *f, const char *id);

/* The files of report-dir. */
struct df_kept {
	int dir_fd; /* owned; -1: there is none */
	struct df_kept_file {
		char *id, *name;
		struct timespec written;
	} * list; /* by id, then by the time of their first event */
	size_t n, cap;
};

/*
 * Lists the files of fences whose id begins with prefix (NULL: all).  A report-dir that does not
 * exist yields an empty list.  0, or an exit status after an error message; df_kept_done is due
 * in every case.
 */
int df_kept_list(const char *prefix, struct df_kept *ret);
void df_kept_done(struct df_kept *k);

/* The files of one fence: list[*ret_first] and those behind it.  Their number. */
size_t df_kept_of(const struct df_kept *k, const char *id, size_t *ret_first);

/* The index behind the last file of the fence that list[first] belongs to. */
size_t df_kept_next(const struct df_kept *k, size_t first);

#endif
