/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/internal.h"

#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

/* policy_build: the tree of names. */
#define ROOT 0u /* the node of the root, parent of all */

/* Where the child is, or would be, in the index. */
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

/* Room for one node more. */
static int reserve_node(struct df_builder *b)
{
	if (df_hash_reserve(&b->index, b->n_nodes) < 0)
		return -ENOMEM;
	return df_array_reserve(&b->nodes, &b->nodes_cap, b->n_nodes + 1, sizeof(*b->nodes));
}

static void read_path(const struct df_builder *b, uint32_t name, struct df_build_path *ret)
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

unsigned df_build_find_nodes(const struct df_builder *b, uint32_t name,
			     uint32_t ret[static DF_DNAME_LABELS_MAX], bool *ret_whole)
{
	struct df_build_path path;
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
static int get_node(struct df_builder *b, const struct df_build_path *path, uint32_t *ret)
{
	uint32_t at = ROOT;

	for (unsigned i = 0; i < path->n; i++) {
		uint64_t hash = path->hashes[i];
		struct df_hash_slot *slot;

		if (reserve_node(b) < 0)
			return -ENOMEM;
		slot = find_index(b, at, hash, b->src->names + path->labels[i]);
		if (slot->value == ROOT) {
			b->nodes[b->n_nodes] = (struct df_build_node){
				.hash = hash,
				.parent = at,
				.label = path->labels[i],
				.label_len = b->src->names[path->labels[i]],
				.items = DF_BUILD_NONE,
			};
			df_hash_put(&b->index, slot, hash, (uint32_t)b->n_nodes++);
		}
		at = slot->value;
	}
	*ret = at;
	return 0;
}

static int add_name(struct df_builder *b, uint32_t item, const struct df_build_path *path,
		    uint32_t *ret_node)
{
	uint32_t at;
	int r = get_node(b, path, &at);

	if (r < 0)
		return r;
	*ret_node = at;
	df_build_add_item(b, &b->nodes[at].items, item);
	if (b->src->rules[b->src->named[item].rule].action != DF_POLICY_ALLOW)
		return 0;
	while (at != ROOT) {
		at = b->nodes[at].parent;
		if (b->nodes[at].has_allow_below)
			break; /* then all above have it too */
		b->nodes[at].has_allow_below = true;
	}
	return 0;
}

int df_build_add_name(struct df_builder *b, uint32_t item, uint32_t *ret_node)
{
	struct df_build_path path;

	read_path(b, b->src->named[item].name, &path);
	return add_name(b, item, &path, ret_node);
}

static int make_root(struct df_builder *b)
{
	if (df_array_reserve(&b->nodes, &b->nodes_cap, b->src->n_named + 1, sizeof(*b->nodes)) < 0)
		return -ENOMEM;
	b->nodes[b->n_nodes++] = (struct df_build_node){
		.hash = df_policy_hash_root(0),
		.items = DF_BUILD_NONE,
	};
	/* Nearly every name is a node, and of their ancestors few are no names. */
	return df_hash_reserve(&b->index, b->src->n_named + b->src->n_named / 4);
}

/* Exceptions are none of these; see policy_build_exceptions.c. */
static int add_names(struct df_builder *b, struct df_build_path paths[static DF_BUILD_AHEAD])
{
	const struct df_policy_source *src = b->src;
	uint32_t node;

	for (size_t i = 0; i < src->n_named + DF_BUILD_AHEAD; i++) {
		struct df_build_path *path = &paths[i % DF_BUILD_AHEAD];
		int r = 0;

		if (i >= DF_BUILD_AHEAD &&
		    !src->rules[src->named[i - DF_BUILD_AHEAD].rule].is_exception)
			r = add_name(b, (uint32_t)(i - DF_BUILD_AHEAD), path, &node);
		if (r < 0)
			return r;
		if (i >= src->n_named)
			continue;
		read_path(b, src->named[i].name, path);
		for (unsigned k = 0; k < path->n; k++)
			__builtin_prefetch(df_hash_home(&b->index, path->hashes[k]), 1);
	}
	return 0;
}

int df_build_names(struct df_builder *b)
{
	_cleanup_free_ struct df_build_path *paths = calloc(DF_BUILD_AHEAD, sizeof(*paths));
	int r = paths ? make_root(b) : -ENOMEM;

	if (r == 0)
		r = add_names(b, paths);
	return r < 0 ? r : df_build_exceptions(b);
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

/* Names of included policies and lists take what room is left. */
static bool is_own(const struct df_policy_source_rule *rule)
{
	return rule->place.file == 0 && !rule->list;
}

static void add_pins(struct df_builder *b, bool own)
{
	for (uint32_t i = 0; i < b->src->n_named && !b->has_more_pins; i++) {
		const struct df_policy_source_rule *rule = &b->src->rules[b->src->named[i].rule];
		const uint8_t *name = b->src->names + b->src->named[i].name;
		uint32_t nodes[DF_DNAME_LABELS_MAX];
		bool is_whole;
		unsigned n;

		if (rule->action != DF_POLICY_BLOCK || rule->scope == DF_POLICY_BELOW ||
		    rule->is_implied || is_own(rule) != own)
			continue;
		n = df_build_find_nodes(b, b->src->named[i].name, nodes, &is_whole);
		if (n > 0 && is_pinned(b, &b->nodes[nodes[n - 1]]))
			add_pin(b, name, strlen((const char *)name) + 1);
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

/*
 * policy_build: exceptions of block-lists.
 *
 * An exception says that its list does not mean a name.  It becomes an allow rule only
 * where, without this list, the name would pass: where another rule or the default
 * refuses it, the exception is left out, so that no list opens what it did not close.
 */
enum verdict { NOTHING, REFUSED, ALLOWED };

struct exception {
	const struct df_policy_source_rule *rule;
	bool is_covered; /* by a block of its own list */
};

/*
 * What the rules of one node say without the exception's list, of the name itself (EXACT) or of
 * what is below it (BELOW).  is_own: the name's node, and not one above it.
 */
static enum verdict judge_node(const struct df_builder *b, const struct df_build_node *n,
			       struct exception *e, enum df_policy_scope what, bool is_own)
{
	enum df_policy_scope other =
		is_own && what == DF_POLICY_EXACT ? DF_POLICY_BELOW : DF_POLICY_EXACT;

	for (uint32_t item = n->items; item != DF_BUILD_NONE; item = b->next[item]) {
		const struct df_policy_source_rule *rule =
			&b->src->rules[df_build_rule_of(b, item)];

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

static enum verdict judge(const struct df_builder *b, uint32_t name, struct exception *e,
			  enum df_policy_scope what)
{
	uint32_t nodes[DF_DNAME_LABELS_MAX];
	bool is_whole;
	unsigned n = df_build_find_nodes(b, name, nodes, &is_whole);

	for (unsigned i = n; i-- > 0;) {
		bool is_own = is_whole && i == n - 1;
		enum verdict v = judge_node(b, &b->nodes[nodes[i]], e, what, is_own);

		if (v != NOTHING)
			return v;
	}
	return b->src->settings.default_action == DF_POLICY_BLOCK ? REFUSED : ALLOWED;
}

/* All that it covers must be allowed without its list. */
static bool is_refused(const struct df_builder *b, uint32_t name, struct exception *e)
{
	enum df_policy_scope scope = e->rule->scope;

	return (scope != DF_POLICY_BELOW && judge(b, name, e, DF_POLICY_EXACT) == REFUSED) ||
	       (scope != DF_POLICY_EXACT && judge(b, name, e, DF_POLICY_BELOW) == REFUSED);
}

static int add_exception(struct df_builder *b, uint32_t item)
{
	struct exception e = {.rule = &b->src->rules[b->src->named[item].rule]};
	uint32_t node;
	int r;

	if (is_refused(b, b->src->named[item].name, &e)) {
		b->src->lists[e.rule->list - 1].n_left_out++;
		return 0;
	}
	if (!e.is_covered)
		return 0;
	r = df_build_add_name(b, item, &node);
	if (r == 0)
		df_build_drop_blocks(b, &b->nodes[node].items, e.rule->list, e.rule->scope);
	return r;
}

int df_build_exceptions(struct df_builder *b)
{
	const struct df_policy_source *src = b->src;

	for (uint32_t i = 0; src->n_lists > 0 && i < src->n_named; i++) {
		int r = src->rules[src->named[i].rule].is_exception ? add_exception(b, i) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
