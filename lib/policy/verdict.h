/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdict: what the policies of a fence say of a name or an address; the one place that says
 * allow or block.  Pure: no I/O, no allocation, no clock.
 *
 * A name, as deployfence.policy(5), WHICH RULE DECIDES, has it: the longest name with a rule,
 * then the narrower scope, then a rule with ports, then block; without a rule, `default`.
 *
 * An address, first match:
 *   1. address rules: the longest prefix with a rule for the port, then a rule with ports,
 *      then block.  An IPv6 address is also judged by the IPv4 addresses that it holds
 *      (lib/base/addr.h): a block of one of them counts, a permission only for
 *      64:ff9b::/96.
 *   2. the names that answers gave it.  Allowed by a rule passes.  Blocked is refused; where
 *      another name has the address by `default allow`, `shared-address` decides.
 *   3. raw-ip.
 *
 * Several tables: own and base policy are both judged and the stricter verdict counts, of two
 * alike the own policy's.  The shadow policy is judged apart and enforces nothing.
 *
 * The map filler (lib/fence/fill.h) and the worker enter into the maps what is said here; the
 * kernel programs put it together in the same order (bpf/address.bpf.h), to which
 * tests/unit/test_verdict.c holds them.
 *
 * Addresses are 16 octets in network byte order, IPv4 as ::ffff:a.b.c.d.  Ports are in host
 * byte order; proto is IPPROTO_TCP, IPPROTO_UDP or, for all that has no ports, 0.
 */
#ifndef DF_VERDICT_H
#define DF_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "lib/policy/ports.h"
#include "lib/policy/table.h"

/* Sets of tables: bits 1 << enum df_table_id. */
#define DF_TABLES_FENCE (DF_TABLES_ALL & ~DF_TABLE_SHADOW_BIT) /* own and base */

/* The policies of one fence. */
struct df_tables {
	struct df_policy tables[DF_TABLES]; /* those that have a mode */
	uint8_t modes[DF_TABLES];           /* DF_MODE_ENFORCE, DF_MODE_AUDIT; 0: there is none */
};

static inline bool df_tables_has(const struct df_tables *t, unsigned table)
{
	return t->modes[table] != 0;
}

/* Of a refusal.  deployfence.events(5) has the names. */
enum df_reason {
	DF_REASON_NONE = 0,
	DF_REASON_QNAME,
	DF_REASON_SEARCH, /* the QNAME without a suffix of the search list */
	DF_REASON_CNAME,
	DF_REASON_UNLISTED,    /* no rule names it, and the default is deny */
	DF_REASON_TARGET,      /* a TargetName of HTTPS or SVCB records */
	DF_REASON_RESOLVER,    /* no trusted resolver, and its address may not be reached */
	DF_REASON_NO_RESOLVER, /* default deny, and there is no trusted one */
	/* of a payload */
	DF_REASON_SNI,         /* the server_name of a ClientHello */
	DF_REASON_HOST,        /* Host of a request */
	DF_REASON_REQUEST,     /* the target of a request to an HTTP proxy */
	DF_REASON_NO_NAME,     /* none can be read */
	DF_REASON_NOT_LEARNED, /* no answer gave this name the address */
	/* of a connection */
	DF_REASON_ADDRESS, /* an address rule */
	DF_REASON_PINNED,  /* an address of a blocked name */
	DF_REASON_SHARED,  /* the same, and of a name that the default allows */
	DF_REASON_PORT,    /* the default is deny, and rules allow the name at other ports */
	DF_REASON_RAW,     /* raw-ip: neither rule nor answer names it */
	DF_REASON_END,
};

/* A verdict, and the rule behind it. */
struct df_decision {
	bool is_refusal;        /* whether that is enforced says the next one */
	bool is_enforced;       /* the table is one that enforces, and so does the rule */
	bool is_audit;          /* the rule itself only audits: raw-ip audit */
	bool is_search_miss;    /* unlisted, but allowed without a suffix of the search list */
	bool is_undecided;      /* of SHARED: passes if the first payload names an allowed name */
	bool is_noted;          /* passes by an allow rule, though a blocked name has the address */
	enum df_table_id table; /* whose verdict it is */
	enum df_reason reason;
	const struct df_policy_rule *rule; /* that decided; NULL: default, raw-ip, or a name's */
};

/* 0: passes; 1: would be refused; 2: is refused. */
unsigned df_verdict_strictness(const struct df_decision *d);

/* Each judges by the tables of a set that there are, and returns the strictest verdict. */

struct df_search_list {
	const struct df_dname *names; /* borrowed */
	unsigned n;
};

/*
 * A question of DNS: the QNAME; and the QNAME without a suffix of the container's search list,
 * so that a refused github.com is not answered by a wildcard as github.com.corp.example (an
 * explicit allow of the full name wins).
 */
struct df_decision df_verdict_question(const struct df_tables *t, unsigned set,
				       const struct df_search_list *search,
				       const struct df_dname *qname);

/* Names that come with an answer: the first one with a block rule, for this reason. */
struct df_decision df_verdict_names(const struct df_tables *t, unsigned set,
				    const struct df_dname *names, unsigned n,
				    enum df_reason reason);

/* A name at one port, asked for by a payload; blocked: the reason if a rule is against it. */
struct df_decision df_verdict_request(const struct df_tables *t, unsigned set,
				      const struct df_dname *name, uint8_t proto, uint16_t port,
				      enum df_reason blocked);

/* A connection to a name, which DNS has to answer first, if no rule names its address. */
struct df_decision df_verdict_connection(const struct df_tables *t, unsigned set,
					 const struct df_dname *name, uint8_t proto, uint16_t port);

/* An address at one port; bits: what was learned of it, an element of df_learned.bits. */
struct df_decision df_verdict_addr(const struct df_tables *t, unsigned set,
				   const uint8_t addr[static 16], uint8_t proto, uint16_t port,
				   uint16_t bits);

/* The same as the maps of the kernel programs have it, for a class of ports. */

/* The ports that the rules of all tables tell apart.  -E2BIG: too many. */
int df_verdict_ports(const struct df_tables *t, struct df_ports *ret);

/* The verdict of address rules on a network, where no longer prefix has one: an octet of df_net. */
uint8_t df_verdict_net(const struct df_tables *t, const struct df_ports *ports,
		       const uint8_t addr[static 16], unsigned prefix_len, unsigned class);

/*
 * The verdict of one table on an address that an answer gave to name: bits of df_learned.
 * *ret_rule: the rule, or NULL where the default is all there is.
 */
uint16_t df_verdict_learned(const struct df_tables *t, enum df_table_id table,
			    const struct df_ports *ports, const struct df_dname *name,
			    unsigned class, const struct df_policy_rule **ret_rule);

/* Whether a policy refuses addresses for the names that have them (pin-blocked). */
bool df_verdict_pins(const struct df_policy *p);

/* Texts that are shown with a verdict. */

/*
 * "default.policy:3 block github.com", "NAME.policy default deny", "NAME.policy raw-ip block",
 * escaped for a log line.  Its length, cut to fit; 0: a name decides that is not known here,
 * or nothing that a policy says.
 */
size_t df_verdict_rule(const struct df_tables *t, const struct df_decision *d, char *buf,
		       size_t size);
/* The owner and hint that hold for it.  NULL: none. */
const char *df_verdict_owner(const struct df_tables *t, const struct df_decision *d);
const char *df_verdict_hint(const struct df_tables *t, const struct df_decision *d);

#endif
