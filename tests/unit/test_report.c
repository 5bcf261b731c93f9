/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/line_reader.h"
#include "cli/report/event_read.h"
#include "cli/text.h"
#include "lib/base/util.h"

#define BOX "\"container\":{\"id\":\"c1\"},\"policy\":\"p\",\"mode\":\"enforce\""
#define HEAD(time, event) "{\"schema\":1,\"time\":\"" time "\",\"event\":\"" event "\","
#define BLOCKED(time, event, cmd, rest)                                                            \
	HEAD(time, event)                                                                          \
	"\"blocked\":true,\"blockedAt\":\"dns\",\"domain\":\"github.com.\",\"cmd\":\"" cmd         \
	"\",\"rule\":\"p:1 block github.com\"," rest BOX "}"

static void add(struct df_aggregate *a, const char *line)
{
	assert_int_equal(df_event_read(a, line, strlen(line), NULL), 0);
}

static void test_counts(void **state)
{
	struct df_aggregate a = {0};
	const struct df_report_container *c;

	(void)state;
	add(&a, HEAD("2026-01-01T00:00:01.000000Z", "start") "\"message\":\"x\"," BOX "}");
	add(&a, BLOCKED("2026-01-01T00:00:02.000000Z", "dns_blocked", "curl x ", ""));
	add(&a,
	    HEAD("2026-01-01T00:00:03.000000Z", "query") "\"blocked\":false,\"domain\":"
							 "\"ok.example.\",\"cmd\":\"a \"," BOX "}");
	add(&a, BLOCKED("2026-01-01T00:00:04.000000Z", "summary", "curl x ", "\"count\":5,"));
	add(&a, BLOCKED("2026-01-01T00:00:05.000000Z", "dns_blocked", "wget x ", ""));
	df_aggregate_sort(&a);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.n_damaged, 0);
	c = a.list[0];
	assert_true(c->is_whole);
	assert_string_equal(c->first, "2026-01-01T00:00:01.000000Z");
	assert_string_equal(c->last, "2026-01-01T00:00:05.000000Z");
	assert_int_equal(c->n_queries, 8);
	assert_int_equal(c->n_blocked, 7);
	assert_int_equal(c->n_would_block, 0);
	assert_int_equal(c->n, 3);
	assert_int_equal(c->rows[0]->verdict, DF_ROW_BLOCKED);
	assert_int_equal(c->rows[0]->count, 6);
	assert_string_equal(c->rows[0]->cmd, "curl x");
	assert_string_equal(c->rows[0]->rule, "p:1 block github.com");
	assert_null(c->rows[0]->owner);
	assert_string_equal(c->rows[1]->cmd, "wget x");
	assert_int_equal(c->rows[2]->verdict, DF_ROW_ALLOWED);
	assert_string_equal(c->rows[2]->domain, "ok.example.");
	df_aggregate_done(&a);
}

/* Lines of a rotated file may come last; an id with another policy is what it was last. */
static void test_order(void **state)
{
	struct df_aggregate a = {0};

	(void)state;
	add(&a, HEAD("2026-01-01T00:00:09.000000Z", "stop") "\"message\":\"x\"," BOX "}");
	assert_false(a.list[0]->is_whole);
	add(&a, "{\"schema\":1,\"time\":\"2026-01-01T00:00:01.000000Z\",\"event\":\"start\","
		"\"message\":\"x\",\"container\":{\"id\":\"c1\"},\"policy\":\"old\",\"mode\":"
		"\"audit\"}");
	add(&a, "{\"schema\":1,\"time\":\"2025-01-01T00:00:01.000000Z\",\"event\":\"later\","
		"\"container\":{\"id\":\"c0\"}}");
	df_aggregate_sort(&a);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.list[0]->id, "c0");
	assert_string_equal(a.list[1]->policy, "p");
	assert_string_equal(a.list[1]->mode, "enforce");
	assert_true(a.list[1]->is_whole);
	df_aggregate_done(&a);
}

