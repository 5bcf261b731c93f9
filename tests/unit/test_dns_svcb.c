/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Service bindings, RFC 9460: hostile RDATA, and what is left of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tests/lib/dns_msg.h"
#include "tests/lib/dns_oracle.h"

#define BYTES(s) (s), sizeof(s) - 1
#define ID 0x1234

#define ALPN "\0\1\0\3\2h2"
#define PORT "\0\3\0\2\x20\xfb"
#define HINT4 "\0\4\0\4\xcb\0\x71\1"
#define ECH "\0\5\0\3ech"
#define HINT6 "\0\6\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define OTHER "\x40\0\0\2zz"

static struct df_dns_query query_for(const char *name, uint16_t type)
{
	struct df_dns_query q;
	struct df_msg m;
	uint16_t id;

	df_msg_init(&m, ID, 0x0110, name, type);
	df_msg_opt(&m, 1232, 0x8000, NULL, 0);
	assert_int_equal(df_dns_parse_query(m.b, m.len, &q, &id), 0);
	return q;
}

static void answer_with(const struct df_msg *m, const struct df_dns_query *q,
			struct df_dns_answer *ret)
{
	int r;

	assert_null(df_oracle_answer(m->b, m->len, q, 0x4321, ret, &r));
	assert_int_equal(r, 0);
}

/* One record with this RDATA at www.example.com. */
static void one(const void *rdata, size_t n, struct df_msg *m)
{
	df_msg_init(m, 0x4321, 0x81a0, "www.example.com", DF_DNS_TYPE_HTTPS);
	df_msg_rr(m, DF_MSG_AN, "@12", DF_DNS_TYPE_HTTPS, rdata, n);
}

