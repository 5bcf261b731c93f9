/* SPDX-License-Identifier: GPL-2.0-or-later */
/* build: lists of rules, runs of them, networks, and the table that is made of all. */
#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/internal.h"

#define SEEDS_MAX 64u /* the first one is nearly always enough, see DF_POLICY_CHAIN_MAX */

/* Of equal rules, one that is written in the policy goes before one that is listed. */
static unsigned rank_of(const struct df_policy_source_rule *rule)
{
	return df_policy_rank(rule->scope, rule->ports.lo != 0, rule->action) * 2 +
	       (rule->list != 0);
}

/* Both are about the same names, or networks, and the same ports. */
static bool has_same_scope(const struct df_policy_source_rule *a,
			   const struct df_policy_source_rule *b)
{
	return a->scope == b->scope && a->ports.proto == b->ports.proto &&
	       a->ports.lo == b->ports.lo && a->ports.hi == b->ports.hi;
}

/* Not for rules of lists, which repeat and contradict each other as a matter of course. */
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
 * Of equal rules in one place the first stays; but of a list, the important one, against which
 * no exception counts.  Those of different lists stay until there are runs: each list has its
 * exceptions.
 */
void df_build_add_item(struct df_builder *b, uint32_t *list, uint32_t item)
{
	const struct df_policy_source_rule *rule = df_build_rule_of(b, item), *contradicted = NULL;
	uint32_t *link = list;

	for (; *link != DF_BUILD_NONE; link = &b->next[*link]) {
		const struct df_policy_source_rule *other = df_build_rule_of(b, *link);

		if (!has_same_scope(other, rule))
			continue;
		if (rule->is_implied && !other->is_implied)
			return; /* implied rules come last, and yield */
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
	for (link = list;
	     *link != DF_BUILD_NONE && rank_of(df_build_rule_of(b, *link)) <= rank_of(rule);)
		link = &b->next[*link];
	b->next[item] = *link;
	*link = item;
}

/* Number of rules of the run that begins there. */
static size_t run_len(const struct df_build_runs *runs, size_t first)
{
	size_t n = 1;

	while (!runs->lasts[first + n - 1])
		n++;
	return n;
}

/* A rule behind an equal one of the same run would never be asked. */
static bool is_double(const struct df_builder *b, const uint32_t *rules, size_t n,
		      const struct df_policy_source_rule *rule)
{
	for (size_t i = 0; i < n; i++) {
		const struct df_policy_source_rule *other = &b->src->rules[rules[i]];

		if (other->action == rule->action && has_same_scope(other, rule))
			return true;
	}
	return false;
}

/*
 * The run with the rules of the list: the number of its first rule, plus 1.  The list is
 * written behind the runs first, and stays there if it is a new one.
 */
static int add_run(struct df_builder *b, uint32_t list, uint32_t *ret)
{
	struct df_build_runs *runs = &b->runs;
	size_t begin = runs->n_rules, n = 0;
	const uint32_t *rules;
	struct df_hash_slot *slot;
	uint64_t hash;

	if (list == DF_BUILD_NONE) {
		*ret = 0;
		return 0;
	}
	for (uint32_t at = list; at != DF_BUILD_NONE; at = b->next[at]) {
		const struct df_policy_source_rule *rule = df_build_rule_of(b, at);

		if (df_array_reserve(&runs->rules, &runs->rules_cap, begin + n + 1,
				     sizeof(*runs->rules)) < 0 ||
		    df_array_reserve(&runs->lasts, &runs->lasts_cap, begin + n + 1, 1) < 0)
			return -ENOMEM;
		if (is_double(b, runs->rules + begin, n, rule))
			continue;
		runs->lasts[begin + n] = false;
		runs->rules[begin + n++] = (uint32_t)(rule - b->src->rules);
	}
	runs->lasts[begin + n - 1] = true;
	rules = runs->rules + begin;
	if (df_hash_reserve(&runs->index, runs->index.n + 1) < 0)
		return -ENOMEM;
	hash = df_hash_bytes(DF_HASH_START, rules, n * sizeof(*rules));
	slot = df_hash_first(&runs->index, hash);
	while (slot->value &&
	       !(run_len(runs, slot->value - 1) == n &&
		 memcmp(runs->rules + slot->value - 1, rules, n * sizeof(*rules)) == 0))
		slot = df_hash_next(&runs->index, slot, hash);
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

/* The last net so far that holds this one, as its index plus 1; 0: none does. */
static uint32_t find_parent(const struct df_builder *b, const uint8_t *addr, uint8_t prefix_len)
{
	uint32_t parent = (uint32_t)b->n_nets;

	while (parent > 0 && !df_policy_holds(&b->nets[parent - 1], addr, prefix_len))
		parent = b->nets[parent - 1].parent;
	return parent;
}

static void add_net(struct df_builder *b, const uint8_t *addr, uint8_t prefix_len, uint32_t rule)
{
	uint32_t parent = find_parent(b, addr, prefix_len);
	struct df_policy_net *n = &b->nets[b->n_nets++];

	*n = (struct df_policy_net){.prefix_len = prefix_len, .rule = rule, .parent = parent};
	memcpy(n->addr, addr, sizeof(n->addr));
}

/* The net that keeps rules for IPv6 from IPv4 (df_policy_n_nets), in its place in the order. */
static void add_barrier(struct df_builder *b, const struct df_policy_source_net *next)
{
	static const uint8_t ipv4[16] = {[10] = 0xff, [11] = 0xff};
	const uint32_t n = (uint32_t)b->n_nets;
	int d = next ? memcmp(next->addr, ipv4, sizeof(ipv4)) : 1;

	if (n == 0 || !df_policy_is_net_before(&b->nets[n - 1], ipv4, DF_POLICY_NET_IPV4_LEN) ||
	    d < 0 || (d == 0 && next->prefix_len <= DF_POLICY_NET_IPV4_LEN))
		return;
	if (find_parent(b, ipv4, DF_POLICY_NET_IPV4_LEN) > 0)
		add_net(b, ipv4, DF_POLICY_NET_IPV4_LEN, 0);
}

/* nets, with their runs. */
static int build_nets(struct df_builder *b)
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

		for (n = 0; i + n < src->n_nets && nets[i].prefix_len == nets[i + n].prefix_len &&
			    memcmp(nets[i].addr, nets[i + n].addr, sizeof(nets[i].addr)) == 0;
		     n++)
			df_build_add_item(b, &list, (uint32_t)(src->n_named + i + n));
		if (add_run(b, list, &rule) < 0)
			return -ENOMEM;
		add_barrier(b, &nets[i]);
		add_net(b, nets[i].addr, nets[i].prefix_len, rule);
	}
	add_barrier(b, NULL);
	return 0;
}