static void test_audit_owner_connection(void **state)
{
	struct df_aggregate a = {0};
	const struct df_report_container *c;

	(void)state;
	add(&a, HEAD("t", "dns_blocked") "\"blocked\":false,\"would_block\":true,\"blockedAt\":"
					 "\"dns\",\"domain\":\"a.\",\"cmd\":\"x \",\"annotations\":"
					 "{\"owner\":\"team\"},\"rule\":\"p:1 block "
					 "a\",\"rule_owner\":\"net\",\"owner\":\"team\"," BOX "}");
	add(&a, HEAD("t", "connect_blocked") "\"blocked\":true,\"blockedAt\":\"connect\",\"ip\":"
					     "\"127.192.0.1\",\"port\":53,\"count\":3,\"reason\":"
					     "\"ReservedAddress\"," BOX "}");
	add(&a, HEAD("t", "unobserved") "\"ip\":\"::1\",\"port\":53,\"count\":2,\"reason\":"
					"\"NoHeartbeat\"," BOX "}");
	add(&a, HEAD("t", "socket_blocked") "\"blocked\":true,\"blockedAt\":\"connect\",\"reason\":"
					    "\"RawSocket\",\"count\":1," BOX "}");
	assert_false(a.list[0]->has_gaps);
	add(&a, HEAD("t", "suppressed") "\"message\":\"x\"," BOX "}");
	assert_true(a.list[0]->has_gaps);
	df_aggregate_sort(&a);
	c = a.list[0];
	assert_int_equal(c->n, 4);
	assert_int_equal(c->n_would_block, 1);
	assert_int_equal(c->n_blocked, 0);
	assert_int_equal(c->n_connections, 6);
	assert_int_equal(c->rows[0]->verdict, DF_ROW_WOULD_BLOCK);
	assert_string_equal(c->rows[0]->owner, "team");
	assert_string_equal(c->rows[0]->rule_owner, "net");
	assert_null(c->rows[1]->ip);
	assert_string_equal(c->rows[1]->reason, "RawSocket");
	assert_string_equal(c->rows[2]->ip, "127.192.0.1");
	assert_int_equal(c->rows[2]->port, 53);
	assert_string_equal(c->rows[2]->at, "connect");
	assert_string_equal(c->rows[2]->reason, "ReservedAddress");
	assert_int_equal(c->rows[3]->verdict, DF_ROW_UNOBSERVED);
	assert_int_equal(c->rows[3]->count, 2);
	df_aggregate_done(&a);
}

static void assert_target(const struct df_row *row, const char *want)
{
	char target[DF_ROW_TARGET_MAX];

	df_row_target(row, target, sizeof(target));
	assert_string_equal(target, want);
}

/* What is no query: a name read out of a connection, an address with the name it belongs to. */
static void test_other_refusals(void **state)
{
	struct df_aggregate a = {0};
	const struct df_report_container *c;

	(void)state;
	add(&a, HEAD("t", "tls_blocked") "\"blocked\":true,\"blockedAt\":\"tls\",\"domain\":"
					 "\"a.\",\"ip\":\"192.0.2.1\",\"port\":443," BOX "}");
	add(&a, HEAD("t", "not_known_yet") "\"blocked\":true,\"blockedAt\":\"proxy\","
					   "\"domain\":\"b.\"," BOX "}");
	add(&a, HEAD("t", "shared_address") "\"blocked\":false,\"domain\":\"c.\",\"ip\":"
					    "\"192.0.2.2\",\"port\":443,\"count\":1," BOX "}");
	add(&a, HEAD("t", "connect_probe") "\"blocked\":false,\"ip\":\"192.0.2.3\",\"port\":"
					   "443,\"count\":2," BOX "}");
	add(&a, HEAD("t", "shadow") "\"would_block\":true,\"domain\":\"d.\"," BOX "}");
	add(&a, HEAD("t", "shadow") "\"would_block\":false,\"domain\":\"e.\"," BOX "}");
	add(&a, HEAD("t", "proxy_request") "\"blocked\":false,\"domain\":\"p.\",\"port\":443,"
					   "\"proxy\":\"192.0.2.9\",\"proxy_port\":3128," BOX "}");
	add(&a, HEAD("t", "summary") "\"blocked\":false,\"domain\":\"p.\",\"port\":443,\"count\":2,"
				     "\"proxy\":\"192.0.2.9\",\"proxy_port\":3128," BOX "}");
	add(&a, HEAD("t", "socket_blocked") "\"blocked\":true,\"blockedAt\":\"connect\",\"socket\":"
					    "\"AF_PACKET SOCK_RAW 3\",\"count\":1," BOX "}");
	df_aggregate_sort(&a);
	c = a.list[0];
	assert_int_equal(a.n_damaged, 0);
	assert_int_equal(c->n, 7);
	assert_int_equal(c->n_queries, 0);
	assert_int_equal(c->n_connections, 3);
	assert_int_equal(c->n_proxied, 3);
	assert_target(c->rows[0], "a 192.0.2.1:443");
	assert_target(c->rows[2], "p:443");
	assert_string_equal(c->rows[2]->at, "proxy");
	assert_int_equal(c->rows[2]->count, 3);
	assert_target(c->rows[3], "AF_PACKET SOCK_RAW 3");
	assert_int_equal(c->n_probes, 2);
	assert_string_equal(c->rows[0]->domain, "a.");
	assert_string_equal(c->rows[0]->at, "tls");
	assert_string_equal(c->rows[1]->at, "proxy");
	/* the name there is not what was asked for */
	assert_int_equal(c->rows[4]->kind, DF_ROW_CONNECTION);
	assert_null(c->rows[4]->domain);
	assert_int_equal(c->rows[4]->verdict, DF_ROW_ALLOWED);
	assert_target(c->rows[4], "192.0.2.2:443");
	assert_int_equal(c->rows[5]->kind, DF_ROW_SHADOW);
	assert_int_equal(c->rows[5]->verdict, DF_ROW_WOULD_BLOCK);
	assert_int_equal(c->rows[6]->verdict, DF_ROW_ALLOWED);
	df_aggregate_done(&a);
}

