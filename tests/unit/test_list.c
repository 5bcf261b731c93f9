/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of each format of lists, line by line, and what is not. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/list.h"

#define GOT_MAX 1024

struct got {
	char text[GOT_MAX];
	size_t pos;
};

/* As a rule would say it; with "@@" for exceptions and "!" for what is important. */
static int take(void *data, const struct df_list_entry *e)
{
	static const char *const scopes[] = {
		[DF_POLICY_TREE] = "", [DF_POLICY_BELOW] = "*.", [DF_POLICY_EXACT] = "="};
	const struct df_policy_target *t = &e->target;
	char text[DF_DNAME_TEXT_MAX];
	struct got *got = data;

	df_append(got->text, GOT_MAX, &got->pos, "%s%s%s", got->pos ? " " : "",
		  e->is_exception ? "@@" : "", e->is_important ? "!" : "");
	if (t->is_name) {
		size_t n = df_dname_to_text(&t->name, text);

		df_append(got->text, GOT_MAX, &got->pos, "%s%.*s", scopes[t->scope], (int)n - 1,
			  text);
	} else {
		(void)inet_ntop(t->net.family, t->net.addr, text, sizeof(text));
		df_append(got->text, GOT_MAX, &got->pos, "%s/%u", text, t->net.prefix_len);
	}
	if (t->ports.lo)
		df_append(got->text, GOT_MAX, &got->pos, ":%u-%u/%u", t->ports.lo, t->ports.hi,
			  t->ports.proto);
	return 0;
}

/* A copy of exact size, so that ASan sees a read behind it. */
static unsigned read_list(enum df_list_format format, bool is_allow, const char *text,
			  struct got *got)
{
	size_t len = strlen(text);
	_cleanup_free_ char *copy = malloc(len ? len : 1);
	struct df_list_file list = {
		.format = format,
		.is_allow = is_allow,
		.text = copy,
		.len = len,
		.take = take,
		.data = got,
	};

	assert_non_null(copy);
	memcpy(copy, text, len);
	*got = (struct got){0};
	assert_int_equal(df_list_read(&list), 0);
	return list.n_unknown;
}

struct row {
	const char *text, *want;
	unsigned n_unknown;
};

static void check_rows(enum df_list_format format, bool is_allow, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct got got;
		unsigned n_unknown = read_list(format, is_allow, rows[i].text, &got);

		if (strcmp(got.text, rows[i].want) != 0 || n_unknown != rows[i].n_unknown)
			fail_msg("%s\nwanted: %s (%u unknown)\ngot: %s (%u unknown)", rows[i].text,
				 rows[i].want, rows[i].n_unknown, got.text, n_unknown);
	}
}

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void test_plain(void **state)
{
	static const struct row rows[] = {
		{"", "", 0},
		{"\n\r\n \t\n# x\n  # x\n#\n", "", 0},
		{"github.com\n", "github.com", 0},
		{"github.com", "github.com", 0},
		{"GitHub.com.\r\n\tb.test  # why\r\n", "github.com b.test", 0},
		{"a.test#b\n", "", 1},
		{"=a.test\n*.b.test\n.c.test\n", "=a.test *.b.test c.test", 0},
		{"a.test:443\n=b.test:1-2/udp\n", "a.test:443-443/0 =b.test:1-2/17", 0},
		{".c.test:443\n..c.test\n", "", 2},
		{"192.0.2.1\n192.0.2.0/24\n192.0.2.0/24:22\n2001:db8::/32\n[2001:db8::1]:443/tcp\n",
		 "192.0.2.1/32 192.0.2.0/24 192.0.2.0/24:22-22/0 2001:db8::/32 "
		 "2001:db8::1/128:443-443/6",
		 0},
		{"192.0.2.1/24\n1.2.3\nx.1\n", "", 3},
		{"a.test b.test\n0.0.0.0 a.test\n||a.test^\nhttp://a.test/\n", "", 4},
		{".\n*\n*.\n=\n**.a.test\na.*.test\n", "", 6},
		{"a b\n", "", 1},
		{"g\303\274n.test\nxn--gn-wka.test\n", "xn--gn-wka.test", 1},
		{"a." LABEL_63 "\na." LABEL_63 "x\n", "a." LABEL_63, 1},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 "\n", "", 1},
		{"\xef\xbb\xbf"
		 "a.test\nb.test\n",
		 "a.test b.test", 0},
		{"a.test\n\xef\xbb\xbf"
		 "b.test\n",
		 "a.test", 1},
		{"a.test\rb.test\n", "", 1},
		{"a_b.test\n-.test\ncom\n", "a_b.test -.test com", 0},
	};

	(void)state;
	check_rows(DF_LIST_PLAIN, false, rows, ARRAY_SIZE(rows));
	check_rows(DF_LIST_PLAIN, true, rows, ARRAY_SIZE(rows));
}

