/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "lib/policy/table.h"
#include "tests/lib/policy_case.h"

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static bool has_allow_below(const struct compiled *c, const char *text)
{
	const struct df_dname name = name_of(text);

	return df_policy_has_allow_below(&c->policy, &name);
}

static void test_settings(void **state)
{
	static const struct {
		const char *text;
		enum df_policy_mode mode;
		enum df_policy_refuse_dns refuse_dns;
	} rows[] = {
		{"block a.example\n", DF_POLICY_ENFORCE, DF_POLICY_NXDOMAIN},
		{"mode enforce\n", DF_POLICY_ENFORCE, DF_POLICY_NXDOMAIN},
		{"mode audit\n", DF_POLICY_AUDIT, DF_POLICY_NXDOMAIN},
		{"\tmode   audit\t# why\r\nrefuse-dns refused\r\n", DF_POLICY_AUDIT,
		 DF_POLICY_REFUSED},
		{"refuse-dns sinkhole", DF_POLICY_ENFORCE, DF_POLICY_SINKHOLE},
		{"default allow\n", DF_POLICY_ENFORCE, DF_POLICY_NXDOMAIN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_int_equal(df_policy_mode(&c.policy), rows[i].mode);
		assert_int_equal(df_policy_refuse_dns(&c.policy), rows[i].refuse_dns);
		assert_int_equal(df_policy_default(&c.policy), DF_POLICY_ALLOW);
		assert_string_equal(df_policy_name(&c.policy), "t");
		assert_null(c.result.messages);
	}
}

/* A share takes about that many, always the same, and more of them as it grows. */
static void test_enforce_share(void **state)
{
	static const unsigned shares[] = {0, 10, 50, 100};
	unsigned n[ARRAY_SIZE(shares)] = {0};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(shares); k++) {
		_cleanup_compiled_ struct compiled c = {0};
		char text[64];

		(void)snprintf(text, sizeof(text), "enforce-share %u%%\n", shares[k]);
		compile(text, &c);
		assert_int_equal(df_policy_enforce_share(&c.policy), shares[k]);
		for (unsigned i = 0; i < 1000; i++) {
			char name[16];

			(void)snprintf(name, sizeof(name), "deploy-%u", i);
			n[k] += df_policy_mode_for(&c.policy, "img", name, "a") ==
				DF_POLICY_ENFORCE;
			/* the id counts only where nothing else is known */
			assert_int_equal(df_policy_mode_for(&c.policy, "img", name, "a"),
					 df_policy_mode_for(&c.policy, "img", name, "b"));
		}
	}
	assert_int_equal(n[0], 0);
	assert_in_range(n[1], 60, 140);
	assert_in_range(n[2], 430, 570);
	assert_int_equal(n[3], 1000);
}

/* Documented, so that others can compute it: a change here is one of the format. */
static void test_enforce_share_is_stable(void **state)
{
	_cleanup_compiled_ struct compiled half = {0}, audit = {0};
	static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	unsigned mask = 0;

	(void)state;
	compile("enforce-share 50%\n", &half);
	compile("mode audit\nenforce-share 100%\n", &audit);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (df_policy_mode_for(&half.policy, "", "", ids[i]) == DF_POLICY_ENFORCE)
			mask |= 1u << i;
		assert_int_equal(df_policy_mode_for(&audit.policy, "", "", ids[i]),
				 DF_POLICY_AUDIT);
	}
	assert_int_equal(mask, 0xdc);
}

