/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/classify.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base/util.h"

struct word {
	const char *s;
	size_t len;
};

const char *df_class_name(enum df_class class)
{
	static const char *const names[] = {
		[DF_CLASS_UNKNOWN] = "unknown",
		[DF_CLASS_HIDDEN] = "hidden",
		[DF_CLASS_DIRECT] = "direct",
	};

	return names[class];
}

size_t df_class_len(const char *domain)
{
	size_t len = strlen(domain);

	return len > 1 && domain[len - 1] == '.' ? len - 1 : len;
}

/* Whether the dot at i separates two labels: in "a\.b" it does not. */
static bool is_boundary(const char *domain, size_t i)
{
	size_t n = 0;

	while (n < i && domain[i - 1 - n] == '\\')
		n++;
	return domain[i] == '.' && n % 2 == 0;
}

const char *df_class_parent(const char *domain)
{
	unsigned n_dots = 0;

	for (size_t i = df_class_len(domain); i-- > 0;)
		if (is_boundary(domain, i) && ++n_dots == 2)
			return domain + i + 1;
	return domain;
}

bool df_class_covers(const char *name, const char *domain)
{
	size_t n = df_class_len(name), len = df_class_len(domain);

	if (n > len || strncasecmp(domain + len - n, name, n) != 0)
		return false;
	return n == len || is_boundary(domain, len - n - 1);
}

/*
 * Octets of an escape at p, which separates names as a blank does: %2F of a URL, and \n, \xHH of
 * df_escape in events that could not be written otherwise.
 */
static size_t escape_len(const char *p)
{
	const size_t prefix = p[0] == '%' ? 1 : p[0] == '\\' && p[1] == 'x' ? 2 : 0;

	if (prefix && isxdigit((unsigned char)p[prefix]) && isxdigit((unsigned char)p[prefix + 1]))
		return prefix + 2;
	return p[0] == '\\' && (p[1] == 'n' || p[1] == 't') ? 2 : 0;
}

/* token is the domain, or a parent of it that has a dot inside. */
static bool is_domain(struct word token, const char *domain, size_t len)
{
	while (token.len > 0 && token.s[token.len - 1] == '.')
		token.len--;
	if (token.len == 0 || token.len > len ||
	    strncasecmp(domain + len - token.len, token.s, token.len) != 0)
		return false;
	if (token.len == len)
		return true;
	return is_boundary(domain, len - token.len - 1) && memchr(token.s, '.', token.len);
}

static bool is_named(struct word token, const char *domain, size_t len)
{
	while (token.len > 0 && token.s[0] == '.') { /* domain of a cookie: .github.com */
		token.s++;
		token.len--;
	}
	if (is_domain(token, domain, len))
		return true;
	/* -hdb.example: an option with its value */
	return token.len > 2 && token.s[0] == '-' && isalpha((unsigned char)token.s[1]) &&
	       is_domain((struct word){token.s + 2, token.len - 2}, domain, len);
}

bool df_class_stands_in(const char *domain, const char *cmd)
{
	const size_t len = df_class_len(domain);

	while (*cmd) {
		struct word token = {cmd, 0};
		size_t escape = escape_len(cmd);

		/* the letters of RFC 952, and the underscore of service names */
		while (isalnum((unsigned char)token.s[token.len]) ||
		       (token.s[token.len] && strchr("-_.", token.s[token.len])))
			token.len++;
		if (escape == 0 && is_named(token, domain, len))
			return true;
		cmd += escape ? escape : token.len ? token.len : 1;
	}
	return false;
}

static struct word next_word(const char **rest)
{
	struct word w = {*rest + strspn(*rest, " "), 0};

	w.len = strcspn(w.s, " ");
	*rest = w.s + w.len;
	return w;
}

static bool is_word(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.s, text, w.len) == 0;
}

static bool is_any(struct word w, const char *const *list)
{
	for (; *list; list++)
		if (is_word(w, *list))
			return true;
	return false;
}

/* "bash" of "/usr/bin/bash", and of the "-bash" of a login. */
static struct word program_of(struct word w)
{
	const char *slash = memrchr(w.s, '/', w.len);

	if (slash) {
		w.len -= (size_t)(slash + 1 - w.s);
		w.s = slash + 1;
	}
	if (w.len > 0 && w.s[0] == '-') {
		w.s++;
		w.len--;
	}
	return w;
}

/* bash(1): options first; -c takes the script itself, -s reads it from standard input. */
static struct word shell_script(const char *rest)
{
	static const char *const with_value[] = {"-o",       "+o",          "-O", "+O",
						 "--rcfile", "--init-file", NULL};
	struct word w;

	while ((w = next_word(&rest)).len > 0) {
		if (w.s[0] != '-' && w.s[0] != '+')
			return w;
		if (is_word(w, "--"))
			return next_word(&rest);
		if (w.len == 1)
			break;
		if (is_any(w, with_value))
			(void)next_word(&rest);
		else if (w.s[1] != '-' && (memchr(w.s, 'c', w.len) || memchr(w.s, 's', w.len)))
			break;
	}
	return (struct word){NULL, 0};
}

/* The argument of -f; without it the file is unknown, and the program stands for it. */
static struct word make_file(struct word program, const char *rest)
{
	struct word w;

	while ((w = next_word(&rest)).len > 0) {
		if (is_word(w, "-f"))
			return next_word(&rest);
		if (w.len > 2 && memcmp(w.s, "-f", 2) == 0)
			return (struct word){w.s + 2, w.len - 2};
	}
	return program;
}

size_t df_class_script(const char *cmd, const char **ret)
{
	static const char *const shells[] = {"sh",  "bash", "dash", "ash",
					     "zsh", "ksh",  "mksh", NULL};
	static const char *const makes[] = {"make", "gmake", NULL};
	const char *rest = cmd;
	struct word program = program_of(next_word(&rest)), script = {NULL, 0};

	if (is_word(program, "busybox"))
		program = next_word(&rest);
	if (is_any(program, shells))
		script = shell_script(rest);
	else if (is_any(program, makes))
		script = make_file(program, rest);
	*ret = script.s;
	return script.len;
}
