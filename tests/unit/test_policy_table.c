/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of a compiled policy, damaged and hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/table.h"
#include "tests/lib/policy_case.h"

/* One of everything that a table can hold. */
static const char all[] =
	"block a.test\nowner x\nallow b.a.test:443\nblock =c.test:1-20/udp\nhint x\n"
	"allow *.d\nblock 10.0.0.0/8\nallow 10.1.0.0/16:22\nblock ::/0\n"
	"allow 2001:db8::/32\nresolver 10.0.0.2 2001:db8::53\n";

/* A copy of exact size, so that ASan sees a read behind it. */
static int open_copy(const void *table, size_t size)
{
	_cleanup_free_ void *copy = malloc(size ? size : 1);
	struct df_policy policy;

	assert_non_null(copy);
	memcpy(copy, table, size);
	return df_policy_open(copy, size, &policy);
}

#define ASSERT_BAD(lvalue, bad)                                                                    \
	do {                                                                                       \
		__typeof__(lvalue) saved_ = (lvalue);                                              \
		(lvalue) = (bad);                                                                  \
		if (open_copy(table, size) != -EBADMSG)                                            \
			fail_msg("%s = %s", #lvalue, #bad);                                        \
		(lvalue) = saved_;                                                                 \
		assert_int_equal(open_copy(table, size), 0);                                       \
	} while (0)

static void test_header(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	struct df_policy_header *h;
	uint8_t *table;
	size_t size;

	(void)state;
	compile(all, &c);
	h = c.result.table;
	table = c.result.table;
	size = c.result.table_size;
	ASSERT_BAD(h->magic, 0x44465031); /* the other byte order */
	ASSERT_BAD(h->version, DF_POLICY_VERSION - 1);
	ASSERT_BAD(h->size, 8);
	ASSERT_BAD(h->mode, 0);
	ASSERT_BAD(h->mode, 3);
	ASSERT_BAD(h->default_action, 3);
	ASSERT_BAD(h->refuse_dns, 4);
	ASSERT_BAD(h->has_allow, 2);
	ASSERT_BAD(h->enforce_share, 101);
	ASSERT_BAD(h->raw_ip, 0);
	ASSERT_BAD(h->raw_ip, 4);
	ASSERT_BAD(h->pin_blocked, 0);
	ASSERT_BAD(h->pin_blocked, 4);
	ASSERT_BAD(h->shared_address, 0);
	ASSERT_BAD(h->shared_address, 4);
	ASSERT_BAD(h->is_nested_netns_allowed, 2);
	ASSERT_BAD(h->rule_octets, 3);
	ASSERT_BAD(h->rule_octets, 4);
	ASSERT_BAD(h->refuse_errno, 0);
	ASSERT_BAD(h->leaks, UINT32_C(1) << DF_FINDINGS);
	ASSERT_BAD(h->classes, 0);
	ASSERT_BAD(h->name, 0x1000);
	ASSERT_BAD(h->n_slots, 0);
	ASSERT_BAD(h->n_slots, 0x80000000);
	ASSERT_BAD(h->slots, 0);
	ASSERT_BAD(h->entries, 0xfffffffc);
	ASSERT_BAD(h->entries_size, 0xffffffff);
	ASSERT_BAD(h->rules, 1);
	ASSERT_BAD(h->n_rules, 0xffffffff);
	ASSERT_BAD(h->nets, h->rules);
	ASSERT_BAD(h->n_nets, 0xffffffff);
	ASSERT_BAD(h->ranges, h->nets);
	ASSERT_BAD(h->n_ranges, 65);
	ASSERT_BAD(h->resolvers, h->ranges);
	ASSERT_BAD(h->n_resolvers, 17);
	ASSERT_BAD(h->pins, h->pins - 16);
	ASSERT_BAD(h->n_pins, 0);
	ASSERT_BAD(h->n_pins, h->n_pins + 1);
	ASSERT_BAD(h->n_pins, 65);
	ASSERT_BAD(h->strings, 0);
	ASSERT_BAD(h->strings, h->pins - 1);
	ASSERT_BAD(h->strings_size, 0);
}

static void test_entries(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	uint8_t *entry, *table;
	uint32_t *slots;
	size_t size;

	(void)state;
	compile("block =test\nallow =test\n", &c);
	table = c.result.table;
	size = c.result.table_size;
	slots = (uint32_t *)(void *)(table + ((struct df_policy_header *)c.result.table)->slots);
	entry = table + ((struct df_policy_header *)c.result.table)->entries;
	ASSERT_BAD(slots[0], slots[0] + 1);
	ASSERT_BAD(slots[1], slots[0]);
	ASSERT_BAD(slots[1], UINT32_MAX);
	ASSERT_BAD(entry[4], 0); /* label lengths */
	ASSERT_BAD(entry[4], 3);
	ASSERT_BAD(entry[4], 5);
	ASSERT_BAD(entry[4], 0x44); /* unknown flag */
	ASSERT_BAD(entry[5], 2);    /* not the first of its run */
	ASSERT_BAD(entry[5], 3);    /* behind the last */
	ASSERT_BAD(entry[6], 0xff);
}

static void test_rules(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	struct df_policy_rule *rules, saved;
	struct df_policy_header *h;
	uint8_t *table;
	size_t size;

	(void)state;
	compile("block =test\nallow =test\nblock 10.0.0.0/8:22\n", &c);
	h = c.result.table;
	table = c.result.table;
	size = c.result.table_size;
	rules = (struct df_policy_rule *)(void *)(table + h->rules);
	assert_int_equal(h->n_rules, 3);
	ASSERT_BAD(rules[0].action, 0);
	ASSERT_BAD(rules[0].action, 3);
	ASSERT_BAD(rules[0].scope, 0);
	ASSERT_BAD(rules[0].scope, 5);
	ASSERT_BAD(rules[0].scope, DF_POLICY_NET);
	ASSERT_BAD(rules[0].scope, DF_POLICY_TREE); /* order */
	ASSERT_BAD(rules[0].flags, 16);
	ASSERT_BAD(rules[1].flags, 0);
	ASSERT_BAD(rules[2].flags, 0); /* a run without an end */
	ASSERT_BAD(rules[2].scope, DF_POLICY_EXACT);
	ASSERT_BAD(rules[0].proto, 6);
	ASSERT_BAD(rules[0].port_hi, 443);
	ASSERT_BAD(rules[0].classes, 0);
	ASSERT_BAD(rules[2].port_hi, 23);
	ASSERT_BAD(rules[2].port_lo, 21);
	ASSERT_BAD(rules[2].port_lo, 0);
	ASSERT_BAD(rules[2].proto, 6);
	ASSERT_BAD(rules[2].classes, 1);
	ASSERT_BAD(rules[1].file, 0);
	ASSERT_BAD(rules[1].text, 0);
	ASSERT_BAD(rules[1].text, rules[1].text + 1); /* inside a string */
	ASSERT_BAD(rules[1].owner, h->strings_size);
	ASSERT_BAD(rules[1].hint, UINT32_MAX);
	ASSERT_BAD(table[h->strings], 'x');
	ASSERT_BAD(table[size - 1], 'x');
	saved = rules[0];
	rules[0] = rules[1];
	rules[1] = saved;
	assert_int_equal(open_copy(table, size), -EBADMSG);
}

static void test_nets(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	struct df_policy_net *nets;
	struct df_policy_range *ranges;
	uint8_t *table;
	size_t size;

	(void)state;
	compile("block 10.0.0.0/8\nallow 10.1.0.0/16:22\nblock 10.2.0.0/16:22/tcp\nallow a:22\n",
		&c);
	table = c.result.table;
	size = c.result.table_size;
	nets = (struct df_policy_net *)(void *)(table +
						((struct df_policy_header *)c.result.table)->nets);
	ranges = (struct df_policy_range
			  *)(void *)(table + ((struct df_policy_header *)c.result.table)->ranges);
	ASSERT_BAD(nets[0].prefix_len, 129);
	ASSERT_BAD(nets[0].prefix_len, 100); /* host bits */
	ASSERT_BAD(nets[0].parent, 1);       /* itself: a lookup would not end */
	ASSERT_BAD(nets[0].pad[0], 1);
	ASSERT_BAD(nets[1].parent, 0);
	ASSERT_BAD(nets[2].parent, 2); /* a neighbour */
	ASSERT_BAD(nets[2].parent, UINT32_MAX);
	ASSERT_BAD(nets[1].addr[13], 3); /* order */
	ASSERT_BAD(nets[2].addr[13], 1); /* a double */
	ASSERT_BAD(nets[1].rule, 1);     /* a name's */
	ASSERT_BAD(nets[1].rule, 5);
	ASSERT_BAD(ranges[0].lo, 0);
	ASSERT_BAD(ranges[0].lo, 23);
	ASSERT_BAD(ranges[0].hi, 23);
	ASSERT_BAD(ranges[0].proto, 1);
	ASSERT_BAD(ranges[0].proto, 6); /* a double of the other */
}

static void test_pins(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	uint8_t *pins, *table;
	size_t size;

	(void)state;
	compile("block a.test\nblock =b.test\n", &c);
	table = c.result.table;
	size = c.result.table_size;
	pins = table + ((struct df_policy_header *)c.result.table)->pins;
	ASSERT_BAD(pins[0], 0);
	ASSERT_BAD(pins[0], 2);
	ASSERT_BAD(pins[0], 0xc0); /* a pointer */
	ASSERT_BAD(pins[1], 'A');
	ASSERT_BAD(pins[15], 1); /* the last root label */
}

static void test_cut(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	_cleanup_free_ uint8_t *shifted = NULL;
	struct df_policy policy = {.size = 42};

	(void)state;
	compile(all, &c);
	for (size_t size = 0; size < c.result.table_size; size++)
		assert_int_equal(open_copy(c.result.table, size), -EBADMSG);
	shifted = malloc(c.result.table_size + 1);
	assert_non_null(shifted);
	memcpy(shifted + 1, c.result.table, c.result.table_size);
	assert_int_equal(df_policy_open(shifted + 1, c.result.table_size, &policy), -EINVAL);
	memcpy(shifted, c.result.table, c.result.table_size);
	shifted[c.result.table_size] = 0;
	assert_int_equal(df_policy_open(shifted, c.result.table_size + 1, &policy), -EBADMSG);
	assert_int_equal(policy.size, 42);
}

static void use_all(const struct df_policy *p)
{
	static const char *const names[] = {".", "x.b.a.test", "c.test", "x.d", "d"};
	static const char *const nets[] = {"10.1.2.3", "10.0.0.0/8", "::", "2001:db8::/40"};
	struct df_dname name;
	uint8_t addr[16];
	unsigned len;
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct df_policy_rule *r;

		name = name_of(names[i]);
		(void)df_policy_lookup_port(p, &name, 17, 20);
		(void)df_policy_has_allow_below(p, &name);
		r = df_policy_lookup(p, &name);
		if (r)
			(void)df_policy_rule_describe(p, r, text, sizeof(text));
	}
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		len = net_of(nets[i], addr);
		(void)df_policy_lookup_net(p, addr, len, 6, 22);
		(void)df_policy_lookup_addr(p, addr, 6, 443);
	}
	for (uint32_t i = 0; i < df_policy_n_nets(p); i++)
		df_policy_net_at(p, i, addr, &len);
	for (uint32_t i = 0; i < df_policy_n_ranges(p); i++)
		(void)df_policy_range_at(p, i);
	for (uint32_t i = 0; i < df_policy_n_resolvers(p); i++)
		df_policy_resolver_at(p, i, addr);
	for (uint32_t i = 0; i < df_policy_n_pin_names(p); i++)
		assert_int_equal(df_policy_pin_name_at(p, i, &name), 0);
}

