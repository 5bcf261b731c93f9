/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules with ports, rules for addresses, and what the settings say. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/ports.h"
#include "tests/lib/policy_case.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define ICMP IPPROTO_ICMP

static void test_name_ports(void **state)
{
	static const struct {
		const char *text, *name;
		uint8_t proto;
		uint16_t port;
		const char *want;
	} rows[] = {
		{"allow r.test:443\n", "r.test", TCP, 443, "1 allow r.test:443"},
		{"allow r.test:443\n", "x.r.test", UDP, 443, "1 allow r.test:443"},
		{"allow r.test:443\n", "r.test", TCP, 442, NULL},
		{"allow r.test:443\n", "r.test", ICMP, 443, NULL},
		{"allow r.test:443\n", "r.test", 0, 0, NULL},
		{"allow r.test:443/tcp\n", "r.test", TCP, 443, "1 allow r.test:443/tcp"},
		{"allow r.test:443/tcp\n", "r.test", UDP, 443, NULL},
		{"block =r.test:10-20/udp\n", "r.test", UDP, 10, "1 block =r.test:10-20/udp"},
		{"block =r.test:10-20/udp\n", "r.test", UDP, 20, "1 block =r.test:10-20/udp"},
		{"block =r.test:10-20/udp\n", "r.test", UDP, 9, NULL},
		{"block =r.test:10-20/udp\n", "r.test", UDP, 21, NULL},
		{"block =r.test:10-20/udp\n", "x.r.test", UDP, 15, NULL},
		{"block *.r.test:10-20\n", "r.test", UDP, 15, NULL},
		{"block *.r.test:10-20\n", "x.r.test", UDP, 15, "1 block *.r.test:10-20"},
		/* other ports fall to the less specific rule */
		{"block test\nallow r.test:443\n", "r.test", TCP, 443, "2 allow r.test:443"},
		{"block test\nallow r.test:443\n", "r.test", TCP, 80, "1 block test"},
		{"block test\nallow r.test:443\n", "r.test", ICMP, 0, "1 block test"},
		/* at the same name: with ports over without, whatever stands first */
		{"block r.test\nallow r.test:443\n", "r.test", TCP, 443, "2 allow r.test:443"},
		{"allow r.test\nblock r.test:443\n", "r.test", TCP, 443, "2 block r.test:443"},
		{"allow r.test\nblock r.test:443\n", "r.test", TCP, 80, "1 allow r.test"},
		/* but the scope before the ports */
		{"allow =r.test\nblock r.test:443\n", "r.test", TCP, 443, "1 allow =r.test"},
		{"allow *.r.test\nblock r.test:443\n", "x.r.test", TCP, 443, "1 allow *.r.test"},
		/* and the longer name before both */
		{"block test:443\nallow r.test\n", "r.test", TCP, 443, "2 allow r.test"},
		/* ports that overlap: block, not the narrower range */
		{"allow r.test:443\nblock r.test:1-1000\n", "r.test", TCP, 443,
		 "2 block r.test:1-1000"},
		{"allow r.test:1-1000\nblock r.test:443\n", "r.test", TCP, 443,
		 "2 block r.test:443"},
		{"allow r.test:1-1000\nblock r.test:443\n", "r.test", TCP, 80,
		 "1 allow r.test:1-1000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};
		const struct df_dname name = name_of(rows[i].name);

		compile_saying(rows[i].text, NULL, &c);
		assert_rule(&c,
			    df_policy_lookup_port(&c.policy, &name, rows[i].proto, rows[i].port),
			    rows[i].text, rows[i].want);
	}
}

/* DNS is refused only if no port of the name is allowed. */
static void test_dns_of_ports(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"allow r.test:443\n", "1 allow r.test:443"},
		{"default deny\nallow r.test:443\n", "2 allow r.test:443"},
		{"block r.test:443\n", NULL}, /* the default decides the others */
		{"block r.test\nallow r.test:443\n", "2 allow r.test:443"},
		{"block test\nallow r.test:443/udp\n", "2 allow r.test:443/udp"},
		{"block test\nblock r.test:443\n", "1 block test"},
		{"allow test\nblock r.test:443\n", "1 allow test"},
		/* what is allowed is blocked again */
		{"block test\nallow r.test:10-20\nblock r.test:1-100\n", "1 block test"},
		{"block test\nallow r.test:10-20\nblock =r.test:1-100\n", "1 block test"},
		{"block test\nallow r.test:10-20\nblock =r.test:1-19\n", "2 allow r.test:10-20"},
		{"block test\nallow r.test:10-20\nblock =r.test:1-100/tcp\n",
		 "2 allow r.test:10-20"},
		/* nothing is left, though no rule is without ports */
		{"block r.test:1-65535\n", "1 block r.test:1-65535"},
		{"block r.test:1-65535\nallow test\n", "1 block r.test:1-65535"},
		{"block r.test:1-65535/udp\n", NULL},
		{"block r.test:1-65535/udp\nblock r.test:2-65535/tcp\n", NULL},
		{"block r.test:1-65535/udp\nblock r.test:2-65535/tcp\nallow test:1\n",
		 "3 allow test:1"},
		{"block r.test:1-65535/udp\nblock r.test:1-65535/tcp\nallow test:1\n",
		 "2 block r.test:1-65535/tcp"},
		/* ports that others name make no difference */
		{"block r.test\nallow other.test:443\nblock s.test:1-1000/udp\n", "1 block r.test"},
		{"default deny\nallow other.test:443\nblock r.test:443\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_rule(&c, lookup(&c, "r.test"), rows[i].text, rows[i].want);
	}
}

