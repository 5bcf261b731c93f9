/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dest: destinations and what kind they are, and whether the fence enforces.
 *
 * Arithmetic instead of branches, here and in the other headers: the verifier walks
 * both sides of each branch at every container start, and what it has to compare later.
 */
#ifndef DF_DEST_BPF_H
#define DF_DEST_BPF_H

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>

#include "bpf/maps.bpf.h"

#define PASS 1
#define REFUSE 0

/* UAPI values that <linux/in.h> or <linux/net.h> do not export everywhere. */
#define SOCK_RAW_TYPE 3
#define PROTO_MPTCP 262
#define PROTO_ICMPV6 58
#define ETH_P_IP_HOST 0x0800
#define ETH_P_IPV6_HOST 0x86dd
#define LOOPBACK_IFINDEX 1

/* An address and a port as the whole program knows them: 16 bytes, network byte order. */
struct dest {
	__u32 addr[4];
	__u16 port;
	__u16 proto;
};

/*
 * Functions that are not inlined take and return numbers (and ctx): more a global
 * function may not before 5.12.  The verifier walks a global one once, by itself;
 * an inlined one again for each state that its caller may be in.
 */
struct dest_args {
	__u64 high, low; /* the address, as it lies in memory */
	__u64 rest;      /* port | proto << 16 */
};

static __always_inline struct dest_args pack(const struct dest *d)
{
	struct dest_args a = {.rest = d->port | (__u64)d->proto << 16};

	__builtin_memcpy(&a.high, d->addr, 8);
	__builtin_memcpy(&a.low, d->addr + 2, 8);
	return a;
}

static __always_inline struct dest unpack(__u64 high, __u64 low, __u64 rest)
{
	struct dest d = {.port = (__u16)rest, .proto = (__u16)(rest >> 16)};

	__builtin_memcpy(d.addr, &high, 8);
	__builtin_memcpy(d.addr + 2, &low, 8);
	return d;
}

static __always_inline struct df_conf *conf_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&conf, &zero);
}

static __always_inline void count_n(__u32 which, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += n;
}

static __always_inline void count(__u32 which)
{
	count_n(which, 1);
}

/* Signed: a beat between the two reads is not stale. */
static __always_inline __u32 is_heartbeat_stale(const struct df_conf *c)
{
	__s64 age = bpf_ktime_get_boot_ns() - c->heartbeat;

	return (__u64)((__s64)DF_HEARTBEAT_MAX_NS - age) >> 63;
}

static __always_inline __u32 is_passing_open(const struct df_conf *c)
{
	return c->flags / DF_CONF_FAIL_OPEN & is_heartbeat_stale(c) & 1;
}

/*
 * 1 unless audit, kill switch, bypass, or fail=open without a heartbeat.
 *
 * Arithmetic instead of branches here and below: the verifier walks both sides of
 * each branch at every container start, and what it has to compare later.
 */
static __always_inline __u32 is_enforcing(const struct df_conf *c)
{
	__u64 is_bypassed =
		(bpf_ktime_get_boot_ns() - c->bypass_until) >> 63; /* its end is ahead */

	return ((c->mode >> 1 | c->flags / DF_CONF_DISABLED | is_bypassed | is_passing_open(c)) &
		1) ^
	       1;
}

_Static_assert(DF_MODE_AUDIT == 2 && DF_MODE_ENFORCE == 1, "is_enforcing reads bit 1 of mode");

/*
 * The return value of a program.  The verifiers of 5.10 and 6.1 do not know the
 * bounds of the verdict here; clang does, and must not.
 */
static __always_inline int verdict(__u32 refused)
{
	asm volatile("" : "+r"(refused));
	return refused & 1 ? REFUSE : PASS;
}

/* 1 or 0, or all bits or none; without a branch. */
static __always_inline __u32 is_zero(__u32 x)
{
	return (__u32)(((__u64)x - 1) >> 63);
}

static __always_inline __u32 mask_if(__u32 is_true)
{
	return 0 - is_true;
}

static __always_inline __u32 is_mapped4(const struct dest *d)
{
	return is_zero(d->addr[0] | d->addr[1] | (d->addr[2] ^ bpf_htonl(0xffff)));
}

static __always_inline __u32 is_unspecified(const struct dest *d)
{
	/* :: and ::ffff:0.0.0.0 */
	return is_zero(d->addr[0] | d->addr[1] | d->addr[3]) &
	       (is_zero(d->addr[2]) | is_zero(d->addr[2] ^ bpf_htonl(0xffff)));
}

/*
 * The token ranges of all fences: another fence of the same namespace (pod, host
 * network) is not to be asked either.
 */
static __always_inline __u32 is_reserved(const struct dest *d)
{
	return (is_mapped4(d) & is_zero((bpf_ntohl(d->addr[3]) & DF_TOKEN4_MASK) ^ DF_TOKEN4_NET)) |
	       is_zero(d->addr[0] ^ bpf_htonl(DF_TOKEN6_NET));
}

/* The token in an address of this fence at the proxy's port, else 0. */
static __always_inline __u32 token_of(const struct df_conf *c, const struct dest *d)
{
	const __u32 *prefix = (const __u32 *)c->token6_prefix;
	__u32 last = bpf_ntohl(d->addr[3]);
	__u32 is_4 = is_mapped4(d) & is_zero((last & DF_TOKEN4_MASK) ^ DF_TOKEN4_NET);
	/* without IPv6 the prefix is ::, whose addresses are no fence's */
	__u32 is_6 = is_zero((d->addr[0] ^ prefix[0]) | (d->addr[1] ^ prefix[1]) |
			     (d->addr[2] ^ prefix[2])) &
		     c->flags / DF_CONF_IPV6;
	__u32 is_proxy = is_zero(d->port ^ c->proxy_port);

	return (last & DF_TOKEN_MAX & mask_if(is_4 & is_proxy)) |
	       (last & mask_if(is_6 & is_proxy & 1));
}

static __always_inline __u32 is_loopback(const struct dest *d)
{
	__u32 is_4 = is_mapped4(d) & is_zero((bpf_ntohl(d->addr[3]) >> 24) ^ 127);
	__u32 is_6 = is_zero(d->addr[0] | d->addr[1] | d->addr[2] | (d->addr[3] ^ bpf_htonl(1)));

	return is_4 | is_6;
}

#endif
