/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event: the published line, its JSON twin, and hostile names and command lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/util.h"
#include "lib/event/event.h"

static char text[DF_EVENT_TEXT_MAX], json[DF_EVENT_JSON_MAX];

static struct df_job job = {.id = "4f1c", .policy = "default", .mode = DF_MODE_ENFORCE};

static struct df_identity curl(void)
{
	struct df_identity who = {.state = DF_IDENTITY_OK, .pid = 266767, .comm = "curl"};

	who.cmd_len = (uint16_t)snprintf(who.cmd, sizeof(who.cmd), "curl github.com ");
	return who;
}

static struct df_event_line refusal(const struct df_identity *who)
{
	return (struct df_event_line){
		.event = "dns_blocked",
		.reason = "FromDNSRequest",
		.is_refusal = true,
		.is_blocked = true,
		.at = DF_AT_DNS,
		.domain = "github.com.",
		.who = who,
		.rule = "default.policy:3 block github.com",
		.rule_owner = "team-deploy@example",
		.hint = "ask #deploy-platform",
	};
}

static void test_published_line(void **state)
{
	const struct df_identity who = curl();
	struct df_event_line e = refusal(&who);

	(void)state;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text,
			    "WARN DNS BLOCKED reason=FromDNSRequest blocked=true blockedAt=dns "
			    "domain=github.com. pid=266767 cmd=\"curl github.com \" "
			    "firewallMethod=blocklist rule=\"default.policy:3 block github.com\" "
			    "rule_owner=\"team-deploy@example\" container=4f1c "
			    "hint=\"ask #deploy-platform\"");
	e.is_allowlist = true;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_non_null(strstr(text, "\" firewallMethod=allowlist rule="));
	(void)df_event_json(&e, &job, json, sizeof(json));
	assert_non_null(strstr(json, "\"firewallMethod\":\"allowlist\""));
	e.is_blocked = false;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_non_null(strstr(text, "INFO DNS BLOCKED reason=FromDNSRequest blocked=false "
				     "would_block=true blockedAt=dns domain=github.com. "));
}

static struct df_json *parse(void)
{
	char error[DF_JSON_ERROR_MAX];
	struct df_json *doc = NULL;

	if (df_json_parse(json, strlen(json), sizeof(json), &doc, error) != 0)
		fail_msg("%s: %s", error, json);
	return doc;
}

static void test_json(void **state)
{
	const struct df_identity who = curl();
	const struct df_event_line e = refusal(&who);
	struct df_json *doc;
	int64_t n;

	(void)state;
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_int_equal(df_json_int(df_json_get(doc, "schema"), &n), 0);
	assert_int_equal(n, DF_EVENT_SCHEMA);
	assert_string_equal(df_json_string(df_json_get(doc, "event")), "dns_blocked");
	assert_string_equal(df_json_string(df_json_get(doc, "domain")), "github.com.");
	assert_string_equal(df_json_string(df_json_get(doc, "cmd")), "curl github.com ");
	assert_int_equal(df_json_int(df_json_get(doc, "pid"), &n), 0);
	assert_int_equal(n, 266767);
	assert_string_equal(df_json_string(df_json_get(df_json_get(doc, "container"), "id")),
			    "4f1c");
	df_json_free(doc);
}

/* As the journal gets it: with one field and without another. */
static void expect_fields(const struct df_event_line *e, const char *with, const char *without)
{
	size_t n = df_event_journal(e, &job, 4, "text", json, sizeof(json) - 1);

	json[n] = '\0';
	assert_non_null(strstr(json, with));
	assert_null(strstr(json, without));
}

/* The owner of the rule and the owner of the job are two persons, each with a key. */
static void test_owners(void **state)
{
	const struct df_identity who = curl();
	struct df_event_line e = refusal(&who);
	struct df_json *doc;

	(void)state;
	(void)snprintf(job.name, sizeof(job.name), "web-42");
	(void)snprintf(job.owner, sizeof(job.owner), "team-web");
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_non_null(strstr(text, " rule=\"default.policy:3 block github.com\" "
				     "rule_owner=\"team-deploy@example\" container=4f1c "
				     "name=\"web-42\" owner=\"team-web\" hint="));
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_string_equal(df_json_string(df_json_get(doc, "rule_owner")), "team-deploy@example");
	assert_string_equal(df_json_string(df_json_get(doc, "owner")), "team-web");
	df_json_free(doc);
	expect_fields(&e, "\nDEPLOYFENCE_RULE_OWNER=team-deploy@example\n",
		      "DEPLOYFENCE_OWNER=team-deploy");
	expect_fields(&e, "\nDEPLOYFENCE_OWNER=team-web\n", "DEPLOYFENCE_RULE_OWNER=team-web");
	job.name[0] = job.owner[0] = '\0';
}