static void test_allow_below_of_ports(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{"block r.test\nallow x.r.test:443\n", true},
		{"block r.test\nblock x.r.test:443\n", false},
		{"block =r.test\nblock *.r.test:443\n", true},
		{"block =r.test\nblock *.r.test:1-65535\n", false},
		{"default deny\nblock =r.test\n", false},
		{"default deny\nblock =r.test\nallow *.r.test:443\n", true},
	};
	const struct df_dname name = name_of("r.test");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		if (df_policy_has_allow_below(&c.policy, &name) != rows[i].want)
			fail_msg("%s", rows[i].text);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *addr;
		uint8_t proto;
		uint16_t port;
		const char *want;
	} rows[] = {
		{"block 10.0.0.0/8\n", "10.255.255.255", TCP, 80, "1 block 10.0.0.0/8"},
		{"block 10.0.0.0/8\n", "10.0.0.0", ICMP, 0, "1 block 10.0.0.0/8"},
		{"block 10.0.0.0/8\n", "11.0.0.0", TCP, 80, NULL},
		{"block 10.0.0.0/8\n", "9.255.255.255", TCP, 80, NULL},
		{"allow 10.0.0.0/8\n", "::10.1.2.3", TCP, 80, NULL}, /* not the mapped form */
		{"block 192.0.2.7\n", "192.0.2.7", TCP, 80, "1 block 192.0.2.7"},
		{"block 192.0.2.7\n", "192.0.2.6", TCP, 80, NULL},
		{"block 2001:db8::/32\n", "2001:db8:ffff::1", UDP, 1, "1 block 2001:db8::/32"},
		{"block 2001:db8::/32\n", "2001:db9::", UDP, 1, NULL},
		{"block [2001:db8::1]:443\n", "2001:db8::1", UDP, 443, "1 block [2001:db8::1]:443"},
		{"block [2001:db8::1]:443\n", "2001:db8::1", UDP, 80, NULL},
		{"block [2001:db8::1]:443\n", "2001:db8::1", ICMP, 443, NULL},
		{"block [2001:db8::/32]:443\n", "2001:db8:1::", TCP, 443,
		 "1 block [2001:db8::/32]:443"},
		/* longest prefix, whatever stands first */
		{"allow 10.1.0.0/16\nblock 10.0.0.0/8\n", "10.1.2.3", TCP, 80,
		 "1 allow 10.1.0.0/16"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16\n", "10.2.2.3", TCP, 80,
		 "1 block 10.0.0.0/8"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16\nblock 10.1.2.0/24\nallow 10.1.2.3\n",
		 "10.1.2.3", TCP, 80, "4 allow 10.1.2.3"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16\nblock 10.1.2.0/24\nallow 10.1.2.3\n",
		 "10.1.2.4", TCP, 80, "3 block 10.1.2.0/24"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16\nblock 10.1.2.0/24\nallow 10.1.2.3\n",
		 "10.1.3.0", TCP, 80, "2 allow 10.1.0.0/16"},
		/* with a matching port */
		{"block 10.0.0.0/8\nallow 10.1.0.0/16:22\n", "10.1.2.3", TCP, 22,
		 "2 allow 10.1.0.0/16:22"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16:22\n", "10.1.2.3", TCP, 23,
		 "1 block 10.0.0.0/8"},
		{"block 10.0.0.0/8\nallow 10.1.0.0/16:22\n", "10.1.2.3", ICMP, 22,
		 "1 block 10.0.0.0/8"},
		/* at the same prefix: ports, then block */
		{"block 10.0.0.0/8\nallow 10.0.0.0/8:22\n", "10.1.2.3", TCP, 22,
		 "2 allow 10.0.0.0/8:22"},
		{"block 10.0.0.0/8\nallow 10.0.0.0/8:22\n", "10.1.2.3", TCP, 23,
		 "1 block 10.0.0.0/8"},
		{"allow 10.0.0.0/8:20-30\nblock 10.0.0.0/8:22\n", "10.1.2.3", TCP, 22,
		 "2 block 10.0.0.0/8:22"},
		/* IPv6 says nothing of IPv4, nor IPv4 of IPv6 */
		{"block ::/0\n", "2001:db8::1", TCP, 80, "1 block ::/0"},
		{"block ::/0\n", "192.0.2.1", TCP, 80, NULL},
		{"block ::/64\n", "192.0.2.1", TCP, 80, NULL},
		{"block 0.0.0.0/0\n", "192.0.2.1", TCP, 80, "1 block 0.0.0.0/0"},
		{"block 0.0.0.0/0\n", "2001:db8::1", TCP, 80, NULL},
		{"block ::/0\nallow 0.0.0.0/0:22\n", "192.0.2.1", TCP, 22, "2 allow 0.0.0.0/0:22"},
		{"block ::/0\nallow 0.0.0.0/0:22\n", "192.0.2.1", TCP, 80, NULL},
		/* but an IPv4 address is one in whichever form it is written */
		{"block ::ffff:192.0.2.0/120\n", "192.0.2.1", TCP, 80,
		 "1 block ::ffff:192.0.2.0/120"},
		/* IPv4 inside of IPv6: a block carries over, a permission from 64:ff9b::/96 alone
		 */
		{"block 192.0.2.0/24\n", "64:ff9b::192.0.2.1", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24\n", "2002:c000:201::1", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24\n", "2001:0:c000:201::1", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24\n", "2001::3fff:fdfe", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24\n", "::192.0.2.1", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24\n", "64:ff9b:1:2::192.0.2.1", TCP, 80, "1 block 192.0.2.0/24"},
		{"block 192.0.2.0/24:443\n", "2002:c000:201::1", TCP, 80, NULL},
		{"allow 192.0.2.1\n", "64:ff9b::192.0.2.1", TCP, 80, "1 allow 192.0.2.1"},
		{"allow 192.0.2.1\n", "2002:c000:201::1", TCP, 80, NULL},
		{"allow 192.0.2.1\n", "64:ff9b:1::192.0.2.1", TCP, 80, NULL},
		{"allow 2002::/16\nblock 192.0.2.1\n", "2002:c000:201::1", TCP, 80,
		 "2 block 192.0.2.1"},
		{"allow 2002::/16\nallow 192.0.2.1\n", "2002:c000:201::1", TCP, 80,
		 "1 allow 2002::/16"},
		{"block 64:ff9b::/96\nallow 192.0.2.1\n", "64:ff9b::192.0.2.1", TCP, 80,
		 "1 block 64:ff9b::/96"},
		{"block 64:ff9b::/96\n", "192.0.2.1", TCP, 80, NULL}, /* not the other way round */
		/* names do not matter here */
		{"block test\nallow a.test:80\n", "192.0.2.1", TCP, 80, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};
		uint8_t addr[16];

		compile_saying(rows[i].text, NULL, &c);
		assert_int_equal(net_of(rows[i].addr, addr), 128);
		assert_rule(&c, df_policy_lookup_addr(&c.policy, addr, rows[i].proto, rows[i].port),
			    rows[i].text, rows[i].want);
	}
}

