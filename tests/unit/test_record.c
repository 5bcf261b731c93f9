/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record: what the worker says is checked before it is an event.  Nothing is written here;
 * what would be is counted as lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "proxy/monitor/record.h"

static const char text[] = "block blocked.example\n";
static const char base_text[] = "allow ok.example\nblock bad.example\n";
static struct df_policy_result compiled, compiled_base;
static struct df_meta meta = {.job.mode = DF_MODE_ENFORCE};
static struct df_tables tables = {.modes = {DF_MODE_ENFORCE}};
static struct df_record record;
static struct df_learned learned; /* the kernel's entry of every address */

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	(void)key;
	assert_int_equal(fd, DF_FD_LEARNED);
	memcpy(value, &learned, sizeof(learned));
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	if (df_policy_compile_text("t", "t.policy", text, strlen(text), &compiled) < 0 ||
	    df_policy_open(compiled.table, compiled.table_size, &tables.tables[0]) < 0 ||
	    df_policy_compile_text("b", "b.policy", base_text, strlen(base_text), &compiled_base) <
		    0 ||
	    df_policy_open(compiled_base.table, compiled_base.table_size,
			   &tables.tables[DF_TABLE_BASE]) < 0)
		return -1;
	record =
		(struct df_record){.meta = &meta, .tables = &tables, .jsonl.fd = -1, .text.fd = -1};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	df_policy_result_done(&compiled);
	df_policy_result_done(&compiled_base);
	return 0;
}

static struct df_msg_query query(enum df_event_at at, const char *name, uint32_t flags,
				 enum df_reason reason)
{
	struct df_msg_query m = {
		.type = DF_MSG_QUERY,
		.seq = 1,
		.flags = flags,
		.rule = DF_RULE_NONE,
		.reason = reason,
		.at = at,
		.port = 443,
		.token = {.tgid = 7, .tid = 7, .uid = DF_UID_UNKNOWN, .proto = IPPROTO_TCP},
	};

	m.token.addr[10] = m.token.addr[11] = m.addr[10] = m.addr[11] = 0xff;
	if (name)
		assert_int_equal(df_dname_from_text(name, strlen(name), &m.name, NULL), 0);
	return m;
}

#define REFUSAL (DF_QUERY_RECORD | DF_QUERY_REFUSAL)

static const struct {
	const char *why;
	enum df_event_at at;
	const char *name;
	uint32_t flags;
	enum df_reason reason;
	int result;
	unsigned n_lines; /* JSON and text */
} rows[] = {
	{"query", DF_AT_DNS, "a.example", DF_QUERY_RECORD, DF_REASON_NONE, 0, 1},
	{"refused query", DF_AT_DNS, "a.example", REFUSAL, DF_REASON_QNAME, 0, 2},
	{"query without a name", DF_AT_DNS, NULL, REFUSAL, DF_REASON_QNAME, -EBADMSG, 0},
	{"refusal without a reason", DF_AT_DNS, "a.example", REFUSAL, DF_REASON_NONE, -EBADMSG, 0},
	{"reason of nobody", DF_AT_DNS, "a.example", REFUSAL, DF_REASON_END, -EBADMSG, 0},
	{"SNI", DF_AT_TLS, "a.example", REFUSAL | DF_QUERY_ADDR, DF_REASON_SNI, 0, 2},
	{"no SNI", DF_AT_TLS, NULL, REFUSAL | DF_QUERY_ADDR, DF_REASON_NO_NAME, 0, 2},
	{"neither name nor address", DF_AT_HTTP, NULL, REFUSAL, DF_REASON_NO_NAME, 0, 2},
	{"SNI that passes", DF_AT_TLS, "a.example", DF_QUERY_RECORD | DF_QUERY_ADDR, DF_REASON_NONE,
	 0, 1},
	{"Host that passes", DF_AT_HTTP, "a.example", DF_QUERY_RECORD | DF_QUERY_ADDR,
	 DF_REASON_NONE, 0, 1},
	{"its summary", DF_AT_HTTP, "a.example", DF_QUERY_SUMMARY | DF_QUERY_ADDR, DF_REASON_NONE,
	 0, 1},
	{"SNI without an address", DF_AT_TLS, "a.example", DF_QUERY_RECORD, DF_REASON_NONE,
	 -EBADMSG, 0},
	{"no SNI, and it passes", DF_AT_TLS, NULL, DF_QUERY_RECORD | DF_QUERY_ADDR, DF_REASON_NONE,
	 -EBADMSG, 0},
	{"proxy", DF_AT_PROXY, "a.example", DF_QUERY_RECORD, DF_REASON_NONE, 0, 1},
	{"refused proxy", DF_AT_PROXY, "a.example", REFUSAL, DF_REASON_REQUEST, 0, 2},
	{"raw-ip", DF_AT_PROXY, NULL, REFUSAL | DF_QUERY_ADDR, DF_REASON_RAW, 0, 2},
	{"summary", DF_AT_PROXY, NULL, DF_QUERY_SUMMARY | DF_QUERY_REFUSAL, DF_REASON_RAW, 0, 1},
	{"what only the kernel sees", DF_AT_CONNECT, "a.example", REFUSAL, DF_REASON_QNAME,
	 -EBADMSG, 0},
	{"no place", DF_AT_END, "a.example", REFUSAL, DF_REASON_QNAME, -EBADMSG, 0},
};

