/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dns_wire accepts and refuses.  What it builds: test_dns_build.c; the same
 * with many messages: test_dns_mutants.c.
 */
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
#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 octets */
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define HQ(qd, an, ns, ar) "\x12\x34\1\0\0" qd "\0" an "\0" ns "\0" ar
#define HA(an, ns, ar) "\x12\x34\x81\x80\0\1\0" an "\0" ns "\0" ar
#define WWW "\3www\7example\3com\0" /* at 12; example at 16, com at 24, records at 33 */
#define Q(type) WWW "\0" type "\0\1"
#define QA Q("\1")
#define OPT(rdlen) "\0\0\x29\4\xd0\0\0\0\0\0" rdlen
#define RR(owner, type, rdlen) owner "\0" type "\0\1\0\0\1\x2c\0" rdlen
#define QNAME "\xc0\x0c"
#define ADDR "\xc0\0\2\1"
#define SIGNATURE "\3key\0\0\xfa\0\xff\0\0\0\0\0\3mac"

static void test_query(void **state)
{
	static const char options[] = "\0\x0a\0\x08"
				      "12345678\0\3\0\0";
	struct df_dns_query q;
	struct df_msg m;
	int r;

	(void)state;
	df_msg_init(&m, 0xbeef, 0x0130, "wWw.Example.com", DF_DNS_TYPE_HTTPS);
	df_msg_opt(&m, 4096, 0x8000, BYTES(options));
	assert_null(df_oracle_query(m.b, m.len, &q, &r));
	assert_int_equal(r, 0);
	assert_int_equal(q.id, 0xbeef);
	assert_true(q.rd && q.ad && q.cd && q.has_edns && q.edns_do);
	assert_memory_equal(q.name.wire, WWW, 17);
	assert_memory_equal(q.name_case, "\3wWw\7Example\3com\0", 17);
	assert_int_equal(q.type, DF_DNS_TYPE_HTTPS);
	assert_int_equal(q.edns_udp_size, 4096);
	assert_int_equal(q.n_cookie, 8);
	assert_memory_equal(q.cookie, "12345678", 8);
	assert_int_equal(q.n_options, 4); /* the other one */
	assert_memory_equal(q.options, "\0\3\0", 4);
	assert_false(q.is_verbatim);

	df_msg_init(&m, 1, 0, ".", DF_DNS_TYPE_ANY);
	assert_null(df_oracle_query(m.b, m.len, &q, &r));
	assert_int_equal(r, 0);
	assert_false(q.rd || q.ad || q.cd || q.has_edns || q.edns_do);
	assert_int_equal(q.name.len, 1);
	assert_int_equal(q.edns_udp_size, DF_DNS_UDP_MIN);
	assert_int_equal(q.n_options, 0);

	df_msg_opt(&m, 100, 0, NULL, 0);
	assert_null(df_oracle_query(m.b, m.len, &q, &r));
	assert_int_equal(q.edns_udp_size, DF_DNS_UDP_MIN);
}

