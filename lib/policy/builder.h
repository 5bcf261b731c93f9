/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_builder: what the files of policy_build share.
 *
 * An item is a name or a network of the source with the rule that it is listed under.
 * Items of the same name (or network) form a list, in the order in which lookups try
 * their rules; lists of the same rules become one run of rules in the table.
 */
#ifndef DF_POLICY_BUILDER_H
#define DF_POLICY_BUILDER_H

#include "lib/base/hash.h"
#include "lib/policy/parse.h"
#include "lib/policy/table_format.h"

#define DF_BUILD_NONE UINT32_MAX /* no item */
/*
 * How far ahead is prefetched what lies at a place that a hash says: with a million names,
 * each step would miss the cache and wait.
 */
#define DF_BUILD_AHEAD 16

/* A name, or an ancestor of one, as the label that it adds to its parent. */
struct df_build_node {
	uint64_t hash;
	uint32_t parent; /* index; the root (0) is its own */
	uint32_t label;  /* offset in the source's names */
	uint32_t items;  /* its list; later the number of its first rule, plus 1 */
	uint32_t offset; /* of its entry in the table */
	uint8_t label_len;
	bool has_allow_below;
};

/* A name with its labels, from the last on, and the hashes of the names that end there. */
struct df_build_path {
	unsigned n;
	uint32_t labels[DF_DNAME_LABELS_MAX]; /* offsets in the source's names */
	uint64_t hashes[DF_DNAME_LABELS_MAX];
};

struct df_build_runs {
	uint32_t *rules; /* of the source, in runs, by the rule's number in the table */
	size_t n_rules, rules_cap;
	struct df_hash_index index; /* over runs: number of the first rule, plus 1 */
	uint8_t *lasts;             /* by number: whether it ends its run */
	size_t lasts_cap;
};

struct df_builder {
	struct df_policy_source *src;
	struct df_messages *messages;
	struct df_build_node *nodes;
	size_t n_nodes, nodes_cap;
	struct df_hash_index index; /* over nodes but the root */
	uint32_t *next;             /* of each item, names first: the next one of its list */
	struct df_build_runs runs;
	struct df_policy_net *nets; /* as in the table */
	size_t n_nets;
	uint8_t pins[DF_POLICY_PINS_MAX * DF_DNAME_MAX];
	size_t pins_size;
	uint32_t n_pins;
	bool has_more_pins;     /* than there is room for */
	bool has_more_own_pins; /* of rules in the policy's own file */
};

/* The rule of an item. */
uint32_t df_build_rule_of(const struct df_builder *b, uint32_t item);

/* Puts an item into a list, where the rank of its rule says.  Of doubles the first stays. */
void df_build_add_item(struct df_builder *b, uint32_t *list, uint32_t item);

/* Takes the blocks of this list (its number) out again that cover no more than scope does. */
void df_build_drop_blocks(struct df_builder *b, uint32_t *list, uint32_t number, uint8_t scope);

/* The run with the rules of the list: the number of its first rule, plus 1.  -ENOMEM. */
int df_build_add_run(struct df_builder *b, uint32_t list, uint32_t *ret);
void df_build_runs_done(struct df_build_runs *runs);

/* nodes, with their lists and has_allow_below.  -ENOMEM. */
int df_build_names(struct df_builder *b);
/*
 * The nodes there are of that name, from the top: ret[0] is that of the last label.  Their
 * number; *ret_whole: the last is the name's.
 */
unsigned df_build_find_nodes(const struct df_builder *b, uint32_t name,
			     uint32_t ret[static DF_DNAME_LABELS_MAX], bool *ret_whole);
/* Puts the item into the list of the node of its name, made with all above it.  -ENOMEM. */
int df_build_add_name(struct df_builder *b, uint32_t item, uint32_t *ret_node);
/* policy_build_exceptions.c: those of lists, after all other names.  -ENOMEM. */
int df_build_exceptions(struct df_builder *b);
/*
 * pins: the first names that block rules refuse, those of the policy's own file in front.
 * Before the lists become runs.
 */
void df_build_pins(struct df_builder *b);
/* Changes the hashes of all nodes.  The index is of no use after this. */
void df_build_rehash(struct df_builder *b, uint32_t seed);

static inline const uint8_t *df_build_label(const struct df_builder *b,
					    const struct df_build_node *n)
{
	return b->src->names + n->label;
}

/* nets, with their runs.  -ENOMEM. */
int df_build_nets(struct df_builder *b);

#endif
