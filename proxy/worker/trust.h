/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trust: which resolvers are believed, at the moment of a question.
 *
 * Believed are the resolvers that a policy names by `resolver`, whatever their addresses; else
 * those of the container's resolv.conf, but none that the container can be itself, since it could
 * have any address allowed.  It can be every address of its network namespace, loopback and the
 * unspecified address, which leads there.  Addresses come later, so the kernel is asked anew.  In
 * the host's namespace such a resolver is the host's (NodeLocal DNS, systemd-resolved).  Docker's
 * 127.0.0.11 is behind a DNAT of the engine: it counts only where the hook was told
 * --engine=docker.
 */
#ifndef DF_TRUST_H
#define DF_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/fence/launch.h"
#include "proxy/own.h"

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
	uint8_t addrs[DF_META_RESOLVERS_MAX][16]; /* believed if they are nobody local */
};

void df_trust_init(struct df_trust *t, const struct df_meta *meta, struct df_own *own);

/* The container's resolv.conf has changed, and its word counts.  More than there is room for are
 * left out. */
void df_trust_replace(struct df_trust *t, unsigned n,
		      const uint8_t addrs[static DF_META_RESOLVERS_MAX][16]);

/* Named here, believed or not. */
bool df_trust_lists(const struct df_trust *t, const uint8_t addr[static 16]);

/* An address whose packets do not leave the namespace. */
bool df_trust_is_local(struct df_trust *t, const uint8_t addr[static 16], uint64_t now_ns);

bool df_trust_may_be_local(const struct df_trust *t, const uint8_t addr[static 16]);

/* Its answers teach. */
bool df_trust_has(struct df_trust *t, const uint8_t addr[static 16], uint64_t now_ns);

/*
 * The k-th of those that are believed now, counted round and round, at port 53; *ret_index:
 * its place among them.  false: there is none.
 */
bool df_trust_pick(struct df_trust *t, unsigned k, uint64_t now_ns, struct df_resolver *ret,
		   unsigned *ret_index);

/*
 * The first of them that is not link-local: such a one is reached only with the scope that
 * its client gave.  If there is no other, that one.  false: there is none.
 */
bool df_trust_first(struct df_trust *t, uint64_t now_ns, struct df_resolver *ret);

#endif
