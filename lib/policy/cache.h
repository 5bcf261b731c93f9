/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cache: compiled policies in files, in two directories that root alone may enter.
 *
 * Shared tables, /run/deployfence/@policies: each compiled policy once, for all fences.
 *   HASH.table   a table, named by its content, and never written again
 *   NAME.index   the files that policy NAME was made of when it was compiled: path, device,
 *                inode, size and times of each; the name and stamp of the table; warnings
 *   lock         held while a policy is compiled, so that not all starts compile it at once
 * An index counts while all of its files have the same stamps and no directory of a higher
 * rank has the policy.  A policy of which a file changed within two seconds before it was
 * read gets no index: the next write might not show in the times.
 * A table is checked in full when it is put here.  Later only its header is checked, and its
 * stamp, which shows any write.  Each user of a table holds a shared lock on it, by the
 * descriptor that is handed on to its proxies.  A table that no index names and nobody holds
 * is removed.
 *
 * Last good tables, /var/lib/deployfence/policies: NAME.table, used when policy NAME has an
 * error.  They are written with fdatasync, as they have to outlive a reboot.
 *
 * A file counts only if it is a regular file of the caller's user to which others have no
 * access, in a directory for which the same holds.
 */
#ifndef DF_POLICY_CACHE_H
#define DF_POLICY_CACHE_H

#include "lib/policy/compile.h"
#include "lib/policy/table.h"

/* FAT's times have two seconds; those of most have milliseconds. */
#define DF_POLICY_CACHE_SETTLE_MS 2000
/* A process that writes a table has written its index within this time, or never will. */
#define DF_POLICY_CACHE_YOUNG_S 60

/* A table in use.  Begins as DF_POLICY_MAPPED_NONE. */
struct df_policy_mapped {
	int fd;     /* the locked file; -1: none */
	void *base; /* mapped */
	struct df_policy policy;
	char *messages; /* warnings; malloc'd; NULL: none */
};

#define DF_POLICY_MAPPED_NONE                                                                      \
	{                                                                                          \
		.fd = -1                                                                           \
	}

void df_policy_mapped_done(struct df_policy_mapped *s);

/*
 * Opens one of the directories; makes it (0700), and its parent, if create.  A descriptor.
 * -EPERM: it belongs to another user, or others may enter it.  Other -errno.
 */
int df_policy_cache_open(const char *path, bool create);

/* Waits at most timeout_ms for a process that compiles.  The locked descriptor.  -EBUSY, -errno. */
int df_policy_cache_lock(int dir_fd, int timeout_ms);

/*
 * The shared table of policy name, which dirs (NULL-terminated) have, if its index counts.
 * -ENOENT: it must be compiled.
 */
int df_policy_cache_find(int dir_fd, const char *name, const char *const *dirs,
			 struct df_policy_mapped *ret);

/*
 * Puts a compiled table there, with an index if its files are older than settle_ms
 * (DF_POLICY_CACHE_SETTLE_MS but for tests).  0; -EEXIST: another file came to stand under its
 * name; -EBADMSG: the written file is no table; other -errno.
 */
int df_policy_cache_put(int dir_fd, const char *name, const struct df_policy_result *compiled,
			unsigned settle_ms, struct df_policy_mapped *ret);

/*
 * Removes indices that no longer count, and tables that nobody needs, if they are older
 * than young_s (DF_POLICY_CACHE_YOUNG_S but for tests).
 */
void df_policy_cache_sweep(int dir_fd, unsigned young_s);

/* Removes a directory of shared tables that is no longer used, but for tables that running fences
 * hold.  A path that does not exist is fine. */
void df_policy_cache_retire(const char *path);

/* Keeps the table as the last good one, unless the same is there.  1: written; 0: was there;
 * -errno. */
int df_policy_cache_keep(int dir_fd, const char *name, const void *table, size_t size);

/*
 * The last good table.  -ENOENT: none.  -EPERM: others have access to it.  -EBADMSG: not a table
 * of this version, or of another policy than name.  *ret is malloc'd.
 */
int df_policy_cache_last_good(int dir_fd, const char *name, void **ret, size_t *ret_size);

/* NAME.index as octets; not for callers, but for tests. */

#define DF_POLICY_INDEX_MAX (1u << 20) /* octets: 64 paths, and warnings */
#define DF_POLICY_TABLE_NAME 40        /* 32 hexadecimal digits, ".table", NUL */

struct df_policy_index {
	char table[DF_POLICY_TABLE_NAME];
	struct df_policy_stamp table_stamp;
	struct df_policy_files files;
	char *messages; /* malloc'd; NULL: none */
};

void df_policy_index_done(struct df_policy_index *index);

/* *ret is malloc'd.  -ENOMEM. */
int df_policy_index_write(const struct df_policy_index *index, char **ret, size_t *ret_len);

/* -EBADMSG: not an index, or of another version.  *ret is to be freed on success only. */
int df_policy_index_read(const char *data, size_t len, struct df_policy_index *ret);

#endif
