/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query: the pool of queries of clients.
 *
 * A query is in hand, waits for a resolver, or is held until its asker is known.  Those that
 * wait are found by the peer that they went to and their id there, all others by their deadline.
 * A peer is a UDP socket (its index), or the resolver's side of a TCP connection.
 */
#ifndef DF_QUERY_H
#define DF_QUERY_H

#include "proxy/worker/state.h"

#define DF_UPSTREAM_DEADLINE_NS 10000000000ull /* a slow resolver's answer is still passed on */
#define DF_HOLD_ANSWER_NS 2000000ull           /* an allowed answer waits at most 2 ms */
#define DF_HOLD_REFUSAL_NS 200000000ull        /* a refusal can wait: it tells of the asker */

static inline unsigned df_query_tcp_peer(int connection)
{
	return DF_UPSTREAMS_MAX + (unsigned)connection;
}

/* NULL for index 0, which ends every list. */
static inline struct df_query *df_query_at(struct df_worker *w, uint32_t i)
{
	return i ? &w->queries[i] : NULL;
}

/* In hand.  NULL: all places are taken. */
struct df_query *df_query_new(struct df_worker *w);
/* The query that waits for this id of this peer, or NULL. */
struct df_query *df_query_find(struct df_worker *w, unsigned peer, uint16_t id);

/* Some query waits for this peer. */
bool df_query_is_waiting(struct df_worker *w, unsigned peer);

/* Not to be guessed, for ids and the choice of sockets: RFC 5452 9.2. */
uint16_t df_query_random16(struct df_worker *w);
/* An id that nothing waits for at this peer: first, or a random one.  0 or -EBUSY. */
int df_query_draw_id(struct df_worker *w, unsigned peer, uint16_t first, uint16_t *ret);

/*
 * Builds the message for q's resolver in w->answer.  raw: the client's octets, NULL where they are
 * no longer kept.  Its length; -EMSGSIZE; -ENODATA: it must go as octets, and there are none.
 */
int df_query_build(struct df_worker *w, const struct df_query *q, uint16_t id, const uint8_t *raw,
		   size_t raw_len);

/* q, in hand, went to q->peer as q->peer_id; and its way back into the hand. */
void df_query_wait(struct df_worker *w, struct df_query *q);
void df_query_stop_waiting(struct df_worker *w, struct df_query *q);
/*
 * q, in hand, waits for the identity of its asker: with an answer, which is copied, or (pkt NULL)
 * as a refusal.  false: there is no room for the answer, and q is still in hand.
 */
bool df_query_hold(struct df_worker *w, struct df_query *q, const uint8_t *pkt, size_t len);
/* Ends q, which does not wait for a resolver.  Its place is another query's from now on. */
void df_query_free(struct df_worker *w, struct df_query *q);

#endif
