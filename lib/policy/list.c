/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/list.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/internal.h"

static const char bom[] = "\xef\xbb\xbf";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
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
	struct df_list_file *list = r->list;

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

int df_list_read(struct df_list_file *list)
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

/* list: adblock and dnsmasq. */
/* Behind "||": NAME, *.NAME, ADDRESS. */
static enum df_list_line take_domain(struct df_list_reader *r, struct df_span host,
				     bool is_exception)
{
	struct df_value_error error;
	struct df_value_net net;

	if (df_span_begins(host, "*."))
		return df_list_take_name(r, df_span_behind(host, 2), DF_POLICY_BELOW, is_exception);
	if (!df_list_is_address(host))
		return df_list_take_name(r, host, DF_POLICY_TREE, is_exception);
	(void)df_value_net(host.s, host.len, &net, &error);
	return df_list_take_net(r, &net, is_exception);
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

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* And not a part of one: "ads", "-ad.". */
static bool is_host(struct df_span s)
{
	return memchr(s.s, '.', s.len) && is_letter_or_digit(s.s[0]) &&
	       is_letter_or_digit(s.s[s.len - 1]);
}

static bool has_text(struct df_span s, const char *text)
{
	return memmem(s.s, s.len, text, strlen(text)) != NULL;
}

/* Of web pages or parts of addresses: adblock lists hold thousands of such lines. */
static bool is_of_adblock(struct df_span line)
{
	static const char *const cosmetic[] = {"##", "#@#", "#?#", "#$#", "#%#", "#@?#"};
	static const char *const begins[] = {"||", "|", "@@", "/", "-", "_", "&", "?", ".", "*"};
	struct df_span pattern = df_list_trim(line);

	for (size_t i = 0; i < ARRAY_SIZE(cosmetic); i++)
		if (has_text(pattern, cosmetic[i]))
			return true;
	if (memchr(pattern.s, ' ', pattern.len))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (df_span_begins(pattern, begins[i]))
			return true;
	return memchr(pattern.s, '^', pattern.len) || memchr(pattern.s, '*', pattern.len) ||
	       memchr(pattern.s, '$', pattern.len) || memchr(pattern.s, '/', pattern.len);
}

/* AdGuard's DNS filtering syntax, as far as it names hosts. */
static enum df_list_line read_adblock(struct df_list_reader *r, struct df_span line)
{
	struct df_span pattern = df_list_trim(line);
	const char *dollar = memchr(pattern.s, '$', pattern.len);
	bool is_exception = df_span_begins(pattern, "@@");

	if (pattern.len == 0 || pattern.s[0] == '!' || pattern.s[0] == '#')
		return DF_LIST_NOTHING;
	if (pattern.s[0] == '[') /* [Adblock Plus 2.0] */
		return pattern.s[pattern.len - 1] == ']' ? DF_LIST_NOTHING : DF_LIST_UNKNOWN;
	if (memchr(pattern.s, ' ', pattern.len) || memchr(pattern.s, '\t', pattern.len))
		return df_list_hosts(r, line);
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
		return cut_end(&pattern)
			       ? df_list_take_name(r, pattern, DF_POLICY_EXACT, is_exception)
			       : DF_LIST_UNKNOWN;
	}
	/* A name alone is that name; with anything else it is a pattern for parts of names. */
	if (is_exception || dollar || pattern.len == 0)
		return DF_LIST_UNKNOWN;
	if (df_list_is_address(pattern))
		return take_domain(r, pattern, false);
	return is_host(pattern) ? df_list_take_name(r, pattern, DF_POLICY_EXACT, false)
				: DF_LIST_UNKNOWN;
}

enum df_list_line df_list_adblock(struct df_list_reader *r, struct df_span line)
{
	enum df_list_line what = read_adblock(r, line);

	return what == DF_LIST_UNKNOWN && is_of_adblock(line) ? DF_LIST_UNUSED : what;
}

enum meaning { REFUSED, STANDARD, ELSEWHERE, SET };