static void test_life(void **state)
{
	struct df_aggregate a = {0};
	const struct df_report_container *c;

	(void)state;
	add(&a, HEAD("1",
		     "start") "\"message\":\"x\",\"addresses\":[\"10.0.0.1\",\"10.0.0.1\"],"
			      "\"annotations\":{\"owner\":\"me\",\"x-a\":\"b\",\"y\":\"z\"},"
			      "\"container\":{\"id\":\"c1\",\"hostname\":\"h\"},\"policy\":\"p\"}");
	add(&a, HEAD("2", "addresses") "\"message\":\"x\",\"addresses\":[\"::1\"]," BOX "}");
	for (int i = 0; i < 2; i++)
		add(&a, HEAD("3", "finding") "\"finding\":\"http-proxy\",\"seen\":\"s\",\"remedy\":"
					     "\"r\"," BOX "}");
	add(&a, HEAD("3", "worker_restarted") "\"message\":\"restart 1\"," BOX "}");
	add(&a,
	    HEAD("3", "pin_ignored") "\"domain\":\"a.\",\"ip\":\"::1\",\"message\":\"m\"," BOX "}");
	add(&a, HEAD("4", "suppressed") "\"count\":7,\"message\":\"x\"," BOX "}");
	add(&a, HEAD("5", "suppressed") "\"count\":5,\"message\":\"x\"," BOX "}");
	/* of a version without the key: how many is not known */
	add(&a, HEAD("5", "suppressed") "\"message\":\"9 events over the rate\"," BOX "}");
	add(&a, HEAD("6", "stop") "\"message\":\"container ended\",\"totals\":{\"queries\":9,"
				  "\"refused\":8,\"lost\":1,\"dropped\":2,\"malformed\":3,"
				  "\"mismatched\":4,\"stray\":5,\"unlogged\":6,\"unshown\":7}," BOX
				  "}");
	df_aggregate_sort(&a);
	c = a.list[0];
	assert_string_equal(c->hostname, "h");
	assert_string_equal(c->owner, "me");
	assert_int_equal(c->n_x, 2);
	assert_string_equal(c->x[1].value, "b");
	assert_int_equal(c->addresses.n, 2);
	assert_int_equal(c->n_notes, 3);
	assert_string_equal(c->notes[0].what, "http-proxy");
	assert_string_equal(c->notes[0].text, "s");
	assert_int_equal(c->notes[0].count, 2);
	assert_string_equal(c->notes[2].text, "a. ::1: m");
	assert_int_equal(c->n_suppressed, 12);
	assert_true(c->has_gaps);
	assert_true(c->is_ended);
	/* it was started again */
	add(&a, HEAD("7", "start") "\"message\":\"x\"," BOX "}");
	assert_false(c->is_ended);
	assert_int_equal(c->stop_queries, 9);
	assert_int_equal(c->stop_refused, 8);
	assert_int_equal(c->lost[DF_LOSS_EVENTS], 1);
	assert_int_equal(c->lost[DF_LOSS_DROPPED], 2);
	assert_int_equal(c->lost[DF_LOSS_MALFORMED], 3);
	assert_int_equal(c->lost[DF_LOSS_MISMATCHED], 4);
	assert_int_equal(c->lost[DF_LOSS_STRAY], 5);
	assert_int_equal(c->lost[DF_LOSS_UNLOGGED], 6);
	assert_int_equal(c->lost[DF_LOSS_UNSHOWN], 7);
	/* of a version without totals: its other counts are not known */
	add(&a, HEAD("8", "stop") "\"message\":\"container ended: 4 queries\",\"lost\":3," BOX "}");
	assert_int_equal(c->stop_queries, 9);
	assert_int_equal(c->lost[DF_LOSS_EVENTS], 4);
	assert_int_equal(c->n, 0);
	df_aggregate_done(&a);
}

