/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flows: what waits, what is decided once, and how it ends.  Verdicts: test_judge.c. */
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

/* --- what is not held is only looked at --- */

static void test_not_held(void **state)
{
	struct df_payload p = payload(1, UNDECIDED, 80, BYTES(GET "blocked.example" END));

	(void)state;
	fence(DF_MODE_AUDIT);
	p.is_held = 0;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_reports, 1);
	assert_true(seen.judgement.decision.is_refusal && !seen.judgement.decision.is_enforced);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_HOST);

	/* bypass: the policy enforces, the kernel does not */
	fence(DF_MODE_ENFORCE);
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_reports, 1);
	assert_true(seen.judgement.decision.is_refusal);
	assert_int_equal(seen.n_verdicts + seen.n_destroyed + flows.n_used, 0);

	/* no more will come of it */
	p = payload(2, UNDECIDED, 80, BYTES("GET / HTTP/1.1\r\n"));
	p.is_held = 0;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_reports, 2);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_NO_NAME);
	assert_int_equal(seen.n_verdicts + seen.n_destroyed + flows.n_used, 0);
}

/* --- waiting --- */

static void test_split(void **state)
{
	static const char request[] = GET "unlisted.example" END;

	(void)state;
	fence(DF_MODE_ENFORCE);
	/* many small writes are no reason to give up */
	for (size_t len = 1; len < sizeof(request) - 1; len++) {
		take(1, UNDECIDED, request, len, T0 + S + len);
		assert_int_equal(seen.n_verdicts + seen.n_reports, 0);
	}
	take(1, UNDECIDED, BYTES(request), T0 + 2 * S);
	assert_int_equal(seen.n_verdicts, 1);
	assert_int_equal(seen.verdict, ALLOW);
}

/* The last try is not the last if more has come. */
static void test_whole_at_last(void **state)
{
	(void)state;
	fence(DF_MODE_ENFORCE);
	for (unsigned k = 1; k < DF_FLOWS_TRIES; k++)
		take(1, UNDECIDED, BYTES("GET / HTTP/1.1\r\n"), T0 + k * S);
	take(1, UNDECIDED, BYTES(GET "unlisted"), T0 + 8 * S);
	assert_int_equal(seen.n_verdicts, 0);
	take(1, UNDECIDED, BYTES(GET "unlisted.example" END), T0 + 9 * S);
	assert_int_equal(seen.verdict, ALLOW);
}

static void test_never_whole(void **state)
{
	static const struct {
		const char *data;
		enum df_verdict of_record, verdict;
	} rows[] = {
		{GET "unlisted.example\r\n", UNDECIDED, BLOCK},
		{"G", UNDECIDED, BLOCK},
		{"CONNECT unlisted.example:443", ALLOW, BLOCK},
		{"CONNECT ", ALLOW, BLOCK},
		{"GET http", ALLOW, BLOCK},
		{"PUT htt", ALLOW, ALLOW}, /* may be anything */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const size_t len = strlen(rows[i].data);

		fence(DF_MODE_ENFORCE);
		for (unsigned k = 1; k < DF_FLOWS_TRIES; k++)
			take(1, rows[i].of_record, rows[i].data, len, T0 + k * S);
		assert_int_equal(seen.n_verdicts + seen.n_reports, 0);
		take(1, rows[i].of_record, rows[i].data, len, T0 + 9 * S);
		assert_int_equal(seen.n_verdicts, 1);
		assert_int_equal(seen.verdict, rows[i].verdict);
		assert_int_equal(seen.n_reports, rows[i].verdict == BLOCK);
	}
}

/* What is longer than what is seen of it is decided by what is seen. */
static void test_cut(void **state)
{
	char request[DF_PAYLOAD_MAX + 500] = GET "unlisted.example\r\nCookie: ";

	(void)state;
	fence(DF_MODE_ENFORCE);
	memset(request + strlen(request), 'x', sizeof(request) - strlen(request));
	take(1, UNDECIDED, request, sizeof(request), T0 + S);
	assert_int_equal(seen.verdict, ALLOW);
	memset(request, 'x', sizeof(request));
	memcpy(request, BYTES("GET / HTTP/1.1\r\nCookie: "));
	take(2, UNDECIDED, request, sizeof(request), T0 + S);
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.judgement.decision.reason, DF_REASON_NO_NAME);
}

