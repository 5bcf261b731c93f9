/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/judge.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/policy/ports.h"
#include "lib/policy/value.h"

#define PORT_DNS 53

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
static const uint8_t loopback6[16] = {[15] = 1}, none[16] = {0};

static void set_verdict(const struct df_policy *p, struct df_judgement *j, bool is_refusal)
{
	j->is_refusal = is_refusal;
	if (!is_refusal)
		j->verdict = "allowed";
	else
		j->verdict = df_policy_mode(p) == DF_POLICY_AUDIT ? "would-block" : "blocked";
}

static void set_text(const struct df_policy *p, struct df_judgement *j, bool is_refusal,
		     const char *rule)
{
	set_verdict(p, j, is_refusal);
	(void)snprintf(j->rule, sizeof(j->rule), "%s", rule);
}

static void set_rule(const struct df_policy *p, struct df_judgement *j,
		     const struct df_policy_rule *rule)
{
	set_verdict(p, j, rule->action == DF_POLICY_BLOCK);
	(void)df_policy_rule_describe(p, rule, j->rule, sizeof(j->rule));
	j->owner = df_policy_rule_owner(p, rule);
	j->hint = j->is_refusal ? df_policy_rule_hint(p, rule) : NULL;
}

static bool is_block(const struct df_policy_rule *rule)
{
	return rule && rule->action == DF_POLICY_BLOCK;
}

static void set_default(const struct df_policy *p, struct df_judgement *j, bool is_deny)
{
	set_text(p, j, is_deny, is_deny ? "default deny" : "default allow");
	if (is_deny) {
		j->owner = df_policy_default_owner(p);
		j->hint = df_policy_default_hint(p);
	}
}

/* A port needs an answer first: what DNS refuses is refused at every port. */
static void judge_name(const struct df_policy *p, const struct df_dname *name,
		       struct df_judgement *j)
{
	const struct df_policy_rule *rule = df_policy_lookup(p, name);
	bool is_deny = df_policy_default(p) == DF_POLICY_BLOCK;

	(void)df_dname_to_text(name, j->domain);
	if (j->port && !is_block(rule))
		rule = df_policy_lookup_port(p, name, j->proto, j->port);
	if (rule)
		set_rule(p, j, rule);
	else
		set_default(p, j, is_deny);
}

/* What comes before all rules.  False: nothing. */
static bool judge_special(const struct df_policy *p, const uint8_t addr[static 16],
			  struct df_judgement *j)
{
	static const uint8_t proxies6[4] = {0xfd, 0x64, 0x66, 0x70};
	bool is_ipv4 = memcmp(addr, mapped, sizeof(mapped)) == 0;
	bool is_none = is_ipv4 ? memcmp(addr + 12, none, 4) == 0 : memcmp(addr, none, 16) == 0;

	if (j->port == PORT_DNS)
		set_text(p, j, false, "port 53: what is asked there is judged by name");
	else if (is_ipv4 && addr[12] == 127 && addr[13] >= 192)
		set_text(p, j, true, "127.192.0.0/10: addresses of the proxies");
	else if (memcmp(addr, proxies6, sizeof(proxies6)) == 0)
		set_text(p, j, true, "fd64:6670::/32: addresses of the proxies");
	else if (is_none && df_policy_refuse_dns(p) == DF_POLICY_SINKHOLE)
		set_text(p, j, true, "refuse-dns sinkhole");
	else if (is_none || (is_ipv4 && addr[12] == 127) || memcmp(addr, loopback6, 16) == 0)
		set_text(p, j, false, "loopback: no rule applies to it");
	else
		return false;
	return true;
}

/* RFC 1918, RFC 6598, RFC 4193, RFC 4291 2.5.6: what containers mostly have. */
static bool is_private(const uint8_t addr[static 16])
{
	const uint8_t *v4 = addr + 12;

	if (memcmp(addr, mapped, sizeof(mapped)) != 0)
		return (addr[0] & 0xfe) == 0xfc || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80);
	return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
	       (v4[0] == 192 && v4[1] == 168) || (v4[0] == 100 && (v4[1] & 0xc0) == 64);
}

static void judge_raw(const struct df_policy *p, const uint8_t addr[static 16],
		      struct df_judgement *j)
{
	switch (df_policy_raw_ip(p)) {
	case DF_POLICY_RAW_ALLOW:
		set_text(p, j, false, "raw-ip allow");
		break;
	case DF_POLICY_RAW_BLOCK:
		set_text(p, j, true, "raw-ip block");
		break;
	case DF_POLICY_RAW_AUDIT:
		set_text(p, j, true, "raw-ip audit");
		j->verdict = "would-block";
		break;
	}
	if (j->is_refusal) {
		j->owner = df_policy_raw_owner(p);
		j->hint = df_policy_raw_hint(p);
		if (!j->hint && is_private(addr))
			j->hint = "passes if the container itself has this address";
	}
}

static void judge_address(const struct df_policy *p, const uint8_t addr[static 16],
			  struct df_judgement *j)
{
	const struct df_policy_rule *rule;
	uint8_t proto = j->proto;
	uint16_t port = j->port;
	struct df_ports ports;

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, addr + 12, j->address, sizeof(j->address));
	else
		(void)inet_ntop(AF_INET6, addr, j->address, sizeof(j->address));
	if (judge_special(p, addr, j))
		return;
	df_ports_init(&ports);
	if (port == 0 && df_ports_add(&ports, p) == 0)
		df_ports_representative(&ports, DF_PORTS_OTHER_TCP, &proto, &port);
	rule = df_policy_lookup_addr(p, addr, proto, port);
	if (rule)
		set_rule(p, j, rule);
	else
		judge_raw(p, addr, j);
}

static void refuse(struct df_judgement *j, const char *what)
{
	(void)snprintf(j->error, sizeof(j->error), "%s", what);
}

void df_judge(const struct df_policy *p, const char *argument, struct df_judgement *ret)
{
	struct df_policy_target t;
	struct df_value_error error;
	uint8_t addr[16];

	*ret = (struct df_judgement){.argument = argument};
	if (df_policy_target_parse(argument, strlen(argument), &t, &error) < 0) {
		refuse(ret, error.text);
		return;
	}
	ret->port = t.ports.lo;
	ret->proto = t.ports.proto ? t.ports.proto : IPPROTO_TCP;
	if (t.ports.lo != t.ports.hi)
		refuse(ret, "a range of ports stands in rules only; write one port");
	else if (t.is_name && t.scope != DF_POLICY_TREE)
		refuse(ret, "'=' and '*.' stand in rules only; write one name");
	else if (t.is_name)
		judge_name(p, &t.name, ret);
	else if (df_value_net_mapped(&t.net, addr) != 128)
		refuse(ret, "a network stands in rules only; write one address");
	else
		judge_address(p, addr, ret);
}
