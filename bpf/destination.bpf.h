/* SPDX-License-Identifier: GPL-2.0-or-later */
/* destination: an address with its port and protocol, and the kinds of addresses. */
#ifndef DF_DESTINATION_BPF_H
#define DF_DESTINATION_BPF_H

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>

#include "bpf/maps.bpf.h"

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
