/* SPDX-License-Identifier: GPL-2.0-or-later */
/* build_names: the tree of names, with the exceptions of lists, and the names to pin. */
#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/internal.h"

#define ROOT 0u /* the node of the root, parent of all */

/* A name with its labels, from the last on, and the hashes of the names that end there. */
struct path {
	unsigned n;
	uint32_t labels[DF_DNAME_LABELS_MAX]; /* offsets in the source's names */
	uint64_t hashes[DF_DNAME_LABELS_MAX];
};

/* The slot of the child, or the free one where it belongs. */
static struct df_hash_slot *find_index(const struct df_builder *b, uint32_t parent, uint64_t hash,
				       const uint8_t *label)
{
	struct df_hash_slot *slot = df_hash_first(&b->index, hash);

	for (; slot->value != ROOT; slot = df_hash_next(&b->index, slot, hash)) {
		const struct df_build_node *n = &b->nodes[slot->value];

		if (n->parent == parent && n->hash == hash && n->label_len == label[0] &&
		    memcmp(df_build_label(b, n), label, label[0] + 1u) == 0)
			break;
	}
	return slot;
}

static void read_path(const struct df_builder *b, uint32_t name, struct path *ret)
{
	const uint8_t *names = b->src->names;
	uint64_t hash = b->nodes[ROOT].hash;
	unsigned n = 0;

	for (uint32_t label = name; names[label]; label += 1u + names[label])
		ret->labels[n++] = label;
	ret->n = n;
	for (unsigned i = 0; i < n / 2; i++) {
		uint32_t swapped = ret->labels[i];

		ret->labels[i] = ret->labels[n - 1 - i];
		ret->labels[n - 1 - i] = swapped;
	}
	for (unsigned i = 0; i < n; i++)
		ret->hashes[i] = hash = df_policy_hash(hash, names + ret->labels[i]);
}

/*
 * The existing nodes of that name, from the top: ret[0] is that of the last label.  Their
 * number; *ret_whole: the last is the name's.
 */
static unsigned find_nodes(const struct df_builder *b, uint32_t name,
			   uint32_t ret[static DF_DNAME_LABELS_MAX], bool *ret_whole)
{
	struct path path;
	uint32_t at = ROOT;
	unsigned n = 0;

	read_path(b, name, &path);
	while (n < path.n) {
		at = find_index(b, at, path.hashes[n], b->src->names + path.labels[n])->value;
		if (at == ROOT)
			break;
		ret[n++] = at;
	}
	*ret_whole = n == path.n;
	return n;
}

/* The last node of the path, made with all before it. */
static int get_node(struct df_builder *b, const struct path *path, uint32_t *ret)
{
	uint32_t at = ROOT;

	for (unsigned i = 0; i < path->n; i++) {
		const uint8_t *label = b->src->names + path->labels[i];
		uint64_t hash = path->hashes[i];
		struct df_hash_slot *slot;

		if (df_hash_reserve(&b->index, b->n_nodes) < 0 ||
		    df_array_reserve(&b->nodes, &b->nodes_cap, b->n_nodes + 1, sizeof(*b->nodes)) <
			    0)
			return -ENOMEM;
		slot = find_index(b, at, hash, label);
		if (slot->value == ROOT) {
			b->nodes[b->n_nodes] = (struct df_build_node){
				.hash = hash,
				.parent = at,
				.label = path->labels[i],
				.label_len = label[0],
				.items = DF_BUILD_NONE,
			};
			df_hash_put(&b->index, slot, hash, (uint32_t)b->n_nodes++);
		}
		at = slot->value;
	}
	*ret = at;
	return 0;
}

