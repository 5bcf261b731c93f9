/* SPDX-License-Identifier: GPL-2.0-or-later */
/* table: settings, names, rules, addresses, and the checks of df_policy_open. */
#include "lib/policy/table.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

static const char *string_or_null(const struct df_policy *p, uint32_t offset)
{
	return offset ? df_policy_string(p, offset) : NULL;
}

/* Fields of the header; texts are offsets in the strings. */
#define GETTER(type, name, expression)                                                             \
	type name(const struct df_policy *p)                                                       \
	{                                                                                          \
		const struct df_policy_header *h = df_policy_header(p);                            \
                                                                                                   \
		return expression;                                                                 \
	}

GETTER(enum df_policy_mode, df_policy_mode, h->mode)
GETTER(unsigned, df_policy_enforce_share, h->enforce_share)
GETTER(enum df_policy_action, df_policy_default, h->default_action)
GETTER(enum df_policy_refuse_dns, df_policy_refuse_dns, h->refuse_dns)
GETTER(enum df_policy_raw_ip, df_policy_raw_ip, h->raw_ip)
GETTER(enum df_policy_pin, df_policy_pin_blocked, h->pin_blocked)
GETTER(enum df_policy_shared, df_policy_shared_address, h->shared_address)
GETTER(uint32_t, df_policy_keep_learned_s, h->keep_learned_s)
GETTER(int, df_policy_refuse_errno, h->refuse_errno)
GETTER(bool, df_policy_is_nested_netns_allowed, h->is_nested_netns_allowed)
GETTER(uint32_t, df_policy_n_resolvers, h->n_resolvers)
GETTER(uint32_t, df_policy_n_pin_names, h->n_pins)
GETTER(uint32_t, df_policy_n_nets, h->n_nets)
GETTER(uint32_t, df_policy_n_ranges, h->n_ranges)
GETTER(const char *, df_policy_name, df_policy_string(p, h->name))
GETTER(const char *, df_policy_default_owner, string_or_null(p, h->default_owner))
GETTER(const char *, df_policy_default_hint, string_or_null(p, h->default_hint))
GETTER(const char *, df_policy_raw_owner, string_or_null(p, h->raw_owner))
GETTER(const char *, df_policy_raw_hint, string_or_null(p, h->raw_hint))

enum df_policy_mode df_policy_mode_for(const struct df_policy *p, const char *image,
				       const char *name, const char *id)
{
	uint64_t hash = DF_HASH_START;

	if (df_policy_mode(p) == DF_POLICY_AUDIT)
		return DF_POLICY_AUDIT;
	if (!*image && !*name)
		hash = df_hash_text(hash, id);
	else
		hash = df_hash_text(df_hash_bytes(hash, image, strlen(image) + 1), name);
	return df_hash_fold(hash) % 100 < df_policy_enforce_share(p) ? DF_POLICY_ENFORCE
								     : DF_POLICY_AUDIT;
}

enum df_policy_leak df_policy_on_leak(const struct df_policy *p, unsigned finding)
{
	bool is_refusal = finding < DF_FINDINGS && df_policy_header(p)->leaks >> finding & 1;

	return is_refusal ? DF_POLICY_LEAK_REFUSE : DF_POLICY_LEAK_WARN;
}

void df_policy_resolver_at(const struct df_policy *p, uint32_t i, uint8_t ret_addr[static 16])
{
	memcpy(ret_addr, p->base + df_policy_header(p)->resolvers + (size_t)i * 16, 16);
}

/* Offset of the entry of label below parent, 0 if there is none. */
static uint32_t find_child(const struct df_policy *p, uint32_t parent, uint64_t hash,
			   const uint8_t *label, struct df_policy_found_entry *ret)
{
	uint32_t slot = df_policy_slot(hash, df_policy_header(p)->n_slots);
	uint32_t at = df_policy_slots(p)[slot], end = df_policy_slots(p)[slot + 1];

	for (; at < end; at += ret->size) {
		df_policy_read_entry(p, at, ret);
		if (ret->parent == parent && ret->label_len == label[0] &&
		    memcmp(ret->label, label + 1, label[0]) == 0)
			return at;
	}
	return 0;
}

