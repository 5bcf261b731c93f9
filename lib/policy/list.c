/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list: the formats that are read line by line, and the recognition of other files. */
#include "lib/policy/list.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/util.h"

#define ALIEN_MIN 5   /* lines; fewer are slips */
#define ERROR_MAX 200 /* octets of an error that stands where a list should */

static const char bom[] = "\xef\xbb\xbf";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_letter_or_digit(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

bool df_span_is(struct df_span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.s, text, s.len) == 0;
}

bool df_span_begins(struct df_span s, const char *text)
{
	return s.len >= strlen(text) && memcmp(s.s, text, strlen(text)) == 0;
}

static bool begins_nocase(struct df_span s, const char *text)
{
	size_t i = 0;

	while (i < s.len && text[i] && lower(s.s[i]) == lower(text[i]))
		i++;
	return !text[i];
}

bool df_span_is_nocase(struct df_span s, const char *text)
{
	return s.len == strlen(text) && begins_nocase(s, text);
}

bool df_span_is_one_of(struct df_span s, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (df_span_is_nocase(s, texts[i]))
			return true;
	}
	return false;
}

struct df_span df_span_behind(struct df_span s, size_t n)
{
	return (struct df_span){s.s + n, s.len - n};
}

/* Without white space at both ends. */
static struct df_span trim(struct df_span s)
{
	while (s.len > 0 && is_blank(s.s[0]))
		s = df_span_behind(s, 1);
	while (s.len > 0 && is_blank(s.s[s.len - 1]))
		s.len--;
	return s;
}

/* Takes white space, then a word, off the front.  False: there is none. */
static bool take_word(struct df_span *line, struct df_span *ret)
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

bool df_list_next_line(struct df_list_reader *r, struct df_span *ret)
{
	const struct df_list_file *list = r->list;
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
	/* A downloaded file may begin with a byte order mark; it has no meaning. */
	if (r->line == 1 && df_span_begins(*ret, bom))
		*ret = df_span_behind(*ret, strlen(bom));
	return true;
}

/* Hands out r->entry. */
static enum df_list_line take_entry(struct df_list_reader *r, bool is_exception)
{
	r->entry.is_exception = is_exception && !r->list->is_allow;
	/* For an address, "not blocked by this list" would be an address rule, which is final. */
	if (r->entry.is_exception && !r->entry.target.is_name)
		return DF_LIST_UNKNOWN;
	if (!r->is_trial) {
		r->list->n_entries++;
		r->r = r->list->take(r->list->data, &r->entry);
	}
	return DF_LIST_READ;
}

/* Programs that connect read such a name as an address; see looks_like_ipv4 in value.c. */
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
	return take_entry(r, is_exception);
}

static enum df_list_line take_name(struct df_list_reader *r, struct df_span name,
				   enum df_policy_scope scope, bool is_exception)
{
	if (df_dname_from_text(name.s, name.len, &r->entry.target.name, NULL) < 0)
		return DF_LIST_UNKNOWN;
	return df_list_take_dname(r, scope, is_exception);
}

/* NAME: the name and all below it; *.NAME: all below it. */
static enum df_list_line take_pattern(struct df_list_reader *r, struct df_span name,
				      bool is_exception)
{
	if (df_span_begins(name, "*."))
		return take_name(r, df_span_behind(name, 2), DF_POLICY_BELOW, is_exception);
	return take_name(r, name, DF_POLICY_TREE, is_exception);
}

enum df_list_line df_list_take_net(struct df_list_reader *r, const struct df_value_net *net,
				   bool is_exception)
{
	r->entry.target.is_name = false;
	r->entry.target.net = *net;
	r->entry.target.ports.lo = r->entry.target.ports.hi = r->entry.target.ports.proto = 0;
	return take_entry(r, is_exception);
}

static bool read_address(struct df_span addr, struct df_value_net *ret)
{
	struct df_value_error error;

	return !memchr(addr.s, '/', addr.len) && df_value_net(addr.s, addr.len, ret, &error) == 0;
}

static bool is_address(struct df_span addr)
{
	struct df_value_net net;

	return read_address(addr, &net);
}