/* What an answer said and was not learned: an address as such, and no verdict. */
static void test_note(void **state)
{
	static const uint8_t addr[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	const struct df_event_line e = {
		.event = "pin_ignored",
		.reason = "Private",
		.is_note = true,
		.is_warning = true,
		.domain = "github.com.",
		.addr = addr,
		.message = "why",
	};
	struct df_json *doc;

	(void)state;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text, "WARN pin_ignored reason=Private domain=github.com. ip=10.0.0.1 "
				  "container=4f1c message=\"why\"");
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_string_equal(df_json_string(df_json_get(doc, "ip")), "10.0.0.1");
	assert_null(df_json_get(doc, "port"));
	assert_null(df_json_get(doc, "blocked"));
	assert_null(df_json_get(doc, "firewallMethod"));
	df_json_free(doc);
	expect_fields(&e, "\nDEPLOYFENCE_IP=10.0.0.1\n", "DEPLOYFENCE_PORT");
}

/* An address that only the policy beside is against. */
static void test_shadow_address(void **state)
{
	static const uint8_t addr[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	const struct df_identity who = curl();
	const struct df_event_line e = {
		.event = "shadow",
		.reason = "AddressRule",
		.is_shadow = true,
		.would_block = true,
		.is_allowlist = true,
		.addr = addr,
		.port = 443,
		.who = &who,
		.rule = "next.policy:1 block 10.0.0.1",
		.count = 2,
	};
	struct df_json *doc;

	(void)state;
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_string_equal(df_json_string(df_json_get(doc, "firewallMethod")), "allowlist");
	assert_true(df_json_is_true(df_json_get(doc, "would_block")));
	assert_null(df_json_get(doc, "blocked"));
	df_json_free(doc);
}

/* Behind the keys of the published line. */
static void test_socket(void **state)
{
	const struct df_identity who = curl();
	struct df_event_line e = refusal(&who);

	(void)state;
	e.event = "socket_blocked";
	e.reason = "RawSocket";
	e.at = DF_AT_CONNECT;
	e.domain = e.rule = e.rule_owner = e.hint = NULL;
	e.socket = "AF_INET SOCK_RAW 1";
	e.count = 2;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text,
			    "WARN CONNECT BLOCKED reason=RawSocket blocked=true blockedAt=connect "
			    "pid=266767 cmd=\"curl github.com \" firewallMethod=blocklist "
			    "container=4f1c socket=\"AF_INET SOCK_RAW 1\" count=2");
}

/* A name at a port that an HTTP proxy was asked for, by somebody who is gone. */
static void test_proxy(void **state)
{
	static const uint8_t proxy[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	const struct df_identity who = {
		.state = DF_IDENTITY_GONE, .pid = 7, .tid = 7, .uid = DF_UID_UNKNOWN};
	struct df_event_line e = {
		.event = "proxy_blocked",
		.reason = "FromProxyRequest",
		.is_refusal = true,
		.is_blocked = true,
		.at = DF_AT_PROXY,
		.domain = "github.com.",
		.port = 443,
		.who = &who,
		.proxy = proxy,
		.proxy_port = 3128,
	};
	struct df_json *doc;
	int64_t n;

	(void)state;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text, "WARN PROXY BLOCKED reason=FromProxyRequest blocked=true "
				  "blockedAt=proxy domain=github.com. port=443 pid=7 cmd=\"\" "
				  "firewallMethod=blocklist container=4f1c attribution=gone "
				  "proxy=10.0.0.1 proxy_port=3128");
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_null(df_json_get(doc, "ip"));
	assert_null(df_json_get(doc, "uid"));
	assert_int_equal(df_json_int(df_json_get(doc, "port"), &n), 0);
	assert_int_equal(n, 443);
	assert_string_equal(df_json_string(df_json_get(doc, "proxy")), "10.0.0.1");
	df_json_free(doc);

	/* an address that is let through is judged as well */
	e.event = "proxy_request";
	e.reason = e.domain = NULL;
	e.is_refusal = e.is_blocked = false;
	e.addr = proxy;
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"blocked\":false"));
	assert_non_null(strstr(json, "\"firewallMethod\":\"blocklist\""));
}