static bool read_option(struct df_span key, struct df_span value, enum meaning *ret)
{
	if (df_span_is(key, "nftset") || df_span_is(key, "ipset")) {
		*ret = SET;
		return value.len > 0;
	}
	if (df_span_is(key, "address")) {
		*ret = value.len == 0 || df_span_is(value, "#") || df_list_is_sink(value)
			       ? REFUSED
			       : ELSEWHERE;
		return *ret == REFUSED || df_list_is_address(value);
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
	enum df_list_line what = DF_LIST_READ;

	while (what == DF_LIST_READ && r->r == 0) {
		const char *slash = memchr(names.s, '/', names.len);
		struct df_span name = {names.s, slash ? (size_t)(slash - names.s) : names.len};

		if (df_span_begins(name, "*."))
			what = df_list_take_name(r, df_span_behind(name, 2), DF_POLICY_BELOW,
						 is_exception);
		else
			what = df_list_take_name(r, df_span_behind(name, df_span_begins(name, ".")),
						 DF_POLICY_TREE, is_exception);
		if (!slash)
			break;
		names = df_span_behind(names, name.len + 1);
	}
	return what;
}

static struct df_span without_comment(struct df_span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.s[i] == '#' && (i == 0 || line.s[i - 1] == ' ' || line.s[i - 1] == '\t'))
			line.len = i;
	}
	return line;
}

/* dnsmasq(8): OPTION=/NAME/…/VALUE of the options that say something of names. */
static enum df_list_line read_dnsmasq(struct df_list_reader *r, struct df_span line)
{
	struct df_span key = df_list_trim(without_comment(line)), value, names;
	const char *equals = memchr(key.s, '=', key.len), *last;
	enum df_list_line what;
	enum meaning meaning;

	if (key.len == 0)
		return DF_LIST_NOTHING;
	if (!equals)
		return DF_LIST_UNKNOWN;
	value = df_list_trim(df_span_behind(key, (size_t)(equals - key.s) + 1));
	key = df_list_trim((struct df_span){key.s, (size_t)(equals - key.s)});
	last = value.len > 0 ? memrchr(value.s, '/', value.len) : NULL;
	if (!last || last == value.s || value.s[0] != '/')
		return DF_LIST_UNKNOWN;
	names = (struct df_span){value.s + 1, (size_t)(last - value.s) - 1};
	value = df_span_behind(value, (size_t)(last - value.s) + 1);
	if (!read_option(key, value, &meaning) || (meaning == ELSEWHERE && !r->list->is_allow))
		return DF_LIST_UNKNOWN;
	r->is_trial = true;
	what = take_names(r, names, meaning == STANDARD);
	r->is_trial = false;
	return what == DF_LIST_READ ? take_names(r, names, meaning == STANDARD) : what;
}

/* Any other line of such a file: OPTION or OPTION=VALUE. */
static bool is_option(struct df_span line)
{
	size_t n = 0;

	line = df_list_trim(without_comment(line));
	while (n < line.len && ((line.s[n] >= 'a' && line.s[n] <= 'z') || line.s[n] == '-'))
		n++;
	return n > 2 && n < line.len && line.s[n] == '=';
}

enum df_list_line df_list_dnsmasq(struct df_list_reader *r, struct df_span line)
{
	enum df_list_line what = read_dnsmasq(r, line);

	return what == DF_LIST_UNKNOWN && is_option(line) ? DF_LIST_UNUSED : what;
}

/* list: what a file is that should have been a list. */
#define ALIEN_MIN 5   /* lines; fewer are slips */
#define ERROR_MAX 200 /* octets of an error that stands where a list should */

static bool begins(struct df_span s, const char *text)
{
	return s.len >= strlen(text) &&
	       df_span_is_nocase((struct df_span){s.s, strlen(text)}, text);
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
		if (begins(text, phrases[i]) &&
		    (text.len == n || strchr(" :!,-", text.s[n]) ||
		     (text.s[n] == '.' && (text.len == n + 1 || text.s[n + 1] == ' '))))
			return true;
	}
	return false;
}

const char *df_list_not_a_list(const char *text, size_t len)
{
	static const char *const pages[] = {"<!doctype", "<html", "<head",
					    "<body",     "<?xml", "<!--"};
	struct df_span s = {text, len};

	if (is_utf16(text, len))
		return "UTF-16 text; save it as UTF-8";
	if (len >= 2 && (memcmp(text, "\x1f\x8b", 2) == 0 || memcmp(text, "PK", 2) == 0) &&
	    len > 2 && (unsigned char)text[2] < 0x20)
		return "a compressed file; unpack it";
	if (begins(s, "\xef\xbb\xbf"))
		s = df_span_behind(s, 3);
	while (s.len > 0 && strchr(" \t\r\n", s.s[0]) && s.s[0] != '\0')
		s = df_span_behind(s, 1);
	while (s.len > 0 && strchr(" \t\r\n", s.s[s.len - 1]) && s.s[s.len - 1] != '\0')
		s.len--;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (begins(s, pages[i]))
			return "an HTML page; fetch the list again";
	if (begins(s, "{\"") || begins(s, "[{") || begins(s, "[\""))
		return "JSON; fetch the list as text";
	if (is_error(s))
		return "the error of a server; fetch the list again";
	return NULL;
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
