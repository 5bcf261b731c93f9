/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * learn: the table of (address, name) pairs against a kernel map that is played here.
 *
 * The oracle: an entry of the map permits and refuses what the pairs that were put into
 * the table say, is never taken away while it is used, and never lives without a pair.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/table.h"
#include "proxy/monitor/record.h"

#define S 1000000000ull
#define KEEP (3600 * S)
#define TTL (60 * S)

enum { ALLOWED = 1, BLOCKED = 1 << 3, DEFAULT = 1 << 6 }; /* of table 0 */

/* --- the kernel's side ---------------------------------------------------------- */

static struct entry {
	bool is_used, was_used;
	uint8_t addr[16];
	struct df_learned value;
} entries[DF_LEARNED_MAX];
static unsigned n_entries, n_calls;
static int fault; /* of the next put */

static struct entry *entry_of(const uint8_t *addr, bool is_new)
{
	/* addresses of the tests differ in their last octets */
	uint32_t i = (uint32_t)(addr[13] << 16 | addr[14] << 8 | addr[15]) % DF_LEARNED_MAX;

	for (unsigned n = 0; n < DF_LEARNED_MAX; n++, i = (i + 1) % DF_LEARNED_MAX) {
		if (entries[i].is_used && memcmp(entries[i].addr, addr, 16) == 0)
			return &entries[i];
		if (!entries[i].is_used && is_new)
			return &entries[i];
		if (!entries[i].was_used)
			return NULL;
	}
	return NULL;
}

static int map_get(const uint8_t addr[static 16], struct df_learned *ret)
{
	const struct entry *e = entry_of(addr, false);

	n_calls++;
	if (!e)
		return -ENOENT;
	*ret = e->value;
	return 0;
}

static int map_put(const uint8_t addr[static 16], const struct df_learned *value)
{
	struct entry *e = entry_of(addr, false);
	int r = fault;

	n_calls++;
	fault = 0;
	if (r < 0)
		return r;
	if (!e) {
		e = entry_of(addr, true);
		if (!e)
			return -E2BIG;
		n_entries++;
	}
	e->is_used = e->was_used = true;
	memcpy(e->addr, addr, 16);
	e->value = *value;
	return 0;
}

static int map_remove(const uint8_t addr[static 16])
{
	struct entry *e = entry_of(addr, false);

	n_calls++;
	if (!e)
		return -ENOENT;
	e->is_used = false;
	n_entries--;
	return 0;
}

/* The monitor's side: it has names by messages alone. */
static struct df_record monitor;
static unsigned n_told;
static bool is_channel_full;

static int tell_name(uint32_t slot, const struct df_dname *name)
{
	const struct df_msg_name m = {.type = DF_MSG_NAME, .slot = slot, .name = *name};

	if (is_channel_full)
		return -EAGAIN;
	n_told++;
	(void)df_record_name(&monitor, &m);
	return 0;
}

static const struct df_learn_map map = {map_get, map_put, map_remove, tell_name};

/* As the programs do: the bits that count now; a use moves the end of permissions. */
static uint16_t use(const uint8_t *addr, unsigned cls, uint64_t now)
{
	struct entry *e = entry_of(addr, false);
	uint16_t bits;

	if (!e)
		return 0;
	bits = e->value.bits[cls];
	if (now >= e->value.until)
		return bits & DF_LEARN_BLOCKED;
	if ((bits & DF_LEARN_PERMITS) && now + KEEP > e->value.until)
		e->value.until = now + KEEP;
	return bits;
}

/* --- helpers -------------------------------------------------------------------- */

static struct df_learn learn;
static struct df_learn_shared *shared;

static void new_worker(void)
{
	memset(&learn, 0, sizeof(learn));
	df_learn_start(&learn, shared, &map, KEEP, DF_TABLES_ALL);
}

static int setup(void **state)
{
	(void)state;
	memset(entries, 0, sizeof(entries));
	memset(monitor.learned, 0, sizeof(monitor.learned));
	n_entries = n_calls = n_told = 0;
	is_channel_full = false;
	fault = 0;
	shared = df_learn_new();
	if (!shared)
		return -1;
	new_worker();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	df_learn_free(shared);
	return 0;
}

static struct df_dname name_of(const char *text)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(text, strlen(text), &n, NULL), 0);
	return n;
}

static const uint8_t *addr4(uint32_t n)
{
	static uint8_t ring[4][16];
	static unsigned at;
	uint8_t *a = ring[at++ % 4];
	const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(a, head, 12);
	for (unsigned i = 0; i < 4; i++)
		a[12 + i] = (uint8_t)(n >> (24 - 8 * i));
	return a;
}

#define X addr4(0xcb007101) /* 203.0.113.1 */
#define Y addr4(0xcb007102)

