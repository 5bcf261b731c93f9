/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/resolv_conf.h"

#include <arpa/inet.h>
#include <string.h>

#define BLANKS " \t\r"

static void parse_search(char *words, struct df_resolv_conf *ret)
{
	char *next = NULL, *word = strtok_r(words, BLANKS, &next);

	ret->n_search = 0;
	for (; word && ret->n_search < DF_META_SEARCH_MAX; word = strtok_r(NULL, BLANKS, &next)) {
		struct df_dname *name = &ret->search[ret->n_search];

		if (df_dname_from_text(word, strlen(word), name, NULL) == 0 && name->len > 1)
			ret->n_search++;
	}
}

static void parse_nameserver(char *words, struct df_resolv_conf *ret)
{
	const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char *next = NULL, *word = strtok_r(words, BLANKS, &next);
	struct in_addr in4;
	uint8_t addr[16];

	if (!word || ret->n_resolvers == DF_META_RESOLVERS_MAX)
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

	ret->n_search = ret->n_resolvers = 0;
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		const char *word = strtok_r(line, BLANKS, &rest);

		if (!word)
			continue;
		if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
			parse_search(rest, ret);
		else if (strcmp(word, "nameserver") == 0)
			parse_nameserver(rest, ret);
	}
}
