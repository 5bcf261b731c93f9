/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin: asks trusted resolvers for the addresses of blocked names, so that connections to
 * them are refused too (`pin-blocked`).
 *
 * `yes`: the names that the policy lists, from the start on and again at their TTL.  Both
 * `yes` and `on-refusal`: a name that a client asked for and was refused.  Not where an
 * address that nobody named is refused anyway (raw-ip block): then the query would only tell a
 * resolver a name that was to stay inside.
 *
 * These queries have no client.  Each has a socket, a port and an id of its own, and is
 * matched by them and by its question.  An answer that is cut is asked for again by TCP
 * (RFC 7766), a chain of CNAMEs that ends without an address for its last name.
 *
 * A name that cannot be pinned is tried again, later and later, and is an event: once for
 * each cause, and one more when it is over.  A refusal by name never depends on it.
 */
#ifndef DF_PIN_H
#define DF_PIN_H

#include "lib/fence/launch.h"
#include "lib/policy/table.h"
#include "proxy/channel.h"
#include "proxy/dns/wire.h"
#include "proxy/loop.h"
#include "proxy/worker/trust.h"

#define DF_PIN_LISTED_MAX (DF_TABLES * DF_POLICY_PINS_MAX)
#define DF_PIN_ASKED 64 /* refused names that wait; one that is done or failed makes room */
#define DF_PIN_NAMES_MAX (DF_PIN_LISTED_MAX + DF_PIN_ASKED)
#define DF_PIN_SLOTS 8       /* names that are being resolved */
#define DF_PIN_QUERY_MAX 512 /* octets of a query of ours, with its length */

struct df_worker;

struct df_pin_name {
	bool is_used;
	bool is_listed; /* by a policy; else a client asked for it */
	bool is_busy;   /* a slot has it */
	bool is_done;   /* pinned, and not listed: kept to be asked for no sooner than next_ns */
	uint8_t n_failures; /* in a row */
	uint16_t told;      /* bits 1 << enum df_pin_cause: the causes that were an event */
	uint64_t next_ns;
	struct df_dname name;
};

struct df_pin_slot {
	struct df_source source;
	struct df_worker *worker;
	int fd;                   /* -1: none */
	struct df_pin_name *name; /* NULL: the slot is free */
	bool is_aaaa;             /* first A, then AAAA */
	bool has_edns;            /* till a server does not know it */
	bool is_failed;           /* one of the two had no answer */
	bool is_stream;           /* by TCP, since the answer by UDP was cut */
	bool is_unlearned;        /* no room for an address */
	uint8_t n_tries;          /* of this type; each goes to the next resolver */
	uint8_t n_hops;           /* of a chain that one answer does not have as a whole */
	uint8_t resolver;         /* that was asked last: its place among those believed … */
	struct df_resolver to;    /* … and its address */
	enum df_pin_cause cause;  /* of the last try that failed */
	uint16_t id;
	uint32_t ttl_s; /* the smallest so far */
	uint64_t deadline_ns;
	uint32_t n_addrs[2];    /* of A and AAAA; more than are refused, maybe */
	struct df_dname target; /* the name of the question: the slot's, or the end of a chain */
	uint32_t in_len, out_len, out_sent; /* by TCP */
	uint8_t out[DF_PIN_QUERY_MAX];
};

struct df_pin {
	uint8_t good; /* resolver that answered last: asked first */
	/* the listed names, which stay, then places for those that clients asked for */
	unsigned n_listed;
	struct df_pin_name names[DF_PIN_NAMES_MAX];
	struct df_pin_slot slots[DF_PIN_SLOTS];
	uint64_t asked_ns; /* none of the asked ones starts before */
	uint64_t next_ns;  /* nothing is due before; 0: look */
	uint64_t n_failures;
	unsigned n_told_asked; /* failures of asked names that were told */
	uint32_t n_untold_asked;
	uint64_t next_tell_ns;
	/* RFC 1035 4.2.2; memory that is never touched is never charged */
	uint8_t in[DF_PIN_SLOTS][2 + DF_DNS_MSG_MAX];
};

void df_pin_init(struct df_worker *w);

/* The resolvers have changed: names that failed are asked for again now. */
void df_pin_again(struct df_worker *w);

/* A client's query for this name was refused by a rule of this table. */
void df_pin_refused(struct df_worker *w, enum df_table_id table, const struct df_dname *name);

/* Starts the questions that are due, gives up those that are late.  Milliseconds to the next, or
 * -1. */
int df_pin_run(struct df_worker *w);

#endif