static void test_hosts(void **state)
{
	static const struct row rows[] = {
		{"", "", 0},
		{"0.0.0.0 a.test\n127.0.0.1\tb.test\n::  c.test\n::1 d.test\n127.3.2.1 e.test\n",
		 "=a.test =b.test =c.test =d.test =e.test", 0},
		{"# x\n 0.0.0.0 a.test b.test # c.test\r\n0.0.0.0 d.test#e\n",
		 "=a.test =b.test =d.test", 0},
		/* what every such file begins with */
		{"127.0.0.1 localhost localhost.localdomain local\n255.255.255.255 broadcasthost\n"
		 "::1 localhost ip6-localhost ip6-loopback\nfe80::1%lo0 localhost\n"
		 "ff00::0 ip6-mcastprefix\nff02::1 ip6-allnodes\n0.0.0.0 0.0.0.0\n",
		 "", 0},
		{"127.0.0.1 LocalHost a.test\n", "=a.test", 0},
		/* no block */
		{"192.0.2.1 nas.test\n0.0.0.1 a.test\n2001:db8::1 a.test\n", "", 3},
		{"0.0.0.0/8 a.test\n0.0.0 a.test\nx a.test\na.test\na.test 127.0.0.2\n0.0.0.0\n",
		 "", 6},
		/* the whole line or nothing of it */
		{"0.0.0.0 a.test b..test\n0.0.0.0 c.test *.d.test\n0.0.0.0 1.2.3.4\n0.0.0.0 .\n",
		 "", 4},
		{"0.0.0.0 x_y.test.\n", "=x_y.test", 0},
	};
	static const struct row allow[] = {
		{"0.0.0.0 a.test\n192.0.2.1 nas.test\n2001:db8::1 b.test c.test\n",
		 "=a.test =nas.test =b.test =c.test", 0},
		{"192.0.2.0/24 a.test\nx a.test\n", "", 2},
	};

	(void)state;
	check_rows(DF_LIST_HOSTS, false, rows, ARRAY_SIZE(rows));
	check_rows(DF_LIST_HOSTS, true, allow, ARRAY_SIZE(allow));
}