static struct df_lesson lesson_all(const struct df_dname *name, uint16_t bits)
{
	struct df_lesson l = {.name = name, .ttl_ns = TTL, .rule = 7};

	l.is_refusal = bits == BLOCKED;
	for (unsigned i = 0; i < DF_PORT_CLASSES; i++)
		l.bits[i] = bits;
	return l;
}

static int put(const uint8_t *addr, const char *text, uint16_t bits, uint64_t now)
{
	const struct df_dname name = name_of(text);
	const struct df_lesson l = lesson_all(&name, bits);

	return df_learn_put(&learn, addr, &l, now);
}

static int put_class(const uint8_t *addr, const char *text, unsigned cls, uint16_t bits,
		     uint64_t now)
{
	const struct df_dname name = name_of(text);
	struct df_lesson l = {.name = &name, .ttl_ns = TTL};

	l.bits[cls] = bits;
	return df_learn_put(&learn, addr, &l, now);
}

static bool knows(const uint8_t *addr, const char *text)
{
	const struct df_dname name = name_of(text);

	return df_learn_has(&learn, addr, &name);
}

static void sweep_all(uint64_t now)
{
	for (unsigned i = 0; i < DF_LEARN_ADDRS / 64; i++)
		df_learn_sweep(&learn, now);
}

/* No entry without a pair, and each the union of its pairs. */
static void check_consistency(void)
{
	unsigned n = 0;

	for (uint32_t i = 1; i < shared->n_addrs; i++) {
		const struct df_learn_addr *a = &shared->addrs[i];
		uint16_t bits[DF_PORT_CLASSES] = {};
		const struct entry *e;

		if (!a->slot.is_used)
			continue;
		n++;
		e = entry_of(a->addr, false);
		assert_non_null(e);
		for (uint32_t k = 1; k < shared->n_pairs; k++)
			for (unsigned c = 0; shared->pairs[k].slot.is_used &&
					     shared->pairs[k].addr == i && c < DF_PORT_CLASSES;
			     c++)
				bits[c] |= shared->pairs[k].bits[c];
		assert_memory_equal(bits, e->value.bits, sizeof(bits));
	}
	assert_int_equal(n, n_entries);
}

/* --- tests ------------------------------------------------------------------------- */

static void test_learned_at_once(void **state)
{
	(void)state;
	assert_int_equal(use(X, 0, 1 * S), 0);
	assert_int_equal(put(X, "ok.example", DEFAULT, 1 * S), 0);
	assert_int_equal(use(X, 0, 1 * S), DEFAULT);
	assert_int_equal(use(X, 31, 1 * S), DEFAULT);
	assert_int_equal(use(addr4(0xcb007102), 0, 1 * S), 0);
	assert_true(knows(X, "ok.example"));
	assert_true(knows(X, "OK.example"));
	assert_false(knows(X, "other.example"));
	assert_false(knows(addr4(0xcb007102), "ok.example"));
	check_consistency();
}

static void test_union_of_names(void **state)
{
	(void)state;
	assert_int_equal(put_class(X, "a.example", 3, ALLOWED, S), 0);
	assert_int_equal(put_class(X, "b.example", 4, ALLOWED, S), 0);
	assert_int_equal(use(X, 3, S), ALLOWED);
	assert_int_equal(use(X, 4, S), ALLOWED);
	assert_int_equal(use(X, 5, S), 0);
	assert_int_equal(put(X, "bad.example", BLOCKED, S), 0);
	assert_int_equal(use(X, 3, S), ALLOWED | BLOCKED);
	assert_int_equal(use(X, 5, S), BLOCKED);
	/* a name's later answer replaces its earlier one, and no other name's */
	assert_int_equal(put_class(X, "a.example", 5, ALLOWED, S), 0);
	assert_int_equal(use(X, 3, S), BLOCKED);
	assert_int_equal(use(X, 4, S), ALLOWED | BLOCKED);
	assert_int_equal(use(X, 5, S), ALLOWED | BLOCKED);
	check_consistency();
}

static void test_name_that_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(put(X, "a.example", 0, S), 0);
	assert_int_equal(n_entries, 0);
	assert_int_equal(put(X, "a.example", DEFAULT, S), 0);
	assert_int_equal(put(X, "a.example", 0, S), 0); /* an alias of a refused one now */
	assert_int_equal(use(X, 0, S), 0);
	assert_int_equal(n_entries, 0);
	assert_int_equal(learn.names.n_used, 0);
	assert_int_equal(learn.pairs.n_used, 0);
}

static void test_end_of_permission(void **state)
{
	(void)state;
	assert_int_equal(put(X, "a.example", ALLOWED, S), 0);
	/* at least as long as its TTL and keep-learned */
	assert_int_equal(use(X, 0, S + TTL + KEEP - 1), ALLOWED);
	/* that use moved the end */
	assert_int_equal(use(X, 0, S + TTL + 2 * KEEP - S), ALLOWED);
	assert_int_equal(use(X, 0, S + TTL + 4 * KEEP), 0);
	sweep_all(S + TTL + 4 * KEEP);
	assert_int_equal(n_entries, 0);
	assert_false(knows(X, "a.example"));
}

