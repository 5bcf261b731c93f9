/* SPDX-License-Identifier: GPL-2.0-or-later */
/* files: the files that a policy is made of (itself, included ones, lists), with stamps. */
#ifndef DF_POLICY_FILES_H
#define DF_POLICY_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"

#define DF_POLICY_FILE_MAX (16u << 20) /* octets of one policy file */
#define DF_POLICY_FILES_MAX 64         /* of one policy; at every start, each of them is checked */

/* It tells whether a file is still the one that was read. */
struct df_policy_stamp {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

struct df_policy_file {
	char *path;
	struct df_policy_stamp stamp;
	uint32_t name; /* for the parser: the base name's offset in the strings of the table */
};

/* How files are treated that others than root could have written (lib/base/host_file.h). */
enum df_policy_trust {
	DF_POLICY_TRUST_ANY,    /* read: a policy that is checked before it is installed */
	DF_POLICY_TRUST_WARN,   /* read, with a warning that the hook refuses them */
	DF_POLICY_TRUST_DEMAND, /* refused: the hook */
};

struct df_policy_files {
	enum df_policy_trust trust;
	char why[DF_HOST_FILE_WHY_MAX]; /* the last one read is not trusted; "": it is */
	struct df_policy_file list[DF_POLICY_FILES_MAX];
	size_t n;
	bool has_changed; /* a file was written while it was read: the stamps are of no use */
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

/* Notes one that is read already, or is not a file; path is copied.  -ENOMEM, -EMFILE. */
int df_policy_files_add(struct df_policy_files *files, const char *path, size_t *ret_index);

struct df_policy_stamp df_policy_stamp_from(const struct stat *st);
/* By stat(2) of path.  -errno. */
int df_policy_stamp_of(const char *path, struct df_policy_stamp *ret);

/* The error of df_policy_files_read as a text; before another file is read. */
const char *df_policy_files_error(const struct df_policy_files *files, int r);

#endif