/* What fills a trie: each net with the rule that decides it where no longer one does. */
static void test_nets(void **state)
{
	static const struct {
		const char *net, *tcp22, *tcp80;
	} rows[] = {
		{"::/0", "1 block ::/0", "1 block ::/0"},
		{"0.0.0.0/0", NULL, NULL}, /* made, so that ::/0 is not the longest for IPv4 */
		{"10.0.0.0/8", "3 allow 10.0.0.0/8:22", "2 block 10.0.0.0/8"},
		{"10.1.0.0/16", "3 allow 10.0.0.0/8:22", "4 allow 10.1.0.0/16:80"},
		{"10.1.2.3/32", "5 block 10.1.2.3", "5 block 10.1.2.3"},
		{"2001:db8::/32", "6 allow 2001:db8::/32", "6 allow 2001:db8::/32"},
	};
	_cleanup_compiled_ struct compiled c = {0};
	uint8_t want[16], addr[16];
	unsigned len;

	(void)state;
	compile("block ::/0\nblock 10.0.0.0/8\nallow 10.0.0.0/8:22\nallow 10.1.0.0/16:80\n"
		"block 10.1.2.3\nallow 2001:db8::/32\n",
		&c);
	assert_int_equal(df_policy_n_nets(&c.policy), ARRAY_SIZE(rows));
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		df_policy_net_at(&c.policy, i, addr, &len);
		assert_int_equal(len, net_of(rows[i].net, want));
		assert_memory_equal(addr, want, sizeof(want));
		assert_rule(&c, df_policy_lookup_net(&c.policy, addr, len, TCP, 22), rows[i].net,
			    rows[i].tcp22);
		assert_rule(&c, df_policy_lookup_net(&c.policy, addr, len, TCP, 80), rows[i].net,
			    rows[i].tcp80);
	}
	/* a net that no rule has */
	len = net_of("10.1.2.0/24", addr);
	assert_rule(&c, df_policy_lookup_net(&c.policy, addr, len, TCP, 80), "10.1.2.0/24",
		    "4 allow 10.1.0.0/16:80");
}

