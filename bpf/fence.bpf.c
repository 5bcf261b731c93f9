// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fence: the kernel side of one container's fence.
 *
 * Port 53 is sent to the proxy at connect and sendmsg, where the task and its
 * errno are at hand; egress is the backstop for what did not pass there.
 *
 * Only <linux/bpf.h>: vmlinux.h would make every ctx access a CO-RE relocation,
 * and libbpf would parse the kernel's BTF at every container start (17 ms).
 * Loads on 5.10, so: no bpf_set_retval, no identity helpers in egress, ctx
 * fields read one by one (clang must not merge two branches' ctx accesses).
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

#define PASS 1
#define REFUSE 0

/* UAPI values that <linux/in.h> or <linux/net.h> do not export everywhere. */
#define SOCK_RAW_TYPE 3
#define PROTO_MPTCP 262
#define PROTO_ICMPV6 58
#define ETH_P_IP_HOST 0x0800
#define ETH_P_IPV6_HOST 0x86dd
#define LOOPBACK_IFINDEX 1

#define N_RECENT 64
#define RECENT_NS 1000000000ull
#define TOKEN_TRIES 2 /* of 4 million: both taken once in some million times */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct df_conf);
} conf SEC(".maps");

/* LRU: a flood of queries costs the flooder its own oldest tokens.  Sized by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct df_token);
} tok SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct df_sock);
} sks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DF_N_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Filled at the start, by lib/fence_fill; sized by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct df_port_key);
	__type(value, __u32);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct df_net_key);
	__type(value, struct df_net);
} nets SEC(".maps");

/* A plain hash, written and expired by the worker: an LRU evicts early on many CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DF_LEARNED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 16);
	__type(value, struct df_learned);
} learned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DF_FLOWS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct df_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} payloads SEC(".maps");

/* What was reported in the last second: one event for a burst, with a count. */
struct recent {
	__u64 start;
	__u64 key;
	__u32 held_back;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, N_RECENT);
	__type(key, __u32);
	__type(value, struct recent);
} recent SEC(".maps");

/* An address and a port as the whole program knows them: 16 bytes, network byte order. */
struct dest {
	__u32 addr[4];
	__u16 port;
	__u16 proto;
};

static __always_inline struct df_conf *conf_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&conf, &zero);
}

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += 1;
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

static __always_inline __u64 key_of(const struct dest *d, __u32 kind, __u32 refused, __u64 id)
{
	return (id >> 32) * 0x9e3779b97f4a7c15ull ^
	       ((__u64)d->addr[3] << 32 | (d->addr[0] ^ d->addr[1])) ^ (__u64)d->port << 16 ^
	       kind << 4 ^ refused;
}

enum { WITH_IDENTITY = 1, ON_CONNECT = 2 };

/*
 * One event for a burst of like ones in a second, with their count.  The kind is
 * only stored here, never looked at: so the verifier walks this once, not once for
 * each kind.  WITH_IDENTITY in connect, sendmsg and sock_create only; elsewhere the
 * task may be another's.
 */
static __always_inline void report(const struct dest *d, __u32 kind, __u32 refused, int how)
{
	__u64 now = bpf_ktime_get_boot_ns(), id = how ? bpf_get_current_pid_tgid() : 0;
	__u64 key = key_of(d, kind, refused, id), other;
	__u32 slot = (__u32)(key ^ (key >> 32)) % N_RECENT;
	struct recent *r = bpf_map_lookup_elem(&recent, &slot);
	struct df_event *e;
	__u32 held_back;

	if (!r)
		return;
	other = r->key ^ key;
	if (!other && now - r->start < RECENT_NS) {
		r->held_back++;
		return;
	}
	/* those of this key that were held back; of another key they are lost */
	held_back = r->held_back & mask_if(is_zero((__u32)(other | other >> 32)));
	r->key = key;
	r->start = now;
	r->held_back = 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(DF_COUNT_EVENT_LOST);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->refused = refused;
	e->time = now;
	__builtin_memcpy(e->addr, d->addr, sizeof(e->addr));
	e->port = d->port;
	e->proto = d->proto;
	e->count = 1 + held_back;
	if (how) {
		e->has_identity = 1;
		e->is_connect = how / ON_CONNECT;
		e->tgid = id >> 32;
		e->tid = (__u32)id;
		e->uid = (__u32)bpf_get_current_uid_gid();
		bpf_get_current_comm(e->comm, sizeof(e->comm));
	}
	bpf_ringbuf_submit(e, 0);
}

/* What is against a destination: refused where the fence enforces; else it passes, reported. */
static __always_inline int object(const struct df_conf *c, const struct dest *d, __u32 kind,
				  int is_connect)
{
	__u32 enforcing = is_enforcing(c);

	count(DF_COUNT_CONNECT_REFUSED);
	report(d, kind, enforcing, WITH_IDENTITY | (is_connect ? ON_CONNECT : 0));
	return verdict(enforcing);
}

