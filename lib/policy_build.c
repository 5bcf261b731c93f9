/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy_build.h"

#include <errno.h>
#include <string.h>

#include "lib/array.h"
#include "lib/policy_format.h"
#include "lib/util.h"

#define ROOT 0u         /* the node of the root, parent of all */
#define NONE UINT32_MAX /* no rule */
#define INDEX_FIRST 64u /* slots of the first index over nodes */
#define SEEDS_MAX 64u   /* tried before giving up; one try is the rule, see policy_format.h */

/* A name, or an ancestor of one, as the label that it adds to its parent. */
struct node {
	uint64_t hash;
	uint32_t parent; /* index */
	uint32_t label;  /* offset in the source's names */
	uint32_t rules;  /* list of source rules, by rank; NONE: empty */
	uint32_t offset; /* of its entry in the table */
	uint8_t n_rules;
	bool has_allow_below;
};

struct builder {
	struct df_policy_source *src;
	struct df_messages *messages;
	struct node *nodes;
	size_t n_nodes, nodes_cap;
	uint32_t *index; /* open addressing over nodes; 0 (the root): free */
	size_t n_index;
	uint32_t *next; /* of each source rule: the next one of its node */
	size_t n_kept;  /* rules that are not doubles */
};

static void builder_done(struct builder *b)
{
	free(b->nodes);
	free(b->index);
	free(b->next);
}

static const uint8_t *label_of(const struct builder *b, const struct node *n)
{
	return b->src->names + n->label;
}

static size_t entry_size(const struct builder *b, const struct node *n)
{
	return sizeof(struct df_policy_entry) + label_of(b, n)[0];
}

/* Where the child is, or would be, in the index. */
static uint32_t *find_index(const struct builder *b, uint32_t parent, uint64_t hash,
			    const uint8_t *label)
{
	size_t mask = b->n_index - 1;

	for (size_t i = (hash ^ (hash >> 32)) & mask;; i = (i + 1) & mask) {
		const struct node *n = &b->nodes[b->index[i]];

		if (b->index[i] == ROOT || (n->parent == parent && n->hash == hash &&
					    memcmp(label_of(b, n), label, label[0] + 1u) == 0))
			return &b->index[i];
	}
}

static int grow_index(struct builder *b)
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
		const struct node *node = &b->nodes[i];

		*find_index(b, node->parent, node->hash, label_of(b, node)) = i;
	}
	return 0;
}

/* Index of the child of parent with the label at offset label; made if need be. */
static int get_child(struct builder *b, uint32_t parent, uint32_t label, uint32_t *ret)
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
		b->nodes[b->n_nodes++] = (struct node){
			.hash = hash,
			.parent = parent,
			.label = label,
			.rules = NONE,
		};
	}
	*ret = *at;
	return 0;
}

static unsigned rank_of(const struct df_policy_source_rule *rule)
{
	return df_policy_rank(rule->scope, rule->action);
}

/* Puts the rule into the list of its node, where rank says.  Of doubles the first stays. */
static void add_rule(struct builder *b, struct node *n, uint32_t i)
{
	const struct df_policy_source_rule *rule = &b->src->rules[i], *contradicted = NULL;
	uint32_t *link = &n->rules;

	for (uint32_t at = n->rules; at != NONE; at = b->next[at]) {
		const struct df_policy_source_rule *other = &b->src->rules[at];

		if (other->scope != rule->scope)
			continue;
		if (other->action == rule->action) {
			df_messages_warning(b->messages, rule->line, rule->column,
					    "the same rule as in line %u; remove one", other->line);
			return;
		}
		contradicted = other;
	}
	if (contradicted)
		df_messages_warning(b->messages, rule->line, rule->column,
				    "contradicts line %u, and block wins; remove one",
				    contradicted->line);
	while (*link != NONE && rank_of(&b->src->rules[*link]) < rank_of(rule))
		link = &b->next[*link];
	b->next[i] = *link;
	*link = i;
	n->n_rules++;
	b->n_kept++;
}