/* A client that resolves once and caches for ever. */
static void test_use_keeps_it(void **state)
{
	uint64_t now = S;

	(void)state;
	assert_int_equal(put(X, "a.example", ALLOWED, now), 0);
	assert_int_equal(put(addr4(0xcb007102), "idle.example", ALLOWED, now), 0);
	for (unsigned i = 0; i < 500; i++) {
		now += KEEP - S;
		sweep_all(now);
		assert_int_equal(use(X, 0, now), ALLOWED);
		assert_true(knows(X, "a.example"));
	}
	assert_int_equal(use(addr4(0xcb007102), 0, now), 0);
	assert_int_equal(n_entries, 1);
}

/* The permission of one name does not come to life again with another's. */
static void test_lapsed_stays_lapsed(void **state)
{
	const uint64_t later = S + TTL + 2 * KEEP;

	(void)state;
	assert_int_equal(put_class(X, "old.example", 3, ALLOWED, S), 0);
	assert_int_equal(put_class(X, "new.example", 4, ALLOWED, later), 0); /* no sweep between */
	assert_int_equal(use(X, 3, later), 0);
	assert_int_equal(use(X, 4, later), ALLOWED);
	assert_false(knows(X, "old.example"));
	check_consistency();
}

static void test_no_call_for_nothing_new(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(put(X, "a.example", DEFAULT, S), 0);
	before = n_calls;
	for (uint64_t t = 0; t < 1000; t++) /* half an hour of answers */
		assert_int_equal(put(X, "a.example", DEFAULT, S + t * S), 0);
	assert_int_equal(put(X, "b.example", DEFAULT, S), 0); /* nothing that the entry lacks */
	assert_int_equal(n_calls, before);
	assert_int_equal(put(X, "a.example", DEFAULT, S + KEEP), 0);
	assert_true(n_calls > before);
	assert_int_equal(use(X, 0, S + 2 * KEEP + TTL - S), DEFAULT);
}

static void test_short_ttl(void **state)
{
	struct df_dname name = name_of("short.example");
	struct df_lesson l = lesson_all(&name, ALLOWED);

	(void)state;
	l.ttl_ns = 0;
	for (uint64_t i = 0; i < 20000; i++) {
		const uint64_t now = S + i * S / 10;
		const uint8_t *addr = addr4(0xcb007100 + (uint32_t)(i % 7));

		assert_int_equal(df_learn_put(&learn, addr, &l, now), 0);
		assert_int_equal(use(addr, 0, now), ALLOWED);
		df_learn_sweep(&learn, now);
	}
	check_consistency();
}

/* --- refusals ------------------------------------------------------------------- */

static void test_sticky(void **state)
{
	(void)state;
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	assert_int_equal(use(X, 0, S + DF_LEARN_STICKY_NS - 1), BLOCKED);
	sweep_all(S + DF_LEARN_STICKY_NS - 1);
	assert_int_equal(use(X, 0, S + DF_LEARN_STICKY_NS - 1), BLOCKED);
	assert_int_equal(put(X, "github.com", BLOCKED, S + DF_LEARN_STICKY_NS / 2), 0); /* seen */
	sweep_all(S + DF_LEARN_STICKY_NS);
	assert_int_equal(use(X, 0, S + DF_LEARN_STICKY_NS), BLOCKED);
	sweep_all(S + 2 * DF_LEARN_STICKY_NS);
	assert_int_equal(use(X, 0, S + 2 * DF_LEARN_STICKY_NS), 0);
	assert_int_equal(n_entries, 0);
}

static void test_permission_ends_refusal_stays(void **state)
{
	const uint64_t later = S + TTL + 2 * KEEP;

	(void)state;
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	assert_int_equal(put(X, "a.example", DEFAULT, S), 0);
	assert_int_equal(use(X, 0, S), BLOCKED | DEFAULT);
	sweep_all(later);
	assert_int_equal(use(X, 0, later), BLOCKED);
	check_consistency();
	assert_int_equal(n_entries, 1);
}

