/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tables: the policies of one fence, and what they say together.
 *
 * Own and base policy are both judged and the stricter verdict counts: refused,
 * then would be refused (audit), then allowed; the own policy's of two alike.  The
 * shadow policy is judged apart and enforces nothing.
 */
#ifndef DF_TABLES_H
#define DF_TABLES_H

#include "lib/fence/launch.h"
#include "proxy/worker/decide.h"

struct df_tables {
	const struct df_meta *meta;
	struct df_policy tables[DF_TABLES]; /* those that meta->table_modes names */
};

/* Maps the tables that the hook hands over, and has checked.  0 or -errno.  They stay mapped. */
int df_tables_open(const struct df_meta *meta, struct df_tables *ret);

bool df_tables_has(const struct df_tables *t, enum df_table table);

struct df_decision df_tables_question(const struct df_tables *t,
				      const struct df_search_list *search,
				      const struct df_dname *qname);
/* Of the names behind a question that was not refused: CNAME chain and TargetNames. */
struct df_decision df_tables_answer(const struct df_tables *t, const struct df_dns_answer *answer);

/* What a payload asks for, a name or an address; bits: of the address, df_learned.bits. */
struct df_decision df_tables_name(const struct df_tables *t, const struct df_dname *name,
				  uint8_t proto, uint16_t port, enum df_reason blocked);
struct df_decision df_tables_addr(const struct df_tables *t, const uint8_t addr[static 16],
				  uint8_t proto, uint16_t port, uint16_t bits);

/* What bits say for one table. */
enum df_learned_as df_tables_learned_as(uint16_t bits, enum df_table table);

/* 0: passes; 1: would be refused; 2: is refused. */
unsigned df_tables_strictness(const struct df_decision *d);

/* The rule's number in messages: the table's index above the rule's, DF_RULE_NONE for none. */
uint32_t df_tables_number(const struct df_tables *t, enum df_table table,
			  const struct df_policy_rule *rule);

/* And back, of a number that is not trusted: -EBADMSG if no such table or rule is there. */
int df_tables_rule(const struct df_tables *t, uint32_t number, enum df_table *ret_table,
		   const struct df_policy_rule **ret);

#endif