#define ASKED(time, domain, cmd, rest)                                                             \
	HEAD(time, "query")                                                                        \
	"\"blocked\":false,\"domain\":\"" domain "\",\"cmd\":\"" cmd "\"," rest BOX "}"

#define FINDING(time, name, seen)                                                                  \
	HEAD(time, "finding")                                                                      \
	"\"finding\":\"" name "\",\"seen\":\"" seen "\",\"remedy\":\"r\"," BOX "}"

static void test_findings(void **state)
{
	static const char damaged[] = HEAD("t", "finding") "\"finding\":\"x\"," BOX "}";
	struct df_aggregate a = {0};
	const struct df_report_container *c;

	(void)state;
	add(&a, FINDING("t", "cap-net-raw", "CAP_NET_RAW"));
	add(&a, FINDING("t", "host-cgroup", "mount /sys"));
	add(&a, FINDING("z", "cap-net-raw", "again")); /* it was restarted */
	c = a.list[0];
	assert_int_equal(c->n, 0);
	assert_int_equal(c->n_notes, 2);
	assert_string_equal(c->notes[0].what, "cap-net-raw");
	assert_string_equal(c->notes[0].text, "again");
	assert_string_equal(c->notes[0].remedy, "r");
	assert_string_equal(c->notes[1].what, "host-cgroup");
	assert_int_equal(a.n_damaged, 0);
	assert_int_equal(df_event_read(&a, damaged, strlen(damaged), NULL), -EBADMSG);
	df_aggregate_done(&a);
}

/* The best that is known of a name and command counts; who is gone says nothing. */
static void test_classes(void **state)
{
	static const char deploy[] = "\"ancestry\":[{\"pid\":1,\"comm\":\"sh\",\"cmd\":"
				     "\"sh ./d.sh a.example\"}],";
	struct df_aggregate a = {0};
	char line[1024], longest[1100];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[1023] = '\0';
	(void)snprintf(line, sizeof(line), ASKED("1", "a.example.", "tool ", "%s"), deploy);
	add(&a, line);
	(void)snprintf(line, sizeof(line), ASKED("1", "b.other.", "tool ", "%s"), deploy);
	add(&a, line);
	add(&a, ASKED("1", "c.other.", "tool ", ""));
	add(&a, ASKED("1", "d.other.", "tool ", "\"attribution\":\"gone\",\"ancestry\":[],"));
	add(&a, ASKED("1", "e.other.", "tool ", "\"ancestry\":[],"));
	add(&a, ASKED("2", "e.other.", "tool ", ""));
	df_aggregate_sort(&a);
	assert_int_equal(a.list[0]->n, 5);
	assert_int_equal(a.list[0]->rows[0]->class, DF_CLASS_DIRECT);
	assert_string_equal(a.list[0]->rows[0]->script, "./d.sh");
	assert_int_equal(a.list[0]->rows[0]->ancestry.n, 1);
	assert_int_equal(a.list[0]->rows[1]->class, DF_CLASS_HIDDEN);
	assert_int_equal(a.list[0]->rows[2]->class, DF_CLASS_UNKNOWN);
	assert_null(a.list[0]->rows[2]->script);
	assert_int_equal(a.list[0]->rows[3]->class, DF_CLASS_UNKNOWN);
	assert_int_equal(a.list[0]->rows[4]->class, DF_CLASS_HIDDEN);
	assert_int_equal(a.list[0]->rows[4]->count, 2);
	assert_string_equal(a.list[0]->rows[4]->first, "1");
	assert_string_equal(a.list[0]->rows[4]->last, "2");
	df_aggregate_done(&a);
}