static void test_refusal_keeps_permission_of_ports(void **state)
{
	const struct df_dname name = name_of("github.com");
	struct df_lesson l = {.name = &name, .ttl_ns = TTL, .rule = 9};

	(void)state;
	l.bits[0] = BLOCKED;
	l.bits[3] = ALLOWED;
	assert_int_equal(df_learn_put(&learn, X, &l, S), 0);
	l.bits[3] = 0;
	l.is_refusal = true; /* what pinning says of it */
	assert_int_equal(df_learn_put(&learn, X, &l, 2 * S), 0);
	assert_int_equal(use(X, 3, 2 * S), ALLOWED);
	assert_int_equal(use(X, 0, 2 * S), BLOCKED);
	/* and it gives none */
	l.bits[3] = ALLOWED;
	assert_int_equal(df_learn_put(&learn, addr4(0xcb007103), &l, S), 0);
	assert_int_equal(use(addr4(0xcb007103), 3, S), 0);
	assert_int_equal(use(addr4(0xcb007103), 0, S), BLOCKED);
}

static void test_sticky_limit_of_a_name(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < DF_LEARN_STICKY_MAX; i++)
		assert_int_equal(put(addr4(0xcb000000 + i), "github.com", BLOCKED, S + i), 0);
	assert_int_equal(put(addr4(0xcb000000), "github.com", BLOCKED, 2 * S), 0); /* seen again */
	assert_int_equal(n_entries, DF_LEARN_STICKY_MAX);
	assert_int_equal(put(addr4(0xcb000100), "github.com", BLOCKED, 3 * S), 0);
	assert_int_equal(n_entries, DF_LEARN_STICKY_MAX);
	assert_int_equal(use(addr4(0xcb000000), 0, 3 * S), BLOCKED);
	assert_int_equal(use(addr4(0xcb000001), 0, 3 * S), 0); /* was the oldest */
	assert_int_equal(use(addr4(0xcb000002), 0, 3 * S), BLOCKED);
	assert_int_equal(use(addr4(0xcb000100), 0, 3 * S), BLOCKED);
	assert_int_equal(put(addr4(0xcb000001), "other.example", BLOCKED, 3 * S), 0);
	assert_int_equal(n_entries, DF_LEARN_STICKY_MAX + 1);
	check_consistency();
}

static void parse(const char *text, uint8_t ret[static 16])
{
	assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

/* 64:ff9b::a.b.c.d is a.b.c.d, in both directions and for permissions, too. */
static void test_nat64(void **state)
{
	const uint8_t *v4 = addr4(0x8c527003);
	uint8_t nat64[16];

	(void)state;
	parse("64:ff9b::140.82.112.3", nat64);
	assert_int_equal(put(nat64, "github.com", BLOCKED, S), 0);
	assert_int_equal(n_entries, 1);
	assert_int_equal(use(v4, 0, S), BLOCKED);
	assert_int_equal(df_learn_bits(&learn, nat64, 0, S), BLOCKED);
	assert_int_equal(put(v4, "ok.example", ALLOWED, S), 0);
	assert_int_equal(df_learn_bits(&learn, nat64, 0, S), BLOCKED | ALLOWED);
	assert_true(knows(nat64, "ok.example"));
	assert_int_equal(n_entries, 1);
	check_consistency();
}

/* In the other forms refusals alone carry over, and only from the IPv4 address. */
static void test_embedded(void **state)
{
	static const char *const forms[] = {"2002:8c52:7003::1", "2001:0:8c52:7003::3fff:fdfe",
					    "2001:0:c000:201::73ad:8ffc", "::140.82.112.3",
					    "64:ff9b:1::140.82.112.3"};
	const uint64_t later = S + TTL + 2 * KEEP;
	const uint8_t *v4 = addr4(0x8c527003);
	struct df_learned found;
	uint8_t form[16];

	(void)state;
	assert_int_equal(put(v4, "ok.example", ALLOWED | DEFAULT, S), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		parse(forms[i], form);
		assert_int_equal(df_learn_bits(&learn, form, 0, S), 0);
		assert_false(knows(form, "ok.example"));
		assert_int_equal(df_learn_blocker(map.get, form, &found), -ENOENT);
	}
	assert_int_equal(put(v4, "github.com", BLOCKED, S), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		parse(forms[i], form);
		/* an allow rule for the other name lifts the refusal of the IPv4 address */
		assert_int_equal(df_learn_bits(&learn, form, 0, S), 0);
	}
	assert_int_equal(df_learn_bits(&learn, v4, 0, later), BLOCKED);
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		parse(forms[i], form);
		assert_int_equal(df_learn_bits(&learn, form, 0, later), BLOCKED);
		assert_int_equal(df_learn_blocker(map.get, form, &found), 0);
		assert_int_equal(put(form, "own.example", BLOCKED, S), 0);
	}
	assert_int_equal(n_entries, 1 + ARRAY_SIZE(forms));
	check_consistency();
}

