/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker: reads hostile bytes, decides, relays, answers.
 *
 * The parts share one struct df_worker, allocated once: relay (queries in
 * flight), udp (the client side), upstream (sockets to resolvers), tcp (both
 * sides of a TCP connection).  No allocation after start, every pool is fixed
 * and every limit counted.  Untouched pool memory is never charged.
 */
#ifndef DF_WORKER_H
#define DF_WORKER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/fence/launch.h"
#include "lib/policy/table.h"
#include "proxy/channel.h"
#include "proxy/dns/wire.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/pin.h"
#include "proxy/learn/teach.h"
#include "proxy/loop.h"
#include "proxy/own.h"
#include "proxy/payload/flows.h"
#include "proxy/tables.h"
#include "proxy/worker/decide.h"
#include "proxy/worker/route.h"
#include "proxy/worker/search.h"
#include "proxy/worker/seen.h"

#define DF_QUERIES_MAX 4096    /* in flight; more are dropped and counted, the client retries */
#define DF_UPSTREAMS_MAX 64    /* UDP sockets to resolvers */
#define DF_CONNECTIONS_MAX 128 /* TCP clients; an idle one makes room, or others wait */
#define DF_HELD_MAX 32         /* answers that wait for the asker's identity */
#define DF_HELD_SIZE 4096

#define DF_NOTED_SLOTS 256 /* notes that were given, to give each once; power of two */

#define DF_UPSTREAM_DEADLINE_NS 10000000000ull /* a slow resolver's answer is still passed on */
#define DF_HOLD_ANSWER_NS 2000000ull           /* an allowed answer waits at most 2 ms */
#define DF_HOLD_REFUSAL_NS 200000000ull        /* a refusal can wait: it is about who asked */

enum df_asked_state {
	DF_ASKED_FREE = 0,
	DF_ASKED_UPSTREAM,
	DF_ASKED_HELD, /* decided; waits for the identity */
};

struct df_client {
	int16_t connection; /* index of a TCP connection, or -1: UDP */
	bool is_ipv6;
	struct in6_addr token_addr; /* the address asked, from which the answer goes */
	union {
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} addr; /* UDP only */
};

struct df_asked {
	uint32_t prev, next; /* in the list of its state, by deadline; 0: none */
	uint32_t hash_next;  /* 0: none */
	enum df_asked_state state;
	uint64_t deadline_ns;
	struct df_client client;
	struct df_token token;
	uint32_t seen_seq;
	bool is_first; /* reported as an event of its own */
	bool is_refusal;
	struct df_decision decision;
	struct df_resolver to;
	bool is_rerouted; /* to is not the resolver that was asked */
	uint8_t teaches;  /* a set of tables */
	bool is_raw;      /* passed on as octets that were not understood; q has the id alone */
	bool is_other;    /* of another opcode or class: df_dns_parse_other */
	bool is_stream;   /* more than one message may answer it */
	int16_t upstream; /* UDP socket's index, or -1: the client's TCP connection */
	uint16_t upstream_id;
	int16_t held; /* index of a held answer, or -1 */
	uint16_t held_len;
	struct df_dns_query q;
};

struct df_upstream {
	struct df_source source;
	int fd; /* -1: free */
	struct df_worker *worker;
	uint8_t addr[16];
	uint16_t port; /* network byte order */
	bool may_be_local;
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
	bool is_reset;   /* with an RST, as of a resolver that cannot be reached */
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

struct df_list {
	uint32_t first, last; /* index in asked; 0: none */
};

struct df_listener {
	struct df_source source;
	struct df_worker *worker;
	int fd;
	bool is_ipv6;
};

struct df_worker {
	struct df_loop loop;
	const struct df_meta *meta;
	struct df_tables tables;
	struct df_search_list search;
	uint32_t n_search; /* of search_names, once the list has changed */
	struct df_dname search_names[DF_META_SEARCH_MAX];
	struct df_search attempts;
	struct df_teach teach;
	struct df_learn learn;
	struct df_flows flows;
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