/* The table. */

static uint32_t entry_size(const struct df_policy_header *h, const struct df_build_node *n)
{
	return (uint32_t)sizeof(struct df_policy_entry) + h->rule_octets + n->label_len;
}

/*
 * Hashes until no slot has too many entries; then sizes holds the octets of each slot's
 * entries.
 */
static int find_seed(struct df_builder *b, const struct df_policy_header *h, uint32_t *sizes,
		     uint32_t *ret_seed)
{
	_cleanup_free_ uint8_t *counts = malloc(h->n_slots);

	if (!counts)
		return -ENOMEM;
	for (uint32_t seed = 0; seed < SEEDS_MAX; seed++) {
		bool is_good = true;

		if (seed > 0) /* nodes come hashed with 0 */
			df_build_rehash(b, seed);
		memset(sizes, 0, h->n_slots * sizeof(*sizes));
		memset(counts, 0, h->n_slots);
		for (size_t i = 1; is_good && i < b->n_nodes; i++) {
			uint32_t slot = df_policy_slot(b->nodes[i].hash, h->n_slots);

			is_good = ++counts[slot] <= DF_POLICY_CHAIN_MAX;
			sizes[slot] += entry_size(h, &b->nodes[i]);
		}
		if (is_good) {
			*ret_seed = seed;
			return 0;
		}
	}
	return -E2BIG;
}

