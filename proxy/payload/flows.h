/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flows: verdicts on TCP connections by the host that their payload names.
 *
 * The states of a connection, and the kernel's part of them, are the table at the top of
 * bpf/payload.bpf.h.  One record of the ring "payloads" is one payload: its requests are judged,
 * and the verdict of the connection goes into the map "flows", where the kernel finds it when
 * TCP sends the payload again.  A payload without a verdict comes again by itself: with a full
 * table, after a restart of the worker, and while more octets are awaited, the connection
 * stands still, and nothing that matters is lost.
 *
 * By the state that the kernel had the connection in (df_payload.verdict) a payload is judged so:
 *
 *   UNDECIDED  A blocked and an unlisted name share the address.  The payload must name a host
 *              that no rule blocks and that an answer gave this address; else it is refused.
 *              Domain fronting passes: how the server uses the connection is between the two ends.
 *   SEEN       Ports 80 and 443 of an address that no rule and no answer names.  A name that a
 *              rule blocks is refused, one that was not asked for there is an event.
 *   ALLOW,     A request to an HTTP proxy: its target is judged as a name, or as an address that
 *   PROXY      may be refused.  Any other payload passes.
 *
 * A Host field that differs from the target is judged as well, and the stricter verdict counts.
 *
 * Where nothing was held (audit, bypass, or the copy of a payload that passes) the payload has
 * left: its verdict is reported, and only a BLOCK after SEEN is carried out, by ending the
 * connection.
 *
 * Fixed memory.  The maps, the monitor and the reports are behind struct df_flows_ops.
 */
#ifndef DF_FLOWS_H
#define DF_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/event/event.h"
#include "lib/policy/ports.h"
#include "proxy/channel.h"
#include "proxy/learn/learn.h"
#include "proxy/payload/payload.h"
#include "proxy/tables.h"

/* Times that the same octets are looked at in vain: some three seconds. */
#define DF_FLOWS_TRIES 5
#define DF_FLOWS_TRIES_SEEN 2 /* where nothing says that there is a name to be read */
/*
 * A record of no more octets that was made before the verdict stood is a repetition.  Its time was
 * taken after the kernel had looked, by so much at most.
 */
#define DF_FLOWS_SLACK_NS 100000000ull
/* Left over if the application closes first.  A BLOCK that is needed again is judged again. */
#define DF_FLOWS_KEEP_NS 10000000000ull
#define DF_FLOWS_KEEP_BLOCK_NS 30000000000ull
/*
 * A connection is ended when the monitor knows who made it, or after this time: the application
 * hears of the refusal then, and may be gone the next moment.
 */
#define DF_FLOWS_HOLD_NS 300000000ull

/* The verdict on one request of a payload. */
struct df_payload_judgement {
	enum df_verdict verdict; /* ALLOW, PROXY, BLOCK; NONE: more octets could tell */
	enum df_event_at at;
	bool is_seen; /* worth an event: a refusal, a request to a proxy, a name not asked for */
	struct df_decision decision;
	struct df_payload_target target;
	size_t offset, next; /* where in the data it stands, and another one; 0: no more */
};

struct df_flows_ops {
	/* verdict in the kernel's map: 0 or -errno */
	int (*put)(void *data, uint64_t cookie, const struct df_flow *flow);
	void (*remove)(void *data, uint64_t cookie);
	/* Returns the number of the report if somebody must be looked up first, else 0. */
	uint32_t (*report)(void *data, const struct df_payload *p,
			   const struct df_payload_judgement *g);
	void (*destroy)(void *data, const struct df_msg_destroy *m);
	/* The connection may go on, and need not wait until TCP tries again. */
	void (*push)(void *data, const struct df_msg_resume *m);
	void *data;
};

struct df_flow_mark {
	uint64_t cookie;       /* 0: free */
	uint64_t connect_time; /* of the connection: a socket may have another one later */
	uint64_t decided_ns, until_ns;
	enum df_verdict verdict; /* NONE: waits for more octets */
	unsigned n_tries;        /* in vain, since the octets became more */
	uint32_t len;            /* the most that were seen; with a verdict, those it is for */
	bool is_destroy_due;
	uint32_t seq; /* of the report that it waits for */
	struct df_msg_destroy destroy;
};

struct df_flows {
	/* set by the caller; only looked at, but for the lapse of permissions in learn */
	const struct df_tables *tables;
	struct df_learn *learn;
	const struct df_ports *ports; /* classes of df_learned.bits */
	struct df_flows_ops ops;
	uint64_t start_ns, now_ns;
	uint64_t n_lost; /* verdicts that found no room */
	unsigned n_used, n_due;
	struct df_flow_mark marks[DF_FLOWS_MAX];
};

/* One record of the kernel. */
void df_flows_take(struct df_flows *f, const struct df_payload *p, uint64_t now_ns);

/* The monitor knows who made the connection of report seq. */
void df_flows_identified(struct df_flows *f, uint32_t seq);

/* Forgets the marks that are over.  Once a second; true while there is any. */
bool df_flows_expire(struct df_flows *f, uint64_t now_ns);

/* Why a name that was seen there is refused if a rule is against it. */
enum df_reason df_flows_reason(enum df_event_at at);

#endif