/* 0.0.0.0, 127.0.0.0/8, :: and ::1: the answers by which block lists refuse a name. */
static bool is_sink(struct df_span addr)
{
	static const uint8_t none[16] = {0}, loopback6[16] = {[15] = 1};
	struct df_value_net net;

	if (!read_address(addr, &net))
		return false;
	if (net.family == AF_INET)
		return net.addr[0] == 127 || memcmp(net.addr, none, 4) == 0;
	return memcmp(net.addr, none, 16) == 0 || memcmp(net.addr, loopback6, 16) == 0;
}

/* The target of a rule; and .NAME for the name and all below it. */
static enum df_list_line read_plain(struct df_list_reader *r, struct df_span line)
{
	struct df_value_error error;
	struct df_span word, more;

	if (!take_word(&line, &word) || word.s[0] == '#')
		return DF_LIST_NOTHING;
	if (take_word(&line, &more) && more.s[0] != '#')
		return DF_LIST_UNKNOWN;
	if (word.s[0] == '.')
		return take_name(r, df_span_behind(word, 1), DF_POLICY_TREE, false);
	/* Nearly all entries of lists are such names; this spares the other attempts. */
	if (df_dname_from_text(word.s, word.len, &r->entry.target.name, NULL) == 0 &&
	    !ends_in_number(&r->entry.target.name))
		return df_list_take_dname(r, DF_POLICY_TREE, false);
	if (df_policy_target_parse(word.s, word.len, &r->entry.target, &error) < 0)
		return DF_LIST_UNKNOWN;
	return take_entry(r, false);
}

static enum df_list_line take_host_names(struct df_list_reader *r, struct df_span names)
{
	/* Names of the local host, with which files in the hosts format begin. */
	static const char *const of_every_host[] = {
		"localhost",     "localhost.localdomain", "local",        "broadcasthost",
		"ip6-localhost", "ip6-loopback",          "ip6-localnet", "ip6-mcastprefix",
		"ip6-allnodes",  "ip6-allrouters",        "ip6-allhosts", "0.0.0.0",
	};
	enum df_list_line result = DF_LIST_NOTHING;
	struct df_span name;

	while (take_word(&names, &name)) {
		if (df_span_is_one_of(name, of_every_host, ARRAY_SIZE(of_every_host)))
			continue;
		result = take_name(r, name, DF_POLICY_EXACT, false);
		if (result != DF_LIST_READ || r->r != 0)
			return result;
	}
	return result;
}

/* hosts(5): an address and names of it; a name does not cover the names below it. */
static enum df_list_line read_hosts(struct df_list_reader *r, struct df_span line)
{
	const char *hash = memchr(line.s, '#', line.len);
	enum df_list_line result;
	struct df_span addr;

	if (hash)
		line.len = (size_t)(hash - line.s);
	if (!take_word(&line, &addr))
		return DF_LIST_NOTHING;
	if (trim(line).len == 0)
		return DF_LIST_UNKNOWN;
	r->is_trial = true;
	result = take_host_names(r, line);
	r->is_trial = false;
	if (result != DF_LIST_READ)
		return result;
	/* Any other address is one to connect to. */
	if (!is_sink(addr) && !(r->list->is_allow && is_address(addr)))
		return is_address(addr) ? DF_LIST_UNUSED : DF_LIST_UNKNOWN;
	return take_host_names(r, line);
}

/* A pattern that may be an address as well. */
static enum df_list_line take_domain(struct df_list_reader *r, struct df_span host,
				     bool is_exception)
{
	struct df_value_net net;

	if (read_address(host, &net))
		return df_list_take_net(r, &net, is_exception);
	return take_pattern(r, host, is_exception);
}

/* ^ ends a host name, and so does | behind it.  Without, more could follow. */
static bool cut_end(struct df_span *pattern)
{
	struct df_span p = *pattern;

	if (p.len > 0 && p.s[p.len - 1] == '|')
		p.len--;
	if (p.len == 0 || p.s[p.len - 1] != '^')
		return false;
	p.len--;
	*pattern = p;
	return true;
}

