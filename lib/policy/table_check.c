/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: what df_policy_open checks, so that no lookup can leave the table. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/policy/ports.h"
#include "lib/policy/table_format.h"

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
	uint64_t at = sizeof(*h);

	if (h->magic != DF_POLICY_MAGIC || h->version != DF_POLICY_VERSION || h->size != size ||
	    !are_settings_good(h) || h->n_slots == 0 || h->slots != at)
		return false;
	at += ((uint64_t)h->n_slots + 1) * sizeof(uint32_t);
	if (h->entries != at)
		return false;
	at = (at + h->entries_size + 3) & ~UINT64_C(3);
	if (h->rules != at)
		return false;
	at += (uint64_t)h->n_rules * sizeof(struct df_policy_rule);
	if (h->nets != at)
		return false;
	at += (uint64_t)h->n_nets * sizeof(struct df_policy_net);
	if (h->ranges != at || h->n_ranges > DF_PORTS_NAMED_MAX)
		return false;
	at += (uint64_t)h->n_ranges * sizeof(struct df_policy_range);
	if (h->resolvers != at || h->n_resolvers > DF_POLICY_RESOLVERS_MAX)
		return false;
	at += (uint64_t)h->n_resolvers * sizeof(struct in6_addr);
	return h->pins == at && h->n_pins <= DF_POLICY_PINS_MAX && h->strings >= at &&
	       h->strings_size > 0 && (uint64_t)h->strings + h->strings_size == size;
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