/* Puts the item into the list of the node of its name. */
static int add_name(struct df_builder *b, uint32_t item, const struct path *path,
		    uint32_t *ret_node)
{
	uint32_t at;
	int r = get_node(b, path, &at);

	if (r < 0)
		return r;
	*ret_node = at;
	df_build_add_item(b, &b->nodes[at].items, item);
	if (df_build_rule_of(b, item)->action != DF_POLICY_ALLOW)
		return 0;
	while (at != ROOT) {
		at = b->nodes[at].parent;
		if (b->nodes[at].has_allow_below)
			break; /* then all above have it too */
		b->nodes[at].has_allow_below = true;
	}
	return 0;
}

/* All but the exceptions of lists.  16 names are prepared at a time; see DF_BUILD_AHEAD. */
static int add_names(struct df_builder *b)
{
	const struct df_policy_source *src = b->src;
	struct path paths[DF_BUILD_AHEAD];
	uint32_t node;

	for (size_t i = 0; i < src->n_named + DF_BUILD_AHEAD; i++) {
		struct path *path = &paths[i % DF_BUILD_AHEAD];
		uint32_t item = (uint32_t)(i - DF_BUILD_AHEAD);

		if (i >= DF_BUILD_AHEAD && !df_build_rule_of(b, item)->is_exception &&
		    add_name(b, item, path, &node) < 0)
			return -ENOMEM;
		if (i >= src->n_named)
			continue;
		read_path(b, src->named[i].name, path);
		for (unsigned k = 0; k < path->n; k++)
			__builtin_prefetch(df_hash_home(&b->index, path->hashes[k]), 1);
	}
	return 0;
}

/*
 * Exceptions of block-lists.  An exception says that its list does not mean a name.  It becomes
 * an allow rule only where, without this list, the name would pass: where another rule or the
 * default refuses it, the exception is left out, so that no list opens what it did not close.
 */

enum verdict { NOTHING, REFUSED, ALLOWED };

struct exception {
	const struct df_policy_source_rule *rule;
	bool is_covered; /* by a block of its own list */
};

/*
 * The verdict of one node's rules without the exception's list, for the name itself (EXACT) or
 * for all names below it (BELOW).  is_own: the name's node, and not one above it.
 */
static enum verdict judge_node(const struct df_builder *b, const struct df_build_node *n,
			       struct exception *e, enum df_policy_scope scope, bool is_own)
{
	enum df_policy_scope other =
		is_own && scope == DF_POLICY_EXACT ? DF_POLICY_BELOW : DF_POLICY_EXACT;

	for (uint32_t item = n->items; item != DF_BUILD_NONE; item = b->next[item]) {
		const struct df_policy_source_rule *rule = df_build_rule_of(b, item);

		if (rule->scope == other)
			continue;
		if (rule->list == e->rule->list && rule->action == DF_POLICY_BLOCK) {
			e->is_covered = true;
			if (rule->is_important && !e->rule->is_important)
				return REFUSED;
		} else if (rule->action == DF_POLICY_BLOCK) {
			return REFUSED;
		} else if (!rule->is_exception && rule->ports.lo == 0) {
			return ALLOWED;
		}
	}
	return NOTHING;
}

static bool is_refused(const struct df_builder *b, uint32_t name, struct exception *e,
		       enum df_policy_scope scope)
{
	uint32_t nodes[DF_DNAME_LABELS_MAX];
	bool is_whole;
	unsigned n = find_nodes(b, name, nodes, &is_whole);

	for (unsigned i = n; i-- > 0;) {
		bool is_own = is_whole && i == n - 1;
		enum verdict v = judge_node(b, &b->nodes[nodes[i]], e, scope, is_own);

		if (v != NOTHING)
			return v == REFUSED;
	}
	return b->src->header.default_action == DF_POLICY_BLOCK;
}

/* Takes the blocks of this list (its number) out again that cover no more than scope does. */
static void drop_blocks(struct df_builder *b, uint32_t *list, uint32_t number, uint8_t scope)
{
	for (uint32_t *link = list; *link != DF_BUILD_NONE;) {
		const struct df_policy_source_rule *rule = df_build_rule_of(b, *link);

		if (rule->list == number && rule->action == DF_POLICY_BLOCK &&
		    (rule->scope == scope || scope == DF_POLICY_TREE))
			*link = b->next[*link];
		else
			link = &b->next[*link];
	}
}

