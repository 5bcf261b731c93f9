/* SPDX-License-Identifier: GPL-2.0-or-later */
/* judge: what a payload asks for, and the verdict, event and end that makes. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/flows_case.h"
#include "tests/lib/hello.h"

static size_t hello(const char *server_name, uint8_t ret[static TEST_HELLO_MAX])
{
	const uint8_t n = (uint8_t)strlen(server_name);
	char extensions[300] = {0, 0, 0, (char)(n + 5), 0, (char)(n + 3), 0, 0, (char)n};
	struct test_hello h;

	memcpy(extensions + 9, server_name, n);
	test_hello_init(&h, extensions, n ? 9u + n : 0);
	return test_hello_records(&h, TEST_HELLO_MAX, ret);
}

/* --- verdicts --- */

struct row {
	const char *why;
	enum df_verdict verdict;
	enum df_reason reason;
	enum df_event_at at;
	const char *data;
	size_t len;
};

static void check_row(const struct row *r, enum df_verdict of_record, uint16_t port)
{
	struct df_payload p = payload(1, of_record, port, r->data, r->len);
	const bool is_refusal = r->reason != DF_REASON_NONE;

	df_flows_take(&flows, &p, p.time);
	if (seen.n_verdicts != 1 || seen.verdict != r->verdict)
		fail_msg("%s: %u verdicts, %d", r->why, seen.n_verdicts, seen.verdict);
	if ((is_refusal || (r->verdict == PROXY && r->at == DF_AT_PROXY)) &&
	    (seen.n_reports != 1 || seen.judgement.decision.reason != r->reason ||
	     seen.judgement.at != r->at))
		fail_msg("%s: %u reports, reason %d at %d", r->why, seen.n_reports,
			 seen.judgement.decision.reason, seen.judgement.at);
	if (seen.n_destroyed != (r->verdict == BLOCK) || seen.n_pushed != (r->verdict != BLOCK))
		fail_msg("%s: %u ended, %u went on", r->why, seen.n_destroyed, seen.n_pushed);
}

