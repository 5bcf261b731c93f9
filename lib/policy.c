/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy.h"

#include <errno.h>
#include <string.h>

#include "lib/policy_format.h"
#include "lib/util.h"

/* df_policy_open has seen that base is aligned, and that all of these lie in the table. */
static const struct df_policy_header *header(const struct df_policy *p)
{
	return (const struct df_policy_header *)(const void *)p->base;
}

static const uint32_t *slots(const struct df_policy *p)
{
	return (const uint32_t *)(const void *)(p->base + header(p)->slots);
}

static const struct df_policy_rule *rules(const struct df_policy *p)
{
	return (const struct df_policy_rule *)(const void *)(p->base + header(p)->rules);
}

static const char *string(const struct df_policy *p, uint32_t offset)
{
	return (const char *)p->base + header(p)->strings + offset;
}

static bool is_power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Sections must lie in order and without gaps.  Sums in 64 bits: sizes are not trusted yet. */
static bool is_header_good(const struct df_policy_header *h, size_t size)
{
	uint64_t slots_end, entries_end, rules_end;

	if (h->magic != DF_POLICY_MAGIC || h->version != DF_POLICY_VERSION || h->size != size)
		return false;
	if (h->mode < DF_POLICY_ENFORCE || h->mode > DF_POLICY_AUDIT ||
	    h->default_action < DF_POLICY_ALLOW || h->default_action > DF_POLICY_BLOCK ||
	    h->refuse_dns < DF_POLICY_NXDOMAIN || h->refuse_dns > DF_POLICY_SINKHOLE ||
	    h->has_allow > 1 || h->enforce_share > 100 || h->pad[0] || h->pad[1] || h->pad[2])
		return false;
	slots_end = h->slots + ((uint64_t)h->n_slots + 1) * sizeof(uint32_t);
	entries_end = ((uint64_t)h->entries + h->entries_size + 3) & ~UINT64_C(3);
	rules_end = h->rules + (uint64_t)h->n_rules * sizeof(struct df_policy_rule);
	return is_power_of_two(h->n_slots) && h->slots == sizeof(*h) && h->entries == slots_end &&
	       h->rules == entries_end && h->strings == rules_end && h->strings_size > 0 &&
	       (uint64_t)h->strings + h->strings_size == size;
}

/* The strings end in NUL; so one that begins inside them, behind another, is whole. */
static bool is_string_good(const struct df_policy *p, uint32_t offset)
{
	return offset < header(p)->strings_size && (offset == 0 || string(p, offset)[-1] == '\0');
}

static bool is_rule_good(const struct df_policy *p, const struct df_policy_rule *r)
{
	if (r->action < DF_POLICY_ALLOW || r->action > DF_POLICY_BLOCK ||
	    r->scope < DF_POLICY_TREE || r->scope > DF_POLICY_EXACT)
		return false;
	/* This version knows no ports: a rule that has some would match too much. */
	if (r->proto || r->pad || r->port_lo || r->port_hi)
		return false;
	return r->file && r->text && is_string_good(p, r->file) && is_string_good(p, r->text) &&
	       is_string_good(p, r->owner) && is_string_good(p, r->hint);
}

static uint8_t label_len(const struct df_policy_entry *e)
{
	return e->label_len & DF_POLICY_ENTRY_LABEL_LEN;
}

static void read_entry(const struct df_policy *p, uint32_t at, struct df_policy_entry *ret)
{
	memcpy(ret, p->base + at, sizeof(*ret));
}

static uint32_t entry_size(const struct df_policy_entry *e)
{
	return (uint32_t)sizeof(*e) + label_len(e);
}

/* The run of rules is in the table, and in the order in which lookups try them. */
static bool is_run_good(const struct df_policy *p, const struct df_policy_entry *e)
{
	const struct df_policy_rule *run;

	if (e->n_rules == 0)
		return e->rule == 0;
	if (e->rule >= header(p)->n_rules || e->n_rules > header(p)->n_rules - e->rule)
		return false;
	run = rules(p) + e->rule;
	for (unsigned i = 1; i < e->n_rules; i++) {
		if (df_policy_rank(run[i - 1].scope, run[i - 1].action) >=
		    df_policy_rank(run[i].scope, run[i].action))
			return false;
	}
	return true;
}

/* Reads the entries from at, which must fill the octets up to end.  */
static bool is_slot_good(const struct df_policy *p, uint32_t at, uint32_t end)
{
	struct df_policy_entry e;

	for (unsigned n = 0; at < end; n++, at += entry_size(&e)) {
		if (n == DF_POLICY_CHAIN_MAX || end - at < sizeof(e))
			return false;
		read_entry(p, at, &e);
		if (label_len(&e) == 0 || end - at < entry_size(&e) ||
		    (e.label_len & ~(DF_POLICY_ENTRY_ALLOW_BELOW | DF_POLICY_ENTRY_LABEL_LEN)))
			return false;
		/* Parents are only compared, never followed. */
		if (!is_run_good(p, &e))
			return false;
	}
	return at == end;
}

static bool are_slots_good(const struct df_policy *p)
{
	const struct df_policy_header *h = header(p);
	const uint32_t *s = slots(p);
	uint32_t end = h->entries + h->entries_size;

	if (s[0] != h->entries || s[h->n_slots] != end)
		return false;
	for (uint32_t i = 0; i < h->n_slots; i++) {
		if (s[i] > s[i + 1] || s[i + 1] > end || !is_slot_good(p, s[i], s[i + 1]))
			return false;
	}
	return true;
}

