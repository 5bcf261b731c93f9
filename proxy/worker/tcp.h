/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp: DNS over TCP, pipelined (RFC 1035 4.2.2, RFC 7766).
 *
 * Each client connection has at most one to the resolver it asked, opened with its first allowed
 * query.  Messages keep their boundaries; ids are ours upstream.  A connection that must go is
 * marked and closed at the end of the round, so that no function frees what its caller still walks
 * over.  A connection is named by its index in df_worker.connections.
 */
#ifndef DF_TCP_H
#define DF_TCP_H

#include "proxy/worker/state.h"

/* Takes a client of a listener (struct df_listener), if there is room. */
void df_tcp_accept(struct df_source *s, uint32_t events);

/*
 * Sends q, of which raw has the octets, to its resolver; sets q->peer and q->peer_id.  0, or
 * -errno; -ELOOP as df_upstream_connect has it.
 */
int df_tcp_send_upstream(struct df_worker *w, struct df_query *q, const uint8_t *raw,
			 size_t raw_len);

/* To the client. */
void df_tcp_reply(struct df_worker *w, int connection, const uint8_t *pkt, size_t len);

/* Ends a connection with this round, by an RST. */
void df_tcp_reset(struct df_worker *w, int connection);

/* Its resolver has not been reached so far, or cannot be. */
bool df_tcp_is_unconnected(const struct df_worker *w, int connection);

/* A query of this connection was answered or given up: the client may be read again. */
void df_tcp_settled(struct df_worker *w, int connection);

/* Closes connections that idle or failed; takes queries that waited for room. */
void df_tcp_expire(struct df_worker *w);

#endif