static void test_unpinned_limit(void **state)
{
	char text[64];
	unsigned n = 0;

	(void)state;
	for (uint32_t i = 0; i < DF_LEARN_UNPINNED_MAX + 100; i++) {
		(void)snprintf(text, sizeof(text), "x%u.evil.example", i / 8);
		n += put(addr4(0xcb000000 + i), text, BLOCKED, S) == 0;
	}
	assert_int_equal(n, DF_LEARN_UNPINNED_MAX);
	/* what the policy pins is not concerned, nor is a permission */
	const struct df_dname name = name_of("github.com");
	struct df_lesson l = lesson_all(&name, BLOCKED);

	l.is_pinned = true;
	assert_int_equal(df_learn_put(&learn, X, &l, S), 0);
	assert_int_equal(use(X, 0, S), BLOCKED);
	assert_int_equal(put(addr4(0xcc000000), "ok.example", DEFAULT, S), 0);
	assert_int_equal(use(addr4(0xcc000000), 0, S), DEFAULT);
}

/* --- full ------------------------------------------------------------------------ */

static void fill(uint16_t bits, uint32_t from, unsigned n, uint64_t now)
{
	char text[64];

	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(text, sizeof(text), "n%u.example", from + i);
		assert_int_equal(put(addr4(from + i), text, bits, now + i), 0);
	}
}

/* What permissions may take of a pool. */
#define FOR_PERMITS(max) ((max) - (max) / DF_LEARN_RESERVE_PERMITS - 1)
#define FOR_UNPINNED(max) ((max) - (max) / DF_LEARN_RESERVE_UNPINNED - 1)

static void test_full_of_needed(void **state)
{
	const unsigned n = FOR_PERMITS(DF_LEARN_ADDRS);

	(void)state;
	fill(ALLOWED, 0x01000000, n, S);
	assert_int_equal(n_entries, n);
	assert_int_equal(put(X, "one.more.example", ALLOWED, 2 * S), -ENOSPC);
	assert_int_equal(use(X, 0, 2 * S), 0); /* never a false allow */
	for (uint32_t i = 0; i < n; i++)       /* nor a false deny */
		assert_int_equal(use(addr4(0x01000000 + i), 0, 2 * S), ALLOWED);
	/* what is there is still refreshed */
	assert_int_equal(put(addr4(0x01000000), "n16777216.example", ALLOWED, S + KEEP), 0);
	assert_int_equal(use(addr4(0x01000000), 0, S + 2 * KEEP), ALLOWED);
	/* room comes with what lapses: of all but those in use */
	assert_int_equal(put(X, "one.more.example", ALLOWED, S + 3 * KEEP), 0);
	assert_int_equal(use(X, 0, S + 3 * KEEP), ALLOWED);
}

static int put_pin(const uint8_t *addr, const char *text, uint64_t now)
{
	const struct df_dname name = name_of(text);
	struct df_lesson l = lesson_all(&name, BLOCKED);

	l.is_pinned = true;
	return df_learn_put(&learn, addr, &l, now);
}

/* A zone of the payload's, allowed by *.zone, must not take the room of refusals. */
static void test_full_of_permits_has_room_for_refusals(void **state)
{
	const unsigned n_unpinned = FOR_UNPINNED(DF_LEARN_ADDRS) - FOR_PERMITS(DF_LEARN_ADDRS);
	char text[64];

	(void)state;
	for (uint32_t i = 0; i < DF_LEARN_ADDRS; i++) {
		(void)snprintf(text, sizeof(text), "n%u.zone.example", i);
		(void)put(addr4(0x01000000 + i), text, ALLOWED, S + i);
	}
	assert_int_equal(n_entries, FOR_PERMITS(DF_LEARN_ADDRS));
	for (uint32_t i = 0; i < n_unpinned; i++) {
		(void)snprintf(text, sizeof(text), "x%u.evil.example", i);
		assert_int_equal(put(addr4(0x02000000 + i), text, BLOCKED, 2 * S), 0);
		assert_int_equal(use(addr4(0x02000000 + i), 0, 2 * S), BLOCKED);
	}
	/* names that the policy pins are never crowded out by those that it does not */
	assert_int_equal(put(addr4(0x03000000), "x.evil.example", BLOCKED, 2 * S), -ENOSPC);
	for (uint32_t i = 0; i < DF_LEARN_ADDRS / DF_LEARN_RESERVE_UNPINNED; i++) {
		(void)snprintf(text, sizeof(text), "p%u.example", i);
		assert_int_equal(put_pin(addr4(0x04000000 + i), text, 3 * S), 0);
		assert_int_equal(use(addr4(0x04000000 + i), 0, 3 * S), BLOCKED);
	}
	/* what permits may still learn what blocks, without room for it */
	assert_int_equal(put(addr4(0x01000000), "n0.zone.example", BLOCKED, 3 * S), 0);
	assert_int_equal(use(addr4(0x01000000), 0, 3 * S), BLOCKED | ALLOWED);
	new_worker();
	assert_int_equal(put(addr4(0x05000000), "y.zone.example", ALLOWED, 4 * S), -ENOSPC);
	check_consistency();
}

