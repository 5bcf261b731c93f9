/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_format: the bytes of a compiled policy, for policy and policy_build only.
 * All numbers in the byte order of the host, which the magic shows.
 *
 *   header
 *   slots    u32[n_slots + 1]: slot i's entries are the octets from slots[i] to
 *            slots[i + 1], offsets from the start of the table
 *   entries  one for each name and each of its ancestors but the root, packed, in
 *            the order of their slots; then zeros up to a multiple of 4
 *   rules    struct df_policy_rule[n_rules]; those of one name in one run, the
 *            one to try first in front
 *   strings  NUL-terminated; the first is the empty one, so offset 0 means none
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

/*
 * Entries of one slot.  The compiler tries seeds until none has more, so that
 * no choice of listed names makes lookups slow; at one entry a slot on average
 * the first seed does (Poisson: P(> 16) is 10^-15 a slot).
 */
#define DF_POLICY_CHAIN_MAX 16

#define DF_POLICY_RULES_PER_NAME 6 /* three scopes, two actions */

struct df_policy_header {
	uint32_t magic, version, size, seed;
	uint8_t mode, default_action, refuse_dns;
	uint8_t has_allow;     /* any allow rule: something below the root is allowed */
	uint8_t enforce_share; /* 0 to 100; audit for the others */
	uint8_t pad[3];
	uint32_t name;    /* offset in strings */
	uint32_t n_slots; /* power of two */
	uint32_t slots, entries, entries_size, rules, n_rules, strings, strings_size;
};

_Static_assert(sizeof(struct df_policy_header) == 60, "part of the table's format");

struct df_policy_entry {
	uint32_t parent; /* offset of the parent's entry; 0: the root */
	uint32_t rule;   /* number of its first rule */
	uint8_t n_rules;
	uint8_t label_len; /* and DF_POLICY_ENTRY_ALLOW_BELOW; the label follows */
} __attribute__((packed));

_Static_assert(sizeof(struct df_policy_entry) == 10, "part of the table's format");

#define DF_POLICY_ENTRY_ALLOW_BELOW 0x80u /* an allow rule names something below */
#define DF_POLICY_ENTRY_LABEL_LEN 0x3fu   /* RFC 1035 2.3.4: at most 63 */

static inline uint64_t df_policy_hash_root(uint32_t seed)
{
	return 14695981039346656037u ^ (seed * UINT64_C(0x9e3779b97f4a7c15));
}

/* Hash of a name from that of its parent: FNV-1a over the label with its length octet. */
static inline uint64_t df_policy_hash(uint64_t parent, const uint8_t *label)
{
	for (unsigned i = 0; i <= label[0]; i++)
		parent = (parent ^ label[i]) * UINT64_C(1099511628211);
	return parent;
}

static inline uint32_t df_policy_slot(uint64_t hash, uint32_t n_slots)
{
	/* Upper bits of FNV are the well mixed ones. */
	return (uint32_t)((hash ^ (hash >> 32)) & (n_slots - 1));
}

/* Position of a rule in the run of its name: EXACT, BELOW, TREE; block first. */
static inline unsigned df_policy_rank(uint8_t scope, uint8_t action)
{
	return (3u - scope) * 2 + (2u - action);
}

#endif