/* A command line that was cut may have held the name. */
static void test_cut(void **state)
{
	struct df_aggregate a = {0};
	char line[4096], longest[1024];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	(void)snprintf(line, sizeof(line), ASKED("1", "a.example.", "%s", "\"ancestry\":[],"),
		       longest);
	add(&a, line);
	longest[sizeof(longest) - 3] = '\0';
	(void)snprintf(line, sizeof(line), ASKED("1", "a.example.", "%s", "\"ancestry\":[],"),
		       longest);
	add(&a, line);
	longest[158] = '\0';
	(void)snprintf(line, sizeof(line),
		       ASKED("1", "a.example.", "x", "\"ancestry\":[{\"cmd\":\"%s\"}],"), longest);
	add(&a, line);
	assert_int_equal(a.list[0]->rows[0]->class, DF_CLASS_UNKNOWN);
	assert_int_equal(a.list[0]->rows[1]->class, DF_CLASS_HIDDEN);
	assert_int_equal(a.list[0]->rows[2]->class, DF_CLASS_UNKNOWN);
	df_aggregate_done(&a);
}

/* The start tells who it is, however old; what else is older does not count. */
static void test_since(void **state)
{
	struct df_aggregate a = {.since = "2026-01-02"};

	(void)state;
	add(&a,
	    HEAD("2026-01-01T", "start") "\"message\":\"x\",\"container\":{\"id\":\"c1\","
					 "\"name\":\"n\"},\"policy\":\"p\",\"mode\":\"audit\"}");
	add(&a, ASKED("2026-01-01T", "old.example.", "x", ""));
	add(&a, ASKED("2026-01-02T", "new.example.", "x", ""));
	add(&a, HEAD("2026-01-01T", "start") "\"message\":\"x\",\"container\":{\"id\":\"c2\"},"
					     "\"policy\":\"p\",\"mode\":\"audit\"}");
	df_aggregate_sort(&a);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.list[0]->name, "n");
	assert_int_equal(a.list[0]->n, 1);
	assert_string_equal(a.list[0]->rows[0]->domain, "new.example.");
	df_aggregate_done(&a);
}

/* What a hostile file can make us keep. */
static void test_bounds(void **state)
{
	struct df_aggregate a = {0};
	char line[512];

	(void)state;
	for (unsigned i = 0; i < DF_AGGREGATE_CONTAINERS_MAX + 5; i++) {
		(void)snprintf(
			line, sizeof(line),
			HEAD("t", "query") "\"domain\":\"n.\",\"container\":{\"id\":\"c%u\"}}", i);
		add(&a, line);
	}
	assert_int_equal(a.n, DF_AGGREGATE_CONTAINERS_MAX);
	assert_int_equal(a.n_left_out, 5);
	for (unsigned i = 0; i < DF_AGGREGATE_ROWS_MAX; i++) {
		(void)snprintf(
			line, sizeof(line),
			HEAD("t", "query") "\"domain\":\"n%u.\",\"container\":{\"id\":\"c0\"}}", i);
		add(&a, line);
	}
	assert_int_equal(a.n_rows, DF_AGGREGATE_ROWS_MAX);
	assert_int_equal(a.n_left_out, 5 + DF_AGGREGATE_CONTAINERS_MAX);
	/* what is known goes on counting */
	add(&a, HEAD("t", "query") "\"domain\":\"n1.\",\"container\":{\"id\":\"c0\"}}");
	assert_int_equal(a.n_left_out, 5 + DF_AGGREGATE_CONTAINERS_MAX);
	for (unsigned i = 0; i < DF_AGGREGATE_NOTES_MAX + 1; i++) {
		(void)snprintf(line, sizeof(line),
			       HEAD("t", "x") "\"message\":\"%u\",\"container\":{\"id\":\"c0\"}}",
			       i);
		add(&a, line);
	}
	assert_int_equal(df_aggregate_find(&a, "c0")->n_notes, DF_AGGREGATE_NOTES_MAX);
	assert_int_equal(a.n_left_out, 6 + DF_AGGREGATE_CONTAINERS_MAX);
	df_aggregate_sort(&a);
	df_aggregate_done(&a);
}

