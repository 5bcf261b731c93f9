/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/resolv_conf.h"
#include "lib/base/util.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void parse(const char *text, struct df_resolv_conf *ret)
{
	_cleanup_free_ char *exact = strdup(text);

	assert_non_null(exact);
	memset(ret, 0x5a, sizeof(*ret));
	df_resolv_conf_parse(exact, ret);
}

/* "a.example. b.example." */
static void search_text(const struct df_resolv_conf *c, char *ret, size_t size)
{
	char name[DF_DNAME_TEXT_MAX];
	size_t pos = 0;

	*ret = '\0';
	for (unsigned i = 0; i < c->n_search; i++) {
		(void)df_dname_to_text(&c->search[i], name);
		df_append(ret, size, &pos, "%s%s", i ? " " : "", name);
	}
}

static void resolvers_text(const struct df_resolv_conf *c, char *ret, size_t size)
{
	char addr[INET6_ADDRSTRLEN];
	size_t pos = 0;

	*ret = '\0';
	for (unsigned i = 0; i < c->n_resolvers; i++) {
		(void)inet_ntop(AF_INET6, c->resolvers[i], addr, sizeof(addr));
		df_append(ret, size, &pos, "%s%s", i ? " " : "", addr);
	}
}

static void test_lines(void **state)
{
	static const struct {
		const char *text, *search, *resolvers;
	} rows[] = {
		{"", "", ""},
		{"\n\n# nameserver 10.0.0.1\n; nameserver 10.0.0.2\n", "", ""},
		{"nameserver 10.0.0.1\nnameserver fd00::1\n", "", "::ffff:10.0.0.1 fd00::1"},
		{"nameserver\t127.0.0.53  # stub\r\noptions edns0\r\n", "", "::ffff:127.0.0.53"},
		{"  nameserver ::1", "", "::1"},
		{"nameserver fe80::1%eth0\n", "", "fe80::1"},
		{"nameserver 10.0.0.1 10.0.0.2\n", "", "::ffff:10.0.0.1"},
		/* what is no address is none */
		{"nameserver\nnameserver dns.example\nnameserver 10.0.0.\nnameserver %eth0\n"
		 "nameserver 10.0.0.256\nnameserver 010.0.0.9.1\nNameserver 10.0.0.1\n",
		 "", ""},
		/* what C libraries take for one is */
		{"nameserver 127.1\nnameserver 0x7f000001\nnameserver 0\nnameserver 010.0.0.1\n",
		 "", "::ffff:127.0.0.1 ::ffff:127.0.0.1 ::ffff:0.0.0.0 ::ffff:8.0.0.1"},
		{"search a.example b.example\n", "a.example. b.example.", ""},
		{"search a.example\ndomain b.example.\n", "b.example.", ""},
		{"domain b.example\nsearch a.example c.example", "a.example. c.example.", ""},
		{"search a.example\nsearch\n", "", ""},
		{"search . a..b " A63 "a ok.example\n", "ok.example.", ""},
		{"searchx a.example\nsearch", "", ""},
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_resolv_conf c;

		parse(rows[i].text, &c);
		search_text(&c, text, sizeof(text));
		if (strcmp(text, rows[i].search) != 0)
			fail_msg("%s: search \"%s\"", rows[i].text, text);
		resolvers_text(&c, text, sizeof(text));
		if (strcmp(text, rows[i].resolvers) != 0)
			fail_msg("%s: resolvers \"%s\"", rows[i].text, text);
	}
}

static void test_environment(void **state)
{
	static const struct {
		const char *text, *localdomain, *res_options, *hostname, *search;
		unsigned ndots;
	} rows[] = {
		{"", NULL, NULL, NULL, "", 1},
		{"search a.example\n", "b.example", NULL, NULL, "b.example. a.example.", 1},
		{"search a.example\n", "a.example  B.example\tc.example\nd.example", NULL, NULL,
		 "a.example. b.example. c.example. d.example.", 1},
		{"search a.example\n", "", NULL, "web.x.example", "a.example.", 1},
		{"", ". a..b " A63 "a", NULL, "web.x.example", "", 1},
		/* the hostname's domain, where nothing else gives a list */
		{"nameserver 10.0.0.1\n", NULL, NULL, "web.x.example", "x.example.", 1},
		{"search a.example\n", NULL, NULL, "web.x.example", "a.example.", 1},
		{"search\n", NULL, NULL, "web.x.example", "", 1},
		{"", NULL, NULL, "web", "", 1},
		{"", NULL, NULL, "web.", "", 1},
		{"options ndots:5 timeout:1\n", NULL, NULL, NULL, "", 5},
		{"options timeout:1 ndots:3\n", NULL, "ndots:7 attempts:1", NULL, "", 7},
		{"options ndots:0 ndots: ndots:x\n", NULL, "ndots:999999999999999999999", NULL, "",
		 15},
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_resolv_conf c;

		parse(rows[i].text, &c);
		df_resolv_conf_environment(rows[i].localdomain, rows[i].res_options, &c);
		df_resolv_conf_hostname(rows[i].hostname, &c);
		search_text(&c, text, sizeof(text));
		if (strcmp(text, rows[i].search) != 0)
			fail_msg("%zu: search \"%s\"", i, text);
		if (c.ndots != rows[i].ndots)
			fail_msg("%zu: ndots %u", i, c.ndots);
	}
}

static void test_limits(void **state)
{
	struct df_resolv_conf c;
	char text[8192];
	size_t pos = 0;

	(void)state;
	for (unsigned i = 0; i < DF_RESOLV_SERVERS_MAX + 5; i++)
		df_append(text, sizeof(text), &pos, "nameserver 10.0.0.%u\n", i);
	df_append(text, sizeof(text), &pos, "search");
	for (unsigned i = 0; i < DF_RESOLV_SEARCH_MAX + 5; i++)
		df_append(text, sizeof(text), &pos, " d%u.example", i);
	parse(text, &c);
	assert_int_equal(c.n_resolvers, DF_RESOLV_SERVERS_MAX);
	assert_int_equal(c.resolvers[DF_RESOLV_SERVERS_MAX - 1][15], DF_RESOLV_SERVERS_MAX - 1);
	assert_int_equal(c.n_search, DF_RESOLV_SEARCH_MAX);
	/* the environment's are asked first */
	df_resolv_conf_environment("first.example", NULL, &c);
	assert_int_equal(c.n_search, DF_RESOLV_SEARCH_MAX);
	assert_int_equal(c.search[0].wire[1], 'f');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
