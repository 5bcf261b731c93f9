/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/resolv_conf.h"

#include <arpa/inet.h>
#include <string.h>

#define BLANKS " \t\r"
#define NDOTS_MAX 15 /* of glibc and musl */

static bool has_search(const struct df_resolv_conf *c, const struct df_dname *name)
{
	for (unsigned i = 0; i < c->n_search; i++)
		if (df_dname_is_equal(&c->search[i], name))
			return true;
	return false;
}

/* A part of a text.  The root and invalid names are left out. */
static void add_search(const char *text, size_t len, struct df_resolv_conf *ret)
{
	struct df_dname name;

	if (ret->n_search < DF_RESOLV_SEARCH_MAX &&
	    df_dname_from_text(text, len, &name, NULL) == 0 && name.len > 1 &&
	    !has_search(ret, &name))
		ret->search[ret->n_search++] = name;
}

static void add_searches(const char *words, struct df_resolv_conf *ret)
{
	while (*words) {
		const size_t len = strcspn(words, BLANKS "\n");

		add_search(words, len, ret);
		words += len;
		words += strspn(words, BLANKS "\n");
	}
}

static void parse_search(const char *words, struct df_resolv_conf *ret)
{
	ret->n_search = 0;
	ret->has_search = true;
	add_searches(words, ret);
}

/* "ndots:5 timeout:1"; the greatest counts, up to the limit of libc. */
static void parse_options(const char *words, struct df_resolv_conf *ret)
{
	for (const char *at = strstr(words, "ndots:"); at; at = strstr(at, "ndots:")) {
		unsigned n = 0;

		for (at += strlen("ndots:"); *at >= '0' && *at <= '9' && n < NDOTS_MAX; at++)
			n = n * 10 + (unsigned)(*at - '0');
		if (n > NDOTS_MAX)
			n = NDOTS_MAX;
		if (n > ret->ndots)
			ret->ndots = (uint8_t)n;
	}
}

static void parse_nameserver(char *words, struct df_resolv_conf *ret)
{
	const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char *next = NULL, *word = strtok_r(words, BLANKS, &next);
	struct in_addr in4;
	uint8_t addr[16];

	if (!word || ret->n_resolvers == DF_RESOLV_SERVERS_MAX)
		return;
	word[strcspn(word, "%")] = '\0'; /* fe80::1%eth0 */
	memcpy(addr, mapped, sizeof(mapped));
	/* as C libraries read them: "127.1" and "0x7f000001" as well */
	if (inet_aton(word, &in4) != 0)
		memcpy(addr + sizeof(mapped), &in4, sizeof(in4));
	else if (inet_pton(AF_INET6, word, addr) != 1)
		return;
	memcpy(ret->resolvers[ret->n_resolvers++], addr, sizeof(addr));
}

/* The last "search" or "domain" line counts, and every "nameserver" line. */
void df_resolv_conf_parse(char *text, struct df_resolv_conf *ret)
{
	char *next, *rest;

	*ret = (struct df_resolv_conf){.ndots = 1};
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		const char *word = strtok_r(line, BLANKS, &rest);

		if (!word)
			continue;
		if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
			parse_search(rest, ret);
		else if (strcmp(word, "options") == 0)
			parse_options(rest, ret);
		else if (strcmp(word, "nameserver") == 0)
			parse_nameserver(rest, ret);
	}
}

void df_resolv_conf_environment(const char *localdomain, const char *res_options,
				struct df_resolv_conf *ret)
{
	const struct df_resolv_conf file = *ret;

	if (res_options)
		parse_options(res_options, ret);
	if (!localdomain)
		return;
	parse_search(localdomain, ret);
	for (unsigned i = 0; i < file.n_search && ret->n_search < DF_RESOLV_SEARCH_MAX; i++)
		if (!has_search(ret, &file.search[i]))
			ret->search[ret->n_search++] = file.search[i];
}

void df_resolv_conf_hostname(const char *hostname, struct df_resolv_conf *ret)
{
	const char *dot = hostname ? strchr(hostname, '.') : NULL;

	if (dot && !ret->has_search)
		add_search(dot + 1, strlen(dot + 1), ret);
}