/* The rules of a name and of those above it. */
struct levels {
	const struct df_policy_rule *runs[DF_DNAME_LABELS_MAX]; /* NULL: none; from the top */
	unsigned n;
	bool is_whole; /* the last is that of the name itself */
	bool has_allow_below;
};

static void find(const struct df_policy *p, const struct df_dname *name, struct levels *ret)
{
	uint64_t hash = df_policy_hash_root(df_policy_header(p)->seed);
	uint8_t suffixes[DF_DNAME_LABELS_MAX + 1];
	struct df_policy_found_entry e = {};
	uint32_t at = 0;

	ret->n = 0;
	(void)df_dname_suffixes(name, suffixes);
	for (unsigned i = name->n_labels; i-- > 0;) {
		const uint8_t *label = name->wire + suffixes[i];

		hash = df_policy_hash(hash, label);
		at = find_child(p, at, hash, label, &e);
		/* All ancestors of a name in the table are in it: nothing is further down. */
		if (at == 0)
			break;
		ret->runs[ret->n++] = e.rule ? df_policy_rules(p) + e.rule - 1 : NULL;
	}
	ret->is_whole = ret->n == name->n_labels;
	if (name->n_labels == 0)
		ret->has_allow_below = df_policy_header(p)->has_allow;
	else
		ret->has_allow_below = ret->is_whole && e.flags & DF_POLICY_ENTRY_ALLOW_BELOW;
}

/* A walk over the rules that cover a name, or the names below it, in their order. */
struct walk {
	const struct levels *levels;
	bool is_itself; /* at the last level: the name, and not the names below it */
	unsigned level; /* plus 1 */
	const struct df_policy_rule *next;
};

static void walk_begin(struct walk *w, const struct levels *levels, bool is_itself)
{
	*w = (struct walk){.levels = levels, .level = levels->n};
	w->is_itself = is_itself && levels->is_whole;
	w->next = w->level ? levels->runs[w->level - 1] : NULL;
}

static const struct df_policy_rule *walk_next(struct walk *w)
{
	while (w->level > 0) {
		const struct df_policy_rule *rule = w->next;
		bool is_itself = w->is_itself && w->level == w->levels->n;

		if (!rule || rule->flags & DF_POLICY_RULE_LAST)
			w->next = --w->level ? w->levels->runs[w->level - 1] : NULL;
		else
			w->next++;
		if (rule && rule->scope != (is_itself ? DF_POLICY_BELOW : DF_POLICY_EXACT))
			return rule;
	}
	return NULL;
}

/* A rule is asked only for the ports that none before it decides. */
static const struct df_policy_rule *decide(const struct df_policy *p, const struct levels *levels,
					   bool is_itself)
{
	uint32_t left = df_policy_header(p)->classes;
	const struct df_policy_rule *rule;
	struct walk w;

	walk_begin(&w, levels, is_itself);
	while ((rule = walk_next(&w))) {
		if ((rule->classes & left) == 0)
			continue;
		left &= ~rule->classes;
		if (rule->action == DF_POLICY_ALLOW || left == 0)
			return rule;
	}
	return NULL;
}

const struct df_policy_rule *df_policy_lookup(const struct df_policy *p,
					      const struct df_dname *name)
{
	struct levels levels;

	find(p, name, &levels);
	return decide(p, &levels, true);
}

bool df_policy_rule_has_port(const struct df_policy_rule *r, uint8_t proto, uint16_t port)
{
	if (r->port_lo == 0)
		return true;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return false;
	return (r->proto == 0 || r->proto == proto) && port >= r->port_lo && port <= r->port_hi;
}

const struct df_policy_rule *df_policy_lookup_port(const struct df_policy *p,
						   const struct df_dname *name, uint8_t proto,
						   uint16_t port)
{
	const struct df_policy_rule *rule;
	struct levels levels;
	struct walk w;

	find(p, name, &levels);
	walk_begin(&w, &levels, true);
	do
		rule = walk_next(&w);
	while (rule && !df_policy_rule_has_port(rule, proto, port));
	return rule;
}