static int add_exception(struct df_builder *b, uint32_t item)
{
	struct exception e = {.rule = df_build_rule_of(b, item)};
	uint32_t name = b->src->named[item].name, node;
	struct path path;

	/* All names that it covers must be allowed without its list. */
	if ((e.rule->scope != DF_POLICY_BELOW && is_refused(b, name, &e, DF_POLICY_EXACT)) ||
	    (e.rule->scope != DF_POLICY_EXACT && is_refused(b, name, &e, DF_POLICY_BELOW))) {
		b->src->lists[e.rule->list - 1].n_left_out++;
		return 0;
	}
	if (!e.is_covered)
		return 0;
	read_path(b, name, &path);
	if (add_name(b, item, &path, &node) < 0)
		return -ENOMEM;
	drop_blocks(b, &b->nodes[node].items, e.rule->list, e.rule->scope);
	return 0;
}

int df_build_names(struct df_builder *b)
{
	const struct df_policy_source *src = b->src;
	int r;

	if (df_array_reserve(&b->nodes, &b->nodes_cap, src->n_named + 1, sizeof(*b->nodes)) < 0)
		return -ENOMEM;
	b->nodes[b->n_nodes++] = (struct df_build_node){
		.hash = df_policy_hash_root(0),
		.items = DF_BUILD_NONE,
	};
	/* Nearly every name is a node, and of their ancestors few are not names themselves. */
	if (df_hash_reserve(&b->index, src->n_named + src->n_named / 4) < 0)
		return -ENOMEM;
	r = add_names(b);
	for (uint32_t i = 0; r == 0 && src->n_lists > 0 && i < src->n_named; i++)
		r = df_build_rule_of(b, i)->is_exception ? add_exception(b, i) : 0;
	return r;
}

/* Some port of the name itself is refused by a rule of its own. */
static bool is_pinned(const struct df_builder *b, const struct df_build_node *n)
{
	for (uint32_t item = n->items; item != DF_BUILD_NONE; item = b->next[item]) {
		const struct df_policy_source_rule *rule = df_build_rule_of(b, item);

		if (rule->scope == DF_POLICY_BELOW)
			continue;
		if (rule->action == DF_POLICY_BLOCK)
			return true;
		if (rule->ports.lo == 0)
			return false;
	}
	return false;
}

static void add_pin(struct df_builder *b, const uint8_t *name)
{
	/* Labels from text hold no NUL, so a wire name is a string. */
	size_t len = strlen((const char *)name) + 1;

	for (size_t at = 0; at < b->pins_size; at += strlen((char *)b->pins + at) + 1) {
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

/* own: those of rules in the policy's own file; else those of included files and lists. */
static void add_pins(struct df_builder *b, bool own)
{
	for (uint32_t i = 0; i < b->src->n_named && !b->has_more_pins; i++) {
		const struct df_policy_source_rule *rule = df_build_rule_of(b, i);
		uint32_t nodes[DF_DNAME_LABELS_MAX], name = b->src->named[i].name;
		bool is_whole;
		unsigned n;

		if (rule->action != DF_POLICY_BLOCK || rule->scope == DF_POLICY_BELOW ||
		    rule->is_implied || (rule->place.file == 0 && !rule->list) != own)
			continue;
		n = find_nodes(b, name, nodes, &is_whole);
		if (n > 0 && is_pinned(b, &b->nodes[nodes[n - 1]]))
			add_pin(b, b->src->names + name);
	}
}

void df_build_pins(struct df_builder *b)
{
	add_pins(b, true);
	b->has_more_own_pins = b->has_more_pins;
	add_pins(b, false);
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
