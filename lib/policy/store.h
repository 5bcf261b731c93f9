/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_store: the last good table of each policy, NAME.table in a directory.
 *
 * What a host falls back on when a policy has an error.  A file is written whole
 * and renamed into place, so a reader sees the old one or the new one.  Trusted
 * is only what the caller's user alone can have written: a regular file of that
 * user that nobody else may read or write, in a directory of the same kind.
 */
#ifndef DF_POLICY_STORE_H
#define DF_POLICY_STORE_H

#include <stddef.h>

#include "lib/policy/table.h"

/*
 * Opens the directory; makes it (0700), and its parent, if create.  A descriptor.
 * -EPERM: it belongs to somebody else, or others may enter it.  Other -errno.
 */
int df_policy_store_open(const char *path, bool create);

/* Keeps the table, unless the very same is there.  1: written; 0: was there; -errno. */
int df_policy_store_save(int dir_fd, const char *name, const void *table, size_t size);

/*
 * -ENOENT: none.  -EPERM: not ours alone.  -EBADMSG: not a table of this version,
 * or of another policy than name.  *ret is malloc'd.
 */
int df_policy_store_load(int dir_fd, const char *name, void **ret, size_t *ret_size);

#endif