bool df_policy_has_allow_below(const struct df_policy *p, const struct df_dname *name)
{
	const struct df_policy_rule *below;
	struct levels levels;

	find(p, name, &levels);
	below = decide(p, &levels, false);
	return levels.has_allow_below ||
	       (below ? below->action : df_policy_default(p)) == DF_POLICY_ALLOW;
}

int df_policy_pin_name_at(const struct df_policy *p, uint32_t i, struct df_dname *ret)
{
	const struct df_policy_header *h = df_policy_header(p);
	size_t at = h->pins;

	if (i >= h->n_pins)
		return -ENOENT;
	for (; i > 0; i--) {
		while (p->base[at])
			at += 1u + p->base[at];
		at++;
	}
	return df_dname_from_wire(p->base, h->strings, &at, ret);
}

bool df_policy_rule_is_listed(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p;
	return r->flags & DF_POLICY_RULE_LISTED;
}

bool df_policy_rule_is_exception(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p;
	return r->flags & DF_POLICY_RULE_EXCEPTION;
}

bool df_policy_rule_is_implied(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p;
	return r->flags & DF_POLICY_RULE_IMPLIED;
}

const char *df_policy_rule_owner(const struct df_policy *p, const struct df_policy_rule *r)
{
	return string_or_null(p, r->owner);
}

const char *df_policy_rule_hint(const struct df_policy *p, const struct df_policy_rule *r)
{
	return string_or_null(p, r->hint);
}

size_t df_policy_rule_describe(const struct df_policy *p, const struct df_policy_rule *r, char *buf,
			       size_t size)
{
	const char *file = df_policy_string(p, r->file), *text = df_policy_string(p, r->text);
	size_t pos;

	if (size == 0)
		return 0;
	pos = df_escape(file, strlen(file), buf, size);
	df_append(buf, size, &pos, ":%u ", r->line);
	return pos + df_escape(text, strlen(text), buf + pos, size - pos);
}

uint32_t df_policy_rule_index(const struct df_policy *p, const struct df_policy_rule *r)
{
	return (uint32_t)(r - df_policy_rules(p));
}

const struct df_policy_rule *df_policy_rule_at(const struct df_policy *p, uint32_t index)
{
	return index < df_policy_header(p)->n_rules ? df_policy_rules(p) + index : NULL;
}

static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

/*
 * Of the nets that hold addr/prefix_len the longest, as its index plus 1; 0: none.  It is the
 * last one that does not stand behind addr/prefix_len, or holds that one.
 */
static uint32_t find_net(const struct df_policy *p, const uint8_t *addr, unsigned prefix_len)
{
	const struct df_policy_net *nets = df_policy_nets(p);
	uint32_t begin = 0, end = df_policy_header(p)->n_nets;

	while (begin < end) {
		uint32_t middle = begin + (end - begin) / 2;

		if (df_policy_is_net_before(&nets[middle], addr, prefix_len + 1))
			begin = middle + 1;
		else
			end = middle;
	}
	while (begin > 0 && !df_policy_holds(&nets[begin - 1], addr, prefix_len))
		begin = nets[begin - 1].parent;
	return begin;
}

const struct df_policy_rule *df_policy_lookup_net(const struct df_policy *p,
						  const uint8_t addr[static 16],
						  unsigned prefix_len, uint8_t proto, uint16_t port)
{
	bool is_ipv4 = prefix_len >= DF_POLICY_NET_IPV4_LEN && memcmp(addr, ipv4, 12) == 0;
	const struct df_policy_net *nets = df_policy_nets(p);

	for (uint32_t i = find_net(p, addr, prefix_len); i > 0; i = nets[i - 1].parent) {
		const struct df_policy_net *n = &nets[i - 1];
		const struct df_policy_rule *rule = df_policy_rules(p) + n->rule - 1;

		if (is_ipv4 && n->prefix_len < DF_POLICY_NET_IPV4_LEN)
			break;
		for (bool is_last = n->rule == 0; !is_last; rule++) {
			if (df_policy_rule_has_port(rule, proto, port))
				return rule;
			is_last = rule->flags & DF_POLICY_RULE_LAST;
		}
	}
	return NULL;
}

