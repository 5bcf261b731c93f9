/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/tables.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TABLE_SHIFT 24
#define INDEX_MASK ((1u << TABLE_SHIFT) - 1)

_Static_assert(DF_POLICY_SIZE_MAX / sizeof(struct df_policy_rule) < INDEX_MASK,
	       "a table has fewer rules than the number has room for");
_Static_assert(DF_RULE_NONE == INDEX_MASK, "of a table, the index that none has");

bool df_tables_has(const struct df_tables *t, enum df_table table)
{
	return t->meta->table_modes[table] != 0;
}

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

	ret->meta = meta;
	if (!df_tables_has(ret, DF_TABLE_OWN))
		return -EBADMSG;
	for (int i = 0; i < DF_TABLES; i++) {
		int r = df_tables_has(ret, i) ? map_table(fds[i], &ret->tables[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

unsigned df_tables_strictness(const struct df_decision *d)
{
	return d->is_refusal ? 1u + d->is_enforced : 0u;
}

static void enforce(const struct df_tables *t, enum df_table table, struct df_decision *d)
{
	d->table = table;
	d->is_enforced =
		d->is_refusal && !d->is_audit && t->meta->table_modes[table] == DF_MODE_ENFORCE;
}

static struct df_decision stricter(const struct df_tables *t, struct df_decision own,
				   struct df_decision base)
{
	enforce(t, DF_TABLE_OWN, &own);
	enforce(t, DF_TABLE_BASE, &base);
	return df_tables_strictness(&base) > df_tables_strictness(&own) ? base : own;
}

struct df_decision df_tables_question(const struct df_tables *t,
				      const struct df_search_list *search,
				      const struct df_dname *qname)
{
	struct df_decision base = {};

	if (df_tables_has(t, DF_TABLE_BASE))
		base = df_decide_question(&t->tables[DF_TABLE_BASE], search, qname);
	return stricter(t, df_decide_question(&t->tables[DF_TABLE_OWN], search, qname), base);
}

struct df_decision df_tables_answer(const struct df_tables *t, const struct df_dns_answer *answer)
{
	struct df_decision base = {};

	if (df_tables_has(t, DF_TABLE_BASE))
		base = df_decide_answer(&t->tables[DF_TABLE_BASE], answer);
	return stricter(t, df_decide_answer(&t->tables[DF_TABLE_OWN], answer), base);
}

struct df_decision df_tables_name(const struct df_tables *t, const struct df_dname *name,
				  uint8_t proto, uint16_t port, enum df_reason blocked)
{
	struct df_decision base = {};

	if (df_tables_has(t, DF_TABLE_BASE))
		base = df_decide_name(&t->tables[DF_TABLE_BASE], name, proto, port, blocked);
	return stricter(t, df_decide_name(&t->tables[DF_TABLE_OWN], name, proto, port, blocked),
			base);
}

enum df_learned_as df_tables_learned_as(uint16_t bits, enum df_table table)
{
	const bool is_allowed = bits >> DF_LEARNED_ALLOWED >> table & 1;
	const bool is_blocked = bits >> DF_LEARNED_BLOCKED >> table & 1;
	const bool is_default = bits >> DF_LEARNED_DEFAULT >> table & 1;

	if (is_blocked && !is_allowed)
		return is_default ? DF_LEARNED_AS_SHARED : DF_LEARNED_AS_BLOCKED;
	return is_allowed || is_default ? DF_LEARNED_AS_ALLOWED : DF_LEARNED_AS_NONE;
}

struct df_decision df_tables_addr(const struct df_tables *t, const uint8_t addr[static 16],
				  uint8_t proto, uint16_t port, uint16_t bits)
{
	struct df_decision base = {};

	if (df_tables_has(t, DF_TABLE_BASE))
		base = df_decide_addr(&t->tables[DF_TABLE_BASE], addr, proto, port,
				      df_tables_learned_as(bits, DF_TABLE_BASE));
	return stricter(t,
			df_decide_addr(&t->tables[DF_TABLE_OWN], addr, proto, port,
				       df_tables_learned_as(bits, DF_TABLE_OWN)),
			base);
}

uint32_t df_tables_number(const struct df_tables *t, enum df_table table,
			  const struct df_policy_rule *rule)
{
	uint32_t index = rule ? df_policy_rule_index(&t->tables[table], rule) : DF_RULE_NONE;

	return (uint32_t)table << TABLE_SHIFT | index;
}

int df_tables_rule(const struct df_tables *t, uint32_t number, enum df_table *ret_table,
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