/* --- records again, and later requests --- */

static void test_repetitions(void **state)
{
	static const char first[] = "GET http://unlisted.example/ HTTP/1.1" END;
	static const char second[] = "GET http://blocked.example/ HTTP/1.1" END;

	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, ALLOW, BYTES(first), T0 + S);
	assert_int_equal(seen.verdict, PROXY);
	/*
	 * Sent again before the verdict stood, and read after: a second verdict would let
	 * the next request pass.
	 */
	take(1, ALLOW, BYTES(first), T0 + S);
	assert_int_equal(seen.n_verdicts, 1);
	take(1, PROXY, BYTES(second), T0 + 2 * S);
	assert_int_equal(seen.n_verdicts, 2);
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.n_destroyed, 1);
	assert_int_equal(flows.n_used, 1);
}

/*
 * Of a kept connection the verdict is for what was judged: the application may have written
 * more by the time that TCP sends it again.
 */
static void test_growth(void **state)
{
	static const char first[] = "GET http://unlisted.example/ HTTP/1.1" END;
	static const char both[] = "GET http://unlisted.example/ HTTP/1.1" END
				   "GET http://blocked.example/ HTTP/1.1" END;

	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, ALLOW, BYTES("\r\n"), T0 + S);
	assert_int_equal(seen.verdict, PROXY);
	assert_int_equal(seen.len, 2);
	take(2, ALLOW, BYTES(first), T0 + S);
	assert_int_equal(seen.verdict, PROXY);
	assert_int_equal(seen.len, sizeof(first) - 1);
	take(2, ALLOW, BYTES(both), T0 + S + 1000); /* at once, and no repetition */
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.n_destroyed, 1);
}

/* A later request that is not whole is waited for like the first. */
static void test_later_request_in_parts(void **state)
{
	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, ALLOW, BYTES("GET http://unlisted.example/ HTTP/1.1" END), T0 + S);
	for (unsigned k = 0; k < DF_FLOWS_TRIES; k++) {
		assert_int_equal(seen.n_verdicts, 1);
		take(1, PROXY, BYTES("GET http://blocked.exam"), T0 + (k + 2) * S);
	}
	assert_int_equal(seen.n_verdicts, 2);
	assert_int_equal(seen.verdict, BLOCK);
}

static void test_pipelined(void **state)
{
	static const char two[] = "GET http://unlisted.example/ HTTP/1.1" END
				  "GET http://blocked.example/ HTTP/1.1" END;
	static const char half[] = "GET http://unlisted.example/ HTTP/1.1" END "GET http://block";

	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, ALLOW, BYTES(two), T0 + S);
	assert_int_equal(seen.verdict, BLOCK);
	assert_int_equal(seen.n_reports, 2);
	take(2, ALLOW, BYTES(half), T0 + S);
	assert_int_equal(seen.n_verdicts, 1);
	assert_int_equal(seen.n_reports, 2); /* nothing of it, until all is there */
	take(3, ALLOW, BYTES("GET http://unlisted.example/ HTTP/1.1" END "\0\1"), T0 + S);
	assert_int_equal(seen.verdict, PROXY);
}

/* --- the end of what is refused --- */

static void test_destroy(void **state)
{
	struct df_payload p = payload(5, UNDECIDED, 443, BYTES(GET "blocked.example" END));

	(void)state;
	fence(DF_MODE_ENFORCE);
	df_flows_take(&flows, &p, p.time); /* nobody is looked up */
	assert_int_equal(seen.n_destroyed, 1);
	assert_int_equal(seen.destroyed.type, DF_MSG_DESTROY);
	assert_int_equal(seen.destroyed.cookie, 5);
	assert_int_equal(seen.destroyed.sport, p.sport);
	assert_int_equal(seen.destroyed.dport, p.dport);
	assert_int_equal(seen.destroyed.port, p.port);
	assert_memory_equal(seen.destroyed.saddr, p.saddr, 16);
	assert_memory_equal(seen.destroyed.daddr, p.daddr, 16);
	assert_memory_equal(seen.destroyed.addr, p.addr, 16);

	seen.next_seq = 17;
	p.cookie = 6;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.verdict, BLOCK); /* at once; the application hears of it later */
	assert_int_equal(seen.n_destroyed, 1);
	df_flows_identified(&flows, 16);
	assert_int_equal(seen.n_destroyed, 1);
	df_flows_identified(&flows, 17);
	assert_int_equal(seen.n_destroyed, 2);
	df_flows_identified(&flows, 17);
	assert_int_equal(seen.n_destroyed, 2);

	p.cookie = 7;
	df_flows_take(&flows, &p, p.time);
	assert_true(df_flows_expire(&flows, p.time + S)); /* nobody ever said who it was */
	assert_int_equal(seen.n_destroyed, 3);
	assert_int_equal(flows.n_due, 0);
}

