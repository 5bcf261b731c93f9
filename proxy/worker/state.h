/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state: the memory that the parts of the worker share.
 *
 * There is one struct df_worker, and it is allocated once.  Nothing is allocated after the start:
 * every pool is fixed and every limit is counted.  Pages that were never touched are not charged.
 *
 * Layers, the upper ones including the lower ones: worker (the loop), relay (what happens to a
 * query and its answer), then tcp and udp (clients), upstream (resolvers), report (messages to the
 * monitor), then query (the pool of queries).  The transports call the relay through struct
 * df_relay_ops.
 */
#ifndef DF_STATE_H
#define DF_STATE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/own_addr.h"
#include "lib/fence/launch.h"
#include "proxy/channel.h"
#include "proxy/dns/wire.h"
#include "proxy/loop.h"
#include "proxy/tables.h"
#include "proxy/worker/decide.h"
#include "proxy/worker/history.h"
#include "proxy/worker/trust.h"

#define DF_QUERIES_MAX 4096    /* in flight; more are dropped and counted, the client retries */
#define DF_UPSTREAMS_MAX 64    /* UDP sockets to resolvers */
#define DF_CONNECTIONS_MAX 128 /* TCP clients; an idle one makes room, or others wait */
#define DF_HELD_MAX 32         /* answers that wait for the asker's identity */
#define DF_HELD_SIZE 4096

#define DF_NOTED_SLOTS 256 /* notes that were given, to give each once; power of two */

struct df_flows;
struct df_learn;
struct df_pin;
struct df_teach;
struct df_worker;
struct ring_buffer;

struct df_client {
	int16_t connection; /* index of a TCP connection, or -1: UDP */
	bool is_ipv6;
	struct in6_addr token_addr; /* the address asked, from which the answer goes */
	union {
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} addr; /* UDP only */
};

enum df_query_state {
	DF_QUERY_STATE_FREE = 0,
	DF_QUERY_STATE_IN_HAND, /* a function of the relay works on it; it is in no list */
	DF_QUERY_STATE_WAITING, /* for an answer of its resolver */
	DF_QUERY_STATE_HELD,    /* decided; waits for the asker's identity */
};

/* A client's query from its arrival until it is answered or given up. */
struct df_query {
	uint32_t prev, next; /* in the list of its state, by deadline; 0: none */
	uint32_t hash_next;  /* 0: none */
	enum df_query_state state;
	uint64_t deadline_ns;
	struct df_client client;
	struct df_token token;
	uint32_t seq;  /* of the report that it belongs to */
	bool is_first; /* it has that report for itself, and is no repetition */
	bool is_refusal;
	struct df_decision decision;
	struct df_resolver to;
	bool is_rerouted; /* to is not the resolver that was asked */
	uint8_t teaches;  /* a set of tables */
	bool is_raw;      /* passed on as octets that were not understood; msg has the id alone */
	bool is_other;    /* of another opcode or class: df_dns_parse_other */
	bool is_stream;   /* more than one message may answer it */
	uint16_t peer;    /* to which it went: a UDP socket's index, or df_query_tcp_peer */
	uint16_t peer_id; /* its id there */
	int16_t held;     /* index of a held answer, or -1 */
	uint16_t held_len;
	struct df_dns_query msg;
};

struct df_query_list {
	uint32_t first, last; /* index in queries; 0: none */
};

struct df_upstream {
	struct df_source source;
	int fd; /* -1: free */
	struct df_worker *worker;
	struct df_resolver to;
	uint32_t n_in_flight, n_used;
	uint64_t last_ns;
};

struct df_tcp_side {
	struct df_source source;
	struct df_connection *connection;
	int fd;          /* -1: not open */
	uint32_t events; /* asked of epoll */
	bool is_eof;
	uint32_t in_len, out_len, out_sent;
	uint32_t in_size, out_size;
	uint8_t *in, *out; /* in struct df_tcp_buffers */
};

struct df_connection {
	struct df_worker *worker;
	struct df_tcp_side client, upstream;
	struct in6_addr token_addr;
	bool is_ipv6, is_connecting, is_used;
	bool is_doomed;  /* closed at the end of the round */
	bool is_reset;   /* closed with an RST, like a connection to an unreachable resolver */
	bool is_closing; /* being closed: answers go nowhere */
	struct df_token token;
	uint32_t n_in_flight;
	uint32_t n_answered; /* since the resolver's side was opened */
	uint64_t last_ns;
};