/* Offsets and sizes of the sections; -E2BIG if the table would be too big. */
static int measure(const struct df_builder *b, struct df_policy_header *h)
{
	uint64_t entries_size = 0, n_slots = (b->n_nodes - 1) / DF_POLICY_SLOT_LOAD + 1, at;

	h->rule_octets = b->runs.n_rules < UINT16_MAX ? 2 : 4;
	for (size_t i = 1; i < b->n_nodes; i++)
		entries_size += entry_size(h, &b->nodes[i]);
	at = sizeof(*h) + (n_slots + 1) * sizeof(uint32_t) + entries_size + 3 +
	     b->runs.n_rules * sizeof(struct df_policy_rule) +
	     b->n_nets * sizeof(struct df_policy_net) + sizeof(b->src->ports.named) +
	     sizeof(b->src->resolvers) + b->pins_size + b->src->strings.len;
	if (at > DF_POLICY_SIZE_MAX)
		return -E2BIG;
	h->n_slots = (uint32_t)n_slots;
	h->entries_size = (uint32_t)entries_size;
	h->n_rules = (uint32_t)b->runs.n_rules;
	h->n_nets = (uint32_t)b->n_nets;
	h->n_ranges = b->src->ports.n_named;
	h->n_pins = b->n_pins;
	h->strings_size = (uint32_t)b->src->strings.len;
	h->slots = sizeof(*h);
	h->entries = h->slots + (h->n_slots + 1) * (uint32_t)sizeof(uint32_t);
	h->rules = (h->entries + h->entries_size + 3u) & ~3u;
	h->nets = h->rules + h->n_rules * (uint32_t)sizeof(struct df_policy_rule);
	h->ranges = h->nets + h->n_nets * (uint32_t)sizeof(struct df_policy_net);
	h->resolvers = h->ranges + h->n_ranges * (uint32_t)sizeof(struct df_policy_range);
	h->pins = h->resolvers + h->n_resolvers * 16u;
	h->strings = h->pins + (uint32_t)b->pins_size;
	h->size = h->strings + h->strings_size;
	return 0;
}

/* Turns sizes of slots into offsets, and gives each node its own. */
static void place_entries(struct df_builder *b, const struct df_policy_header *h, uint32_t *slots)
{
	uint32_t at = h->entries;

	for (uint32_t i = 0; i < h->n_slots; i++) {
		uint32_t size = slots[i];

		slots[i] = at;
		at += size;
	}
	slots[h->n_slots] = at;
	for (size_t i = 1; i < b->n_nodes; i++) {
		struct df_build_node *n = &b->nodes[i];
		uint32_t *slot = &slots[df_policy_slot(n->hash, h->n_slots)];

		n->offset = *slot;
		*slot += entry_size(h, n);
	}
	/* Each now holds its end, which is the beginning of the next. */
	memmove(slots + 1, slots, h->n_slots * sizeof(*slots));
	slots[0] = h->entries;
}

static void write_entries(const struct df_builder *b, const struct df_policy_header *h,
			  uint8_t *table)
{
	for (size_t i = 1; i < b->n_nodes; i++) {
		const struct df_build_node *n = &b->nodes[i];
		const uint8_t *label = df_build_label(b, n);
		struct df_policy_entry e = {
			.parent = b->nodes[n->parent].offset,
			.label_len = label[0],
		};
		uint8_t *to = table + n->offset;
		uint16_t rule16 = (uint16_t)n->items;

		if (i + DF_BUILD_AHEAD < b->n_nodes)
			__builtin_prefetch(table + n[DF_BUILD_AHEAD].offset, 1);
		if (n->has_allow_below)
			e.label_len |= DF_POLICY_ENTRY_ALLOW_BELOW;
		memcpy(to, &e, sizeof(e));
		to += sizeof(e);
		memcpy(to, h->rule_octets == sizeof(rule16) ? (void *)&rule16 : (void *)&n->items,
		       h->rule_octets);
		memcpy(to + h->rule_octets, label + 1, label[0]);
	}
}

static void write_rules(const struct df_builder *b, const struct df_policy_header *h,
			struct df_policy_rule *rules)
{
	for (uint32_t i = 0; i < h->n_rules; i++) {
		const struct df_policy_source_rule *from = &b->src->rules[b->runs.rules[i]];

		rules[i] = (struct df_policy_rule){
			.action = from->action,
			.scope = from->scope,
			.proto = from->ports.proto,
			.flags = (uint8_t)((b->runs.lasts[i] ? DF_POLICY_RULE_LAST : 0) |
					   (from->list ? DF_POLICY_RULE_LISTED : 0) |
					   (from->is_exception ? DF_POLICY_RULE_EXCEPTION : 0) |
					   (from->is_implied ? DF_POLICY_RULE_IMPLIED : 0)),
			.port_lo = from->ports.lo,
			.port_hi = from->ports.hi,
			.line = from->place.line,
			.file = b->src->files->list[from->place.file].name,
			.text = from->text,
			.owner = from->owner,
			.hint = from->hint,
			.classes = from->ports.lo ? df_ports_classes_of(&b->src->ports, from->ports)
						  : h->classes,
		};
	}
}

static void copy(uint8_t *to, const void *from, size_t size)
{
	if (size > 0) /* else from may be NULL */
		memcpy(to, from, size);
}

