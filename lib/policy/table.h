/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table: the compiled policy, a flat table without pointers.
 *
 * One block of bytes: header, slots of a hash table over names, name entries,
 * rules, networks, port ranges, strings.  All references are offsets or indices, so
 * that it can be written to a file, sealed in a memfd and mapped read-only by many
 * proxies.  compile makes it from text; this module only reads it.
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
#include <string.h>

#include "lib/base/dname.h"
#include "lib/base/hash.h"
#include "lib/policy/finding.h"
#include "lib/policy/ports.h"

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
/* The names that a rule covers.  At the same name the narrower one is the more specific. */
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
 * The rule for DNS.  A rule that allows, if any port of the name is allowed by a rule;
 * the rule that blocks, if none is; NULL where the default decides the ports that are left.
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
 * allow rule there or because a rule for the name alone refuses it: then
 * the refusal must not be NXDOMAIN, which denies all below (RFC 8020), but NODATA.
 */
bool df_policy_has_allow_below(const struct df_policy *p, const struct df_dname *name);

/*
 * The first DF_POLICY_PINS_MAX names, in the order of the file, that block rules refuse
 * themselves, at some port at least: those of TREE and EXACT, not the names below.
 */
uint32_t df_policy_n_pin_names(const struct df_policy *p);
/* -ENOENT: no such i. */
int df_policy_pin_name_at(const struct df_policy *p, uint32_t i, struct df_dname *ret);

/* Addresses.  NULL: no address rule decides. */

/*
 * Longest prefix with a rule for this port; at the same prefix a rule with ports, then
 * block.  Rules for IPv6 do not cover IPv4 addresses, not even ::/0.  An IPv6 address is
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
/* Adds all of them.  -E2BIG as df_ports_add_range, with none of them added. */
int df_ports_add(struct df_ports *ports, const struct df_policy *p);

/* Rules. */

/* It came out of a block-list or allow-list, and is not written in the policy itself. */
bool df_policy_rule_is_listed(const struct df_policy *p, const struct df_policy_rule *r);
/*
 * It is an allow rule that a block-list has as an exception from itself: the list does not mean
 * this name.  So it must not open anything that the default, or the rule that decides without the
 * list, would refuse.
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

/*
 * The bytes of a compiled policy.  All numbers are in the byte order of the host, which the
 * magic shows.
 *
 *   header
 *   slots      u32[n_slots + 1]: slot i's entries are the octets from slots[i] to
 *              slots[i + 1], offsets from the start of the table
 *   entries    one for each name and each of its ancestors but the root, packed, in
 *              the order of their slots; then zeros up to a multiple of 4
 *   rules      struct df_policy_rule[n_rules], in runs: those of a name or a network,
 *              the one to try first in front, the last one with DF_POLICY_RULE_LAST.
 *              Names and networks with the same rules share a run
 *   nets       struct df_policy_net[n_nets], sorted by address, shorter prefixes first
 *   ranges     struct df_policy_range[n_ranges]
 *   resolvers  u8[n_resolvers][16]
 *   pins       names as on the wire, one behind the other
 *   strings    NUL-terminated; the first is the empty one, so offset 0 means none
 *
 * Sections follow each other without gaps.  A slot that is a run of entries, in
 * place of open addressing, needs no free slots (8 octets a name less) and lets
 * df_policy_open check all references in one pass without memory of its own.
 *
 * An entry holds one label and the offset of its parent's entry, so a name is
 * compared label by label on the way down from the root, and ancestors are shared.
 */

/*
 * Entries of one slot.  The compiler tries seeds until none has more, so that
 * no choice of listed names makes lookups slow; at two entries a slot on average
 * the first seed does (Poisson: P(> 24) is 10^-19 a slot).
 */
#define DF_POLICY_CHAIN_MAX 24
#define DF_POLICY_SLOT_LOAD 2 /* entries of a slot on average: a slot costs 4 octets */

#define DF_POLICY_NET_IPV4_LEN 96u /* ::ffff:0:0/96 holds IPv4 */

struct df_policy_header {
	uint32_t magic, version, size, seed;
	uint8_t mode, default_action, refuse_dns;
	uint8_t has_allow;     /* any allow rule: something below the root is allowed */
	uint8_t enforce_share; /* 0 to 100; audit for the others */
	uint8_t raw_ip, pin_blocked, shared_address, is_nested_netns_allowed;
	uint8_t rule_octets; /* of an entry's rule: 2 where they suffice, else 4 */
	uint16_t refuse_errno;
	uint32_t leaks; /* bits 1 << finding: refuse */
	uint32_t keep_learned_s;
	uint32_t classes; /* bits 1 << class: classes of ports that hold one */
	uint32_t name;    /* offset in strings */
	uint32_t n_slots, slots;
	uint32_t entries, entries_size;
	uint32_t rules, n_rules;
	uint32_t nets, n_nets;
	uint32_t ranges, n_ranges;
	uint32_t resolvers, n_resolvers;
	uint32_t pins, n_pins;
	uint32_t strings, strings_size;
	/* offsets in strings: owner and hint of `default` and of `raw-ip`; 0: none */
	uint32_t default_owner, default_hint, raw_owner, raw_hint;
};

_Static_assert(sizeof(struct df_policy_header) == 124, "part of the table's format");

/* Behind it: the number of its first rule, plus 1, in rule_octets; the label. */
struct df_policy_entry {
	uint32_t parent;   /* offset of the parent's entry; 0: the root */
	uint8_t label_len; /* and DF_POLICY_ENTRY_… */
} __attribute__((packed));

_Static_assert(sizeof(struct df_policy_entry) == 5, "part of the table's format");