static int add_name(struct builder *b, uint32_t i)
{
	const struct df_policy_source_rule *rule = &b->src->rules[i];
	uint32_t labels[DF_DNAME_LABELS_MAX], at = ROOT;
	unsigned n = 0;

	for (uint32_t label = rule->name; b->src->names[label]; label += 1u + b->src->names[label])
		labels[n++] = label;
	while (n-- > 0) {
		int r = get_child(b, at, labels[n], &at);

		if (r < 0)
			return r;
	}
	add_rule(b, &b->nodes[at], i);
	if (rule->action != DF_POLICY_ALLOW)
		return 0;
	while (at != ROOT) {
		at = b->nodes[at].parent;
		if (b->nodes[at].has_allow_below)
			break; /* then all above have it too */
		b->nodes[at].has_allow_below = true;
	}
	return 0;
}

static int add_names(struct builder *b)
{
	size_t n_rules = b->src->n_rules;

	b->next = calloc(n_rules ? n_rules : 1, sizeof(*b->next));
	if (!b->next ||
	    df_array_reserve(&b->nodes, &b->nodes_cap, INDEX_FIRST, sizeof(*b->nodes)) < 0)
		return -ENOMEM;
	b->nodes[b->n_nodes++] = (struct node){.hash = df_policy_hash_root(0), .rules = NONE};
	for (uint32_t i = 0; i < n_rules; i++) {
		int r = add_name(b, i);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Parents stand before their children.  The index is of no use after this. */
static void rehash(struct builder *b, uint32_t seed)
{
	b->nodes[ROOT].hash = df_policy_hash_root(seed);
	for (size_t i = 1; i < b->n_nodes; i++) {
		struct node *n = &b->nodes[i];

		n->hash = df_policy_hash(b->nodes[n->parent].hash, label_of(b, n));
	}
}

/*
 * Counts the octets of each slot's entries into sizes (n_slots, zeroed here).
 * False if a slot would have too many entries.
 */
static bool measure_slots(const struct builder *b, uint32_t n_slots, uint32_t *sizes,
			  uint8_t *counts)
{
	memset(sizes, 0, n_slots * sizeof(*sizes));
	memset(counts, 0, n_slots);
	for (size_t i = 1; i < b->n_nodes; i++) {
		uint32_t slot = df_policy_slot(b->nodes[i].hash, n_slots);

		if (++counts[slot] > DF_POLICY_CHAIN_MAX)
			return false;
		sizes[slot] += (uint32_t)entry_size(b, &b->nodes[i]);
	}
	return true;
}

/* Hashes until no slot is too long; then sizes holds what measure_slots says. */
static int find_seed(struct builder *b, uint32_t n_slots, uint32_t *sizes, uint32_t *ret_seed)
{
	_cleanup_free_ uint8_t *counts = malloc(n_slots);

	if (!counts)
		return -ENOMEM;
	for (uint32_t seed = 0; seed < SEEDS_MAX; seed++) {
		if (seed > 0) /* nodes come hashed with 0 */
			rehash(b, seed);
		if (measure_slots(b, n_slots, sizes, counts)) {
			*ret_seed = seed;
			return 0;
		}
	}
	return -E2BIG;
}

/* All but seed, size and the settings; -E2BIG if the table would be too big. */
static int measure(const struct builder *b, struct df_policy_header *ret)
{
	struct df_policy_header h = {.magic = DF_POLICY_MAGIC, .version = DF_POLICY_VERSION};
	uint64_t n_slots = 1, entries_size = 0, at;

	while (n_slots < b->n_nodes - 1)
		n_slots *= 2;
	for (size_t i = 1; i < b->n_nodes; i++)
		entries_size += entry_size(b, &b->nodes[i]);
	at = sizeof(h) + (n_slots + 1) * sizeof(uint32_t) + entries_size + 3 +
	     b->n_kept * sizeof(struct df_policy_rule) + b->src->strings.len;
	if (at > DF_POLICY_SIZE_MAX)
		return -E2BIG;
	h.n_slots = (uint32_t)n_slots;
	h.entries_size = (uint32_t)entries_size;
	h.n_rules = (uint32_t)b->n_kept;
	h.strings_size = (uint32_t)b->src->strings.len;
	h.slots = sizeof(h);
	h.entries = h.slots + (h.n_slots + 1) * (uint32_t)sizeof(uint32_t);
	h.rules = (h.entries + h.entries_size + 3u) & ~3u;
	h.strings = h.rules + h.n_rules * (uint32_t)sizeof(struct df_policy_rule);
	h.size = h.strings + h.strings_size;
	*ret = h;
	return 0;
}

/* Turns sizes of slots into offsets, and gives each node its own. */
static void place_entries(struct builder *b, const struct df_policy_header *h, uint32_t *slots)
{
	uint32_t at = h->entries;

	for (uint32_t i = 0; i < h->n_slots; i++) {
		uint32_t size = slots[i];

		slots[i] = at;
		at += size;
	}
	slots[h->n_slots] = at;
	for (size_t i = 1; i < b->n_nodes; i++) {
		struct node *n = &b->nodes[i];
		uint32_t *slot = &slots[df_policy_slot(n->hash, h->n_slots)];

		n->offset = *slot;
		*slot += (uint32_t)entry_size(b, n);
	}
	/* Each now holds its end, which is the beginning of the next. */
	memmove(slots + 1, slots, h->n_slots * sizeof(*slots));
	slots[0] = h->entries;
}

static void write_entries(const struct builder *b, const struct df_policy_header *h, uint32_t file,
			  uint8_t *table)
{
	struct df_policy_rule *rules = (struct df_policy_rule *)(void *)(table + h->rules);
	uint32_t n_rules = 0;

	for (size_t i = 1; i < b->n_nodes; i++) {
		const struct node *n = &b->nodes[i];
		const uint8_t *label = label_of(b, n);
		struct df_policy_entry e = {
			.parent = b->nodes[n->parent].offset,
			.rule = n->n_rules ? n_rules : 0,
			.n_rules = n->n_rules,
			.label_len = label[0],
		};

		if (n->has_allow_below)
			e.label_len |= DF_POLICY_ENTRY_ALLOW_BELOW;
		memcpy(table + n->offset, &e, sizeof(e));
		memcpy(table + n->offset + sizeof(e), label + 1, label[0]);
		for (uint32_t at = n->rules; at != NONE; at = b->next[at]) {
			const struct df_policy_source_rule *from = &b->src->rules[at];

			rules[n_rules++] = (struct df_policy_rule){
				.action = from->action,
				.scope = from->scope,
				.line = from->line,
				.file = file,
				.text = from->text,
				.owner = from->owner,
				.hint = from->hint,
			};
		}
	}
}

/* The sections in the order of the table.  name and file: offsets in strings. */
static int write_table(struct builder *b, uint32_t name, uint32_t file, void **ret,
		       size_t *ret_size)
{
	_cleanup_free_ uint8_t *table = NULL;
	struct df_policy_header h;
	uint32_t *slots;
	int r = measure(b, &h);

	if (r < 0)
		return r;
	table = calloc(1, h.size);
	if (!table)
		return -ENOMEM;
	slots = (uint32_t *)(void *)(table + h.slots);
	r = find_seed(b, h.n_slots, slots, &h.seed);
	if (r < 0) {
		/* cppcheck-suppress memleak ; _cleanup_free_ */
		return r;
	}
	h.mode = (uint8_t)b->src->mode;
	h.default_action = (uint8_t)b->src->default_action;
	h.refuse_dns = (uint8_t)b->src->refuse_dns;
	h.enforce_share = (uint8_t)b->src->enforce_share;
	h.has_allow = b->nodes[ROOT].has_allow_below;
	h.name = name;
	memcpy(table, &h, sizeof(h));
	place_entries(b, &h, slots);
	write_entries(b, &h, file, table);
	memcpy(table + h.strings, b->src->strings.data, h.strings_size);
	*ret = TAKE_PTR(table);
	*ret_size = h.size;
	return 0;
}

int df_policy_build(struct df_policy_source *src, const char *name, const char *file,
		    struct df_messages *messages, void **ret, size_t *ret_size)
{
	__attribute__((cleanup(builder_done))) struct builder b = {
		.src = src,
		.messages = messages,
	};
	uint32_t name_at, file_at;
	int r = add_names(&b);

	if (r < 0)
		return r;
	if (messages->n_errors) {
		*ret = NULL;
		return 0;
	}
	r = df_strpool_add(&src->strings, name, strlen(name), &name_at);
	if (r < 0)
		return r;
	r = df_strpool_add(&src->strings, file, strlen(file), &file_at);
	if (r < 0)
		return r;
	return write_table(&b, name_at, file_at, ret, ret_size);
}
