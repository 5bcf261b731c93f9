/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list: response policy zones (draft-vixie-dns-rpz) as master files (RFC 1035 section 5).
 *
 * Names are as they stand in the zone: relative to its apex, which is the owner of the
 * SOA record, or else the first $ORIGIN, or else the root.  A file without $ORIGIN is relative
 * to the zone's name, which a name server's configuration has: here the owner of the SOA.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/list.h"

#define TOKENS_MAX 8 /* owner, TTL, class, type and the data that are used */

struct record {
	struct df_span tokens[TOKENS_MAX];
	unsigned n, line;
	bool has_owner; /* else it has that of the record before */
	bool is_broken; /* a string or parenthesis that does not end */
};

struct zone {
	struct df_list_reader *reader;
	struct df_dname origin, apex, owner;
	bool has_apex, has_owner, has_origin;
	bool is_relative; /* the owner, as written */
	bool is_wildcard; /* of the owner, which is then without its '*' */
};

static const struct df_dname root = {.len = 1};

enum action { BLOCK, PASS, OTHER };

/* Takes a token off the front of the line; depth: of parentheses, which part tokens. */
static bool next_token(struct df_span *line, unsigned *depth, struct record *rec,
		       struct df_span *ret)
{
	while (line->len > 0 && strchr(" \t()", line->s[0]) && line->s[0] != '\0') {
		if (line->s[0] == '(')
			++*depth;
		else if (line->s[0] == ')' && *depth > 0)
			--*depth;
		else if (line->s[0] == ')')
			rec->is_broken = true;
		*line = df_span_behind(*line, 1);
	}
	if (line->len == 0 || line->s[0] == ';')
		return false;
	*ret = (struct df_span){line->s, 0};
	if (line->s[0] == '"') {
		const char *end = memchr(line->s + 1, '"', line->len - 1);

		rec->is_broken |= !end;
		ret->len = end ? (size_t)(end - line->s) + 1 : line->len;
	} else {
		while (ret->len < line->len &&
		       (line->s[ret->len] == '\0' || !strchr(" \t();\"", line->s[ret->len])))
			ret->len++;
	}
	*line = df_span_behind(*line, ret->len);
	return true;
}

/* False at the end of the file. */
static bool next_record(struct df_list_reader *r, struct record *ret)
{
	struct df_span line, token;
	unsigned depth = 0;

	*ret = (struct record){0};
	do {
		if (!df_list_next_line(r, &line)) {
			ret->is_broken |= depth > 0;
			return ret->n > 0 || ret->is_broken;
		}
		if (ret->n == 0 && depth == 0) {
			ret->line = r->line;
			ret->has_owner = line.len > 0 && line.s[0] != ' ' && line.s[0] != '\t';
		}
		while (next_token(&line, &depth, ret, &token)) {
			if (ret->n < TOKENS_MAX)
				ret->tokens[ret->n++] = token;
		}
	} while (depth > 0);
	return true;
}

/* A name of the file, made absolute.  *.NAME only where ret_wildcard asks for it. */
static int read_name(const struct zone *z, struct df_span text, struct df_dname *ret,
		     bool *ret_wildcard)
{
	struct df_dname name;

	if (ret_wildcard)
		*ret_wildcard = df_span_is(text, "*") || df_span_begins(text, "*.");
	if (df_span_is(text, "@")) {
		*ret = z->origin;
		return 0;
	}
	if (ret_wildcard && *ret_wildcard) {
		text = df_span_behind(text, text.len > 1 ? 2 : 1);
		if (text.len == 0) {
			*ret = z->origin;
			return 0;
		}
	}
	if (df_dname_from_text(text.s, text.len, &name, NULL) < 0)
		return -EINVAL;
	if (text.s[text.len - 1] != '.') {
		if (name.len - 1 + z->origin.len > DF_DNAME_MAX)
			return -EINVAL;
		memcpy(name.wire + name.len - 1, z->origin.wire, z->origin.len);
		name.len = (uint8_t)(name.len - 1 + z->origin.len);
		name.n_labels = (uint8_t)(name.n_labels + z->origin.n_labels);
	}
	*ret = name;
	return 0;
}

static bool is_name(const struct df_dname *name, const char *text)
{
	struct df_dname other;

	return df_dname_from_text(text, strlen(text), &other, NULL) == 0 &&
	       df_dname_is_equal(name, &other);
}

