// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fence: the kernel side of one container's fence.
 *
 * Port 53 is sent to the proxy at connect and sendmsg, where the task and its
 * errno are at hand; egress is the backstop for packets that did not pass there.
 *
 * Only <linux/bpf.h>: vmlinux.h would make every ctx access a CO-RE relocation,
 * and libbpf would parse the kernel's BTF at every container start (17 ms).
 * Loads on 5.10, so: no bpf_set_retval, no identity helpers in egress, ctx
 * fields read one by one (clang must not merge two branches' ctx accesses).
 */
#include "bpf/connect.bpf.h"
#include "bpf/payload.bpf.h"

/*
 * errno of a refused connect where the kernel has bpf_set_retval (5.18): set before
 * loading, since the verifier of an older one leaves out code that can never run.
 */
const volatile __u32 has_set_retval = 0;

/* The address and port that the application gave, or that an answer came from. */
static __always_inline struct dest dest_of(struct bpf_sock_addr *ctx, int is_ipv6)
{
	struct dest d = {.port = (__u16)ctx->user_port, .proto = (__u16)ctx->protocol};

	d.addr[0] = is_ipv6 ? ctx->user_ip6[0] : 0;
	d.addr[1] = is_ipv6 ? ctx->user_ip6[1] : 0;
	d.addr[2] = is_ipv6 ? ctx->user_ip6[2] : bpf_htonl(0xffff);
	d.addr[3] = is_ipv6 ? ctx->user_ip6[3] : ctx->user_ip4;
	return d;
}

/* The other way round. */
static __always_inline void rewrite(struct bpf_sock_addr *ctx, const __u32 addr[4], __u16 port,
				    int is_ipv6)
{
	ctx->user_port = port;
	if (!is_ipv6) {
		ctx->user_ip4 = addr[3];
		return;
	}
	ctx->user_ip6[0] = addr[0];
	ctx->user_ip6[1] = addr[1];
	ctx->user_ip6[2] = addr[2];
	ctx->user_ip6[3] = addr[3];
}

/* connect and sendmsg: PASS, if need be to a token's address, or REFUSE with the policy's errno. */
static __always_inline int on_call(struct bpf_sock_addr *ctx, int is_connect, int is_ipv6)
{
	struct df_conf *c = conf_get();
	struct dest d = dest_of(ctx, is_ipv6);
	struct dest_args a = pack(&d);
	__u64 rest = a.rest | (__u64)is_connect << 40, outcome;
	__u32 kind, refused;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	outcome = judge(ctx, a.high, a.low, rest);
	if (outcome >> OUTCOME_REDIRECT) {
		const __u32 *prefix = (const __u32 *)c->token6_prefix;
		__u32 token = (__u32)outcome & DF_TOKEN_MAX, keep = mask_if(is_mapped4(&d));
		__u32 addr[4] = {(d.addr[0] & keep) | (prefix[0] & ~keep), /* ::ffff: stays */
				 (d.addr[1] & keep) | (prefix[1] & ~keep),
				 (d.addr[2] & keep) | (prefix[2] & ~keep),
				 bpf_htonl(token | (DF_TOKEN4_NET & keep))};

		rewrite(ctx, addr, c->proxy_port, is_ipv6);
		return PASS;
	}
	kind = (__u8)(outcome >> OUTCOME_KIND);
	refused = (__u32)(outcome >> OUTCOME_REFUSE) & (is_zero(kind) ^ 1) & 1;
	if (refused) /* the clock is asked only then */
		refused = is_enforcing(c);
	if (!(refused & 1) && remember(ctx, a.high, a.low, rest | remembered(outcome, c, &d)) < 0) {
		kind = DF_EVENT_TABLE_FULL;
		refused = is_enforcing(c);
	}
	if (!kind)
		return PASS;
	if (kind == DF_EVENT_SINKHOLE_PROBE) {
		count(DF_COUNT_SINKHOLE_PROBE);
	} else {
		count(DF_COUNT_CONNECT_REFUSED);
		report_task(a.high, a.low, report_rest(a.rest, kind, refused, is_connect), outcome);
	}
	if (has_set_retval && (refused & 1) && c->refuse_errno)
		bpf_set_retval(-(int)c->refuse_errno);
	return verdict(refused);
}

/* recvmsg and getpeername: the application sees the resolver that it asked, not the token. */
static __always_inline int on_answer(struct bpf_sock_addr *ctx, int is_ipv6)
{
	struct df_conf *c = conf_get();
	struct dest d = dest_of(ctx, is_ipv6);
	__u32 token = c ? token_of(c, &d) : 0;
	struct bpf_sock *sk = ctx->sk;
	struct df_sock *s;
	struct df_token *t;

	if (!token)
		return PASS;
	s = sk ? bpf_sk_storage_get(&sks, sk, 0, 0) : 0;
	if (s && s->token == token) {
		__builtin_memcpy(d.addr, s->addr, sizeof(d.addr));
		d.port = s->port;
	} else {
		t = bpf_map_lookup_elem(&tok, &token);
		if (!t)
			return PASS;
		__builtin_memcpy(d.addr, t->addr, sizeof(d.addr));
		d.port = t->port;
	}
	rewrite(ctx, d.addr, d.port, is_ipv6);
	return PASS;
}

/* The programs fence_connect4 to fence_getpeername6, each at the hook of its name. */
#define ADDRESS_PROGRAM(hook, result)                                                              \
	SEC("cgroup/" #hook)                                                                       \
	int fence_##hook(struct bpf_sock_addr *ctx)                                                \
	{                                                                                          \
		return result;                                                                     \
	}
ADDRESS_PROGRAM(connect4, on_call(ctx, 1, 0))
ADDRESS_PROGRAM(connect6, on_call(ctx, 1, 1))
ADDRESS_PROGRAM(sendmsg4, on_call(ctx, 0, 0))
ADDRESS_PROGRAM(sendmsg6, on_call(ctx, 0, 1))
ADDRESS_PROGRAM(recvmsg4, on_answer(ctx, 0))
ADDRESS_PROGRAM(recvmsg6, on_answer(ctx, 1))
ADDRESS_PROGRAM(getpeername4, on_answer(ctx, 0))
ADDRESS_PROGRAM(getpeername6, on_answer(ctx, 1))

SEC("cgroup/sock_create")
int fence_sock_create(struct bpf_sock *ctx)
{
	struct df_conf *c = conf_get();
	int enforcing;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	if (ctx->type != SOCK_RAW_TYPE)
		return PASS;
	enforcing = is_enforcing(c);
	if (enforcing)
		count(DF_COUNT_SOCK_REFUSED);
	report_task(
		DF_SOCKET_KIND(ctx->family, ctx->type), 0,
		report_rest((__u64)(__u16)ctx->protocol << 16, DF_EVENT_RAW_SOCKET, enforcing, 0),
		0);
	return verdict(enforcing);
}

/*
 * A packet to a token's address whose entry the LRU has dropped: a long-lived
 * connected socket asks again.  Its own storage still knows where to.  By itself, since
 * the frames of a chain of calls have 512 octets together.
 */
__noinline int refresh_token(struct __sk_buff *skb, __u32 token, __u32 proto)
{
	struct df_sock *s = storage_of(skb);
	struct df_token t = {};

	if (!s || s->token != token || bpf_map_lookup_elem(&tok, &token))
		return 0;
	__builtin_memcpy(t.addr, s->addr, sizeof(t.addr));
	t.port = s->port;
	t.proto = proto == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	t.time = bpf_ktime_get_boot_ns(); /* no identity: not known here */
	bpf_map_update_elem(&tok, &token, &t, BPF_NOEXIST);
	return 0;
}

/* The outcome of judge_packet: an opinion in the lower 48 bits, and above it: */
#define PACKET_KIND 48 /* 8 bits, enum df_event_kind; 0: nothing to report */
#define PACKET_HELD 56 /* 1 bit: it waits for the worker's verdict on its payload */

static __always_inline __u64 refuse_packet(__u32 kind)
{
	return (__u64)kind << PACKET_KIND | (__u64)DF_TABLES_ALL << OPINION_ENFORCED;
}

/*
 * A packet that neither connect nor sendmsg has judged; or they did, as one to an address of
 * the container, and it leaves by another interface than lo (is_moved).  rest as judge_packet
 * has it, without the offset, and with is_on_lo << 48, is_moved << 49.
 */
__noinline __u64 judge_stray(__u64 high, __u64 low, __u64 rest)
{
	const struct packet packet = {
		.to = unpack(high, low, rest),
		.icmp_type = (__u8)(rest >> 32),
		.tcp_flags = (__u8)(rest >> 40),
	};
	const struct packet *p = &packet;
	const struct df_conf *c = conf_get();
	__u64 opinion;

	if (!c)
		return refuse_packet(DF_EVENT_EGRESS_UNPARSABLE);
	/* no SYN without ACK: a connection that is there, and answers of a server here */
	if (p->to.proto == IPPROTO_TCP && (p->tcp_flags & 0x12) != 0x02 && !(rest >> 49 & 1))
		return 0;
	if (p->to.port == bpf_htons(DF_DNS_PORT))
		return is_passing_open(c) ? 0 : refuse_packet(DF_EVENT_EGRESS_DNS);
	if (is_loopback(&p->to) | is_neighbour_discovery(p))
		return 0;
	opinion = opinion_of(&p->to, (__u32)(rest >> 48));
	/* an undecided table is against it: nobody would look at its payload */
	opinion |= (__u64)opinion_set(opinion, OPINION_UNDECIDED) << OPINION_AGAINST |
		   (__u64)(opinion_set(opinion, OPINION_UNDECIDED) & c->enforcing)
			   << OPINION_ENFORCED;
	return opinion | (__u64)(opinion_any(opinion, OPINION_AGAINST) * DF_EVENT_EGRESS_ADDRESS)
				 << PACKET_KIND;
}

/* rest also has ICMP type << 32, TCP flags << 40, offset of the payload << 48. */
__noinline __u64 judge_packet(struct __sk_buff *skb, __u64 high, __u64 low, __u64 rest, __u64 sport)
{
	const struct packet p = {
		.to = unpack(high, low, rest),
		.sport = (__u16)sport,
		.icmp_type = (__u8)(rest >> 32),
		.tcp_flags = (__u8)(rest >> 40),
		.payload = (__u16)(rest >> 48),
	};
	const struct df_conf *c = conf_get();
	struct df_sock *s = storage_of(skb);
	__u32 token, is_moved, is_on_lo = is_zero(skb->ifindex ^ LOOPBACK_IFINDEX);

	if (!c)
		return refuse_packet(DF_EVENT_EGRESS_UNPARSABLE);
	if (is_reserved(&p.to) | is_loopback(&p.to)) {
		/* IP_UNICAST_IF, IP_PKTINFO: the rewritten packet would leave the host */
		if (!is_on_lo)
			return refuse_packet(DF_EVENT_EGRESS_TOKEN);
		token = token_of(c, &p.to);
		if (token) {
			refresh_token(skb, token, p.to.proto);
			return 0;
		}
	}
	is_moved = s ? s->is_own & (is_on_lo ^ 1) : 0;
	if (!s || !s->verdict || is_moved)
		return judge_stray(high, low,
				   (rest & ((1ull << 48) - 1)) | (__u64)is_on_lo << 48 |
					   (__u64)is_moved << 49);
	return p.payload ? (__u64)is_held(skb, &p, s, is_enforcing(c)) << PACKET_HELD : 0;
}

/*
 * An answer in the name of Docker's resolver.  That one does not listen at 127.0.0.11:53
 * itself: a DNAT of the namespace leads on.  So the payload can bind it, and who sends from
 * there to a port of the proxy before the proxy asks has its queries by conntrack.
 */
static __always_inline __u32 is_dockers_answer(struct __sk_buff *skb, const struct packet *p)
{
	__u32 source = 0; /* RFC 791 3.1 */

	if (p->sport != bpf_htons(DF_DNS_PORT) || skb->protocol != bpf_htons(ETH_P_IP_HOST) ||
	    bpf_skb_load_bytes(skb, 12, &source, sizeof(source)) < 0)
		return 0;
	return source == bpf_htonl(0x7f00000b);
}

SEC("cgroup_skb/egress")
int fence_egress(struct __sk_buff *skb)
{
	struct df_conf *c = conf_get();
	struct packet p = {};
	__u64 judged = refuse_packet(DF_EVENT_EGRESS_UNPARSABLE);
	struct dest_args to;
	__u32 refused, kind;

	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	if (parse(skb, &p) == 0) {
		if ((c->flags & DF_CONF_DOCKER) && is_dockers_answer(skb, &p) && is_enforcing(c)) {
			count(DF_COUNT_FORGED);
			return REFUSE;
		}
		to = pack(&p.to);
		judged = judge_packet(skb, to.high, to.low,
				      to.rest | (__u64)p.icmp_type << 32 |
					      (__u64)p.tcp_flags << 40 | (__u64)p.payload << 48,
				      p.sport);
	}
	kind = (__u8)(judged >> PACKET_KIND);
	if (!kind)
		return verdict((__u32)(judged >> PACKET_HELD));
	to = pack(&p.to);
	refused = is_enforcing(c) & opinion_any(judged, OPINION_ENFORCED);
	count(DF_COUNT_EGRESS_DROP);
	report_packet(to.high, to.low, report_rest(to.rest, kind, refused, 0), judged);
	return verdict(refused);
}

/*
 * The proxy's own cgroup: port 53 out, answers on lo, nothing else.  seccomp
 * cannot see addresses, and the worker stands outside the container's fence.
 * Egress comes after the namespace's DNAT (Docker's 127.0.0.11): the port
 * that the socket was connected to counts.
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

/*
 * The other direction.  The container shares the network namespace with the proxy: with
 * IPV6_FREEBIND anybody there sends from a resolver's address, and /proc/net/udp6 tells
 * where to.  Such a packet arrives on lo, while that of a resolver elsewhere comes by
 * another interface.  Which sockets ask one that the namespace has itself the worker
 * says by their priority, when the routing has told it so.  The listening port gets
 * queries to token addresses on lo alone.
 *
 * Audit refuses nothing here either: a DNAT in the namespace may lead a query to a
 * process in it (the DNS capture of a service mesh), whose answer looks the same.
 */
SEC("cgroup_skb/ingress")
int proxy_ingress(struct __sk_buff *skb)
{
	struct df_conf *c = conf_get();
	struct bpf_sock *sk = skb->sk;
	__u32 is_listening, is_lo = skb->ifindex == LOOPBACK_IFINDEX;

	if (!c)
		return REFUSE;
	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk)
		return REFUSE;
	is_listening = sk->src_port == bpf_ntohs(c->proxy_port);
	if (is_listening)
		return is_lo ? PASS : REFUSE;
	if (!is_lo || sk->priority == DF_PRIORITY_LOCAL)
		return PASS;
	count(DF_COUNT_FORGED);
	return c->mode == DF_MODE_AUDIT || (c->flags & DF_CONF_DISABLED) ? PASS : REFUSE;
}

char LICENSE[] SEC("license") = "GPL";
