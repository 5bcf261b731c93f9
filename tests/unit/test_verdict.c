/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdict, the differential test: random policies, names, addresses, ports and protocols.  The
 * kernel programs (bpf/ itself, compiled for the host) over maps that lib/fence/fill and
 * proxy/learn have filled, the verdict that the worker asks for, the event that the monitor makes
 * of the programs' and `deployfence check` must agree on each.  DF_SEED=N repeats a run; DF_CASES=N
 * has more or fewer cases.
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
#include <time.h>

#include <cmocka.h>

#include "cli/judge.h"
#include "lib/base/addr.h"
#include "lib/base/util.h"
#include "lib/fence/fill.h"
#include "lib/policy/compile.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/teach.h"
#include "proxy/monitor/record.h"
#include "tests/lib/host_bpf.h"

#define CASES 100000
#define CASES_A_SET 200 /* with the same policies */
#define RULES_MAX 12
#define TTL_NS 60000000000ull

static uint64_t seed, state_of_random;
static struct df_policy_result compiled[DF_TABLES];
static char texts[DF_TABLES][4096];
static struct df_tables tables;
static struct df_search_list no_search;
static struct df_teach teach;
static struct df_learn learn;
static struct df_record record = {.tables = &tables};

/* Marsaglia's xorshift64*. */
static uint32_t pick(uint32_t n)
{
	uint64_t x = state_of_random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	state_of_random = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 33) % n;
}

#define PICK(list) ((list)[pick(ARRAY_SIZE(list))])

static const char *const names[] = {"ok.example",    "a.ok.example",   "b.a.ok.example",
				    "github.com",    "api.github.com", "x.y.github.com",
				    "other.example", "notok.example",  "example",
				    "com",           "cdn.example.net"};
static const uint32_t ipv4s[] = {0xc0000201, 0xc0000281, 0xc00002ff, 0x8c527003,
				 0x8c527103, 0xcb00710a, 0x0a000001, 0x7f000001,
				 0x7fc00005, 0,          0x08080808, 0xe0000001};
static const char *const ipv6s[] = {
	"2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1",        "fd64:6670::1", "fd00::1",
	"::1",         "::",          "ff02::1",       "2606:4700::1111"};
static const char *const networks[] = {"192.0.2.0/24",       "192.0.2.128/25",
				       "140.82.112.0/20",    "0.0.0.0/0",
				       "10.0.0.0/8",         "::/0",
				       "2001:db8::/32",      "2001:db8:1::/48",
				       "64:ff9b::/96",       "64:ff9b:1::/48",
				       "2002::/16",          "2001::/32",
				       "2002:c000:200::/40", "64:ff9b::c000:200/120",
				       "fe80::/10",          "::/96"};
static const char *const port_texts[] = {"443",    "80",         "80/tcp",        "443/udp",
					 "22/tcp", "1-1024",     "1000-2000/udp", "8000-9000",
					 "53",     "443-444/tcp"};
static const uint16_t ports[] = {80, 443, 22, 444, 1, 1024, 1500, 8443, 9001, 53, 65535};
static const uint16_t protos[] = {IPPROTO_TCP,  IPPROTO_TCP,  IPPROTO_TCP,
				  IPPROTO_UDP,  IPPROTO_UDP,  IPPROTO_UDPLITE,
				  IPPROTO_SCTP, IPPROTO_ICMP, 262 /* IPPROTO_MPTCP */};

static void map_ipv4(uint32_t ipv4, uint8_t ret[static 16])
{
	const uint32_t word = htonl(ipv4);

	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	memcpy(ret + 12, &word, 4);
}

