/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/tables.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TABLE_SHIFT 24
#define INDEX_MASK ((1u << TABLE_SHIFT) - 1)

_Static_assert(DF_POLICY_SIZE_MAX / sizeof(struct df_policy_rule) < INDEX_MASK,
	       "a table has fewer rules than the number has room for");
_Static_assert(DF_RULE_NONE == INDEX_MASK, "of a table, the index that none has");

static int map_table(int fd, struct df_policy *ret)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0)
		return -errno;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* A memfd of the hook, or a file that only root can write, and does not: it was checked. */
	return df_policy_reopen(base, (size_t)st.st_size, ret);
}

int df_tables_open(const struct df_meta *meta, struct df_tables *ret)
{
	static const int fds[DF_TABLES] = {DF_FD_POLICY, DF_FD_POLICY_BASE, DF_FD_POLICY_SHADOW};

	memcpy(ret->modes, meta->table_modes, sizeof(ret->modes));
	if (!df_tables_has(ret, DF_TABLE_OWN))
		return -EBADMSG;
	for (int i = 0; i < DF_TABLES; i++) {
		int r = df_tables_has(ret, i) ? map_table(fds[i], &ret->tables[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

uint32_t df_tables_number(const struct df_tables *t, enum df_table_id table,
			  const struct df_policy_rule *rule)
{
	uint32_t index = rule ? df_policy_rule_index(&t->tables[table], rule) : DF_RULE_NONE;

	return (uint32_t)table << TABLE_SHIFT | index;
}

int df_tables_rule(const struct df_tables *t, uint32_t number, enum df_table_id *ret_table,
		   const struct df_policy_rule **ret)
{
	uint32_t table = number >> TABLE_SHIFT, index = number & INDEX_MASK;
	const struct df_policy_rule *rule = NULL;

	if (table >= DF_TABLES || !df_tables_has(t, table))
		return -EBADMSG;
	if (index != DF_RULE_NONE) {
		rule = df_policy_rule_at(&t->tables[table], index);
		if (!rule)
			return -EBADMSG;
	}
	*ret_table = table;
	*ret = rule;
	return 0;
}
