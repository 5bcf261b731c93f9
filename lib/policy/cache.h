/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_cache: the compiled policies of this host, each once, for all its fences.
 *
 * A directory that root alone may enter holds
 *   HASH.table   a table, named by its content, and never written again
 *   NAME.index   what policy NAME was made of when it was compiled: path, device, inode,
 *                size and times of each file; the table's name and the same of it; warnings
 *   lock         held while a policy is compiled, so that not all starts do it at once
 *
 * An index counts while all of its files are what they were and no directory that is
 * looked at before has the policy.  A policy of which a file changed within two seconds
 * before it was read has none: the next write might not show in the times.
 *
 * A table is checked in full when it is put here.  Later only its stamp is compared, which
 * shows any write, and its header: what nobody but root can have changed, and nobody has,
 * needs no other look at a million names.
 *
 * Whoever uses a table holds a shared lock on it, by the descriptor that is handed on to
 * its proxies.  What no index names and nobody holds is removed.
 */
#ifndef DF_POLICY_CACHE_H
#define DF_POLICY_CACHE_H

#include "lib/policy/compile.h"
#include "lib/policy/table.h"

/* FAT's times have two seconds; those of most have milliseconds. */
#define DF_POLICY_CACHE_SETTLE_MS 2000
/* Whoever made a file has come to its end by then: it has an index, or never will. */
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

/* The directory; made (0700), and its parent, if create.  A descriptor.  -EPERM: not ours alone.
 * -errno. */
int df_policy_cache_open(const char *path, bool create);

/* Waits for whoever compiles, at most timeout_ms.  The locked descriptor.  -EBUSY, -errno. */
int df_policy_cache_lock(int dir_fd, int timeout_ms);

/*
 * The table of policy name, which dirs (NULL-terminated) have, if it is still the one.
 * -ENOENT: it must be compiled.
 */
int df_policy_cache_find(int dir_fd, const char *name, const char *const *dirs,
			 struct df_policy_mapped *ret);

/*
 * Puts what was compiled there, with an index if its files are older than settle_ms
 * (DF_POLICY_CACHE_SETTLE_MS but for tests).  0; -EEXIST: what stands under its name is another,
 * again and again; -EBADMSG: what was written is no table; other -errno.
 */
int df_policy_cache_put(int dir_fd, const char *name, const struct df_policy_result *compiled,
			unsigned settle_ms, struct df_policy_mapped *ret);

/*
 * Removes a cache that is used no more, but for tables that running fences hold.  A path that
 * does not exist is fine.
 */
void df_policy_cache_retire(const char *path);

/*
 * Removes indices that no longer count, and tables that nobody needs, if they are older
 * than young_s (DF_POLICY_CACHE_YOUNG_S but for tests).
 */
void df_policy_cache_sweep(int dir_fd, unsigned young_s);

#endif
