/* SPDX-License-Identifier: GPL-2.0-or-later */
/* connect: the verdict of connect and sendmsg on a destination, and the part that a socket keeps.
 */
#ifndef DF_CONNECT_BPF_H
#define DF_CONNECT_BPF_H

#include "bpf/address.bpf.h"
#include "bpf/dns.bpf.h"

/*
 * Egress passes a socket by its verdict here, whatever NAT makes of the destination.
 * rest also has verdict << 32, is_connect << 40, is_named << 41 and is_own << 42.  -1: there is no
 * room (optmem_max, which a program may fill), and egress would not look at the payload.
 */
__noinline int remember(struct bpf_sock_addr *ctx, __u64 high, __u64 low, __u64 rest)
{
	const struct dest d = unpack(high, low, rest);
	struct bpf_sock *sk = ctx->sk;
	struct df_sock *s = sk ? bpf_sk_storage_get(&sks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : 0;
	__u64 id;

	if (!s)
		return -(int)is_tcp(d.proto);
	if (!(rest >> 40 & 1)) {
		/*
		 * sendto() with an address on a connected socket must not forget its peer, nor a
		 * message without one (port 0) vouch for a peer that connect has not judged.
		 */
		if (!s->connected && d.port)
			s->verdict = (__u8)(rest >> 32);
		s->is_own = (s->is_own & s->connected) | (rest >> 42 & 1);
		return 0;
	}
	s->verdict = (__u8)(rest >> 32);
	s->is_own = (__u8)(rest >> 42) & 1;
	s->is_named = (__u8)(rest >> 41) & 1;
	s->connected = 1;
	s->token = 0;
	if (is_udp(d.proto))
		return 0; /* the rest is for the payload of TCP */
	id = bpf_get_current_pid_tgid();
	__builtin_memcpy(s->addr, d.addr, sizeof(s->addr));
	s->port = d.port;
	s->tgid = id >> 32;
	s->tid = (__u32)id;
	s->time = bpf_ktime_get_boot_ns();
	s->is_read = 0;
	return 0;
}

/* A connected UDP socket sends nothing yet: getaddrinfo only sorts addresses by it (RFC 6724). */
static __always_inline __u32 kind_of(__u64 opinion, const struct dest *d, int is_connect)
{
	__u32 is_probe = is_connect ? is_udp(d->proto) : 0;
	__u32 against = opinion_any(opinion, OPINION_AGAINST);

	return against * (DF_EVENT_CONNECT + is_probe * (DF_EVENT_UDP_CONNECT - DF_EVENT_CONNECT)) |
	       ((against ^ 1) & opinion_any(opinion, OPINION_NOTED)) * DF_EVENT_SHARED;
}

/*
 * The outcome of a connect or sendmsg is one number: for the verifier all outcomes are one
 * state then.  An opinion in the lower 48 bits, or a token with
 * OUTCOME_REDIRECT, and above it:
 */
#define OUTCOME_KIND 48     /* 8 bits, enum df_event_kind; 0: nothing to report */
#define OUTCOME_REFUSE 56   /* 1 bit: refused where the fence enforces */
#define OUTCOME_PENDING 57  /* 1 bit: passes undecided */
#define OUTCOME_REDIRECT 63 /* 1 bit: to the token's address */

static __always_inline __u64 refuse_dest(__u32 kind)
{
	return (__u64)kind << OUTCOME_KIND | 1ull << OUTCOME_REFUSE;
}

/* The token ranges of the fences. */
static __always_inline __u64 judge_reserved(struct bpf_sock_addr *ctx, const struct df_conf *c,
					    const struct dest *d)
{
	/* send() on a connected v4-mapped socket comes here with the address that connect6 wrote */
	__u32 own = token_of(c, d);
	struct bpf_sock *sk = ctx->sk;
	struct df_sock *s = sk ? bpf_sk_storage_get(&sks, sk, 0, 0) : 0;

	/* nothing to remember: the storage has it already */
	return own && s && s->token == own ? 1ull << OUTCOME_REDIRECT | own
					   : refuse_dest(DF_EVENT_TOKEN_ADDRESS);
}

static __always_inline __u64 judge_port53(struct bpf_sock_addr *ctx, const struct df_conf *c,
					  const struct dest *d, int is_connect)
{
	__u32 token = 0, kind = judge_dns(ctx, c, d, is_connect, &token);

	if (token)
		return 1ull << OUTCOME_REDIRECT | token;
	if (kind == DF_EVENT_NESTED_NETNS && c->flags & DF_CONF_NESTED_NETNS)
		return (__u64)DF_EVENT_NESTED_PASSED << OUTCOME_KIND;
	return refuse_dest(kind);
}

static __always_inline __u64 judge_other(struct bpf_sock_addr *ctx, const struct df_conf *c,
					 const struct dest *d, int is_connect)
{
	/* in a namespace inside of the container its addresses are others' */
	__u32 is_here = !c->netns_cookie || bpf_get_netns_cookie(ctx) == c->netns_cookie;
	__u64 opinion = opinion_of(d, is_here);
	__u32 waits;

	/*
	 * An undecided table that only audits costs nobody a retransmission; where nothing is
	 * enforced there is none, and it is looked at, too.  The shadow policy never is.
	 */
	waits = c->enforcing | (mask_if(c->mode >> 1 & 1) & ~DF_TABLE_SHADOW_BIT);
	return opinion | (__u64)kind_of(opinion, d, is_connect) << OUTCOME_KIND |
	       (__u64)opinion_any(opinion, OPINION_ENFORCED) << OUTCOME_REFUSE |
	       (__u64)(is_zero(opinion_set(opinion, OPINION_UNDECIDED) & waits) ^ 1)
		       << OUTCOME_PENDING;
}

/*
 * Loopback passes, and 0.0.0.0 and :: where no refused name has them.  A connect of a UDP
 * socket is refused like any other, but is no attempt: getaddrinfo makes one for each
 * address.  Without an address and port the message is a connected socket's: the kernel
 * asks once more where there is control data, as IP_TOS, and connect has judged the peer.
 * A sendto() with port 0 the kernel refuses by itself.
 */
static __always_inline __u64 judge_sinkhole(const struct df_conf *c, const struct dest *d,
					    __u32 is_connect)
{
	if (!(c->flags & DF_CONF_SINKHOLE) || !is_unspecified(d) || !(is_connect | d->port))
		return 0;
	return refuse_dest(is_connect & is_udp(d->proto) ? DF_EVENT_SINKHOLE_PROBE
							 : DF_EVENT_SINKHOLE);
}

/* rest also has is_connect << 40. */
__noinline __u64 judge(struct bpf_sock_addr *ctx, __u64 high, __u64 low, __u64 rest)
{
	const struct dest dest = unpack(high, low, rest), *d = &dest;
	const struct df_conf *c = conf_get();
	__u32 is_connect = (__u32)(rest >> 40) & 1;

	if (!c)
		return refuse_dest(DF_EVENT_CONNECT);
	if (is_reserved(d))
		return judge_reserved(ctx, c, d);
	/* a ping socket's port is no port */
	if (d->port == bpf_htons(DF_DNS_PORT) && d->proto != IPPROTO_ICMP &&
	    d->proto != PROTO_ICMPV6)
		return judge_port53(ctx, c, d, is_connect);
	if (is_loopback(d) | is_unspecified(d))
		return judge_sinkhole(c, d, is_connect);
	return judge_other(ctx, c, d, is_connect);
}

/*
 * The part of an outcome that stays with the socket, as bits of remember's last argument.  At
 * ports 80 and 443 of an address that neither a rule nor an answer names, the payload's name
 * decides.
 */
static __always_inline __u64 remembered(__u64 outcome, const struct df_conf *c,
					const struct dest *d)
{
	const __u32 tables = DF_TABLES_ALL & ~DF_TABLE_SHADOW_BIT; /* that one is for show */
	__u32 said = (__u8)(outcome >> OPINION_SAID), bits = (__u16)(outcome >> OPINION_BITS);
	__u32 named = (said | bits >> DF_LEARNED_ALLOWED) & tables;
	__u32 known = (said | said >> 3 | bits | bits >> DF_LEARNED_BLOCKED |
		       bits >> DF_LEARNED_DEFAULT) &
		      tables;
	__u32 is_seen = is_zero(known | is_loopback(d) | is_unspecified(d)) & is_web(d->port) &
			is_tcp(d->proto) & (is_zero(c->enforcing) ^ 1);
	__u32 is_pending = (__u32)(outcome >> OUTCOME_PENDING) & 1;
	__u64 verdict = DF_VERDICT_ALLOW + is_seen * (DF_VERDICT_SEEN - DF_VERDICT_ALLOW) +
			is_pending * (DF_VERDICT_UNDECIDED - DF_VERDICT_ALLOW);

	return verdict << 32 | (__u64)(is_zero(named) ^ 1) << 41 |
	       (outcome >> OPINION_OWN & 1) << 42;
}

#endif