/* Any form of an address: IPv4, those that hold IPv4, and IPv6 alone. */
static void random_addr(uint8_t ret[static 16])
{
	const uint32_t a = htonl(PICK(ipv4s)), b = htonl(~PICK(ipv4s));

	memset(ret, 0, 16);
	switch (pick(10)) {
	case 0:
	case 1:
	case 2:
		map_ipv4(ntohl(a), ret);
		break;
	case 3: /* NAT64 */
		memcpy(ret, "\0\x64\xff\x9b", 4);
		memcpy(ret + 12, &a, 4);
		break;
	case 4: /* NAT64 of a site */
		memcpy(ret, "\0\x64\xff\x9b\0\1", 6);
		memcpy(ret + 12, &a, 4);
		break;
	case 5: /* 6to4 */
		memcpy(ret, "\x20\2", 2);
		memcpy(ret + 2, &a, 4);
		ret[15] = 1;
		break;
	case 6: /* Teredo: server and client */
		memcpy(ret, "\x20\1", 2);
		memcpy(ret + 4, &a, 4);
		memcpy(ret + 12, &b, 4);
		break;
	case 7: /* IPv4-compatible */
		memcpy(ret + 12, &a, 4);
		break;
	default:
		assert_int_equal(inet_pton(AF_INET6, PICK(ipv6s), ret), 1);
	}
}

static void addr_text(const uint8_t addr[static 16], char ret[static INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr))
		(void)inet_ntop(AF_INET, addr + 12, ret, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, addr, ret, INET6_ADDRSTRLEN);
}

static size_t write_rule(char *buf, size_t size)
{
	const char *action = pick(2) ? "block" : "allow";
	char target[128], addr_buf[INET6_ADDRSTRLEN];
	const bool has_ports = pick(3) == 0;
	uint8_t addr[16];
	size_t n = 0;

	switch (pick(4)) {
	case 0:
		random_addr(addr);
		addr_text(addr, addr_buf);
		(void)snprintf(target, sizeof(target), "%s", addr_buf);
		break;
	case 1:
		(void)snprintf(target, sizeof(target), "%s", PICK(networks));
		break;
	default:
		(void)snprintf(target, sizeof(target), "%s%s",
			       PICK(((const char *const[]){"", "", "=", "*."})), PICK(names));
	}
	df_append(buf, size, &n, has_ports && strchr(target, ':') ? "%s [%s]" : "%s %s", action,
		  target);
	if (has_ports)
		df_append(buf, size, &n, ":%s", PICK(port_texts));
	df_append(buf, size, &n, "\n");
	return n;
}

static void write_policy(char *buf, size_t size)
{
	size_t n = 0;

	df_append(buf, size, &n, "mode %s\ndefault %s\nencrypted-dns allow\n",
		  pick(4) ? "enforce" : "audit", pick(2) ? "deny" : "allow");
	if (pick(2))
		df_append(buf, size, &n, "raw-ip %s\n",
			  PICK(((const char *const[]){"allow", "block", "audit"})));
	if (pick(2))
		df_append(buf, size, &n, "shared-address %s\n",
			  PICK(((const char *const[]){"sni", "allow", "block"})));
	if (pick(3) == 0)
		df_append(buf, size, &n, "pin-blocked %s\n",
			  PICK(((const char *const[]){"yes", "no", "on-refusal"})));
	if (pick(4) == 0)
		df_append(buf, size, &n, "refuse-dns sinkhole\n");
	for (unsigned i = pick(RULES_MAX + 1); i > 0; i--)
		n += write_rule(buf + n, size - n);
}

/* False: these policies have too many classes of ports together. */
static bool make_policies(void)
{
	for (unsigned i = 0; i < DF_TABLES; i++) {
		df_policy_result_done(&compiled[i]);
		memset(&compiled[i], 0, sizeof(compiled[i]));
		tables.modes[i] = 0;
		if (i != DF_TABLE_OWN && pick(2))
			continue;
		write_policy(texts[i], sizeof(texts[i]));
		if (df_policy_compile_text("t", "t.policy", texts[i], strlen(texts[i]),
					   &compiled[i]) < 0)
			fail_msg("%s\n%s", texts[i], compiled[i].messages);
		assert_int_equal(df_policy_open(compiled[i].table, compiled[i].table_size,
						&tables.tables[i]),
				 0);
		tables.modes[i] =
			i == DF_TABLE_SHADOW || df_policy_mode(&tables.tables[i]) == DF_POLICY_AUDIT
				? DF_MODE_AUDIT
				: DF_MODE_ENFORCE;
	}
	return df_teach_init(&teach, &tables, &no_search) == 0;
}

