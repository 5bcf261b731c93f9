/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/internal.h"

#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

/* policy_build: lists of rules, runs of them, and networks. */

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

#define SEEDS_MAX 64u /* tried before giving up; one try is the rule, see policy_format.h */

static void builder_done(struct df_builder *b)
{
	free(b->nodes);
	df_hash_done(&b->index);
	free(b->next);
	free(b->nets);
	df_build_runs_done(&b->runs);
}

/* Nodes without the root. */
static uint64_t n_entries(const struct df_builder *b)
{
	return b->n_nodes - 1;
}

static uint32_t entry_size(const struct df_policy_header *h, const struct df_build_node *n)
{
	return (uint32_t)sizeof(struct df_policy_entry) + h->rule_octets + n->label_len;
}

/* From lists of items to numbers of rules. */
static int make_runs(struct df_builder *b)
{
	for (size_t i = 1; i < b->n_nodes; i++) {
		int r = df_build_add_run(b, b->nodes[i].items, &b->nodes[i].items);

		if (r < 0)
			return r;
	}
	return df_build_nets(b);
}

/*
 * Counts the octets of each slot's entries into sizes (n_slots, zeroed here).
 * False if a slot would have too many entries.
 */
static bool measure_slots(const struct df_builder *b, const struct df_policy_header *h,
			  uint32_t *sizes, uint8_t *counts)
{
	memset(sizes, 0, h->n_slots * sizeof(*sizes));
	memset(counts, 0, h->n_slots);
	for (size_t i = 1; i < b->n_nodes; i++) {
		uint32_t slot = df_policy_slot(b->nodes[i].hash, h->n_slots);

		if (++counts[slot] > DF_POLICY_CHAIN_MAX)
			return false;
		sizes[slot] += entry_size(h, &b->nodes[i]);
	}
	return true;
}

/* Hashes until no slot is too long; then sizes holds what measure_slots says. */
static int find_seed(struct df_builder *b, const struct df_policy_header *h, uint32_t *sizes,
		     uint32_t *ret_seed)
{
	_cleanup_free_ uint8_t *counts = malloc(h->n_slots);

	if (!counts)
		return -ENOMEM;
	for (uint32_t seed = 0; seed < SEEDS_MAX; seed++) {
		if (seed > 0) /* nodes come hashed with 0 */
			df_build_rehash(b, seed);
		if (measure_slots(b, h, sizes, counts)) {
			*ret_seed = seed;
			return 0;
		}
	}
	return -E2BIG;
}