#define DF_POLICY_ENTRY_ALLOW_BELOW 0x80u /* an allow rule names something below */
#define DF_POLICY_ENTRY_LABEL_LEN 0x3fu   /* RFC 1035 2.3.4: at most 63 */

struct df_policy_net {
	uint8_t addr[16];
	uint8_t prefix_len;
	uint8_t pad[3];
	uint32_t rule;   /* number of its first rule, plus 1; 0: none */
	uint32_t parent; /* index, plus 1, of the longest shorter prefix that holds it; 0: none */
};

_Static_assert(sizeof(struct df_policy_net) == 28, "part of the table's format");
_Static_assert(sizeof(struct df_policy_range) == 6, "part of the table's format");

#define DF_POLICY_RULE_LAST 0x01u      /* of its run */
#define DF_POLICY_RULE_LISTED 0x02u    /* from a list */
#define DF_POLICY_RULE_EXCEPTION 0x04u /* of that list: not to be blocked */
#define DF_POLICY_RULE_IMPLIED 0x08u   /* no statement of the policy's, but encrypted-dns */

static inline uint64_t df_policy_hash_root(uint32_t seed)
{
	return DF_HASH_START ^ (seed * UINT64_C(0x9e3779b97f4a7c15));
}

/* Hash of a name from that of its parent: FNV-1a over the label with its length octet. */
static inline uint64_t df_policy_hash(uint64_t parent, const uint8_t *label)
{
	return df_hash_bytes(parent, label, label[0] + 1u);
}

static inline uint32_t df_policy_slot(uint64_t hash, uint32_t n_slots)
{
	/* Scaled, not masked: any number of slots will do. */
	return (uint32_t)(((df_hash_mix(hash) >> 32) * n_slots) >> 32);
}

/* Position of a rule in its run: EXACT, BELOW, TREE; with ports first; block first. */
static inline unsigned df_policy_rank(uint8_t scope, bool has_ports, uint8_t action)
{
	unsigned scope_rank = scope == DF_POLICY_NET ? 0 : 3u - scope;

	return scope_rank * 4 + (has_ports ? 0 : 2) + (2u - action);
}

/* The first bits of a and b are equal. */
static inline bool df_policy_has_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned octets = bits / 8, rest = bits % 8;

	return memcmp(a, b, octets) == 0 &&
	       (rest == 0 || (uint8_t)(a[octets] ^ b[octets]) >> (8 - rest) == 0);
}

/* df_policy_open has seen that base is aligned, and that all of these lie in the table. */
static inline const struct df_policy_header *df_policy_header(const struct df_policy *p)
{
	return (const struct df_policy_header *)(const void *)p->base;
}

static inline const uint32_t *df_policy_slots(const struct df_policy *p)
{
	return (const uint32_t *)(const void *)(p->base + df_policy_header(p)->slots);
}

static inline const struct df_policy_rule *df_policy_rules(const struct df_policy *p)
{
	return (const struct df_policy_rule *)(const void *)(p->base + df_policy_header(p)->rules);
}

static inline const struct df_policy_net *df_policy_nets(const struct df_policy *p)
{
	return (const struct df_policy_net *)(const void *)(p->base + df_policy_header(p)->nets);
}

static inline const struct df_policy_range *df_policy_ranges(const struct df_policy *p)
{
	return (const struct df_policy_range *)(const void *)(p->base +
							      df_policy_header(p)->ranges);
}

static inline const char *df_policy_string(const struct df_policy *p, uint32_t offset)
{
	return (const char *)p->base + df_policy_header(p)->strings + offset;
}

/* Of a packet; port counts for TCP and UDP only. */
bool df_policy_rule_has_port(const struct df_policy_rule *r, uint8_t proto, uint16_t port);

/* An entry, read out. */
struct df_policy_found_entry {
	uint32_t parent, rule, size; /* rule: its number plus 1, 0: none; size: of the entry */
	uint8_t label_len, flags;
	const uint8_t *label; /* without its length */
};

static inline uint32_t df_policy_entry_head(const struct df_policy *p)
{
	return (uint32_t)sizeof(struct df_policy_entry) + df_policy_header(p)->rule_octets;
}

/* The head must lie in the table; the label is not looked at. */
static inline void df_policy_read_entry(const struct df_policy *p, uint32_t at,
					struct df_policy_found_entry *ret)
{
	const uint8_t *rule = p->base + at + sizeof(struct df_policy_entry);
	struct df_policy_entry e;
	uint16_t rule16;

	memcpy(&e, p->base + at, sizeof(e));
	if (df_policy_header(p)->rule_octets == sizeof(rule16)) {
		memcpy(&rule16, rule, sizeof(rule16));
		ret->rule = rule16;
	} else {
		memcpy(&ret->rule, rule, sizeof(ret->rule));
	}
	ret->parent = e.parent;
	ret->label_len = e.label_len & DF_POLICY_ENTRY_LABEL_LEN;
	ret->flags = e.label_len & (uint8_t)~DF_POLICY_ENTRY_LABEL_LEN;
	ret->size = df_policy_entry_head(p) + ret->label_len;
	ret->label = p->base + at + df_policy_entry_head(p);
}

/* The order of the nets. */
static inline bool df_policy_is_net_before(const struct df_policy_net *net, const uint8_t *addr,
					   unsigned prefix_len)
{
	int d = memcmp(net->addr, addr, sizeof(net->addr));

	return d < 0 || (d == 0 && net->prefix_len < prefix_len);
}

/* True if all of the other net lies in this one. */
static inline bool df_policy_holds(const struct df_policy_net *net, const uint8_t *addr,
				   unsigned prefix_len)
{
	return net->prefix_len <= prefix_len &&
	       df_policy_has_prefix(net->addr, addr, net->prefix_len);
}

#endif