/* Messages with their lengths: RFC 1035 4.2.2.  Pages that no long message touched cost nothing. */
struct df_tcp_buffers {
	uint8_t client_in[2 + DF_DNS_MSG_MAX];
	uint8_t client_out[2 * (2 + DF_DNS_MSG_MAX)];
	uint8_t upstream_in[2 + DF_DNS_MSG_MAX];
	uint8_t upstream_out[2 * (2 + DF_DNS_MSG_MAX)];
};

struct df_listener {
	struct df_source source;
	struct df_worker *worker;
	int fd;
	bool is_ipv6;
};

/* Calls of the transports to the relay.  The octets are not kept. */
struct df_relay_ops {
	/* One message of a client. */
	void (*query)(struct df_worker *w, const struct df_client *client,
		      const struct df_token *token, const uint8_t *pkt, size_t len);
	/* One message of a resolver, by the peer that it came from. */
	void (*answer)(struct df_worker *w, unsigned peer, const uint8_t *pkt, size_t len);
	/* The resolver of a UDP socket cannot be reached: SERVFAIL for all that wait for it. */
	void (*failed)(struct df_worker *w, unsigned peer);
	/*
	 * The resolver closed its TCP connection: queries that wait for it go out again, or fail.
	 * A query that went as octets fails: they are not kept, and an update may have been done.
	 */
	void (*ask_again)(struct df_worker *w, int connection);
	/* The client closed its TCP connection: its queries are forgotten. */
	void (*client_gone)(struct df_worker *w, int connection);
	/* The resolver did for good: answers that are held go out, all else is forgotten. */
	void (*upstream_gone)(struct df_worker *w, int connection);
};

struct df_worker {
	struct df_loop loop;
	const struct df_meta *meta;
	struct df_tables tables;
	struct df_search_list search;
	uint32_t n_search; /* of search_names, once the list has changed */
	struct df_dname search_names[DF_RESOLV_SEARCH_MAX];
	struct df_history history;
	/* set by df_worker_run: their modules include this header */
	struct df_teach *teach;
	struct df_learn *learn;
	struct df_flows *flows;
	struct df_pin *pin;
	const struct df_relay_ops *relay;
	struct df_source payloads_source;
	struct ring_buffer *payloads;
	unsigned n_payloads_left; /* that this round may still take */
	struct df_own own;
	struct df_trust trust;          /* of resolvers */
	uint64_t noted[DF_NOTED_SLOTS]; /* hashes */
	uint32_t n_unlearned;           /* since the last note of it */
	uint64_t next_unlearned_note_ns;
	bool is_finishing;
	int channel; /* to the monitor */
	struct df_source channel_source;
	struct df_listener listeners[4]; /* UDP4, UDP6, TCP4, TCP6 */
	uint64_t now_ns;                 /* CLOCK_BOOTTIME at the start of the round */

	uint32_t free_list;      /* last used first, so that few slots are ever touched */
	uint32_t n_queries_ever; /* slots touched so far; the rest is fresh */
	struct df_query_list in_flight, held_answers, held_refusals;
	uint32_t hash[DF_QUERIES_MAX];
	uint64_t held_used;                  /* a bit for each held[] */
	uint32_t identified[DF_QUERIES_MAX]; /* seq % its size: the seq the monitor knows */
	struct df_upstream upstreams[DF_UPSTREAMS_MAX];
	struct df_connection connections[DF_CONNECTIONS_MAX];
	unsigned n_connections;
	bool is_accept_paused; /* no room: new clients wait in the kernel's queue */
	bool is_any_upstream_open;
	uint64_t next_housekeeping_ns;
	uint64_t n_dropped, n_unknown_token, n_malformed, n_mismatched;
	struct {
		uint32_t n; /* since the last note of it */
		uint64_t next_note_ns;
	} unread[2]; /* answers, queries */
	uint64_t n_untold_queries, n_untold_refusals;

	uint32_t random_left;
	uint8_t random[256];
	struct df_query queries[DF_QUERIES_MAX]; /* [0] is not used */
	uint8_t held[DF_HELD_MAX][DF_HELD_SIZE];
	struct df_dns_answer one_name; /* to judge and report a single name of an answer */
	uint8_t packet[DF_DNS_MSG_MAX];
	uint8_t answer[DF_DNS_MSG_MAX];
	struct df_tcp_buffers tcp_buffers[DF_CONNECTIONS_MAX];
};

/* Nothing is enforced: messages pass that would be stripped, refused or not understood. */
static inline bool df_worker_is_inert(const struct df_worker *w)
{
	return w->meta->job.mode != DF_MODE_ENFORCE;
}

#endif
