/* SPDX-License-Identifier: GPL-2.0-or-later */
/* payload: the server_name of a ClientHello, in records of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/abi.h"
#include "lib/base/util.h"
#include "tests/lib/hello.h"
#include "tests/lib/payload_case.h"

static void check_hello(const char *why, const struct test_hello *h, enum df_payload_state state,
			const char *target)
{
	struct df_payload_target t;

	for (size_t record = 1; record < 300; record = record * 3 + 1) {
		uint8_t buf[TEST_HELLO_MAX];
		const size_t n = test_hello_records(h, record, buf);

		t = parse(buf, n, false);
		expect(why, &t, TLS, state, target);
		for (size_t len = 2; len < n; len++) {
			t = parse(buf, len, false);
			if (t.state != MORE)
				expect(why, &t, TLS, state, target);
		}
	}
}

/* clang-format off */
static const struct {
	const char *why, *extensions;
	size_t len;
	enum df_payload_state state;
	const char *target;
} hellos[] = {
	{"one name", BYTES("\0\0\0\x0e\0\x0c\0\0\x09" "a.example"), OK, "a.example"},
	{"behind others", BYTES("\0\x17\0\0\0\x2b\0\3\2\3\4\0\0\0\x0e\0\x0c\0\0\x09" "A.EXAMPLE"), OK, "a.example"},
	{"trailing dot", BYTES("\0\0\0\x0f\0\x0d\0\0\x0a" "a.example."), OK, "a.example"},
	{"an address", BYTES("\0\0\0\x0e\0\x0c\0\0\x09" "192.0.2.1"), OK, ADDR4},
	{"none", BYTES("\0\x17\0\0"), BAD, ""},
	{"no extension", BYTES(""), BAD, ""},
	{"two names", BYTES("\0\0\0\x10\0\x0e\0\0\4" "a.ex" "\0\0\4" "b.ex"), BAD, ""},
	{"two extensions", BYTES("\0\0\0\x09\0\7\0\0\4" "a.ex" "\0\0\0\x09\0\7\0\0\4" "a.ex"), BAD, ""},
	{"another type of name", BYTES("\0\0\0\x09\0\7\1\0\4" "a.ex"), BAD, ""},
	{"empty name", BYTES("\0\0\0\5\0\3\0\0\0"), BAD, ""},
	{"empty list", BYTES("\0\0\0\2\0\0"), BAD, ""},
	{"empty, as a server answers", BYTES("\0\0\0\0"), BAD, ""},
	{"list too short", BYTES("\0\0\0\x09\0\6\0\0\4" "a.ex"), BAD, ""},
	{"list too long", BYTES("\0\0\0\x09\0\x08\0\0\4" "a.ex"), BAD, ""},
	{"name too long", BYTES("\0\0\0\x09\0\7\0\0\5" "a.ex"), BAD, ""},
	{"octets behind the name", BYTES("\0\0\0\x0a\0\x08\0\0\4" "a.ex" "\0"), BAD, ""},
	{"an extension behind the name", BYTES("\0\0\0\x0d\0\x0b\0\0\4" "a.ex" "\0\x17\0\0"), BAD, ""},
	{"extension leaves the hello", BYTES("\0\0\0\x0a\0\7\0\0\4" "a.ex"), BAD, ""},
	{"half an extension", BYTES("\0\0\0\x09\0\7\0\0\4" "a.ex" "\0\x17\0"), BAD, ""},
	{"with a port", BYTES("\0\0\0\x0c\0\x0a\0\0\7" "a.ex:80"), BAD, ""},
	{"NUL", BYTES("\0\0\0\x0b\0\x09\0\0\6" "a.ex\0b"), BAD, ""},
	{"NUL behind an address", BYTES("\0\0\0\x10\0\x0e\0\0\x0b" "192.0.2.1\0x"), BAD, ""},
	{"a number", BYTES("\0\0\0\x0f\0\x0d\0\0\x0a" "3221225985"), BAD, ""},
	{"IPv6", BYTES("\0\0\0\x10\0\x0e\0\0\x0b" "2001:db8::1"), BAD, ""},
};
/* clang-format on */

static void test_hellos(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		struct test_hello h;

		test_hello_init(&h, hellos[i].extensions, hellos[i].len);
		check_hello(hellos[i].why, &h, hellos[i].state, hellos[i].target);
	}
}

