/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fences: the places where fences of this host leave their files.
 *
 * /run/deployfence has one directory for each running fence, and for ended ones until the hook
 * sweeps them away.  report-dir (deployfence.conf(5)) keeps files of events for longer.
 */
#ifndef DF_FENCES_H
#define DF_FENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct df_fence_place {
	char *id;
	char *file;              /* name in report-dir; NULL: the directory in /run */
	struct timespec written; /* last write to it, or to a log in the directory */
};

struct df_fences {
	int run_fd, kept_fd; /* /run/deployfence and report-dir, owned; -1: there is none */
	struct df_fence_place
		*list; /* of one id: files by the time of their first event, then /run */
	size_t n, cap;
};

/*
 * Lists the places of all fences (prefix NULL), or of the one fence whose id is the prefix, else
 * begins with it.  with_kept: those in report-dir too, sorted by id; else the one that wrote last
 * at the end.  A host without any fence yields an empty list.  0, or an exit status after an error
 * message: the list has then the places that could be read.  df_fences_done is due in every case.
 */
int df_fences_select(const char *prefix, bool with_kept, struct df_fences *ret);
void df_fences_done(struct df_fences *f);

/* The index behind the last place of the fence that list[first] belongs to. */
size_t df_fences_next(const struct df_fences *f, size_t first);

/* The directory of a fence in /run, or -errno. */
int df_fences_open(const struct df_fences *f, const char *id);

#endif
