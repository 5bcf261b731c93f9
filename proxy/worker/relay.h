/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relay: private to relay.c (queries, refusals, deadlines), relay_answer.c (what
 * resolvers say), relay_raw.c (octets that pass as they are) and relay_asked.c
 * (the pool of queries).
 *
 * A query is in one state: with a resolver, held until it is known who asked, or
 * free.  df_asked_finish ends each of them; behind it the slot is somebody else's.
 */
#ifndef DF_RELAY_H
#define DF_RELAY_H

#include "proxy/worker/worker.h"

/* NULL: all places are taken. */
struct df_asked *df_asked_new(struct df_worker *w);
struct df_asked *df_asked_at(struct df_worker *w, uint32_t i);
/* Waits for this id of this upstream; a connection where upstream is -1. */
struct df_asked *df_asked_find(const struct df_worker *w, int upstream,
			       const struct df_connection *c, uint16_t id);
bool df_asked_is_at(const struct df_asked *a, int upstream, const struct df_connection *c,
		    const struct df_worker *w);

/* a went to a resolver. */
void df_asked_wait(struct df_worker *w, struct df_asked *a);
void df_asked_stop_waiting(struct df_worker *w, struct df_asked *a);
/* a, decided, waits for the identity of its asker. */
void df_asked_hold(struct df_worker *w, struct df_asked *a, uint64_t how_long_ns);
/* Takes a off whatever holds it, and frees it. */
void df_asked_finish(struct df_worker *w, struct df_asked *a);

void df_relay_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		    size_t len);
/* Octets that the client of a takes. */
size_t df_relay_limit(const struct df_asked *a);
/* An answer of our own; a is finished. */
void df_relay_send_own(struct df_worker *w, struct df_asked *a, const struct df_dns_refusal *r);
void df_relay_send_failure(struct df_worker *w, struct df_asked *a, uint16_t ede);
/* By a->decision; held while the asker is being looked up. */
void df_relay_refuse(struct df_worker *w, struct df_asked *a);

/* A query that df_dns_parse_query refuses.  a is settled: passed on, refused, or answered with an
 * error.
 */
void df_relay_odd_query(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len);
/* The answer to one of another opcode or class, where it is enforced. */
void df_relay_other_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len);
/* Where nothing is enforced: passes the answer as it is, and tells and learns what it says. */
void df_relay_observe(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len);
/* The octets of an answer, as they are but for the id; a goes on waiting if is_stream. */
void df_relay_pass_octets(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len);
/* An answer that cannot be read: counts it, and tells. */
void df_relay_note_answer(struct df_worker *w, const struct df_asked *a);
/* True: a zone transfer, of which each message passes. */
bool df_relay_is_stream(const struct df_asked *a);
/*
 * Learns from a valid answer, judges the names in it and tells the verdict.  True: a was refused
 * for them.
 */
bool df_relay_judge_answer(struct df_worker *w, struct df_asked *a,
			   const struct df_dns_answer *answer);
/* Sends the answer, or keeps it a moment until it is known who asked. */
void df_relay_send_answer(struct df_worker *w, struct df_asked *a, const uint8_t *pkt, size_t len);
/* Judges the route, tells, refuses or forwards.  judged: the name that a->decision is about. */
void df_relay_decided(struct df_worker *w, struct df_asked *a, const struct df_dname *judged);
void df_relay_forward(struct df_worker *w, struct df_asked *a);
void df_relay_find_route(struct df_worker *w, struct df_asked *a);

#endif