/* clang-format off */
static const struct row undecided[] = {
	{"Host", ALLOW, 0, DF_AT_HTTP, BYTES(GET "unlisted.example" END)},
	{"Host and port", ALLOW, 0, DF_AT_HTTP, BYTES(GET "Unlisted.Example:8080" END)},
	{"blocked", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES(GET "blocked.example" END)},
	{"below a blocked one", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES(GET "a.blocked.example" END)},
	{"learned for another address", BLOCK, DF_REASON_NOT_LEARNED, DF_AT_HTTP, BYTES(GET "elsewhere.example" END)},
	{"never learned", BLOCK, DF_REASON_NOT_LEARNED, DF_AT_HTTP, BYTES(GET "new.example" END)},
	{"the address itself", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES(GET "192.0.2.1" END)},
	{"no Host", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES("GET / HTTP/1.1" END)},
	{"two Hosts", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES(GET "unlisted.example\r\nHost: unlisted.example" END)},
	{"absolute-form", PROXY, 0, DF_AT_HTTP, BYTES("GET http://unlisted.example/ HTTP/1.1" END)},
	{"absolute-form, blocked", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES("GET http://blocked.example/ HTTP/1.1" END)},
	{"CONNECT", BLOCK, DF_REASON_NOT_LEARNED, DF_AT_HTTP, BYTES("CONNECT elsewhere.example:443 HTTP/1.1" END)},
	{"absolute-form, a blocked Host", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: blocked.example" END)},
	{"absolute-form, blocked, another Host", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES("GET http://blocked.example/ HTTP/1.1\r\nHost: unlisted.example" END)},
	{"absolute-form, a Host that is not learned", BLOCK, DF_REASON_NOT_LEARNED, DF_AT_HTTP, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: elsewhere.example" END)},
	{"absolute-form, an address for Host", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: 203.0.113.1" END)},
	{"absolute-form, the same Host", PROXY, 0, DF_AT_HTTP, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: Unlisted.example.:80" END)},
	{"SSH", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES("SSH-2.0-OpenSSH_9.2\r\n")},
	{"zeros", BLOCK, DF_REASON_NO_NAME, DF_AT_HTTP, BYTES("\0\0\0\0")},
};

/* To a proxy, which is at an address that nobody blocks. */
static const struct row proxied[] = {
	{"CONNECT", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT unlisted.example:443 HTTP/1.1" END)},
	{"absolute-form", PROXY, 0, DF_AT_PROXY, BYTES("GET http://unlisted.example/ HTTP/1.1" END)},
	{"a name that was never asked for", PROXY, 0, DF_AT_PROXY, BYTES("GET http://new.example/ HTTP/1.1" END)},
	{"CONNECT, blocked", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("CONNECT blocked.example:443 HTTP/1.1" END)},
	{"absolute-form, blocked", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("GET http://a.below.example HTTP/1.1" END)},
	{"its blocked port", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("CONNECT ports.example:22 HTTP/1.1" END)},
	{"another port", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT ports.example:443 HTTP/1.1" END)},
	{"an address rule", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("CONNECT 198.51.100.1:443 HTTP/1.1" END)},
	{"the rule's exception", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT 198.51.100.7:443 HTTP/1.1" END)},
	{"not at its port", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("CONNECT 198.51.100.7:80 HTTP/1.1" END)},
	{"in NAT64", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("CONNECT [64:ff9b::198.51.100.1]:443 HTTP/1.1" END)},
	{"a blocked name's address", BLOCK, DF_REASON_PINNED, DF_AT_PROXY, BYTES("CONNECT 192.0.2.2:443 HTTP/1.1" END)},
	{"a shared one: nobody can see", BLOCK, DF_REASON_SHARED, DF_AT_PROXY, BYTES("CONNECT 192.0.2.1:443 HTTP/1.1" END)},
	{"any other address", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT 203.0.113.1:443 HTTP/1.1" END)},
	{"a blocked Host", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: blocked.example" END)},
	{"CONNECT, a blocked Host", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("CONNECT unlisted.example:443 HTTP/1.1\r\nHost: blocked.example:443" END)},
	{"a Host at its blocked port", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("CONNECT ports.example:443 HTTP/1.1\r\nHost: ports.example:22" END)},
	{"a Host by an address", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: 198.51.100.1" END)},
	{"a blocked Host of an address", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("GET http://203.0.113.1/ HTTP/1.1\r\nHost: blocked.example" END)},
	{"two Hosts", BLOCK, DF_REASON_NO_NAME, DF_AT_PROXY, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: unlisted.example\r\nHost: blocked.example" END)},
	{"another Host that nobody blocks", PROXY, 0, DF_AT_PROXY, BYTES("GET http://unlisted.example/ HTTP/1.1\r\nHost: new.example" END)},
	{"userinfo", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("GET http://unlisted.example@blocked.example/ HTTP/1.1" END)},
	{"in 6to4", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("CONNECT [2002:c633:6401::1]:443 HTTP/1.1" END)},
	{"unreadable", BLOCK, DF_REASON_NO_NAME, DF_AT_PROXY, BYTES("CONNECT 3221225985:443 HTTP/1.1" END)},
	{"no request", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT {\"verbose\":false}\r\nPING\r\n")},
	{"to a server, not whole", PROXY, 0, DF_AT_DNS, BYTES("OPTIONS / HTTP/1.1\r\n")},
	{"empty lines before it", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("\r\n\n" "CONNECT blocked.example:443 HTTP/1.1" END)},
	{"empty lines and nothing else", PROXY, 0, DF_AT_END, BYTES("\r\n\r\n")},
	{"to a server", PROXY, 0, DF_AT_DNS, BYTES("OPTIONS / HTTP/1.1\r\nHost: blocked.example" END)},
};

/* The same under default deny. */
static const struct row listed[] = {
	{"allowed", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT allowed.example:443 HTTP/1.1" END)},
	{"unlisted", BLOCK, DF_REASON_UNLISTED, DF_AT_PROXY, BYTES("CONNECT new.example:443 HTTP/1.1" END)},
	{"at an unlisted port", BLOCK, DF_REASON_PORT, DF_AT_PROXY, BYTES("CONNECT port.example:22 HTTP/1.1" END)},
	{"an unlisted Host", BLOCK, DF_REASON_UNLISTED, DF_AT_PROXY, BYTES("GET http://allowed.example/ HTTP/1.1\r\nHost: new.example" END)},
	{"the same Host", PROXY, 0, DF_AT_PROXY, BYTES("GET http://allowed.example/ HTTP/1.1\r\nHost: allowed.example" END)},
	{"an address", BLOCK, DF_REASON_RAW, DF_AT_PROXY, BYTES("CONNECT 203.0.113.1:443 HTTP/1.1" END)},
	{"an allowed name's address", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT 192.0.2.4:443 HTTP/1.1" END)},
};
/* clang-format on */

static void test_undecided(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(undecided); i++) {
		fence(DF_MODE_ENFORCE);
		check_row(&undecided[i], UNDECIDED, 80);
	}
}

static void test_undecided_tls(void **state)
{
	static const struct {
		const char *name;
		enum df_verdict verdict;
		enum df_reason reason;
	} rows[] = {
		{"unlisted.example", ALLOW, 0},
		{"UNLISTED.example.", ALLOW, 0},
		{"blocked.example", BLOCK, DF_REASON_SNI},
		{"elsewhere.example", BLOCK, DF_REASON_NOT_LEARNED},
		{"192.0.2.1", BLOCK, DF_REASON_NO_NAME},
		{"", BLOCK, DF_REASON_NO_NAME},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t buf[TEST_HELLO_MAX];
		const struct row r = {rows[i].name, rows[i].verdict,   rows[i].reason,
				      DF_AT_TLS,    (const char *)buf, hello(rows[i].name, buf)};

		fence(DF_MODE_ENFORCE);
		check_row(&r, UNDECIDED, 443);
	}
}

static void test_proxied(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(proxied); i++) {
		fence(DF_MODE_ENFORCE);
		check_row(&proxied[i], ALLOW, 3128);
	}
}

static void test_proxied_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(listed); i++) {
		fence_as("default deny\nallow allowed.example\nallow port.example:443\n",
			 DF_MODE_ENFORCE, NULL, 0);
		teach("192.0.2.4", "allowed.example", DF_LEARNED_ALLOWED);
		check_row(&listed[i], ALLOW, 3128);
	}
}

/* A payload that has left, to an address that no rule allows: what it names is told, and may end
 * it. */
static void test_seen(void **state)
{
	static const struct {
		const char *addr, *name;
		bool is_enforced;
		unsigned n_reports;
		enum df_reason reason;
		unsigned n_destroyed;
	} rows[] = {
		{"203.0.113.9", "blocked.example", true, 1, DF_REASON_SNI, 1},
		{"203.0.113.9", "a.blocked.example", true, 1, DF_REASON_SNI, 1},
		{"203.0.113.9", "blocked.example", false, 1, DF_REASON_SNI, 0}, /* bypass */
		{"203.0.113.9", "new.example", true, 1, DF_REASON_NONE, 0},
		{"192.0.2.1", "unlisted.example", true, 0, DF_REASON_NONE,
		 0}, /* an answer said so */
		{"192.0.2.3", "unlisted.example", true, 1, DF_REASON_NONE, 0},
		{"203.0.113.9", "", true, 0, DF_REASON_NONE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t buf[TEST_HELLO_MAX];
		struct df_payload p =
			payload(1, DF_VERDICT_SEEN, 443, buf, hello(rows[i].name, buf));

		fence(DF_MODE_ENFORCE);
		p.is_held = 0;
		p.is_enforced = rows[i].is_enforced;
		addr4(rows[i].addr, p.addr);
		df_flows_take(&flows, &p, p.time);
		if (seen.n_reports != rows[i].n_reports ||
		    seen.n_destroyed != rows[i].n_destroyed ||
		    (seen.n_reports && seen.judgement.decision.reason != rows[i].reason))
			fail_msg("%s: %u reports, reason %d, %u ended", rows[i].name,
				 seen.n_reports, seen.judgement.decision.reason, seen.n_destroyed);
	}
}

/* clang-format off */
/* Behind a request to a server a body may follow, of any text. */
static const struct row later[] = {
	{"a script", PROXY, 0, DF_AT_DNS, BYTES("CONNECT scott/tiger@db\nselect 1;\n")},
	{"prose", PROXY, 0, DF_AT_DNS, BYTES("connect the dots")},
	{"a list of URLs", PROXY, 0, DF_AT_DNS, BYTES("GET http://blocked.example/\nGET http://a.example/\n")},
	{"a request", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("CONNECT blocked.example:443 HTTP/1.1" END)},
	{"one behind an empty line", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES("\r\nCONNECT blocked.example:443 HTTP/1.1" END)},
	{"one that cannot be read", BLOCK, DF_REASON_NO_NAME, DF_AT_PROXY, BYTES("CONNECT 3221225985:443 HTTP/1.1" END)},
};
/* clang-format on */

static void test_later(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		struct df_payload p = payload(1, PROXY, 3128, later[i].data, later[i].len);

		fence(DF_MODE_ENFORCE);
		p.is_later = 1;
		df_flows_take(&flows, &p, p.time);
		if (seen.n_verdicts != 1 || seen.verdict != later[i].verdict ||
		    (later[i].reason && seen.judgement.decision.reason != later[i].reason))
			fail_msg("%s: verdict %d", later[i].why, seen.verdict);
	}
}

/* A socket keeps its cookie when it connects again: what was decided was of another connection. */
static void test_connected_anew(void **state)
{
	struct df_payload old = payload(1, UNDECIDED, 80, BYTES(GET "unlisted.example" END));
	struct df_payload new = payload(1, UNDECIDED, 80, BYTES(GET "blocked.example" END));

	(void)state;
	fence(DF_MODE_ENFORCE);
	df_flows_take(&flows, &old, old.time);
	assert_int_equal(seen.verdict, ALLOW);
	new.connect_time = old.connect_time + 1;
	df_flows_take(&flows, &new, new.time);
	assert_int_equal(seen.n_verdicts, 2);
	assert_int_equal(seen.verdict, BLOCK);
	/* a record of the old one, which was in the ring still, says nothing any more */
	df_flows_take(&flows, &old, old.time + 1);
	assert_int_equal(seen.n_verdicts, 2);
	/* and the other way round: a refusal is not handed on */
	new.connect_time++;
	new = payload(1, UNDECIDED, 80, BYTES(GET "unlisted.example" END));
	new.connect_time = old.connect_time + 2;
	df_flows_take(&flows, &new, new.time);
	assert_int_equal(seen.verdict, ALLOW);
}

/* The same of a request to a proxy there, which is held: names and addresses. */
static void test_seen_proxied(void **state)
{
	/* clang-format off */
	static const struct row rows[] = {
		{"a name", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES("CONNECT blocked.example:443 HTTP/1.1" END)},
		{"a Host", BLOCK, DF_REASON_HOST, DF_AT_HTTP, BYTES("GET http://new.example/ HTTP/1.1\r\nHost: blocked.example" END)},
		{"an address", BLOCK, DF_REASON_ADDRESS, DF_AT_PROXY, BYTES("CONNECT 198.51.100.1:443 HTTP/1.1" END)},
		{"a blocked name's address", BLOCK, DF_REASON_PINNED, DF_AT_PROXY, BYTES("GET http://192.0.2.2/ HTTP/1.1" END)},
		{"any other address", ALLOW, 0, DF_AT_PROXY, BYTES("CONNECT 203.0.113.1:443 HTTP/1.1" END)},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fence(DF_MODE_ENFORCE);
		check_row(&rows[i], DF_VERDICT_SEEN, 80);
	}
}

/* A request whose fields come later: it waits for them where it can, and is refused without. */
static void test_in_parts(void **state)
{
	static const char line[] = "GET http://unlisted.example/ HTTP/1.1\r\n";
	static const char whole[] =
		"GET http://unlisted.example/ HTTP/1.1\r\nHost: blocked.example" END;
	struct df_payload p = payload(1, ALLOW, 3128, BYTES(line));

	(void)state;
	fence(DF_MODE_ENFORCE);
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_verdicts, 0);
	p = payload(1, ALLOW, 3128, BYTES(whole));
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_verdicts, 1);
	assert_int_equal(seen.verdict, BLOCK);

	/* nothing more comes */
	fence(DF_MODE_ENFORCE);
	p = payload(1, ALLOW, 3128, BYTES(line));
	for (unsigned i = 0; i < DF_FLOWS_TRIES && seen.n_verdicts == 0; i++) {
		p.time += 1000000000;
		df_flows_take(&flows, &p, p.time);
	}
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_NO_NAME);

	/* behind a request to a server, too */
	fence(DF_MODE_ENFORCE);
	p = payload(1, DF_VERDICT_PROXY, 3128, BYTES(line));
	p.is_later = 1;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_verdicts, 0);

	/* what is not held has left: the line says whom it is for */
	fence(DF_MODE_AUDIT);
	p = payload(1, ALLOW, 3128, BYTES("\r\nGET http://blocked.example/ HTTP/1.1\r\n"));
	p.is_held = 0;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_reports, 1);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_REQUEST);
	fence(DF_MODE_AUDIT);
	p = payload(1, ALLOW, 3128, BYTES(line));
	p.is_held = 0;
	df_flows_take(&flows, &p, p.time);
	assert_false(seen.judgement.decision.is_refusal);
}

/* Under default deny that nothing allows the name is a matter of raw-ip, which let it pass. */
static void test_seen_unlisted(void **state)
{
	struct df_payload p = payload(1, DF_VERDICT_SEEN, 80, BYTES(GET "new.example" END));

	(void)state;
	p.is_held = 0;
	fence_as("default deny\nraw-ip allow\n", DF_MODE_ENFORCE, NULL, 0);
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_reports, 1);
	assert_int_equal(seen.judgement.at, DF_AT_HTTP);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_UNLISTED);
	assert_int_equal(seen.n_destroyed, 0);
}

/* The rule that is named is the one of the name that has the address. */
static void test_rule_of_address(void **state)
{
	struct df_payload p = payload(1, UNDECIDED, 443, "SSH-2.0-x\r\n", 11);

	(void)state;
	fence(DF_MODE_ENFORCE);
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_NO_NAME);
	assert_int_equal(seen.judgement.at, DF_AT_TLS);
	assert_non_null(seen.judgement.decision.rule);
	assert_int_equal(seen.judgement.decision.rule->line, 1);

	fence(DF_MODE_ENFORCE);
	p = payload(1, ALLOW, 3128, BYTES("CONNECT 192.0.2.2:443 HTTP/1.1" END));
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_PINNED);
	assert_non_null(seen.judgement.decision.rule);
	assert_int_equal(seen.judgement.decision.rule->line, 1);
}

