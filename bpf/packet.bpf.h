/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: the headers that egress reads. */
#ifndef DF_PACKET_BPF_H
#define DF_PACKET_BPF_H

#include "bpf/destination.bpf.h"

/* Packets are whole here: fragmentation comes later. */
struct packet {
	struct dest to;
	__u16 sport; /* network byte order; 0: neither UDP nor TCP */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u32 payload; /* its offset, of TCP */
};

/* RFC 9293 3.1, up to the flags. */
struct tcp_start {
	__u16 sport, dport; /* network byte order */
	__u32 seq, ack;
	__u8 data_offset, flags;
} __attribute__((packed));

static __always_inline int parse_ports(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
	struct tcp_start tcp;
	__u16 ports[2];

	if (p->to.proto == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)) < 0)
			return -1;
		p->sport = tcp.sport;
		p->to.port = tcp.dport;
		p->tcp_flags = tcp.flags;
		p->payload = offset + (tcp.data_offset >> 4) * 4;
		return 0;
	}
	if (p->to.proto == PROTO_ICMPV6)
		return bpf_skb_load_bytes(skb, offset, &p->icmp_type, sizeof(p->icmp_type)) < 0 ? -1
												: 0;
	if (p->to.proto != IPPROTO_UDP && p->to.proto != IPPROTO_UDPLITE)
		return 0;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
		return -1;
	p->sport = ports[0];
	p->to.port = ports[1];
	return 0;
}

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p)
{
	__u32 h[5]; /* RFC 791 3.1, by words */
	__u32 has_options;

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) < 0)
		return -1;
	p->to.proto = bpf_ntohl(h[2]) >> 16 & 0xff;
	p->to.addr[2] = bpf_htonl(0xffff);
	p->to.addr[3] = h[4];
	/*
	 * A later fragment shows no port: the stack fragments after egress, this one is
	 * hand-made.  With a source route (RFC 791 3.1, IP_OPTIONS, which anybody may set)
	 * the packet goes elsewhere than connect was told; IGMP alone has options of the
	 * stack's own (RFC 3376 4).
	 */
	has_options = (bpf_ntohl(h[0]) >> 24) ^ 0x45;
	if ((h[1] & bpf_htonl(0x1fff)) || (has_options && p->to.proto != IPPROTO_IGMP))
		return -1;
	return parse_ports(skb, sizeof(h), p);
}

/*
 * An extension header (RFC 8200 4.1) is none that the stack adds before egress; a
 * routing header leads elsewhere than connect was told, and some anybody may ask for.
 * A packet that hides its ports behind one is unparsable.
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

/* Neighbour discovery (RFC 4861 4) and multicast listener discovery (RFC 2710 3, RFC 3810 5). */
static __always_inline int is_neighbour_discovery(const struct packet *p)
{
	return p->to.proto == PROTO_ICMPV6 &&
	       ((__u8)(p->icmp_type - 130) < 8 || p->icmp_type == 143);
}

#endif
