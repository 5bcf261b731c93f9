/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Half a million damaged messages against the oracle, the same in every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/dns_msg.h"
#include "tests/lib/dns_oracle.h"

#define BYTES(s) (s), sizeof(s) - 1

static struct df_dns_query asked_for(const char *name, uint16_t type)
{
	struct df_dns_query q;
	struct df_msg m;
	uint16_t id;

	df_msg_init(&m, 0x1234, 0x0100, name, type);
	assert_int_equal(df_dns_parse_query(m.b, m.len, &q, &id), 0);
	return q;
}

/* xorshift64 with a fixed seed. */
static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 33) % n;
}

static void mutate(struct df_msg *m)
{
	for (unsigned n = 1 + random_below(4); n > 0 && m->len > 0; n--) {
		unsigned at = random_below((unsigned)m->len), from;

		switch (random_below(7)) {
		case 0:
			m->b[at] = (uint8_t)random_below(256);
			break;
		case 1:
			m->b[at] ^= (uint8_t)(1u << random_below(8));
			break;
		case 2: /* a pointer into the message, or a little beyond it */
			m->b[at] = 0xc0;
			m->b[at + 1] = (uint8_t)random_below((unsigned)m->len + 4);
			break;
		case 3:
			m->b[at] = (uint8_t)(m->b[at] + 1 - 2 * random_below(2));
			break;
		case 4:
			if (random_below(4) == 0)
				m->len = at;
			break;
		case 5:
			from = random_below((unsigned)m->len);
			memmove(m->b + at, m->b + from, random_below(1 + 16));
			break;
		case 6: /* the same record again, as far as we know */
			if (random_below(4) == 0)
				df_msg_put(m, m->b + at, random_below(1 + (unsigned)m->len - at));
			break;
		}
	}
}

