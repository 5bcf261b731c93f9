/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcp: private to tcp.c (messages) and tcp_accept.c (new connections). */
#ifndef DF_TCP_H
#define DF_TCP_H

#include "proxy/worker/worker.h"

/* Closes both sides now: only where no caller walks over the connection. */
void df_tcp_close(struct df_worker *w, struct df_connection *c);

/* There is a place for one more client, if need be that of an idle one. */
bool df_tcp_has_room(const struct df_worker *w);
/* Takes new clients, or leaves them in the kernel's queue. */
void df_tcp_accept(struct df_worker *w, bool is_wanted);

/* The client's side is readable, writable or broken. */
void df_tcp_client_ready(struct df_source *s, uint32_t events);

#endif