	uint32_t free_list;    /* last used first, so that few slots are ever touched */
	uint32_t n_asked_ever; /* slots touched so far; the rest is fresh */
	struct df_list in_flight, held_answers, held_refusals;
	uint32_t hash[DF_QUERIES_MAX];
	uint64_t held_used;                  /* a bit for each held[] */
	uint32_t identified[DF_QUERIES_MAX]; /* seq % its size: the seq the monitor knows */
	struct df_seen seen;
	struct df_upstream upstreams[DF_UPSTREAMS_MAX];
	struct df_connection connections[DF_CONNECTIONS_MAX];
	unsigned n_connections;
	bool is_accept_paused; /* no room: new clients wait in the kernel's queue */
	bool is_any_upstream_open;
	uint64_t next_housekeeping_ns;
	uint64_t n_dropped, n_unknown_token, n_malformed, n_mismatched;
	const uint8_t *raw; /* of the query that is being forwarded */
	size_t raw_len;
	struct {
		uint32_t n; /* since the last note of it */
		uint64_t next_note_ns;
	} unread[2]; /* answers, queries */
	uint64_t n_untold_queries, n_untold_refusals;

	struct df_pin pin;
	uint32_t random_left;
	uint8_t random[256];
	struct df_asked asked[DF_QUERIES_MAX]; /* [0] is not used */
	uint8_t held[DF_HELD_MAX][DF_HELD_SIZE];
	struct df_dns_answer other; /* of df_relay_other_answer, to tell: one stray at most */
	uint8_t packet[DF_DNS_MSG_MAX];
	uint8_t answer[DF_DNS_MSG_MAX];
	struct df_tcp_buffers tcp_buffers[DF_CONNECTIONS_MAX];
};

/* Runs until the monitor goes.  Never returns. */
_Noreturn void df_worker_run(const struct df_meta *meta, struct df_learn_shared *learned,
			     int channel);

uint16_t df_worker_random16(struct df_worker *w);

/* Nothing is enforced: what would be stripped, refused or not understood passes. */
static inline bool df_worker_is_inert(const struct df_worker *w)
{
	return w->meta->mode != DF_MODE_ENFORCE;
}

/* relay */
/*
 * Builds the query for a's resolver in w->answer.  Its length; -EMSGSIZE; -ENODATA: the octets of
 * a are no longer kept.
 */
int df_relay_build(struct df_worker *w, const struct df_asked *a, uint16_t id);
/* One message of a client.  The bytes are not kept. */
void df_relay_query(struct df_worker *w, const struct df_client *client,
		    const struct df_token *token, const uint8_t *pkt, size_t len);
/* One message of an upstream; upstream is -1 for a TCP connection, given then. */
void df_relay_answer(struct df_worker *w, int upstream, const struct df_connection *connection,
		     const uint8_t *pkt, size_t len);
/* The upstream is gone: SERVFAIL for all that wait for it. */
void df_relay_upstream_failed(struct df_worker *w, int upstream,
			      const struct df_connection *connection);
/*
 * The resolver closed: what still waits for it is asked again, or fails.  What went as octets
 * fails: it is not kept, and an update may have been done.
 */
void df_relay_ask_again(struct df_worker *w, const struct df_connection *connection);
bool df_relay_is_waiting(const struct df_worker *w, const struct df_connection *connection);
/* The client is gone: forget its queries. */
void df_relay_client_gone(struct df_worker *w, const struct df_connection *connection);
/* The resolver is: what it has answered goes out, what it has not is forgotten. */
void df_relay_upstream_gone(struct df_worker *w, const struct df_connection *connection);
/* The monitor knows who asked seq. */
void df_relay_identified(struct df_worker *w, uint32_t seq);
bool df_relay_is_id_free(const struct df_worker *w, int upstream,
			 const struct df_connection *connection, uint16_t id);
/* What is due; returns milliseconds to the next deadline, or -1. */
int df_relay_expire(struct df_worker *w);

/* report: what the worker tells the monitor */
/*
 * First sight or repetition of a query: sets a->seen_seq and a->is_first.  answer
 * is what a CNAME refusal is about, else NULL.
 */
void df_report_asked(struct df_worker *w, struct df_asked *a, const struct df_decision *d,
		     const struct df_dns_answer *answer);
/* The monitor does not know yet who asked it: the answer should wait a little. */
/* One that waited (search.h). */
void df_report_held(struct df_worker *w, const struct df_msg_query *m);
bool df_report_is_pending(const struct df_worker *w, const struct df_asked *a);
/* The outcome of one that was let through; answer NULL: there was none. */
void df_report_outcome(struct df_worker *w, const struct df_asked *a,
		       const struct df_dns_answer *answer, uint8_t rcode);
void df_report_summaries(struct df_worker *w, bool all);
/* Something was not learned.  Each once; for want of room every ten seconds at most. */
void df_report_note(struct df_worker *w, enum df_note what, enum df_lever why,
		    const uint8_t addr[static 16], const struct df_dname *name);
/* A name has more addresses than are refused; told once. */
void df_report_many(struct df_worker *w, const struct df_dname *name);
/* As it is. */
void df_report_send_note(struct df_worker *w, const struct df_msg_note *m);

/* What a payload asks for.  Its number if somebody is looked up now, else 0. */
uint32_t df_report_payload(struct df_worker *w, const struct df_payload *p,
			   const struct df_payload_judgement *g);

/* learn_answer */
/* Who may learn from an answer, and what of it. */
struct df_learn_scope {
	uint8_t tables;  /* a set */
	bool is_refusal; /* of our own question for a refused name: it permits nothing */
	bool is_pinned;  /* that the policy has us ask */
};
/*
 * Before the client gets the answer; what it says is in the kernel's map then.  Returns how
 * many addresses found no room.
 */
unsigned df_learn_answer(struct df_worker *w, const struct df_dname *qname,
			 const struct df_dns_answer *answer, const struct df_learn_scope *scope);

/* payloads: the kernel's ring of them, the map of verdicts */
int df_payloads_init(struct df_worker *w);

/* udp */
int df_udp_init(struct df_worker *w);
void df_udp_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len);
/* Who asked this token address (16 bytes, IPv4 mapped).  0, or -ENOENT: no token of ours. */
int df_udp_token_lookup(const struct df_meta *meta, const struct in6_addr *addr,
			struct df_token *ret);

