/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decide: policy and name to verdict.  Pure: no I/O, no state, no clock.
 *
 * Judged are the QNAME; the QNAME without a suffix of the container's search
 * list, so that a refused github.com is not answered by a wildcard as
 * github.com.corp.example (an explicit allow of the full name wins); every name
 * of a CNAME chain; and the TargetNames of HTTPS and SVCB;
 * and of a payload the name or address that it asks for.
 */
#ifndef DF_DECIDE_H
#define DF_DECIDE_H

#include <stdbool.h>

#include "lib/base/dname.h"
#include "lib/fence/launch.h"
#include "lib/policy/table.h"
#include "proxy/channel.h"
#include "proxy/dns/wire.h"

struct df_search_list {
	const struct df_dname *names; /* borrowed */
	unsigned n;
};

struct df_decision {
	bool is_refusal;  /* the mode (enforce, audit) is the caller's matter */
	bool is_enforced; /* set by tables.h, as the table is */
	bool is_audit;    /* the rule itself only audits: raw-ip audit */
	enum df_table table;
	bool is_search_miss; /* unlisted, but allowed without a suffix of the search list */
	enum df_reason reason;
	const struct df_policy_rule *rule; /* that decided; NULL: the default */
};

struct df_decision df_decide_question(const struct df_policy *p,
				      const struct df_search_list *search,
				      const struct df_dname *qname);

/*
 * The names behind a question that was not refused: the CNAME chain, whatever else owns
 * records of the answer section, and the TargetNames of HTTPS and SVCB.  Blocked names count,
 * unlisted ones do not: with `default deny` the name asked for is what was allowed.
 */
struct df_decision df_decide_answer(const struct df_policy *p, const struct df_dns_answer *answer);

/* A name at one port, and nothing else; blocked: the reason if a rule is against it. */
struct df_decision df_decide_name(const struct df_policy *p, const struct df_dname *name,
				  uint8_t proto, uint16_t port, enum df_reason blocked);

/* What names an address, as a table has learned it. */
enum df_learned_as {
	DF_LEARNED_AS_NONE = 0,
	DF_LEARNED_AS_ALLOWED, /* by an allow rule, or by default alone */
	DF_LEARNED_AS_SHARED,  /* by default, and it is a blocked name's, too */
	DF_LEARNED_AS_BLOCKED,
};

/*
 * An address at one port that is reached for the container, by an HTTP proxy or by us: in
 * the order of the kernel's programs (bpf/address.bpf.h).  A shared one is refused unless
 * the policy says `shared-address allow`: what goes there cannot be seen.
 */
struct df_decision df_decide_addr(const struct df_policy *p, const uint8_t addr[static 16],
				  uint8_t proto, uint16_t port, enum df_learned_as as);

/* What the client gets for a refused name; ede_text is the caller's. */
struct df_dns_refusal df_decide_refusal(const struct df_policy *p, const struct df_decision *d,
					const struct df_dname *qname);

#endif