static bool is_block(const struct df_policy_rule *rule)
{
	return rule && rule->action == DF_POLICY_BLOCK;
}

const struct df_policy_rule *df_policy_lookup_addr(const struct df_policy *p,
						   const uint8_t addr[static 16], uint8_t proto,
						   uint16_t port)
{
	const struct df_policy_rule *rule = df_policy_lookup_net(p, addr, 128, proto, port), *inner;
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host;
	unsigned n = df_addr_embedded(addr, embedded, &is_same_host);

	for (unsigned i = 0; i < n && !is_block(rule); i++) {
		inner = df_policy_lookup_net(p, embedded[i], 128, proto, port);
		if (is_block(inner) || (!rule && is_same_host))
			rule = inner;
	}
	return rule;
}

void df_policy_net_at(const struct df_policy *p, uint32_t i, uint8_t ret_addr[static 16],
		      unsigned *ret_prefix_len)
{
	const struct df_policy_net *n = &df_policy_nets(p)[i];

	memcpy(ret_addr, n->addr, sizeof(n->addr));
	*ret_prefix_len = n->prefix_len;
}

struct df_policy_range df_policy_range_at(const struct df_policy *p, uint32_t i)
{
	return df_policy_ranges(p)[i];
}

int df_ports_add(struct df_ports *ports, const struct df_policy *p)
{
	struct df_ports sum = *ports;

	for (uint32_t i = 0; i < df_policy_n_ranges(p); i++) {
		int r = df_ports_add_range(&sum, df_policy_range_at(p, i));

		if (r < 0)
			return r;
	}
	*ports = sum;
	return 0;
}

static bool is_in(unsigned value, unsigned first, unsigned last)
{
	return value >= first && value <= last;
}

static bool are_settings_good(const struct df_policy_header *h)
{
	return is_in(h->mode, DF_POLICY_ENFORCE, DF_POLICY_AUDIT) &&
	       is_in(h->default_action, DF_POLICY_ALLOW, DF_POLICY_BLOCK) &&
	       is_in(h->refuse_dns, DF_POLICY_NXDOMAIN, DF_POLICY_SINKHOLE) && h->has_allow <= 1 &&
	       h->enforce_share <= 100 &&
	       is_in(h->raw_ip, DF_POLICY_RAW_ALLOW, DF_POLICY_RAW_AUDIT) &&
	       is_in(h->pin_blocked, DF_POLICY_PIN_YES, DF_POLICY_PIN_NO) &&
	       is_in(h->shared_address, DF_POLICY_SHARED_SNI, DF_POLICY_SHARED_BLOCK) &&
	       h->is_nested_netns_allowed <= 1 && (h->rule_octets == 2 || h->rule_octets == 4) &&
	       h->refuse_errno > 0 && h->leaks >> DF_FINDINGS == 0;
}

/* Sections must lie in order and without gaps.  Sums in 64 bits: sizes are not trusted yet. */
static bool is_header_good(const struct df_policy_header *h, size_t size)
{
	const struct {
		uint32_t offset;
		uint64_t size;
	} sections[] = {
		{h->slots, ((uint64_t)h->n_slots + 1) * sizeof(uint32_t)},
		{h->entries, ((uint64_t)h->entries_size + 3) & ~UINT64_C(3)},
		{h->rules, (uint64_t)h->n_rules * sizeof(struct df_policy_rule)},
		{h->nets, (uint64_t)h->n_nets * sizeof(struct df_policy_net)},
		{h->ranges, (uint64_t)h->n_ranges * sizeof(struct df_policy_range)},
		{h->resolvers, (uint64_t)h->n_resolvers * sizeof(struct in6_addr)},
	};
	uint64_t at = sizeof(*h);

	if (h->magic != DF_POLICY_MAGIC || h->version != DF_POLICY_VERSION || h->size != size ||
	    !are_settings_good(h) || h->n_slots == 0 || h->n_ranges > DF_PORTS_NAMED_MAX ||
	    h->n_resolvers > DF_POLICY_RESOLVERS_MAX || h->n_pins > DF_POLICY_PINS_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (sections[i].offset != at)
			return false;
		at += sections[i].size;
	}
	return h->pins == at && h->strings >= at && h->strings_size > 0 &&
	       (uint64_t)h->strings + h->strings_size == size;
}

