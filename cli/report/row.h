/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * row: what one command of a container asked for, with one verdict of one rule.
 *
 * Plain data; strings belong to the pool of its aggregate.  No I/O.
 */
#ifndef DF_ROW_H
#define DF_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/report/classify.h"
#include "cli/report/pool.h"

#define DF_ROW_ANCESTORS_MAX 16 /* as in an event */
#define DF_ROW_ANSWERS_MAX 64   /* a name that moves has new addresses in each answer */
#define DF_ROW_ALIASES_MAX 32
#define DF_TIME_MAX 32
#define DF_ROW_TARGET_MAX 1152 /* a name has 1009 octets, an address with a port 54 */

/* In the order in which a report shows them. */
enum df_verdict {
	DF_VERDICT_BLOCKED,
	DF_VERDICT_WOULD_BLOCK, /* audit: not refused, but a rule is against it */
	DF_VERDICT_UNOBSERVED,  /* passed, since the proxy gave no sign of life */
	DF_VERDICT_ALLOWED,
	DF_VERDICTS,
};

enum df_row_kind {
	DF_ROW_NAME,       /* a domain: asked for by DNS, in a TLS hello, of an HTTP proxy */
	DF_ROW_CONNECTION, /* an address, or a socket */
	DF_ROW_SHADOW,     /* what the shadow policy says of either: WOULD_BLOCK or ALLOWED */
	DF_ROW_KINDS,
};

/* Strings are NULL where unknown, and belong to the pool.  Up to reason: what makes a row one. */
struct df_row {
	enum df_row_kind kind;
	enum df_verdict verdict;
	const char *at;     /* "dns", "connect", "packet", "tls", "http", "proxy" */
	const char *domain; /* with trailing dot */
	const char *ip;     /* NULL: none, or a socket that was refused */
	uint16_t port;      /* 0: none */
	const char *socket; /* "AF_PACKET SOCK_RAW 0x0003" */
	const char *cmd;    /* without the blank at its end */
	const char *script; /* that the nearest shell or make runs */
	const char *rule;   /* "default.policy:3 block github.com" */
	const char *rule_owner;
	const char *owner; /* of the container: the annotation */
	const char *reason;
	const char *hint;
	enum df_class class; /* of DF_ROW_NAME */
	uint64_t count;
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_texts ancestry; /* command lines, parent first, of one of its events */
	struct df_texts answers;  /* addresses */
	struct df_texts aliases;  /* names behind the name */
	bool is_new;              /* baseline */
	enum df_verdict worst;    /* of the rows with the same parent; set by df_aggregate_sort */
};

/* "blocked", "would-block", "unobserved", "allowed"; from_name: DF_VERDICTS if it is none. */
const char *df_verdict_name(enum df_verdict verdict);
enum df_verdict df_verdict_from_name(const char *name);

/* Whether a rule is against it. */
static inline bool df_verdict_is_against(enum df_verdict verdict)
{
	return verdict == DF_VERDICT_BLOCKED || verdict == DF_VERDICT_WOULD_BLOCK;
}

/*
 * What was asked for: "github.com", "github.com:443" (of a proxy), "140.82.112.3:443",
 * "github.com [::1]:443", a socket; "": not known.
 */
void df_row_target(const struct df_row *row, char *buf, size_t size);

/* In what makes a row one, by kind, verdict, name, and so on. */
int df_row_compare(const struct df_row *x, const struct df_row *y);

#endif
