/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_format: the bytes of a compiled policy, for policy*.c and policy_build*.c only.
 * All numbers in the byte order of the host, which the magic shows.
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
#ifndef DF_POLICY_FORMAT_H
#define DF_POLICY_FORMAT_H

#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/policy/table.h"

/*
 * Entries of one slot.  The compiler tries seeds until none has more, so that
 * no choice of listed names makes lookups slow; at two entries a slot on average
 * the first seed does (Poisson: P(> 24) is 10^-19 a slot).
 */
#define DF_POLICY_CHAIN_MAX 24
#define DF_POLICY_SLOT_LOAD 2 /* entries of a slot on average: a slot costs 4 octets */

#define DF_POLICY_NET_IPV4_LEN 96u /* ::ffff:0:0/96 holds IPv4 */
/*
 * Classes of ports that one policy may tell apart, with the three that always are.  The
 * kernel side has two more, so that own and base policy need not be quite the same.
 */
#define DF_POLICY_CLASSES_MAX 30u

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
	/* offsets in strings of what belongs to `default` and to `raw-ip`; 0: none */
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
#define DF_POLICY_RULE_EXCEPTION 0x04u /* of that list: it says not to block */
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