/* 300, 2h, 1w2d */
static bool is_ttl(struct df_span s)
{
	static const char chars[] = "0123456789smhdwSMHDW";

	if (s.s[0] < '0' || s.s[0] > '9')
		return false;
	for (size_t i = 1; i < s.len; i++) {
		if (s.s[i] == '\0' || !strchr(chars, s.s[i]))
			return false;
	}
	return true;
}

static bool is_class(struct df_span s)
{
	static const char *const classes[] = {"IN", "CH", "HS"};

	return df_span_is_one_of(s, classes, ARRAY_SIZE(classes));
}

/* Types of every zone, and of signed ones, which no resolver takes for a policy. */
static bool is_of_zone(struct df_span type)
{
	static const char *const types[] = {"SOA",    "NS",         "RRSIG", "NSEC",   "NSEC3",
					    "DNSKEY", "NSEC3PARAM", "CDS",   "CDNSKEY"};

	return df_span_is_one_of(type, types, ARRAY_SIZE(types));
}

/* The action of the record.  Data of any type but CNAME replace the real data. */
static enum action action_of(const struct zone *z, struct df_span type, struct df_span data,
			     const struct df_dname *trigger)
{
	struct df_dname target;
	bool is_wildcard;

	if (!df_span_is_nocase(type, "CNAME") || df_span_is(data, ".") || df_span_is(data, "*."))
		return BLOCK;
	if (read_name(z, data, &target, &is_wildcard) != 0)
		return OTHER;
	if (is_name(&target, "rpz-tcp-only."))
		return OTHER;
	/* Before rpz-passthru existed, a CNAME to the name itself let it pass. */
	if (is_name(&target, "rpz-passthru.") ||
	    (is_wildcard == z->is_wildcard && df_dname_is_equal(&target, trigger)))
		return PASS;
	return BLOCK;
}

/* Data that a policy zone may put in place of the real one; TYPE123 is that of RFC 3597. */
static bool is_data(struct df_span type)
{
	static const char *const types[] = {"CNAME", "A",     "AAAA", "TXT", "MX",    "SRV",
					    "PTR",   "CAA",   "SVCB", "SPF", "HTTPS", "NAPTR",
					    "HINFO", "SSHFP", "TLSA", "URI", "LOC",   "DS"};

	if (df_span_is_one_of(type, types, ARRAY_SIZE(types)))
		return true;
	if (type.len < 5 || !df_span_is_nocase((struct df_span){type.s, 4}, "TYPE"))
		return false;
	for (size_t i = 4; i < type.len; i++) {
		if (type.s[i] < '0' || type.s[i] > '9')
			return false;
	}
	return true;
}

static struct df_span label_at(const struct df_dname *name, unsigned i)
{
	const uint8_t *label = name->wire;

	for (; i > 0; i--)
		label += 1u + label[0];
	return (struct df_span){(const char *)label + 1, label[0]};
}

/* 24.0.2.0.192.rpz-ip and 48.zz.1.db8.2001.rpz-ip: from the back, with the prefix length first. */
static enum df_list_line take_rpz_ip(struct zone *z, const struct df_dname *trigger)
{
	unsigned n = trigger->n_labels - 1u; /* without rpz-ip */
	char text[64], separator = ':';
	struct df_value_error error;
	struct df_value_net net;
	size_t pos = 0;
	bool is_first = true;

	if (n < 2 || z->is_wildcard)
		return DF_LIST_UNKNOWN;
	if (n == 5)
		separator = '.';
	for (unsigned i = 1; i < n; i++) {
		if (df_span_is(label_at(trigger, i), "zz"))
			separator = ':';
	}
	for (unsigned i = n - 1; i > 0; i--) {
		struct df_span label = label_at(trigger, i);

		if (df_span_is(label, "zz")) {
			df_append(text, sizeof(text), &pos, "::");
			is_first = true;
			continue;
		}
		if (!is_first)
			df_append(text, sizeof(text), &pos, "%c", separator);
		df_append(text, sizeof(text), &pos, "%.*s", (int)label.len, label.s);
		is_first = false;
	}
	df_append(text, sizeof(text), &pos, "/%.*s", (int)label_at(trigger, 0).len,
		  label_at(trigger, 0).s);
	if (df_value_net(text, pos, &net, &error) < 0)
		return DF_LIST_UNKNOWN;
	return df_list_take_net(z->reader, &net, false);
}

