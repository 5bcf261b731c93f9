/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_build: lists of rules, runs of them, and networks. */
#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/builder.h"

uint32_t df_build_rule_of(const struct df_builder *b, uint32_t item)
{
	const struct df_policy_source *src = b->src;

	return item < src->n_named ? src->named[item].rule : src->nets[item - src->n_named].rule;
}

static const struct df_policy_source_rule *rule_at(const struct df_builder *b, uint32_t item)
{
	return &b->src->rules[df_build_rule_of(b, item)];
}

/* Of rules that are alike, what is written in the policy goes before what is listed. */
static unsigned rank_of(const struct df_policy_source_rule *rule)
{
	return df_policy_rank(rule->scope, rule->ports.lo != 0, rule->action) * 2 +
	       (rule->list != 0);
}

static bool has_same_ports(const struct df_policy_source_rule *a,
			   const struct df_policy_source_rule *b)
{
	return a->ports.proto == b->ports.proto && a->ports.lo == b->ports.lo &&
	       a->ports.hi == b->ports.hi;
}

/* Rules of lists say the same, and the opposite, as a matter of course. */
static void warn_of(struct df_builder *b, const struct df_policy_source_rule *rule,
		    const struct df_policy_source_rule *other)
{
	const struct df_policy_files *files = b->src->files;
	const char *path = files->list[other->place.file].path;
	char where[DF_MESSAGES_QUOTE + 16], quote[DF_MESSAGES_QUOTE];

	if (rule->list)
		return;
	if (rule->place.file == other->place.file)
		(void)snprintf(where, sizeof(where), "line %u", other->place.line);
	else
		(void)snprintf(where, sizeof(where), "%s:%u",
			       df_messages_quote(path, strlen(path), quote), other->place.line);
	if (rule->action == other->action)
		df_policy_warn(b->messages, files, &rule->place,
			       "the same rule as in %s; remove one", where);
	else
		df_policy_warn(b->messages, files, &rule->place,
			       "contradicts %s, and block wins; remove one", where);
}

/*
 * Of doubles in one place the first stays; but of a list, the one that no exception counts
 * against.  Those of different lists stay until there are runs: each list has its exceptions.
 */
void df_build_add_item(struct df_builder *b, uint32_t *list, uint32_t item)
{
	const struct df_policy_source_rule *rule = rule_at(b, item), *contradicted = NULL;
	uint32_t *link = list;

	for (; *link != DF_BUILD_NONE; link = &b->next[*link]) {
		const struct df_policy_source_rule *other = rule_at(b, *link);

		if (other->scope != rule->scope || !has_same_ports(other, rule))
			continue;
		if (rule->is_implied && !other->is_implied)
			return; /* implied ones come last, and yield */
		if (other->list != rule->list)
			continue;
		if (other->action == rule->action) {
			warn_of(b, rule, other);
			if (!rule->is_important)
				return;
			b->next[item] = b->next[*link];
			*link = item;
			return;
		}
		contradicted = other;
	}
	if (contradicted)
		warn_of(b, rule, contradicted);
	for (link = list; *link != DF_BUILD_NONE && rank_of(rule_at(b, *link)) <= rank_of(rule);)
		link = &b->next[*link];
	b->next[item] = *link;
	*link = item;
}

void df_build_drop_blocks(struct df_builder *b, uint32_t *list, uint32_t number, uint8_t scope)
{
	for (uint32_t *link = list; *link != DF_BUILD_NONE;) {
		const struct df_policy_source_rule *rule = rule_at(b, *link);

		if (rule->list == number && rule->action == DF_POLICY_BLOCK &&
		    (rule->scope == scope || scope == DF_POLICY_TREE))
			*link = b->next[*link];
		else
			link = &b->next[*link];
	}
}

void df_build_runs_done(struct df_build_runs *runs)
{
	free(runs->rules);
	df_hash_done(&runs->index);
	free(runs->lasts);
}

/* Octets of the run that begins there. */
static size_t run_len(const struct df_build_runs *runs, size_t first)
{
	size_t n = 1;

	while (!runs->lasts[first + n - 1])
		n++;
	return n;
}

/* Its place, or the free one where it would go. */
static struct df_hash_slot *find_run(const struct df_build_runs *runs, uint64_t hash,
				     const uint32_t *rules, size_t n)
{
	struct df_hash_slot *slot = df_hash_first(&runs->index, hash);

	while (slot->value &&
	       !(run_len(runs, slot->value - 1) == n &&
		 memcmp(runs->rules + slot->value - 1, rules, n * sizeof(*rules)) == 0))
		slot = df_hash_next(&runs->index, slot, hash);
	return slot;
}

/* A rule that is like one of these, which goes before it, is never asked. */
static bool is_double(const struct df_builder *b, const uint32_t *rules, size_t n, uint32_t rule)
{
	const struct df_policy_source_rule *r = &b->src->rules[rule];

	for (size_t i = 0; i < n; i++) {
		const struct df_policy_source_rule *other = &b->src->rules[rules[i]];

		if (other->scope == r->scope && other->action == r->action &&
		    has_same_ports(other, r))
			return true;
	}
	return false;
}

