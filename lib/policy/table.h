/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy: the compiled policy, a flat table without pointers.
 *
 * One block of bytes: header, slots of a hash table over names, name entries,
 * rules, networks, port ranges, strings.  All references are offsets or indices, so
 * that it can be written to a file, sealed in a memfd and mapped read-only by many
 * proxies.  policy_compile makes it from text; this module only reads it.
 *
 * df_policy_open checks every offset once; lookups trust the table after that.
 * Names are compared exactly, not by hash alone.  A lookup goes down from the
 * root, one probe a label, and ends at the first label that no rule names: a name
 * of which nothing is listed costs one or two probes, however long it is.
 *
 * Addresses are 16 octets in network byte order, IPv4 as ::ffff:a.b.c.d, and prefix
 * lengths are of that form: 0 to 128.  Ports are in host byte order.  Protocols other
 * than TCP and UDP (0 will do) have no ports, and only rules without ports match.
 * No I/O, no allocation, no logging.
 */
#ifndef DF_POLICY_H
#define DF_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/dname.h"
#include "lib/policy/finding.h"

#define DF_POLICY_MAGIC 0x31504644u /* "DFP1" in a little-endian file */
/* Of format and compiler: raised whenever the meaning of a table changes. */
#define DF_POLICY_VERSION 7u
#define DF_POLICY_SIZE_MAX (256u << 20)
#define DF_POLICY_PINS_MAX 64      /* names that pin-blocked resolves by itself */
#define DF_POLICY_RESOLVERS_MAX 16 /* as many as a fence has */

enum df_policy_mode { DF_POLICY_ENFORCE = 1, DF_POLICY_AUDIT = 2 };
enum df_policy_action { DF_POLICY_ALLOW = 1, DF_POLICY_BLOCK = 2 };
enum df_policy_refuse_dns {
	DF_POLICY_NXDOMAIN = 1,
	DF_POLICY_REFUSED = 2,
	DF_POLICY_SINKHOLE = 3,
};
enum df_policy_raw_ip { DF_POLICY_RAW_ALLOW = 1, DF_POLICY_RAW_BLOCK, DF_POLICY_RAW_AUDIT };
enum df_policy_pin { DF_POLICY_PIN_YES = 1, DF_POLICY_PIN_ON_REFUSAL, DF_POLICY_PIN_NO };
enum df_policy_shared { DF_POLICY_SHARED_SNI = 1, DF_POLICY_SHARED_ALLOW, DF_POLICY_SHARED_BLOCK };
enum df_policy_leak { DF_POLICY_LEAK_WARN = 1, DF_POLICY_LEAK_REFUSE };
/* What a rule covers.  At the same name the narrower one is the more specific. */
enum df_policy_scope {
	DF_POLICY_TREE = 1,  /* github.com: the name and all below */
	DF_POLICY_BELOW = 2, /* *.github.com: all below */
	DF_POLICY_EXACT = 3, /* =github.com: the name alone */
	DF_POLICY_NET = 4,   /* 192.0.2.0/24: addresses */
};

struct df_policy_rule {
	uint8_t action; /* enum df_policy_action */
	uint8_t scope;  /* enum df_policy_scope */
	uint8_t proto;  /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint8_t flags;
	uint16_t port_lo, port_hi; /* 0, 0: every port, and protocols without ports */
	uint32_t line;
	uint32_t file;    /* offset of the file's base name in the strings */
	uint32_t text;    /* offset of the statement as written: "block github.com" */
	uint32_t owner;   /* 0: none */
	uint32_t hint;    /* 0: none */
	uint32_t classes; /* of ports, for lookups of names alone */
};

_Static_assert(sizeof(struct df_policy_rule) == 32, "df_policy_rule is part of the table's format");

/* Ports that a rule names. */
struct df_policy_range {
	uint8_t proto;   /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t lo, hi; /* host byte order, 1 to 65535 */
};

/* A table in use.  Borrowed bytes: they must outlive it and not change. */
struct df_policy {
	const uint8_t *base;
	size_t size;
};

/*
 * Checks magic, version, size and every offset of the table in base, in O(size).
 * -EBADMSG: not a table, of another version, of another byte order, or damaged so
 * that a lookup could leave it.  Not a checksum: that the bytes are those that
 * were compiled is for whoever names or seals the table to see to.
 * -EINVAL: base is not aligned to 4 octets.  *ret only on success.
 */
int df_policy_open(const void *base, size_t size, struct df_policy *ret);

/*
 * Opens a table that df_policy_open accepted, here or in the process that hands it over, and
 * that nobody can have changed since: looks at its header and no further, in O(1).
 */
int df_policy_reopen(const void *base, size_t size, struct df_policy *ret);

/* Settings. */

enum df_policy_mode df_policy_mode(const struct df_policy *p);
unsigned df_policy_enforce_share(const struct df_policy *p); /* percent */

/*
 * The mode for one container under enforce-share: it enforces if the FNV-1a hash (64
 * bits) of image, NUL and name, folded to 32 bits, modulo 100 is below the share.
 * Where both are "" the id stands in for them.
 */
enum df_policy_mode df_policy_mode_for(const struct df_policy *p, const char *image,
				       const char *name, const char *id);
enum df_policy_action df_policy_default(const struct df_policy *p);
enum df_policy_refuse_dns df_policy_refuse_dns(const struct df_policy *p);
/* Default: allow with default allow, block with default deny. */
enum df_policy_raw_ip df_policy_raw_ip(const struct df_policy *p);
/* Default: yes if at most DF_POLICY_PINS_MAX names are blocked, else on-refusal. */
enum df_policy_pin df_policy_pin_blocked(const struct df_policy *p);
enum df_policy_shared df_policy_shared_address(const struct df_policy *p);
uint32_t df_policy_keep_learned_s(const struct df_policy *p);
int df_policy_refuse_errno(const struct df_policy *p); /* positive */
bool df_policy_is_nested_netns_allowed(const struct df_policy *p);
/*
 * finding: enum df_finding.  Default: refuse with default deny and warn with default
 * allow, but warn always for http-proxy, loopback-resolver, shared-netns and
 * host-network, which open nothing by themselves.
 */
