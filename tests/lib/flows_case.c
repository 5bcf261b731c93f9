/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/flows_case.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"

/* --- the system's side: the map of verdicts, the monitor, learned addresses --- */

struct seen seen;

static int put(void *data, uint64_t cookie, const struct df_flow *flow)
{
	assert_ptr_equal(data, &seen);
	if (seen.fault < 0)
		return seen.fault;
	seen.n_verdicts++;
	(void)cookie;
	seen.len = flow->len;
	seen.verdict = flow->verdict;
	assert_true(flow->connect_time != 0);
	return 0;
}

static void remove_verdict(void *data, uint64_t cookie)
{
	(void)data;
	assert_true(cookie != 0);
	seen.n_removed++;
}

static uint32_t report(void *data, const struct df_payload *p, const struct df_payload_judgement *g)
{
	(void)data;
	(void)p;
	seen.n_reports++;
	seen.judgement = *g;
	return seen.next_seq;
}

static void push(void *data, const struct df_msg_resume *m)
{
	(void)data;
	assert_int_equal(m->type, DF_MSG_RESUME);
	assert_int_equal(m->tgid, 7);
	assert_true(m->cookie != 0);
	seen.n_pushed++;
}

static void destroy(void *data, const struct df_msg_destroy *m)
{
	(void)data;
	seen.n_destroyed++;
	seen.destroyed = *m;
}

static struct {
	uint8_t addr[16];
	struct df_learned value;
} entries[8];
static unsigned n_entries;

static int map_get(const uint8_t addr[static 16], struct df_learned *ret)
{
	for (unsigned i = 0; i < n_entries; i++) {
		if (memcmp(entries[i].addr, addr, 16) != 0)
			continue;
		*ret = entries[i].value;
		return 0;
	}
	return -ENOENT;
}

static int map_put(const uint8_t addr[static 16], const struct df_learned *value)
{
	unsigned i = 0;

	while (i < n_entries && memcmp(entries[i].addr, addr, 16) != 0)
		i++;
	if (i == ARRAY_SIZE(entries))
		return -E2BIG;
	n_entries += i == n_entries;
	memcpy(entries[i].addr, addr, 16);
	entries[i].value = *value;
	return 0;
}

static int map_remove(const uint8_t addr[static 16])
{
	(void)addr;
	return 0;
}

/* --- the fence: own and base policy, what was learned --- */

static int map_name(uint32_t slot, const struct df_dname *name)
{
	(void)slot;
	(void)name;
	return 0;
}

static const struct df_learn_map map = {map_get, map_put, map_remove, map_name};
static struct df_policy_result compiled[DF_TABLES];
static struct df_meta meta;
static struct df_tables tables;
static struct df_learn learn;
struct df_flows flows;
static struct df_learn_shared *shared;
static struct df_ports ports;

static struct df_dname name(const char *s)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(s, strlen(s), &n, NULL), 0);
	return n;
}

void addr4(const char *text, uint8_t ret[static 16])
{
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, ret + 12), 1);
}

void teach(const char *addr_text, const char *name_text, unsigned shift)
{
	const struct df_dname n = name(name_text);
	struct df_lesson lesson = {.name = &n, .ttl_ns = 3600 * S};
	uint8_t addr[16];

	lesson.rule = df_tables_number(&tables, DF_TABLE_OWN,
				       df_policy_lookup(&tables.tables[DF_TABLE_OWN], &n));
	for (unsigned i = 0; i < DF_PORT_CLASSES; i++)
		lesson.bits[i] = (uint16_t)(1u << shift);
	addr4(addr_text, addr);
	assert_int_equal(df_learn_put(&learn, addr, &lesson, T0), 0);
}

void fence_as(const char *own, enum df_mode own_mode, const char *base, enum df_mode base_mode)
{
	const char *const texts[] = {own, base};

	meta = (struct df_meta){};
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		df_policy_result_done(&compiled[i]);
		memset(&compiled[i], 0, sizeof(compiled[i]));
		if (!texts[i])
			continue;
		tables.modes[i] = (uint8_t)(i == 0 ? own_mode : base_mode);
		assert_int_equal(df_policy_compile_text("t", "t.policy", texts[i], strlen(texts[i]),
							&compiled[i]),
				 0);
		assert_int_equal(df_policy_open(compiled[i].table, compiled[i].table_size,
						&tables.tables[i]),
				 0);
	}
	meta.job.mode = tables.modes[0] == DF_MODE_ENFORCE || tables.modes[1] == DF_MODE_ENFORCE
				? DF_MODE_ENFORCE
				: DF_MODE_AUDIT;
	memset(&seen, 0, sizeof(seen));
	memset(&flows, 0, sizeof(flows));
	memset(&learn, 0, sizeof(learn));
	n_entries = 0;
	df_learn_free(shared);
	shared = df_learn_new();
	assert_non_null(shared);
	df_learn_start(&learn, shared, &map, 0, 0);
	df_ports_init(&ports);
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i])
			assert_int_equal(df_ports_add(&ports, &tables.tables[i]), 0);
	flows.tables = &tables;
	flows.learn = &learn;
	flows.ports = &ports;
	flows.ops = (struct df_flows_ops){put, remove_verdict, report, destroy, push, &seen};
	flows.start_ns = T0;
}

const char blocklist[] = "block blocked.example\n"
			 "block *.below.example\n"
			 "block ports.example:22/tcp\n"
			 "block 198.51.100.0/24\n"
			 "allow 198.51.100.7:443\n";

void fence(enum df_mode mode)
{
	fence_as(blocklist, mode, NULL, 0);
	teach("192.0.2.1", "blocked.example", DF_LEARNED_BLOCKED);
	teach("192.0.2.1", "unlisted.example", DF_LEARNED_DEFAULT);
	teach("192.0.2.2", "blocked.example", DF_LEARNED_BLOCKED);
	teach("192.0.2.3", "elsewhere.example", DF_LEARNED_DEFAULT);
}

struct df_payload payload(uint64_t cookie, enum df_verdict verdict, uint16_t port, const void *data,
			  size_t len)
{
	struct df_payload p = {
		.cookie = cookie,
		.time = T0 + S,
		.port = htons(port),
		.sport = htons(40000),
		.dport = htons(port),
		.verdict = (uint8_t)verdict,
		.is_held = 1,
		.is_enforced = 1,
		.tgid = 7,
		.tid = 7,
		.connect_time = T0,
		.total_len = (uint32_t)len,
		.len = (uint32_t)(len < DF_PAYLOAD_MAX ? len : DF_PAYLOAD_MAX),
	};

	addr4(verdict == UNDECIDED ? "192.0.2.1" : "203.0.113.9", p.addr);
	addr4("10.0.0.2", p.saddr);
	memcpy(p.daddr, p.addr, 16);
	memcpy(p.data, data, p.len);
	return p;
}

void take(uint64_t cookie, enum df_verdict verdict, const char *data, size_t len, uint64_t time)
{
	struct df_payload p = payload(cookie, verdict, verdict == UNDECIDED ? 80 : 3128, data, len);

	p.time = time;
	df_flows_take(&flows, &p, time);
}

int fence_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DF_TABLES; i++)
		df_policy_result_done(&compiled[i]);
	df_learn_free(shared);
	shared = NULL;
	return 0;
}