/* The same with the names, and the pairs, of one address. */
static void test_full_of_names_has_room_for_refusals(void **state)
{
	char text[64];

	(void)state;
	for (uint32_t i = 0; i < DF_LEARN_NAMES; i++) {
		(void)snprintf(text, sizeof(text), "n%u.zone.example", i);
		(void)put(addr4(0x01000000), text, ALLOWED, S);
	}
	assert_int_equal(learn.names.n_used, FOR_PERMITS(DF_LEARN_NAMES));
	assert_int_equal(put_pin(X, "github.com", S), 0);
	assert_int_equal(use(X, 0, S), BLOCKED);
	assert_int_equal(put_pin(addr4(0x01000000), "github.com", S), 0);
	assert_int_equal(use(addr4(0x01000000), 0, S), BLOCKED | ALLOWED);
}

static void test_full_of_default(void **state)
{
	const unsigned n = FOR_PERMITS(DF_LEARN_ADDRS);

	(void)state;
	assert_int_equal(put(addr4(0x01000000), "pinned.example", BLOCKED, S), 0);
	assert_int_equal(put(addr4(0x01000001), "allowed.example", ALLOWED, S), 0);
	fill(DEFAULT, 0x01000000, n, S);
	for (uint32_t i = 0; i < 1000; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "more%u.example", i);
		assert_int_equal(put(addr4(0x02000000 + i), text, ALLOWED, 2 * S + i), 0);
		assert_int_equal(use(addr4(0x02000000 + i), 0, 2 * S + i), ALLOWED);
	}
	assert_int_equal(use(addr4(0x01000000), 0, 2 * S), BLOCKED | DEFAULT);
	assert_int_equal(use(addr4(0x01000001), 0, 2 * S), ALLOWED | DEFAULT);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(use(addr4(0x02000000 + i), 0, 3 * S), ALLOWED);
	check_consistency();
}

/* raw-ip block: an address that is allowed by default needs its entry. */
static void test_full_of_default_under_raw_block(void **state)
{
	(void)state;
	learn.raw_passes = 0;
	fill(DEFAULT, 0x01000000, FOR_PERMITS(DF_LEARN_ADDRS), S);
	assert_int_equal(put(X, "one.more.example", DEFAULT, 2 * S), -ENOSPC);
	assert_int_equal(use(addr4(0x01000000), 0, 2 * S), DEFAULT);
}

/* One address with very many names: a CDN, or a payload with a zone of its own. */
static void test_many_names_of_one_address(void **state)
{
	char text[64];

	(void)state;
	for (uint32_t i = 0; i < 40000; i++) {
		(void)snprintf(text, sizeof(text), "n%u.cdn.example", i);
		(void)put(X, text, DEFAULT, S + i);
		assert_int_equal(use(X, 0, S + i), DEFAULT);
	}
	assert_true(learn.names.n_used <= DF_LEARN_NAMES);
	check_consistency();
	sweep_all(S + 3 * KEEP);
	sweep_all(S + 5 * KEEP);
	assert_int_equal(n_entries, 0);
	assert_int_equal(learn.names.n_used, 0);
	assert_int_equal(learn.pairs.n_used, 0);
}

static void test_map_fails(void **state)
{
	(void)state;
	fault = -ENOMEM;
	assert_int_equal(put(X, "a.example", ALLOWED, S), -ENOMEM);
	assert_int_equal(use(X, 0, S), 0);
	/* and is made good with the next answer */
	assert_int_equal(put(X, "a.example", ALLOWED, 2 * S), 0);
	assert_int_equal(use(X, 0, 2 * S), ALLOWED);
	check_consistency();
}

/* --- a worker dies ----------------------------------------------------------------- */

static void test_next_worker_goes_on(void **state)
{
	uint32_t slot;
	struct df_dname name;

	(void)state;
	assert_int_equal(put(X, "a.example", ALLOWED, S), 0);
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	slot = entry_of(X, false)->value.slot;
	new_worker();
	assert_true(knows(X, "a.example"));
	assert_int_equal(use(X, 0, 2 * S), ALLOWED | BLOCKED);
	assert_int_equal(df_record_name_of(&monitor, slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &(struct df_dname){.len = 0}) == false);
	/* permissions end where the kernel has it */
	sweep_all(2 * S);
	assert_int_equal(use(X, 0, 2 * S), ALLOWED | BLOCKED);
	sweep_all(S + 4 * KEEP);
	assert_int_equal(use(X, 0, S + 4 * KEEP), BLOCKED);
	check_consistency();
}

