/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel: the messages between monitor, worker and reader.
 *
 * SOCK_SEQPACKET: one message, one packet, of exactly the size its type has.
 * The monitor trusts nothing the worker says: sizes, enum values, counts and
 * names are checked before use.  Nothing blocks: what does not fit into the
 * socket is lost and counted.
 */
#ifndef DF_CHANNEL_H
#define DF_CHANNEL_H

#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "lib/event/event.h"
#include "lib/fence/launch.h"
#include "lib/policy/verdict.h"

enum df_msg_type {
	DF_MSG_READY = 1,  /* worker: answers queries */
	DF_MSG_PING,       /* monitor → worker */
	DF_MSG_PONG,       /* worker: struct df_msg_pong */
	DF_MSG_QUERY,      /* worker: struct df_msg_query */
	DF_MSG_NOTE,       /* worker: struct df_msg_note */
	DF_MSG_IDENTIFIED, /* monitor → worker: the asker of seq is known, answer it */
	DF_MSG_FINISH,     /* monitor → worker: hand out your counts and end */
	DF_MSG_LOOKUP,     /* monitor → reader: struct df_msg_lookup */
	DF_MSG_IDENTITY,   /* reader: struct df_msg_identity */
	DF_MSG_DESTROY,    /* worker: struct df_msg_destroy */
	DF_MSG_RESUME,     /* worker → monitor → reader: struct df_msg_resume */
	DF_MSG_RESOLVERS,  /* monitor → worker: struct df_msg_resolvers */
	DF_MSG_NAME,       /* worker: struct df_msg_name */
};

struct df_msg_short {
	uint32_t type;
	uint32_t seq;
};

/* Counts of the worker, of things that it never reports one by one. */
struct df_msg_pong {
	uint32_t type;
	uint32_t pad;
	uint64_t n_dropped; /* queries, answers or messages that found no room */
	uint64_t
		n_unknown_token; /* packets to the proxy's port that no query of ours was sent as */
	uint64_t n_malformed;
	uint64_t n_mismatched; /* answers that nobody waits for */
	/* of those that no message told, since there was no room */
	uint64_t n_untold_queries, n_untold_refusals;
	uint64_t n_unpinned; /* times that addresses of a refused name could not be had */
};

enum df_msg_query_flag {
	DF_QUERY_IDENTIFY = 1 << 0, /* look up who asked, then send IDENTIFIED */
	DF_QUERY_RECORD = 1 << 1,   /* write an event; identity is that of the same seq */
	DF_QUERY_REFUSAL = 1 << 2,  /* a rule is against it */
	DF_QUERY_TCP = 1 << 3,
	DF_QUERY_SHADOW = 1 << 5,   /* what the shadow policy says stands beside it */
	DF_QUERY_SUMMARY = 1 << 4,  /* counts repetitions of one that was recorded */
	DF_QUERY_REROUTED = 1 << 6, /* answered_by is another than the token says */
	DF_QUERY_PASSED = 1 << 7,   /* a refusal that nothing enforces at the moment */
	DF_QUERY_ADDR = 1 << 8,     /* addr is what was asked for, or where its connection goes */
	DF_QUERY_SEARCH = 1 << 9,   /* a refusal of DNS that is an attempt of the search list */
};

/*
 * A query, or what a payload asks for: then token is the connection, as of its connect, and
 * name may be unset (len 0).
 */
struct df_msg_query {
	uint32_t type;
	uint32_t seq;
	uint32_t flags;                      /* enum df_msg_query_flag */
	uint32_t rule;                       /* number of tables.h */
	uint32_t reason;                     /* enum df_reason */
	uint32_t shadow_rule, shadow_reason; /* the same, with SHADOW */
	uint16_t txid, qtype;
	uint32_t rcode;
	uint64_t count; /* with SUMMARY */
	uint32_t at;    /* enum df_event_at: DNS, TLS, HTTP or PROXY */
	uint16_t port;  /* host byte order; of a payload's name or address */
	uint16_t pad;
	uint8_t addr[16]; /* with ADDR */
	struct df_token token;
	uint8_t answered_by[16]; /* with REROUTED */
	struct df_dname name;
	uint32_t n_addrs, n_chain;
	uint8_t addrs[DF_EVENT_ADDRS_MAX][16];
	struct df_dname chain[DF_EVENT_CHAIN_MAX];
};