/* A name is judged at the port that the connection goes to. */
static void test_port(void **state)
{
	static const struct {
		uint16_t port;
		enum df_verdict verdict;
	} rows[] = {{80, BLOCK}, {443, ALLOW}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_payload p =
			payload(1, UNDECIDED, rows[i].port, BYTES(GET "web.example:443" END));

		fence_as("block web.example:80/tcp\n", DF_MODE_ENFORCE, NULL, 0);
		teach("192.0.2.1", "web.example", DF_LEARNED_DEFAULT);
		df_flows_take(&flows, &p, p.time);
		assert_int_equal(seen.verdict, rows[i].verdict);
	}
}

/* Of two tables, one that enforces and one that audits. */
static void test_two_tables(void **state)
{
	static const char connect[] = "CONNECT blocked.example:443 HTTP/1.1" END;
	const struct row passes = {"audit", ALLOW, DF_REASON_REQUEST, DF_AT_PROXY, BYTES(connect)};
	const struct row refused = {"base", BLOCK, DF_REASON_REQUEST, DF_AT_PROXY, BYTES(connect)};
	struct df_payload p;

	(void)state;
	fence_as(blocklist, DF_MODE_AUDIT, "block other.example\n", DF_MODE_ENFORCE);
	check_row(&passes, ALLOW, 3128);
	assert_true(seen.judgement.decision.is_refusal && !seen.judgement.decision.is_enforced);
	fence_as("block other.example\n", DF_MODE_AUDIT, blocklist, DF_MODE_ENFORCE);
	check_row(&refused, ALLOW, 3128);
	assert_int_equal(seen.judgement.decision.table, DF_TABLE_BASE);

	/* what cannot be read is refused if anybody enforces */
	fence_as(blocklist, DF_MODE_AUDIT, "block other.example\n", DF_MODE_ENFORCE);
	p = payload(1, ALLOW, 3128, BYTES("CONNECT x HTTP/1.1" END));
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.judgement.decision.table, DF_TABLE_BASE);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_undecided_tls),
		cmocka_unit_test(test_proxied),
		cmocka_unit_test(test_proxied_listed),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_seen_unlisted),
		cmocka_unit_test(test_seen_proxied),
		cmocka_unit_test(test_in_parts),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_connected_anew),
		cmocka_unit_test(test_rule_of_address),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_two_tables),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, fence_down);
}