/* Without an IPv6 rule above it, nothing is made. */
static void test_no_barrier(void **state)
{
	static const struct {
		const char *text;
		uint32_t n;
	} rows[] = {
		{"block a.test\n", 0},
		{"block 10.0.0.0/8\nblock 2001:db8::/32\n", 2},
		{"block ::1\n", 1},
		{"block ::/0\nallow 0.0.0.0/0\n", 2},
		{"block ::/0\n", 2},
		{"block ::/10\nblock 10.0.0.0/8\n", 3},
		{"block ::/0\nblock ::1\nblock ::2\nblock ff00::/8\n", 5},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_int_equal(df_policy_n_nets(&c.policy), rows[i].n);
	}
}

/* By brute force: every rule, all prefixes of few bits. */
static void test_random_nets(void **state)
{
	struct {
		uint8_t addr, len;
		uint16_t port;
		bool is_block;
	} rules[40];
	uint32_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		_cleanup_compiled_ struct compiled c = {0};
		char text[ARRAY_SIZE(rules) * 32];
		size_t pos = 0;

		for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
			seed = seed * 1103515245 + 12345;
			rules[i].len = (uint8_t)((seed >> 8) % 9);
			rules[i].addr = (uint8_t)((seed >> 16) & (0xff00u >> rules[i].len));
			rules[i].port = (uint16_t)((seed >> 24) % 3);
			rules[i].is_block = seed >> 27 & 1;
			df_append(text, sizeof(text), &pos, "%s 192.0.2.%u/%u",
				  rules[i].is_block ? "block" : "allow", rules[i].addr,
				  24 + rules[i].len);
			df_append(text, sizeof(text), &pos, rules[i].port ? ":%u\n" : "\n",
				  rules[i].port);
		}
		compile(text, &c);
		for (unsigned a = 0; a < 256 * 3; a++) {
			uint8_t addr[16] = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(a & 0xff)};
			uint16_t port = (uint16_t)(a >> 8);
			const struct df_policy_rule *r =
				df_policy_lookup_addr(&c.policy, addr, TCP, port);
			int best = -1, action = 0;

			for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
				int rank = rules[i].len * 4 + (rules[i].port ? 2 : 0) +
					   rules[i].is_block;

				if ((addr[15] & (0xff00u >> rules[i].len) & 0xff) ==
					    rules[i].addr &&
				    (!rules[i].port || rules[i].port == port) && rank > best) {
					best = rank;
					action = rules[i].is_block ? DF_POLICY_BLOCK
								   : DF_POLICY_ALLOW;
				}
			}
			assert_int_equal(r ? r->action : 0, action);
		}
	}
}

