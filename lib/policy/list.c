/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/list.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/list_format.h"

static const char bom[] = "\xef\xbb\xbf";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool df_list_next_line(struct df_list_reader *r, struct df_span *ret)
{
	const struct df_list *list = r->list;
	const char *lf;

	if (r->next >= list->len)
		return false;
	ret->s = list->text + r->next;
	ret->len = list->len - r->next;
	lf = memchr(ret->s, '\n', ret->len);
	if (lf)
		ret->len = (size_t)(lf - ret->s);
	r->next += ret->len + (lf ? 1 : 0);
	r->line++;
	if (ret->len > 0 && ret->s[ret->len - 1] == '\r')
		ret->len--;
	/* What is downloaded may begin with one; it says nothing. */
	if (r->line == 1 && df_span_begins(*ret, bom))
		*ret = df_span_behind(*ret, strlen(bom));
	return true;
}

bool df_list_word(struct df_span *line, struct df_span *ret)
{
	size_t n = 0;

	while (n < line->len && is_blank(line->s[n]))
		n++;
	*line = df_span_behind(*line, n);
	for (n = 0; n < line->len && !is_blank(line->s[n]);)
		n++;
	*ret = (struct df_span){line->s, n};
	*line = df_span_behind(*line, n);
	return n > 0;
}

struct df_span df_list_trim(struct df_span s)
{
	while (s.len > 0 && is_blank(s.s[0]))
		s = df_span_behind(s, 1);
	while (s.len > 0 && is_blank(s.s[s.len - 1]))
		s.len--;
	return s;
}

bool df_span_is(struct df_span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.s, text, s.len) == 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool df_span_is_nocase(struct df_span s, const char *text)
{
	if (s.len != strlen(text))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (lower(s.s[i]) != lower(text[i]))
			return false;
	}
	return true;
}

bool df_span_begins(struct df_span s, const char *text)
{
	return s.len >= strlen(text) && memcmp(s.s, text, strlen(text)) == 0;
}

struct df_span df_span_behind(struct df_span s, size_t n)
{
	return (struct df_span){s.s + n, s.len - n};
}

enum df_list_line df_list_take(struct df_list_reader *r)
{
	if (r->list->is_allow)
		r->entry.is_exception = false;
	/* For an address, "not blocked by this list" would be an address rule, which is final. */
	if (r->entry.is_exception && !r->entry.target.is_name)
		return DF_LIST_UNKNOWN;
	if (!r->is_trial) {
		r->list->n_entries++;
		r->r = r->list->take(r->list->data, &r->entry);
	}
	return DF_LIST_READ;
}

/* Such a name is an address to whoever connects; see policy_target.c. */
static bool ends_in_number(const struct df_dname *name)
{
	const uint8_t *label = name->wire;

	for (unsigned i = 1; i < name->n_labels; i++)
		label += 1u + label[0];
	for (unsigned i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
	}
	return true;
}

enum df_list_line df_list_take_dname(struct df_list_reader *r, enum df_policy_scope scope,
				     bool is_exception)
{
	struct df_policy_target *t = &r->entry.target;

	/* The root would be every name. */
	if (t->name.n_labels == 0 || ends_in_number(&t->name))
		return DF_LIST_UNKNOWN;
	t->is_name = true;
	t->scope = scope;
	t->ports.lo = t->ports.hi = t->ports.proto = 0;
	r->entry.is_exception = is_exception;
	return df_list_take(r);
}

enum df_list_line df_list_take_name(struct df_list_reader *r, struct df_span name,
				    enum df_policy_scope scope, bool is_exception)
{
	if (df_dname_from_text(name.s, name.len, &r->entry.target.name, NULL) < 0)
		return DF_LIST_UNKNOWN;
	return df_list_take_dname(r, scope, is_exception);
}

enum df_list_line df_list_take_net(struct df_list_reader *r, const struct df_value_net *net,
				   bool is_exception)
{
	r->entry.target.is_name = false;
	r->entry.target.net = *net;
	r->entry.target.ports.lo = r->entry.target.ports.hi = r->entry.target.ports.proto = 0;
	r->entry.is_exception = is_exception;
	return df_list_take(r);
}

static bool read_address(struct df_span addr, struct df_value_net *ret)
{
	struct df_value_error error;

	return !memchr(addr.s, '/', addr.len) && df_value_net(addr.s, addr.len, ret, &error) == 0;
}

bool df_list_is_address(struct df_span addr)
{
	struct df_value_net net;

	return read_address(addr, &net);
}