/* Twins: each statement that is refused stands beside one that is not. */
static const struct {
	const char *text;
	const char *want; /* messages; NULL: none */
} error_rows[] = {
	/* mode */
	{"mode\n", "t:1:5: 'mode' needs enforce | audit\n"},
	{"mode   # none\n", "t:1:5: 'mode' needs enforce | audit\n"},
	{"mode Enforce\n", "t:1:6: unknown value 'Enforce'; write enforce | audit\n"},
	{"mode enforce audit\n", "t:1:14: unexpected 'audit'; one value only\n"},
	{"mode enforce#x\n", "t:1:6: unknown value 'enforce#x'; write enforce | audit\n"},
	{"mode audit\n\n mode audit\n", "t:3:2: 'mode' is set twice; line 1 has set it\n"},
	/* enforce-share */
	{"enforce-share 100%\n", NULL},
	{"enforce-share 10%\n", NULL},
	{"enforce-share 101%\n", "t:1:15: bad share '101%'; write 0% to 100%\n"},
	{"enforce-share 10\n", "t:1:15: bad share '10'; write 0% to 100%\n"},
	{"enforce-share -1%\n", "t:1:15: bad share '-1%'; write 0% to 100%\n"},
	{"enforce-share\n", "t:1:14: 'enforce-share' needs a share of containers, as 10%\n"},
	{"enforce-share 5% 6%\n", "t:1:18: unexpected '6%'; one value only\n"},
	/* default */
	{"default allow\n", NULL},
	{"default deny\nallow a.example\n", NULL},
	{"default refuse\n", "t:1:9: unknown value 'refuse'; write allow | deny\n"},
	/* nothing is allowed: legal, and hardly meant */
	{"default deny\n",
	 "t:1:1: warning: 'default deny' without an allow rule blocks everything; "
	 "add one\n"},
	{"default deny deny\n", "t:1:14: unexpected 'deny'; one value only\n"},
	{"allow a.example\ndefault deny\ndefault allow\n",
	 "t:3:1: 'default' is set twice; line 2 has set it\n"},
	{"default block\n", "t:1:9: unknown value 'block'; write allow | deny\n"},
	/* block and allow */
	{"block github.com.\nallow =A_b-1.example\nblock *.ghcr.io\n", NULL},
	{"block\n", "t:1:6: 'block' needs a name, an address or a network\n"},
	{"block a.example b.example\n", "t:1:17: unexpected 'b.example'; one name a statement\n"},
	{"block a..example\n", "t:1:9: empty label; one dot between labels\n"},
	{"block .example\n", "t:1:7: empty label; one dot between labels\n"},
	{"block =\n", "t:1:8: empty name\n"},
	{"block a." LABEL_63 "x\n", "t:1:72: label is longer than 63 octets\n"},
	{"block a." LABEL_63 "\n", NULL},
	{"block " LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 "\n",
	 "t:1:260: name is longer than 253 characters\n"},
	{"block g\303\274nther.example\n",
	 "t:1:8: name is not ASCII; write its A-label (xn--...)\n"},
	{"block xn--gnther-3ya.example\n", NULL},
	{"block a.*.example\n",
	 "t:1:9: '*' inside a name; '*' can only be the whole first label of a rule\n"},
	{"block *a.example\n",
	 "t:1:7: '*' inside a name; '*' can only be the whole first label of a rule\n"},
	{"block *.*.example\n",
	 "t:1:9: '*' inside a name; '*' can only be the whole first label of a rule\n"},
	{"block =*.example\n",
	 "t:1:8: '*' inside a name; '*' can only be the whole first label of a rule\n"},
	{"block a#b.example\n", "t:1:8: character not allowed in a name; letters, digits, '-', "
				"'_' and dots\n"},
	{"block \"a.example\"\n", "t:1:7: character not allowed in a name; letters, digits, '-', "
				  "'_' and dots\n"},
	{"block .\n", "t:1:7: the root covers every name; write 'default allow' or 'default "
		      "deny' for what no rule names\n"},
	{"allow *.\n", "t:1:7: the root covers every name; write 'default allow' or 'default "
		       "deny' for what no rule names\n"},
	{"allow *\n", "t:1:7: the root covers every name; write 'default allow' or 'default "
		      "deny' for what no rule names\n"},
	{"allow =.\n", "t:1:7: the root covers every name; write 'default allow' or 'default "
		       "deny' for what no rule names\n"},
	{"block https://github.com/x\n", "t:1:7: a URL; write the name alone, as in example.com\n"},
	{"block github.com/x\n",
	 "t:1:17: '/' in a name; write the name alone, as in example.com\n"},
	{"block =1.2.3.4\n", "t:1:8: a name that ends in a number is an address; write the "
			     "address without '=' and '*.'\n"},
	{"block *.7\n", "t:1:9: a name that ends in a number is an address; write the "
			"address without '=' and '*.'\n"},
	/* ports */
	{"allow a.example:443\n", NULL},
	{"allow a.example:443/tcp\n", NULL},
	{"allow a.example:1000-2000/udp\n", NULL},
	{"allow a.example:\n", "t:1:17: bad port ''; write 1 to 65535\n"},
	{"allow a.example:0\n", "t:1:17: bad port '0'; write 1 to 65535\n"},
	{"allow a.example:65536\n", "t:1:17: bad port '65536'; write 1 to 65535\n"},
	{"allow a.example:-1\n", "t:1:17: bad port ''; write 1 to 65535\n"},
	{"allow a.example:1-\n", "t:1:19: bad port ''; write 1 to 65535\n"},
	{"allow a.example:2-1\n", "t:1:17: reversed port range; write 1-2\n"},
	{"allow a.example:https\n", "t:1:17: bad port 'https'; write 1 to 65535\n"},
	{"allow a.example:443/sctp\n", "t:1:21: unknown protocol 'sctp'; write tcp or udp\n"},
	{"allow a.example:443/\n", "t:1:21: unknown protocol ''; write tcp or udp\n"},
	{"allow :443\n", "t:1:7: empty name\n"},
	/* addresses and networks */
	{"block 140.82.112.3\n", NULL},
	{"block 140.82.112.0/20\n", NULL},
	{"block 0.0.0.0/0\n", NULL},
	{"block 2001:db8::/32\n", NULL},
	{"block [2001:db8::1]:443\n", NULL},
	{"block [::1]\n", NULL},
	{"block 140.82.112.3/20\n",
	 "t:1:7: host bits set; write 140.82.112.0/20, or the address alone\n"},
	{"block 2001:db8::1/64\n",
	 "t:1:7: host bits set; write 2001:db8::/64, or the address alone\n"},
	{"block 10.0.0.0/33\n", "t:1:16: bad prefix length '33'; IPv4 has 0 to 32\n"},
	{"block 10.0.0.0/\n", "t:1:16: bad prefix length ''; IPv4 has 0 to 32\n"},
	{"block ::/129\n", "t:1:10: bad prefix length '129'; IPv6 has 0 to 128\n"},
	{"block 10.0.0\n", "t:1:7: '10.0.0' is not an IPv4 address; write four decimal numbers\n"},
	{"block 10.0.0.256\n",
	 "t:1:7: '10.0.0.256' is not an IPv4 address; write four decimal numbers\n"},
	{"block 010.0.0.1\n",
	 "t:1:7: '010.0.0.1' is not an IPv4 address; write four decimal numbers\n"},
	{"block 10.0.0.1:0\n", "t:1:16: bad port '0'; write 1 to 65535\n"},
	{"block 1::2::3\n", "t:1:7: '1::2::3' is not an IPv6 address; write it as RFC 4291 says\n"},
	{"block fe80::1%eth0\n",
	 "t:1:7: 'fe80::1%eth0' is not an IPv6 address; write it as RFC 4291 says\n"},
	{"block [2001:db8::1\n", "t:1:7: '[' without ']'; write [2001:db8::1]:443\n"},
	{"block [10.0.0.1]:80\n",
	 "t:1:8: no IPv6 address in the brackets; only those stand in []\n"},
	{"block []\n", "t:1:8: no IPv6 address in the brackets; only those stand in []\n"},
	{"block [::1]x\n", "t:1:12: unexpected text behind ']'; write [2001:db8::1]:443\n"},
	{"block [::1]:99999\n", "t:1:13: bad port '99999'; write 1 to 65535\n"},
	/* lists and include */
	{"block-list lists/extra.txt hosts\n",
	 "t:1:1: 'block-list' needs a policy that is a file; this one has no place of its own\n"},
	{"allow-list \"a b.txt\" plain\n",
	 "t:1:1: 'allow-list' needs a policy that is a file; this one has no place of its own\n"},
	{"block-list x.txt zone\n",
	 "t:1:18: unknown value 'zone'; write plain | hosts | adblock | rpz | dnsmasq\n"},
	{"block-list x.txt\n",
	 "t:1:17: 'block-list' needs plain | hosts | adblock | rpz | dnsmasq\n"},
	{"block-list\n", "t:1:11: 'block-list' needs a file\n"},
	{"allow-list \"\" plain\n", "t:1:12: empty file name; write a path\n"},
	{"include common.policy\n",
	 "t:1:1: 'include' needs a policy that is a file; this one has no place of its own\n"},
	{"include a b\n", "t:1:11: unexpected 'b'; one file a statement\n"},
	{"include\n", "t:1:8: 'include' needs a file\n"},
	/* raw-ip, pin-blocked, shared-address */
	{"raw-ip allow\n", NULL},
	{"raw-ip block\n", NULL},
	{"raw-ip deny\n", "t:1:8: unknown value 'deny'; write allow | block | audit\n"},
	{"pin-blocked no\n", NULL},
	{"pin-blocked yes\n", NULL},
	{"pin-blocked maybe\n", "t:1:13: unknown value 'maybe'; write yes | on-refusal | no\n"},
	{"shared-address sni\n", NULL},
	{"shared-address tls\n", "t:1:16: unknown value 'tls'; write sni | allow | block\n"},
	/* keep-learned */
	{"keep-learned 1h\n", NULL},
	{"keep-learned 1w\n",
	 "t:1:14: bad duration '1w'; write a number and s, m, h or d, as 1h\n"},
	{"keep-learned h\n", "t:1:14: bad duration 'h'; write a number and s, m, h or d, as 1h\n"},
	{"keep-learned 90\n",
	 "t:1:14: bad duration '90'; write a number and s, m, h or d, as 1h\n"},
	{"keep-learned 3661d\n", "t:1:14: too long; at most 3660d\n"},
	{"keep-learned 99999999999999999999999s\n", "t:1:14: too long; at most 316224000s\n"},
	/* encrypted-dns */
	{"encrypted-dns block\nencrypted-dns allow\n",
	 "t:2:1: 'encrypted-dns' is set twice; line 1 has set it\n"},
	{"default deny\nallow a.test\nencrypted-dns allow\n", NULL},
	{"encrypted-dns deny\n", "t:1:15: unknown value 'deny'; write block | allow\n"},
	/* refuse-dns, refuse-with */
	{"refuse-dns drop\n",
	 "t:1:12: unknown value 'drop'; write nxdomain | refused | sinkhole\n"},
	{"refuse-dns refused\nrefuse-dns refused\n",
	 "t:2:1: 'refuse-dns' is set twice; line 1 has set it\n"},
	{"refuse-with EPERM\n", NULL},
	{"refuse-with EACCES\n", NULL},
	{"refuse-with eperm\n", "t:1:13: unknown value 'eperm'; write EPERM | EACCES | "
				"ECONNREFUSED | EHOSTUNREACH | ENETUNREACH\n"},
	/* resolver */
	{"resolver 10.0.0.2\n", NULL},
	{"resolver 10.0.0.2 2001:db8::53\nresolver 10.0.0.3 10.0.0.2\n", NULL},
	{"resolver 0.0.0.0\n", "t:1:10: no server has this address; write a resolver's\n"},
	{"resolver 10.0.0.1 255.255.255.255\n",
	 "t:1:19: no server has this address; write a resolver's\n"},
	{"resolver ff02::fb\n", "t:1:10: no server has this address; write a resolver's\n"},
	{"resolver ::\n", "t:1:10: no server has this address; write a resolver's\n"},
	{"resolver 127.0.0.53 ::1\n", NULL},
	{"resolver 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 "
	 "10.0.0.9 10.0.0.10 10.0.0.11 10.0.0.12 10.0.0.13 10.0.0.14 10.0.0.15 10.0.0.16\n"
	 "resolver 10.0.0.16\nresolver 10.0.0.17\n",
	 "t:3:10: too many resolvers; at most 16\n"},
	{"resolver dns.example\n",
	 "t:1:10: 'dns.example' is not an IPv4 address; write four decimal numbers\n"},
	{"resolver 10.0.0.0/8\n", "t:1:18: a network; a resolver is one address\n"},
	{"resolver\n", "t:1:9: 'resolver' needs an address, as 10.0.0.2\n"},
	/* on-leak */
	{"on-leak all warn\n", NULL},
	{"on-leak cap-bpf refuse\n", NULL},
	{"on-leak cap-foo warn\n", "t:1:9: unknown finding 'cap-foo'; write all, or names of "
				   "deployfence-hook(8), as cap-net-raw\n"},
	{"on-leak all\n", "t:1:12: 'on-leak' needs warn | refuse at its end\n"},
	{"on-leak\n", "t:1:8: 'on-leak' needs FINDING… warn | refuse\n"},
	{"on-leak all warn cap-bpf\n", "t:1:18: unexpected 'cap-bpf'; warn | refuse stands last\n"},
	{"on-leak all warn\non-leak cap-bpf cap-net-raw refuse\n", NULL},
	{"on-leak cap-bpf warn\non-leak cap-net-raw cap-bpf refuse\n",
	 "t:2:21: 'cap-bpf' is set twice; line 1 has set it\n"},
	{"on-leak all warn\non-leak all warn\n", "t:2:9: 'all' is set twice; line 1 has set it\n"},
	{"on-leak warn\n", "t:1:9: unknown finding 'warn'; write all, or names of "
			   "deployfence-hook(8), as cap-net-raw\n"},
	/* nested-netns */
	{"nested-netns refuse\n", NULL},
	{"nested-netns allow\n", NULL},
	{"nested-netns\n", "t:1:13: 'nested-netns' needs refuse | allow\n"},
	/* owner, hint */
	{"owner team-deploy@example\nhint \"a \\\"b\\\" \\\\ # c\" # d\n", NULL},
	{"owner\n", "t:1:6: 'owner' needs a text\n"},
	{"hint two words\n", "t:1:10: unexpected 'words'; put text with blanks in double quotes\n"},
	{"hint \"open\n", "t:1:6: string has no end; close it with '\"'\n"},
	{"hint \"open\\\"\n", "t:1:6: string has no end; close it with '\"'\n"},
	{"hint \"a\\nb\"\n", "t:1:8: unknown escape; only \\\" and \\\\ are escapes\n"},
	{"hint \"a\\", "t:1:8: unknown escape; only \\\" and \\\\ are escapes\n"},
	{"hint \"a\"b\n", "t:1:9: text behind the closing '\"'; put a blank there, or write "
			  "\\\" inside the string\n"},
	{"hint a\"b\n", "t:1:7: '\"' inside a word; put the whole text in quotes\n"},
	/* statements */
	{"blok a.example\n", "t:1:1: unknown statement 'blok'; did you mean 'block'?\n"},
	{"Block a.example\n", "t:1:1: unknown statement 'Block'; did you mean 'block'?\n"},
	{"  raw_ip allow\n", "t:1:3: unknown statement 'raw_ip'; did you mean 'raw-ip'?\n"},
	{"frobnicate\n",
	 "t:1:1: unknown statement 'frobnicate'; statements are mode, enforce-share, default, "
	 "raw-ip, pin-blocked, shared-address, keep-learned, encrypted-dns, refuse-dns, "
	 "refuse-with, resolver, "
	 "on-leak, nested-netns, block, allow, block-list, allow-list, include, owner, hint\n"},
	{"blk a.example\nmode x\n", "t:1:1: unknown statement 'blk'; did you mean 'block'?\n"
				    "t:2:6: unknown value 'x'; write enforce | audit\n"},
	/* the text itself */
	{"\xef\xbb\xbfmode audit\n",
	 "t:1:1: byte order mark; save the file as UTF-8 without one\n"},
	{"mode audit\rblock a.example\n",
	 "t:1:11: carriage return inside a line; lines end in LF or CR LF\n"},
	{"mode audit\r", "t:1:11: carriage return inside a line; lines end in LF or CR LF\n"},
	{"mode audit\r\r\n", "t:1:11: carriage return inside a line; lines end in LF or CR LF\n"},
	{"# \x07\n", "t:1:3: control character 0x07; remove it\n"},
	{"# \x7f\n", "t:1:3: control character 0x7f; remove it\n"},
	{"# \xc2\x85\n", "t:1:3: control character 0x85; remove it\n"},
	{"# \xff\n", "t:1:3: octet 0xff is not UTF-8; save the file as UTF-8\n"},
	{"# \xc0\xaf\n", "t:1:3: octet 0xc0 is not UTF-8; save the file as UTF-8\n"},
	{"# \xe0\x80\xaf\n", "t:1:3: octet 0xe0 is not UTF-8; save the file as UTF-8\n"},
	{"# \xed\xa0\x80\n", "t:1:3: octet 0xed is not UTF-8; save the file as UTF-8\n"},
	{"# \xf4\x90\x80\x80\n", "t:1:3: octet 0xf4 is not UTF-8; save the file as UTF-8\n"},
	{"# \xe2\x82\n", "t:1:3: octet 0xe2 is not UTF-8; save the file as UTF-8\n"},
	{"# \xe2\x82\xac \xf0\x9f\x9a\xa7 \xc2\xa0\nmode audit\n", NULL},
	{"\n\r\n \t\n#\n# block a.example\n   # x\nmode audit\n", NULL},
	/* a file that was cut, or never written, would allow everything */
	{"", "t: the policy is empty; write at least one statement, as 'default allow'\n"},
	{"\n\r\n \t\n#\n# block a.example\n   # x\n",
	 "t: the policy is empty; write at least one statement, as 'default allow'\n"},
	{"default allow\n", NULL},
	/* doubles and contradictions */
	{"block a.example\nallow b.example\nblock A.Example. # again\n",
	 "t:3:1: warning: the same rule as in line 1; remove one\n"},
	{"block a.example\n allow a.example\n",
	 "t:2:2: warning: contradicts line 1, and block wins; remove one\n"},
	{"allow =a.example\nblock =a.example\n",
	 "t:2:1: warning: contradicts line 1, and block wins; remove one\n"},
	{"block a.example\nallow =a.example\nblock *.a.example\n", NULL},
	/* a double of a contradicted rule was kept once, and the table did not open */
	{"allow a.example\nblock a.example\nallow a.example\n",
	 "t:2:1: warning: contradicts line 1, and block wins; remove one\n"
	 "t:3:1: warning: the same rule as in line 1; remove one\n"},
	{"block a.example\nblock a.example\nmode x\nblock a.example\n",
	 "t:2:1: warning: the same rule as in line 1; remove one\n"
	 "t:3:6: unknown value 'x'; write enforce | audit\n"
	 "t:4:1: warning: the same rule as in line 1; remove one\n"},
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(error_rows); i++) {
		const char *text = error_rows[i].text, *want = error_rows[i].want;
		struct df_policy_result result;
		struct df_policy policy;
		int r = df_policy_compile_text("t", "t", text, strlen(text), &result);
		const char *got = result.messages;

		if ((got || want) && (!got || !want || strcmp(got, want) != 0))
			fail_msg("%s\nwanted: %s\ngot: %s", text, want ? want : "nothing",
				 got ? got : "nothing");
		assert_int_equal(r, result.n_errors ? -EINVAL : 0);
		assert_int_equal(result.table != NULL, r == 0);
		if (r == 0)
			assert_int_equal(df_policy_open(result.table, result.table_size, &policy),
					 0);
		df_policy_result_done(&result);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "block a.example\nblock a\0b\n";
	struct df_policy_result result;

	(void)state;
	assert_int_equal(df_policy_compile_text("t", "t", text, sizeof(text) - 1, &result),
			 -EINVAL);
	assert_string_equal(result.messages, "t:2:8: NUL octet; the file must be plain text\n");
	df_policy_result_done(&result);
}