static int tell_name(uint32_t slot, const struct df_dname *name)
{
	const struct df_msg_name m = {.type = DF_MSG_NAME, .slot = slot, .name = *name};

	return df_record_name(&record, &m);
}

static void fill_maps(struct df_learn_shared *shared)
{
	static const struct df_learn_map map = {df_host_learned_get, df_host_learned_put,
						df_host_learned_remove, tell_name};
	struct df_conf *conf = df_host_conf();
	struct df_fill fill;

	df_host_clear();
	assert_int_equal(df_fill_init(&tables, &fill), 0);
	conf->version = DF_ABI_VERSION;
	conf->flags = DF_CONF_IPV6;
	conf->mode = tables.modes[DF_TABLE_OWN] == DF_MODE_ENFORCE ||
				     tables.modes[DF_TABLE_BASE] == DF_MODE_ENFORCE
			     ? DF_MODE_ENFORCE
			     : DF_MODE_AUDIT;
	df_fill_conf(&fill, conf);
	assert_int_equal(df_fill_maps(&fill, DF_HOST_CLASSES, DF_HOST_NETS), 0);
	df_fill_done(&fill);
	memset(&learn, 0, sizeof(learn));
	memset(record.learned, 0, sizeof(record.learned));
	df_learn_start(&learn, shared, &map, conf->keep_learned_ns, 0);
}

static struct df_dname name_of(const char *text)
{
	struct df_dname n;

	assert_int_equal(df_dname_from_text(text, strlen(text), &n, NULL), 0);
	return n;
}

/* An answer that gives the name the address, without the limits for levers. */
static void answer(const struct df_dname *name, const uint8_t addr[static 16])
{
	struct df_lesson lesson = {.name = name, .ttl_ns = TTL_NS};
	struct df_taught taught;

	df_teach_question(&teach, df_teach_tables(&tables), name, &taught);
	df_teach_unpin(&teach, name, &taught);
	lesson.rule = taught.rule;
	memcpy(lesson.bits, taught.bits, sizeof(lesson.bits));
	assert_int_equal(df_learn_put(&learn, addr, &lesson, DF_HOST_NOW_NS), 0);
}

static uint8_t proto_of(uint16_t proto)
{
	if (proto == IPPROTO_UDPLITE)
		return IPPROTO_UDP;
	if (proto == 262)
		return IPPROTO_TCP;
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP ? (uint8_t)proto : 0;
}

static void fail_with(const char *what, const char *target, uint16_t proto,
		      const struct df_host_outcome *k)
{
	for (unsigned i = 0; i < DF_TABLES; i++)
		if (df_tables_has(&tables, i))
			(void)fprintf(stderr, "--- table %u, mode %u\n%s", i, tables.modes[i],
				      texts[i]);
	fail_msg("DF_SEED=%llu: %s, protocol %u: %s; the programs: against %u undecided %u noted "
		 "%u enforced %u bits %#x kind %u refused %d redirected %d",
		 (unsigned long long)seed, target, proto, what, k->against, k->undecided, k->noted,
		 k->enforced, k->bits, k->kind, k->is_refused, k->is_redirected);
}

/* 0: passes; 1: would be refused; 2: is refused: by own and base policy. */
static unsigned strictness_of(const struct df_host_outcome *k)
{
	if (k->is_refused && df_host_conf()->mode == DF_MODE_ENFORCE)
		return 2;
	if (k->is_refused) /* in audit, before all rules */
		return 1;
	return (k->against & DF_TABLES_FENCE) != 0;
}

static unsigned strictness_in(const struct df_judge_answer *a)
{
	return strcmp(a->verdict, "allowed") == 0 ? 0 : strcmp(a->verdict, "blocked") == 0 ? 2 : 1;
}

