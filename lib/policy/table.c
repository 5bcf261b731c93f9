/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: settings, names and rules.  Addresses are in policy_net.c. */
#include "lib/policy/table.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/policy/table_format.h"

enum df_policy_mode df_policy_mode(const struct df_policy *p)
{
	return df_policy_header(p)->mode;
}

unsigned df_policy_enforce_share(const struct df_policy *p)
{
	return df_policy_header(p)->enforce_share;
}

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

enum df_policy_action df_policy_default(const struct df_policy *p)
{
	return df_policy_header(p)->default_action;
}

enum df_policy_refuse_dns df_policy_refuse_dns(const struct df_policy *p)
{
	return df_policy_header(p)->refuse_dns;
}

enum df_policy_raw_ip df_policy_raw_ip(const struct df_policy *p)
{
	return df_policy_header(p)->raw_ip;
}

enum df_policy_pin df_policy_pin_blocked(const struct df_policy *p)
{
	return df_policy_header(p)->pin_blocked;
}

enum df_policy_shared df_policy_shared_address(const struct df_policy *p)
{
	return df_policy_header(p)->shared_address;
}

uint32_t df_policy_keep_learned_s(const struct df_policy *p)
{
	return df_policy_header(p)->keep_learned_s;
}

int df_policy_refuse_errno(const struct df_policy *p)
{
	return df_policy_header(p)->refuse_errno;
}

bool df_policy_is_nested_netns_allowed(const struct df_policy *p)
{
	return df_policy_header(p)->is_nested_netns_allowed;
}

enum df_policy_leak df_policy_on_leak(const struct df_policy *p, unsigned finding)
{
	bool is_refusal = finding < DF_FINDINGS && df_policy_header(p)->leaks >> finding & 1;

	return is_refusal ? DF_POLICY_LEAK_REFUSE : DF_POLICY_LEAK_WARN;
}

const char *df_policy_name(const struct df_policy *p)
{
	return df_policy_string(p, df_policy_header(p)->name);
}

uint32_t df_policy_n_resolvers(const struct df_policy *p)
{
	return df_policy_header(p)->n_resolvers;
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

/* A walk over the rules that cover a name, or what is below it, in their order. */
struct walk {
	const struct levels *levels;
	bool is_itself; /* at the last level: the name, and not what is below it */
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

uint32_t df_policy_n_pin_names(const struct df_policy *p)
{
	return df_policy_header(p)->n_pins;
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

static const char *string_or_null(const struct df_policy *p, uint32_t offset)
{
	return offset ? df_policy_string(p, offset) : NULL;
}

bool df_policy_rule_is_listed(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p; /* that it is of this table is all there is to say of it */
	return r->flags & DF_POLICY_RULE_LISTED;
}

bool df_policy_rule_is_exception(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p; /* as above */
	return r->flags & DF_POLICY_RULE_EXCEPTION;
}

bool df_policy_rule_is_implied(const struct df_policy *p, const struct df_policy_rule *r)
{
	(void)p;
	return r->flags & DF_POLICY_RULE_IMPLIED;
}

const char *df_policy_default_owner(const struct df_policy *p)
{
	return string_or_null(p, df_policy_header(p)->default_owner);
}

const char *df_policy_default_hint(const struct df_policy *p)
{
	return string_or_null(p, df_policy_header(p)->default_hint);
}

const char *df_policy_raw_owner(const struct df_policy *p)
{
	return string_or_null(p, df_policy_header(p)->raw_owner);
}

const char *df_policy_raw_hint(const struct df_policy *p)
{
	return string_or_null(p, df_policy_header(p)->raw_hint);
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