static void test_all_errors_are_reported(void **state)
{
	char text[8 * (DF_MESSAGES_MAX + 3) + 1], *line;
	struct df_policy_result result;
	size_t pos = 0;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < DF_MESSAGES_MAX + 3; i++)
		df_append(text, sizeof(text), &pos, "mode x\n");
	assert_int_equal(df_policy_compile_text("t", "t", text, pos, &result), -EINVAL);
	assert_int_equal(result.n_errors, DF_MESSAGES_MAX + 3);
	for (line = result.messages; *line; line = strchr(line, '\n') + 1)
		n++;
	assert_int_equal(n, DF_MESSAGES_MAX + 1);
	assert_non_null(strstr(result.messages, "t: … and 3 more errors\n"));
	df_policy_result_done(&result);
}

static void test_line_limit(void **state)
{
	static const size_t limit = 65536;
	static const char first[] = "mode audit\n";
	_cleanup_free_ char *text = malloc(sizeof(first) + limit);
	struct df_policy_result result;

	(void)state;
	assert_non_null(text);
	memset(text, '#', sizeof(first) - 1 + limit + 1);
	memcpy(text, first, sizeof(first) - 1);
	assert_int_equal(df_policy_compile_text("t", "t", text, sizeof(first) - 1 + limit, &result),
			 0);
	df_policy_result_done(&result);
	assert_int_equal(df_policy_compile_text("t", "t", text, sizeof(first) + limit, &result),
			 -EINVAL);
	assert_string_equal(result.messages,
			    "t:2:65537: line is longer than 65536 octets; break it up\n");
	df_policy_result_done(&result);
}