static void test_rdata(void **state)
{
	static const struct {
		const char *rdata;
		size_t len;
		bool is_malformed;
		unsigned n_targets, n_hints;
		const char *why;
	} rows[] = {
#define ROW(rdata, ...) {BYTES(rdata), __VA_ARGS__}
		ROW("\0\1\0", false, 0, 0, "itself, no parameters"),
		ROW("\0\0\0", false, 0, 0, "AliasMode: no service"),
		ROW("\0\0\3svc\0", false, 1, 0, "AliasMode"),
		ROW("\0\1\3SVC\0" ALPN PORT, false, 1, 0, "ServiceMode"),
		ROW("\0\1\0" ALPN PORT HINT4 ECH HINT6 OTHER, false, 0, 2, "all of it"),
		ROW("\0\1\0\0\4\0\x08\1\2\3\4\5\6\7\x08", false, 0, 2, "two hints"),
		ROW("\0\1\0\0\0\0\4\0\1\0\4" ALPN HINT4, false, 0, 1, "mandatory"),
		ROW("\0\1\0\0\2\0\0", false, 0, 0, "no-default-alpn"),
		ROW("\0\1\0\xff\xff\0\0", false, 0, 0, "the last key"),
		ROW("", true, 0, 0, "nothing"),
		ROW("\0", true, 0, 0, "half a priority"),
		ROW("\0\1", true, 0, 0, "no TargetName"),
		ROW("\0\1\3sv", true, 0, 0, "a TargetName that is cut off"),
		ROW("\0\1\xc0\0", true, 0, 0, "a pointer to the front"),
		ROW("\0\1\3svc\xc0\x02", true, 0, 0, "a loop"),
		ROW("\0\1\x0c"
		    "abcdefghijkl\x03svc\xc0\x0f" ALPN,
		    true, 0, 0, "a compressed TargetName"),
		ROW("\0\1\0\0", true, 0, 0, "half a key"),
		ROW("\0\1\0\0\1\0", true, 0, 0, "half a length"),
		ROW("\0\1\0\0\1\0\3\2h", true, 0, 0, "a value that is cut off"),
		ROW("\0\1\0" ALPN "x", true, 0, 0, "an octet too many"),
		ROW("\0\1\0" ALPN ALPN, true, 0, 0, "a key twice"),
		ROW("\0\1\0" PORT ALPN, true, 0, 0, "keys that descend"),
		ROW("\0\1\0\0\0\0\0", true, 0, 0, "mandatory: none"),
		ROW("\0\1\0\0\0\0\1\0", true, 0, 0, "mandatory: half a key"),
		ROW("\0\1\0\0\0\0\3\0\1\0", true, 0, 0, "mandatory: one and a half"),
		ROW("\0\1\0\0\0\0\2\0\0", true, 0, 0, "mandatory: itself"),
		ROW("\0\1\0\0\0\0\4\0\4\0\1", true, 0, 0, "mandatory: keys that descend"),
		ROW("\0\1\0\0\0\0\4\0\4\0\4", true, 0, 0, "mandatory: a key twice"),
		ROW("\0\1\0\0\1\0\0", true, 0, 0, "alpn: none"),
		ROW("\0\1\0\0\1\0\1\0", true, 0, 0, "alpn: an empty one"),
		ROW("\0\1\0\0\1\0\3\3h2", true, 0, 0, "alpn: cut off"),
		ROW("\0\1\0\0\1\0\4\2h2\0", true, 0, 0, "alpn: an empty one behind"),
		ROW("\0\1\0\0\2\0\1x", true, 0, 0, "no-default-alpn with a value"),
		ROW("\0\1\0\0\3\0\1x", true, 0, 0, "port: one octet"),
		ROW("\0\1\0\0\3\0\3xyz", true, 0, 0, "port: three octets"),
		ROW("\0\1\0\0\4\0\0", true, 0, 0, "ipv4hint: none"),
		ROW("\0\1\0\0\4\0\5\1\2\3\4\5", true, 0, 0, "ipv4hint: one and a quarter"),
		ROW("\0\1\0\0\5\0\0", true, 0, 0, "ech: none"),
		ROW("\0\1\0\0\6\0\0", true, 0, 0, "ipv6hint: none"),
		ROW("\0\1\0\0\6\0\4\1\2\3\4", true, 0, 0, "ipv6hint: a quarter"),
	};
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_HTTPS);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_answer a;
		struct df_msg m;

		one(rows[i].rdata, rows[i].len, &m);
		answer_with(&m, &q, &a);
		if (a.is_svcb_malformed != rows[i].is_malformed ||
		    (!a.is_svcb_malformed &&
		     (a.n_targets != rows[i].n_targets || a.n_addrs != rows[i].n_hints)))
			fail_msg("row %zu: %s", i, rows[i].why);
	}
}

/* The whole of the answer, octet by octet. */
static void test_stripped(void **state)
{
	static const struct {
		const char *rdata;
		size_t len;
		const char *left;
		size_t left_len;
		bool keeps_ad;
	} rows[] = {
		{BYTES("\0\1\0" ALPN PORT OTHER), BYTES("\0\1\0" ALPN PORT OTHER), true},
		{BYTES("\0\1\0" ALPN HINT4), BYTES("\0\1\0" ALPN), false},
		{BYTES("\0\1\0" ALPN ECH), BYTES("\0\1\0" ALPN), false},
		{BYTES("\0\1\0" ALPN HINT6), BYTES("\0\1\0" ALPN), false},
		{BYTES("\0\1\0" ALPN PORT HINT4 ECH HINT6 OTHER), BYTES("\0\1\0" ALPN PORT OTHER),
		 false},
		{BYTES("\0\2\3svc\0\0\0\0\6\0\1\0\4\0\5" ALPN HINT4 ECH),
		 BYTES("\0\2\3svc\0\0\0\0\2\0\1" ALPN), false},
		{BYTES("\0\2\3svc\0\0\0\0\4\0\4\0\6" HINT4 HINT6), BYTES("\0\2\3svc\0"), false},
		{BYTES("\0\2\3svc\0\0\0\0\2\0\1" ALPN), BYTES("\0\2\3svc\0\0\0\0\2\0\1" ALPN),
		 true},
		/* parameters mean nothing in AliasMode */
		{BYTES("\0\0\3svc\0" ALPN PORT), BYTES("\0\0\3svc\0"), false},
		{BYTES("\0\0\3svc\0"), BYTES("\0\0\3svc\0"), true},
	};
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_HTTPS);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_msg m, expected;
		struct df_dns_answer a;
		uint8_t buf[512];
		int n;

		one(rows[i].rdata, rows[i].len, &m);
		answer_with(&m, &q, &a);
		one(rows[i].left, rows[i].left_len, &expected);
		memcpy(expected.b, "\x12\x34", 2);
		if (!rows[i].keeps_ad)
			expected.b[3] &= (uint8_t)~0x20;
		n = df_dns_build_answer(&q, m.b, m.len, NULL, sizeof(buf), buf, sizeof(buf));
		assert_int_equal(n, expected.len);
		assert_memory_equal(buf, expected.b, expected.len);
	}
}

