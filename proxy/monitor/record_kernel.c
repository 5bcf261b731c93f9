/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of the kernel programs, with the rule that refused. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"
#include "proxy/monitor/record.h"

#define SOCKET_TEXT_MAX 64

/* Event, reason and place of each kind: deployfence.events(5). */
static const struct {
	const char *event, *reason;
	enum df_event_at at;
} kinds[] = {
	[DF_EVENT_EGRESS_DNS] = {"packet_blocked", "EvadedRedirect", DF_AT_PACKET},
	[DF_EVENT_EGRESS_UNPARSABLE] = {"packet_blocked", "Unparsable", DF_AT_PACKET},
	[DF_EVENT_EGRESS_TOKEN] = {"packet_blocked", "EvadedRedirect", DF_AT_PACKET},
	[DF_EVENT_RAW_SOCKET] = {"socket_blocked", "RawSocket", DF_AT_CONNECT},
	[DF_EVENT_NESTED_NETNS] = {"connect_blocked", "NestedNamespace", DF_AT_CONNECT},
	[DF_EVENT_TOKEN_ADDRESS] = {"connect_blocked", "ReservedAddress", DF_AT_CONNECT},
	[DF_EVENT_NO_IPV6] = {"connect_blocked", "NoIPv6", DF_AT_CONNECT},
	[DF_EVENT_PROTOCOL] = {"connect_blocked", "UnsupportedProtocol", DF_AT_CONNECT},
	[DF_EVENT_SINKHOLE] = {"connect_blocked", "Sinkhole", DF_AT_CONNECT},
	[DF_EVENT_PASSED_OPEN] = {"unobserved", "NoHeartbeat", DF_AT_CONNECT},
	[DF_EVENT_TABLE_FULL] = {"connect_blocked", "TableFull", DF_AT_CONNECT},
	[DF_EVENT_CONNECT] = {"connect_blocked", NULL, DF_AT_CONNECT},
	[DF_EVENT_BOUND_DEVICE] = {"connect_blocked", "BoundDevice", DF_AT_CONNECT},
	[DF_EVENT_LINK_LOCAL] = {"connect_blocked", "LinkLocalResolver", DF_AT_CONNECT},
	[DF_EVENT_EGRESS_ADDRESS] = {"packet_blocked", NULL, DF_AT_PACKET},
	[DF_EVENT_UDP_CONNECT] = {"connect_probe", NULL, DF_AT_CONNECT},
	[DF_EVENT_SHARED] = {"shared_address", "AllowedByName", DF_AT_CONNECT},
	[DF_EVENT_NESTED_PASSED] = {"unobserved", "NestedNamespace", DF_AT_CONNECT},
	[DF_EVENT_SOCKET_FAMILY] = {"socket_blocked", "SocketFamily", DF_AT_CONNECT},
};

static uint32_t kind_of(const struct df_event *k)
{
	return k->kind < ARRAY_SIZE(kinds) && kinds[k->kind].event ? k->kind
								   : DF_EVENT_EGRESS_UNPARSABLE;
}

static bool is_verdict(uint32_t kind)
{
	return kind != DF_EVENT_PASSED_OPEN && kind != DF_EVENT_SHARED &&
	       kind != DF_EVENT_UDP_CONNECT && kind != DF_EVENT_NESTED_PASSED;
}

static bool is_about_address(uint32_t kind)
{
	return kind == DF_EVENT_CONNECT || kind == DF_EVENT_EGRESS_ADDRESS ||
	       kind == DF_EVENT_UDP_CONNECT || kind == DF_EVENT_SHARED;
}

static bool is_about_socket(uint32_t kind)
{
	return kind == DF_EVENT_RAW_SOCKET || kind == DF_EVENT_SOCKET_FAMILY;
}

static uint8_t proto_of(const struct df_event *k)
{
	if (k->proto == IPPROTO_UDP || k->proto == IPPROTO_UDPLITE)
		return IPPROTO_UDP;
	return k->proto == IPPROTO_TCP || k->proto == IPPROTO_MPTCP ? IPPROTO_TCP : 0;
}