static __always_inline void fill_token(struct df_token *t, const struct dest *d)
{
	__u64 id = bpf_get_current_pid_tgid();

	__builtin_memcpy(t->addr, d->addr, sizeof(t->addr));
	t->port = d->port;
	t->proto = d->proto == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	t->tgid = id >> 32;
	t->tid = (__u32)id;
	t->uid = (__u32)bpf_get_current_uid_gid();
	t->time = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(t->comm, sizeof(t->comm));
}

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
	if (!t || t->tgid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	t->tid = (__u32)bpf_get_current_pid_tgid();
	t->time = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(t->comm, sizeof(t->comm));
	return token;
}

static __always_inline __u32 new_token(const struct dest *d)
{
	struct df_token t = {};
	__u32 token;
	int i;

	fill_token(&t, d);
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

static __always_inline int is_dns_transport(__u32 proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_TCP || proto == PROTO_MPTCP;
}

/*
 * Port 53 at connect or sendmsg.  0, or what is against it (enum df_event_kind);
 * with *token set the caller rewrites the destination to the token's address.
 */
static __always_inline __u32 judge_dns(struct bpf_sock_addr *ctx, const struct df_conf *c,
				       const struct dest *d, int is_connect, __u32 *token)
{
	struct bpf_sock *sk = ctx->sk;

	if (d->proto == IPPROTO_ICMP || d->proto == PROTO_ICMPV6)
		return 0; /* a ping socket's port is no port */
	if (!is_dns_transport(d->proto))
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
	/* SO_BINDTODEVICE: the token's address would leave by that device */
	if (!sk || (sk->bound_dev_if && sk->bound_dev_if != LOOPBACK_IFINDEX))
		return DF_EVENT_BOUND_DEVICE;

	*token = take_token(sk, d, is_connect);
	if (!*token)
		return DF_EVENT_TABLE_FULL;
	return 0;
}

static __always_inline __u32 judge(struct bpf_sock_addr *ctx, const struct df_conf *c,
				   const struct dest *d, int is_connect, __u32 *token)
{
	if (is_reserved(d)) {
		/* send() on a connected v4-mapped socket comes here with what connect6 wrote */
		__u32 own = token_of(c, d);
		struct bpf_sock *sk = ctx->sk;
		struct df_sock *s = sk ? bpf_sk_storage_get(&sks, sk, 0, 0) : 0;

		return own && s && s->token == own ? 0 : DF_EVENT_TOKEN_ADDRESS;
	}
	if (d->port == bpf_htons(DF_DNS_PORT))
		return judge_dns(ctx, c, d, is_connect, token);
	return (c->flags & DF_CONF_SINKHOLE) && is_unspecified(d) ? DF_EVENT_SINKHOLE : 0;
}

static __always_inline int on_dest4(struct bpf_sock_addr *ctx, int is_connect)
{
	struct dest d = {.addr = {0, 0, bpf_htonl(0xffff), ctx->user_ip4},
			 .port = (__u16)ctx->user_port,
			 .proto = (__u16)ctx->protocol};
	struct df_conf *c = conf_get();
	__u32 token = 0, kind;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	kind = judge(ctx, c, &d, is_connect, &token);
	if (kind)
		return object(c, &d, kind, is_connect);
	if (token) {
		ctx->user_ip4 = bpf_htonl(DF_TOKEN4_NET | (token & DF_TOKEN_MAX));
		ctx->user_port = c->proxy_port;
	}
	return PASS;
}

static __always_inline int on_dest6(struct bpf_sock_addr *ctx, int is_connect)
{
	struct dest d = {
		.addr = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]},
		.port = (__u16)ctx->user_port,
		.proto = (__u16)ctx->protocol};
	struct df_conf *c = conf_get();
	__u32 token = 0, kind;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	kind = judge(ctx, c, &d, is_connect, &token);
	if (kind)
		return object(c, &d, kind, is_connect);
	if (token) {
		const __u32 *prefix = (const __u32 *)c->token6_prefix;
		__u32 keep = mask_if(is_mapped4(&d)); /* ::ffff: stays */

		ctx->user_ip6[0] = (d.addr[0] & keep) | (prefix[0] & ~keep);
		ctx->user_ip6[1] = (d.addr[1] & keep) | (prefix[1] & ~keep);
		ctx->user_ip6[2] = (d.addr[2] & keep) | (prefix[2] & ~keep);
		ctx->user_ip6[3] = bpf_htonl(token | (DF_TOKEN4_NET & keep));
		ctx->user_port = c->proxy_port;
	}
	return PASS;
}

