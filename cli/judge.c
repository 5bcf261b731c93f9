/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/judge.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
static const uint8_t loopback6[16] = {[15] = 1}, none[16] = {0};

static void set_text(struct df_judge_answer *j, const char *verdict, const char *rule)
{
	j->verdict = verdict;
	j->is_refusal = strcmp(verdict, "allowed") != 0;
	(void)snprintf(j->rule, sizeof(j->rule), "%s", rule);
}

/* passed_by: the setting that lets pass what no rule names. */
static void set_decision(const struct df_tables *t, const struct df_decision *d,
			 const char *passed_by, struct df_judge_answer *j)
{
	char rule[DF_JUDGE_RULE_MAX] = "";
	size_t skipped = 0;

	(void)df_verdict_rule(t, d, rule, sizeof(rule));
	/* settings of the policy that was asked for go without its name */
	if (!d->rule && d->table == DF_TABLE_OWN)
		skipped = strlen(df_policy_name(&t->tables[DF_TABLE_OWN])) + strlen(".policy ");
	if (!d->is_refusal && !d->rule)
		set_text(j, "allowed", passed_by);
	else
		set_text(j,
			 d->is_enforced  ? "blocked"
			 : d->is_refusal ? "would-block"
					 : "allowed",
			 rule + skipped);
	j->rule_owner = d->is_refusal || d->rule ? df_verdict_owner(t, d) : NULL;
	j->hint = df_verdict_hint(t, d);
}

/* A port needs an answer first: what DNS refuses is refused at every port. */
static void judge_name(const struct df_tables *t, const struct df_dname *name,
		       struct df_judge_answer *j)
{
	const struct df_decision d =
		j->port ? df_verdict_connection(t, DF_TABLES_FENCE, name, j->proto, j->port)
			: df_verdict_question(t, DF_TABLES_FENCE, NULL, name);
	const bool is_deny = df_policy_default(&t->tables[DF_TABLE_OWN]) == DF_POLICY_BLOCK;

	(void)df_dname_to_text(name, j->domain);
	set_decision(t, &d, is_deny ? "raw-ip allow" : "default allow", j);
}

static bool is_sinkholed(const struct df_tables *t)
{
	for (unsigned i = 0; i < DF_TABLES; i++)
		if (df_tables_has(t, i) && (DF_TABLES_FENCE >> i & 1) &&
		    df_policy_refuse_dns(&t->tables[i]) == DF_POLICY_SINKHOLE)
			return true;
	return false;
}

/* The cases that are decided before all rules.  False: none of them. */
static bool judge_special(const struct df_tables *t, const uint8_t addr[static 16],
			  struct df_judge_answer *j)
{
	static const uint8_t proxies6[4] = {0xfd, 0x64, 0x66, 0x70};
	const bool is_enforced = t->modes[DF_TABLE_OWN] == DF_MODE_ENFORCE ||
				 t->modes[DF_TABLE_BASE] == DF_MODE_ENFORCE;
	const char *refused = is_enforced ? "blocked" : "would-block";
	bool is_ipv4 = memcmp(addr, mapped, sizeof(mapped)) == 0;
	bool is_none = is_ipv4 ? memcmp(addr + 12, none, 4) == 0 : memcmp(addr, none, 16) == 0;

	if (is_ipv4 && addr[12] == 127 && addr[13] >= 192)
		set_text(j, refused, "127.192.0.0/10: addresses of the proxies");
	else if (memcmp(addr, proxies6, sizeof(proxies6)) == 0)
		set_text(j, refused, "fd64:6670::/32: addresses of the proxies");
	else if (j->port == DF_DNS_PORT && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		set_text(j, refused, "fe80::/10: port 53 cannot be redirected there");
	else if (j->port == DF_DNS_PORT)
		set_text(j, "allowed", "port 53: what is asked there is judged by name");
	else if (is_none && is_sinkholed(t))
		set_text(j, refused, "refuse-dns sinkhole");
	else if (is_none || (is_ipv4 && addr[12] == 127) || memcmp(addr, loopback6, 16) == 0)
		set_text(j, "allowed", "loopback: no rule applies to it");
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

/* Where no rule names an address, what cannot be known here decides as well. */
static const char *unknown(const struct df_tables *t, const struct df_decision *d,
			   const uint8_t addr[static 16])
{
	if (d->is_refusal)
		return is_private(addr) ? "passes if the container itself has this address" : NULL;
	for (unsigned i = 0; i < DF_TABLES; i++)
		if (df_tables_has(t, i) && df_verdict_pins(&t->tables[i]))
			return "refused if it is an address of a blocked name";
	return NULL;
}

static void judge_address(const struct df_tables *t, const uint8_t addr[static 16],
			  struct df_judge_answer *j)
{
	uint8_t proto = j->proto;
	uint16_t port = j->port;
	struct df_ports ports;
	struct df_decision d;

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, addr + 12, j->address, sizeof(j->address));
	else
		(void)inet_ntop(AF_INET6, addr, j->address, sizeof(j->address));
	if (judge_special(t, addr, j))
		return;
	if (port == 0 && df_verdict_ports(t, &ports) == 0)
		df_ports_representative(&ports, DF_PORTS_OTHER_TCP, &proto, &port);
	d = df_verdict_addr(t, DF_TABLES_FENCE, addr, proto, port, 0);
	set_decision(t, &d, "raw-ip allow", j);
	if (!d.rule && !j->hint)
		j->hint = unknown(t, &d, addr);
}

static void refuse(struct df_judge_answer *j, const char *what)
{
	(void)snprintf(j->error, sizeof(j->error), "%s", what);
}

void df_judge(const struct df_tables *t, const char *argument, struct df_judge_answer *ret)
{
	struct df_policy_target target;
	struct df_value_error error;
	uint8_t addr[16];

	*ret = (struct df_judge_answer){.argument = argument};
	if (df_policy_target_parse(argument, strlen(argument), &target, &error) < 0) {
		refuse(ret, error.text);
		return;
	}
	ret->port = target.ports.lo;
	ret->proto = target.ports.proto ? target.ports.proto : IPPROTO_TCP;
	if (target.ports.lo != target.ports.hi)
		refuse(ret, "a range of ports stands in rules only; write one port");
	else if (target.is_name && target.scope != DF_POLICY_TREE)
		refuse(ret, "'=' and '*.' stand in rules only; write one name");
	else if (target.is_name)
		judge_name(t, &target.name, ret);
	else if (df_value_net_mapped(&target.net, addr) != 128)
		refuse(ret, "a network stands in rules only; write one address");
	else
		judge_address(t, addr, ret);
}