/*
 * The strings end in NUL; so one that begins inside them, behind another, is whole.  None but
 * the first is empty.
 */
static bool is_string_good(const struct df_policy *p, uint32_t offset)
{
	const char *s = df_policy_string(p, offset);

	return offset == 0 || (offset < df_policy_header(p)->strings_size && s[-1] == '\0' && *s);
}

static bool is_range_good(const struct df_policy_range *r)
{
	return (r->proto == 0 || r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP) && r->lo > 0 &&
	       r->lo <= r->hi;
}

static bool are_ranges_good(const struct df_policy *p, struct df_ports *ret)
{
	const struct df_policy_header *h = df_policy_header(p);

	df_ports_init(ret);
	for (uint32_t i = 0; i < h->n_ranges; i++) {
		struct df_policy_range r = df_policy_ranges(p)[i];

		if (!is_range_good(&r) || df_ports_add_range(ret, r) < 0 || ret->n_named != i + 1)
			return false;
	}
	return h->classes == df_ports_classes(ret);
}

/* Its ports are among those of the table, and it has the classes that follow from them. */
static bool are_ports_good(const struct df_policy *p, const struct df_policy_rule *r,
			   const struct df_ports *ports)
{
	const struct df_policy_range range = {r->proto, r->port_lo, r->port_hi};

	if (r->port_lo == 0)
		return r->proto == 0 && r->port_hi == 0 &&
		       r->classes == df_policy_header(p)->classes;
	for (unsigned i = 0; i < ports->n_named; i++) {
		const struct df_policy_range *named = &ports->named[i];

		if (named->proto == r->proto && named->lo == r->port_lo && named->hi == r->port_hi)
			return r->classes == df_ports_classes_of(ports, range);
	}
	return false;
}

static bool is_rule_good(const struct df_policy *p, const struct df_policy_rule *r,
			 const struct df_ports *ports)
{
	return is_in(r->action, DF_POLICY_ALLOW, DF_POLICY_BLOCK) &&
	       is_in(r->scope, DF_POLICY_TREE, DF_POLICY_NET) && r->flags >> 4 == 0 &&
	       are_ports_good(p, r, ports) && r->file && r->text && is_string_good(p, r->file) &&
	       is_string_good(p, r->text) && is_string_good(p, r->owner) &&
	       is_string_good(p, r->hint);
}

static unsigned rank_of(const struct df_policy_rule *r)
{
	return df_policy_rank(r->scope, r->port_lo != 0, r->action);
}

/* Runs of names, or of networks, in the order in which lookups try them. */
static bool are_rules_good(const struct df_policy *p, const struct df_ports *ports)
{
	const struct df_policy_rule *rules = df_policy_rules(p);
	uint32_t n = df_policy_header(p)->n_rules;

	for (uint32_t i = 0; i < n; i++) {
		if (!is_rule_good(p, &rules[i], ports))
			return false;
		if (i == 0 || (rules[i - 1].flags & DF_POLICY_RULE_LAST))
			continue;
		if ((rules[i - 1].scope == DF_POLICY_NET) != (rules[i].scope == DF_POLICY_NET) ||
		    rank_of(&rules[i - 1]) > rank_of(&rules[i]))
			return false;
	}
	return n == 0 || (rules[n - 1].flags & DF_POLICY_RULE_LAST);
}

/* rule: the number plus 1.  It must be the first of a run. */
static bool is_run_good(const struct df_policy *p, uint32_t rule, bool is_net)
{
	const struct df_policy_rule *rules = df_policy_rules(p);

	if (rule == 0)
		return true;
	return rule <= df_policy_header(p)->n_rules &&
	       (rule == 1 || (rules[rule - 2].flags & DF_POLICY_RULE_LAST)) &&
	       (rules[rule - 1].scope == DF_POLICY_NET) == is_net;
}

