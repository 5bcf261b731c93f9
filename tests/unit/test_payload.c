/* SPDX-License-Identifier: GPL-2.0-or-later */
/* payload: the name of an HTTP request, and what has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/payload_case.h"

#define GET "GET / HTTP/1.1\r\n"
#define END "\r\n\r\n"

struct row {
	const char *why;
	const char *data;
	size_t len;
	enum df_payload_kind kind;
	enum df_payload_state state;
	const char *target;
};

/* clang-format off */
static const struct row requests[] = {
	{"plain", BYTES(GET "Host: a.example" END), HTTP, OK, "a.example"},
	{"case", BYTES("get /x HTTP/1.0\r\nX: y\r\nhOST:\tA.Example \r\n\r\n"), HTTP, OK, "a.example"},
	{"port", BYTES(GET "Host: a.example:8080" END), HTTP, OK, "a.example:8080"},
	{"empty port", BYTES(GET "Host: a.example:" END), HTTP, OK, "a.example"},
	{"trailing dot", BYTES(GET "Host: a.example." END), HTTP, OK, "a.example"},
	{"bare LF, 2.2", BYTES("GET / HTTP/1.1\nHost: a.example\n\n"), HTTP, OK, "a.example"},
	{"empty lines before, 2.2", BYTES("\r\n\n\r\n" GET "Host: a.example" END), HTTP, OK, "a.example"},
	{"address", BYTES(GET "Host: 192.0.2.1" END), HTTP, OK, ADDR4},
	{"IPv6", BYTES(GET "Host: [2001:db8::1]:81" END), HTTP, OK, ADDR6 ":81"},
	{"asterisk", BYTES("OPTIONS * HTTP/1.1\r\nHost: a.example" END), HTTP, OK, "a.example"},
	{"own method", BYTES("M-SEARCH * HTTP/1.1\r\nHost: a.example" END), HTTP, OK, "a.example"},
	{"no Host", BYTES(GET "X: y" END), HTTP, BAD, ""},
	{"no field at all", BYTES(GET "\r\n"), HTTP, BAD, ""},
	{"two Hosts", BYTES(GET "Host: a.example\r\nHost: b.example" END), HTTP, BAD, ""},
	{"the same Host twice", BYTES(GET "Host: a.example\r\nhost: a.example" END), HTTP, BAD, ""},
	{"empty Host", BYTES(GET "Host:" END), HTTP, BAD, ""},
	{"the root", BYTES(GET "Host: ." END), HTTP, BAD, ""},
	{"a list", BYTES(GET "Host: a.example, b.example" END), HTTP, BAD, ""},
	{"userinfo in Host", BYTES(GET "Host: x@a.example" END), HTTP, BAD, ""},
	{"a path in Host", BYTES(GET "Host: a.example/x" END), HTTP, BAD, ""},
	{"escaped", BYTES(GET "Host: %61.example" END), HTTP, BAD, ""},
	{"not ASCII", BYTES(GET "Host: \xc3\xa4.example" END), HTTP, BAD, ""},
	{"NUL in Host", BYTES(GET "Host: a.example\0.b.example" END), HTTP, BAD, ""},
	{"bare CR in Host", BYTES(GET "Host: a.example\rX: y" END), HTTP, BAD, ""},
	{"CR CR LF", BYTES(GET "Host: a.example\r\r\n\r\n"), HTTP, BAD, ""},
	{"obs-fold, 5.2", BYTES(GET "X: y\r\n Host: b.example\r\nHost: a.example" END), HTTP, BAD, ""},
	{"folded Host", BYTES(GET "Host: a.exa\r\n\tmple" END), HTTP, BAD, ""},
	{"blank first line", BYTES(GET " Host: b.example\r\nHost: a.example" END), HTTP, BAD, ""},
	{"blank before colon, 5.1", BYTES(GET "Host : a.example" END), HTTP, BAD, ""},
	{"no colon", BYTES(GET "Host a.example" END), HTTP, BAD, ""},
	{"no field name", BYTES(GET ": x\r\nHost: a.example" END), HTTP, BAD, ""},
	{"port too large", BYTES(GET "Host: a.example:65536" END), HTTP, BAD, ""},
	{"port that wraps", BYTES(GET "Host: a.example:4294967376" END), HTTP, BAD, ""},
	{"bare CR in another field", BYTES(GET "X: y\rHost: b.example\r\nHost: a.example" END), HTTP, BAD, ""},
	{"port of letters", BYTES(GET "Host: a.example:8o" END), HTTP, BAD, ""},
	{"two ports", BYTES(GET "Host: a.example:80:443" END), HTTP, BAD, ""},
	{"IPv6 without brackets", BYTES(GET "Host: 2001:db8::1" END), HTTP, BAD, ""},
	{"IPv6 with a zone", BYTES(GET "Host: [fe80::1%eth0]" END), HTTP, BAD, ""},
	{"open bracket", BYTES(GET "Host: [2001:db8::1" END), HTTP, BAD, ""},
	{"behind the bracket", BYTES(GET "Host: [2001:db8::1]x" END), HTTP, BAD, ""},
	{"IPvFuture", BYTES(GET "Host: [v1.a]" END), HTTP, BAD, ""},
	{"an address as inet_aton reads it", BYTES(GET "Host: 3221225985" END), HTTP, BAD, ""},
	{"in hexadecimal", BYTES(GET "Host: 0xc0.0.2.1" END), HTTP, BAD, ""},
	{"with few parts", BYTES(GET "Host: 192.513" END), HTTP, BAD, ""},
	{"in octal", BYTES(GET "Host: 192.0.02.1" END), HTTP, BAD, ""},
	{"with a dot", BYTES(GET "Host: 192.0.2.1." END), HTTP, BAD, ""},
	{"hexadecimal at the end", BYTES(GET "Host: a.0x1" END), HTTP, BAD, ""},
	{"a label that only looks like it", BYTES(GET "Host: 1.0x1g" END), HTTP, OK, "1.0x1g"},
	{"HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP, BAD, ""},
	{"HTTP/0.9", BYTES("GET /\r\n"), HTTP, BAD, ""},
	{"blanks before the version", BYTES("GET /  HTTP/1.1\r\nHost: a.example" END), HTTP, BAD, ""},
	{"tab for a blank", BYTES("GET\t/ HTTP/1.1\r\nHost: a.example" END), HTTP, BAD, ""},
	{"a word too many", BYTES("GET / x HTTP/1.1\r\nHost: a.example" END), HTTP, BAD, ""},
	{"bare CR in the line", BYTES("GET / HTTP/1.1\rHost: b.example\r\nHost: a.example" END), HTTP, BAD, ""},
	{"NUL in the line", BYTES("GET /\0 HTTP/1.1\r\nHost: a.example" END), HTTP, BAD, ""},
	{"version of two digits", BYTES("GET / HTTP/1.11\r\nHost: a.example" END), HTTP, BAD, ""},
	{"version in small letters", BYTES("GET / http/1.1\r\nHost: a.example" END), HTTP, BAD, ""},
	{"nothing", BYTES(""), NONE, MORE, ""},
	{"empty lines", BYTES("\r\n\r"), NONE, MORE, ""},
	{"a method's start", BYTES("GE"), NONE, MORE, ""},
	{"a method", BYTES("GET "), NONE, MORE, ""},
	{"half a line", BYTES("GET / HTTP/1.1"), HTTP, MORE, ""},
	{"a line", BYTES(GET), HTTP, MORE, ""},
	{"half a field", BYTES(GET "Host: a.exa"), HTTP, MORE, ""},
	{"no end", BYTES(GET "Host: a.example\r\n"), HTTP, MORE, ""},
	{"half an end", BYTES(GET "Host: a.example\r\n\r"), HTTP, MORE, ""},
	{"two Hosts, no end", BYTES(GET "Host: a.example\r\nHost: a.example\r\n"), HTTP, BAD, ""},
	{"a scheme's start", BYTES("GET htt"), NONE, MORE, ""},
	{"a scheme's end", BYTES("GET http:/"), NONE, MORE, ""},
	{"a method too long", BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NONE, BAD, ""},
	{"SSH", BYTES("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), NONE, BAD, ""},
	{"SMTP", BYTES("EHLO a.example\r\n"), NONE, BAD, ""},
	{"one word", BYTES("QUIT\r\n"), NONE, BAD, ""},
	{"blank first", BYTES(" GET / HTTP/1.1\r\nHost: a.example" END), NONE, BAD, ""},
	{"SSLv2", BYTES("\x80\x2e\1\3\1"), NONE, BAD, ""},
	{"SOCKS 5", BYTES("\5\1\0"), NONE, BAD, ""},

	{"CONNECT", BYTES("CONNECT a.example:443 HTTP/1.1\r\n\r\n"), CONNECT, OK, "a.example:443"},
	{"CONNECT, another Host", BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example" END), CONNECT, OK, "a.example:443 Host b.example:443"},
	{"in small letters", BYTES("connect A.EXAMPLE:22 HTTP/1.0\n\n"), CONNECT, OK, "a.example:22"},
	{"to an address", BYTES("CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n"), CONNECT, OK, ADDR4 ":443"},
	{"to a mapped address", BYTES("CONNECT [::ffff:192.0.2.1]:443 HTTP/1.1\r\n\r\n"), CONNECT, OK, ADDR4 ":443"},
	{"no port", BYTES("CONNECT a.example HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"empty port", BYTES("CONNECT a.example: HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"no version", BYTES("CONNECT a.example:443\r\n"), CONNECT, BAD, ""},
	{"blanks", BYTES("CONNECT  a.example:443 HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"a URI", BYTES("CONNECT http://a.example:443/ HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"userinfo", BYTES("CONNECT b.example@a.example:443 HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"escaped", BYTES("CONNECT %61.example:443 HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"as a number", BYTES("CONNECT 3221225985:443 HTTP/1.1\r\n"), CONNECT, BAD, ""},
	{"no line's end", BYTES("CONNECT a.example:443 HTTP/1.1"), CONNECT, MORE, ""},
	{"NATS", BYTES("CONNECT {\"verbose\":false}\r\nPING\r\n"), NONE, BAD, ""},
	{"STOMP", BYTES("CONNECT\naccept-version:1.2\n\n"), NONE, BAD, ""},

	{"absolute", BYTES("GET http://a.example/x HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example:80"},
	{"the line alone", BYTES("CONNECT a.example:443 HTTP/1.1\r\n"), CONNECT, MORE, ""},
	{"the line alone", BYTES("GET http://a.example/ HTTP/1.1\r\n"), ABSOLUTE, MORE, ""},
	{"absolute and Host, 3.2.2", BYTES("GET http://a.example HTTP/1.1\r\nHost: b.example" END), ABSOLUTE, OK, "a.example:80 Host b.example:80"},
	{"the same Host", BYTES("GET http://a.example HTTP/1.1\r\nHost: A.Example.:80" END), ABSOLUTE, OK, "a.example:80"},
	{"without the port", BYTES("GET http://a.example:81 HTTP/1.1\r\nHost: a.example" END), ABSOLUTE, OK, "a.example:81"},
	{"another port", BYTES("GET http://a.example HTTP/1.1\r\nHost: a.example:81" END), ABSOLUTE, OK, "a.example:80 Host a.example:81"},
	{"CONNECT, another port", BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:80" END), CONNECT, OK, "a.example:443 Host a.example:80"},
	{"an address for Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: 192.0.2.1" END), ABSOLUTE, OK, "a.example:80 Host " ADDR4 ":80"},
	{"IPv6", BYTES("GET http://192.0.2.1/ HTTP/1.1\r\nHost: [2001:db8::1]:81" END), ABSOLUTE, OK, ADDR4 ":80 Host " ADDR6 ":81"},
	{"the same address", BYTES("GET http://[::ffff:192.0.2.1]/ HTTP/1.1\r\nHost: 192.0.2.1" END), ABSOLUTE, OK, ADDR4 ":80"},
	{"an address, and a name", BYTES("GET http://192.0.2.1/ HTTP/1.1\r\nHost: b.example" END), ABSOLUTE, OK, ADDR4 ":80 Host b.example:80"},
	{"HTTP/1.0 without Host", BYTES("GET http://a.example/ HTTP/1.0" END), ABSOLUTE, OK, "a.example:80"},
	{"empty Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost:" END), ABSOLUTE, OK, "a.example:80"},
	{"unknown scheme, Host", BYTES("GET gopher://a.example/ HTTP/1.1\r\nHost: b.example" END), ABSOLUTE, OK, "a.example Host b.example"},
	{"two Hosts", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nHost: b.example" END), ABSOLUTE, BAD, ""},
	{"userinfo in Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: a.example@b.example" END), ABSOLUTE, BAD, ""},
	{"escaped Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: %62.example" END), ABSOLUTE, BAD, ""},
	{"Host as a number", BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: 3221225985" END), CONNECT, BAD, ""},
	{"folded Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost:\r\n b.example" END), ABSOLUTE, BAD, ""},
	{"blank before the colon", BYTES("GET http://a.example/ HTTP/1.1\r\nHost : b.example" END), ABSOLUTE, BAD, ""},
	{"bare CR, and Host", BYTES("GET http://a.example/ HTTP/1.1\r\nX: y\rHost: b.example" END), ABSOLUTE, BAD, ""},
	{"query", BYTES("GET http://a.example?b.example/@c HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example:80"},
	{"scheme's case", BYTES("GET HtTp://a.example:81/ HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example:81"},
	{"https", BYTES("GET https://a.example/ HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example:443"},
	{"unknown scheme", BYTES("GET gopher://a.example/ HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example"},
	{"absolute IPv6", BYTES("GET http://[2001:db8::1]/ HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, ADDR6 ":80"},
	{"userinfo", BYTES("GET http://b.example:pw@a.example/ HTTP/1.1\r\n\r\n"), ABSOLUTE, OK, "a.example:80"},
	{"two of it", BYTES("GET http://x@b.example@a.example/ HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"a backslash, which browsers take for a slash", BYTES("GET http://b.example\\@a.example/ HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"a fragment", BYTES("GET http://b.example#@a.example/ HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"no host", BYTES("GET http:///x HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"no host but userinfo", BYTES("GET http://x@/ HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"HTTP/0.9", BYTES("GET http://a.example/\r\n"), ABSOLUTE, BAD, ""},
	{"blank inside", BYTES("GET http://a.example /x HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"tab inside", BYTES("GET http://a.example\t/x HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"blanks before it", BYTES("GET  http://a.example/ HTTP/1.1\r\n"), ABSOLUTE, BAD, ""},
	{"scheme too long", BYTES("GET aaaaaaaaaaaaaaaaa://a.example/ HTTP/1.1\r\n"), NONE, BAD, ""},
	{"authority-form without CONNECT", BYTES("GET a.example:80 HTTP/1.1\r\n"), NONE, BAD, ""},
	{"no line's end", BYTES("GET http://a.example/"), ABSOLUTE, MORE, ""},
};
/* clang-format on */

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct row *r = &requests[i];
		struct df_payload_target t = parse(r->data, r->len, false);

		expect(r->why, &t, r->kind, r->state, r->target);
	}
}

/* Each prefix waits, or knows already what the whole will say. */
static void test_requests_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct row *r = &requests[i];

		for (size_t len = 0; len < r->len; len++) {
			struct df_payload_target t = parse(r->data, len, false);

			if (t.state != MORE)
				expect(r->why, &t, r->kind, r->state, r->target);
		}
	}
}

/* clang-format off */
static const struct row cut[] = {
	{"nothing", BYTES(""), NONE, BAD, ""},
	{"a line", BYTES(GET), HTTP, BAD, ""},
	{"long cookies behind Host", BYTES(GET "Host: a.example\r\nCookie: x"), HTTP, OK, "a.example"},
	{"half a Host", BYTES(GET "Host: a.exa"), HTTP, BAD, ""},
	{"a long path", BYTES("GET /aaaaaaaaaaaaaaaaaa"), HTTP, BAD, ""},
	{"a long URI", BYTES("GET http://a.example/aaaaaaaa"), ABSOLUTE, BAD, ""},
	{"Host may follow", BYTES("GET http://a.example/ HTTP/1.1\r\nX: y\r\n"), ABSOLUTE, BAD, ""},
	{"half a Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: b.exa"), ABSOLUTE, BAD, ""},
	{"long cookies behind Host", BYTES("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\nX: y"), ABSOLUTE, OK, "a.example:80 Host b.example:80"},
	{"a long ticket", BYTES("CONNECT a.example:443 HTTP/1.1\r\nX: y"), CONNECT, OK, "a.example:443"},
	{"a long ticket behind Host", BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\nX: y"), CONNECT, OK, "a.example:443 Host b.example:443"},
	{"half a name", BYTES("GET http://a.exa"), ABSOLUTE, BAD, ""},
	{"userinfo or not", BYTES("GET http://a.example:80"), ABSOLUTE, BAD, ""},
	{"CONNECT", BYTES("CONNECT a.example:443 HT"), CONNECT, OK, "a.example:443"},
	{"half a port", BYTES("CONNECT a.example:44"), CONNECT, BAD, ""},
};
/* clang-format on */

static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		struct df_payload_target t = parse(cut[i].data, cut[i].len, true);

		expect(cut[i].why, &t, cut[i].kind, cut[i].state, cut[i].target);
	}
}

/* Where another request stands in the same octets. */
static void test_next(void **state)
{
	static const char two[] = "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"
				  "GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n";
	struct df_payload_target t = parse(BYTES(two), false);

	(void)state;
	assert_int_equal(t.next, (sizeof(two) - 1) / 2);
	t = parse(two + t.next, sizeof(two) - 1 - t.next, false);
	expect("the second", &t, ABSOLUTE, OK, "b.example:80");
	assert_int_equal(t.next, 0);
	t = parse(BYTES("GET http://a.example/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET "), false);
	assert_int_equal(t.next, 0); /* a body */
	t = parse(BYTES("GET http://a.example/ HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\nGET "),
		  false);
	assert_int_equal(t.next, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_requests_octet_by_octet),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