static void test_ranges(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	struct df_policy_range r;
	struct df_ports ports;

	(void)state;
	compile("allow a.test:443\nblock b.test\nblock 10.0.0.0/8:10-20/udp\nallow c.test:443\n"
		"allow [::1]:443/tcp\n",
		&c);
	assert_int_equal(df_policy_n_ranges(&c.policy), 3);
	r = df_policy_range_at(&c.policy, 0);
	assert_true(r.proto == 0 && r.lo == 443 && r.hi == 443);
	r = df_policy_range_at(&c.policy, 1);
	assert_true(r.proto == UDP && r.lo == 10 && r.hi == 20);
	r = df_policy_range_at(&c.policy, 2);
	assert_true(r.proto == TCP && r.lo == 443 && r.hi == 443);
	df_ports_init(&ports);
	assert_int_equal(df_ports_add(&ports, &c.policy), 0);
	assert_int_equal(ports.n_classes, 6);
	/* a policy that does not fit adds nothing */
	while (ports.n_classes < DF_PORT_CLASSES - 1)
		assert_int_equal(df_ports_add_range(&ports,
						    (struct df_policy_range){
							    TCP, (uint16_t)(1000 + ports.n_classes),
							    (uint16_t)(1000 + ports.n_classes)}),
				 0);
	df_policy_result_done(&c.result);
	compile("allow a.test:1\nallow a.test:2\n", &c);
	assert_int_equal(df_ports_add(&ports, &c.policy), -E2BIG);
	assert_int_equal(ports.n_classes, DF_PORT_CLASSES - 1);
	assert_int_equal(df_ports_class(&ports, TCP, 1), DF_PORTS_OTHER_TCP);
}

/* What all rules treat alike is one class, so 27 rules with one port each fit, and no more. */
static void test_too_many_ports(void **state)
{
	struct df_policy_result result;
	char text[4096];
	size_t pos = 0;

	(void)state;
	for (unsigned i = 1; i <= 27; i++)
		df_append(text, sizeof(text), &pos, "allow a%u.test:%u\n", i % 3, i * 10);
	df_append(text, sizeof(text), &pos, "allow again.test:20\nblock 10.0.0.0/8:270\n");
	assert_int_equal(df_policy_compile_text("t", "t", text, pos, &result), 0);
	df_policy_result_done(&result);
	df_append(text, sizeof(text), &pos, "block x.test\n block 10.0.0.0/8:271/tcp\n");
	assert_int_equal(df_policy_compile_text("t", "t", text, pos, &result), -EINVAL);
	assert_string_equal(result.messages,
			    "t:31:8: the policy tells too many ports apart; at most 27 groups of "
			    "ports that its rules treat alike, so name fewer or wider ranges\n");
	df_policy_result_done(&result);
}

static void test_doubles(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"block a.test:1\nblock a.test:2\nallow a.test:1/tcp\nblock a.test\n", NULL},
		{"block a.test:1\nblock a.test:1-1\n",
		 "dir/t.policy:2:1: warning: the same rule as in line 1; remove one\n"},
		{"block a.test:1\nallow a.test:1\n",
		 "dir/t.policy:2:1: warning: contradicts line 1, and block wins; remove one\n"},
		{"block 10.0.0.0/8\nallow ::1\nblock 10.0.0.0/8\n",
		 "dir/t.policy:3:1: warning: the same rule as in line 1; remove one\n"},
		{"allow 10.0.0.1\nblock ::ffff:10.0.0.1\n",
		 "dir/t.policy:2:1: warning: contradicts line 1, and block wins; remove one\n"},
		{"allow 10.0.0.0/8\nblock 10.0.0.0/9\nblock 10.0.0.0/8:1\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile_saying(rows[i].text, rows[i].want, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_ports),
		cmocka_unit_test(test_dns_of_ports),
		cmocka_unit_test(test_allow_below_of_ports),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_no_barrier),
		cmocka_unit_test(test_random_nets),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_too_many_ports),
		cmocka_unit_test(test_doubles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
