/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trust: which resolvers are trusted at the moment of a question, and which resolver a query goes
 * to.
 *
 * Trusted are the resolvers that a policy names by `resolver`, whatever their addresses; else those
 * of the container's resolv.conf, but none that the container can be itself, since it could have
 * any address allowed.  It can be every address of its network namespace, loopback and the
 * unspecified address, which leads there.  Addresses come later, so the kernel is asked anew.  In
 * the host's namespace such a resolver is the host's (NodeLocal DNS, systemd-resolved).  Docker's
 * 127.0.0.11 is behind a DNAT of the engine: it counts only where the hook was told
 * --engine=docker.
 *
 * Only trusted resolvers teach addresses: a container could run one of its own and have any address
 * allowed.  A query to another one
 *   - is answered by the first trusted one where an enforced policy has `default deny`, and
 *     fails if there is none;
 *   - else goes where it was sent if address rules, learned names and raw-ip let it, as a
 *     connection there would, and is refused if not.
 * Audit never sends a query elsewhere.  A policy with `default deny` that is only judged then
 * learns from the answer all the same: enforced, it would have had a trusted one.
 */
#ifndef DF_TRUST_H
#define DF_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/own_addr.h"
#include "lib/fence/launch.h"
#include "proxy/tables.h"

struct df_resolver {
	uint8_t addr[16];  /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;     /* network byte order */
	bool may_be_local; /* an address that the namespace has itself is no reason against it */
};

struct df_trust {
	struct df_own *own; /* borrowed */
	bool are_named;     /* by `resolver` */
	bool is_host_netns, is_docker;
	unsigned n;
	uint8_t addrs[DF_RESOLV_SERVERS_MAX][16]; /* trusted if they are nobody local */
};

struct df_route {
	struct df_resolver to;
	bool is_rerouted;            /* to is not the one that was asked */
	uint8_t teaches;             /* a set of tables */
	struct df_decision decision; /* against asking it at all; for is_enforced there is no to */
};

void df_trust_init(struct df_trust *t, const struct df_meta *meta, struct df_own *own);

/* The container's resolv.conf has changed, and counts.  Those beyond the limit are left out. */
void df_trust_replace(struct df_trust *t, unsigned n,
		      const uint8_t addrs[static DF_RESOLV_SERVERS_MAX][16]);

/* Named here, trusted or not. */
bool df_trust_lists(const struct df_trust *t, const uint8_t addr[static 16]);

/* An address whose packets do not leave the namespace. */
bool df_trust_is_local(struct df_trust *t, const uint8_t addr[static 16], uint64_t now_ns);

/* The resolver that this token was made for is trusted: its answers teach. */
bool df_trust_has(struct df_trust *t, const struct df_token *token, uint64_t now_ns);

/*
 * The k-th of those that are trusted now, counted round and round, at port 53; *ret_index:
 * its place among them.  false: there is none.
 */
bool df_trust_pick(struct df_trust *t, unsigned k, uint64_t now_ns, struct df_resolver *ret,
		   unsigned *ret_index);

/* Own or base policy, enforced, with `default deny`; or -1. */
int df_trust_denying_table(const struct df_tables *tables);

/*
 * Where the query behind this token goes.  learned: the bits of names for the resolver's address at
 * this port (df_learn_bits); it is of no account for a trusted one.
 */
struct df_route df_trust_route(struct df_trust *t, const struct df_tables *tables,
			       const struct df_token *token, uint16_t learned, uint64_t now_ns);

#endif