static void test_adblock(void **state)
{
	static const struct row rows[] = {
		{"[Adblock Plus 2.0]\n! x\n# x\n##.ad\n\n", "", 0},
		{"[$path=/x]a.test##.ad\n", "", 1},
		{"||a.test^\n||B.test^|\r\n  ||c.test^  \n||com^\n", "a.test b.test c.test com", 0},
		{"||*.a.test^\n|b.test^\n|c.test^|\n", "*.a.test =b.test =c.test", 0},
		{"@@||a.test^\n@@||*.b.test^|\n@@|c.test^\n", "@@a.test @@*.b.test @@=c.test", 0},
		{"||a.test^$important\n@@||b.test^$important\n||c.test^\n",
		 "!a.test @@!b.test c.test", 0},
		{"||192.0.2.1^\n192.0.2.2\n||2001:db8::1^\n",
		 "192.0.2.1/32 192.0.2.2/32 2001:db8::1/128", 0},
		/* a name alone, and hosts lines, as AdGuard reads them */
		{"a.test\n0.0.0.0 b.test c.test\n", "=a.test =b.test =c.test", 0},
		{"192.0.2.1 nas.test\n", "", 1},
		/* patterns for parts of names, of URLs and of pages */
		{"||a.test\n||a.*.test^\n||*a.test^\n||a*^\n.a.test\n://a.\n-ad.\n/ads?/"
		 "\na.test^\n",
		 "", 9},
		{"||a.test/x^\n||a.test^x\n||a.test^*\n|https://a.test^\n", "", 4},
		{"a.test##.ad\n||a.test^$third-party\n||a.test^$important,ctag=x\n||a.test^$\n"
		 "||a.test^$dnstype=AAAA\n||a.test^$badfilter\na.test$important\n",
		 "", 7},
		/* for an address, an exception would be a permission */
		{"@@||192.0.2.1^\n@@192.0.2.1\n@@a.test\n", "", 3},
		{"||^\n||.^\n|^\n@@\n@@||\n||1.2.3^\n||a..b^\n^\n|\n", "", 9},
	};
	static const struct row allow[] = {
		{"||a.test^\n@@||b.test^\n@@||192.0.2.1^\n", "a.test b.test 192.0.2.1/32", 0},
	};

	(void)state;
	check_rows(DF_LIST_ADBLOCK, false, rows, ARRAY_SIZE(rows));
	check_rows(DF_LIST_ADBLOCK, true, allow, ARRAY_SIZE(allow));
}

static void test_dnsmasq(void **state)
{
	static const struct row rows[] = {
		{"# x\n\n  # x\r\n", "", 0},
		{"address=/a.test/#\naddress=/b.test/\naddress=/c.test/0.0.0.0\n"
		 "address=/d.test/::\naddress=/e.test/127.0.0.1\n",
		 "a.test b.test c.test d.test e.test", 0},
		{"server=/a.test/\nlocal=/b.test/\nnftset=/c.test/4#inet#t#s\nipset=/d.test/"
		 "one,two\n",
		 "a.test b.test c.test d.test", 0},
		{" address = /a.test/B.test/ # x\n", "a.test b.test", 0},
		{"local=/.a.test/*.b.test/\n", "a.test *.b.test", 0},
		{"server=/a.test/#\nlocal=/b.test/#\n", "@@a.test @@b.test", 0},
		/* answered, or asked, elsewhere */
		{"address=/nas.test/192.0.2.1\nserver=/a.test/192.0.2.53\n"
		 "server=/a.test/192.0.2.53#5353@eth0\n",
		 "", 3},
		{"address=/#/0.0.0.0\naddress=//0.0.0.0\nlocal=/*a.test/\nlocal=/*/\nlocal=/a.test/"
		 "*/\n",
		 "", 5},
		/* all of a line or nothing */
		{"local=/a.test/b..test/\n", "", 1},
		{"no-resolv\nserver=192.0.2.53\nserver=/a.test\naddress=\naddress\n=/a.test/\n"
		 "address=a.test/#\nnftset=/a.test/\naddress=/a.test/x\ninterface=/a.test/\n"
		 "address=/\naddress=/1.2.3.4/#\n",
		 "", 12},
	};
	static const struct row allow[] = {
		{"server=/a.test/192.0.2.53\naddress=/nas.test/192.0.2.1\nserver=/b.test/#\n"
		 "nftset=/c.test/4#inet#t#s\naddress=/d.test/x\n",
		 "a.test nas.test b.test c.test", 1},
	};

	(void)state;
	check_rows(DF_LIST_DNSMASQ, false, rows, ARRAY_SIZE(rows));
	check_rows(DF_LIST_DNSMASQ, true, allow, ARRAY_SIZE(allow));
}