static bool is_special(const uint8_t addr[static 16], uint16_t proto, uint16_t port)
{
	static const uint8_t zeros[16];

	return (port == DF_DNS_PORT && proto != IPPROTO_ICMP) ||
	       memcmp(addr, "\xfd\x64\x66\x70", 4) == 0 || memcmp(addr, zeros, 15) == 0 ||
	       (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr) &&
		(addr[12] == 127 || memcmp(addr + 12, zeros, 4) == 0));
}

/* The worker's verdict, table by table. */
static void compare_worker(const uint8_t addr[static 16], uint16_t proto, uint16_t port,
			   const struct df_host_outcome *k, bool is_own, const char *target)
{
	const unsigned class = df_ports_class(&teach.ports, proto_of(proto), port);
	const uint16_t bits = df_learn_bits(&learn, addr, class, DF_HOST_NOW_NS);

	if (!is_own && bits != k->bits)
		fail_with("other bits are learned", target, proto, k);
	for (unsigned t = 0; t < DF_TABLES; t++) {
		const struct df_decision d =
			df_verdict_addr(&tables, 1u << t, addr, proto_of(proto), port, bits);
		const bool is_refused = d.is_refusal && (!is_own || d.reason == DF_REASON_ADDRESS);

		if (is_refused != ((k->against | k->undecided) >> t & 1))
			fail_with("the verdict differs", target, proto, k);
		if (is_refused && d.is_undecided != (k->undecided >> t & 1))
			fail_with("only one is undecided", target, proto, k);
		if (!is_own && d.is_noted != (k->noted >> t & 1))
			fail_with("only one notes a shared address", target, proto, k);
		if (is_refused && !d.is_undecided && d.is_enforced != (k->enforced >> t & 1))
			fail_with("only one enforces", target, proto, k);
	}
}

static struct df_kernel_verdict recorded(const uint8_t addr[static 16], uint16_t proto,
					 uint16_t port, const struct df_host_outcome *k)
{
	struct df_event e = {.kind = k->kind,
			     .refused = k->is_refused,
			     .time = DF_HOST_NOW_NS,
			     .port = htons(port),
			     .proto = proto,
			     .against = k->against,
			     .said = k->said,
			     .bits = k->bits};
	struct df_kernel_verdict v;

	memcpy(e.addr, addr, sizeof(e.addr));
	df_record_judge(&record, &e, &v);
	return v;
}

/* `deployfence check` names the rule of the event, where own or base policy is against it. */
static void compare_rules(const struct df_judge_answer *a, const struct df_kernel_verdict *v,
			  const struct df_host_outcome *k, uint16_t proto)
{
	static const char settings[] = "t.policy ";
	char rule[DF_JUDGE_RULE_MAX] = "";
	size_t skipped;

	if (!(k->against & DF_TABLES_FENCE))
		return;
	(void)df_verdict_rule(&tables, &v->rule, rule, sizeof(rule));
	skipped = v->rule.rule || v->rule.table != DF_TABLE_OWN ? 0 : strlen(settings);
	if (strcmp(rule + skipped, a->rule) != 0)
		fail_with(rule, a->argument, proto, k);
}