/* A very long list of mandatory keys goes through whole, or makes the answer too long. */
static void test_long_mandatory(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_HTTPS);
	static uint8_t rdata[65000], buf[DF_DNS_MSG_MAX];
	struct df_dns_answer a;
	struct df_msg m;
	size_t n = 7;
	int r;

	(void)state;
	memcpy(rdata, "\0\1\0\0\0", 5);
	for (unsigned key = 1; n + 2 < sizeof(rdata); key++, n += 2) {
		rdata[n] = (uint8_t)(key >> 8);
		rdata[n + 1] = (uint8_t)key;
	}
	rdata[5] = (uint8_t)((n - 7) >> 8);
	rdata[6] = (uint8_t)(n - 7);
	one(rdata, n, &m);
	answer_with(&m, &q, &a);
	assert_false(a.is_svcb_malformed);
	r = df_dns_build_answer(&q, m.b, m.len, NULL, DF_DNS_MSG_MAX, buf, sizeof(buf));
	assert_int_equal(r, m.len - 6);
	r = df_dns_build_answer(&q, m.b, m.len, NULL, DF_DNS_UDP_MIN, buf, sizeof(buf));
	assert_in_range(r, DF_DNS_HEADER_LEN, DF_DNS_UDP_MIN);
	assert_true(buf[2] & 2); /* TC */
}

static void test_many_records(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_SVCB);
	struct df_dns_answer a;
	struct df_msg m;

	(void)state;
	for (unsigned n = DF_DNS_MAX_TARGETS; n <= DF_DNS_MAX_TARGETS + 1; n++) {
		df_msg_init(&m, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_SVCB);
		for (unsigned i = 0; i < n; i++)
			df_msg_rr(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_SVCB, BYTES("\0\1\3svc\0"));
		answer_with(&m, &q, &a);
		assert_int_equal(a.is_svcb_malformed, n > DF_DNS_MAX_TARGETS);
		assert_int_equal(a.n_targets, DF_DNS_MAX_TARGETS);
	}
	/* hints beyond what there is room for are not kept, and no harm */
	df_msg_init(&m, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_SVCB);
	for (unsigned i = 0; i < DF_DNS_MAX_ADDRS + 5; i++)
		df_msg_rr(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_SVCB, BYTES("\0\1\0" HINT4));
	answer_with(&m, &q, &a);
	assert_false(a.is_svcb_malformed);
	assert_int_equal(a.n_addrs, DF_DNS_MAX_ADDRS);
}

/*
 * ANY brings the same records by another door.  What else it has stays, but for types that
 * may hold compressed names that nobody reads.
 */