#define HEADER                                                                                     \
	"$TTL 2h\n$ORIGIN rpz.example.\n@ SOA ns.example. x.example. (1 ; serial\n 12h 15m\n\t3w " \
	"2h)\n"                                                                                    \
	"\tNS ns.example.\n"

static void test_rpz(void **state)
{
	static const struct row rows[] = {
		{"", "", 0},
		{"; x\n\n \n", "", 0},
		{"$TTL 300\n@ SOA localhost. root.localhost. 1 2 3 4 5\n NS localhost.\na.test "
		 "CNAME .\n"
		 "*.a.test CNAME .\nb.test CNAME *.\n",
		 "=a.test *.a.test =b.test", 0},
		{HEADER "a.test CNAME . ; why\r\n*.b.test 60 IN CNAME .\nc.test IN 1h CNAME *.\n",
		 "=a.test *.b.test =c.test", 0},
		{HEADER "a.test CNAME rpz-passthru.\n*.a.test CNAME rpz-drop.\n"
			"b.test CNAME RPZ-Passthru.\n",
		 "@@=a.test *.a.test @@=b.test", 0},
		/* local data takes the place of the real one */
		{HEADER "a.test CNAME garden.example.\nb.test A 192.0.2.1\n AAAA 2001:db8::1\n"
			"c.test TXT \"a ; b\"\nd.test CNAME *.garden.example.\n",
		 "=a.test =b.test =b.test =c.test =d.test", 0},
		/* what passed before rpz-passthru was */
		{HEADER "a.test CNAME a.test.\nb.test CNAME a.test.\n", "@@=a.test =b.test", 0},
		{HEADER "a.test CNAME @\n*.a.test CNAME @\n", "=a.test *.a.test", 0},
		{HEADER "a.test CNAME rpz-tcp-only.\n", "", 1},
		/* relative, so not what it looks like: data of the zone */
		{HEADER "a.test CNAME rpz-passthru\n", "=a.test", 0},
		/* absolute names, and other origins */
		{HEADER "a.test.rpz.example. CNAME .\nb.test. CNAME .\n$ORIGIN test.rpz.example.\n"
			"c CNAME .\n*.d CNAME .\n$ORIGIN sub\ne CNAME .\n",
		 "=a.test =c.test *.d.test =e.sub.test", 1},
		{"$ORIGIN .\nrpz.local 3600 IN SOA a. b. 1 2 3 4 5\n$ORIGIN rpz.local.\na.test "
		 "CNAME .\n"
		 "$ORIGIN com.rpz.local.\nb CNAME .\n",
		 "=a.test =b.com", 0},
		/* without SOA and origin, names are what they say */
		{"a.test CNAME .\nb.test. CNAME .\n", "=a.test =b.test", 0},
		{"$ORIGIN rpz.example.\na.test CNAME .\n", "=a.test", 0},
		/* a file whose origin its name server knows: relative to the zone's own name */
		{"rpz.example. 60 SOA a. b. 1 2 3 4 5\nrpz.example. NS a.\n"
		 "a.test.rpz.example. CNAME .\nb.test CNAME .\n*.c.test IN CNAME .\nd.test CNAME "
		 "rpz-passthru.\n A 192.0.2.1\n",
		 "=a.test =b.test *.c.test @@=d.test =d.test", 0},
		{"rpz.example. SOA a. b. 1 2 3 4 5\nb.test. CNAME .\n", "", 1},
		{"$ORIGIN .\nrpz.example SOA a. b. 1 2 3 4 5\nb.test CNAME .\n", "", 1},
		/* types that there are not */
		{HEADER "a.test BLOCK .\nb.test CNAMEX .\nc.test TYPE65 \\# 0\nd.test TYPE .\n"
			"e.test TYPEx .\nf.test HTTPS 0 .\n",
		 "=c.test =f.test", 4},
		/* addresses */
		{HEADER "32.1.2.0.192.rpz-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n"
			"128.1.zz.db8.2001.rpz-ip CNAME .\n48.zz.1.db8.2001.rpz-ip CNAME .\n"
			"128.57.zz.rpz-ip CNAME .\n8.zz.100.rpz-ip CNAME .\n0.zz.rpz-ip CNAME .\n"
			"128.8.7.6.5.4.3.2.1.rpz-ip CNAME .\n",
		 "192.0.2.1/32 192.0.2.0/24 2001:db8::1/128 2001:db8:1::/48 ::57/128 100::/8 ::/0 "
		 "1:2:3:4:5:6:7:8/128",
		 0},
		{HEADER "32.1.2.0.rpz-ip CNAME .\n24.1.2.0.192.rpz-ip CNAME .\n33.1.2.0.192.rpz-ip "
			"CNAME .\n"
			"rpz-ip CNAME .\n32.rpz-ip CNAME .\n*.1.2.0.192.rpz-ip CNAME .\n"
			"64.zz.1.zz.2.rpz-ip CNAME .\n128.g.zz.rpz-ip CNAME .\n"
			"32.1.2.0.192.rpz-ip CNAME rpz-passthru.\n32.300.2.0.192.rpz-ip CNAME .\n",
		 "", 10},
		{HEADER "24.0.0.0.127.rpz-client-ip CNAME rpz-drop.\nns.test.rpz-nsdname CNAME .\n"
			"32.1.2.0.192.rpz-nsip CNAME .\n",
		 "", 3},
		/* of the zone itself */
		{HEADER "@ TXT \"x\"\n@ A 192.0.2.1\na.test RRSIG CNAME 8 2 (\n x )\nx!y NSEC b\n",
		 "", 0},
		{HEADER "*.rpz.example. CNAME .\n* CNAME .\n", "", 2},
		/* broken */
		{HEADER
		 "a.test\na.test CNAME\nb.test IN CNAME\n$INCLUDE x\n$GENERATE 1-2 a$ CNAME .\n"
		 "a\\.b CNAME .\n*.*.test CNAME .\nd.test CNAME x!y.\n1.2.3.4 CNAME .\n",
		 "", 9},
		{" CNAME .\n", "", 1},
		{HEADER "x!y CNAME .\n CNAME .\na.test CNAME .\n", "=a.test", 2},
		{HEADER "a.test CNAME (\n.\n)\nb.test CNAME ( .\n", "=a.test", 1},
		{HEADER "a.test ) CNAME .\n", "", 1},
		{HEADER "a.test TXT \"x\nb.test CNAME .\n", "=b.test", 1},
		{"((((((\n", "", 1},
		{HEADER LABEL_63 "." LABEL_63 "." LABEL_63 "."
				 "aaaaaaaaaabbbbbbbbbbcccccccccc"
				 "dddddddddd123456789012345678901 CNAME .\n",
		 "", 1},
	};
	static const struct row allow[] = {
		{HEADER "a.test CNAME rpz-passthru.\nb.test CNAME .\nc.test A 192.0.2.1\n"
			"32.1.2.0.192.rpz-ip CNAME rpz-passthru.\n",
		 "=a.test 192.0.2.1/32", 2},
	};

	(void)state;
	check_rows(DF_LIST_RPZ, false, rows, ARRAY_SIZE(rows));
	check_rows(DF_LIST_RPZ, true, allow, ARRAY_SIZE(allow));
}

