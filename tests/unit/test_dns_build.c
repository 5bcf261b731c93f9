/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dns_wire builds: queries, answers and refusals. */
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
#define ADDR "\xc0\0\2\1"
#define ADDR6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define ID 0x1234

enum { NO_EDNS, EDNS, EDNS_DO };

static struct df_dns_query query_for(const char *name, uint16_t type, int edns)
{
	struct df_dns_query q;
	struct df_msg m;
	uint16_t id;

	df_msg_init(&m, ID, 0x0110, name, type);
	if (edns != NO_EDNS)
		df_msg_opt(&m, 1232, edns == EDNS_DO ? 0x8000 : 0, NULL, 0);
	assert_int_equal(df_dns_parse_query(m.b, m.len, &q, &id), 0);
	return q;
}

/* The answer built from upstream, which came under another id; checked by the oracle too. */
static struct df_msg build(const struct df_dns_query *q, const struct df_msg *upstream,
			   size_t limit)
{
	struct df_dns_answer a;
	struct df_msg built;
	int r;

	assert_null(df_oracle_answer(upstream->b, upstream->len, q, 0x4321, &a, &r));
	assert_int_equal(r, 0);
	r = df_dns_build_answer(q, upstream->b, upstream->len, NULL, limit, built.b,
				sizeof(built.b));
	assert_in_range(r, DF_DNS_HEADER_LEN, limit);
	built.len = (size_t)r;
	return built;
}

static void assert_same(const struct df_msg *built, const struct df_msg *expected)
{
	assert_int_equal(built->len, expected->len);
	assert_memory_equal(built->b, expected->b, expected->len);
}

static void test_query(void **state)
{
	static const struct {
		uint16_t udp_size, expected;
	} sizes[] = {{512, 512}, {1000, 1000}, {1232, 1232}, {4096, 1232}, {65535, 1232}};
	struct df_dns_query q = query_for("wWw.Example.com", DF_DNS_TYPE_ANY, NO_EDNS);
	uint8_t buf[512];
	struct df_msg m;

	(void)state;
	df_msg_init(&m, 7, 0x0110, "www.example.com", DF_DNS_TYPE_ANY);
	assert_int_equal(df_dns_build_query(&q, 7, false, buf, sizeof(buf)), m.len);
	assert_memory_equal(buf, m.b, m.len);
	df_msg_init(&m, 7, 0x0110, "wWw.Example.com", DF_DNS_TYPE_ANY);
	assert_int_equal(df_dns_build_query(&q, 7, true, buf, sizeof(buf)), m.len);
	assert_memory_equal(buf, m.b, m.len);
	for (size_t size = 0; size < m.len; size++)
		assert_int_equal(df_dns_build_query(&q, 7, true, buf, size), -EMSGSIZE);
	assert_int_equal(df_dns_build_query(&q, 7, true, buf, m.len), m.len);

	q = query_for("a", DF_DNS_TYPE_A, EDNS_DO);
	q.n_options = 6;
	memcpy(q.options, "\0\3\0\2id", 6);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		q.edns_udp_size = sizes[i].udp_size;
		df_msg_init(&m, 7, 0x0110, "a", DF_DNS_TYPE_A);
		df_msg_opt(&m, sizes[i].expected, 0x8000, BYTES("\0\3\0\2id"));
		assert_int_equal(df_dns_build_query(&q, 7, false, buf, sizeof(buf)), m.len);
		assert_memory_equal(buf, m.b, m.len);
	}
}

/* What upstream wrote as we would comes out the same, but for id and case. */
static void test_rebuilt_is_as_short(void **state)
{
	struct df_dns_query q = query_for("wWw.example.com", DF_DNS_TYPE_AAAA, EDNS);
	struct df_msg up, expected, built;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct df_msg *m = i ? &expected : &up;

		df_msg_init(m, i ? ID : 0x4321, 0x81b0, i ? "wWw.example.com" : "www.example.com",
			    DF_DNS_TYPE_AAAA);
		df_msg_rr_name(m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
		df_msg_rr_name(m, DF_MSG_AN, "@45", DF_DNS_TYPE_CNAME, "a.cdn@24");
		df_msg_rr(m, DF_MSG_AN, "@64", DF_DNS_TYPE_AAAA, BYTES(ADDR6));
		m->b[m->len - 22] = 0x7f; /* a long TTL */
		df_msg_rr(m, DF_MSG_AN, "@64", DF_DNS_TYPE_AAAA, BYTES(ADDR6));
		df_msg_opt(m, DF_DNS_UDP_OURS, 0, BYTES("\0\x0f\0\4\0\3ok"));
	}
	built = build(&q, &up, 1232);
	assert_same(&built, &expected);
}