static int get_learned(const uint8_t addr[static 16], struct df_learned *ret)
{
	return bpf_map_lookup_elem(DF_FD_LEARNED, addr, ret);
}

/*
 * The blocked name that has the address, and the rule against it at this port: of the table that
 * decides if it has one, else the one that was learned, which may be another table's.
 */
static void find_blocked_name(const struct df_record *r, const struct df_event *k,
			      struct df_kernel_verdict *v)
{
	const struct df_policy *p = &r->tables->tables[v->decision.table];
	struct df_decision by_name = {.is_refusal = is_verdict(k->kind)};
	const struct df_policy_rule *at_port = NULL;
	struct df_learned learned;

	if (df_learn_blocker(get_learned, k->addr, &learned) < 0)
		return; /* unpinned meanwhile */
	if (df_record_name_of(r, learned.slot, &v->name) == 0)
		at_port = df_policy_lookup_port(p, &v->name, proto_of(k), ntohs(k->port));
	if (at_port && at_port->action == DF_POLICY_BLOCK) {
		by_name.table = v->decision.table;
		by_name.rule = at_port;
		v->rule = by_name;
	} else if (df_tables_rule(r->tables, learned.rule, &by_name.table, &by_name.rule) == 0 &&
		   by_name.rule) {
		v->rule = by_name;
	}
}

/* An answer led there by a name that a rule allows, but at other ports. */
static void find_name_allowed_elsewhere(const struct df_record *r, const struct df_event *k,
					struct df_kernel_verdict *v)
{
	const struct df_policy *p = &r->tables->tables[v->decision.table];
	const struct df_policy_rule *rule, *at_port;
	struct df_learned learned;
	struct df_dname name;
	uint8_t addr[16];

	df_addr_canonical(k->addr, addr);
	if (get_learned(addr, &learned) < 0 || learned.until <= k->time ||
	    df_record_name_of(r, learned.slot, &name) < 0)
		return;
	/* a rule against the name at this port is no other reason: it pins no such address */
	rule = df_policy_lookup(p, &name);
	at_port = df_policy_lookup_port(p, &name, proto_of(k), ntohs(k->port));
	if (!rule || rule->action != DF_POLICY_ALLOW ||
	    (at_port && at_port->action == DF_POLICY_ALLOW))
		return;
	v->name = name;
	v->decision.reason = DF_REASON_PORT;
	v->decision.rule = rule;
	v->rule = v->decision;
}

void df_record_judge(const struct df_record *r, const struct df_event *k,
		     struct df_kernel_verdict *ret)
{
	/* of the tables against it, one that enforces its verdict goes first */
	const unsigned set = k->against ? k->against : 1u << DF_TABLE_OWN;
	struct df_decision d;

	memset(ret, 0, sizeof(*ret));
	if (!is_about_address(k->kind))
		return;
	d = df_verdict_addr(r->tables, set, k->addr, proto_of(k), ntohs(k->port), k->bits);
	ret->decision = d;
	if (k->kind != DF_EVENT_SHARED) /* of that one only the blocked name's rule is told */
		ret->rule = d;
	if (d.reason == DF_REASON_RAW)
		find_name_allowed_elsewhere(r, k, ret);
	/* no table is against a shared address, and any table may have the rule against the name */
	if (d.reason == DF_REASON_PINNED || d.reason == DF_REASON_SHARED ||
	    k->kind == DF_EVENT_SHARED)
		find_blocked_name(r, k, ret);
}