static void test_nul_octets(void **state)
{
	static const char text[] = "a\0b.test\nc.test\n||a\0^\n0.0.0.0 a\0b\na\0 CNAME .\n";

	(void)state;
	for (int format = DF_LIST_PLAIN; format <= DF_LIST_DNSMASQ; format++) {
		struct got got = {0};
		struct df_list_file list = {
			.format = (enum df_list_format)format,
			.text = text,
			.len = sizeof(text) - 1,
			.take = take,
			.data = &got,
		};

		assert_int_equal(df_list_read(&list), 0);
		assert_true(list.n_entries <= 1);
		assert_true(list.n_unknown >= 4);
		assert_int_equal(list.n_lines, 5);
	}
}

static void test_counts(void **state)
{
	static const char text[] = "?\na.test\n?\n?\nb.test\n?\n?\n?\n?";
	static const unsigned lines[] = {1, 3, 4, 6, 7};
	struct got got = {0};
	struct df_list_file list = {
		.format = DF_LIST_PLAIN,
		.text = text,
		.len = sizeof(text) - 1,
		.take = take,
		.data = &got,
	};

	(void)state;
	assert_int_equal(df_list_read(&list), 0);
	assert_int_equal(list.n_lines, 9);
	assert_int_equal(list.n_entries, 2);
	assert_int_equal(list.n_unknown, 7);
	assert_memory_equal(list.unknown, lines, sizeof(lines));
	/* a record of several lines counts at its first */
	list.format = DF_LIST_RPZ;
	list.text = "@ SOA a. b. (\n1 2 3 4 5 )\na.test (\nCNAME\n)\n";
	list.len = strlen(list.text);
	assert_int_equal(df_list_read(&list), 0);
	assert_int_equal(list.n_unknown, 1);
	assert_int_equal(list.unknown[0], 3);
}