static void test_hello_damage(void **state)
{
	static const struct {
		const char *why;
		size_t at;
		uint8_t value;
		enum df_payload_kind kind;
		enum df_payload_state state;
	} damages[] = {
		{"another record", 0, 23, NONE, BAD},
		{"SSL 2", 1, 2, NONE, BAD},
		{"a record that is too large", 3, 0x40, TLS, BAD},
		{"another message", 5, 2, TLS, BAD},
		{"a hello that ends early", 8, 10, TLS, BAD},
		{"a hello that is longer than its extensions", 7, 1, TLS, BAD},
	};
	struct test_hello h;
	uint8_t buf[TEST_HELLO_MAX];

	(void)state;
	test_hello_init(&h, BYTES("\0\0\0\x0e\0\x0c\0\0\x09"
				  "a.example"));
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		size_t n = test_hello_records(&h, TEST_HELLO_MAX, buf);
		struct df_payload_target t;

		buf[damages[i].at] = damages[i].value;
		t = parse(buf, n, false);
		expect(damages[i].why, &t, damages[i].kind, damages[i].state, "");
	}
}

/* legacy_session_id<0..32> */
static void test_hello_session_id(void **state)
{
	(void)state;
	for (unsigned len = 31; len <= 33; len++) {
		uint8_t buf[TEST_HELLO_MAX];
		struct df_payload_target t;
		struct test_hello h;
		size_t at = TEST_HELLO_SESSION_ID - 5, n;

		test_hello_init(&h, BYTES("\0\0\0\x0e\0\x0c\0\0\x09"
					  "a.example"));
		memmove(h.handshake + at + 1 + len, h.handshake + at + 1, h.len - at - 1);
		h.handshake[at] = (uint8_t)len;
		h.len += len;
		h.handshake[3] += (uint8_t)len;
		n = test_hello_records(&h, TEST_HELLO_MAX, buf);
		t = parse(buf, n, false);
		expect("session id", &t, TLS, len <= 32 ? OK : BAD, len <= 32 ? "a.example" : "");
	}
}

/* What else may stand in the octets that a client sends first. */
static void test_hello_neighbours(void **state)
{
	static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1}, empty[] = {22, 3, 3, 0, 0};
	struct test_hello h;
	uint8_t buf[TEST_HELLO_MAX], joined[TEST_HELLO_MAX];
	struct df_payload_target t;
	size_t n;

	(void)state;
	test_hello_init(&h, BYTES("\0\0\0\x0e\0\x0c\0\0\x09"
				  "a.example"));
	n = test_hello_records(&h, TEST_HELLO_MAX, buf);
	memcpy(buf + n, ccs, sizeof(ccs));
	t = parse(buf, n + sizeof(ccs), false);
	expect("early data behind it", &t, TLS, OK, "a.example");

	n = test_hello_records(&h, 30, buf);
	memcpy(joined, buf, 35);
	memcpy(joined + 35, ccs, sizeof(ccs));
	memcpy(joined + 35 + sizeof(ccs), buf + 35, n - 35);
	t = parse(joined, n + sizeof(ccs), false);
	expect("something in between", &t, TLS, BAD, "");
	buf[36] = 2;
	t = parse(buf, n, false);
	buf[36] = 3;
	expect("a record of SSL 2 in between", &t, TLS, BAD, "");
	memcpy(joined + 35, empty, sizeof(empty));
	memcpy(joined + 35 + sizeof(empty), buf + 35, n - 35);
	t = parse(joined, n + sizeof(empty), false);
	expect("an empty record in between, RFC 8446 5.1", &t, TLS, BAD, "");
}

/* A session ticket makes a hello longer than what is seen of it. */
static void test_hello_cut(void **state)
{
	static char extensions[3000] = "\0\0\0\x0e\0\x0c\0\0\x09"
				       "a.example\0\x29\x0b\x9e";
	static uint8_t buf[2 * TEST_HELLO_MAX];
	struct df_payload_target t;
	struct test_hello h;
	size_t n;

	(void)state;
	test_hello_init(&h, extensions, 18 + 4 + 0xb9e);
	n = test_hello_records(&h, TEST_HELLO_MAX, buf);
	t = parse(buf, n, false);
	expect("longer than what is looked at", &t, TLS, OK, "a.example");
	t = parse(buf, DF_PAYLOAD_MAX, true);
	expect("cut behind the name", &t, TLS, OK, "a.example");
	t = parse(buf, DF_PAYLOAD_MAX, false);
	expect("not cut", &t, TLS, MORE, "");
	for (size_t len = 0; len < TEST_HELLO_EXTENSIONS + 18; len++) {
		t = parse(buf, len, true);
		expect("cut before it", &t, len < 2 ? NONE : TLS, BAD, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hellos),           cmocka_unit_test(test_hello_damage),
		cmocka_unit_test(test_hello_session_id), cmocka_unit_test(test_hello_neighbours),
		cmocka_unit_test(test_hello_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
