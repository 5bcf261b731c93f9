/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_index: NAME.index of policy_cache as bytes.  Read with care: it is a file. */
#ifndef DF_POLICY_INDEX_H
#define DF_POLICY_INDEX_H

#include "lib/policy/files.h"

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

/* -EBADMSG: not one, or of another version.  *ret is to be done with on success only. */
int df_policy_index_read(const char *data, size_t len, struct df_policy_index *ret);

#endif
