/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upstream: UDP sockets to resolvers.
 *
 * A new socket, with a port drawn by the kernel, for each query would cost more than the rest of
 * the relay.  So a resolver gets a few sockets, each query takes one at random, and each socket is
 * given up after some hundred queries or when it idles: few queries have fresh ports each, many
 * share a moving set (RFC 5452 9.2).  Connected, so that the kernel checks the source of answers.
 */
#ifndef DF_UPSTREAM_H
#define DF_UPSTREAM_H

#include "proxy/worker/state.h"

void df_upstream_init(struct df_worker *w);

/*
 * A socket of this type, connected (a stream: maybe not yet).  Or -errno; -ELOOP: the address
 * is one of this namespace, and must not be.
 */
int df_upstream_connect(const struct df_resolver *to, int type);

/*
 * One datagram of it.  Its length, or -errno; -ENOMSG: it came by lo, as no answer of its resolver
 * can; it was dropped and counted.
 */
ssize_t df_upstream_receive(struct df_worker *w, int fd, uint8_t *buf, size_t size);

/* Sends q, of which raw has the octets, under a new id; sets q->peer and q->peer_id.  0 or -errno.
 */
int df_upstream_send(struct df_worker *w, struct df_query *q, const uint8_t *raw, size_t raw_len);

/* A query does not wait for this peer any longer. */
void df_upstream_settled(struct df_worker *w, unsigned peer);

/* Closes idle sockets.  True while any socket is open. */
bool df_upstream_expire(struct df_worker *w);

#endif
