/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * route: which resolver answers a query, and who learns from it.  Pure.
 *
 * Only trusted resolvers (trust.h) teach: a container could run one of its own and
 * have any address allowed.  A query to another one
 *   - is answered by the first trusted one where an enforced policy has `default deny`, and
 *     fails if there is none;
 *   - else goes where it was sent if address rules, learned names and raw-ip let it, as a
 *     connection there would, and is refused if not.
 * Audit never sends a query elsewhere.  A policy with `default deny` that is only judged
 * then learns from the answer all the same: enforced, it would have had a trusted one.
 */
#ifndef DF_ROUTE_H
#define DF_ROUTE_H

#include "proxy/learn/teach.h"
#include "proxy/worker/trust.h"

struct df_route {
	struct df_resolver to;
	bool is_rerouted;            /* to is not the one that was asked */
	uint8_t teaches;             /* a set of tables */
	struct df_decision decision; /* against asking it at all; for is_enforced there is no to */
};

bool df_route_is_trusted(struct df_trust *trust, const struct df_token *token, uint64_t now_ns);

/*
 * learned: what names say of the resolver's address at this port (df_learn_bits); it is of
 * no account for a trusted one.
 */
struct df_route df_route(const struct df_teach *t, const struct df_token *token, uint16_t learned,
			 uint64_t now_ns);

#endif