/* A line for web pages or parts of addresses: adblock lists hold thousands of them. */
static bool is_of_adblock(struct df_span line)
{
	static const char *const cosmetic[] = {"##", "#@#", "#?#", "#$#", "#%#", "#@?#"};
	static const char first[] = "|/-_&?.*", anywhere[] = "^*$/";
	struct df_span pattern = trim(line);

	for (size_t i = 0; i < ARRAY_SIZE(cosmetic); i++) {
		if (memmem(pattern.s, pattern.len, cosmetic[i], strlen(cosmetic[i])))
			return true;
	}
	if (memchr(pattern.s, ' ', pattern.len))
		return false;
	if (df_span_begins(pattern, "@@") ||
	    (pattern.len > 0 && memchr(first, pattern.s[0], strlen(first))))
		return true;
	for (size_t i = 0; i < strlen(anywhere); i++) {
		if (memchr(pattern.s, anywhere[i], pattern.len))
			return true;
	}
	return false;
}

/* AdGuard's DNS filtering syntax, as far as it names hosts. */
static enum df_list_line take_adblock(struct df_list_reader *r, struct df_span line)
{
	struct df_span pattern = trim(line);
	const char *dollar = memchr(pattern.s, '$', pattern.len);
	bool is_exception = df_span_begins(pattern, "@@");

	if (pattern.len == 0 || pattern.s[0] == '!' || pattern.s[0] == '#')
		return DF_LIST_NOTHING;
	if (pattern.s[0] == '[') /* [Adblock Plus 2.0] */
		return pattern.s[pattern.len - 1] == ']' ? DF_LIST_NOTHING : DF_LIST_UNKNOWN;
	if (memchr(pattern.s, ' ', pattern.len) || memchr(pattern.s, '\t', pattern.len))
		return read_hosts(r, line);
	if (dollar) {
		size_t len = (size_t)(dollar - pattern.s);

		/* Any other modifier may narrow the rule. */
		if (!df_span_is(df_span_behind(pattern, len + 1), "important"))
			return DF_LIST_UNKNOWN;
		r->entry.is_important = true;
		pattern.len = len;
	}
	if (is_exception)
		pattern = df_span_behind(pattern, 2);
	if (df_span_begins(pattern, "||")) {
		pattern = df_span_behind(pattern, 2);
		return cut_end(&pattern) ? take_domain(r, pattern, is_exception) : DF_LIST_UNKNOWN;
	}
	if (df_span_begins(pattern, "|")) {
		pattern = df_span_behind(pattern, 1);
		return cut_end(&pattern) ? take_name(r, pattern, DF_POLICY_EXACT, is_exception)
					 : DF_LIST_UNKNOWN;
	}
	/* A name alone is that name; with anything else it is a pattern for parts of names, as
	 * are "ads" and "-ad.". */
	if (is_exception || dollar || pattern.len == 0)
		return DF_LIST_UNKNOWN;
	if (is_address(pattern))
		return take_domain(r, pattern, false);
	if (!memchr(pattern.s, '.', pattern.len) || !is_letter_or_digit(pattern.s[0]) ||
	    !is_letter_or_digit(pattern.s[pattern.len - 1]))
		return DF_LIST_UNKNOWN;
	return take_name(r, pattern, DF_POLICY_EXACT, false);
}

static enum df_list_line read_adblock(struct df_list_reader *r, struct df_span line)
{
	enum df_list_line result = take_adblock(r, line);

	return result == DF_LIST_UNKNOWN && is_of_adblock(line) ? DF_LIST_UNUSED : result;
}

enum meaning { REFUSED, STANDARD, ELSEWHERE, SET };

static bool read_option(struct df_span key, struct df_span value, enum meaning *ret)
{
	if (df_span_is(key, "nftset") || df_span_is(key, "ipset")) {
		*ret = SET;
		return value.len > 0;
	}
	if (df_span_is(key, "address")) {
		*ret = value.len == 0 || df_span_is(value, "#") || is_sink(value) ? REFUSED
										  : ELSEWHERE;
		return *ret == REFUSED || is_address(value);
	}
	if (df_span_is(key, "server") || df_span_is(key, "local")) {
		*ret = value.len == 0 ? REFUSED : df_span_is(value, "#") ? STANDARD : ELSEWHERE;
		return true;
	}
	return false;
}

