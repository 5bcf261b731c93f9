/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is linked to whom: deployfence(1), TRANSIENT DEPENDENCIES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/report/event_read.h"
#include "cli/report/graph.h"
#include "cli/report/report.h"
#include "lib/base/util.h"

#define LINE_MAX 1024

static void add(struct df_aggregate *a, const char *host, const char *line)
{
	assert_int_equal(df_event_read(a, line, strlen(line), host), 0);
	assert_int_equal(a->n_damaged, 0);
}

/* A container with what is written into "container" and behind it. */
static void add_start(struct df_aggregate *a, const char *host, const char *id, const char *box,
		      const char *rest)
{
	char line[LINE_MAX];

	(void)snprintf(line, sizeof(line),
		       "{\"schema\":1,\"time\":\"2026-01-01T00:00:01\",\"event\":\"start\",%s"
		       "\"container\":{\"id\":\"%s\"%s}}",
		       rest, id, box);
	add(a, host, line);
}

static void add_query(struct df_aggregate *a, const char *host, const char *id, const char *domain,
		      const char *rest)
{
	char line[LINE_MAX];

	(void)snprintf(
		line, sizeof(line),
		"{\"schema\":1,\"time\":\"2026-01-01T00:00:05\",\"event\":\"query\",\"domain\":"
		"\"%s\",%s\"container\":{\"id\":\"%s\"}}",
		domain, rest, id);
	add(a, host, line);
}

static void add_blocked(struct df_aggregate *a, const char *id, const char *domain,
			const char *rule)
{
	char line[LINE_MAX];

	(void)snprintf(line, sizeof(line),
		       "{\"schema\":1,\"time\":\"2026-01-01T00:00:05\",\"event\":\"dns_blocked\","
		       "\"blocked\":true,\"blockedAt\":\"dns\",\"domain\":\"%s\",\"rule\":\"%s\","
		       "\"container\":{\"id\":\"%s\"}}",
		       domain, rule, id);
	add(a, "h", line);
}

enum want { NO_LINK, GUESS, CERTAIN };

#define SERVICE(name) "\"annotations\":{\"x-service\":\"" name "\"},"
#define NAMES(names) "\"annotations\":{\"x-names\":\"" names "\"},"
#define OWN(address) "\"addresses\":[\"" address "\"],"
#define ANSWER(address) "\"answers\":[\"" address "\"],"

/* One caller on host "h", one callee; what the caller asked for, and what came back. */
static const struct {
	const char *why, *host, *box, *start, *domain, *rest;
	enum want want;
} links[] = {
	{"declared name", "other", "", SERVICE("svc.example"), "svc.example.", "", CERTAIN},
	{"in another case", "h", "", SERVICE("Svc.Example."), "sVc.example.", "", CERTAIN},
	{"published name", "h", "", NAMES("a.example, b.example c.example"), "c.example.", "",
	 CERTAIN},
	{"name below it", "h", "", SERVICE("svc.example"), "x.svc.example.", "", NO_LINK},
	{"name above it", "h", "", SERVICE("svc.example"), "example.", "", NO_LINK},
	{"alias", "h", "", SERVICE("svc.example"), "www.example.",
	 "\"cname_chain\":[\"svc.example.\"],", CERTAIN},
	{"of a Kubernetes service", "h", ",\"namespace\":\"team\"", SERVICE("svc"),
	 "svc.team.svc.cluster.local.", "", CERTAIN},
	{"in another namespace", "h", ",\"namespace\":\"team\"", SERVICE("svc"),
	 "svc.other.svc.cluster.local.", "", GUESS},
	{"first label of an internal name", "h", "", SERVICE("svc"), "svc.internal.", "", GUESS},
	{"first label of a public name", "h", "", SERVICE("api"), "api.github.com.", "", NO_LINK},
	{"container's name", "h", ",\"name\":\"svc\"", "", "svc.", "", GUESS},
	{"container's name below podman", "h", ",\"name\":\"svc\"", "", "svc.dns.podman.", "",
	 GUESS},
	{"hostname", "h", ",\"hostname\":\"svc\"", "", "svc.", "", GUESS},
	{"pod", "h", ",\"pod\":\"svc-0\"", "", "svc-0.internal.", "", GUESS},
	{"nobody's name", "h", ",\"name\":\"svc\"", "", "other.", "", NO_LINK},
	{"address on one host", "h", "", OWN("10.88.0.3"), "a.example.", ANSWER("10.88.0.3"),
	 CERTAIN},
	{"IPv6 in another form", "h", "", OWN("fd00:0:0::3"), "a.example.", ANSWER("fd00::3"),
	 CERTAIN},
	{"private address of another host", "x", "", OWN("10.88.0.3"), "a.example.",
	 ANSWER("10.88.0.3"), GUESS},
	{"private address of an unknown host", NULL, "", OWN("192.168.0.3"), "a.example.",
	 ANSWER("192.168.0.3"), GUESS},
	{"public address of another host", "x", "", OWN("192.0.2.3"), "a.example.",
	 ANSWER("192.0.2.3"), CERTAIN},
	{"published address", "x", "", NAMES("10.1.1.1"), "a.example.", ANSWER("10.1.1.1"),
	 CERTAIN},
	{"another address", "h", "", OWN("10.88.0.3"), "a.example.", ANSWER("10.88.0.4"), NO_LINK},
	{"loopback", "h", "", OWN("127.0.0.1"), "a.example.", ANSWER("127.0.0.1"), NO_LINK},
	{"link-local", "h", "", OWN("fe80::1"), "a.example.", ANSWER("fe80::1"), NO_LINK},
	{"no address", "h", "", OWN("nonsense"), "a.example.", ANSWER("nonsense"), NO_LINK},
};