static void test_query_refused(void **state)
{
	static const struct {
		const char *pkt;
		size_t len;
		int expected;
		const char *why;
	} rows[] = {
		{BYTES(""), -EBADMSG, "nothing"},
		{BYTES("\x12"), -EBADMSG, "half an id"},
		{BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), -EBADMSG, "11 octets"},
		{BYTES(HQ("\1", "\0", "\0", "\0")), -EBADMSG, "no question there"},
		{BYTES(HQ("\0", "\0", "\0", "\0")), -EBADMSG, "zero questions"},
		{BYTES(HQ("\0", "\0", "\0", "\0") QA), -EBADMSG, "zero questions, one there"},
		{BYTES(HQ("\2", "\0", "\0", "\0") QA QA), -EBADMSG, "two questions"},
		{BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" QA), -EBADMSG, "a response"},
		{BYTES("\x12\x34\xa1\0\0\1\0\0\0\0\0\0" QA), -EBADMSG, "a response, NOTIFY"},
		{BYTES("\x12\x34\x29\0\0\1\0\0\0\0\0\0" QA), -EOPNOTSUPP, "opcode UPDATE"},
		{BYTES("\x12\x34\x08\0\0\1\0\0\0\0\0\0" QA), -EOPNOTSUPP, "opcode IQUERY"},
		{BYTES(HQ("\1", "\0", "\0", "\0") WWW "\0\x10\0\3"), -EOPNOTSUPP, "class CH"},
		{BYTES(HQ("\1", "\0", "\0", "\0") WWW "\0\1\0\xff"), -EOPNOTSUPP, "class ANY"},
		{BYTES(HQ("\1", "\0", "\0", "\0") QA "\0"), -EBADMSG, "a trailing octet"},
		{BYTES(HQ("\1", "\1", "\0", "\0") QA RR(QNAME, "\1", "\4") ADDR), -EBADMSG,
		 "an answer record"},
		{BYTES(HQ("\1", "\0", "\1", "\0") QA RR(QNAME, "\1", "\4") ADDR), -EBADMSG,
		 "an authority record"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA RR(QNAME, "\1", "\4") ADDR), -EBADMSG,
		 "an additional record that is no OPT"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA), -EBADMSG, "OPT counted, not there"},
		{BYTES(HQ("\1", "\0", "\0", "\2") QA OPT("\0") OPT("\0")), -EBADMSG, "two OPT"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA "\1a" OPT("\0")), -EBADMSG,
		 "OPT of another owner than the root"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA "\xc0\x1c\0\x29\4\xd0\0\0\0\0\0\0"), -EBADMSG,
		 "OPT of the root, by a pointer"},
		{BYTES(HQ("\1", "\0", "\0", "\2") QA SIGNATURE OPT("\0")), -EBADMSG,
		 "a record behind the signature"},
		{BYTES(HQ("\1", "\0", "\0", "\2") QA SIGNATURE SIGNATURE), -EBADMSG,
		 "two signatures"},
		{BYTES(HQ("\1", "\0", "\1", "\0") QA SIGNATURE), -EBADMSG,
		 "a signature in another section"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA OPT("\3") "\0\x0a\0"), -EBADMSG,
		 "EDNS option header past the end"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA OPT("\6") "\0\x0a\0\3ab"), -EBADMSG,
		 "EDNS option length past the end"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA OPT("\5") "\0\x0a\0\0"), -EBADMSG,
		 "OPT RDLENGTH past the end"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA OPT("\0") "x"), -EBADMSG, "octet behind OPT"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\xc0\x0c\0\1\0\1"), -EBADMSG, "looped pointer"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\1a\xc0\x0c\0\1\0\1"), -EBADMSG,
		 "pointer to its own name"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\xc0\x12\0\1\0\1\1a\0"), -EBADMSG,
		 "forward pointer"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\3www\xc0\4\0\1\0\1"), -EBADMSG,
		 "pointer into the header"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\3www\xc0\x0d\0\1\0\1"), -EBADMSG,
		 "pointer into a label"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\x41www\0\0\1\0\1"), -EBADMSG, "label type 01"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\x81www\0\0\1\0\1"), -EBADMSG, "label type 10"},
		{BYTES(HQ("\1", "\0", "\0", "\0") "\77" L63 "\77" L63 "\77" L63 "\76" L61
						  "a\0\0\1\0\1"),
		 -EBADMSG, "a name of 256 octets"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q = {.type = 4711};
		int r = 1;

		/* The oracle also checks that the id is told. */
		assert_null(df_oracle_query((const uint8_t *)rows[i].pkt, rows[i].len, &q, &r));
		if (r != rows[i].expected)
			fail_msg("%d: %s", r, rows[i].why);
		assert_int_equal(q.type, 4711);
	}
}

static void test_query_limits(void **state)
{
	static const uint8_t zeros[DF_DNS_QUERY_MAX];
	struct df_dns_query q;
	struct df_msg m;
	int r;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		/* Padding, RFC 7830: octets of the option and its header of four. */
		static const unsigned sizes[] = {1020, 1021, DF_DNS_QUERY_MAX - 48};
		uint8_t header[4] = {0, 12, (uint8_t)(sizes[i] >> 8), (uint8_t)sizes[i]};

		df_msg_init(&m, 1, 0, "www.example.com", DF_DNS_TYPE_A);
		df_msg_begin(&m, DF_MSG_AR, "", DF_DNS_TYPE_OPT);
		memset(m.b + m.len - 6, 0, 4);
		df_msg_put(&m, header, 4);
		df_msg_put(&m, zeros, sizes[i]);
		df_msg_end(&m);
		assert_null(df_oracle_query(m.b, m.len, &q, &r));
		assert_int_equal(r, i == 0 ? 0 : -EMSGSIZE);
	}
	assert_int_equal(m.len, DF_DNS_QUERY_MAX);
	df_msg_put(&m, "", 1);
	assert_null(df_oracle_query(m.b, m.len, &q, &r));
	assert_int_equal(r, -EMSGSIZE);
}