/* What was checked before is not looked at again, but for the header. */
static void test_reopen(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	struct df_policy policy;
	struct df_policy_header *h;
	uint8_t *table;
	size_t size;

	(void)state;
	compile(all, &c);
	table = c.result.table;
	size = c.result.table_size;
	h = c.result.table;
	assert_int_equal(df_policy_reopen(table, size, &policy), 0);
	use_all(&policy);
	assert_int_equal(df_policy_reopen(table, size - 1, &policy), -EBADMSG);
	assert_int_equal(df_policy_reopen(table, sizeof(*h) - 1, &policy), -EBADMSG);
	assert_int_equal(df_policy_reopen(table + 1, size, &policy), -EINVAL);
	h->version++;
	assert_int_equal(df_policy_reopen(table, size, &policy), -EBADMSG);
	h->version--;
	h->entries++;
	assert_int_equal(df_policy_reopen(table, size, &policy), -EBADMSG);
	h->entries--;
	table[h->entries + sizeof(uint32_t)] = 0; /* a label's length */
	assert_int_equal(df_policy_open(table, size, &policy), -EBADMSG);
	assert_int_equal(df_policy_reopen(table, size, &policy), 0);
}

/* Whatever a flipped bit does, lookups stay inside. */
static void test_flipped_bits(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	_cleanup_free_ uint8_t *copy = NULL;
	unsigned n_open = 0;
	size_t size;

	(void)state;
	compile(all, &c);
	use_all(&c.policy);
	size = c.result.table_size;
	copy = malloc(size);
	assert_non_null(copy);
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct df_policy policy;

		memcpy(copy, c.result.table, size);
		copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (df_policy_open(copy, size, &policy) < 0)
			continue;
		n_open++;
		use_all(&policy);
	}
	assert_true(n_open > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header), cmocka_unit_test(test_entries),
		cmocka_unit_test(test_rules),  cmocka_unit_test(test_nets),
		cmocka_unit_test(test_pins),   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_reopen), cmocka_unit_test(test_flipped_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
