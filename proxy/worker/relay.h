/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relay: the way of a query from its arrival to its answer.
 *
 * A query is judged by its name and by the resolver that it is for, and refused or forwarded; the
 * names in the answer are judged before the client gets it.  An answer or a refusal may be held a
 * moment, until the asker is known.
 *
 * Where nothing is enforced all messages pass as octets with another id, since audit mode must
 * break nothing: the client sees the resolver's own octets.  A message that the decoder refuses is
 * neither judged nor learned from, and an event says so.  Where policies are enforced, messages are
 * built anew, but signed ones and those of another opcode or class: these pass as octets, too, if
 * the names in them and in the answer may.
 */
#ifndef DF_RELAY_H
#define DF_RELAY_H

#include "proxy/worker/state.h"

/* Sets w->relay: the functions that the transports call. */
void df_relay_init(struct df_worker *w);
/* The monitor knows the asker of seq. */
void df_relay_identified(struct df_worker *w, uint32_t seq);
/* Ends the queries whose time is up; returns milliseconds to the next deadline, or -1. */
int df_relay_expire(struct df_worker *w);

#endif