static void test_text_limit(void **state)
{
	char text[600];
	struct df_policy_result result;

	(void)state;
	for (size_t len = 512; len <= 513; len++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "hint ", 5);
		assert_int_equal(df_policy_compile_text("t", "t", text, 5 + len, &result),
				 len == 512 ? 0 : -EINVAL);
		if (len > 512)
			assert_string_equal(result.messages,
					    "t:1:6: text of 513 octets; at most 512 are kept\n");
		df_policy_result_done(&result);
	}
}

static void test_scopes(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	compile("block github.com\nblock =gist.example.com\nblock *.ghcr.io\n", &c);
	assert_decides(&c, "github.com", "1 block github.com");
	assert_decides(&c, "a.b.github.com", "1 block github.com");
	/* label boundaries */
	assert_decides(&c, "notgithub.com", NULL);
	assert_decides(&c, "github.com.example", NULL);
	assert_decides(&c, "com", NULL);
	assert_decides(&c, ".", NULL);
	assert_decides(&c, "hub.com", NULL);
	assert_decides(&c, "github.co", NULL);
	assert_decides(&c, "github", NULL);
	/* case and trailing dot */
	assert_decides(&c, "GitHub.COM", "1 block github.com");
	assert_decides(&c, "github.com.", "1 block github.com");
	assert_decides(&c, "gist.example.com", "2 block =gist.example.com");
	assert_decides(&c, "a.gist.example.com", NULL);
	assert_decides(&c, "example.com", NULL);
	assert_decides(&c, "ghcr.io", NULL);
	assert_decides(&c, "a.ghcr.io", "3 block *.ghcr.io");
	assert_decides(&c, "a.b.ghcr.io", "3 block *.ghcr.io");
}