/* The monitor's event: the table that is against it, the reason, the rule and the name. */
static void compare_record(const uint8_t addr[static 16], uint16_t proto, uint16_t port,
			   const struct df_host_outcome *k, const char *target)
{
	const unsigned set = k->enforced ? k->enforced : k->against;
	const struct df_kernel_verdict v = recorded(addr, proto, port, k);
	const struct df_policy_rule *rule = v.rule.rule;

	if (k->kind == DF_EVENT_SHARED) {
		if (v.name.len == 0 || !rule || rule->action != DF_POLICY_BLOCK)
			fail_with("a shared address without the blocked name", target, proto, k);
		return;
	}
	if (!v.decision.is_refusal || !(set >> v.decision.table & 1) ||
	    v.decision.is_enforced != (k->enforced != 0))
		fail_with("the event is of another table", target, proto, k);
	switch (v.decision.reason) {
	case DF_REASON_ADDRESS:
		if (!(k->said >> DF_TABLES_BITS >> v.decision.table & 1) || !rule ||
		    rule->action != DF_POLICY_BLOCK)
			fail_with("the event has no address rule", target, proto, k);
		break;
	case DF_REASON_PINNED:
	case DF_REASON_SHARED:
		if (v.name.len == 0 || !rule || rule->action != DF_POLICY_BLOCK)
			fail_with("the event has no blocked name", target, proto, k);
		break;
	case DF_REASON_PORT:
		if (v.name.len == 0 || !rule || rule->action != DF_POLICY_ALLOW)
			fail_with("the event has no allowed name", target, proto, k);
		break;
	case DF_REASON_RAW:
		if (rule)
			fail_with("the event has a rule", target, proto, k);
		break;
	default:
		fail_with("the event has no reason", target, proto, k);
	}
}

static void run_address(void)
{
	char text[INET6_ADDRSTRLEN], target[96];
	const uint16_t proto = PICK(protos), port = proto_of(proto) ? PICK(ports) : 0;
	const bool is_own = pick(10) == 0;
	struct df_kernel_verdict v;
	struct df_host_outcome k;
	struct df_judge_answer a;
	uint8_t addr[16];

	random_addr(addr);
	addr_text(addr, text);
	(void)snprintf(target, sizeof(target), strchr(text, ':') ? "[%s]:%u%s" : "%s:%u%s", text,
		       port, proto_of(proto) == IPPROTO_UDP ? "/udp" : "");
	df_host_own(is_own ? addr : NULL);
	k = df_host_judge(addr, proto, port);
	df_host_own(NULL);
	if (!is_special(addr, proto, port))
		compare_worker(addr, proto, port, &k, is_own, target);
	if (k.kind == DF_EVENT_CONNECT || k.kind == DF_EVENT_UDP_CONNECT ||
	    k.kind == DF_EVENT_SHARED)
		compare_record(addr, proto, port, &k, target);
	if (is_own || k.bits || proto_of(proto) != proto || port == 0)
		return; /* nothing that a policy alone could tell */
	df_judge(&tables, target, &a);
	assert_string_equal(a.error, "");
	if (strictness_in(&a) != (k.is_redirected ? 0 : strictness_of(&k)))
		fail_with(a.verdict, target, proto, &k);
	v = recorded(addr, proto, port, &k);
	if (v.name.len == 0) /* nothing is known of an answer */
		compare_rules(&a, &v, &k, proto);
}

static bool has_address_rule(const uint8_t addr[static 16], uint8_t proto, uint16_t port)
{
	for (unsigned t = 0; t < DF_TABLES; t++)
		if (df_verdict_addr(&tables, 1u << t, addr, proto, port, 0).rule)
			return true;
	return false;
}

/* NAME:PORT: the answer first, then a connection to an address that no rule names. */
static void run_name(void)
{
	static uint32_t unique;
	const char *text = PICK(names);
	const struct df_dname name = name_of(text);
	const uint16_t port = PICK(ports), proto = pick(2) ? IPPROTO_TCP : IPPROTO_UDP;
	const struct df_decision q =
		df_verdict_question(&tables, DF_TABLES_FENCE, &no_search, &name);
	struct df_kernel_verdict v;
	struct df_host_outcome k;
	struct df_judge_answer a;
	char target[128];
	uint8_t addr[16];
	unsigned strictness;

	map_ipv4(0xc6330000 + unique++ % 0x10000, addr); /* in 198.51.0.0/16 */
	df_judge(&tables, text, &a);
	if (strictness_in(&a) != df_verdict_strictness(&q))
		fail_msg("DF_SEED=%llu: check %s: %s", (unsigned long long)seed, text, a.verdict);
	if (port == DF_DNS_PORT || has_address_rule(addr, (uint8_t)proto, port))
		return;
	answer(&name, addr);
	k = df_host_judge(addr, proto, port);
	(void)snprintf(target, sizeof(target), "%s:%u%s", text, port,
		       proto == IPPROTO_UDP ? "/udp" : "");
	df_judge(&tables, target, &a);
	strictness = df_verdict_strictness(&q);
	if (strictness < 2 && strictness_of(&k) > strictness)
		strictness = strictness_of(&k);
	if (strictness_in(&a) != strictness)
		fail_with(a.verdict, target, proto, &k);
	if (df_verdict_strictness(&q) > 0)
		return; /* an event of DNS */
	v = recorded(addr, proto, port, &k);
	compare_rules(&a, &v, &k, proto);
}