enum df_policy_leak df_policy_on_leak(const struct df_policy *p, unsigned finding);
/*
 * Owner and hint that hold where `default`, or `raw-ip`, stands: of refusals without a rule.
 * Without a raw-ip statement those of default.  NULL: none.
 */
const char *df_policy_default_owner(const struct df_policy *p);
const char *df_policy_default_hint(const struct df_policy *p);
const char *df_policy_raw_owner(const struct df_policy *p);
const char *df_policy_raw_hint(const struct df_policy *p);
const char *df_policy_name(const struct df_policy *p); /* "default", of default.policy */

/* Trusted resolvers; none: those of the container. */
uint32_t df_policy_n_resolvers(const struct df_policy *p);
void df_policy_resolver_at(const struct df_policy *p, uint32_t i, uint8_t ret_addr[static 16]);

/* Names. */

/*
 * What DNS does.  A rule that allows, if any port of the name is allowed by a rule;
 * the rule that blocks, if none is; NULL where the default decides what ports are left.
 * Longest name first; at the same name EXACT, then BELOW, then TREE; then a rule with
 * ports; then block.
 */
const struct df_policy_rule *df_policy_lookup(const struct df_policy *p,
					      const struct df_dname *name);

/* The rule that decides one port of name, in the same order; NULL: the default does. */
const struct df_policy_rule *df_policy_lookup_port(const struct df_policy *p,
						   const struct df_dname *name, uint8_t proto,
						   uint16_t port);

/*
 * For a name that is refused.  True if some name below it may be allowed, by an
 * allow rule there or since what refuses name is a rule for the name alone: then
 * the refusal must not be NXDOMAIN, which denies all below (RFC 8020), but NODATA.
 */
bool df_policy_has_allow_below(const struct df_policy *p, const struct df_dname *name);

/*
 * The first DF_POLICY_PINS_MAX names, in the order of the file, that block rules refuse
 * themselves, at some port at least: those of TREE and EXACT, not what lies below.
 */
uint32_t df_policy_n_pin_names(const struct df_policy *p);
/* -ENOENT: no such i. */
int df_policy_pin_name_at(const struct df_policy *p, uint32_t i, struct df_dname *ret);

/* Addresses.  NULL: no address rule decides. */

/*
 * Longest prefix with a rule for this port; at the same prefix a rule with ports, then
 * block.  Rules for IPv6 say nothing of IPv4 addresses, not even ::/0.  An IPv6 address is
 * also judged by the IPv4 addresses that it holds (lib/base/addr.h): a rule that blocks one
 * of them wins, and one that allows counts for 64:ff9b::/96 where there is none for itself.
 */
const struct df_policy_rule *df_policy_lookup_addr(const struct df_policy *p,
						   const uint8_t addr[static 16], uint8_t proto,
						   uint16_t port);

/* The rule that decides the net as far as no longer prefix does; by its own form alone. */
const struct df_policy_rule *df_policy_lookup_net(const struct df_policy *p,
						  const uint8_t addr[static 16],
						  unsigned prefix_len, uint8_t proto,
						  uint16_t port);

/*
 * The different prefixes of address rules, sorted by address, shorter first.  Where an
 * IPv6 prefix holds ::ffff:0:0/96, that is among them even without a rule of its own: in
 * a trie over this form it keeps rules for IPv6 from IPv4 addresses.
 */
uint32_t df_policy_n_nets(const struct df_policy *p);
void df_policy_net_at(const struct df_policy *p, uint32_t i, uint8_t ret_addr[static 16],
		      unsigned *ret_prefix_len);

/* The different port ranges of all rules, of names and addresses.  See ports.h. */
uint32_t df_policy_n_ranges(const struct df_policy *p);
struct df_policy_range df_policy_range_at(const struct df_policy *p, uint32_t i);

/* Rules. */

/* It came out of a block-list or allow-list, and is not written in the policy itself. */
bool df_policy_rule_is_listed(const struct df_policy *p, const struct df_policy_rule *r);
/*
 * It is an allow rule that a block-list has as an exception from itself: the list says no
 * more than that it does not mean this name, so it should open nothing that the default,
 * or the rule that decides without the list, would not.
 */
bool df_policy_rule_is_exception(const struct df_policy *p, const struct df_policy_rule *r);
/* True if no statement made it, but the list that encrypted-dns stands for. */
bool df_policy_rule_is_implied(const struct df_policy *p, const struct df_policy_rule *r);

/* Strings of a rule; borrowed from the table, NUL-terminated; NULL if not set. */
const char *df_policy_rule_owner(const struct df_policy *p, const struct df_policy_rule *r);
const char *df_policy_rule_hint(const struct df_policy *p, const struct df_policy_rule *r);

/* "default.policy:3 block github.com", escaped for a log line.  Returns its length, cut to fit. */
size_t df_policy_rule_describe(const struct df_policy *p, const struct df_policy_rule *r, char *buf,
			       size_t size);

/*
 * Number of a rule in the table, for compact records; and back (NULL: out of
 * range).  Numbers follow no order that means anything, and count from 0.
 */
uint32_t df_policy_rule_index(const struct df_policy *p, const struct df_policy_rule *r);
const struct df_policy_rule *df_policy_rule_at(const struct df_policy *p, uint32_t index);

#endif