bool df_list_is_sink(struct df_span addr)
{
	static const uint8_t none[16] = {0}, loopback6[16] = {[15] = 1};
	struct df_value_net net;

	if (!read_address(addr, &net))
		return false;
	if (net.family == AF_INET)
		return net.addr[0] == 127 || memcmp(net.addr, none, 4) == 0;
	return memcmp(net.addr, none, 16) == 0 || memcmp(net.addr, loopback6, 16) == 0;
}

/* What a rule names, and .NAME for the name and all below it. */
enum df_list_line df_list_plain(struct df_list_reader *r, struct df_span line)
{
	struct df_value_error error;
	struct df_span word, more;

	if (!df_list_word(&line, &word) || word.s[0] == '#')
		return DF_LIST_NOTHING;
	if (df_list_word(&line, &more) && more.s[0] != '#')
		return DF_LIST_UNKNOWN;
	if (word.s[0] == '.')
		return df_list_take_name(r, df_span_behind(word, 1), DF_POLICY_TREE, false);
	/* Nearly all that lists hold, without what could also be meant. */
	if (df_dname_from_text(word.s, word.len, &r->entry.target.name, NULL) == 0 &&
	    !ends_in_number(&r->entry.target.name))
		return df_list_take_dname(r, DF_POLICY_TREE, false);
	if (df_policy_target_parse(word.s, word.len, &r->entry.target, &error) < 0)
		return DF_LIST_UNKNOWN;
	r->entry.is_exception = false;
	return df_list_take(r);
}

/* The lines with which such files begin. */
static bool is_of_every_host(struct df_span name)
{
	static const char *const names[] = {
		"localhost",     "localhost.localdomain", "local",        "broadcasthost",
		"ip6-localhost", "ip6-loopback",          "ip6-localnet", "ip6-mcastprefix",
		"ip6-allnodes",  "ip6-allrouters",        "ip6-allhosts", "0.0.0.0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (df_span_is_nocase(name, names[i]))
			return true;
	}
	return false;
}

static enum df_list_line take_host_names(struct df_list_reader *r, struct df_span names)
{
	enum df_list_line what = DF_LIST_NOTHING;
	struct df_span name;

	while (df_list_word(&names, &name)) {
		if (is_of_every_host(name))
			continue;
		what = df_list_take_name(r, name, DF_POLICY_EXACT, false);
		if (what != DF_LIST_READ || r->r != 0)
			return what;
	}
	return what;
}

/* hosts(5): an address and names of it; a name says nothing of what is below it. */
enum df_list_line df_list_hosts(struct df_list_reader *r, struct df_span line)
{
	const char *hash = memchr(line.s, '#', line.len);
	enum df_list_line what;
	struct df_span addr;

	if (hash)
		line.len = (size_t)(hash - line.s);
	if (!df_list_word(&line, &addr))
		return DF_LIST_NOTHING;
	if (df_list_trim(line).len == 0)
		return DF_LIST_UNKNOWN;
	r->is_trial = true;
	what = take_host_names(r, line);
	r->is_trial = false;
	if (what != DF_LIST_READ)
		return what;
	/* Any other address is one to go to. */
	if (!df_list_is_sink(addr) && !(r->list->is_allow && df_list_is_address(addr)))
		return df_list_is_address(addr) ? DF_LIST_UNUSED : DF_LIST_UNKNOWN;
	return take_host_names(r, line);
}

void df_list_count(struct df_list_reader *r, enum df_list_line what, unsigned line)
{
	struct df_list *list = r->list;

	list->n_read += what == DF_LIST_READ;
	list->n_alien += what == DF_LIST_UNKNOWN;
	if (what != DF_LIST_UNKNOWN && what != DF_LIST_UNUSED)
		return;
	if (list->n_unknown < DF_LIST_UNKNOWN_KEPT)
		list->unknown[list->n_unknown] = line;
	list->n_unknown++;
}

static enum df_list_line read_line(struct df_list_reader *r, struct df_span line)
{
	switch (r->list->format) {
	case DF_LIST_PLAIN:
		return df_list_plain(r, line);
	case DF_LIST_HOSTS:
		return df_list_hosts(r, line);
	case DF_LIST_ADBLOCK:
		return df_list_adblock(r, line);
	case DF_LIST_DNSMASQ:
		return df_list_dnsmasq(r, line);
	case DF_LIST_RPZ:
		break; /* not by lines */
	}
	return DF_LIST_UNKNOWN;
}

int df_list_read(struct df_list *list)
{
	struct df_list_reader r = {.list = list};
	struct df_span line;

	list->n_entries = list->n_read = list->n_unknown = list->n_alien = 0;
	if (list->format == DF_LIST_RPZ)
		df_list_rpz(&r);
	while (r.r == 0 && df_list_next_line(&r, &line)) {
		r.entry.is_important = false;
		df_list_count(&r, read_line(&r, line), r.line);
	}
	list->n_lines = r.line;
	return r.r;
}