static void test_any(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_ANY);
	struct df_msg m, expected;
	struct df_dns_answer a;
	uint8_t buf[512];
	int n;

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct df_msg *to = k ? &expected : &m;

		df_msg_init(to, k ? ID : 0x4321, k ? 0x8180 : 0x81a0, "www.example.com",
			    DF_DNS_TYPE_ANY);
		df_msg_rr(to, DF_MSG_AN, "@12", DF_DNS_TYPE_A, BYTES("\xcb\0\x71\1"));
		df_msg_rr_name(to, DF_MSG_AN, "@12", DF_DNS_TYPE_NS, "@12");
		if (!k)
			df_msg_rr_name(to, DF_MSG_AN, "@12", 3, "@12"); /* MD */
		df_msg_begin(to, DF_MSG_AN, "@12", DF_DNS_TYPE_MX);
		df_msg_put(to, BYTES("\0\1\4mail\0"));
		df_msg_end(to);
		df_msg_rr(to, DF_MSG_AN, "@12", DF_DNS_TYPE_TXT, BYTES("\1x"));
		if (k)
			df_msg_rr(to, DF_MSG_AN, "@12", DF_DNS_TYPE_HTTPS,
				  BYTES("\0\1\3svc\0" ALPN PORT));
		else
			df_msg_rr(to, DF_MSG_AN, "@12", DF_DNS_TYPE_HTTPS,
				  BYTES("\0\1\3svc\0" ALPN PORT HINT4 ECH HINT6));
	}
	answer_with(&m, &q, &a);
	assert_false(a.is_svcb_malformed);
	assert_int_equal(a.n_targets, 1);
	assert_int_equal(a.n_addrs, 2); /* the hints */
	n = df_dns_build_answer(&q, m.b, m.len, NULL, sizeof(buf), buf, sizeof(buf));
	assert_int_equal(n, expected.len);
	assert_memory_equal(buf, expected.b, expected.len);
	/* malformed ones are seen, and whose they are */
	df_msg_rr(&m, DF_MSG_AN, "@16", DF_DNS_TYPE_SVCB, BYTES("\0\1\0" HINT4));
	answer_with(&m, &q, &a);
	assert_true(a.is_svcb_malformed);
	/* without such records, and in audit, it passes as it is */
	df_msg_init(&m, 0x4321, 0x81a0, "www.example.com", DF_DNS_TYPE_ANY);
	df_msg_rr_name(&m, DF_MSG_AN, "@12", 3, "@12");
	n = df_dns_build_answer(&q, m.b, m.len, NULL, sizeof(buf), buf, sizeof(buf));
	assert_int_equal(n, m.len);
	assert_memory_equal(buf + 2, m.b + 2, m.len - 2);
}

/* Records of somebody else are no answer; behind a CNAME they are. */
static void test_owner(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_HTTPS);
	struct df_dns_answer a;
	struct df_msg m;

	(void)state;
	df_msg_init(&m, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_HTTPS);
	df_msg_rr(&m, DF_MSG_AN, "@16", DF_DNS_TYPE_HTTPS, BYTES("\0\1\0" HINT4));
	answer_with(&m, &q, &a);
	assert_true(a.is_svcb_malformed);

	df_msg_init(&m, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_HTTPS);
	df_msg_rr_name(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "@16");
	df_msg_rr(&m, DF_MSG_AN, "@16", DF_DNS_TYPE_HTTPS, BYTES("\0\1\0" HINT4));
	answer_with(&m, &q, &a);
	assert_false(a.is_svcb_malformed);
	assert_int_equal(a.n_chain, 1);
	assert_int_equal(a.n_addrs, 1);

	/* in answers to another question they are none of ours */
	q = query_for("www.example.com", DF_DNS_TYPE_TXT);
	df_msg_init(&m, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_TXT);
	df_msg_rr(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_HTTPS, BYTES("\0"));
	answer_with(&m, &q, &a);
	assert_false(a.is_svcb_malformed);
	assert_int_equal(a.n_addrs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rdata),
		cmocka_unit_test(test_stripped),
		cmocka_unit_test(test_long_mandatory),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