/* The sections in the order of the table.  name: offset in strings. */
static int write_table(struct df_builder *b, uint32_t name, void **ret, size_t *ret_size)
{
	const struct df_policy_source *src = b->src;
	struct df_policy_header h = src->header;
	_cleanup_free_ uint8_t *table = NULL;
	struct df_policy_range *ranges;
	uint32_t *slots;
	int r = measure(b, &h);

	if (r < 0)
		return r;
	table = calloc(1, h.size);
	if (!table)
		return -ENOMEM;
	slots = (uint32_t *)(void *)(table + h.slots);
	r = find_seed(b, &h, slots, &h.seed);
	if (r < 0) {
		/* cppcheck-suppress memleak ; _cleanup_free_ */
		return r;
	}
	h.magic = DF_POLICY_MAGIC;
	h.version = DF_POLICY_VERSION;
	h.name = name;
	h.has_allow = b->nodes[0].has_allow_below;
	h.classes = df_ports_classes(&src->ports);
	if (!h.pin_blocked)
		h.pin_blocked = b->has_more_own_pins ? DF_POLICY_PIN_ON_REFUSAL : DF_POLICY_PIN_YES;
	memcpy(table, &h, sizeof(h));
	place_entries(b, &h, slots);
	write_entries(b, &h, table);
	write_rules(b, &h, (struct df_policy_rule *)(void *)(table + h.rules));
	copy(table + h.nets, b->nets, b->n_nets * sizeof(*b->nets));
	ranges = (struct df_policy_range *)(void *)(table + h.ranges);
	for (uint32_t i = 0; i < h.n_ranges; i++) {
		/* Field by field: padding stays zero. */
		ranges[i].proto = src->ports.named[i].proto;
		ranges[i].lo = src->ports.named[i].lo;
		ranges[i].hi = src->ports.named[i].hi;
	}
	copy(table + h.resolvers, src->resolvers, (size_t)h.n_resolvers * 16);
	copy(table + h.pins, b->pins, b->pins_size);
	copy(table + h.strings, src->strings.data, h.strings_size);
	*ret = TAKE_PTR(table);
	*ret_size = h.size;
	return 0;
}

static void warn_of_pins_and_exceptions(const struct df_builder *b)
{
	const struct df_policy_source *src = b->src;

	if (src->header.pin_blocked == DF_POLICY_PIN_YES && b->has_more_pins)
		df_policy_warn(b->messages, src->files, &src->pin_place,
			       "more than %d names are blocked, and only the first %d are "
			       "resolved; write on-refusal, or rules for addresses",
			       DF_POLICY_PINS_MAX, DF_POLICY_PINS_MAX);
	for (size_t i = 0; i < src->n_lists; i++) {
		const struct df_policy_place place = {.file = src->lists[i].file};
		unsigned n = src->lists[i].n_left_out;

		if (n > 0)
			df_policy_warn(b->messages, src->files, &place,
				       "%u exception%s left out, for other rules or the default "
				       "refuse the names",
				       n, n == 1 ? " is" : "s are");
	}
}

static void builder_done(struct df_builder *b)
{
	free(b->nodes);
	df_hash_done(&b->index);
	free(b->next);
	free(b->nets);
	free(b->runs.rules);
	df_hash_done(&b->runs.index);
	free(b->runs.lasts);
}

int df_policy_build(struct df_policy_source *src, const char *name, struct df_messages *messages,
		    void **ret, size_t *ret_size)
{
	__attribute__((cleanup(builder_done))) struct df_builder b = {
		.src = src,
		.messages = messages,
	};
	uint32_t name_at;
	int r;

	b.next = malloc((src->n_named + src->n_nets + 1) * sizeof(*b.next));
	if (!b.next)
		return -ENOMEM;
	r = df_build_names(&b);
	if (r < 0)
		return r;
	df_build_pins(&b);
	warn_of_pins_and_exceptions(&b);
	/* From lists of items to numbers of rules. */
	for (size_t i = 1; r == 0 && i < b.n_nodes; i++)
		r = add_run(&b, b.nodes[i].items, &b.nodes[i].items);
	if (r == 0)
		r = build_nets(&b);
	if (r < 0)
		return r;
	if (messages->n_errors) {
		*ret = NULL;
		return 0;
	}
	r = df_strpool_add(&src->strings, name, strlen(name), &name_at);
	return r < 0 ? r : write_table(&b, name_at, ret, ret_size);
}