static const struct {
	const char *line, *why;
} damaged[] = {
	{"", "empty"},
	{"not JSON", "no JSON"},
	{"[]", "no object"},
	{HEAD("t", "query") "\"domain\":\"a.\"," BOX, "cut"},
	{"{\"schema\":2,\"time\":\"t\",\"event\":\"query\",\"domain\":\"a.\"," BOX "}", "schema"},
	{"{\"time\":\"t\",\"event\":\"query\",\"domain\":\"a.\"," BOX "}", "no schema"},
	{"{\"schema\":1,\"event\":\"query\",\"domain\":\"a.\"," BOX "}", "no time"},
	{"{\"schema\":1,\"time\":\"t\",\"domain\":\"a.\"," BOX "}", "no event"},
	{HEAD("t", "query") "\"domain\":\"a.\"}", "no container"},
	{HEAD("t", "query") BOX "}", "no domain"},
	{HEAD("t", "query") "\"domain\":7," BOX "}", "domain is no string"},
	{HEAD("t", "summary") "\"domain\":\"a.\",\"count\":0," BOX "}", "count is 0"},
	{HEAD("t", "summary") "\"domain\":\"a.\",\"count\":-1," BOX "}", "count is negative"},
	{HEAD("t", "summary") "\"domain\":\"a.\",\"count\":1e3," BOX "}", "count is no integer"},
	{HEAD("t", "connect_blocked") "\"blockedAt\":\"connect\",\"port\":1," BOX "}", "no ip"},
	{HEAD("t", "unobserved") "\"ip\":\"::\",\"port\":65536," BOX "}", "port"},
	{HEAD("t", "unobserved") "\"ip\":\"::\",\"port\":-1," BOX "}", "port"},
	{HEAD("t", "unobserved") "\"ip\":\"::\"," BOX "}", "no port"},
	{HEAD("012345678901234567890123456789xx", "query") "\"domain\":\"a.\"," BOX "}", "time"},
	{HEAD("2026\\u202e", "query") "\"domain\":\"a.\"," BOX "}", "time"},
};

static void test_damaged(void **state)
{
	struct df_aggregate a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		int r = df_event_read(&a, damaged[i].line, strlen(damaged[i].line), NULL);

		if (r != -EBADMSG || a.n_damaged != i + 1 || a.n != 0)
			fail_msg("%s: %d", damaged[i].why, r);
	}
	/* the twin: the same with what was missing */
	add(&a, HEAD("t", "query") "\"domain\":\"a.\"," BOX "}");
	assert_int_equal(a.n, 1);
	df_aggregate_done(&a);
}

static void test_overflow(void **state)
{
	struct df_aggregate a = {0};

	(void)state;
	for (int i = 0; i < 4; i++)
		add(&a, BLOCKED("t", "summary", "x ", "\"count\":9223372036854775807,"));
	assert_true(a.list[0]->rows[0]->count == DF_COUNT_MAX);
	assert_true(a.list[0]->n_queries == DF_COUNT_MAX);
	df_aggregate_done(&a);
}

/* Found by the key, not by looking through all of them. */
static void test_many(void **state)
{
	struct df_aggregate a = {0};
	char line[512];

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		(void)snprintf(line, sizeof(line),
			       HEAD("t", "query") "\"domain\":\"n%u.\"," BOX "}", i % 20000);
		add(&a, line);
	}
	assert_int_equal(a.list[0]->n, 20000);
	df_aggregate_sort(&a);
	assert_string_equal(a.list[0]->rows[0]->domain, "n0.");
	assert_int_equal(a.list[0]->rows[0]->count, 2);
	df_aggregate_done(&a);
}

static const struct {
	const char *text;
	size_t max;
	const char *want;
	size_t columns;
} shown[] = {
	{"plain \"quoted\" \\010", DF_TEXT_ALL, "plain \"quoted\" \\010", 19},
	{"a\033[31mb", DF_TEXT_ALL, "a\\x1b[31mb", 10},
	{"a\nb\tc\rd\x7f", DF_TEXT_ALL, "a\\nb\\tc\\x0dd\\x7f", 16},
	{"\xc2\x9b"
	 "31m",
	 DF_TEXT_ALL, "\\xc2\\x9b31m", 11},                   /* C1: CSI */
	{"\xe2\x80\xae", DF_TEXT_ALL, "\\xe2\\x80\\xae", 12}, /* U+202E turns the line around */
	{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", DF_TEXT_ALL,
	 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 3},
	{"\xff\xe2\x82", DF_TEXT_ALL, "\\xff\\xe2\\x82", 12},
	{"\xe2\x41\xc3\xa9\x80\x80\x80\x80\x80", DF_TEXT_ALL,
	 "\\xe2"
	 "A\xc3\xa9\\x80\\x80\\x80\\x80\\x80",
	 26},
	{"12345", 5, "12345", 5},
	{"123456", 5, "1234…", 5},
	{"1234\n", 5, "1234…", 5}, /* never inside an escape */
	{"\n\n\n", 5, "\\n\\n…", 5},
	{"", 5, "", 0},
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		_cleanup_free_ char *got = NULL;
		size_t size, columns, len = strlen(shown[i].text);
		FILE *out = open_memstream(&got, &size);

		assert_non_null(out);
		columns = df_text_put(out, shown[i].text, len, shown[i].max);
		assert_int_equal(fclose(out), 0);
		assert_string_equal(got, shown[i].want);
		assert_int_equal(columns, shown[i].columns);
		assert_int_equal(df_text_put(NULL, shown[i].text, len, shown[i].max), columns);
	}
}

