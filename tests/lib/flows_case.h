/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flows_case: a fence around flows, played for tests: policies, what was learned, the
 * kernel's maps, and what flows does to them and to the monitor.
 */
#ifndef DF_TEST_FLOWS_CASE_H
#define DF_TEST_FLOWS_CASE_H

#include "proxy/payload/flows.h"

#define S 1000000000ull
#define T0 (1000 * S) /* the worker's start */
#define BYTES(s) (s), sizeof(s) - 1
#define NONE DF_VERDICT_NONE
#define ALLOW DF_VERDICT_ALLOW
#define BLOCK DF_VERDICT_BLOCK
#define UNDECIDED DF_VERDICT_UNDECIDED
#define PROXY DF_VERDICT_PROXY
#define GET "GET / HTTP/1.1\r\nHost: "
#define END "\r\n\r\n"

extern struct seen {
	unsigned n_verdicts, n_reports, n_destroyed, n_removed, n_pushed;
	enum df_verdict verdict;
	uint32_t len;                          /* that it is for */
	struct df_payload_judgement judgement; /* that was reported last */
	struct df_msg_destroy destroyed;
	uint32_t next_seq;
	int fault; /* of put */
} seen;
extern struct df_flows flows;

/* default allow: names, a name at a port, addresses */
extern const char blocklist[];

/* base NULL: there is none */
void fence_as(const char *own, enum df_mode own_mode, const char *base, enum df_mode base_mode);

/*
 * With blocklist.  192.0.2.1 belongs to blocked.example and to unlisted.example, 192.0.2.2
 * to the former, 192.0.2.3 to elsewhere.example.
 */
void fence(enum df_mode mode);
int fence_down(void **state);

/* IPv4 as text, mapped. */
void addr4(const char *text, uint8_t ret[static 16]);

/* An answer gave the name this address; shift: DF_LEARNED_…, of the own table. */
void teach(const char *addr, const char *name, unsigned shift);

/* A held payload to 192.0.2.1 if it is undecided, else to a proxy. */
struct df_payload payload(uint64_t cookie, enum df_verdict verdict, uint16_t port, const void *data,
			  size_t len);

/* The same, taken at a time. */
void take(uint64_t cookie, enum df_verdict verdict, const char *data, size_t len, uint64_t time);

#endif
