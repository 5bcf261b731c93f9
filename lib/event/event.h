/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event: one event as a text line and as a JSON line (deployfence.events(5)).
 *
 * The text line has the shape of the published log: keys up to firewallMethod
 * and their order are fixed, new keys are appended.  Text of a container
 * is escaped, so that it never splits a line.  No I/O, no allocation.
 */
#ifndef DF_EVENT_H
#define DF_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "lib/base/job.h"

#define DF_EVENT_SCHEMA 1
#define DF_EVENT_TEXT_MAX 8192
#define DF_EVENT_JSON_MAX 65536
#define DF_EVENT_ANCESTORS_MAX 16
#define DF_EVENT_ADDRS_MAX 16
#define DF_EVENT_CHAIN_MAX 8
#define DF_EVENT_OWN_MAX 64 /* a host network may have hundreds; enough to tell a service by */

enum df_identity_state {
	DF_IDENTITY_NONE = 0, /* no process belongs to the event */
	DF_IDENTITY_OK,
	DF_IDENTITY_GONE,        /* it ended first: only the kernel's record is there */
	DF_IDENTITY_UNAVAILABLE, /* could not be read (in time) */
};

#define DF_UID_UNKNOWN 0xffffffffu /* (uid_t)-1 is nobody's */

struct df_ancestor {
	uint32_t pid;
	char comm[DF_COMM_LEN];
	char cmd[160]; /* arguments parted by blanks, cut */
};

/* The process behind an event.  Plain data: it crosses a socket between our processes. */
struct df_identity {
	uint32_t state; /* enum df_identity_state */
	uint32_t pid, tid;
	uint32_t uid;           /* DF_UID_UNKNOWN: the kernel did not record it */
	uint32_t container_pid; /* in the container's pid namespace; 0: unknown */
	uint32_t n_ancestors;
	char comm[DF_COMM_LEN]; /* of the asking thread */
	char cmd[1024]; /* each argument followed by a blank, as in the published log; of one
			 * that is gone as far as the kernel recorded it, cut */
	uint16_t cmd_len;
	char exe[256], cwd[256];
	struct df_ancestor ancestors[DF_EVENT_ANCESTORS_MAX]; /* parent first */
};

enum df_event_at {
	DF_AT_DNS,
	DF_AT_CONNECT,
	DF_AT_PACKET,
	DF_AT_TLS,   /* the first payload of a connection: a ClientHello */
	DF_AT_HTTP,  /* the same: a request to an origin server */
	DF_AT_PROXY, /* a request to an HTTP proxy */
	DF_AT_END,
};

/* Counts of a fence until its end, repetitions included: deployfence.events(5). */
struct df_event_totals {
	uint64_t queries, refused; /* in audit: that would have been refused */
	uint64_t search_attempts;  /* refused on the way through a search list; in no other sum */
	uint64_t lost;             /* events that were not written */
	uint64_t dropped;          /* messages without room */
	uint64_t malformed;        /* messages that are no DNS */
	uint64_t mismatched;       /* answers that nobody waited for */
	uint64_t stray;            /* packets that the fence did not send to the proxy */
	uint64_t unlogged;         /* lines that neither journal nor syslog took */
	uint64_t unshown;          /* refusals that the container's stderr did not take */
	uint64_t pin_failures;     /* tries */
	uint64_t sinkhole_probes;  /* UDP sockets for sorting addresses (RFC 6724) */
};

struct df_event_line {
	const char *event;           /* closed list: deployfence.events(5) */
	const char *reason;          /* closed list; NULL: not a verdict */
	bool is_refusal;             /* a rule or the fence is against it … */
	bool is_blocked;             /* … and it was refused: false in audit */
	bool is_shadow, would_block; /* of a policy that is judged beside, not of the fence */
	bool is_allowlist;           /* judged under `default deny` */
	bool is_warning;             /* no verdict, but the operator should know */
	bool is_search;              /* a refusal that is an attempt of a search list */
	enum df_event_at at;
	const char *domain;  /* escaped text with trailing dot; NULL: none */
	const uint8_t *addr; /* 16 bytes; NULL: none */
	uint16_t port;       /* host byte order; of addr, or of a proxy's target */
	bool is_note;        /* about a name and an address as such: no verdict, no port */
	const struct df_identity *who; /* NULL: nobody */
	/* NULL: none.  rule_owner: contact for the rule; the job's owner is in df_job. */
	const char *rule, *rule_owner, *hint;
	bool has_query;
	uint16_t txid, qtype;
	uint8_t rcode;
	const uint8_t *resolver; /* 16 bytes; NULL: none */
	uint16_t resolver_port;
	const uint8_t *answered_by; /* 16 bytes; NULL: by the resolver */
	bool is_tcp;
	unsigned n_addrs;
	const uint8_t (*addrs)[16];
	unsigned n_chain;
	const struct df_dname *chain;
	const uint8_t *proxy; /* 16 bytes: the HTTP proxy that was asked; NULL: none */
	uint16_t proxy_port;
	unsigned n_own;
	const uint8_t (*own)[16]; /* addresses of the container */
	uint64_t count;           /* how many it stands for; 0: one */
	const char *of; /* the event that a summary repeats, where no other key shows it */
	const struct df_event_totals *totals; /* of "stop"; NULL: none */
	const char *message; /* free text of events that are no verdict; NULL: none */
	/* lib/policy/finding.h; NULL: the event is none */
	const char *finding, *seen;
	const char *socket; /* "AF_PACKET SOCK_RAW 0x0003", of one that was refused; NULL: none */
	const char *remedy; /* how to close the finding, or how to permit it; NULL: none */
};

/* Both NUL-terminate, add no newline, cut to size, and return the length. */
size_t df_event_text(const struct df_event_line *e, const struct df_job *job, char *buf,
		     size_t size);
size_t df_event_json(const struct df_event_line *e, const struct df_job *job, char *buf,
		     size_t size);

/*
 * The same as an entry for df_log_journal: text as MESSAGE, priority a syslog severity,
 * and fields DEPLOYFENCE_….  Octets, not text.  A field that does not fit is left out whole.
 */
size_t df_event_journal(const struct df_event_line *e, const struct df_job *job, int priority,
			const char *text, char *buf, size_t size);

#endif
