/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fences: the directories of /run/deployfence, one for each fence that runs, and
 * for ended ones until the hook sweeps them away.
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
		struct timespec written; /* when its logs were last written to */
	} * list;
	size_t n, cap;
};

/*
 * Lists the fences whose id begins with prefix (NULL: all), the one that wrote
 * last at the end.  An id that is the prefix itself stands alone.  A host without
 * any fence yields an empty list.  0 or -errno; done with in every case.
 */
int df_fences_list(const char *prefix, struct df_fences *ret);
void df_fences_done(struct df_fences *f);

/*
 * As above, exactly one if prefix is given.  0, or an exit status after an error
 * that says what is wrong.
 */
int df_fences_select(const char *prefix, struct df_fences *ret);

/* The directory of a fence, or -errno. */
int df_fences_open(const struct df_fences *f, const char *id);

#endif
