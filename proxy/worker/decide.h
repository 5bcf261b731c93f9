/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decide: what the verdict on names (lib/policy/verdict.h) makes of a DNS answer, and what the
 * client gets for a refused question.  Pure: no I/O, no state, no clock.
 */
#ifndef DF_DECIDE_H
#define DF_DECIDE_H

#include "lib/policy/verdict.h"
#include "proxy/dns/wire.h"

/*
 * The names behind a question that was not refused: the CNAME chain, whatever else owns
 * records of the answer section, and the TargetNames of HTTPS and SVCB.  Blocked names count,
 * unlisted ones do not: with `default deny` the name asked for is what was allowed.
 */
struct df_decision df_decide_answer(const struct df_tables *t, unsigned set,
				    const struct df_dns_answer *answer);

/* The answer of a client whose name is refused; ede_text is the caller's. */
struct df_dns_refusal df_decide_refusal(const struct df_policy *p, const struct df_decision *d,
					const struct df_dname *qname);

#endif
