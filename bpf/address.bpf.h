/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * address: the verdict of the tables on a destination that is not port 53.
 *
 * Verdicts of three tables for a class of ports are bits of one octet, so one pass
 * of arithmetic judges for all of them, without a loop.
 */
#ifndef DF_ADDRESS_BPF_H
#define DF_ADDRESS_BPF_H

#include "bpf/destination.bpf.h"
#include "bpf/embedded.h"

static __always_inline __u32 is_udp(__u32 proto)
{
	return is_zero(proto ^ IPPROTO_UDP) | is_zero(proto ^ IPPROTO_UDPLITE);
}

static __always_inline __u32 is_tcp(__u32 proto)
{
	return is_zero(proto ^ IPPROTO_TCP) | is_zero(proto ^ PROTO_MPTCP);
}

/* 80 and 443: there a first payload names who is meant. */
static __always_inline __u32 is_web(__u32 port)
{
	return is_zero(port ^ bpf_htons(443)) | is_zero(port ^ bpf_htons(80));
}

/* rest: as in struct dest_args. */
__noinline __u32 class_of(__u64 rest)
{
	__u32 proto = (__u16)(rest >> 16), udp = is_udp(proto), tcp = is_tcp(proto);
	__u16 port = (__u16)rest;
	struct df_port_key key = {
		.prefix_len = 24,
		.proto = tcp * IPPROTO_TCP | udp * IPPROTO_UDP, /* 0 is not in the map */
	};
	__u32 *class;

	__builtin_memcpy(key.port, &port, sizeof(key.port));
	class = bpf_map_lookup_elem(&classes, &key);
	return class ? *class : udp * DF_CLASS_UDP | ((udp | tcp) ^ 1) * DF_CLASS_OTHER;
}

_Static_assert(DF_CLASS_TCP == 0, "class_of: nothing is set for it");

/* Permissions count until their end, and move it when they are used; a refusal is sticky. */
static __always_inline __u32 names_say(const __u32 addr[4], __u32 class)
{
	struct df_learned *l = bpf_map_lookup_elem(&learned, addr);
	const struct df_conf *c = conf_get();
	__u64 now, left;
	__u32 bits, lapsed;

	if (!l || !c)
		return 0;
	now = bpf_ktime_get_boot_ns();
	left = l->until - now;
	lapsed = left >> 63;
	bits = l->bits[class % DF_PORT_CLASSES];
	bits &= DF_TABLES_ALL << DF_LEARNED_BLOCKED | mask_if(lapsed ^ 1);
	if (!lapsed && left < c->keep_learned_ns)
		l->until = now + c->keep_learned_ns;
	return bits;
}

/* The verdict of rules and names on one address: said, and bits << 16. */
__noinline __u32 look_up(__u64 high, __u64 low, __u32 class)
{
	const struct dest d = unpack(high, low, 0);
	struct df_net_key key = {.prefix_len = 128};
	struct df_net *net;

	__builtin_memcpy(key.addr, d.addr, sizeof(key.addr));
	net = bpf_map_lookup_elem(&nets, &key);
	return (net ? net->verdicts[class % DF_PORT_CLASSES] : 0) | names_say(d.addr, class) << 16;
}

/*
 * An opinion on an address is sets of tables, by these shifts: the tables that block it
 * (AGAINST); those for which its payload must show a name (UNDECIDED); those that allow it by a
 * rule though a blocked name has it, too (NOTED); and of the first those that enforce their
 * verdict (ENFORCED).  SAID and BITS are for struct df_event.  OWN, 1 bit: it passes as an
 * address of the container alone.
 */
#define OPINION_AGAINST 0
#define OPINION_UNDECIDED 4
#define OPINION_NOTED 8
#define OPINION_ENFORCED 12
#define OPINION_SAID 16
#define OPINION_OWN 24
#define OPINION_BITS 32