static void test_rebuilt_keeps_what_is_asked(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, NO_EDNS);
	struct df_msg up, expected, built;

	(void)state;
	df_msg_init(&up, 0x4321, 0x85c0, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr(&up, DF_MSG_AN, "other", DF_DNS_TYPE_AAAA, BYTES(ADDR6));
	df_msg_rr(&up, DF_MSG_AN, "www.example.com", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rr(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_TXT, BYTES("\2hi"));
	df_msg_rrsig(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_A);
	df_msg_rr_name(&up, DF_MSG_NS, "@16", DF_DNS_TYPE_NS, "ns@16");
	df_msg_rr(&up, DF_MSG_AR, "ns.example.com", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_opt(&up, 4096, 0, NULL, 0);

	df_msg_init(&expected, ID, 0x8580, "www.example.com", DF_DNS_TYPE_A); /* Z is cleared */
	df_msg_rr(&expected, DF_MSG_AN, "@12", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rr_name(&expected, DF_MSG_NS, "@16", DF_DNS_TYPE_NS, "ns@16");
	df_msg_rr(&expected, DF_MSG_AR, "@61", DF_DNS_TYPE_A, BYTES(ADDR));
	built = build(&q, &up, 512);
	assert_same(&built, &expected);
}

/* RFC 1035 4.3.1: nothing but the way to other servers, for who follows it. */
static void test_rebuilt_referral(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, EDNS_DO);
	struct df_msg up, expected, built;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct df_msg *m = i ? &expected : &up;

		df_msg_init(m, i ? ID : 0x4321, 0x8010, "www.example.com", DF_DNS_TYPE_A);
		df_msg_rr_name(m, DF_MSG_NS, "@16", DF_DNS_TYPE_NS, "ns@16");
		df_msg_rr(m, DF_MSG_NS, "@16", 43, BYTES("\0\1\x0d\2digest"));
		df_msg_rrsig(m, DF_MSG_NS, "@16", 43);
		df_msg_rr(m, DF_MSG_AR, "@45", DF_DNS_TYPE_A, BYTES(ADDR));
		df_msg_rr(m, DF_MSG_AR, "@45", DF_DNS_TYPE_AAAA, BYTES(ADDR6));
		df_msg_opt(m, 1232, 0x8000, NULL, 0);
	}
	built = build(&q, &up, 512);
	assert_same(&built, &expected);
	/* Without room for all the glue: TC, RFC 9471. */
	built = build(&q, &up, up.len - 1);
	assert_int_equal(built.len, up.len - 28);
	assert_true(built.b[2] & 2);
	assert_int_equal(built.b[11], 2);
}

/* Under `default deny`: what nothing leads to does not reach the client. */
static void test_strays_are_left_out(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, NO_EDNS);
	struct df_msg up, expected;
	struct df_dns_answer a;
	uint8_t buf[512];

	(void)state;
	df_msg_init(&up, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr(&up, DF_MSG_AN, "edge.net", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rr_name(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "a.example.com");
	df_msg_rr_name(&up, DF_MSG_AN, "edge.net", DF_DNS_TYPE_CNAME, "x.net");
	df_msg_rr(&up, DF_MSG_AN, "a.example.com", DF_DNS_TYPE_A, BYTES(ADDR));
	assert_int_equal(df_dns_parse_answer(up.b, up.len, &q, 0x4321, &a), 0);
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(a.n_strays, 2);
	df_msg_init(&expected, ID, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr_name(&expected, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "a@16");
	df_msg_rr(&expected, DF_MSG_AN, "@45", DF_DNS_TYPE_A, BYTES(ADDR));
	assert_int_equal(df_dns_build_answer(&q, up.b, up.len, &a, 512, buf, sizeof(buf)),
			 expected.len);
	assert_memory_equal(buf, expected.b, expected.len);
	/* Else all of it does. */
	assert_int_equal(df_dns_build_answer(&q, up.b, up.len, NULL, 512, buf, sizeof(buf)),
			 expected.len + 24 + 16);
}

/* RFC 7873 5.3: whoever has a server's cookie waits for an answer with one. */
static void test_cookies(void **state)
{
	static const uint8_t full[] = "\0\x0a\0\x10"
				      "clientCK"
				      "serverCK";
	static const uint8_t half[] = "\0\x0a\0\x08"
				      "clientCK";
	static const uint16_t types[] = {DF_DNS_TYPE_A, DF_DNS_TYPE_MX};
	const struct df_dns_refusal r = {.rcode = DF_DNS_RCODE_NXDOMAIN, .ede = UINT16_MAX};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const bool has_server = i % 2;
		const uint16_t type = types[i / 2];
		struct df_msg m, up, expected, built;
		struct df_dns_query q;
		uint8_t buf[512];
		uint16_t id;
		int n;

		df_msg_init(&m, ID, 0x0110, "www.example.com", type);
		df_msg_opt(&m, 1232, 0, has_server ? full : half, has_server ? 20 : 12);
		assert_int_equal(df_dns_parse_query(m.b, m.len, &q, &id), 0);
		/* No resolver sees one, so none gives one. */
		df_msg_init(&expected, 7, 0x0110, "www.example.com", type);
		df_msg_opt(&expected, 1232, 0, NULL, 0);
		n = df_dns_build_query(&q, 7, true, buf, sizeof(buf));
		assert_int_equal(n, expected.len);
		assert_memory_equal(buf, expected.b, expected.len);
		/* The refusal and the answer have the same. */
		df_msg_init(&expected, ID, 0x8193, "www.example.com", type);
		df_msg_opt(&expected, 1232, 0, full, has_server ? 20 : 0);
		n = df_dns_build_refusal(&q, &r, 512, buf, sizeof(buf));
		assert_int_equal(n, expected.len);
		assert_memory_equal(buf, expected.b, expected.len);
		df_msg_init(&up, 0x4321, 0x8193, "www.example.com", type);
		df_msg_opt(&up, 1232, 0,
			   BYTES("\0\x0a\0\x10"
				 "clientCK"
				 "upstream"));
		built = build(&q, &up, 512);
		assert_same(&built, &expected);
	}
}

/* Any order; names that upstream did not compress. */
static void test_rebuilt_chain(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, NO_EDNS);
	struct df_msg up, expected, built;
	struct df_dns_answer a;
	char text[DF_DNAME_TEXT_MAX];

	(void)state;
	df_msg_init(&up, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr(&up, DF_MSG_AN, "c.example.net", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rr_name(&up, DF_MSG_AN, "B.example.net", DF_DNS_TYPE_CNAME, "c.example.net");
	df_msg_rr_name(&up, DF_MSG_AN, "www.example.com", DF_DNS_TYPE_CNAME, "b.example.net");
	assert_int_equal(df_dns_parse_answer(up.b, up.len, &q, 0x4321, &a), 0);
	assert_int_equal(a.n_chain, 2);
	(void)df_dname_to_text(&a.chain[0], text);
	assert_string_equal(text, "b.example.net.");
	(void)df_dname_to_text(&a.chain[1], text);
	assert_string_equal(text, "c.example.net.");
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(a.addrs[0].ttl, 300);
	assert_memory_equal(a.addrs[0].addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff" ADDR, 16);

	df_msg_init(&expected, ID, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr(&expected, DF_MSG_AN, "c.example.net", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rr_name(&expected, DF_MSG_AN, "b@35", DF_DNS_TYPE_CNAME, "@33");
	df_msg_rr_name(&expected, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "@62");
	built = build(&q, &up, 512);
	assert_same(&built, &expected);
}

static void test_rebuilt_dname(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, NO_EDNS);
	struct df_msg up, built;
	struct df_dns_answer a;
	char text[DF_DNAME_TEXT_MAX];

	(void)state;
	/* With the synthesized CNAME, and from a server that leaves it to the client. */
	for (unsigned i = 0; i < 2; i++) {
		df_msg_init(&up, 0x4321, 0x8180, "www.example.com", DF_DNS_TYPE_A);
		df_msg_rr_name(&up, DF_MSG_AN, "@16", DF_DNS_TYPE_DNAME, "d.com");
		if (i == 0)
			df_msg_rr_name(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "www.d.com");
		df_msg_rr(&up, DF_MSG_AN, "www.d.com", DF_DNS_TYPE_A, BYTES(ADDR));
		assert_int_equal(df_dns_parse_answer(up.b, up.len, &q, 0x4321, &a), 0);
		assert_int_equal(a.n_chain, 1);
		assert_int_equal(a.n_addrs, 1);
		(void)df_dname_to_text(&a.chain[0], text);
		assert_string_equal(text, "www.d.com.");
		built = build(&q, &up, 512);
		assert_int_equal(built.b[7], i == 0 ? 3 : 2);
		assert_memory_equal(built.b + 33 + 12, "\1d\3com\0", 7);
	}
	/* The name becomes too long, YXDOMAIN: the answer ends there. */
	df_msg_init(&up, 0x4321, 0x8186, "www.example.com", DF_DNS_TYPE_A);
	df_msg_begin(&up, DF_MSG_AN, "@16", DF_DNS_TYPE_DNAME);
	for (unsigned i = 0; i < 126; i++)
		df_msg_put(&up, "\1a", 2);
	df_msg_put(&up, "", 1);
	df_msg_end(&up);
	built = build(&q, &up, 512);
	assert_int_equal(built.b[3], 0x86);
	assert_int_equal(built.b[7], 1);
}

static void test_rebuilt_signatures(void **state)
{
	struct df_dns_query with_do = query_for("www.example.com", DF_DNS_TYPE_A, EDNS_DO);
	struct df_dns_query without = query_for("www.example.com", DF_DNS_TYPE_A, EDNS);
	struct df_msg up, bare, built;

	(void)state;
	df_msg_init(&up, ID, 0x81a0, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr_name(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
	df_msg_rrsig(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME);
	df_msg_rr(&up, DF_MSG_AN, "@45", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rrsig(&up, DF_MSG_AN, "@45", DF_DNS_TYPE_A);
	df_msg_rr(&up, DF_MSG_NS, "x@16", DF_DNS_TYPE_NSEC, BYTES("\1y\7example\3com\0\0\1\x40"));
	df_msg_rrsig(&up, DF_MSG_NS, "x@16", DF_DNS_TYPE_NSEC);
	df_msg_opt(&up, DF_DNS_UDP_OURS, 0x8000, NULL, 0);
	up.b[0] = 0x43;
	up.b[1] = 0x21;
	built = build(&with_do, &up, 1232);
	/* Shorter: upstream wrote the owner of the second x.example.com again. */
	assert_int_equal(built.len, up.len - 2);
	assert_int_equal(built.b[7], 4);
	assert_int_equal(built.b[9], 2);
	assert_int_equal(built.b[11], 1);

	df_msg_init(&bare, ID, 0x81a0, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr_name(&bare, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
	df_msg_rr(&bare, DF_MSG_AN, "@45", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_opt(&bare, DF_DNS_UDP_OURS, 0x8000, NULL, 0);
	built = build(&without, &up, 1232);
	assert_same(&built, &bare);
	/* An RRSIG of what is dropped is dropped. */
	df_msg_init(&up, 0x4321, 0x81a0, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rrsig(&up, DF_MSG_AN, "@12", DF_DNS_TYPE_TXT);
	df_msg_rrsig(&up, DF_MSG_NS, "@16", DF_DNS_TYPE_NS);
	built = build(&with_do, &up, 1232);
	assert_int_equal(built.b[7], 0);
	assert_int_equal(built.b[9], 1); /* what stands beside it is kept */
}

static void test_rebuilt_denial(void **state)
{
	struct df_dns_query q = query_for("www.example.com", DF_DNS_TYPE_A, NO_EDNS);
	struct df_msg up, expected, built;

	(void)state;
	for (unsigned rcode = 0; rcode <= DF_DNS_RCODE_REFUSED; rcode++) {
		df_msg_init(&up, 0x4321, (uint16_t)(0x8180 | rcode), "www.example.com",
			    DF_DNS_TYPE_A);
		df_msg_soa(&up, "@16", "ns@16", "root.ns@16");
		df_msg_init(&expected, ID, (uint16_t)(0x8180 | rcode), "www.example.com",
			    DF_DNS_TYPE_A);
		df_msg_soa(&expected, "@16", "ns@16", "root@45");
		built = build(&q, &up, 512);
		assert_same(&built, &expected);
	}
}

static void test_flags_and_rcode_are_kept(void **state)
{
	static const uint16_t flags[] = {0x8000, 0x8400, 0x8200, 0x8100, 0x8080, 0x8020, 0x8010};
	static const uint16_t types[] = {DF_DNS_TYPE_A, DF_DNS_TYPE_MX};
	struct df_msg up, expected, built;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags) * 2; i++) {
		struct df_dns_query q = query_for("a.b", types[i % 2], EDNS);

		/* BADVERS is 16: the upper bits are in the OPT, RFC 6891 6.1.3. */
		df_msg_init(&up, 0x4321, flags[i / 2], "a.b", types[i % 2]);
		df_msg_opt(&up, DF_DNS_UDP_OURS, 0x01000000, NULL, 0);
		df_msg_init(&expected, ID, flags[i / 2], "a.b", types[i % 2]);
		df_msg_opt(&expected, DF_DNS_UDP_OURS, 0x01000000, NULL, 0);
		built = build(&q, &up, 512);
		assert_same(&built, &expected);
	}
}

static void test_too_long_is_truncated(void **state)
{
	static const uint16_t types[] = {DF_DNS_TYPE_A, DF_DNS_TYPE_TXT};
	uint8_t buf[1000];

	(void)state;
	for (size_t t = 0; t < 2; t++) {
		struct df_dns_query q = query_for("Www.example.com", types[t], EDNS);
		struct df_msg up, expected, built;

		df_msg_init(&up, 0x4321, 0x8180, "www.example.com", types[t]);
		for (unsigned i = 0; i < 30; i++)
			df_msg_rr(&up, DF_MSG_AN, "@12", types[t], (uint8_t[]){3, 0, 0, (uint8_t)i},
				  4);
		df_msg_opt(&up, DF_DNS_UDP_OURS, 0, BYTES("\0\3\0\2id"));
		built = build(&q, &up, up.len);
		assert_int_equal(built.len, up.len);
		built = build(&q, &up, up.len - 1);
		/* All but the last record, which does not fit. */
		df_msg_init(&expected, ID, 0x8380, "Www.example.com", types[t]);
		for (unsigned i = 0; i < 29; i++)
			df_msg_rr(&expected, DF_MSG_AN, "@12", types[t],
				  (uint8_t[]){3, 0, 0, (uint8_t)i}, 4);
		df_msg_opt(&expected, DF_DNS_UDP_OURS, 0, BYTES("\0\3\0\2id"));
		assert_same(&built, &expected);
		/* The options go before the OPT does. */
		built = build(&q, &up, 33 + 11);
		assert_int_equal(built.len, 33 + 11);
		assert_int_equal(df_dns_build_answer(&q, up.b, up.len, NULL, 512, buf, 33 + 10),
				 -EMSGSIZE);
		assert_int_equal(df_dns_build_answer(&q, up.b, up.len, NULL, 512, buf, 0),
				 -EMSGSIZE);
	}
}

static void test_others_pass(void **state)
{
	static const struct {
		uint16_t type;
		const char *rdata;
		size_t n;
	} rows[] = {
		{DF_DNS_TYPE_MX, BYTES("\0\x0a\2mx\xc0\x10")},
		{DF_DNS_TYPE_TXT, BYTES("\5hello")},
		{DF_DNS_TYPE_SRV, BYTES("\0\1\0\2\1\xbb\xc0\x0c")},
		{257, BYTES("\0\5issueca.example")},
		{65280, BYTES("\xc0\x0c\xff")},
		{DF_DNS_TYPE_NS, BYTES("\2NS\xc0\x10")},
		{DF_DNS_TYPE_ANY, BYTES("any")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q = query_for("wwW.eXample.com", rows[i].type, EDNS);
		struct df_msg up, expected, built;

		df_msg_init(&up, 0x4321, 0x8180, "www.example.com", rows[i].type);
		df_msg_rr(&up, DF_MSG_AN, "@12", rows[i].type, rows[i].rdata, rows[i].n);
		df_msg_rr(&up, DF_MSG_AR, "mx@16", DF_DNS_TYPE_A, BYTES(ADDR));
		df_msg_opt(&up, 4000, 0, BYTES("\0\3\0\2id"));
		expected = up;
		expected.b[0] = ID >> 8;
		expected.b[1] = ID & 0xff;
		memcpy(expected.b + 12, "\3wwW\7eXample\3com", 17);
		built = build(&q, &up, 512);
		assert_same(&built, &expected);

		/* The client spoke no EDNS, upstream does: RFC 6891 7. */
		q = query_for("wwW.eXample.com", rows[i].type, NO_EDNS);
		expected.b[11] = 1;
		expected.len -= 11 + 6;
		built = build(&q, &up, 512);
		assert_same(&built, &expected);
	}
}

static void test_refusal(void **state)
{
	struct df_dns_refusal r = {DF_DNS_RCODE_NXDOMAIN, false, DF_DNS_EDE_BLOCKED, "no: \xc3\xa9",
				   false};
	struct df_dns_query q = query_for("gitHub.com", DF_DNS_TYPE_A, EDNS_DO);
	struct df_msg expected;
	uint8_t buf[512];
	int n;

	(void)state;
	df_msg_init(&expected, ID, 0x8193, "gitHub.com", DF_DNS_TYPE_A);
	df_msg_opt(&expected, DF_DNS_UDP_OURS, 0x8000, BYTES("\0\x0f\0\x08\0\x0fno: \xc3\xa9"));
	n = df_dns_build_refusal(&q, &r, 512, buf, sizeof(buf));
	assert_int_equal(n, expected.len);
	assert_memory_equal(buf, expected.b, expected.len);
	/* Cut between characters, then without EDE, then not at all. */
	assert_int_equal(df_dns_build_refusal(&q, &r, expected.len - 1, buf, 512), n - 2);
	assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, (size_t)n - 2), n - 2);
	assert_int_equal(df_dns_build_refusal(&q, &r, (size_t)n - 6, buf, 512), n - 6);
	assert_int_equal(df_dns_build_refusal(&q, &r, (size_t)n - 7, buf, 512), n - 12);
	assert_int_equal(df_dns_build_refusal(&q, &r, (size_t)n - 12, buf, 512), n - 12);
	for (int size = 0; size < n - 12; size++)
		assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, (size_t)size), -EMSGSIZE);
	r.ede_text = NULL;
	assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, 512), n - 6);
	r.ede = UINT16_MAX;
	assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, 512), n - 12);

	/* No EDNS where the client had none; RD and CD as asked. */
	q = query_for("gitHub.com", DF_DNS_TYPE_ANY, NO_EDNS);
	q.rd = q.cd = false;
	r = (struct df_dns_refusal){DF_DNS_RCODE_REFUSED, true, DF_DNS_EDE_BLOCKED, "text", false};
	df_msg_init(&expected, ID, 0x8085, "gitHub.com", DF_DNS_TYPE_ANY);
	assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, 512), expected.len);
	assert_memory_equal(buf, expected.b, expected.len);
}

static void test_sinkhole_and_nodata(void **state)
{
	static const uint16_t types[] = {DF_DNS_TYPE_A, DF_DNS_TYPE_AAAA, DF_DNS_TYPE_HTTPS};
	static const uint8_t zeros[16];
	uint8_t buf[512];

	(void)state;
	for (size_t i = 0; i < 3 * 2; i++) {
		uint16_t type = types[i / 2];
		struct df_dns_query q = query_for("x.org", type, NO_EDNS);
		struct df_dns_refusal r = {0, i % 2, UINT16_MAX, NULL, false};
		struct df_msg expected;

		df_msg_init(&expected, ID, 0x8190, "x.org", type);
		if (r.sinkhole && i / 2 < 2) {
			df_msg_rr(&expected, DF_MSG_AN, "@12", type, zeros, i / 2 ? 16 : 4);
			memset(expected.b + 23 + 6, 0, 4); /* TTL */
		}
		assert_int_equal(df_dns_build_refusal(&q, &r, 512, buf, 512), expected.len);
		assert_memory_equal(buf, expected.b, expected.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_rebuilt_is_as_short),
		cmocka_unit_test(test_rebuilt_keeps_what_is_asked),
		cmocka_unit_test(test_rebuilt_referral),
		cmocka_unit_test(test_strays_are_left_out),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_rebuilt_chain),
		cmocka_unit_test(test_rebuilt_dname),
		cmocka_unit_test(test_rebuilt_signatures),
		cmocka_unit_test(test_rebuilt_denial),
		cmocka_unit_test(test_flags_and_rcode_are_kept),
		cmocka_unit_test(test_too_long_is_truncated),
		cmocka_unit_test(test_others_pass),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_sinkhole_and_nodata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