static void test_dots_are_not_labels(void **state)
{
	/* One label "github.com" with a dot inside, as the wire allows. */
	struct df_dname name = {.len = 12, .n_labels = 1, .wire = "\x0agithub.com"};
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	compile("block github.com\n", &c);
	assert_null(df_policy_lookup(&c.policy, &name));
}

static void test_specificity(void **state)
{
	static const struct {
		const char *text, *name, *want;
	} rows[] = {
		/* the longest name wins, whatever stands first */
		{"block x.test\nallow a.x.test\n", "a.x.test", "2 allow a.x.test"},
		{"allow a.x.test\nblock x.test\n", "b.a.x.test", "1 allow a.x.test"},
		{"allow x.test\nblock a.x.test\n", "a.x.test", "2 block a.x.test"},
		{"block x.test\nallow a.x.test\nblock b.a.x.test\n", "c.b.a.x.test",
		 "3 block b.a.x.test"},
		{"block *.x.test\nallow a.x.test\n", "a.x.test", "2 allow a.x.test"},
		{"block =a.x.test\nallow x.test\n", "a.x.test", "1 block =a.x.test"},
		/* a longer name that does not cover the name says nothing */
		{"block x.test\nallow =a.x.test\n", "b.a.x.test", "1 block x.test"},
		{"block x.test\nallow *.a.x.test\n", "a.x.test", "1 block x.test"},
		/* same name: EXACT over TREE, BELOW over TREE */
		{"block x.test\nallow =x.test\n", "x.test", "2 allow =x.test"},
		{"block x.test\nallow =x.test\n", "a.x.test", "1 block x.test"},
		{"allow x.test\nblock =x.test\n", "x.test", "2 block =x.test"},
		{"block x.test\nallow *.x.test\n", "a.x.test", "2 allow *.x.test"},
		{"block x.test\nallow *.x.test\n", "x.test", "1 block x.test"},
		{"allow =x.test\nblock *.x.test\n", "x.test", "1 allow =x.test"},
		{"allow =x.test\nblock *.x.test\n", "a.x.test", "2 block *.x.test"},
		/* same name and scope: block over allow, whatever stands first */
		{"allow x.test\nblock x.test\n", "x.test", "2 block x.test"},
		{"block x.test\nallow x.test\n", "a.x.test", "1 block x.test"},
		{"allow *.x.test\nblock *.x.test\n", "a.x.test", "2 block *.x.test"},
		{"block =x.test\nallow =x.test\n", "x.test", "1 block =x.test"},
		/* all six */
		{"allow x.test\nblock x.test\nallow *.x.test\nblock *.x.test\nallow =x.test\n"
		 "block =x.test\n",
		 "x.test", "6 block =x.test"},
		{"allow x.test\nblock x.test\nallow *.x.test\nblock *.x.test\nallow =x.test\n"
		 "block =x.test\n",
		 "a.x.test", "4 block *.x.test"},
		/* of doubles the first */
		{"block x.test\nblock X.test\n", "x.test", "1 block x.test"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		assert_decides(&c, rows[i].name, rows[i].want);
	}
}

static void test_has_allow_below(void **state)
{
	static const struct {
		const char *text, *name;
		bool want;
	} rows[] = {
		{"block x.test\n", "x.test", false},
		{"block x.test\n", "a.x.test", false},
		/* names between a block and an allow that no rule names */
		{"block x.test\nallow a.b.x.test\n", "x.test", true},
		{"block x.test\nallow a.b.x.test\n", "b.x.test", true},
		{"block x.test\nallow a.b.x.test\n", "c.x.test", false},
		{"block x.test\nallow a.b.x.test\n", "c.b.x.test", false},
		{"block x.test\nallow =a.b.x.test\n", "b.x.test", true},
		{"block x.test\nallow *.b.x.test\n", "b.x.test", true},
		{"block x.test\nblock a.b.x.test\n", "b.x.test", false},
		{"block x.test\nallow ab.x.test\n", "b.x.test", false},
		/* the refusal is for the name alone: what is below passes */
		{"block =x.test\n", "x.test", true},
		{"block =x.test\nblock *.x.test\n", "x.test", false},
		{"block test\nblock =x.test\n", "x.test", false},
		{"block =x.test\nallow *.x.test\n", "x.test", true},
		{"block x.test\nallow *.x.test\n", "x.test", true},
		{"block x.test\nallow =x.test\n", "x.test", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_compiled_ struct compiled c = {0};

		compile(rows[i].text, &c);
		if (has_allow_below(&c, rows[i].name) != rows[i].want)
			fail_msg("%s: %s", rows[i].text, rows[i].name);
	}
}

static void test_default_deny(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	compile("default deny\nallow a.x.test\n", &c);
	assert_int_equal(df_policy_default(&c.policy), DF_POLICY_BLOCK);
	assert_true(has_allow_below(&c, "."));
	assert_true(has_allow_below(&c, "test"));
	assert_true(has_allow_below(&c, "x.test"));
	assert_false(has_allow_below(&c, "y.test"));
	assert_false(has_allow_below(&c, "com"));
}

static void test_owner_and_hint(void **state)
{
	static const struct {
		const char *name, *owner, *hint;
	} rows[] = {
		{"a.test", NULL, "first"},  {"b.test", "o1", "first"}, {"c.test", "o1", "first"},
		{"d.test", "o2", "sec\"#"}, {"e.test", NULL, NULL},
	};
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	compile("block a.test\nowner o1\nblock b.test\nhint first\nblock c.test\n"
		"owner \"o2\" # x\nhint \"sec\\\"#\"\nblock d.test\nowner \"\"\nhint \"\"\n"
		"block e.test\n",
		&c);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_policy_rule *rule = lookup(&c, rows[i].name);
		const char *owner, *hint;

		assert_non_null(rule);
		owner = df_policy_rule_owner(&c.policy, rule);
		hint = df_policy_rule_hint(&c.policy, rule);
		assert_int_equal(owner == NULL, rows[i].owner == NULL);
		assert_int_equal(hint == NULL, rows[i].hint == NULL);
		if (owner)
			assert_string_equal(owner, rows[i].owner);
		if (hint)
			assert_string_equal(hint, rows[i].hint);
	}
}

static void test_describe(void **state)
{
	_cleanup_compiled_ struct compiled c = {0};
	const struct df_policy_rule *rule;
	char text[64];

	(void)state;
	compile("\n\tblock \t *.GitHub.com. # x\nallow a.github.com\n", &c);
	rule = lookup(&c, "b.github.com");
	assert_int_equal(df_policy_rule_describe(&c.policy, rule, text, sizeof(text)),
			 strlen("t.policy:2 block *.GitHub.com."));
	assert_string_equal(text, "t.policy:2 block *.GitHub.com.");
	for (size_t size = 1; size < sizeof(text); size++) {
		size_t n = df_policy_rule_describe(&c.policy, rule, text, size);

		assert_true(n < size);
		assert_int_equal(text[n], '\0');
	}
	assert_int_equal(df_policy_rule_describe(&c.policy, rule, text, 0), 0);
	assert_ptr_equal(df_policy_rule_at(&c.policy, df_policy_rule_index(&c.policy, rule)), rule);
	assert_true(df_policy_rule_index(&c.policy, rule) < 2);
	assert_null(df_policy_rule_at(&c.policy, 2));
	assert_null(df_policy_rule_at(&c.policy, UINT32_MAX));
}

/* Enough names for collisions, shared ancestors and growth of all that grows. */
static void test_many_names(void **state)
{
	enum { N = 20000 };
	_cleanup_free_ char *text = malloc(N * 64);
	_cleanup_compiled_ struct compiled c = {0};
	size_t pos = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < N; i++)
		df_append(text, N * 64, &pos, "%s h%u.z%u.test\n", i % 3 ? "block" : "allow", i,
			  i % 977);
	compile(text, &c);
	for (unsigned i = 0; i < N + 100; i++) {
		const struct df_policy_rule *rule;
		char name[64];

		(void)snprintf(name, sizeof(name), "www.h%u.z%u.test", i, i % 977);
		rule = lookup(&c, name);
		assert_int_equal(rule != NULL, i < N);
		if (rule)
			assert_int_equal(rule->line, i + 1);
	}
}