static void seed_answer(struct df_msg *m, unsigned which, uint16_t type)
{
	const char *addr = "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1";
	size_t size = type == DF_DNS_TYPE_A ? 4 : 16;

	df_msg_init(m, 1, 0x8180, "www.example.com", type);
	if (which == 0) {
		df_msg_rr(m, DF_MSG_AN, "@12", type, addr, size);
	} else if (which == 1) {
		df_msg_rr_name(m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
		df_msg_rr_name(m, DF_MSG_AN, "@45", DF_DNS_TYPE_CNAME, "a.example.net");
		df_msg_rr(m, DF_MSG_AN, "a.example.net", type, addr, size);
		df_msg_rr(m, DF_MSG_AN, "a.example.net", type, addr, size);
	} else if (which == 2) {
		df_msg_rr_name(m, DF_MSG_AN, "@16", DF_DNS_TYPE_DNAME, "example.net");
		df_msg_rr_name(m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "www.example.net");
		df_msg_rr(m, DF_MSG_AN, "www.example.net", type, addr, size);
	} else {
		df_msg_rr(m, DF_MSG_AN, "@12", type, addr, size);
		df_msg_rrsig(m, DF_MSG_AN, "@12", type);
		df_msg_soa(m, "@16", "ns@16", "root@16");
		df_msg_rr_name(m, DF_MSG_NS, "@16", DF_DNS_TYPE_NS, "ns@16");
		df_msg_rr_name(m, DF_MSG_AR, "@12", DF_DNS_TYPE_PTR, "@24");
	}
	if (which % 2 == 1)
		df_msg_opt(m, 1232, 0x8000, BYTES("\0\3\0\2id"));
}

static void test_answer_mutants(void **state)
{
	unsigned n_accepted = 0, n_with_addrs = 0;

	(void)state;
	random_state = 0x9e3779b97f4a7c15u;
	for (unsigned i = 0; i < 300000; i++) {
		static const uint16_t types[] = {DF_DNS_TYPE_A, DF_DNS_TYPE_AAAA, DF_DNS_TYPE_A,
						 DF_DNS_TYPE_TXT};
		uint16_t type = types[random_below(4)];
		struct df_dns_query q = asked_for("www.example.com", type);
		struct df_dns_answer a;
		struct df_msg m;
		const char *wrong;
		int r;

		q.has_edns = random_below(2);
		q.edns_do = q.has_edns && random_below(2);
		seed_answer(&m, random_below(4), type);
		mutate(&m);
		wrong = df_oracle_answer(m.b, m.len, &q, 1, &a, &r);
		if (wrong)
			fail_msg("mutant %u: %s", i, wrong);
		n_accepted += r == 0;
		n_with_addrs += r == 0 && a.n_addrs > 0;
	}
	print_message("%u mutants accepted, %u with addresses\n", n_accepted, n_with_addrs);
	assert_in_range(n_accepted, 30000, 270000); /* else it tests nothing */
	assert_in_range(n_with_addrs, 10000, 270000);
}

/* Service bindings: with hints and ECH, in AliasMode, behind a CNAME. */
static void seed_svcb(struct df_msg *m, unsigned which, uint16_t type)
{
	df_msg_init(m, 1, 0x81a0, "www.example.com", type);
	if (which == 0) {
		df_msg_rr(m, DF_MSG_AN, "@12", type,
			  BYTES("\0\1\0"
				"\0\0\0\4\0\1\0\4" /* mandatory=alpn,ipv4hint */
				"\0\1\0\6\2h2\2h3"
				"\0\4\0\x08\xcb\0\x71\1\xcb\0\x71\2"
				"\0\5\0\3ech"
				"\0\6\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
				"\x40\0\0\2zz"));
	} else if (which == 1) {
		df_msg_rr(m, DF_MSG_AN, "@12", type, BYTES("\0\0\5other\7example\0"));
		df_msg_soa(m, "@16", "ns@16", "root@16");
	} else {
		df_msg_rr_name(m, DF_MSG_AN, "@12", DF_DNS_TYPE_CNAME, "edge@16");
		df_msg_rr(m, DF_MSG_AN, "@45", type,
			  BYTES("\0\2\3svc\7example\0\0\3\0\2\x20\xfb\0\4\0\4\xcb\0\x71\1"));
		df_msg_rr(m, DF_MSG_AN, "@45", type, BYTES("\0\1\0\0\1\0\3\2h2"));
		df_msg_rrsig(m, DF_MSG_AN, "@45", type);
		df_msg_opt(m, 1232, 0x8000, NULL, 0);
	}
}

static void test_svcb_mutants(void **state)
{
	unsigned n_good = 0, n_malformed = 0, n_with_hints = 0;

	(void)state;
	random_state = 0x9e3779b97f4a7c15u;
	for (unsigned i = 0; i < 300000; i++) {
		uint16_t type = random_below(2) ? DF_DNS_TYPE_HTTPS : DF_DNS_TYPE_SVCB;
		struct df_dns_query q = asked_for("www.example.com", type);
		struct df_dns_answer a;
		struct df_msg m;
		const char *wrong;
		int r;

		q.has_edns = random_below(2);
		q.edns_do = q.has_edns && random_below(2);
		seed_svcb(&m, random_below(3), type);
		mutate(&m);
		wrong = df_oracle_answer(m.b, m.len, &q, 1, &a, &r);
		if (wrong)
			fail_msg("mutant %u: %s", i, wrong);
		if (r < 0)
			continue;
		n_good += !a.is_svcb_malformed;
		n_malformed += a.is_svcb_malformed;
		n_with_hints += !a.is_svcb_malformed && a.n_addrs > 0;
	}
	print_message("%u mutants good, %u with hints; %u malformed\n", n_good, n_with_hints,
		      n_malformed);
	assert_in_range(n_good, 30000, 270000);
	assert_in_range(n_with_hints, 10000, 270000);
	assert_in_range(n_malformed, 5000, 270000);
}

static void test_query_mutants(void **state)
{
	unsigned n_accepted = 0;

	(void)state;
	random_state = 0x9e3779b97f4a7c15u;
	for (unsigned i = 0; i < 200000; i++) {
		struct df_dns_query q;
		struct df_msg m;
		const char *wrong;
		int r;

		df_msg_init(&m, 1, 0x0100, "wWw.example.com", DF_DNS_TYPE_A);
		if (random_below(2))
			df_msg_opt(&m, 1232, 0x8000,
				   BYTES("\0\x0a\0\x08"
					 "12345678\0\3\0\0"));
		mutate(&m);
		wrong = df_oracle_query(m.b, m.len, &q, &r);
		if (wrong)
			fail_msg("mutant %u: %s", i, wrong);
		n_accepted += r == 0;
	}
	print_message("%u mutants accepted\n", n_accepted);
	assert_in_range(n_accepted, 20000, 180000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_mutants),
		cmocka_unit_test(test_svcb_mutants),
		cmocka_unit_test(test_query_mutants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
