/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin: asks trusted resolvers for the addresses of blocked names, so that connections to
 * them are refused too (`pin-blocked`).
 *
 * `yes`: the names that the policy lists, from the start on and again at their TTL.  Both
 * `yes` and `on-refusal`: a name that a client asked for and was refused.  Not where an
 * address that nobody named is refused anyway (raw-ip block): then it would only tell a
 * resolver what was to stay inside.
 *
 * These queries have no client and make no event.  Each has a socket, a port and an id of
 * its own, and is matched by them and by its question.  There is no TCP: of an answer too
 * long for UDP what it has counts.  A failure is tried again, later and later: with
 * --uidmap the network comes after us.
 */
#ifndef DF_PIN_H
#define DF_PIN_H

#include "lib/launch.h"
#include "lib/policy.h"
#include "proxy/loop.h"

#define DF_PIN_NAMES_MAX (DF_TABLES * DF_POLICY_PINS_MAX)
#define DF_PIN_SLOTS 8   /* names that are being resolved */
#define DF_PIN_QUEUE 64  /* refused names that wait; more are left for their next query */
#define DF_PIN_RECENT 64 /* names not to be asked again so soon; power of two */

struct df_worker;

struct df_pin_name {
	uint8_t table, index; /* of the policy's pin names */
	uint8_t n_failures;   /* in a row */
	bool is_busy;
	uint64_t next_ns;
};

struct df_pin_slot {
	struct df_source source;
	struct df_worker *worker;
	int fd; /* -1: none */
	bool is_busy;
	int16_t listed;   /* index of names, or -1: somebody asked for it */
	bool is_aaaa;     /* first A, then AAAA */
	bool has_edns;    /* till a server does not know it */
	bool is_failed;   /* one of the two had no answer */
	uint8_t n_tries;  /* of this type; each goes to the next resolver */
	uint8_t resolver; /* that was asked last */
	uint16_t id;
	uint32_t ttl_s; /* the smallest so far */
	uint64_t deadline_ns;
	struct df_dname name;
};

struct df_pin {
	unsigned n_names;
	uint8_t good; /* resolver that answered last: asked first */
	struct df_pin_name names[DF_PIN_NAMES_MAX];
	struct df_pin_slot slots[DF_PIN_SLOTS];
	unsigned n_queued, first_queued;
	struct df_dname queue[DF_PIN_QUEUE];
	uint64_t queue_ns; /* none of the queue starts before */
	uint64_t next_ns;  /* nothing is due before; 0: look */
	struct {
		uint64_t hash, until_ns;
	} recent[DF_PIN_RECENT];
};

void df_pin_init(struct df_worker *w);

/* A client's query for this name was refused by a rule of this table. */
void df_pin_refused(struct df_worker *w, enum df_table table, const struct df_dname *name);

/* Starts and gives up what is due.  Milliseconds to the next, or -1. */
int df_pin_run(struct df_worker *w);

#endif
