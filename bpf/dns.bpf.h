/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns: port 53 goes to the proxy, as a token's address. */
#ifndef DF_DNS_BPF_H
#define DF_DNS_BPF_H

#include "bpf/report.bpf.h"

#define TOKEN_TRIES 2 /* of 4 million: both taken once in some million times */

static __always_inline int is_same_dest(const struct df_sock *s, const struct dest *d)
{
	const __u32 *a = (const __u32 *)s->addr;

	return ((a[0] ^ d->addr[0]) | (a[1] ^ d->addr[1]) | (a[2] ^ d->addr[2]) |
		(a[3] ^ d->addr[3]) | (__u32)(s->port ^ d->port)) == 0;
}

/* A socket that goes on asking the same resolver keeps its token: no map entry a query. */
static __always_inline __u32 reuse_token(const struct df_sock *s, const struct dest *d)
{
	__u32 token = s->token;
	struct df_token *t;

	if (!token || !is_same_dest(s, d))
		return 0;
	t = bpf_map_lookup_elem(&tok, &token);
	if (!t || t->tgid != bpf_get_current_pid_tgid() >> 32 || t->start != current_start())
		return 0;
	t->tid = (__u32)bpf_get_current_pid_tgid();
	t->time = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(t->comm, sizeof(t->comm));
	return token;
}

static __always_inline __u32 new_token(const struct dest *d)
{
	const __u64 id = bpf_get_current_pid_tgid();
	struct df_token t = {
		.port = d->port,
		.proto = d->proto == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.tgid = id >> 32,
		.tid = (__u32)id,
	};
	__u32 token;
	int i;

	__builtin_memcpy(t.addr, d->addr, sizeof(t.addr));
	t.uid = (__u32)bpf_get_current_uid_gid();
	t.parent = current_parent();
	t.start = current_start();
	t.time = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(t.comm, sizeof(t.comm));
#pragma unroll
	for (i = 0; i < TOKEN_TRIES; i++) {
		token = bpf_get_prandom_u32() & DF_TOKEN_MAX;
		if (token && bpf_map_update_elem(&tok, &token, &t, BPF_NOEXIST) == 0)
			return token;
	}
	count(DF_COUNT_TOKEN_FULL);
	return 0;
}

/* The token of a redirected socket, kept with it; 0: none to be had. */
static __always_inline __u32 take_token(struct bpf_sock *sk, const struct dest *d, int is_connect)
{
	struct df_sock *s = bpf_sk_storage_get(&sks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	__u32 token;

	if (!s)
		return 0;
	token = reuse_token(s, d);
	if (!token)
		token = new_token(d);
	if (!token)
		return 0;
	/* sendto() with an address on a connected socket must not forget its peer */
	if (is_connect || !s->connected) {
		__builtin_memcpy(s->addr, d->addr, sizeof(s->addr));
		s->port = d->port;
		s->token = token;
		s->connected = is_connect;
	}
	return token;
}

/* As a number: the verifier lets no program add to a pointer of these types. */
static __always_inline __u64 as_number(const void *pointer)
{
	return read_word((__u64)&pointer);
}

/* The interface that IP_UNICAST_IF or IPV6_UNICAST_IF names; 0: none, or not known. */
static __always_inline __u32 socket_interface(struct bpf_sock_addr *ctx, __u32 is_ipv6)
{
	__u64 sk;

	if (!layout.sock_uc_index || !layout.sock_pinet6 || !layout.pinfo_ucast_oif)
		return 0;
	sk = as_number(ctx->sk);
	if (!is_ipv6)
		return read_number(sk + layout.sock_uc_index);
	return read_number(read_word(sk + layout.sock_pinet6) + layout.pinfo_ucast_oif);
}

/* The same of IP_PKTINFO or IPV6_PKTINFO with this message. */
static __always_inline __u32 message_interface(struct bpf_sock_addr *ctx, __u32 is_ipv6)
{
	__u64 source;

	if (!layout.ctx_t_ctx)
		return 0;
	source = read_word(as_number(ctx) + layout.ctx_t_ctx);
	if (!is_ipv6)
		return layout.ipc_oif ? read_number(source + layout.ipc_oif) : 0;
	return layout.flow_oif ? read_number(source - layout.flow_oif) : 0;
}

static __always_inline int is_elsewhere(__u32 interface)
{
	return interface && interface != LOOPBACK_IFINDEX;
}

/* Of UDP: TCP does not heed these options. */
static __always_inline int is_by_device(struct bpf_sock_addr *ctx, const struct dest *d,
					int is_connect)
{
	__u32 is_ipv6 = is_mapped4(d) ^ 1;

	if (d->proto != IPPROTO_UDP || (is_connect && !layout.has_connect_if))
		return 0;
	return is_elsewhere(socket_interface(ctx, is_ipv6)) ||
	       (!is_connect && is_elsewhere(message_interface(ctx, is_ipv6)));
}

/*
 * Port 53 at connect or sendmsg.  0, or the reason against it (enum df_event_kind);
 * with *token set the caller rewrites the destination to the token's address.
 */
static __always_inline __u32 judge_dns(struct bpf_sock_addr *ctx, const struct df_conf *c,
				       const struct dest *d, int is_connect, __u32 *token)
{
	struct bpf_sock *sk = ctx->sk;

	if (d->proto != IPPROTO_UDP && d->proto != IPPROTO_TCP && d->proto != PROTO_MPTCP)
		return DF_EVENT_PROTOCOL;
	if (is_passing_open(c))
		return DF_EVENT_PASSED_OPEN;
	if (c->netns_cookie && bpf_get_netns_cookie(ctx) != c->netns_cookie)
		return DF_EVENT_NESTED_NETNS;
	if (!((is_mapped4(d) | c->flags / DF_CONF_IPV6) & 1))
		return DF_EVENT_NO_IPV6;
	/* fe80::/10: the scope id is out of reach here, and lost with the address */
	if ((d->addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000))
		return DF_EVENT_LINK_LOCAL;
	/* SO_BINDTODEVICE and the like: the token's address would leave by that device */
	if (!sk || is_elsewhere(sk->bound_dev_if) || is_by_device(ctx, d, is_connect))
		return DF_EVENT_BOUND_DEVICE;

	*token = take_token(sk, d, is_connect);
	if (!*token)
		return DF_EVENT_TABLE_FULL;
	return 0;
}

#endif
