/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_compile: policy text to the flat table of policy.h.
 *
 * The grammar is that of deployfence.policy(5), parsed strictly: UTF-8, LF or CRLF, '#' comments,
 * one statement a line.  All errors of a file are reported, not just the first:
 * "FILE:LINE:COLUMN: what is wrong; what would be right".  Columns count octets
 * from 1.  A policy with an error yields no table.
 *
 * owner and hint apply to the rules that follow, until the next one; "" ends
 * them.  Rules before the first hint get that hint, as policies often end in it.
 * A rule said twice, and block beside allow for the same name and scope, are
 * warnings: the first stands, and block wins.
 *
 * Runs in the hook and the command line, never in the worker.  Allocates.
 */
#ifndef DF_POLICY_COMPILE_H
#define DF_POLICY_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/policy/text.h"

#define DF_POLICY_FILE_MAX (16u << 20)       /* octets of one policy file */
#define DF_POLICY_ERRORS_MAX DF_MESSAGES_MAX /* reported; the rest is counted */
#define DF_POLICY_NAME_MAX 128 /* octets of a policy's name: it is part of file names */

/*
 * policy_files: the files that a policy is made of, and what they were when they were read.
 *
 * A policy, what it includes, and its lists.  A stamp tells whether a file is still the
 * one that was read: same path, device, inode, size and times.
 */

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

/* What a compilation yields beside the table.  Owned by the caller: df_policy_result_done. */
struct df_policy_result {
	void *table; /* malloc'd; NULL after an error */
	size_t table_size;
	char *messages; /* malloc'd; one line each with '\n', errors and warnings; NULL: none */
	unsigned n_errors, n_warnings;
	struct df_policy_files files; /* read for it */
};

void df_policy_result_done(struct df_policy_result *r);

/*
 * Compiles text (len octets, need not be NUL-terminated).  name is the policy's
 * name ("default"), file what messages call it ("default.policy").  No file is
 * read: include, block-list and allow-list are errors.
 * 0: table made.  -EINVAL: errors in messages.  -ENOMEM.  *ret is always
 * initialised, and to be done with in every case.
 */
int df_policy_compile_text(const char *name, const char *file, const char *text, size_t len,
			   struct df_policy_result *ret);

/*
 * Reads and compiles a policy file with what it includes and its lists.  Regular
 * files only, at most DF_POLICY_FILE_MAX each (lists: DF_POLICY_LIST_MAX).  As above, and other
 * -errno of open or read, with a message that names the path.  Messages use the path, rules its
 * base name.
 */
int df_policy_compile_file(const char *name, const char *path, struct df_policy_result *ret);

/* The same; data_dir is where the shipped list for encrypted-dns is.  NULL: nowhere. */
int df_policy_compile_file_in(const char *name, const char *path, const char *data_dir,
			      enum df_policy_trust trust, struct df_policy_result *ret);

/* [A-Za-z0-9][A-Za-z0-9._-]* of at most DF_POLICY_NAME_MAX octets. */
bool df_policy_is_name(const char *s, size_t len);

/*
 * Finds NAME.policy in dirs (NULL-terminated, first match wins) and compiles it.
 * -ENOENT: nowhere, the message lists where it was looked for.  -EINVAL also for
 * a NAME that is none.  The last of dirs is where packages put policies: data_dir.
 */
int df_policy_compile_name(const char *name, const char *const *dirs, enum df_policy_trust trust,
			   struct df_policy_result *ret);

#endif