static void test_links(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct df_aggregate a = {0};
		struct df_graph g = {.all = &a};
		enum want got;

		add_start(&a, "h", "caller", ",\"name\":\"zz-caller\"", "");
		add_start(&a, links[i].host, "callee", links[i].box, links[i].start);
		add_query(&a, "h", "caller", links[i].domain, links[i].rest);
		df_aggregate_sort(&a);
		assert_int_equal(df_graph_build(&g), 0);
		got = g.n_links == 0 ? NO_LINK : g.links[0].is_guess ? GUESS : CERTAIN;
		if (got != links[i].want || g.n_links > 1 || g.n_chains > 0)
			fail_msg("%s: %d", links[i].why, got);
		df_graph_done(&g);
		df_aggregate_done(&a);
	}
}

/* An address has one owner at a time; two at once leave a guess. */
static void test_moments(void **state)
{
	struct df_aggregate a = {0};
	struct df_graph g = {.all = &a};

	(void)state;
	add_start(&a, "h", "caller", "", "");
	add_query(&a, "h", "caller", "a.example.", ANSWER("10.88.0.3"));
	add(&a, "h",
	    "{\"schema\":1,\"time\":\"2026-01-01T00:00:01\",\"event\":\"start\",\"addresses\":"
	    "[\"10.88.0.3\"],\"container\":{\"id\":\"before\"}}");
	add(&a, "h",
	    "{\"schema\":1,\"time\":\"2026-01-01T00:00:02\",\"event\":\"stop\",\"message\":\"\","
	    "\"container\":{\"id\":\"before\"}}");
	add(&a, "h",
	    "{\"schema\":1,\"time\":\"2026-01-01T00:00:09\",\"event\":\"start\",\"addresses\":"
	    "[\"10.88.0.3\"],\"container\":{\"id\":\"after\"}}");
	df_aggregate_sort(&a);
	assert_int_equal(df_graph_build(&g), 0);
	assert_int_equal(g.n_links, 0);
	df_graph_done(&g);
	g.all = &a;
	add_start(&a, "h", "then", "", OWN("10.88.0.3"));
	df_aggregate_sort(&a);
	assert_int_equal(df_graph_build(&g), 0);
	assert_int_equal(g.n_links, 1);
	assert_false(g.links[0].is_guess);
	assert_string_equal(g.services[g.links[0].to].label, "then");
	df_graph_done(&g);
	g.all = &a;
	add_start(&a, "h", "too", "", OWN("10.88.0.3"));
	df_aggregate_sort(&a);
	assert_int_equal(df_graph_build(&g), 0);
	assert_int_equal(g.n_links, 2);
	assert_true(g.links[0].is_guess && g.links[1].is_guess);
	df_graph_done(&g);
	df_aggregate_done(&a);
}