SEC("cgroup/connect4")
int fence_connect4(struct bpf_sock_addr *ctx)
{
	return on_dest4(ctx, 1);
}

SEC("cgroup/connect6")
int fence_connect6(struct bpf_sock_addr *ctx)
{
	return on_dest6(ctx, 1);
}

SEC("cgroup/sendmsg4")
int fence_sendmsg4(struct bpf_sock_addr *ctx)
{
	return on_dest4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int fence_sendmsg6(struct bpf_sock_addr *ctx)
{
	return on_dest6(ctx, 0);
}

/* Where the token's query was going.  0, or -1: no token of ours. */
static __always_inline int origin_of(struct bpf_sock_addr *ctx, const struct df_conf *c,
				     struct dest *d)
{
	__u32 token = token_of(c, d);
	struct bpf_sock *sk = ctx->sk;
	struct df_sock *s;
	struct df_token *t;

	if (!token)
		return -1;
	s = sk ? bpf_sk_storage_get(&sks, sk, 0, 0) : 0;
	if (s && s->token == token) {
		__builtin_memcpy(d->addr, s->addr, sizeof(d->addr));
		d->port = s->port;
		return 0;
	}
	t = bpf_map_lookup_elem(&tok, &token);
	if (!t)
		return -1;
	__builtin_memcpy(d->addr, t->addr, sizeof(d->addr));
	d->port = t->port;
	return 0;
}

static __always_inline int restore4(struct bpf_sock_addr *ctx)
{
	struct dest d = {.addr = {0, 0, bpf_htonl(0xffff), ctx->user_ip4},
			 .port = (__u16)ctx->user_port};
	struct df_conf *c = conf_get();

	if (c && origin_of(ctx, c, &d) == 0) {
		ctx->user_ip4 = d.addr[3];
		ctx->user_port = d.port;
	}
	return PASS;
}

static __always_inline int restore6(struct bpf_sock_addr *ctx)
{
	struct dest d = {
		.addr = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]},
		.port = (__u16)ctx->user_port};
	struct df_conf *c = conf_get();

	if (c && origin_of(ctx, c, &d) == 0) {
		ctx->user_ip6[0] = d.addr[0];
		ctx->user_ip6[1] = d.addr[1];
		ctx->user_ip6[2] = d.addr[2];
		ctx->user_ip6[3] = d.addr[3];
		ctx->user_port = d.port;
	}
	return PASS;
}

SEC("cgroup/recvmsg4")
int fence_recvmsg4(struct bpf_sock_addr *ctx)
{
	return restore4(ctx);
}

SEC("cgroup/recvmsg6")
int fence_recvmsg6(struct bpf_sock_addr *ctx)
{
	return restore6(ctx);
}

SEC("cgroup/getpeername4")
int fence_getpeername4(struct bpf_sock_addr *ctx)
{
	return restore4(ctx);
}

SEC("cgroup/getpeername6")
int fence_getpeername6(struct bpf_sock_addr *ctx)
{
	return restore6(ctx);
}

SEC("cgroup/sock_create")
int fence_sock_create(struct bpf_sock *ctx)
{
	struct df_conf *c = conf_get();
	struct dest d = {};
	int enforcing;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	if (ctx->type != SOCK_RAW_TYPE)
		return PASS;
	d.proto = (__u16)ctx->protocol;
	enforcing = is_enforcing(c);
	if (enforcing)
		count(DF_COUNT_SOCK_REFUSED);
	report(&d, DF_EVENT_RAW_SOCKET, enforcing, WITH_IDENTITY);
	return verdict(enforcing);
}

/* What egress needs of a packet.  Packets are whole here: fragmentation comes later. */
struct packet {
	struct dest to;
	__u16 sport; /* network byte order; 0: neither UDP nor TCP */
	__u8 tcp_flags;
};

static __always_inline int parse_ports(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
	__u16 ports[2];

	if (p->to.proto != IPPROTO_UDP && p->to.proto != IPPROTO_TCP &&
	    p->to.proto != IPPROTO_UDPLITE)
		return 0;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
		return -1;
	p->sport = ports[0];
	p->to.port = ports[1];
	if (p->to.proto == IPPROTO_TCP &&
	    bpf_skb_load_bytes(skb, offset + 13, &p->tcp_flags, sizeof(p->tcp_flags)) < 0)
		return -1;
	return 0;
}

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p)
{
	__u32 h[5]; /* RFC 791 3.1, by words */
	__u8 first;

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) < 0)
		return -1;
	first = bpf_ntohl(h[0]) >> 24;
	p->to.proto = bpf_ntohl(h[2]) >> 16 & 0xff;
	p->to.addr[2] = bpf_htonl(0xffff);
	p->to.addr[3] = h[4];
	/* A later fragment shows no port.  The stack fragments after egress: this one is hand-made.
	 */
	if ((h[1] & bpf_htonl(0x1fff)) || (__u8)(first - 0x45) > 10)
		return -1; /* or it is not version 4 with a header of 20 to 60 octets */
	return parse_ports(skb, (first & 15) * 4, p);
}

