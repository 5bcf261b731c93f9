/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kept: the files of report-dir (deployfence.conf(5)), where events of fences outlive
 * /run/deployfence.
 */
#ifndef DF_KEPT_H
#define DF_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct df_kept {
	int dir_fd; /* owned; -1: there is none */
	struct df_kept_file {
		char *id, *name;
		struct timespec written;
	} * list; /* by id, then by the time of their first event */
	size_t n, cap;
};

/*
 * Lists the files of fences whose id begins with prefix (NULL: all).  A directory that
 * does not exist has none.  0, or an exit status after an error that says what is wrong;
 * done with in every case.
 */
int df_kept_list(const char *prefix, struct df_kept *ret);
void df_kept_done(struct df_kept *k);

/* The files of one fence: list[*ret_first] and those behind it.  Their number. */
size_t df_kept_of(const struct df_kept *k, const char *id, size_t *ret_first);

/* Where the next id begins; first is where one does. */
size_t df_kept_next(const struct df_kept *k, size_t first);

#endif