static int take_two(void *data, const struct df_list_entry *e)
{
	(void)e;
	return ++*(int *)data == 2 ? -E2BIG : 0;
}

static void test_stop(void **state)
{
	static const char *const texts[] = {
		[DF_LIST_PLAIN] = "a.test\nb.test\nc.test\n",
		[DF_LIST_HOSTS] = "0.0.0.0 a.test b.test c.test\n0.0.0.0 d.test\n",
		[DF_LIST_ADBLOCK] = "||a.test^\n||b.test^\n||c.test^\n",
		[DF_LIST_RPZ] = "a.test CNAME .\nb.test CNAME .\nc.test CNAME .\n",
		[DF_LIST_DNSMASQ] = "local=/a.test/b.test/c.test/\nlocal=/d.test/\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int n = 0;
		struct df_list_file list = {
			.format = (enum df_list_format)i,
			.text = texts[i],
			.len = strlen(texts[i]),
			.take = take_two,
			.data = &n,
		};

		assert_int_equal(df_list_read(&list), -E2BIG);
		assert_int_equal(n, 2);
	}
}

static void test_not_a_list(void **state)
{
#define ROW(text, want)                                                                            \
	{                                                                                          \
		text, sizeof(text) - 1, want                                                       \
	}
	static const struct {
		const char *text;
		size_t len;
		const char *want; /* its beginning; NULL: nothing */
	} rows[] = {
		ROW("", NULL),
		ROW("a.test\n", NULL),
		ROW("# <html>\na.test\n", NULL),
		ROW("[Adblock Plus 2.0]\n", NULL),
		ROW("zip\n", NULL),
		ROW("forbidden.example\n", NULL),
		ROW("error.com", NULL),
		ROW("gone.gone\n", NULL),
		ROW("forbidden\na.test\n", NULL),
		ROW("404.test\n", NULL),
		ROW("0.0.0.0 a.test\n", NULL),
		ROW("PKI.example\n", NULL),
		ROW("a.test\0b.test\0", NULL),
		ROW("<html>", "an HTML page"),
		ROW("\xef\xbb\xbf\r\n <!DOCTYPE HTML>\n", "an HTML page"),
		ROW("<?xml version=\"1.0\"?>\n", "an HTML page"),
		ROW("{\"message\":\"Not Found\"}", "JSON"),
		ROW("[{\"a\":1}]", "JSON"),
		ROW("Forbidden", "the error of a server"),
		ROW("Forbidden\n", "the error of a server"),
		ROW("404: Not Found", "the error of a server"),
		ROW("403 Forbidden\r\n", "the error of a server"),
		ROW("Access denied. You are not allowed.\n", "the error of a server"),
		ROW("Error: no such list\n", "the error of a server"),
		ROW("\xff\xfe"
		    "a\0.\0t\0",
		    "UTF-16"),
		ROW("\xfe\xff"
		    "\0a\0.\0t",
		    "UTF-16"),
		ROW("a\0.\0t\0e\0s\0t\0\n\0", "UTF-16"),
		ROW("\x1f\x8b\x08\0", "a compressed file"),
		ROW("PK\x03\x04", "a compressed file"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *copy = malloc(rows[i].len ? rows[i].len : 1);
		const char *got;

		assert_non_null(copy);
		memcpy(copy, rows[i].text, rows[i].len); /* exact, for ASan */
		got = df_list_not_a_list(copy, rows[i].len);
		if ((got == NULL) != (rows[i].want == NULL) ||
		    (got && strncmp(got, rows[i].want, strlen(rows[i].want)) != 0))
			fail_msg("%s: %s", rows[i].text, got ? got : "nothing");
	}
}

/* Lines of another kind are a slip, another format, or what such lists are full of. */
static void test_alien(void **state)
{
	static const struct {
		enum df_list_format format;
		const char *text;
		bool is_alien;
		const char *guess;
	} rows[] = {
		{DF_LIST_PLAIN, "a.test\n?\n?\n?\n?\n", false, NULL},
		{DF_LIST_PLAIN, "a.test\n?\n?\n?\n?\n?\n", true, NULL},
		{DF_LIST_PLAIN, "a.test\nb.test\nc.test\nd.test\ne.test\n?\n?\n?\n?\n?\n", false,
		 NULL},
		{DF_LIST_PLAIN,
		 "127.0.0.1 a.test\n0 b\n0.0.0.0 c.test\n:: d.test\n::1 e.test\n"
		 "0.0.0.0 f.test\n",
		 true, "the hosts format"},
		{DF_LIST_ADBLOCK,
		 "||a.test^\nb.test##.ad\n/ad/*\n@@/x\n##.y\n&ad=\n||z.test/x\n"
		 "||c.test^$third-party\n-ad.\n",
		 false, NULL},
		{DF_LIST_ADBLOCK, "||a.test^\n<a>\n<b c>\nd e f\ng h\ni j\n", true, NULL},
		{DF_LIST_HOSTS,
		 "10.0.0.1 a\n10.0.0.2 b\n10.0.0.3 c\n10.0.0.4 d\n10.0.0.5 e\n"
		 "0.0.0.0 x.test\n",
		 false, NULL},
		{DF_LIST_DNSMASQ,
		 "server=1.2.3.4\ncache-size=1\nconf-dir=/x\nlog-facility=x\n"
		 "user=a\nport=5\naddress=/a.test/\n",
		 false, NULL},
		{DF_LIST_DNSMASQ, "a.test\nb.test\nc.test\nd.test\ne.test\n", true,
		 "the plain format"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct got got = {.pos = 0};
		struct df_list_file list = {.format = rows[i].format,
					    .text = rows[i].text,
					    .len = strlen(rows[i].text),
					    .take = take,
					    .data = &got};
		const char *guess;

		assert_int_equal(df_list_read(&list), 0);
		if (df_list_is_alien(&list) != rows[i].is_alien)
			fail_msg("%s: %u alien", rows[i].text, list.n_alien);
		guess = rows[i].is_alien ? df_list_guess(&list) : NULL;
		if ((guess || rows[i].guess) &&
		    (!guess || !rows[i].guess || strcmp(guess, rows[i].guess) != 0))
			fail_msg("%s: guessed %s", rows[i].text, guess ? guess : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),      cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_adblock),    cmocka_unit_test(test_dnsmasq),
		cmocka_unit_test(test_not_a_list), cmocka_unit_test(test_alien),
		cmocka_unit_test(test_rpz),        cmocka_unit_test(test_nul_octets),
		cmocka_unit_test(test_counts),     cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
