/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_build: exceptions of block-lists.
 *
 * An exception says that its list does not mean a name.  It becomes an allow rule only
 * where, without this list, the name would pass: where another rule or the default
 * refuses it, the exception is left out, so that no list opens what it did not close.
 */
#include <string.h>

#include "lib/policy/builder.h"

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