/* /NAME/NAME/: names is between the first slash and the last. */
static enum df_list_line take_names(struct df_list_reader *r, struct df_span names,
				    bool is_exception)
{
	enum df_list_line result = DF_LIST_READ;

	while (result == DF_LIST_READ && r->r == 0) {
		const char *slash = memchr(names.s, '/', names.len);
		struct df_span name = {names.s, slash ? (size_t)(slash - names.s) : names.len};

		if (df_span_begins(name, "."))
			result =
				take_name(r, df_span_behind(name, 1), DF_POLICY_TREE, is_exception);
		else
			result = take_pattern(r, name, is_exception);
		if (!slash)
			break;
		names = df_span_behind(names, name.len + 1);
	}
	return result;
}

/* line: without its comment.  dnsmasq(8): OPTION=/NAME/…/VALUE of the options for names. */
static enum df_list_line take_dnsmasq(struct df_list_reader *r, struct df_span line)
{
	const char *equals = memchr(line.s, '=', line.len), *last;
	struct df_span key, value, names;
	enum df_list_line result;
	enum meaning meaning;

	if (line.len == 0)
		return DF_LIST_NOTHING;
	if (!equals)
		return DF_LIST_UNKNOWN;
	value = trim(df_span_behind(line, (size_t)(equals - line.s) + 1));
	key = trim((struct df_span){line.s, (size_t)(equals - line.s)});
	last = value.len > 0 ? memrchr(value.s, '/', value.len) : NULL;
	if (!last || last == value.s || value.s[0] != '/')
		return DF_LIST_UNKNOWN;
	names = (struct df_span){value.s + 1, (size_t)(last - value.s) - 1};
	value = df_span_behind(value, (size_t)(last - value.s) + 1);
	if (!read_option(key, value, &meaning) || (meaning == ELSEWHERE && !r->list->is_allow))
		return DF_LIST_UNKNOWN;
	r->is_trial = true;
	result = take_names(r, names, meaning == STANDARD);
	r->is_trial = false;
	return result == DF_LIST_READ ? take_names(r, names, meaning == STANDARD) : result;
}

static enum df_list_line read_dnsmasq(struct df_list_reader *r, struct df_span line)
{
	enum df_list_line result;
	size_t n = 0;

	for (size_t i = 0; i < line.len; i++) {
		if (line.s[i] == '#' && (i == 0 || is_blank(line.s[i - 1])))
			line.len = i;
	}
	line = trim(line);
	result = take_dnsmasq(r, line);
	if (result != DF_LIST_UNKNOWN)
		return result;
	/* Any other option of such a file: OPTION=VALUE. */
	while (n < line.len && ((line.s[n] >= 'a' && line.s[n] <= 'z') || line.s[n] == '-'))
		n++;
	return n > 2 && n < line.len && line.s[n] == '=' ? DF_LIST_UNUSED : DF_LIST_UNKNOWN;
}

void df_list_count(struct df_list_reader *r, enum df_list_line result, unsigned line)
{
	struct df_list_file *list = r->list;

	list->n_read += result == DF_LIST_READ;
	list->n_alien += result == DF_LIST_UNKNOWN;
	if (result != DF_LIST_UNKNOWN && result != DF_LIST_UNUSED)
		return;
	if (list->n_unknown < DF_LIST_UNKNOWN_KEPT)
		list->unknown[list->n_unknown] = line;
	list->n_unknown++;
}

int df_list_read(struct df_list_file *list)
{
	static enum df_list_line (*const readers[])(struct df_list_reader *, struct df_span) = {
		[DF_LIST_PLAIN] = read_plain,
		[DF_LIST_HOSTS] = read_hosts,
		[DF_LIST_ADBLOCK] = read_adblock,
		[DF_LIST_DNSMASQ] = read_dnsmasq,
	};
	struct df_list_reader r = {.list = list};
	struct df_span line;

	list->n_entries = list->n_read = list->n_unknown = list->n_alien = 0;
	if (list->format == DF_LIST_RPZ)
		df_list_rpz(&r);
	while (r.r == 0 && df_list_next_line(&r, &line)) {
		r.entry.is_important = false;
		df_list_count(&r, readers[list->format](&r, line), r.line);
	}
	list->n_lines = r.line;
	return r.r;
}