/* Parts of an answer that were not learned. */
enum df_note {
	DF_NOTE_PIN_IGNORED = 1,   /* a refused name has an address that it must not close */
	DF_NOTE_REBINDING_IGNORED, /* an allowed name has one that it must not open */
	DF_NOTE_UNLEARNED,         /* there was no room */
	/* where nothing is enforced: octets that were passed on and not understood */
	DF_NOTE_UNREAD_QUERY,  /* addr is the resolver; name has len 0 */
	DF_NOTE_UNREAD_ANSWER, /* the same, and the name asked for */
	/* a refused name whose addresses are not (all) refused, and that they are again */
	DF_NOTE_PIN_FAILED,
	DF_NOTE_PIN_RECOVERED,
	/* where policies are enforced: octets that were answered with an error */
	DF_NOTE_REFUSED_QUERY,  /* as UNREAD_QUERY */
	DF_NOTE_REFUSED_ANSWER, /* as UNREAD_ANSWER */
	DF_NOTE_END,
};

/* Why the addresses of a refused name are not refused: pin.h. */
enum df_pin_cause {
	DF_PIN_NO_CAUSE = 0,
	DF_PIN_TIMEOUT,
	DF_PIN_UNREACHABLE, /* no resolver, or nobody listens there */
	DF_PIN_SERVFAIL,
	DF_PIN_REFUSED, /* any other error as rcode */
	DF_PIN_MALFORMED,
	DF_PIN_CUT,        /* by UDP, and TCP did not bring the rest */
	DF_PIN_MANY,       /* more addresses than are refused for one name */
	DF_PIN_FULL,       /* no room in the table of addresses */
	DF_PIN_QUEUE_FULL, /* too many names wait to be asked for */
	DF_PIN_CAUSES,
};

struct df_msg_note {
	uint32_t type;
	uint32_t what; /* enum df_note */
	/* enum df_lever of teach.h, with the first two; enum df_pin_cause with PIN_FAILED */
	uint32_t why;
	/* how many it stands for; address and name are those of the last; of MANY the addresses */
	uint32_t count;
	uint32_t n_others; /* with PIN_FAILED: names that no event told of since the last one */
	uint16_t qtype;    /* with PIN_FAILED: A or AAAA; 0: neither */
	uint16_t pad;
	uint8_t addr[16];
	struct df_dname name;
};

/* A connection that was refused.  Addresses and ports as in struct df_payload. */
struct df_msg_destroy {
	uint32_t type;
	uint16_t sport, dport, port;
	uint16_t pad;
	uint64_t cookie;
	uint8_t saddr[16], daddr[16], addr[16];
};

/* A connection whose payload was held back may go on. */
struct df_msg_resume {
	uint32_t type;
	uint32_t tgid; /* who connected */
	uint64_t cookie;
	uint64_t connect_time; /* CLOCK_BOOTTIME */
};

/* The name that df_learned.slot stands for, sent before the first entry that has this slot. */
struct df_msg_name {
	uint32_t type;
	uint32_t slot;
	struct df_dname name;
};

/* The container's resolv.conf has changed, and counts. */
struct df_msg_resolvers {
	uint32_t type;
	uint32_t n_resolvers, n_search;
	uint8_t resolvers[DF_RESOLV_SERVERS_MAX][16];
	struct df_dname search[DF_RESOLV_SEARCH_MAX];
};

struct df_msg_lookup {
	uint32_t type;
	uint32_t seq;
	struct df_token token; /* tgid, tid, uid, comm and time count here */
};

struct df_msg_identity {
	uint32_t type;
	uint32_t seq;
	struct df_identity who;
};

#endif