/* Records that may be on the way, and must not be changed. */
static void test_query_verbatim(void **state)
{
	static const struct {
		const char *pkt;
		size_t len;
		const char *why;
	} rows[] = {
		{BYTES(HQ("\1", "\0", "\0", "\1") QA SIGNATURE), "signed"},
		{BYTES(HQ("\1", "\0", "\0", "\2") QA OPT("\0") SIGNATURE), "signed, with EDNS"},
		{BYTES(HQ("\1", "\0", "\0", "\1") QA "\0\0\x29\4\xd0\0\1\0\0\0\0"),
		 "EDNS version 1"},
		{BYTES(HQ("\1", "\0", "\1", "\0") Q("\xfb")
			       RR(QNAME, "\6", "\x16") "\0\0"
						       "12345678901234567890"),
		 "IXFR with an SOA"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q;
		int r;

		assert_null(df_oracle_query((const uint8_t *)rows[i].pkt, rows[i].len, &q, &r));
		if (r != 0 || !q.is_verbatim)
			fail_msg("%d: %s", r, rows[i].why);
	}
}

/* RFC 7873 4 and 5.2.2: those of a wrong length are for the resolver to refuse. */
static void test_query_cookies(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	for (unsigned n = 0; n <= 48; n++) {
		const bool is_good = n == 8 || (n >= 16 && n <= 40);
		const uint8_t header[4] = {0, 10, 0, (uint8_t)n};
		struct df_dns_query q;
		struct df_msg m;
		int r;

		df_msg_init(&m, 1, 0, "www.example.com", DF_DNS_TYPE_A);
		df_msg_begin(&m, DF_MSG_AR, "", DF_DNS_TYPE_OPT);
		memset(m.b + m.len - 6, 0, 4);
		df_msg_put(&m, header, 4);
		df_msg_put(&m, zeros, n);
		df_msg_put(&m,
			   "\0\x0a\0\x08"
			   "another1",
			   12); /* the first counts */
		df_msg_end(&m);
		assert_null(df_oracle_query(m.b, m.len, &q, &r));
		assert_int_equal(r, 0);
		assert_int_equal(q.n_cookie, is_good ? n : 8);
		assert_int_equal(q.n_options, is_good ? 0 : 4 + n);
	}
}

struct names {
	unsigned n;
	char text[8][64];
};

static int take_name(void *data, const struct df_dname *name)
{
	struct names *all = data;
	char text[DF_DNAME_TEXT_MAX];

	(void)df_dname_to_text(name, text);
	(void)snprintf(all->text[all->n++ % 8], 64, "%.63s", text);
	return 0;
}

static void test_other(void **state)
{
	/* UPDATE: zone, a prerequisite of class NONE, an update of class ANY, TSIG */
	static const uint8_t update[] = "\x12\x34\x28\0\0\1\0\1\0\2\0\1"
					"\4Corp\7example\0\0\6\0\1"
					"\1a\xc0\x0c\0\1\0\xfe\0\0\0\0\0\0"
					"\1b\xc0\x0c\0\xff\0\xff\0\0\0\0\0\0"
					"\6github\3com\0\0\1\0\1\0\0\0\x3c\0\4" ADDR SIGNATURE;
	static const uint8_t answer[] = "\x12\x34\xa8\5\0\1\0\0\0\0\0\0"
					"\4corp\7example\0\0\6\0\1";
	static const uint8_t chaos[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\7version\4bind\0\0\x10\0\3"
				       "\xc0\x0c\0\5\0\3\0\0\0\0\0\x0c\6github\3com\0";
	struct names names = {.n = 0};
	uint8_t buf[DF_DNS_HEADER_LEN];
	struct df_dns_query q;

	(void)state;
	assert_int_equal(df_dns_parse_other(update, sizeof(update) - 1, take_name, &names, &q), 0);
	assert_int_equal(names.n, 4);
	assert_string_equal(names.text[0], "corp.example.");
	assert_string_equal(names.text[1], "a.corp.example.");
	assert_string_equal(names.text[2], "b.corp.example.");
	assert_string_equal(names.text[3], "github.com.");
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.opcode, DF_DNS_OPCODE_UPDATE);
	assert_int_equal(q.type, DF_DNS_TYPE_SOA);
	assert_memory_equal(q.name_case, "\4Corp", 5);
	for (size_t len = 0; len < sizeof(update) - 1; len++)
		assert_int_equal(df_dns_parse_other(update, len, take_name, &names, &q), -EBADMSG);

	assert_int_equal(df_dns_build_error(update, 40, buf), DF_DNS_HEADER_LEN);
	assert_memory_equal(buf, "\x12\x34\xa8\1\0\0\0\0\0\0\0\0", DF_DNS_HEADER_LEN);
	assert_int_equal(df_dns_build_error(update, 11, buf), 0);
	assert_int_equal(df_dns_build_error(answer, sizeof(answer) - 1, buf), 0);
	assert_int_equal(
		df_dns_build_error((const uint8_t *)"\x12\x34\x31\0\0\1\0\0\0\0\0\0", 12, buf),
		DF_DNS_HEADER_LEN);
	assert_memory_equal(buf, "\x12\x34\xb1\4\0", 5); /* DSO, RFC 8490 */

	assert_int_equal(df_dns_check_other(answer, sizeof(answer) - 1, 0x1234, take_name, &names),
			 0);
	assert_int_equal(df_dns_check_other(answer, sizeof(answer) - 1, 1, take_name, &names),
			 -ENOMSG);
	assert_int_equal(df_dns_check_other(update, sizeof(update) - 1, 0x1234, take_name, &names),
			 -ENOMSG);
	names.n = 0;
	assert_int_equal(df_dns_check_other(chaos, sizeof(chaos) - 1, 0x1234, take_name, &names),
			 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.text[1], "github.com.");
}

/* Cut at every octet: none of it is a message. */
static void test_truncated_everywhere(void **state)
{
	struct df_dns_query q, asked;
	struct df_dns_answer a;
	struct df_msg m;
	int r;

	(void)state;
	df_msg_init(&m, 1, 0x0100, "www.example.com", DF_DNS_TYPE_A);
	df_msg_opt(&m, 1232, 0,
		   BYTES("\0\x0a\0\x08"
			 "12345678\0\3\0\0"));
	assert_null(df_oracle_query(m.b, m.len, &asked, &r));
	assert_int_equal(r, 0);
	for (size_t cut = 0; cut < m.len; cut++) {
		assert_null(df_oracle_query(m.b, cut, &q, &r));
		assert_int_equal(r, -EBADMSG);
	}
	df_msg_init(&m, 1, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr_name(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
	df_msg_rr(&m, DF_MSG_AN, "@45", DF_DNS_TYPE_A, BYTES(ADDR));
	df_msg_rrsig(&m, DF_MSG_AN, "@45", DF_DNS_TYPE_A);
	df_msg_soa(&m, "@16", "ns@16", "root@16");
	df_msg_opt(&m, 1232, 0, BYTES("\0\3\0\2id"));
	assert_null(df_oracle_answer(m.b, m.len, &asked, 1, &a, &r));
	assert_int_equal(r, 0);
	for (size_t cut = 0; cut < m.len; cut++) {
		assert_null(df_oracle_answer(m.b, cut, &asked, 1, &a, &r));
		assert_int_equal(r, -EBADMSG);
	}
	/* With TC it may end wherever it likes: what is whole counts. */
	m.b[2] |= 2;
	for (size_t cut = 0; cut < m.len; cut++) {
		assert_null(df_oracle_answer(m.b, cut, &asked, 1, &a, &r));
		assert_int_equal(r, cut < DF_DNS_HEADER_LEN ? -EBADMSG : 0);
		if (r < 0)
			continue;
		assert_true(a.tc && a.is_cut);
		assert_int_equal(a.n_chain, cut >= 33 + 19);
		assert_int_equal(a.n_addrs, cut >= 33 + 19 + 16);
	}
	/* Malformed it is all the same. */
	m.b[33 + 19 + 11] = 3; /* RDLENGTH of the A record */
	for (size_t cut = 33 + 19 + 16; cut <= m.len; cut++) {
		assert_null(df_oracle_answer(m.b, cut, &asked, 1, &a, &r));
		assert_int_equal(r, -EBADMSG);
	}
	m.b[13] = 'x'; /* another question */
	for (size_t cut = 14; cut <= 32; cut++) {
		assert_null(df_oracle_answer(m.b, cut, &asked, 1, &a, &r));
		assert_int_equal(r, -EBADMSG);
	}
}

static struct df_dns_query asked_for(const char *name, uint16_t type)
{
	struct df_dns_query q;
	struct df_msg m;
	uint16_t id;

	df_msg_init(&m, 0x1234, 0x0100, name, type);
	assert_int_equal(df_dns_parse_query(m.b, m.len, &q, &id), 0);
	return q;
}

static void test_answer_refused(void **state)
{
	static const struct {
		const char *pkt;
		size_t len;
		uint16_t type;
		int expected;
		const char *why;
	} rows[] = {
		{BYTES("\x12\x34\x81\x80\0\1\0\0\0\0\0"), 1, -EBADMSG, "11 octets"},
		{BYTES("\x12\x35\x81\x80\0\1\0\0\0\0\0\0" QA), 1, -ENOMSG, "another id"},
		{BYTES(HQ("\1", "\0", "\0", "\0") QA), 1, -ENOMSG, "not a response"},
		{BYTES("\x12\x34\xa9\x80\0\1\0\0\0\0\0\0" QA), 1, -ENOMSG, "another opcode"},
		{BYTES("\x12\x34\x81\x81\0\0\0\0\0\0\0\0"), 1, -ENOMSG, "no question"},
		{BYTES("\x12\x34\x81\x80\0\2\0\0\0\0\0\0" QA QA), 1, -EBADMSG, "two questions"},
		{BYTES(HA("\0", "\0", "\0") "\3wwx\7example\3com\0\0\1\0\1"), 1, -ENOMSG,
		 "another name"},
		{BYTES(HA("\0", "\0", "\0") QA), 28, -ENOMSG, "another type"},
		{BYTES(HA("\0", "\0", "\0") WWW "\0\1\0\3"), 1, -ENOMSG, "another class"},
		{BYTES(HA("\0", "\0", "\0") QA "\0"), 1, -EBADMSG, "a trailing octet"},
		{BYTES(HA("\1", "\0", "\0") QA), 1, -EBADMSG, "a record that is not there"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\1", "\5") ADDR "x"), 1, -EBADMSG,
		 "A of RDLENGTH 5"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\1", "\3") "\xc0\0\2"), 1, -EBADMSG,
		 "A of RDLENGTH 3"},
		{BYTES(HA("\1", "\0", "\0") Q("\x1c") RR(QNAME, "\x1c", "\x0f") "123456789012345"),
		 28, -EBADMSG, "AAAA of RDLENGTH 15"},
		{BYTES(HA("\0", "\0", "\1") Q("\x10") RR(QNAME, "\1", "\5") ADDR "x"), 16, -EBADMSG,
		 "A of RDLENGTH 5, elsewhere"},
		{BYTES(HA("\1", "\0", "\0") QA QNAME "\0\1\0\3\0\0\0\0\0\4" ADDR), 1, -EBADMSG,
		 "record of class CH"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\5", "\x08") "\4edge\xc0\x10x"), 1,
		 -EBADMSG, "CNAME with octets behind the name"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\5", "\6") "\4edge\xc0\x10"), 1, -EBADMSG,
		 "CNAME name past its RDATA"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\5", "\2") "\xc0\x2d"), 1, -EBADMSG,
		 "CNAME pointing to itself"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\5", "\2") QNAME), 1, -EBADMSG,
		 "CNAME to its owner"},
		{BYTES(HA("\2", "\0", "\0") QA RR(QNAME, "\5", "\3") "\1b\0" RR("\1b\0", "\5", "\2")
			       QNAME),
		 1, -EBADMSG, "loop of two CNAMEs"},
		{BYTES(HA("\3", "\0", "\0") QA RR(QNAME, "\5", "\3") "\1b\0" RR(
			 "\1b\0", "\5", "\3") "\1c\0" RR("\1c\0", "\5", "\3") "\1b\0"),
		 1, -EBADMSG, "loop of CNAMEs away from the QNAME"},
		{BYTES(HA("\0", "\0", "\2") QA OPT("\0") OPT("\0")), 1, -EBADMSG, "two OPT"},
		{BYTES(HA("\1", "\0", "\0") QA OPT("\0")), 1, -EBADMSG, "OPT as an answer"},
		{BYTES(HA("\0", "\0", "\1") QA "\0\0\x29\4\xd0\0\1\0\0\0\0"), 1, -EBADMSG,
		 "OPT of version 1"},
		{BYTES(HA("\0", "\0", "\1") QA OPT("\5") "\0\3\0\2x"), 1, -EBADMSG,
		 "EDNS option length past the end"},
		{BYTES(HA("\0", "\1", "\0") QA RR(QNAME, "\6", "\x17") "\0\0"
								       "1234567890123456789"
								       "0z"),
		 1, -EBADMSG, "SOA with an octet too many"},
		{BYTES(HA("\1", "\0", "\0") QA RR(QNAME, "\x2e", "\x14") "\0\1"
									 "1234567890123456" QNAME),
		 1, -EBADMSG, "RRSIG with a compressed signer"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q = asked_for("www.example.com", rows[i].type);
		struct df_dns_answer a = {.n_chain = 4711};
		int r = 1;

		assert_null(df_oracle_answer((const uint8_t *)rows[i].pkt, rows[i].len, &q, 0x1234,
					     &a, &r));
		if (r != rows[i].expected)
			fail_msg("%d: %s", r, rows[i].why);
		assert_int_equal(a.n_chain, 4711);
	}
}

/* Answers that careless resolvers and load balancers send, and that clients take. */
static void test_answer_tolerated(void **state)
{
	static const struct {
		const char *pkt;
		size_t len;
		unsigned n_chain, n_addrs, n_strays;
		const char *why;
	} rows[] = {
		{BYTES(HA("\3", "\0", "\0") QA RR(QNAME, "\5", "\3") "\1b\0" RR(
			 QNAME, "\5", "\3") "\1B\0" RR("\1b\0", "\1", "\4") ADDR),
		 1, 1, 0, "the same CNAME twice, in another case"},
		{BYTES(HA("\4", "\0", "\0") QA RR(QNAME, "\5", "\3") "\1b\0" RR(
			 QNAME, "\5", "\3") "\1c\0" RR("\1b\0", "\1", "\4")
			       ADDR RR("\1c\0", "\1", "\4") ADDR),
		 2, 2, 0, "two CNAMEs at one owner"},
		{BYTES(HA("\2", "\0", "\0") QA RR(QNAME, "\1", "\4")
			       ADDR RR("\1b\0", "\5", "\3") "\1c\0"),
		 0, 1, 2, "CNAME that is not of the chain"},
		{BYTES(HA("\2", "\0", "\0") QA RR(QNAME, "\1", "\4")
			       ADDR RR("\1b\0", "\x27", "\3") "\1c\0"),
		 0, 1, 2, "DNAME that is not of the chain"},
		{BYTES(HA("\3", "\0", "\0") QA RR("\xc0\x10", "\x27", "\3") "\1b\0" RR(
			 "\xc0\x10", "\x27", "\3") "\1b\0" RR(QNAME, "\5", "\7") "\3www\1b\0"),
		 1, 0, 0, "DNAME twice and what it makes"},
		{BYTES(HA("\2", "\0", "\0") QA RR("\xc0\x10", "\x27",
						  "\3") "\1b\0" RR(QNAME, "\5", "\7") "\3www\1c\0"),
		 2, 0, 0, "CNAME that contradicts the DNAME"},
		{BYTES(HA("\1", "\0", "\0") QA RR("\4edge\0", "\1", "\4") ADDR), 0, 0, 1,
		 "address of an unrelated owner"},
		{BYTES(HA("\3", "\0", "\0") QA RR("\4edge\0", "\1", "\4") ADDR RR(QNAME, "\1", "\4")
			       ADDR RR("\4EDGE\0", "\1", "\4") ADDR),
		 0, 1, 1, "address of an unrelated owner beside a right one"},
		{BYTES(HA("\2", "\0", "\0") QA RR(QNAME, "\5", "\3") "\1b\0" RR(QNAME, "\1", "\4")
			       ADDR),
		 1, 1, 0, "address at the start of the chain"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q = asked_for("www.example.com", DF_DNS_TYPE_A);
		struct df_dns_answer a;
		const char *wrong;
		int r;

		wrong = df_oracle_answer((const uint8_t *)rows[i].pkt, rows[i].len, &q, 0x1234, &a,
					 &r);
		if (wrong || r != 0)
			fail_msg("%s: %s, %d", rows[i].why, wrong ? wrong : "refused", r);
		if (a.n_chain != rows[i].n_chain || a.n_addrs != rows[i].n_addrs ||
		    a.n_strays != rows[i].n_strays)
			fail_msg("%s: %u %u %u", rows[i].why, a.n_chain, a.n_addrs, a.n_strays);
	}
}

/* Errors without a question, and what is none. */
static void test_bare_error(void **state)
{
	static const struct {
		const char *pkt;
		size_t len;
		unsigned rcode;
		bool has_opt;
	} rows[] = {
		{BYTES("\x12\x34\x81\x81\0\0\0\0\0\0\0\0"), 1, false},
		{BYTES("\x12\x34\x80\4\0\0\0\0\0\0\0\0"), 4, false},
		{BYTES("\x12\x34\x85\x82\0\0\0\0\0\0\0\1" OPT("\0")), 2, true},
		{BYTES("\x12\x34\x80\5\0\0\0\0\0\0\0\1" OPT("\5") "\0\x0a\0\1x"), 5, true},
		{BYTES("\x12\x34\x80\0\0\0\0\0\0\0\0\1\0\0\x29\4\xd0\1\0\0\0\0\0"), 16, true},
		{BYTES("\x12\x34\x81\x80\0\0\0\0\0\0\0\0"), 0, false}, /* no error */
		{BYTES("\x12\x34\1\1\0\0\0\0\0\0\0\0"), 0, false},     /* no answer */
		{BYTES("\x12\x34\xa8\1\0\0\0\0\0\0\0\0"), 0, false},
		{BYTES("\x12\x34\x80\1\0\0\0\0\0\0\0\0x"), 0, false},
		{BYTES("\x12\x34\x80\1\0\0\0\0\0\0\0\1"), 0, false},
		{BYTES("\x12\x34\x80\1\0\0\0\0\0\0\0"), 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool has_opt = false;

		assert_int_equal(
			df_dns_bare_error((const uint8_t *)rows[i].pkt, rows[i].len, &has_opt),
			rows[i].rcode);
		assert_int_equal(has_opt, rows[i].has_opt);
	}
}

static void test_answer_limits(void **state)
{
	struct df_dns_query q = asked_for("n0.x", DF_DNS_TYPE_A);
	struct df_dns_answer a;
	struct df_msg m;
	int r;

	(void)state;
	df_msg_init(&m, 1, 0x8180, "n0.x", DF_DNS_TYPE_A);
	for (unsigned i = 0; i <= DF_DNS_MAX_ADDRS; i++) {
		df_msg_rr(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_A, (uint8_t[]){10, 0, 0, (uint8_t)i},
			  4);
		assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
		assert_int_equal(r, i < DF_DNS_MAX_ADDRS ? 0 : -E2BIG);
		assert_int_equal(a.n_addrs, i < DF_DNS_MAX_ADDRS ? i + 1 : DF_DNS_MAX_ADDRS);
		assert_int_equal(df_dns_parse_first(m.b, m.len, &q, 1, &a), 0);
		assert_int_equal(a.n_addrs, i < DF_DNS_MAX_ADDRS ? i + 1 : DF_DNS_MAX_ADDRS);
		assert_int_equal(a.n_more_addrs, i < DF_DNS_MAX_ADDRS ? 0 : 1);
		assert_int_equal(a.addrs[0].addr[15], 0);
	}
	df_msg_init(&m, 1, 0x8180, "n0.x", DF_DNS_TYPE_A);
	for (unsigned i = 0; i <= DF_DNS_MAX_CHAIN; i++) {
		char from[16], to[16];

		(void)snprintf(from, sizeof(from), "n%u.x", i);
		(void)snprintf(to, sizeof(to), "n%u.x", i + 1);
		df_msg_rr_name(&m, DF_MSG_AN, from, DF_DNS_TYPE_CNAME, to);
		assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
		assert_int_equal(r, i < DF_DNS_MAX_CHAIN ? 0 : -E2BIG);
	}
	/* A DNAME that makes the name longer each time: ends at the limit. */
	df_msg_init(&m, 1, 0x8180, "n0.x", DF_DNS_TYPE_A);
	df_msg_rr_name(&m, DF_MSG_AN, "x", DF_DNS_TYPE_DNAME, "a.x");
	assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
	assert_int_equal(r, -E2BIG);
}

/* Types whose answers are themselves what else makes a chain. */
static void test_answer_about_aliases(void **state)
{
	static const struct {
		uint16_t asked, type;
		const char *owner;
		int expected;
		unsigned n_chain;
	} rows[] = {
		{DF_DNS_TYPE_CNAME, DF_DNS_TYPE_CNAME, "@12", 0, 1},
		{DF_DNS_TYPE_ANY, DF_DNS_TYPE_CNAME, "@12", 0, 1},
		{DF_DNS_TYPE_TXT, DF_DNS_TYPE_CNAME, "@12", 0, 1},
		{DF_DNS_TYPE_DNAME, DF_DNS_TYPE_DNAME, "@12", 0, 0},
		{DF_DNS_TYPE_ANY, DF_DNS_TYPE_DNAME, "@12", 0, 0},
		{DF_DNS_TYPE_DNAME, DF_DNS_TYPE_DNAME, "@16", 0, 1},
		{DF_DNS_TYPE_A, DF_DNS_TYPE_DNAME, "@12", 0, 0},     /* a stray */
		{DF_DNS_TYPE_CNAME, DF_DNS_TYPE_CNAME, "@16", 0, 0}, /* likewise */
		{DF_DNS_TYPE_AXFR, DF_DNS_TYPE_CNAME, "@16", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dns_query q = asked_for("www.example.com", rows[i].asked);
		struct df_dns_answer a;
		struct df_msg m;
		int r;

		df_msg_init(&m, 1, 0x8180, "www.example.com", rows[i].asked);
		df_msg_rr_name(&m, DF_MSG_AN, rows[i].owner, rows[i].type, "x.net");
		assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
		assert_int_equal(r, rows[i].expected);
		if (r == 0)
			assert_int_equal(a.n_chain, rows[i].n_chain);
	}
}

static void test_ttl_beyond_31_bits_is_zero(void **state)
{
	struct df_dns_query q = asked_for("www.example.com", DF_DNS_TYPE_A);
	struct df_dns_answer a;
	struct df_msg m;
	int r;

	(void)state;
	df_msg_init(&m, 1, 0x8180, "www.example.com", DF_DNS_TYPE_A);
	df_msg_rr(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_A, BYTES(ADDR));
	for (unsigned i = 0; i < 2; i++) {
		m.b[m.len - 10] = i ? 0x80 : 0x7f;
		assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
		assert_int_equal(r, 0);
		assert_int_equal(a.addrs[0].ttl, i ? 0 : 0x7f00012c);
	}
}

/*
 * More names than the builder remembers for compression; with signatures before
 * them, names that lie beyond what a pointer reaches.
 */
static void test_long_chain(void **state)
{
	static const uint8_t zeros[1000];
	struct df_dns_query q = asked_for("n0", DF_DNS_TYPE_A);
	struct df_dns_answer a;
	struct df_msg m;
	int r;

	(void)state;
	q.has_edns = q.edns_do = true;
	for (unsigned n_signatures = 0; n_signatures <= 20; n_signatures++) {
		char from[64] = "n0", to[64];

		df_msg_init(&m, 1, 0x8180, "n0", DF_DNS_TYPE_A);
		for (unsigned i = 0; i < n_signatures; i++) {
			df_msg_begin(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_RRSIG);
			df_msg_put(&m, "\0\1", 2);
			df_msg_put(&m, zeros, sizeof(zeros));
			df_msg_end(&m);
		}
		for (unsigned i = 0; i < DF_DNS_MAX_CHAIN; i++) {
			(void)snprintf(to, sizeof(to), "a.b.c.d.e.f.g.h.i.j.n%x", i);
			df_msg_rr_name(&m, DF_MSG_AN, from, DF_DNS_TYPE_CNAME, to);
			(void)strcpy(from, to);
		}
		for (unsigned i = 0; i < DF_DNS_MAX_ADDRS; i++)
			df_msg_rr(&m, DF_MSG_AN, to, DF_DNS_TYPE_A, BYTES(ADDR));
		assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
		assert_int_equal(r, 0);
		assert_int_equal(a.n_chain, DF_DNS_MAX_CHAIN);
		assert_int_equal(a.n_addrs, DF_DNS_MAX_ADDRS);
	}
}

/* What is no answer that we can use may still be the one to our question. */
static void test_answer_to(void **state)
{
	struct df_dns_query q = asked_for("www.example.com", DF_DNS_TYPE_A);
	struct df_dns_answer a;
	struct df_msg m;
	int r;

	(void)state;
	df_msg_init(&m, 1, 0x8180, "WWW.example.com", DF_DNS_TYPE_A);
	df_msg_rr_name(&m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "www.example.com");
	assert_null(df_oracle_answer(m.b, m.len, &q, 1, &a, &r));
	assert_int_equal(r, -EBADMSG);
	assert_true(df_dns_is_answer_to(m.b, m.len, &q, 1));
	assert_true(df_dns_is_answer_to(m.b, m.len - 3, &q, 1));
	assert_true(df_dns_is_answer_to(m.b, 33, &q, 1));
	assert_false(df_dns_is_answer_to(m.b, 32, &q, 1));
	assert_false(df_dns_is_answer_to(m.b, m.len, &q, 2));
	q.type = DF_DNS_TYPE_AAAA;
	assert_false(df_dns_is_answer_to(m.b, m.len, &q, 1));
	q = asked_for("ww.example.com", DF_DNS_TYPE_A);
	assert_false(df_dns_is_answer_to(m.b, m.len, &q, 1));
	df_msg_init(&m, 1, 0x0100, "ww.example.com", DF_DNS_TYPE_A);
	assert_false(df_dns_is_answer_to(m.b, m.len, &q, 1)); /* a query */
	df_msg_init(&m, 1, 0xa180, "ww.example.com", DF_DNS_TYPE_A);
	assert_false(df_dns_is_answer_to(m.b, m.len, &q, 1)); /* another opcode */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_answer_to),
		cmocka_unit_test(test_query_refused),
		cmocka_unit_test(test_query_verbatim),
		cmocka_unit_test(test_query_cookies),
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_answer_tolerated),
		cmocka_unit_test(test_bare_error),
		cmocka_unit_test(test_query_limits),
		cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_answer_refused),
		cmocka_unit_test(test_answer_limits),
		cmocka_unit_test(test_answer_about_aliases),
		cmocka_unit_test(test_ttl_beyond_31_bits_is_zero),
		cmocka_unit_test(test_long_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