/*
 * An extension header (RFC 8200 4.1) is none that the stack adds before egress: it
 * takes CAP_NET_RAW to ask for one.  What hides its ports behind it is unparsable.
 */
static __always_inline int parse6(struct __sk_buff *skb, struct packet *p)
{
	const __u64 extensions = 1ull << 0 | 1ull << 43 | 1ull << 44 | 1ull << 51 | 1ull << 60;
	__u32 h[10], next;

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) < 0)
		return -1;
	__builtin_memcpy(p->to.addr, h + 6, 16);
	next = bpf_ntohl(h[1]) >> 8 & 0xff;
	if (next < 64 && (extensions >> next & 1))
		return -1;
	p->to.proto = next;
	return parse_ports(skb, sizeof(h), p);
}

static __always_inline int parse(struct __sk_buff *skb, struct packet *p)
{
	if (skb->protocol == bpf_htons(ETH_P_IP_HOST))
		return parse4(skb, p);
	if (skb->protocol == bpf_htons(ETH_P_IPV6_HOST))
		return parse6(skb, p);
	return -1;
}

/*
 * A packet to a token's address whose entry the LRU has dropped: a long-lived
 * connected socket asks again.  Its own storage still knows where to.
 */
static __always_inline void refresh_token(struct __sk_buff *skb, __u32 token)
{
	struct bpf_sock *sk = skb->sk;
	struct df_token t = {};
	struct df_sock *s;

	if (bpf_map_lookup_elem(&tok, &token))
		return;
	if (!sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	s = bpf_sk_storage_get(&sks, sk, 0, 0);
	if (!s || s->token != token)
		return;
	__builtin_memcpy(t.addr, s->addr, sizeof(t.addr));
	t.port = s->port;
	t.proto = sk->protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	t.time = bpf_ktime_get_boot_ns(); /* no identity: not known here */
	bpf_map_update_elem(&tok, &token, &t, BPF_NOEXIST);
}

/* 0, or what is against the packet. */
static __always_inline __u32 judge_packet(struct __sk_buff *skb, const struct df_conf *c,
					  struct packet *p)
{
	__u32 token;

	if (parse(skb, p) < 0)
		return DF_EVENT_EGRESS_UNPARSABLE;
	if (is_reserved(&p->to) | is_loopback(&p->to)) {
		/* IP_UNICAST_IF, IP_PKTINFO: the rewritten packet would leave the host */
		if (skb->ifindex != LOOPBACK_IFINDEX)
			return DF_EVENT_EGRESS_TOKEN;
		token = token_of(c, &p->to);
		if (token) {
			refresh_token(skb, token);
			return 0;
		}
	}
	if (p->to.port != bpf_htons(DF_DNS_PORT))
		return 0;
	/* An answer of a server here to a client on port 53 is no query: SYN without ACK only */
	if (p->to.proto == IPPROTO_TCP && (p->tcp_flags & 0x12) != 0x02)
		return 0;
	if (is_passing_open(c))
		return 0;
	return DF_EVENT_EGRESS_DNS;
}

SEC("cgroup_skb/egress")
int fence_egress(struct __sk_buff *skb)
{
	struct df_conf *c = conf_get();
	struct packet p = {};
	__u32 kind, enforcing;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	kind = judge_packet(skb, c, &p);
	if (!kind)
		return PASS;
	enforcing = is_enforcing(c);
	if (enforcing)
		count(DF_COUNT_EGRESS_DROP);
	report(&p.to, kind, enforcing, 0);
	return verdict(enforcing);
}

/*
 * The proxy's own cgroup: port 53 out, answers on lo, nothing else.  seccomp
 * cannot see addresses, and the worker stands outside the container's fence.
 * Egress comes after the namespace's DNAT (Docker's 127.0.0.11): what counts is
 * the port that the socket was connected to.
 */
SEC("cgroup_skb/egress")
int proxy_egress(struct __sk_buff *skb)
{
	struct df_conf *c = conf_get();
	struct bpf_sock *sk = skb->sk;
	struct packet p = {};

	if (!c || parse(skb, &p) < 0)
		return REFUSE;
	if (p.to.proto != IPPROTO_UDP && p.to.proto != IPPROTO_TCP)
		return REFUSE;
	if (skb->ifindex == LOOPBACK_IFINDEX && p.sport == c->proxy_port)
		return PASS;
	sk = sk ? bpf_sk_fullsock(sk) : 0;
	return sk && sk->dst_port == bpf_htons(DF_DNS_PORT) ? PASS : REFUSE;
}

char LICENSE[] SEC("license") = "GPL";