static enum df_list_line take_trigger(struct zone *z, const struct df_dname *trigger,
				      enum action action)
{
	static const char *const unknown[] = {"rpz-client-ip", "rpz-nsip", "rpz-nsdname"};
	struct df_span last = label_at(trigger, trigger->n_labels - 1u);
	bool is_pass = action == PASS;

	/* An allow-list consists of the names that pass, a block-list of all others. */
	if (action == OTHER || (z->reader->list->is_allow && !is_pass))
		return DF_LIST_UNUSED;
	if (df_span_is(last, "rpz-ip")) {
		if (is_pass && !z->reader->list->is_allow)
			return DF_LIST_UNUSED;
		return take_rpz_ip(z, trigger);
	}
	/* A fence knows neither the clients of a resolver nor the name servers of a name. */
	if (df_span_is_one_of(last, unknown, ARRAY_SIZE(unknown)))
		return DF_LIST_UNUSED;
	z->reader->entry.target.name = *trigger;
	return df_list_take_dname(z->reader, z->is_wildcard ? DF_POLICY_BELOW : DF_POLICY_EXACT,
				  is_pass);
}

static enum df_list_line read_directive(struct zone *z, const struct record *rec)
{
	struct df_dname origin;

	if (df_span_is_nocase(rec->tokens[0], "$TTL"))
		return DF_LIST_NOTHING;
	if (!df_span_is_nocase(rec->tokens[0], "$ORIGIN") || rec->n < 2 ||
	    read_name(z, rec->tokens[1], &origin, NULL) < 0)
		return DF_LIST_UNKNOWN;
	z->origin = origin;
	z->has_origin = true;
	return DF_LIST_NOTHING;
}

/* The owner of the record, and the number of its token; or -EINVAL. */
static int read_owner(struct zone *z, const struct record *rec)
{
	if (!rec->has_owner)
		return z->has_owner ? 0 : -EINVAL;
	z->has_owner = read_name(z, rec->tokens[0], &z->owner, &z->is_wildcard) == 0;
	z->is_relative = rec->tokens[0].s[rec->tokens[0].len - 1] != '.';
	return z->has_owner ? 1 : -EINVAL;
}

static enum df_list_line read_record(struct zone *z, const struct record *rec)
{
	struct df_dname trigger;
	struct df_span type;
	int r = read_owner(z, rec);
	unsigned at = r < 0 ? 1 : (unsigned)r;

	while (at < rec->n && (is_ttl(rec->tokens[at]) || is_class(rec->tokens[at])))
		at++;
	if (at + 1 >= rec->n)
		return DF_LIST_UNKNOWN;
	type = rec->tokens[at];
	if (r < 0) /* an odd name may own a signature, but not a policy */
		return is_of_zone(type) ? DF_LIST_NOTHING : DF_LIST_UNKNOWN;
	if (!z->has_apex) {
		z->apex = df_span_is_nocase(type, "SOA") ? z->owner : z->origin;
		z->has_apex = true;
	}
	if (is_of_zone(type))
		return DF_LIST_NOTHING;
	if (!is_data(type))
		return DF_LIST_UNKNOWN;
	trigger = z->owner;
	if (z->apex.n_labels > 0 && df_dname_strip_suffix(&z->owner, &z->apex, &trigger) < 0) {
		/* without $ORIGIN names are relative to the zone's own name */
		if (df_dname_is_equal(&z->owner, &z->apex))
			trigger = root;
		else if (z->has_origin || !z->is_relative)
			return DF_LIST_UNUSED;
	}
	if (trigger.n_labels == 0) /* of the zone itself, or of every name */
		return z->is_wildcard ? DF_LIST_UNKNOWN : DF_LIST_NOTHING;
	return take_trigger(z, &trigger, action_of(z, type, rec->tokens[at + 1], &trigger));
}

void df_list_rpz(struct df_list_reader *r)
{
	struct zone z = {.reader = r, .origin = root, .apex = root};
	enum df_list_line result;
	struct record rec;

	while (r->r == 0 && next_record(r, &rec)) {
		r->entry.is_important = false;
		if (rec.is_broken)
			result = DF_LIST_UNKNOWN;
		else if (rec.n == 0)
			continue;
		else if (rec.has_owner && rec.tokens[0].s[0] == '$')
			result = read_directive(&z, &rec);
		else
			result = read_record(&z, &rec);
		df_list_count(r, result, rec.line);
	}
}
