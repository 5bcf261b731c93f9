/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flows: which connections wait for a verdict, and which have one.
 *
 * The kernel drops a payload that decides, hands a copy over, and finds the verdict in the
 * map "flows" when TCP sends it again.  What has no verdict comes again by itself, so that
 * nothing here is lost that matters: with a full table, after a restart, and while more
 * octets are waited for, the connection stands still.
 *
 * Where nothing is held (audit, bypass) the kernel passed the payload on with the copy:
 * then this logs, and writes no verdict.  Fixed memory; the system is behind struct
 * df_flows_ops.
 */
#ifndef DF_FLOWS_H
#define DF_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "proxy/channel.h"
#include "proxy/payload/judge.h"

/* Times that the same octets are looked at in vain: some three seconds. */
#define DF_FLOWS_TRIES 5
#define DF_FLOWS_TRIES_SEEN 2 /* where nothing says that there is a name to be read */
/*
 * A record of no more octets that was made before the verdict stood is a repetition.  Its time was
 * taken after the kernel had looked, maybe by so much.
 */
#define DF_FLOWS_SLACK_NS 100000000ull
/* Left over if the application closes first.  A BLOCK that is needed again is judged again. */
#define DF_FLOWS_KEEP_NS 10000000000ull
#define DF_FLOWS_KEEP_BLOCK_NS 30000000000ull
/* The application hears of a refusal when it is known who it was; then it may be gone. */
#define DF_FLOWS_HOLD_NS 300000000ull

struct df_flows_ops {
	/* verdict in the kernel's map: 0 or -errno */
	int (*put)(void *data, uint64_t cookie, const struct df_flow *flow);
	void (*remove)(void *data, uint64_t cookie);
	/* Returns the number of what is reported if somebody must be looked up first, else 0. */
	uint32_t (*report)(void *data, const struct df_payload *p, const struct df_judgement *g);
	void (*destroy)(void *data, const struct df_msg_destroy *m);
	/* It may go on: need not wait until TCP tries again. */
	void (*push)(void *data, const struct df_msg_push *m);
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
	struct df_judge judge;
	struct df_flows_ops ops;
	uint64_t start_ns;
	uint64_t n_lost; /* verdicts that found no room */
	unsigned n_used, n_due;
	struct df_flow_mark marks[DF_FLOWS_MAX];
};

/* One record of the kernel. */
void df_flows_take(struct df_flows *f, const struct df_payload *p, uint64_t now_ns);

/* The monitor knows who seq was. */
void df_flows_identified(struct df_flows *f, uint32_t seq);

/* Forgets what is over.  Once a second; true while there is anything. */
bool df_flows_expire(struct df_flows *f, uint64_t now_ns);

#endif
