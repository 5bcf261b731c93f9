/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_files: the files that a policy is made of, and what they were when they were read.
 *
 * A policy, what it includes, and its lists.  A stamp tells whether a file is still the
 * one that was read: same path, device, inode, size and times.
 */
#ifndef DF_POLICY_FILES_H
#define DF_POLICY_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"

#define DF_POLICY_FILES_MAX 64 /* of one policy; each is looked at, at every container's start */

struct df_policy_stamp {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

struct df_policy_file {
	char *path;
	struct df_policy_stamp stamp;
	uint32_t name; /* for who reads it: of the base name, in the strings of the table */
};

/* How files are treated that others than root could have written (lib/base/host_file.h). */
enum df_policy_trust {
	DF_POLICY_TRUST_ANY,  /* they are read: a policy that is looked at before it is installed */
	DF_POLICY_TRUST_WARN, /* they are read, and a warning says that the hook will not */
	DF_POLICY_TRUST_DEMAND, /* they are refused: the hook */
};

struct df_policy_files {
	enum df_policy_trust trust;
	char why[DF_HOST_FILE_WHY_MAX]; /* of the last one read: why it is not to be trusted; or ""
					 */
	struct df_policy_file list[DF_POLICY_FILES_MAX];
	size_t n;
	bool has_changed; /* a file was written while it was read: the stamps say nothing */
};

void df_policy_files_done(struct df_policy_files *files);

/*
 * Opens, reads and notes a regular file.  *ret is malloc'd, *ret_index its number.  -EINVAL:
 * not a regular file; -E2BIG: larger than max; -EMFILE: more files than there may be; -EPERM
 * with files->why: others could have written it; other -errno of open and read.  After an
 * error nothing is noted.
 */
int df_policy_files_read(struct df_policy_files *files, const char *path, size_t max, char **ret,
			 size_t *ret_len, size_t *ret_index);

/* Notes one that was read already, or was never a file; path is copied.  -ENOMEM, -EMFILE. */
int df_policy_files_add(struct df_policy_files *files, const char *path, size_t *ret_index);

struct df_policy_stamp df_policy_stamp_from(const struct stat *st);
/* What stat(2) says of path now.  -errno. */
int df_policy_stamp_of(const char *path, struct df_policy_stamp *ret);

/* Where path is that stands in the file from: relative to its directory.  malloc'd; NULL: no
 * memory. */
char *df_policy_files_resolve(const char *from, const char *path);

/* For people, of what df_policy_files_read returned last. */
const char *df_policy_files_error(const struct df_policy_files *files, int r);

#endif
