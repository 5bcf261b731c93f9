/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_build: the tree of names. */
#include <errno.h>
#include <string.h>

#include "lib/array.h"
#include "lib/policy_builder.h"

#define ROOT 0u         /* the node of the root, parent of all */
#define INDEX_FIRST 64u /* slots of the first index over nodes */

/* Where the child is, or would be, in the index. */
static uint32_t *find_index(const struct df_builder *b, uint32_t parent, uint64_t hash,
			    const uint8_t *label)
{
	size_t mask = b->n_index - 1;

	for (size_t i = (hash ^ (hash >> 32)) & mask;; i = (i + 1) & mask) {
		const struct df_build_node *n = &b->nodes[b->index[i]];

		if (b->index[i] == ROOT ||
		    (n->parent == parent && n->hash == hash &&
		     memcmp(df_build_label(b, n), label, label[0] + 1u) == 0))
			return &b->index[i];
	}
}

static int grow_index(struct df_builder *b)
{
	size_t n = b->n_index ? b->n_index * 2 : INDEX_FIRST;
	uint32_t *index;

	if (b->n_nodes < b->n_index / 2)
		return 0;
	index = calloc(n, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(b->index);
	b->index = index;
	b->n_index = n;
	for (uint32_t i = 1; i < b->n_nodes; i++) {
		const struct df_build_node *node = &b->nodes[i];

		*find_index(b, node->parent, node->hash, df_build_label(b, node)) = i;
	}
	return 0;
}

/* Index of the child of parent with the label at offset label; made if need be. */
static int get_child(struct df_builder *b, uint32_t parent, uint32_t label, uint32_t *ret)
{
	const uint8_t *text = b->src->names + label;
	uint64_t hash = df_policy_hash(b->nodes[parent].hash, text);
	uint32_t *at;

	if (grow_index(b) < 0 ||
	    df_array_reserve(&b->nodes, &b->nodes_cap, b->n_nodes + 1, sizeof(*b->nodes)) < 0)
		return -ENOMEM;
	at = find_index(b, parent, hash, text);
	if (*at == ROOT) {
		*at = (uint32_t)b->n_nodes;
		b->nodes[b->n_nodes++] = (struct df_build_node){
			.hash = hash,
			.parent = parent,
			.label = label,
			.items = DF_BUILD_NONE,
		};
	}
	*ret = *at;
	return 0;
}

/* The node of the wire name at this offset, made with all above it. */
static int get_node(struct df_builder *b, uint32_t name, uint32_t *ret)
{
	uint32_t labels[DF_DNAME_LABELS_MAX], at = ROOT;
	unsigned n = 0;

	for (uint32_t label = name; b->src->names[label]; label += 1u + b->src->names[label])
		labels[n++] = label;
	while (n-- > 0) {
		int r = get_child(b, at, labels[n], &at);

		if (r < 0)
			return r;
	}
	*ret = at;
	return 0;
}

static int add_name(struct df_builder *b, uint32_t item)
{
	const struct df_policy_source_name *name = &b->src->named[item];
	uint32_t at;
	int r = get_node(b, name->name, &at);

	if (r < 0)
		return r;
	df_build_add_item(b, &b->nodes[at].items, item);
	if (b->src->rules[name->rule].action != DF_POLICY_ALLOW)
		return 0;
	while (at != ROOT) {
		at = b->nodes[at].parent;
		if (b->nodes[at].has_allow_below)
			break; /* then all above have it too */
		b->nodes[at].has_allow_below = true;
	}
	return 0;
}

int df_build_names(struct df_builder *b)
{
	if (df_array_reserve(&b->nodes, &b->nodes_cap, INDEX_FIRST, sizeof(*b->nodes)) < 0)
		return -ENOMEM;
	b->nodes[b->n_nodes++] = (struct df_build_node){
		.hash = df_policy_hash_root(0),
		.items = DF_BUILD_NONE,
	};
	for (uint32_t i = 0; i < b->src->n_named; i++) {
		int r = add_name(b, i);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Some port of the name itself is refused by a rule of its own. */
static bool is_pinned(const struct df_builder *b, const struct df_build_node *n)
{
	for (uint32_t item = n->items; item != DF_BUILD_NONE; item = b->next[item]) {
		const struct df_policy_source_rule *rule =
			&b->src->rules[df_build_rule_of(b, item)];

		if (rule->scope == DF_POLICY_BELOW)
			continue;
		if (rule->action == DF_POLICY_BLOCK)
			return true;
		if (rule->ports.lo == 0)
			return false;
	}
	return false;
}

static void add_pin(struct df_builder *b, const uint8_t *name, size_t len)
{
	for (size_t at = 0; at < b->pins_size; at += strlen((char *)b->pins + at) + 1) {
		/* Labels from text hold no NUL, so a wire name is a string. */
		if (strcmp((char *)b->pins + at, (const char *)name) == 0)
			return;
	}
	if (b->n_pins == DF_POLICY_PINS_MAX) {
		b->has_more_pins = true;
		return;
	}
	memcpy(b->pins + b->pins_size, name, len);
	b->pins_size += len;
	b->n_pins++;
}

void df_build_pins(struct df_builder *b)
{
	for (uint32_t i = 0; i < b->src->n_named && !b->has_more_pins; i++) {
		const struct df_policy_source_rule *rule = &b->src->rules[b->src->named[i].rule];
		const uint8_t *name = b->src->names + b->src->named[i].name;
		uint32_t at;

		if (rule->action != DF_POLICY_BLOCK || rule->scope == DF_POLICY_BELOW)
			continue;
		/* The node is there: nothing is made, so nothing fails. */
		if (get_node(b, b->src->named[i].name, &at) == 0 && is_pinned(b, &b->nodes[at]))
			add_pin(b, name, strlen((const char *)name) + 1);
	}
}

/* Parents stand before their children. */
void df_build_rehash(struct df_builder *b, uint32_t seed)
{
	b->nodes[ROOT].hash = df_policy_hash_root(seed);
	for (size_t i = 1; i < b->n_nodes; i++) {
		struct df_build_node *n = &b->nodes[i];

		n->hash = df_policy_hash(b->nodes[n->parent].hash, df_build_label(b, n));
	}
}