/* Whatever a container sends: one line of text, and valid JSON. */
static void test_hostile(void **state)
{
	static const char *const commands[] = {
		"evil\nWARN DNS BLOCKED reason=Forged",
		"\033[31mred\033[0m \007",
		"quote \" backslash \\ end",
		"\xff\xfe invalid",
		"cut \xc3",
		"C1 \xc2\x9b csi",
		"bidi \xe2\x80\xae reversed",
		"del \x7f",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct df_identity who = curl();
		struct df_event_line e;

		who.cmd_len = (uint16_t)snprintf(who.cmd, sizeof(who.cmd), "%s", commands[i]);
		who.n_ancestors = 1;
		(void)snprintf(who.ancestors[0].cmd, sizeof(who.ancestors[0].cmd), "%s",
			       commands[i]);
		e = refusal(&who);
		e.domain = NULL;
		(void)df_event_text(&e, &job, text, sizeof(text));
		assert_true(df_is_printable(text, strlen(text)));
		assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
		assert_true(df_is_printable(json, strlen(json)));
		df_json_free(parse());
	}
}

/* Never more than the buffer; a verdict is told even if what surrounds it does not fit. */
static void test_large(void **state)
{
	struct df_identity who = curl();
	struct df_event_line e;
	static struct df_job large;

	(void)state;
	large = job;
	large.n_x = DF_JOB_X_MAX;
	for (unsigned i = 0; i < large.n_x; i++) {
		(void)snprintf(large.x[i].key, sizeof(large.x[i].key), "x-%u", i);
		memset(large.x[i].value, '\001', sizeof(large.x[i].value) - 1);
	}
	who.n_ancestors = DF_EVENT_ANCESTORS_MAX;
	for (unsigned i = 0; i < who.n_ancestors; i++)
		memset(who.ancestors[i].cmd, '\002', sizeof(who.ancestors[i].cmd));
	memset(who.cmd, '\003', sizeof(who.cmd));
	who.cmd_len = sizeof(who.cmd);
	e = refusal(&who);
	assert_true(df_event_json(&e, &large, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"domain\":\"github.com.\""));
	df_json_free(parse());
	for (size_t size = 1; size < 400; size++) {
		char *small = test_malloc(size);

		assert_true(df_event_text(&e, &large, small, size) < size);
		assert_true(df_event_json(&e, &large, small, size) < size);
		test_free(small);
	}
}

static void test_unknown_asker(void **state)
{
	struct df_identity who = curl();
	struct df_event_line e;

	(void)state;
	who.state = DF_IDENTITY_GONE;
	who.cmd_len = 0;
	e = refusal(&who);
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_non_null(strstr(text, " pid=266767 cmd=\"curl\" "));
	assert_non_null(strstr(text, " attribution=gone"));
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"attribution\":\"gone\""));
}

/* Programs read the numbers, people the sentence. */
static void test_totals(void **state)
{
	struct df_event_totals totals = {.queries = 9, .refused = 7, .sinkhole_probes = 1};
	const struct df_event_line e = {
		.event = "stop", .message = "container ended: 9 queries", .totals = &totals};
	const struct df_json *in;
	struct df_json *doc;
	int64_t n;

	(void)state;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text,
			    "INFO stop container=4f1c message=\"container ended: 9 queries\"");
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	in = df_json_get(doc, "totals");
	assert_int_equal(df_json_len(in), 12);
	assert_int_equal(df_json_int(df_json_get(in, "refused"), &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(df_json_int(df_json_get(in, "lost"), &n), 0);
	assert_int_equal(n, 0);
	assert_null(df_json_get(doc, "lost"));
	df_json_free(doc);
	totals.lost = 3;
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"lost\":3,\"totals\":{"));
}

static void test_finding(void **state)
{
	const struct df_event_line e = {.event = "finding",
					.is_warning = true,
					.finding = "engine-socket",
					.seen = "mount /x\n\"y\"",
					.remedy = "do not"};
	struct df_json *doc;

	(void)state;
	(void)df_event_text(&e, &job, text, sizeof(text));
	assert_string_equal(text,
			    "WARN finding finding=engine-socket seen=\"mount /x\\n\\\"y\\\"\" "
			    "remedy=\"do not\" container=4f1c");
	assert_true(df_event_json(&e, &job, json, sizeof(json)) > 0);
	doc = parse();
	assert_string_equal(df_json_string(df_json_get(doc, "finding")), "engine-socket");
	assert_string_equal(df_json_string(df_json_get(doc, "seen")), "mount /x\n\"y\"");
	assert_string_equal(df_json_string(df_json_get(doc, "remedy")), "do not");
	df_json_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_line), cmocka_unit_test(test_json),
		cmocka_unit_test(test_owners),         cmocka_unit_test(test_note),
		cmocka_unit_test(test_shadow_address), cmocka_unit_test(test_socket),
		cmocka_unit_test(test_proxy),          cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_large),          cmocka_unit_test(test_unknown_asker),
		cmocka_unit_test(test_finding),        cmocka_unit_test(test_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
