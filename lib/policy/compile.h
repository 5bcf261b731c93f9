/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compile: a policy of deployfence.policy(5), with the files that it includes and its lists, to the
 * flat table of table.h.
 *
 * The grammar is parsed strictly, and all errors are reported (text.h).  A policy with an error
 * yields no table.  A rule that is written twice, and block beside allow for the same name and
 * scope, are warnings: the first one stays, and block wins.
 *
 * Runs in the hook and the command line, never in the worker.  Allocates.
 */
#ifndef DF_POLICY_COMPILE_H
#define DF_POLICY_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/files.h"
#include "lib/policy/text.h"

#define DF_POLICY_NAME_MAX 128 /* octets of a policy's name: it is part of file names */

/* The result of a compilation.  Owned by the caller: df_policy_result_done. */
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
 * name ("default"), file its name in messages ("default.policy").  No file is
 * read: include, block-list and allow-list are errors.
 * 0: a table was made.  -EINVAL: errors in messages.  -ENOMEM.  *ret is always
 * initialised, and to be freed in every case.
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
