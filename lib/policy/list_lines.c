/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list: adblock and dnsmasq. */
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/list_format.h"

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