/* Without one that blocks, the entry has one that a rule allows; never one of default allow. */
static void test_name_of_allowed(void **state)
{
	struct df_dname name, want = name_of("b.example");

	(void)state;
	assert_int_equal(put(X, "a.example", DEFAULT, S), 0);
	assert_int_equal(entry_of(X, false)->value.slot, 0);
	assert_int_equal(put_class(X, "b.example", 3, ALLOWED, S), 0);
	assert_int_equal(df_record_name_of(&monitor, entry_of(X, false)->value.slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &want));
	assert_int_equal(put(X, "c.example", BLOCKED, S), 0);
	want = name_of("c.example");
	assert_int_equal(df_record_name_of(&monitor, entry_of(X, false)->value.slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &want));
}

/* Between the slot and the kernel's entry, and between the entry and the pair. */
static void test_died_in_between(void **state)
{
	uint16_t a;

	(void)state;
	assert_int_equal(put(X, "a.example", ALLOWED, S), 0);
	a = df_learn_find_addr(&learn, X);
	/* dropped here, not there yet */
	df_learn_drop_pair(&learn, df_learn_addr_at(&learn, a)->first_pair);
	new_worker();
	assert_int_equal(n_entries, 0);
	assert_int_equal(learn.addrs.n_used, 0);
	/* here, not there yet */
	assert_int_equal(put(X, "a.example", ALLOWED, S), 0);
	(void)map_remove(X);
	new_worker();
	assert_int_equal(put(X, "a.example", ALLOWED, 2 * S), 0);
	assert_int_equal(use(X, 0, 2 * S), ALLOWED);
	check_consistency();
}

/* What a worker that was taken over may have left. */
static void test_nonsense_is_dropped(void **state)
{
	(void)state;
	fill(ALLOWED, 0x01000000, 300, S);
	for (unsigned round = 0; round < 200; round++) {
		uint32_t n;
		uint8_t *at;

		srand(round);
		for (unsigned i = 0; i < 300; i++) {
			at = (uint8_t *)&shared->names[1] +
			     (size_t)rand() % (300 * sizeof(shared->names[0]));
			*at = (uint8_t)rand();
			at = (uint8_t *)&shared->pairs[1] +
			     (size_t)rand() % (300 * sizeof(shared->pairs[0]));
			*at = (uint8_t)rand();
			at = (uint8_t *)&shared->addrs[1] +
			     (size_t)rand() % (300 * sizeof(shared->addrs[0]));
			*at = (uint8_t)rand();
		}
		shared->n_names = round % 3 ? 301 : (uint32_t)rand();
		new_worker();
		n = 0;
		for (uint32_t i = 1; i < shared->n_addrs; i++)
			n += shared->addrs[i].slot.is_used;
		assert_int_equal(n, learn.addrs.n_used);
		sweep_all(S);
		fill(ALLOWED, 0x01000000, 300, 2 * S);
	}
}

/* --- names for the monitor ------------------------------------------------------------ */

static void test_names_for_events(void **state)
{
	struct df_dname name, want = name_of("github.com");
	uint32_t slot;

	(void)state;
	assert_int_equal(df_record_name_of(&monitor, 1, &name), -ENOENT);
	assert_int_equal(put(X, "default.example", DEFAULT, S), 0);
	assert_int_equal(n_told, 0); /* no event asks for it */
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	assert_int_equal(put(Y, "github.com", BLOCKED, S), 0);
	assert_int_equal(n_told, 1);
	slot = entry_of(X, false)->value.slot;
	assert_int_equal(entry_of(X, false)->value.rule, 7);
	assert_int_equal(df_record_name_of(&monitor, slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &want));
	assert_int_equal(df_record_name_of(&monitor, 0, &name), -ENOENT);
	assert_int_equal(df_record_name_of(&monitor, slot + 1, &name), -ENOENT);
	assert_int_equal(df_record_name_of(&monitor, UINT32_MAX, &name), -ENOENT);
	assert_int_equal(df_record_name_of(&monitor, slot + (1u << 16), &name), -ENOENT);
	/* the slot is another name's now */
	sweep_all(S + 2 * DF_LEARN_STICKY_NS);
	assert_int_equal(put(X, "other.example", BLOCKED, S), 0);
	assert_int_not_equal(entry_of(X, false)->value.slot, slot);
	assert_int_equal(df_record_name_of(&monitor, slot, &name), -ENOENT);
}

/* A message that found no room is sent again with the next entry, or by a sweep. */
static void test_name_is_told_later(void **state)
{
	struct df_dname name;
	uint32_t slot;

	(void)state;
	is_channel_full = true;
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	assert_int_equal(df_record_name_of(&monitor, entry_of(X, false)->value.slot, &name),
			 -ENOENT);
	is_channel_full = false;
	assert_int_equal(put(Y, "github.com", BLOCKED, S), 0);
	assert_int_equal(df_record_name_of(&monitor, entry_of(X, false)->value.slot, &name), 0);
	is_channel_full = true;
	assert_int_equal(put(addr4(0xcb007103), "other.example", BLOCKED, S), 0);
	is_channel_full = false;
	slot = entry_of(addr4(0xcb007103), false)->value.slot;
	sweep_all(2 * S);
	assert_int_equal(df_record_name_of(&monitor, slot, &name), 0);
	assert_int_equal(n_told, 2);
	n_calls = 0;
	sweep_all(3 * S);
	assert_int_equal(n_calls, 0); /* all is told and written */
}