/* Half of the first octets are NUL: ASCII in two octets each. */
static bool is_utf16(const char *text, size_t len)
{
	size_t n = len < 64 ? len : 64, nuls = 0;

	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return true;
	for (size_t i = 0; i < n; i++)
		nuls += text[i] == '\0';
	return n >= 8 && nuls * 5 >= n * 2;
}

/* One line with the words of an HTTP status (RFC 9110 section 15), its number perhaps before. */
static bool is_error(struct df_span text)
{
	static const char *const phrases[] = {
		"forbidden",      "not found",      "unauthorized",        "bad request",
		"gone",           "access denied",  "too many requests",   "moved permanently",
		"found",          "rate limit",     "service unavailable", "internal server error",
		"bad gateway",    "gateway time",   "method not allowed",  "error",
		"page not found", "file not found", "permission denied",
	};

	if (text.len > ERROR_MAX || memchr(text.s, '\n', text.len))
		return false;
	while (text.len > 0 && (text.s[0] == ' ' || text.s[0] == ':' || text.s[0] == '-' ||
				(text.s[0] >= '0' && text.s[0] <= '9')))
		text = df_span_behind(text, 1);
	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
		size_t n = strlen(phrases[i]);

		/* the word alone, or a sentence: error.example is a name */
		if (begins_nocase(text, phrases[i]) &&
		    (text.len == n || strchr(" :!,-", text.s[n]) ||
		     (text.s[n] == '.' && (text.len == n + 1 || text.s[n + 1] == ' '))))
			return true;
	}
	return false;
}

const char *df_list_not_a_list(const char *text, size_t len)
{
	static const struct {
		const char *begin, *words;
	} others[] = {
		{"<!doctype", "an HTML page; fetch the list again"},
		{"<html", "an HTML page; fetch the list again"},
		{"<head", "an HTML page; fetch the list again"},
		{"<body", "an HTML page; fetch the list again"},
		{"<?xml", "an HTML page; fetch the list again"},
		{"<!--", "an HTML page; fetch the list again"},
		{"{\"", "JSON; fetch the list as text"},
		{"[{", "JSON; fetch the list as text"},
		{"[\"", "JSON; fetch the list as text"},
	};
	struct df_span s = {text, len};

	if (is_utf16(text, len))
		return "UTF-16 text; save it as UTF-8";
	if (len >= 2 && (memcmp(text, "\x1f\x8b", 2) == 0 || memcmp(text, "PK", 2) == 0) &&
	    len > 2 && (unsigned char)text[2] < 0x20)
		return "a compressed file; unpack it";
	if (df_span_begins(s, bom))
		s = df_span_behind(s, strlen(bom));
	while (s.len > 0 && strchr(" \t\r\n", s.s[0]) && s.s[0] != '\0')
		s = df_span_behind(s, 1);
	while (s.len > 0 && strchr(" \t\r\n", s.s[s.len - 1]) && s.s[s.len - 1] != '\0')
		s.len--;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (begins_nocase(s, others[i].begin))
			return others[i].words;
	}
	return is_error(s) ? "the error of a server; fetch the list again" : NULL;
}

bool df_list_is_alien(const struct df_list_file *list)
{
	const unsigned others = list->n_read + list->n_unknown - list->n_alien;

	return list->n_alien >= ALIEN_MIN && list->n_alien > others;
}

static int take_nothing(void *data, const struct df_list_entry *entry)
{
	(void)data;
	(void)entry;
	return 0;
}

const char *df_list_guess(const struct df_list_file *list)
{
	static const struct {
		enum df_list_format format;
		const char *words;
	} formats[] = {
		{DF_LIST_HOSTS, "the hosts format"},     {DF_LIST_DNSMASQ, "the dnsmasq format"},
		{DF_LIST_RPZ, "the rpz format"},         {DF_LIST_PLAIN, "the plain format"},
		{DF_LIST_ADBLOCK, "the adblock format"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct df_list_file probe = {.format = formats[i].format,
					     .is_allow = list->is_allow,
					     .text = list->text,
					     .len = list->len,
					     .take = take_nothing};

		if (probe.format != list->format && df_list_read(&probe) == 0 &&
		    probe.n_read > probe.n_unknown)
			return formats[i].words;
	}
	return NULL;
}