/* upstream */
/*
 * A socket of this type, connected (a stream: maybe not yet).  Or -errno; -ELOOP: the address
 * is one of this namespace, and must not be.
 */
int df_upstream_connect(const struct df_resolver *to, int type);
/*
 * One datagram of it.  Its length, or -errno; -ENOMSG: of another interface than its resolver's
 * answers can come by, dropped and counted.
 */
ssize_t df_upstream_receive(struct df_worker *w, int fd, uint8_t *buf, size_t size);
/* Sends a's query under a new id and sets a->upstream and a->upstream_id.  0 or -errno. */
int df_upstream_send(struct df_worker *w, struct df_asked *a);
void df_upstream_init(struct df_worker *w);
/* Closes what idles.  True while any socket is open. */
bool df_upstream_expire(struct df_worker *w);
/* Gives up a's claim on its socket. */
void df_upstream_settled(struct df_worker *w, const struct df_asked *a);

/* tcp */
int df_tcp_init(struct df_worker *w);
int df_tcp_send_upstream(struct df_worker *w, struct df_asked *a);
void df_tcp_reply(struct df_worker *w, int connection, const uint8_t *pkt, size_t len);
/* Ends a connection with this round, by an RST. */
void df_tcp_reset(struct df_worker *w, int connection);
/* Its resolver has not been reached so far, or cannot be. */
bool df_tcp_is_unconnected(const struct df_worker *w, int connection);
/* A query of this connection was answered or given up: close what is done. */
void df_tcp_settled(struct df_worker *w, int connection);
/* Closes what idles or failed; takes queries that waited for room. */
void df_tcp_expire(struct df_worker *w);

#endif