static void test_queries(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_msg_query m =
			query(rows[i].at, rows[i].name, rows[i].flags, rows[i].reason);
		const uint64_t n_before = record.n_lost;

		if (df_record_query(&record, &m) != rows[i].result ||
		    record.n_lost - n_before != rows[i].n_lines)
			fail_msg("%s: %u lines", rows[i].why, (unsigned)(record.n_lost - n_before));
	}
}

/* Each octet of a message, at its extremes: no crash, whatever comes of it. */
static void test_hostile(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct df_msg_query m = query(DF_AT_PROXY, "a.example", REFUSAL, DF_REASON_REQUEST), bad;

	(void)state;
	for (size_t at = 0; at < sizeof(m); at++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			bad = m;
			((uint8_t *)&bad)[at] = values[v];
			(void)df_record_query(&record, &bad);
		}
	}
}

/* Names of learned addresses: numbers and names that make no sense change nothing. */
static void test_names(void **state)
{
	struct df_msg_name m = {.type = DF_MSG_NAME, .slot = (3u << DF_LEARN_SLOT_SHIFT) + 5}, bad;
	struct df_dname name;

	(void)state;
	assert_int_equal(df_record_name(&record, &m), -EBADMSG); /* no name */
	assert_int_equal(df_dname_from_text("a.example", 9, &m.name, NULL), 0);
	assert_int_equal(df_record_name(&record, &m), 0);
	assert_int_equal(df_record_name(&record, &m), 0);
	bad = m;
	bad.slot = 3u << DF_LEARN_SLOT_SHIFT;
	assert_int_equal(df_record_name(&record, &bad), -EBADMSG);
	bad.slot = (3u << DF_LEARN_SLOT_SHIFT) + DF_LEARN_NAMES;
	assert_int_equal(df_record_name(&record, &bad), -EBADMSG);
	bad.slot = UINT32_MAX;
	assert_int_equal(df_record_name(&record, &bad), -EBADMSG);
	for (unsigned i = 0; i < 256; i++) {
		bad = m;
		memset(&bad.name, (int)i, sizeof(bad.name));
		assert_int_equal(df_record_name(&record, &bad), -EBADMSG);
	}
	/* another name in the place of one that stands */
	bad = m;
	assert_int_equal(df_dname_from_text("b.example", 9, &bad.name, NULL), 0);
	assert_int_equal(df_record_name(&record, &bad), -EBADMSG);
	assert_int_equal(df_record_name_of(&record, m.slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &m.name));
	/* its successor, and who still asks for the one before */
	bad.slot += 1u << DF_LEARN_SLOT_SHIFT;
	assert_int_equal(df_record_name(&record, &bad), 0);
	assert_int_equal(df_record_name_of(&record, bad.slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &bad.name));
	assert_int_equal(df_record_name_of(&record, m.slot, &name), -ENOENT);
	for (uint64_t slot = 0; slot <= UINT32_MAX; slot += 4099)
		if (slot != bad.slot)
			assert_int_equal(df_record_name_of(&record, (uint32_t)slot, &name),
					 -ENOENT);
}

/*
 * An address passes by the base policy's rule for one name, though another one of that policy has
 * it: no table is against it, and the own policy knows nothing of either.
 */
static void test_shared_by_base(void **state)
{
	const struct df_event k = {
		.kind = DF_EVENT_SHARED,
		.addr = {[10] = 0xff, 0xff, 192, 0, 2, 1},
		.port = htons(443),
		.proto = IPPROTO_TCP,
		.bits = 1 << DF_TABLE_BASE << DF_LEARNED_ALLOWED |
			1 << DF_TABLE_BASE << DF_LEARNED_BLOCKED | 1 << DF_LEARNED_DEFAULT,
	};
	struct df_msg_name m = {.type = DF_MSG_NAME, .slot = (1u << DF_LEARN_SLOT_SHIFT) + 9};
	const struct df_policy_rule *rule;
	struct df_kernel_verdict v;

	(void)state;
	tables.modes[DF_TABLE_BASE] = DF_MODE_ENFORCE;
	assert_int_equal(df_dname_from_text("bad.example", 11, &m.name, NULL), 0);
	assert_int_equal(df_record_name(&record, &m), 0);
	rule = df_policy_lookup(&tables.tables[DF_TABLE_BASE], &m.name);
	assert_non_null(rule);
	learned = (struct df_learned){.slot = m.slot,
				      .rule = df_tables_number(&tables, DF_TABLE_BASE, rule)};
	learned.bits[0] = k.bits;
	df_record_judge(&record, &k, &v);
	assert_true(df_dname_is_equal(&v.name, &m.name));
	assert_ptr_equal(v.rule.rule, rule);
	assert_int_equal(v.rule.table, DF_TABLE_BASE);
	/* the event stays one of the fence */
	assert_int_equal(v.decision.table, DF_TABLE_OWN);
	tables.modes[DF_TABLE_BASE] = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_shared_by_base),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