/* Where the sections are; -E2BIG if the table would be too big. */
static int measure(const struct df_builder *b, struct df_policy_header *h)
{
	uint64_t entries_size = 0, n_slots = n_entries(b) / DF_POLICY_SLOT_LOAD + 1, at;

	h->rule_octets = b->runs.n_rules < UINT16_MAX ? 2 : 4;
	for (size_t i = 1; i < b->n_nodes; i++)
		entries_size += entry_size(h, &b->nodes[i]);
	at = sizeof(*h) + (n_slots + 1) * sizeof(uint32_t) + entries_size + 3 +
	     b->runs.n_rules * sizeof(struct df_policy_rule) +
	     b->n_nets * sizeof(struct df_policy_net) + sizeof(b->src->ports.named) +
	     sizeof(b->src->settings.resolvers) + b->pins_size + b->src->strings.len;
	if (at > DF_POLICY_SIZE_MAX)
		return -E2BIG;
	h->n_slots = (uint32_t)n_slots;
	h->entries_size = (uint32_t)entries_size;
	h->n_rules = (uint32_t)b->runs.n_rules;
	h->n_nets = (uint32_t)b->n_nets;
	h->n_ranges = b->src->ports.n_named;
	h->n_resolvers = b->src->settings.n_resolvers;
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

static void set_header(const struct df_builder *b, struct df_policy_header *h)
{
	const struct df_policy_settings *s = &b->src->settings;
	enum df_policy_pin pin =
		b->has_more_own_pins ? DF_POLICY_PIN_ON_REFUSAL : DF_POLICY_PIN_YES;

	h->magic = DF_POLICY_MAGIC;
	h->version = DF_POLICY_VERSION;
	h->mode = (uint8_t)s->mode;
	h->default_action = (uint8_t)s->default_action;
	h->refuse_dns = (uint8_t)s->refuse_dns;
	h->has_allow = b->nodes[0].has_allow_below;
	h->enforce_share = (uint8_t)s->enforce_share;
	h->raw_ip = (uint8_t)s->raw_ip;
	h->pin_blocked = (uint8_t)(s->pin_blocked ? s->pin_blocked : pin);
	h->shared_address = (uint8_t)s->shared_address;
	h->is_nested_netns_allowed = s->is_nested_netns_allowed;
	h->refuse_errno = (uint16_t)s->refuse_errno;
	h->leaks = s->leaks;
	h->keep_learned_s = s->keep_learned_s;
	h->classes = df_ports_classes(&b->src->ports);
	h->default_owner = s->default_texts.owner;
	h->default_hint = s->default_texts.hint;
	h->raw_owner = s->raw_texts.owner;
	h->raw_hint = s->raw_texts.hint;
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

static uint8_t flags_of(const struct df_policy_source_rule *rule, bool is_last)
{
	unsigned flags = is_last ? DF_POLICY_RULE_LAST : 0;

	if (rule->list)
		flags |= DF_POLICY_RULE_LISTED;
	if (rule->is_exception)
		flags |= DF_POLICY_RULE_EXCEPTION;
	if (rule->is_implied)
		flags |= DF_POLICY_RULE_IMPLIED;
	return (uint8_t)flags;
}

static void write_rules(const struct df_builder *b, const struct df_policy_header *h,
			uint8_t *table)
{
	struct df_policy_rule *rules = (struct df_policy_rule *)(void *)(table + h->rules);

	for (uint32_t i = 0; i < h->n_rules; i++) {
		const struct df_policy_source_rule *from = &b->src->rules[b->runs.rules[i]];
		bool has_ports = from->ports.lo != 0;

		rules[i] = (struct df_policy_rule){
			.action = from->action,
			.scope = from->scope,
			.proto = from->ports.proto,
			.flags = flags_of(from, b->runs.lasts[i]),
			.port_lo = from->ports.lo,
			.port_hi = from->ports.hi,
			.line = from->place.line,
			.file = b->src->files->list[from->place.file].name,
			.text = from->text,
			.owner = from->owner,
			.hint = from->hint,
			.classes = has_ports ? df_ports_classes_of(&b->src->ports, from->ports)
					     : h->classes,
		};
	}
}

static void write_ranges(const struct df_builder *b, const struct df_policy_header *h,
			 uint8_t *table)
{
	struct df_policy_range *ranges = (struct df_policy_range *)(void *)(table + h->ranges);

	for (uint32_t i = 0; i < h->n_ranges; i++) {
		const struct df_policy_range *from = &b->src->ports.named[i];

		/* Field by field: padding stays zero. */
		ranges[i].proto = from->proto;
		ranges[i].lo = from->lo;
		ranges[i].hi = from->hi;
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
	_cleanup_free_ uint8_t *table = NULL;
	struct df_policy_header h = {.name = name};
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
	set_header(b, &h);
	memcpy(table, &h, sizeof(h));
	place_entries(b, &h, slots);
	write_entries(b, &h, table);
	write_rules(b, &h, table);
	copy(table + h.nets, b->nets, b->n_nets * sizeof(*b->nets));
	write_ranges(b, &h, table);
	copy(table + h.resolvers, b->src->settings.resolvers, (size_t)h.n_resolvers * 16);
	copy(table + h.pins, b->pins, b->pins_size);
	copy(table + h.strings, b->src->strings.data, h.strings_size);
	*ret = TAKE_PTR(table);
	*ret_size = h.size;
	return 0;
}

static void warn_of_pins(const struct df_builder *b)
{
	const struct df_policy_settings *s = &b->src->settings;

	if (s->pin_blocked == DF_POLICY_PIN_YES && b->has_more_pins)
		df_policy_warn(b->messages, b->src->files, &s->pin_place,
			       "more than %d names are blocked, and only the first %d are "
			       "resolved; write on-refusal, or rules for addresses",
			       DF_POLICY_PINS_MAX, DF_POLICY_PINS_MAX);
}

static void warn_of_exceptions(const struct df_builder *b)
{
	for (size_t i = 0; i < b->src->n_lists; i++) {
		const struct df_policy_source_list *list = &b->src->lists[i];
		const struct df_policy_place place = {.file = list->file};

		if (list->n_left_out)
			df_policy_warn(b->messages, b->src->files, &place,
				       "%u exception%s left out, for other rules or the default "
				       "refuse the names",
				       list->n_left_out, list->n_left_out == 1 ? " is" : "s are");
	}
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
	warn_of_exceptions(&b);
	df_build_pins(&b);
	warn_of_pins(&b);
	r = make_runs(&b);
	if (r < 0)
		return r;
	if (messages->n_errors) {
		*ret = NULL;
		return 0;
	}
	r = df_strpool_add(&src->strings, name, strlen(name), &name_at);
	return r < 0 ? r : write_table(&b, name_at, ret, ret_size);
}