static void test_all_agree(void **state)
{
	const char *text = getenv("DF_CASES");
	const unsigned long n = text ? strtoul(text, NULL, 10) : CASES;

	(void)state;
	(void)printf("DF_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned long i = 0; i < n; i += CASES_A_SET) {
		struct df_learn_shared *shared;
		uint8_t addr[16];

		if (!make_policies())
			continue;
		shared = df_learn_new();
		assert_non_null(shared);
		fill_maps(shared);
		for (unsigned k = 0; k < CASES_A_SET / 2; k++)
			run_address();
		random_addr(addr);
		for (unsigned k = pick(8); k > 0; k--) {
			const struct df_dname name = name_of(PICK(names));

			if (pick(2)) /* else several names share it */
				random_addr(addr);
			answer(&name, addr);
		}
		for (unsigned k = 0; k < CASES_A_SET / 4; k++)
			run_address();
		for (unsigned k = 0; k < CASES_A_SET / 4; k++)
			run_name();
		df_learn_free(shared);
	}
}

static void use(enum df_table_id table, const char *name, const char *text)
{
	df_policy_result_done(&compiled[table]);
	memset(&compiled[table], 0, sizeof(compiled[table]));
	tables.modes[table] = 0;
	if (!text)
		return;
	assert_int_equal(df_policy_compile_text(name, name, text, strlen(text), &compiled[table]),
			 0);
	assert_int_equal(df_policy_open(compiled[table].table, compiled[table].table_size,
					&tables.tables[table]),
			 0);
	tables.modes[table] = df_policy_mode(&tables.tables[table]) == DF_POLICY_AUDIT
				      ? DF_MODE_AUDIT
				      : DF_MODE_ENFORCE;
}

#define DENY "encrypted-dns allow\ndefault deny\n"
#define PINNED "refused if it is an address of a blocked name"

