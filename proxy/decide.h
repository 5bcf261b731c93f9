/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decide: policy and name to verdict.  Pure: no I/O, no state, no clock.
 *
 * Judged are the QNAME; the QNAME without a suffix of the container's search
 * list, so that a refused github.com is not answered by a wildcard as
 * github.com.corp.example (an explicit allow of the full name wins); every name
 * of a CNAME chain; and the TargetNames of HTTPS and SVCB (DESIGN 4).
 */
#ifndef DF_DECIDE_H
#define DF_DECIDE_H

#include <stdbool.h>

#include "lib/dname.h"
#include "lib/launch.h"
#include "lib/policy.h"
#include "proxy/channel.h"
#include "proxy/dns_wire.h"

struct df_search_list {
	const struct df_dname *names; /* borrowed */
	unsigned n;
};

struct df_decision {
	bool is_refusal;  /* the mode (enforce, audit) is the caller's matter */
	bool is_enforced; /* set by tables.h, as the table is */
	enum df_table table;
	bool is_search_miss; /* unlisted, but allowed without a suffix of the search list */
	enum df_reason reason;
	const struct df_policy_rule *rule; /* that decided; NULL: the default */
};

struct df_decision df_decide_question(const struct df_policy *p,
				      const struct df_search_list *search,
				      const struct df_dname *qname);

/*
 * The names behind a question that was not refused: the CNAME chain, and the TargetNames
 * of HTTPS and SVCB.  Blocked names count, unlisted ones do not: with `default deny` the
 * name asked for is what was allowed.
 */
struct df_decision df_decide_answer(const struct df_policy *p, const struct df_dns_answer *answer);

/* What the client gets for a refused name; ede_text is the caller's. */
struct df_dns_refusal df_decide_refusal(const struct df_policy *p, const struct df_decision *d,
					const struct df_dname *qname);

#endif
