/* SPDX-License-Identifier: GPL-2.0-or-later */
/* udp: clients over UDP.  Their queries come to a token's address, and answers go from it. */
#ifndef DF_UDP_H
#define DF_UDP_H

#include "proxy/worker/state.h"

/* Takes the datagrams that have arrived at a listener (struct df_listener). */
void df_udp_ready(struct df_source *s, uint32_t events);

void df_udp_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len);

/*
 * The token of this address (16 octets, IPv4 mapped): the asker and the resolver.  0, or
 * -ENOENT: no token of ours.
 */
int df_udp_token_lookup(const struct df_meta *meta, const struct in6_addr *addr,
			struct df_token *ret);

/*
 * The destination of a datagram, by its IP_PKTINFO or IPV6_PKTINFO (ip(7), ipv6(7)): *ret is the
 * address (IPv4 mapped).  1: it came by lo; 0: by another interface; -ENOENT: it does not say.
 */
int df_udp_destination(struct msghdr *h, struct in6_addr *ret);

#endif
