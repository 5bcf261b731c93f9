/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list: what a file is that should have been a list. */
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/list_format.h"

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

bool df_list_is_alien(const struct df_list *list)
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

const char *df_list_guess(const struct df_list *list)
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
		struct df_list probe = {.format = formats[i].format,
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