static void test_depth(void **state)
{
	char text[300] = "block ";
	_cleanup_compiled_ struct compiled c = {0};

	(void)state;
	for (unsigned i = 0; i < DF_DNAME_LABELS_MAX; i++)
		memcpy(text + 6 + 2 * i, "a.", 3);
	compile(text, &c);
	assert_non_null(lookup(&c, text + 6));
	assert_null(lookup(&c, text + 8));
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	char one[] = "/tmp/df-policy-XXXXXX", two[] = "/tmp/df-policy-XXXXXX", path[256];
	const char *dirs[] = {one, two, NULL};
	struct df_policy_result result;
	struct df_policy policy;

	(void)state;
	assert_non_null(mkdtemp(one));
	assert_non_null(mkdtemp(two));
	write_file(two, "a.policy", "mode audit\n");
	assert_int_equal(df_policy_compile_name("a", dirs, DF_POLICY_TRUST_ANY, &result), 0);
	assert_int_equal(df_policy_open(result.table, result.table_size, &policy), 0);
	assert_int_equal(df_policy_mode(&policy), DF_POLICY_AUDIT);
	assert_string_equal(df_policy_name(&policy), "a");
	df_policy_result_done(&result);

	/* The first match wins, and an error there is not passed over. */
	write_file(one, "a.policy", "mode x\n");
	assert_int_equal(df_policy_compile_name("a", dirs, DF_POLICY_TRUST_ANY, &result), -EINVAL);
	(void)snprintf(path, sizeof(path),
		       "%s/a.policy:1:6: unknown value 'x'; write enforce | audit\n", one);
	assert_string_equal(result.messages, path);
	df_policy_result_done(&result);

	/* Nor is a link that leads nowhere. */
	(void)snprintf(path, sizeof(path), "%s/a.policy", one);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/no/such/file", path), 0);
	assert_int_equal(df_policy_compile_name("a", dirs, DF_POLICY_TRUST_ANY, &result), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/a.policy: a link to a file that is missing\n", one);
	assert_string_equal(result.messages, path);
	df_policy_result_done(&result);

	assert_int_equal(df_policy_compile_name("b", dirs, DF_POLICY_TRUST_ANY, &result), -ENOENT);
	(void)snprintf(path, sizeof(path), "b: no such policy; looked for b.policy in %s, %s\n",
		       one, two);
	assert_string_equal(result.messages, path);
	df_policy_result_done(&result);

	assert_int_equal(df_policy_compile_file("a", one, &result), -EINVAL);
	(void)snprintf(path, sizeof(path), "%s: not a regular file; put the policy itself there\n",
		       one);
	assert_string_equal(result.messages, path);
	assert_int_equal(result.n_errors, 1);
	df_policy_result_done(&result);

	(void)snprintf(path, sizeof(path), "%s/a.policy", one);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/a.policy", two);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(one), 0);
	assert_int_equal(rmdir(two), 0);
}

static void test_policy_names(void **state)
{
	static const char *const good[] = {"a", "default", "A.b_c-1", "0"};
	static const char *const bad[] = {"",   ".",   "..",  ".a",      "-a",
					  "_a", "a/b", "a b", "\xc3\xa4"};
	const char *const no_dirs[] = {NULL};
	char long_name[DF_POLICY_NAME_MAX + 1];

	(void)state;
	memset(long_name, 'a', sizeof(long_name));
	assert_true(df_policy_is_name(long_name, DF_POLICY_NAME_MAX));
	assert_false(df_policy_is_name(long_name, DF_POLICY_NAME_MAX + 1));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(df_policy_is_name(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct df_policy_result result;

		assert_false(df_policy_is_name(bad[i], strlen(bad[i])));
		assert_int_equal(
			df_policy_compile_name(bad[i], no_dirs, DF_POLICY_TRUST_ANY, &result),
			-EINVAL);
		assert_non_null(result.messages);
		df_policy_result_done(&result);
	}
}

static void test_installed_default(void **state)
{
	static const char *const blocked[] = {
		"github.com",
		"api.github.com",
		"codeload.github.com",
		"raw.githubusercontent.com",
		"github.githubassets.com",
		"ghcr.io",
		"npm.pkg.github.com",
	};
	static const char *const passed[] = {
		"notgithub.com", "github.com.example", "npmjs.org",
		"debian.org",    "githubstatus.com",
	};
	const char *top = getenv("srcdir");
	_cleanup_compiled_ struct compiled c = {0};
	char path[512];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/policies/default.policy", top ? top : ".");
	assert_int_equal(df_policy_compile_file("default", path, &c.result), 0);
	assert_null(c.result.messages);
	assert_int_equal(df_policy_open(c.result.table, c.result.table_size, &c.policy), 0);
	assert_int_equal(df_policy_mode(&c.policy), DF_POLICY_ENFORCE);
	for (size_t i = 0; i < ARRAY_SIZE(blocked); i++) {
		const struct df_policy_rule *rule = lookup(&c, blocked[i]);

		assert_non_null(rule);
		assert_int_equal(rule->action, DF_POLICY_BLOCK);
		assert_non_null(df_policy_rule_hint(&c.policy, rule));
	}
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		assert_null(lookup(&c, passed[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_enforce_share),
		cmocka_unit_test(test_enforce_share_is_stable),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_all_errors_are_reported),
		cmocka_unit_test(test_line_limit),
		cmocka_unit_test(test_text_limit),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_dots_are_not_labels),
		cmocka_unit_test(test_specificity),
		cmocka_unit_test(test_has_allow_below),
		cmocka_unit_test(test_default_deny),
		cmocka_unit_test(test_owner_and_hint),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_policy_names),
		cmocka_unit_test(test_installed_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