int df_policy_open(const void *base, size_t size, struct df_policy *ret)
{
	struct df_policy p = {.base = base, .size = size};
	const struct df_policy_header *h;

	if ((uintptr_t)base % _Alignof(struct df_policy_header))
		return -EINVAL;
	if (size < sizeof(*h) || size > DF_POLICY_SIZE_MAX)
		return -EBADMSG;
	h = header(&p);
	if (!is_header_good(h, size) || string(&p, 0)[0] != '\0' ||
	    string(&p, h->strings_size - 1)[0] != '\0' || !is_string_good(&p, h->name))
		return -EBADMSG;
	for (uint32_t i = 0; i < h->n_rules; i++) {
		if (!is_rule_good(&p, rules(&p) + i))
			return -EBADMSG;
	}
	if (!are_slots_good(&p))
		return -EBADMSG;
	*ret = p;
	return 0;
}

enum df_policy_mode df_policy_mode(const struct df_policy *p)
{
	return header(p)->mode;
}

unsigned df_policy_enforce_share(const struct df_policy *p)
{
	return header(p)->enforce_share;
}

static uint64_t mix_text(uint64_t hash, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
	return hash;
}

enum df_policy_mode df_policy_mode_for(const struct df_policy *p, const char *image,
				       const char *name, const char *id)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	if (df_policy_mode(p) == DF_POLICY_AUDIT)
		return DF_POLICY_AUDIT;
	if (!*image && !*name)
		hash = mix_text(hash, id, strlen(id));
	else
		hash = mix_text(mix_text(hash, image, strlen(image) + 1), name, strlen(name));
	return (uint32_t)(hash ^ hash >> 32) % 100 < header(p)->enforce_share ? DF_POLICY_ENFORCE
									      : DF_POLICY_AUDIT;
}

enum df_policy_action df_policy_default(const struct df_policy *p)
{
	return header(p)->default_action;
}

enum df_policy_refuse_dns df_policy_refuse_dns(const struct df_policy *p)
{
	return header(p)->refuse_dns;
}

const char *df_policy_name(const struct df_policy *p)
{
	return string(p, header(p)->name);
}

/* Offset of the entry of label below parent, 0 if there is none. */
static uint32_t find_child(const struct df_policy *p, uint32_t parent, uint64_t hash,
			   const uint8_t *label, struct df_policy_entry *ret)
{
	uint32_t slot = df_policy_slot(hash, header(p)->n_slots);
	uint32_t at = slots(p)[slot], end = slots(p)[slot + 1];

	for (; at < end; at += entry_size(ret)) {
		read_entry(p, at, ret);
		if (ret->parent == parent && label_len(ret) == label[0] &&
		    memcmp(p->base + at + sizeof(*ret), label + 1, label[0]) == 0)
			return at;
	}
	return 0;
}

/* The first rule of the entry that covers the name itself, or else all below it. */
static const struct df_policy_rule *pick(const struct df_policy *p, const struct df_policy_entry *e,
					 bool is_itself)
{
	const struct df_policy_rule *run = rules(p) + e->rule;
	uint8_t not_this = is_itself ? DF_POLICY_BELOW : DF_POLICY_EXACT;

	for (unsigned i = 0; i < e->n_rules; i++) {
		if (run[i].scope != not_this)
			return run + i;
	}
	return NULL;
}

struct found {
	const struct df_policy_rule *itself; /* what decides the name; NULL: the default */
	const struct df_policy_rule *below;  /* and what a name below it that no rule names */
	bool has_allow_below;                /* an allow rule names something below it */
};

static struct found find(const struct df_policy *p, const struct df_dname *name)
{
	struct found found = {.has_allow_below = name->n_labels == 0 && header(p)->has_allow};
	uint64_t hash = df_policy_hash_root(header(p)->seed);
	uint8_t suffixes[DF_DNAME_LABELS_MAX + 1];
	uint32_t at = 0;
	struct df_policy_entry e;

	(void)df_dname_suffixes(name, suffixes);
	for (unsigned i = name->n_labels; i-- > 0;) {
		const uint8_t *label = name->wire + suffixes[i];
		const struct df_policy_rule *below;

		hash = df_policy_hash(hash, label);
		at = find_child(p, at, hash, label, &e);
		/* All ancestors of a name in the table are in it: nothing is further down. */
		if (at == 0)
			break;
		if (i == 0) {
			const struct df_policy_rule *itself = pick(p, &e, true);

			found.has_allow_below = e.label_len & DF_POLICY_ENTRY_ALLOW_BELOW;
			found.itself = itself ? itself : found.below;
		}
		below = pick(p, &e, false);
		if (below)
			found.below = below;
	}
	if (at == 0)
		found.itself = found.below;
	return found;
}

const struct df_policy_rule *df_policy_lookup(const struct df_policy *p,
					      const struct df_dname *name)
{
	return find(p, name).itself;
}

bool df_policy_has_allow_below(const struct df_policy *p, const struct df_dname *name)
{
	struct found found = find(p, name);
	unsigned below = found.below ? found.below->action : header(p)->default_action;

	return found.has_allow_below || below == DF_POLICY_ALLOW;
}

static const char *string_or_null(const struct df_policy *p, uint32_t offset)
{
	return offset ? string(p, offset) : NULL;
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
	const char *file = string(p, r->file), *text = string(p, r->text);
	size_t pos;

	if (size == 0)
		return 0;
	pos = df_escape(file, strlen(file), buf, size);
	df_append(buf, size, &pos, ":%u ", r->line);
	return pos + df_escape(text, strlen(text), buf + pos, size - pos);
}

uint32_t df_policy_rule_index(const struct df_policy *p, const struct df_policy_rule *r)
{
	return (uint32_t)(r - rules(p));
}

const struct df_policy_rule *df_policy_rule_at(const struct df_policy *p, uint32_t index)
{
	return index < header(p)->n_rules ? rules(p) + index : NULL;
}