static void test_json(void **state)
{
	_cleanup_free_ char *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);
	struct df_json_out j = {.out = out};

	(void)state;
	assert_non_null(out);
	df_json_out_open(&j, NULL, '{');
	df_json_out_string(&j, "s", "\"\\\n\x7f\xc2\x9b\xc3\xa4\xff");
	df_json_out_string(&j, "none", NULL);
	df_json_out_open(&j, "a", '[');
	df_json_out_uint(&j, NULL, 1);
	df_json_out_bool(&j, NULL, true);
	df_json_out_close(&j, ']');
	df_json_out_open(&j, "e", '[');
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
	assert_int_equal(fclose(out), 0);
	assert_string_equal(got, "{\n  \"s\": \"\\\"\\\\\\u000a\\u007f\\u009b\xc3\xa4\\\\xff\",\n"
				 "  \"a\": [\n    1,\n    true\n  ],\n  \"e\": []\n}\n");
}

static void write_to(int fd, const char *data, size_t len)
{
	assert_int_equal(df_write_all(fd, data, len), 0);
}

static void test_lines(void **state)
{
	static char big[DF_LINE_MAX + 2];
	char path[] = "/tmp/test_report.XXXXXX", *line;
	_cleanup_close_ int fd = mkstemp(path);
	struct df_line_reader l;
	size_t len;

	(void)state;
	assert_true(fd >= 0);
	memset(big, 'x', sizeof(big));
	big[DF_LINE_MAX] = '\n';
	write_to(fd, "a\n\n", 3);
	write_to(fd, big, DF_LINE_MAX + 1);
	big[DF_LINE_MAX] = 'x';
	write_to(fd, big, DF_LINE_MAX + 1);
	write_to(fd, "\nb\nunfin", 8);
	assert_int_equal(df_line_reader_open(&l, AT_FDCWD, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(df_line_reader_next(&l, &line, &len), 1);
	assert_string_equal(line, "a");
	assert_int_equal(df_line_reader_next(&l, &line, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(df_line_reader_next(&l, &line, &len), 1);
	assert_int_equal(len, DF_LINE_MAX);
	assert_int_equal(strlen(line), DF_LINE_MAX);
	assert_int_equal(df_line_reader_next(&l, &line, &len), -EMSGSIZE);
	assert_int_equal(df_line_reader_next(&l, &line, &len), 1);
	assert_string_equal(line, "b");
	assert_int_equal(df_line_reader_next(&l, &line, &len), 0);
	write_to(fd, "ished\nc", 7);
	assert_int_equal(df_line_reader_next(&l, &line, &len), 1);
	assert_string_equal(line, "unfinished");
	assert_int_equal(df_line_reader_next(&l, &line, &len), 0);
	assert_int_equal(df_line_reader_rest(&l, &line, &len), 1);
	assert_string_equal(line, "c");
	assert_int_equal(df_line_reader_rest(&l, &line, &len), 0);
	write_to(fd, big, DF_LINE_MAX + 2);
	assert_int_equal(df_line_reader_next(&l, &line, &len), 0);
	assert_int_equal(df_line_reader_rest(&l, &line, &len), -EMSGSIZE);
	df_line_reader_close(&l);
	df_line_reader_close(&l);
	assert_int_equal(df_line_reader_open(&l, AT_FDCWD, "/dev/null"), -EINVAL);
	assert_int_equal(df_line_reader_open(&l, AT_FDCWD, "/nonexistent"), -ENOENT);
	df_line_reader_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_audit_owner_connection),
		cmocka_unit_test(test_other_refusals),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