static char *show(const struct df_aggregate *a)
{
	struct df_report r = {.all = *a};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(df_report_write(out, &r, &df_form_text, DF_VIEW_GRAPH), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("no %s in %s", what, text);
}

static void test_chains(void **state)
{
	struct df_aggregate a = {0};
	_cleanup_free_ char *text = NULL, *other = NULL;

	(void)state;
	add_start(&a, "h", "c1", "", SERVICE("deploy-web"));
	add_start(&a, "h", "c2", "", SERVICE("artifacts.internal"));
	add_start(&a, "h", "c3", ",\"name\":\"mirror\"", OWN("10.88.0.4"));
	add_query(&a, "h", "c1", "artifacts.internal.", "");
	add_query(&a, "h", "c2", "up.example.", ANSWER("10.88.0.4"));
	add_query(&a, "h", "c3", "ok.example.", "");
	df_aggregate_sort(&a);
	other = show(&a);
	assert_has(other, "3 services, 2 links, 0 chains to a blocked name\n");
	add_blocked(&a, "c3", "github.com.", "p.policy:3 block github.com");
	df_aggregate_sort(&a);
	text = show(&a);
	assert_has(text, "3 services, 2 links, 1 chain to a blocked name\n");
	assert_has(text,
		   "\nblocked  deploy-web → artifacts.internal → up.example → github.com      1 "
		   " p.policy:3 block github.com  -\n");
	df_aggregate_done(&a);
}

/* Allowed where it is asked for, blocked for another: by name, or below what a rule blocks. */
static void test_blocked_elsewhere(void **state)
{
	struct df_aggregate a = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	add_start(&a, "h", "c1", "", SERVICE("deploy"));
	add_start(&a, "h", "c2", "", SERVICE("svc.internal"));
	add_query(&a, "h", "c1", "svc.internal.", "");
	add_blocked(&a, "c1", "github.com.", "p.policy:3 block github.com");
	add_blocked(&a, "c1", "one.example.", "p.policy:4 block =one.example");
	add_query(&a, "h", "c2", "github.com.", "");
	add_query(&a, "h", "c2", "api.github.com.", "");
	add_query(&a, "h", "c2", "one.example.", "");
	add_query(&a, "h", "c2", "x.one.example.", "");
	add_query(&a, "h", "c2", "notgithub.com.", "");
	df_aggregate_sort(&a);
	text = show(&a);
	assert_has(text, ", 3 chains to a blocked name\n");
	assert_has(text, "\nallowed  deploy → svc.internal → github.com           1  -     -      "
			 "deploy\n");
	assert_has(text, "\nallowed  deploy → svc.internal → api.github.com?      1 ");
	assert_has(text, "\nallowed  deploy → svc.internal → one.example          1 ");
	df_aggregate_done(&a);
}

/* Refused contacts reached nobody; circles end; containers of one service are one. */
static void test_walk(void **state)
{
	struct df_aggregate a = {0};
	struct df_graph g = {.all = &a};

	(void)state;
	add_start(&a, "h", "c1", "", SERVICE("a.internal"));
	add_start(&a, "h", "c2", "", SERVICE("b.internal"));
	add_start(&a, "h", "c3", "", SERVICE("b.internal"));
	add_start(&a, "h", "c4", "", SERVICE("c.internal"));
	add_query(&a, "h", "c1", "b.internal.", "");
	add_query(&a, "h", "c2", "a.internal.", "");
	add_query(&a, "h", "c3", "b.internal.", "");
	add_blocked(&a, "c3", "c.internal.", "p.policy:1 block internal");
	add_blocked(&a, "c3", "github.com.", "p.policy:3 block github.com");
	df_aggregate_sort(&a);
	assert_int_equal(df_graph_build(&g), 0);
	assert_int_equal(g.n_services, 3);
	assert_int_equal(g.n_links, 2);
	/* from a, the first of the circle that nobody enters: c.internal, github.com */
	assert_int_equal(g.n_chains, 2);
	assert_int_equal(g.chains[0].n, 1);
	assert_false(g.is_cut);
	df_graph_done(&g);
	df_aggregate_done(&a);
}

/* Every service calls every other: bounded, and said so. */
static void test_bounds(void **state)
{
	struct df_aggregate a = {0};
	struct df_graph g = {.all = &a};
	char id[16], start[128], domain[32];

	(void)state;
	for (int i = 0; i < 24; i++) {
		(void)snprintf(id, sizeof(id), "c%d", i);
		(void)snprintf(start, sizeof(start), SERVICE("s%d.internal"), i);
		add_start(&a, "h", id, "", start);
		for (int k = 0; k < 24; k++) {
			(void)snprintf(domain, sizeof(domain), "s%d.internal.", k);
			add_query(&a, "h", id, domain, "");
		}
		add_blocked(&a, id, "github.com.", "p.policy:3 block github.com");
	}
	df_aggregate_sort(&a);
	assert_int_equal(df_graph_build(&g), 0);
	assert_int_equal(g.n_links, 24 * 23);
	assert_int_equal(g.n_chains, DF_GRAPH_CHAINS_MAX);
	assert_true(g.is_cut);
	df_graph_done(&g);
	df_aggregate_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),  cmocka_unit_test(test_moments),
		cmocka_unit_test(test_chains), cmocka_unit_test(test_blocked_elsewhere),
		cmocka_unit_test(test_walk),   cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
