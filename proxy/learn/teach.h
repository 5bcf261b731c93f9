/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * teach: what the names of an answer say of its addresses.  Pure.
 *
 * An address is learned for the QNAME; what blocks a name of the CNAME chain is learned
 * for that name, and takes the QNAME's permission at the same ports away.  A question
 * that is refused for what it is without a suffix of the search list says nothing of
 * the address, which belongs to whoever has the suffix.
 *
 * Names must not become levers.  A refusal covers no place that a blocked zone could name
 * to cut the container off, a permission under `default deny` none that an allowed zone
 * could name to open what is inside (DNS rebinding).
 */
#ifndef DF_TEACH_H
#define DF_TEACH_H

#include "lib/policy/ports.h"
#include "proxy/learn/learn.h"
#include "proxy/tables.h"
#include "proxy/worker/trust.h"

struct df_teach {
	const struct df_tables *tables;
	const struct df_search_list *search;
	struct df_trust *trust; /* set by the caller; not NULL when an answer is looked at */
	struct df_ports ports;  /* of all tables, as the kernel's side has it */
};

/* The verdicts on one name, by class: elements of df_learned.bits. */
struct df_taught {
	uint32_t rule; /* tables.h; where it blocks: the first rule that does */
	uint16_t bits[DF_PORT_CLASSES];
};

/* Why an address is none that an answer may close or open. */
enum df_lever {
	DF_LEVER_NONE = 0,
	DF_LEVER_LOOPBACK,
	DF_LEVER_LINK_LOCAL,
	DF_LEVER_PRIVATE,
	DF_LEVER_MULTICAST,
	DF_LEVER_UNSPECIFIED,
	DF_LEVER_RESOLVER,
	DF_LEVER_OWN,  /* an address of the container itself */
	DF_LEVER_RULE, /* an allow rule names it */
	DF_LEVER_END,
};

/* -E2BIG: the tables tell more ports apart than there are classes. */
int df_teach_init(struct df_teach *ret, const struct df_tables *tables,
		  const struct df_search_list *search);

/* The set of those that there are. */
uint8_t df_teach_tables(const struct df_tables *t);

bool df_teach_has(const struct df_taught *taught, uint16_t mask);

/*
 * The QNAME's part of the answer to a question, and that of the i-th name of its chain;
 * set: the tables that learn from it.  The chain's part has refusals only.
 */
void df_teach_question(const struct df_teach *t, uint8_t set, const struct df_dname *qname,
		       struct df_taught *ret);
void df_teach_chain(const struct df_teach *t, uint8_t set, const struct df_dname *name,
		    struct df_taught *ret);

/* A name of the chain takes the QNAME's permission where it is blocked. */
void df_teach_withdraw(struct df_taught *question, const struct df_taught *chain);

/*
 * With `pin-blocked no` a name that is refused as a whole says nothing of its addresses.
 * One that is refused at some ports still does: that is all that its rule can mean.
 */
void df_teach_unpin(const struct df_teach *t, const struct df_dname *name,
		    struct df_taught *taught);

/*
 * Takes off what a refusal must not cover, and a permission not open.  Returns why, if
 * that was anything.
 */
enum df_lever df_teach_limit_refusal(const struct df_teach *t, const uint8_t addr[static 16],
				     bool is_own, struct df_taught *taught);
enum df_lever df_teach_limit_permission(const struct df_teach *t, const uint8_t addr[static 16],
					const struct df_dname *qname, struct df_taught *taught);

#endif