/* Reads the entries from at, which must fill the octets up to end.  */
static bool is_slot_good(const struct df_policy *p, uint32_t at, uint32_t end)
{
	struct df_policy_found_entry e;

	for (unsigned n = 0; at < end; n++, at += e.size) {
		if (n == DF_POLICY_CHAIN_MAX || end - at < df_policy_entry_head(p))
			return false;
		df_policy_read_entry(p, at, &e);
		if (e.label_len == 0 || end - at < e.size || e.flags & ~DF_POLICY_ENTRY_ALLOW_BELOW)
			return false;
		/* Parents are only compared, never followed. */
		if (!is_run_good(p, e.rule, false))
			return false;
	}
	return at == end;
}

static bool are_slots_good(const struct df_policy *p)
{
	const struct df_policy_header *h = df_policy_header(p);
	const uint32_t *s = df_policy_slots(p);
	uint32_t end = h->entries + h->entries_size;

	if (s[0] != h->entries || s[h->n_slots] != end)
		return false;
	for (uint32_t i = 0; i < h->n_slots; i++) {
		if (s[i] > s[i + 1] || s[i + 1] > end || !is_slot_good(p, s[i], s[i + 1]))
			return false;
	}
	return true;
}

/* Lookups trust the order and the parents: else they could miss a rule, or never end. */
static bool is_net_good(const struct df_policy *p, uint32_t i)
{
	const struct df_policy_net *nets = df_policy_nets(p), *n = &nets[i];
	uint32_t parent = i;

	if (n->prefix_len > 128 || n->pad[0] || n->pad[1] || n->pad[2] ||
	    !is_run_good(p, n->rule, true))
		return false;
	for (unsigned bit = n->prefix_len; bit < 128; bit++) {
		if (n->addr[bit / 8] & (0x80u >> (bit % 8)))
			return false;
	}
	if (i > 0 && !df_policy_is_net_before(&nets[i - 1], n->addr, n->prefix_len))
		return false;
	/* The former net, or the nearest of those that hold it. */
	while (parent > 0 && !df_policy_holds(&nets[parent - 1], n->addr, n->prefix_len))
		parent = nets[parent - 1].parent;
	return n->parent == parent;
}

static bool are_nets_good(const struct df_policy *p)
{
	for (uint32_t i = 0; i < df_policy_header(p)->n_nets; i++) {
		if (!is_net_good(p, i))
			return false;
	}
	return true;
}

static bool are_pins_good(const struct df_policy *p)
{
	const struct df_policy_header *h = df_policy_header(p);
	size_t at = h->pins;

	for (uint32_t i = 0; i < h->n_pins; i++) {
		struct df_dname name;
		size_t next = at;

		if (df_dname_from_wire(p->base, h->strings, &next, &name) < 0)
			return false;
		/* Uncompressed, and in lower case. */
		if (next - at != name.len || memcmp(p->base + at, name.wire, name.len) != 0)
			return false;
		at = next;
	}
	return at == h->strings;
}

int df_policy_reopen(const void *base, size_t size, struct df_policy *ret)
{
	struct df_policy p = {.base = base, .size = size};
	const struct df_policy_header *h;

	if ((uintptr_t)base % _Alignof(uint32_t) != 0)
		return -EINVAL;
	if (size < sizeof(struct df_policy_header) || size > DF_POLICY_SIZE_MAX ||
	    !is_header_good(df_policy_header(&p), size))
		return -EBADMSG;
	h = df_policy_header(&p);
	if (*df_policy_string(&p, 0) != '\0' ||
	    *df_policy_string(&p, h->strings_size - 1) != '\0' || !is_string_good(&p, h->name) ||
	    !is_string_good(&p, h->default_owner) || !is_string_good(&p, h->default_hint) ||
	    !is_string_good(&p, h->raw_owner) || !is_string_good(&p, h->raw_hint))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int df_policy_open(const void *base, size_t size, struct df_policy *ret)
{
	struct df_policy p;
	struct df_ports ports;
	int r = df_policy_reopen(base, size, &p);

	if (r < 0)
		return r;
	if (!are_ranges_good(&p, &ports) || !are_rules_good(&p, &ports) || !are_slots_good(&p) ||
	    !are_nets_good(&p) || !are_pins_good(&p))
		return -EBADMSG;
	*ret = p;
	return 0;
}