/* What `deployfence check` says, where it said something else than the fence did. */
static void test_check(void **state)
{
	static const struct {
		const char *own, *base, *argument, *verdict, *rule, *owner, *hint;
	} rows[] = {
		/* NAT64 of an allowed address */
		{DENY "allow 140.82.112.3\n", NULL, "[64:ff9b::8c52:7003]:443", "allowed",
		 "own:3 allow 140.82.112.3", NULL, NULL},
		{DENY "block 140.82.112.3\nallow 64:ff9b::/96\n", NULL, "64:ff9b::8c52:7003",
		 "blocked", "own:3 block 140.82.112.3", NULL, NULL},
		{DENY "allow 140.82.112.3\n", NULL, "2002:8c52:7003::1", "blocked", "raw-ip block",
		 NULL, NULL},
		/* the rule of another port, as in the event PortNotAllowed */
		{DENY "owner o\nhint h\nallow ok.example:80\n", NULL, "ok.example:443", "blocked",
		 "own:5 allow ok.example:80", "o", "h"},
		{DENY "raw-ip audit\nallow ok.example:80\n", NULL, "ok.example:443", "would-block",
		 "own:4 allow ok.example:80", NULL, NULL},
		/* DNS answers, and nothing is against the address */
		{DENY "raw-ip allow\nallow ok.example:80\n", NULL, "ok.example:443", "allowed",
		 "raw-ip allow", NULL, NULL},
		/* base policy: the stricter verdict, and its rule */
		{"block a.example\n", "block b.example\n", "b.example", "blocked",
		 "base:1 block b.example", NULL, NULL},
		{"block a.example\n", "block a.example\n", "a.example", "blocked",
		 "own:1 block a.example", NULL, NULL},
		{"mode audit\nblock a.example\n", "block a.example\n", "a.example", "blocked",
		 "base:1 block a.example", NULL, NULL},
		{"allow a.example\n", "mode audit\nblock a.example\n", "a.example", "would-block",
		 "base:2 block a.example", NULL, NULL},
		{"allow a.example\n", DENY, "a.example", "blocked", "base.policy default deny",
		 NULL, NULL},
		{"allow 192.0.2.1\n", DENY, "192.0.2.1", "blocked", "base.policy raw-ip block",
		 NULL, NULL},
		{DENY, "block a.example:80\n", "b.example", "blocked", "default deny", NULL, NULL},
		/* an address that a blocked name may have */
		{"block a.example\n", NULL, "192.0.2.1", "allowed", "raw-ip allow", NULL, PINNED},
		{"allow a.example\n", "block a.example\n", "192.0.2.1", "allowed", "raw-ip allow",
		 NULL, PINNED},
		{"pin-blocked no\nblock a.example\n", NULL, "192.0.2.1", "allowed", "raw-ip allow",
		 NULL, NULL},
		{"pin-blocked no\nblock a.example:80\n", NULL, "192.0.2.1", "allowed",
		 "raw-ip allow", NULL, PINNED},
		{"block a.example\nallow 192.0.2.1\n", NULL, "192.0.2.1", "allowed",
		 "own:2 allow 192.0.2.1", NULL, NULL},
		{"block 198.51.100.1\n", NULL, "192.0.2.1", "allowed", "raw-ip allow", NULL, NULL},
		/* owner and hint of refusals without a rule */
		{"owner o\nhint h\n" DENY, NULL, "a.example", "blocked", "default deny", "o", "h"},
		{"owner o\nhint h\n" DENY, NULL, "192.0.2.1", "blocked", "raw-ip block", "o", "h"},
		{DENY "owner o\nraw-ip block\nhint h\n", NULL, "10.0.0.1:80", "blocked",
		 "raw-ip block", "o", "h"},
		/* what comes before all rules */
		{"block a.example\n", NULL, "127.192.0.1:53", "blocked",
		 "127.192.0.0/10: addresses of the proxies", NULL, NULL},
		{"block a.example\n", NULL, "[fe80::1]:53", "blocked",
		 "fe80::/10: port 53 cannot be redirected there", NULL, NULL},
		{"block 127.0.0.1\n", NULL, "127.0.0.1", "allowed",
		 "loopback: no rule applies to it", NULL, NULL},
	};

	(void)state;
	use(DF_TABLE_SHADOW, "shadow", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_judge_answer a;

		use(DF_TABLE_OWN, "own", rows[i].own);
		use(DF_TABLE_BASE, "base", rows[i].base);
		df_judge(&tables, rows[i].argument, &a);
		if (*a.error || strcmp(a.verdict, rows[i].verdict) != 0 ||
		    strcmp(a.rule, rows[i].rule) != 0 ||
		    strcmp(a.rule_owner ? a.rule_owner : "", rows[i].owner ? rows[i].owner : "") !=
			    0 ||
		    strcmp(a.hint ? a.hint : "", rows[i].hint ? rows[i].hint : "") != 0)
			fail_msg("row %zu, %s: %s%s, by %s, owner %s, hint %s", i, a.argument,
				 a.error, a.verdict, a.rule, a.rule_owner, a.hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_agree),
		cmocka_unit_test(test_check),
	};
	const char *text = getenv("DF_SEED");

	seed = text ? strtoull(text, NULL, 10)
		    : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
	state_of_random = seed ? seed : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