/* "AF_PACKET SOCK_RAW 0x0003": socket(2), with the protocol of AF_PACKET as packet(7) writes it. */
static void describe_socket(const struct df_event *k, char ret[static SOCKET_TEXT_MAX])
{
	static const char *const families[] = {
		[AF_INET] = "AF_INET",           [AF_INET6] = "AF_INET6", [AF_PACKET] = "AF_PACKET",
		[AF_VSOCK] = "AF_VSOCK",         [AF_XDP] = "AF_XDP",     [AF_LLC] = "AF_LLC",
		[AF_TIPC] = "AF_TIPC",           [AF_RDS] = "AF_RDS",     [AF_CAN] = "AF_CAN",
		[AF_BLUETOOTH] = "AF_BLUETOOTH",
	};
	static const char *const types[] = {
		[SOCK_STREAM] = "SOCK_STREAM",
		[SOCK_DGRAM] = "SOCK_DGRAM",
		[SOCK_RAW] = "SOCK_RAW",
		[SOCK_SEQPACKET] = "SOCK_SEQPACKET",
	};
	size_t pos = 0;
	__u64 packed;
	uint32_t family, type;

	memcpy(&packed, k->addr, sizeof(packed));
	family = (uint32_t)packed;
	type = (uint32_t)(packed >> 32);
	if (family < ARRAY_SIZE(families) && families[family])
		df_append(ret, SOCKET_TEXT_MAX, &pos, "%s ", families[family]);
	else
		df_append(ret, SOCKET_TEXT_MAX, &pos, "family %u ", family);
	if (type < ARRAY_SIZE(types) && types[type])
		df_append(ret, SOCKET_TEXT_MAX, &pos, "%s ", types[type]);
	else
		df_append(ret, SOCKET_TEXT_MAX, &pos, "type %u ", type);
	df_append(ret, SOCKET_TEXT_MAX, &pos, family == AF_PACKET ? "0x%04x" : "%u",
		  family == AF_PACKET ? ntohs((uint16_t)k->proto) : k->proto);
}

static void record(struct df_record *r, const struct df_event *k, const struct df_kernel_verdict *v,
		   const struct df_identity *who, bool is_early)
{
	static char text[DF_EVENT_TEXT_MAX + 1];
	const uint32_t kind = kind_of(k);
	char socket[SOCKET_TEXT_MAX], domain[DF_DNAME_TEXT_MAX];
	struct df_record_texts texts;
	struct df_event_line e = {
		.event = kinds[kind].event,
		.reason = kinds[kind].reason,
		.at = kinds[kind].at,
		.addr = is_about_socket(kind) ? NULL : k->addr, /* no destination yet */
		.port = ntohs(k->port),
		.who = who,
		.count = k->count,
		.is_refusal = is_verdict(kind),
		.is_blocked = is_verdict(kind) && k->refused,
		.is_warning = kind == DF_EVENT_PASSED_OPEN,
		.is_allowlist =
			df_policy_default(&r->tables->tables[DF_TABLE_OWN]) == DF_POLICY_BLOCK,
	};

	if (is_about_socket(kind)) {
		describe_socket(k, socket);
		e.socket = socket;
	}
	if (is_about_address(kind)) {
		if (kind != DF_EVENT_SHARED)
			e.reason = df_record_reason(v->decision.reason);
		if (v->name.len > 0) {
			(void)df_dname_to_text(&v->name, domain);
			e.domain = domain;
		}
		df_record_verdict(r, &v->rule, proto_of(k), &e, &texts);
	}
	if (v->decision.table == DF_TABLE_SHADOW) {
		e.event = "shadow";
		e.is_shadow = e.would_block = true;
		e.is_refusal = e.is_blocked = false;
		e.hint = e.remedy = NULL;
	}
	if (is_early) {
		if (e.is_blocked) {
			(void)df_event_text(&e, &r->meta->job, text, sizeof(text) - 1);
			df_record_show(r, &e, text);
		}
		return;
	}
	r->n_refusals += e.is_refusal ? k->count : 0;
	if (!df_record_is_over_rate(r, DF_RATE_KERNEL))
		df_record_emit(r, &e, e.is_refusal || e.is_warning);
}

void df_record_kernel(struct df_record *r, const struct df_event *k,
		      const struct df_kernel_verdict *v, const struct df_identity *who)
{
	record(r, k, v, who, false);
}

void df_record_kernel_early(struct df_record *r, const struct df_event *k,
			    const struct df_kernel_verdict *v, const struct df_identity *who)
{
	record(r, k, v, who, true);
}
