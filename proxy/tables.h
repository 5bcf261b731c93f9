/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables: the policies of one fence in the proxy, and the numbers of their rules in messages. */
#ifndef DF_TABLES_H
#define DF_TABLES_H

#include "lib/fence/launch.h"
#include "lib/policy/verdict.h"

#define DF_RULE_NONE 0xffffffu /* below the table's index */

/* Maps the tables that the hook hands over, and has checked.  0 or -errno.  They stay mapped. */
int df_tables_open(const struct df_meta *meta, struct df_tables *ret);

/* The rule's number in messages: the table's index above the rule's, DF_RULE_NONE for none. */
uint32_t df_tables_number(const struct df_tables *t, enum df_table_id table,
			  const struct df_policy_rule *rule);

/* And back, of a number that is not trusted: -EBADMSG if no such table or rule is there. */
int df_tables_rule(const struct df_tables *t, uint32_t number, enum df_table_id *ret_table,
		   const struct df_policy_rule **ret);

#endif