/* Whatever stands in the table: the monitor goes on to name what it was told. */
static void test_scribbled_table(void **state)
{
	struct df_dname name, want = name_of("github.com");
	const uint32_t slot = (1u << DF_LEARN_SLOT_SHIFT) + 1;

	(void)state;
	assert_int_equal(put(X, "github.com", BLOCKED, S), 0);
	assert_int_equal(entry_of(X, false)->value.slot, slot);
	for (unsigned value = 0; value < 256; value++) {
		memset(&shared->names[1].name, (int)value, sizeof(shared->names[1].name));
		assert_int_equal(df_record_name_of(&monitor, slot, &name), 0);
		assert_true(df_dname_is_equal(&name, &want));
	}
	/* nor does the next worker bring another name to the slot */
	shared->names[1].name = name_of("innocent.example");
	new_worker();
	sweep_all(2 * S);
	assert_int_equal(df_record_name_of(&monitor, slot, &name), 0);
	assert_true(df_dname_is_equal(&name, &want));
	/* and what is no name goes to nobody */
	n_told = 0;
	shared->names[1].name.wire[0] = 63;
	shared->names[1].generation = 7;
	new_worker();
	sweep_all(3 * S);
	assert_int_equal(n_told, 0);
	assert_int_equal(n_entries, 0);
}

/* --- everything at once ---------------------------------------------------------------- */

/* Against a model that knows each pair's end and each sticky refusal. */
static void test_random(void **state)
{
	enum { ADDRS = 40, NAMES = 30 };
	static uint64_t permit_end[ADDRS], stuck_end[ADDRS][NAMES];
	uint64_t now = S;

	(void)state;
	memset(permit_end, 0, sizeof(permit_end));
	memset(stuck_end, 0, sizeof(stuck_end));
	srand(4711);
	for (unsigned i = 0; i < 60000; i++) {
		const uint32_t a = (uint32_t)rand() % ADDRS, n = (uint32_t)rand() % NAMES;
		const uint8_t *addr = addr4(0xcb000000 + a);
		bool is_stuck = false;
		uint16_t bits;
		char text[32];

		now += (uint64_t)(rand() % 120) * S;
		(void)snprintf(text, sizeof(text), "n%u.example", n);
		switch (rand() % 5) {
		case 0: /* half of the names are refused ones */
			assert_int_equal(put(addr, text, n % 2 ? BLOCKED : ALLOWED, now), 0);
			if (n % 2)
				stuck_end[a][n] = now + DF_LEARN_STICKY_NS;
			else if (permit_end[a] < now + TTL + KEEP)
				permit_end[a] = now + TTL + KEEP;
			break;
		case 1:
			df_learn_sweep(&learn, now);
			break;
		case 2:
			if (rand() % 50 == 0)
				new_worker();
			break;
		default:
			break;
		}
		bits = use(addr, 0, now);
		if (permit_end[a] > now) {
			assert_int_equal(bits & ALLOWED, ALLOWED);
			if (permit_end[a] < now + KEEP)
				permit_end[a] = now + KEEP;
		}
		for (unsigned k = 0; k < NAMES; k++)
			is_stuck |= stuck_end[a][k] > now;
		if (is_stuck)
			assert_int_equal(bits & BLOCKED, BLOCKED);
		if (i % 1000 == 0) {
			sweep_all(now);
			check_consistency();
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_learned_at_once),
		T(test_union_of_names),
		T(test_name_that_says_nothing),
		T(test_end_of_permission),
		T(test_use_keeps_it),
		T(test_lapsed_stays_lapsed),
		T(test_no_call_for_nothing_new),
		T(test_short_ttl),
		T(test_sticky),
		T(test_permission_ends_refusal_stays),
		T(test_refusal_keeps_permission_of_ports),
		T(test_sticky_limit_of_a_name),
		T(test_nat64),
		T(test_embedded),
		T(test_unpinned_limit),
		T(test_full_of_needed),
		T(test_full_of_permits_has_room_for_refusals),
		T(test_full_of_names_has_room_for_refusals),
		T(test_full_of_default),
		T(test_full_of_default_under_raw_block),
		T(test_many_names_of_one_address),
		T(test_map_fails),
		T(test_next_worker_goes_on),
		T(test_name_of_allowed),
		T(test_died_in_between),
		T(test_nonsense_is_dropped),
		T(test_names_for_events),
		T(test_name_is_told_later),
		T(test_scribbled_table),
		T(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