static void test_expiry(void **state)
{
	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, UNDECIDED, BYTES(GET "unlisted.example" END), T0 + S);
	take(2, UNDECIDED, BYTES(GET "blocked.example" END), T0 + S);
	take(3, UNDECIDED, BYTES(GET), T0 + S);
	assert_int_equal(flows.n_used, 3);
	assert_true(df_flows_expire(&flows, T0 + S + DF_FLOWS_KEEP_NS));
	assert_int_equal(flows.n_used, 1);
	assert_int_equal(seen.n_removed, 1); /* what only waits has no verdict */
	assert_false(df_flows_expire(&flows, T0 + S + DF_FLOWS_KEEP_BLOCK_NS));
	assert_int_equal(seen.n_removed, 2);
}

/* Of the last worker: judged again when it comes again. */
static void test_older_than_the_worker(void **state)
{
	static const char request[] = GET "unlisted.example" END;

	(void)state;
	fence(DF_MODE_ENFORCE);
	take(1, UNDECIDED, BYTES(request), T0 - 1);
	assert_int_equal(seen.n_verdicts, 0);
	take(1, UNDECIDED, BYTES(request), T0 + 1);
	assert_int_equal(seen.n_verdicts, 1);
}

static void test_no_room(void **state)
{
	static const char request[] = GET "unlisted.example" END;

	(void)state;
	fence(DF_MODE_ENFORCE);
	seen.fault = -E2BIG;
	take(1, UNDECIDED, BYTES(request), T0 + S);
	assert_int_equal(flows.n_lost, 1);
	seen.fault = 0;
	take(1, UNDECIDED, BYTES(request), T0 + 2 * S);
	assert_int_equal(seen.n_verdicts, 1);
}

/* Many more connections than places: no more verdicts in the map than it has room for. */
static void test_flood(void **state)
{
	(void)state;
	fence(DF_MODE_ENFORCE);
	for (uint64_t cookie = 1; cookie <= 8 * DF_FLOWS_MAX; cookie++) {
		if (cookie % 3 == 0)
			take(cookie, UNDECIDED, BYTES("G"), T0 + S + cookie);
		else
			take(cookie, UNDECIDED, BYTES(GET "blocked.example" END), T0 + S + cookie);
		assert_in_range(seen.n_verdicts - seen.n_removed, 0, DF_FLOWS_MAX);
		assert_in_range(flows.n_used, 1, DF_FLOWS_MAX);
	}
	assert_int_equal(seen.n_destroyed, seen.n_verdicts);
	assert_false(df_flows_expire(&flows, T0 + 1000 * S));
	assert_int_equal(seen.n_verdicts, seen.n_removed);
	assert_int_equal(flows.n_used, 0);
}

static void test_nonsense(void **state)
{
	struct df_payload p = payload(1, UNDECIDED, 80, BYTES(GET "unlisted.example" END));

	(void)state;
	fence(DF_MODE_ENFORCE);
	p.len = DF_PAYLOAD_MAX + 1;
	df_flows_take(&flows, &p, p.time);
	p.len = 0;
	df_flows_take(&flows, &p, p.time);
	p.len = 10;
	p.cookie = 0;
	df_flows_take(&flows, &p, p.time);
	assert_int_equal(seen.n_verdicts + seen.n_reports + flows.n_used, 0);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_held),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_whole_at_last),
		cmocka_unit_test(test_never_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_repetitions),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_later_request_in_parts),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_destroy),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_older_than_the_worker),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_nonsense),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, fence_down);
}