/* said: of address rules; bits: of learned names. */
__noinline __u64 weigh(__u64 rest, __u32 said, __u32 bits)
{
	const struct df_conf *c = conf_get();
	__u32 allowed = bits >> DF_LEARNED_ALLOWED, blocked = bits >> DF_LEARNED_BLOCKED;
	__u32 by_default = bits >> DF_LEARNED_DEFAULT, port = (__u16)rest;
	__u32 open, pinned, shared, raw, raw_audit, web, undecided, against;

	if (!c)
		return DF_TABLES_ALL << OPINION_AGAINST | DF_TABLES_ALL << OPINION_ENFORCED;
	/* tables whose address rules say nothing */
	open = c->tables & ~(said | said >> 3);
	pinned = open & blocked & ~allowed;
	shared = pinned & by_default;
	raw = open & ~(allowed | blocked | by_default);
	raw_audit = raw & c->raw_audit;
	web = is_web(port) & is_tcp((__u16)(rest >> 16));
	undecided = shared & c->shared_sni & mask_if(web) & DF_TABLES_ALL;
	against = ((said >> 3 & c->tables) | (pinned & ~by_default) |
		   (shared & ~c->shared_allow & ~undecided) | (raw & c->raw_block) | raw_audit) &
		  DF_TABLES_ALL;
	return (__u64)against << OPINION_AGAINST | (__u64)undecided << OPINION_UNDECIDED |
	       (__u64)(open & blocked & allowed & DF_TABLES_ALL) << OPINION_NOTED |
	       (__u64)(against & c->enforcing & ~raw_audit) << OPINION_ENFORCED |
	       (__u64)(__u8)said << OPINION_SAID | (__u64)(__u16)bits << OPINION_BITS;
}

static __always_inline __u32 look_up_ipv4(__u32 ipv4, __u32 class)
{
	const struct dest d = {.addr = {0, 0, bpf_htonl(0xffff), ipv4}};
	struct dest_args a = pack(&d);

	return look_up(a.high, a.low, class);
}

/* The part of a verdict on an embedded IPv4 address that holds for the outer one, too. */
static __always_inline __u32 carry_over(__u32 found, __u32 is_same_host)
{
	__u32 bits = found >> 16;
	__u32 refused = bits & ~(bits << DF_LEARNED_BLOCKED) & DF_TABLES_ALL << DF_LEARNED_BLOCKED;

	return (found & (DF_TABLES_ALL << 3 | mask_if(is_same_host))) | refused << 16;
}

_Static_assert(DF_LEARNED_ALLOWED == 0, "carry_over: one shift leads from permission to refusal");

/*
 * look_up for an address and the IPv4 addresses that it holds.  Names of 64:ff9b::a.b.c.d are
 * entered as names of a.b.c.d (lib/base/addr.h).
 */
__noinline __u32 look_up_all(__u64 high, __u64 low, __u32 class)
{
	const struct dest d = unpack(high, low, 0);
	const struct df_embedded e = df_embedded_of(d.addr);
	__u32 found = look_up(high, low, class);

	if (!e.n)
		return found;
	found |= carry_over(look_up_ipv4(e.ipv4[0], class), e.is_same_host);
	return e.n == 1 ? found : found | carry_over(look_up_ipv4(e.ipv4[1], class), 0);
}

static __always_inline __u32 opinion_set(__u64 opinion, int shift)
{
	return (__u32)(opinion >> shift) & DF_TABLES_ALL;
}

/* 1: some table is in the set. */
static __always_inline __u32 opinion_any(__u64 opinion, int shift)
{
	return is_zero(opinion_set(opinion, shift)) ^ 1;
}

#define MAY_BE_OWN 32 /* of judge_address's last argument: 1 bit */

/*
 * An address of the container itself is loopback to it, and passes but for a rule that blocks
 * it.  Asked for only where something else is against the address, or would want to see a
 * name.  An address that passes for this reason alone must not leave the namespace: egress sees to
 * it, so that an entry which is out of date opens nothing.
 */
__noinline __u64 judge_address(__u64 high, __u64 low, __u64 rest)
{
	const struct dest d = unpack(high, low, rest);
	__u32 found = look_up_all(high, low, class_of(rest)), said = found & 0xff;
	__u64 opinion = weigh(rest, said, found >> 16);
	__u32 is_passing = is_zero(opinion_set(opinion, OPINION_AGAINST) |
				   opinion_set(opinion, OPINION_UNDECIDED));
	__u32 wants_name = is_zero(found) & is_web(d.port) & is_tcp(d.proto);

	if (!(rest >> MAY_BE_OWN & 1) || (is_passing & (wants_name ^ 1)))
		return opinion;
	if (!bpf_map_lookup_elem(&own_addrs, d.addr))
		return opinion;
	/* as if each table that does not block it by a rule allowed it by one */
	said |= ~(said >> 3) & DF_TABLES_ALL;
	return weigh(rest, said, 0) | (__u64)(is_passing ^ 1) << OPINION_OWN;
}

static __always_inline __u64 opinion_of(const struct dest *d, __u32 may_be_own)
{
	struct dest_args a = pack(d);

	return judge_address(a.high, a.low, a.rest | (__u64)(may_be_own & 1) << MAY_BE_OWN);
}

#endif