/* The list is written behind the runs first, and stays there if it is a new one. */
int df_build_add_run(struct df_builder *b, uint32_t list, uint32_t *ret)
{
	struct df_build_runs *runs = &b->runs;
	size_t begin = runs->n_rules, n = 0;
	struct df_hash_slot *slot;
	uint64_t hash;

	if (list == DF_BUILD_NONE) {
		*ret = 0;
		return 0;
	}
	for (uint32_t at = list; at != DF_BUILD_NONE; at = b->next[at]) {
		uint32_t rule = df_build_rule_of(b, at);

		if (df_array_reserve(&runs->rules, &runs->rules_cap, begin + n + 1,
				     sizeof(*runs->rules)) < 0 ||
		    df_array_reserve(&runs->lasts, &runs->lasts_cap, begin + n + 1, 1) < 0)
			return -ENOMEM;
		if (is_double(b, runs->rules + begin, n, rule))
			continue;
		runs->lasts[begin + n] = false;
		runs->rules[begin + n++] = rule;
	}
	runs->lasts[begin + n - 1] = true;
	if (df_hash_reserve(&runs->index, runs->index.n + 1) < 0)
		return -ENOMEM;
	hash = df_hash_bytes(DF_HASH_START, runs->rules + begin, n * sizeof(*runs->rules));
	slot = find_run(runs, hash, runs->rules + begin, n);
	if (!slot->value) {
		df_hash_put(&runs->index, slot, hash, (uint32_t)begin + 1);
		runs->n_rules += n;
	}
	*ret = slot->value;
	return 0;
}

static int compare_nets(const void *a, const void *b)
{
	const struct df_policy_source_net *x = a, *y = b;
	int d = memcmp(x->addr, y->addr, sizeof(x->addr));

	if (d == 0)
		d = x->prefix_len - y->prefix_len;
	/* Then as in the file, as qsort is not stable. */
	return d ? d : (x->rule > y->rule) - (x->rule < y->rule);
}

static bool is_same_net(const struct df_policy_source_net *a, const struct df_policy_source_net *b)
{
	return a->prefix_len == b->prefix_len && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static void add_net(struct df_builder *b, const uint8_t *addr, uint8_t prefix_len, uint32_t rule)
{
	struct df_policy_net *n = &b->nets[b->n_nets];
	uint32_t parent = (uint32_t)b->n_nets;

	*n = (struct df_policy_net){.prefix_len = prefix_len, .rule = rule};
	memcpy(n->addr, addr, sizeof(n->addr));
	while (parent > 0 && !df_policy_holds(&b->nets[parent - 1], addr, prefix_len))
		parent = b->nets[parent - 1].parent;
	n->parent = parent;
	b->n_nets++;
}

/* The net that keeps rules for IPv6 from IPv4 (policy.h), in its place in the order. */
static void add_barrier(struct df_builder *b, const struct df_policy_source_net *next)
{
	static const uint8_t ipv4[16] = {[10] = 0xff, [11] = 0xff};
	uint32_t last = (uint32_t)b->n_nets;

	if (last == 0 || !df_policy_is_net_before(&b->nets[last - 1], ipv4, DF_POLICY_NET_IPV4_LEN))
		return;
	if (next && (memcmp(next->addr, ipv4, sizeof(ipv4)) < 0 ||
		     (memcmp(next->addr, ipv4, sizeof(ipv4)) == 0 &&
		      next->prefix_len <= DF_POLICY_NET_IPV4_LEN)))
		return;
	while (last > 0 && !df_policy_holds(&b->nets[last - 1], ipv4, DF_POLICY_NET_IPV4_LEN))
		last = b->nets[last - 1].parent;
	if (last > 0)
		add_net(b, ipv4, DF_POLICY_NET_IPV4_LEN, 0);
}

int df_build_nets(struct df_builder *b)
{
	struct df_policy_source *src = b->src;
	const struct df_policy_source_net *nets = src->nets;

	if (src->n_nets == 0)
		return 0;
	qsort(src->nets, src->n_nets, sizeof(*src->nets), compare_nets);
	b->nets = calloc(src->n_nets + 1, sizeof(*b->nets));
	if (!b->nets)
		return -ENOMEM;
	for (size_t i = 0, n; i < src->n_nets; i += n) {
		uint32_t list = DF_BUILD_NONE, rule;
		int r;

		for (n = 0; i + n < src->n_nets && is_same_net(&nets[i], &nets[i + n]); n++)
			df_build_add_item(b, &list, (uint32_t)(src->n_named + i + n));
		r = df_build_add_run(b, list, &rule);
		if (r < 0)
			return r;
		add_barrier(b, &nets[i]);
		add_net(b, nets[i].addr, nets[i].prefix_len, rule);
	}
	add_barrier(b, NULL);
	return 0;
}
