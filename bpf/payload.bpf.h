/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * payload: the octets of TCP connections in which a name decides.
 *
 * They are not parsed here: that cost 2 ms (SNI) and 30 ms (Host) of verification at every
 * container start.  A packet that is held is dropped, and a copy goes to the worker; TCP sends
 * it again after its retransmission time-out and finds the verdict in the map "flows".
 *
 * The states of a socket (df_sock.verdict).  connect sets ALLOW, UNDECIDED or SEEN (remembered
 * in connect.bpf.h), and is_held moves it on, by the worker's verdict in flows where it says so:
 *
 *   state      meaning                        a payload, while enforcing      leads to
 *   NONE       no connect has judged it       judged by its address           -
 *   ALLOW      may go                         the first as in PROXY, later    ALLOW or PROXY
 *                                             ones pass
 *   UNDECIDED  a blocked and an unlisted      held, copied                    flow: ALLOW, PROXY
 *              name have the address
 *   SEEN       port 80 or 443, and no rule    held, copied                    flow: ALLOW, PROXY
 *              and no name has the address
 *   PROXY      spoke HTTP: a request to a     one that begins so is held      flow: ALLOW, PROXY
 *              proxy may follow               and copied, the rest passes
 *   BLOCK      of flows alone                 dropped, and nobody is asked    the connection ends
 *
 * Without enforcement nothing is held: the same payloads are copied and pass, and the state
 * becomes ALLOW, or PROXY where one began like a request.  A payload that passes is
 * copied as well (as SEEN) if it is the first one, at port 80 or 443, and no rule or name allows
 * the address.  df_sock.is_read tells of the first payload that has passed.
 */
#ifndef DF_PAYLOAD_BPF_H
#define DF_PAYLOAD_BPF_H

#include "bpf/packet.bpf.h"

/* The kinds of payloads, by their first octets: sets of bits. */
#define PAYLOAD_REQUEST 1 /* to an HTTP proxy (RFC 9112 3.2.2, 3.2.3), or it may become one */
#define PAYLOAD_HTTP 2    /* a request to a server: one to a proxy may follow */

static __always_inline __u64 octets(const char text[8])
{
	__u64 value;

	__builtin_memcpy(&value, text, sizeof(value));
	return value;
}

#define IS_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* The first n octets of a word, n in 1 to 8. */
static __always_inline __u64 first_octets(__u32 n)
{
	return IS_LITTLE_ENDIAN ? ~0ull >> ((8 - n) * 8 & 63) : ~0ull << ((8 - n) * 8 & 63);
}

static __always_inline __u32 octet_of(__u64 word, __u32 i)
{
	return (__u32)(word >> ((IS_LITTLE_ENDIAN ? i : 7 - i) * 8 & 63)) & 0xff;
}

/* An octet with bit 0x20 set, that a lenient reader may take for a blank: SP, HT, VT, FF, CR. */
static __always_inline __u32 is_blank(__u32 octet)
{
	return is_zero((octet & 0xf0) ^ 0x20) & (is_zero(octet ^ 0x2f) ^ 1);
}

/*
 * w has bit 0x20 set in all octets, mask those that are there.  A method of len octets, and
 * behind it a blank and an octet that is no "/".
 */
__noinline __u32 begins_with(__u64 w, __u64 mask, __u64 method, __u32 len)
{
	__u64 differs = (w ^ method) & mask & first_octets(len);
	__u32 is_method = is_zero((__u32)differs | (__u32)(differs >> 32));
	__u32 has_blank = octet_of(mask, len) & 1, has_next = octet_of(mask, len + 1) & 1;
	__u32 is_origin = has_next & is_zero(octet_of(w, len + 1) ^ '/');

	is_origin &= is_zero(len ^ 7) ^ 1; /* the word ends with the blank */
	is_method &= (has_blank ^ 1) | is_blank(octet_of(w, len));
	return is_method * (PAYLOAD_REQUEST + is_origin * (PAYLOAD_HTTP - PAYLOAD_REQUEST));
}

/*
 * Fewer octets than a word has are a request if they could become one: it may come in
 * parts.  Where a request may stand it may also begin with an empty line (RFC 9112 2.2).
 */
static __always_inline __u32 kind_of_payload(struct __sk_buff *skb, __u32 offset, __u32 is_first)
{
	__u32 n = skb->len - offset;
	__u64 w = 0, mask;
	__u32 octet;

	if (n > sizeof(w))
		n = sizeof(w);
	n = (n - 1) & (sizeof(w) - 1);
	asm volatile("" : "+r"(n));
	n = (n & (sizeof(w) - 1)) + 1;
	if (bpf_skb_load_bytes(skb, offset, &w, n) < 0)
		return 0;
	octet = *(__u8 *)&w;
	mask = first_octets(n);
	w |= octets("        ");
	return begins_with(w, mask, octets("connect "), 7) |
	       begins_with(w, mask, octets("get     "), 3) |
	       begins_with(w, mask, octets("post    "), 4) |
	       begins_with(w, mask, octets("head    "), 4) |
	       begins_with(w, mask, octets("put     "), 3) |
	       begins_with(w, mask, octets("patch   "), 5) |
	       begins_with(w, mask, octets("delete  "), 6) |
	       begins_with(w, mask, octets("options "), 7) |
	       begins_with(w, mask, octets("trace   "), 5) |
	       (is_first & (is_zero(octet ^ '\r') | is_zero(octet ^ '\n')));
}

static __always_inline struct df_sock *storage_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	return sk ? bpf_sk_storage_get(&sks, sk, 0, 0) : 0;
}

/* Source and destination as 16 bytes each. */
static __always_inline void load_addresses(struct __sk_buff *skb, struct df_payload *r)
{
	if (skb->protocol == bpf_htons(ETH_P_IPV6_HOST)) {
		bpf_skb_load_bytes(skb, 8, r->saddr, sizeof(r->saddr));
		bpf_skb_load_bytes(skb, 24, r->daddr, sizeof(r->daddr));
		return;
	}
	r->saddr[10] = r->saddr[11] = r->daddr[10] = r->daddr[11] = 0xff;
	bpf_skb_load_bytes(skb, 12, r->saddr + 12, 4);
	bpf_skb_load_bytes(skb, 16, r->daddr + 12, 4);
}

/*
 * A copy for the worker.  what: offset of the payload | sport << 16 | dport << 32 |
 * held << 48 | enforcing << 49 | SEEN << 50.
 */
__noinline int hand_over(struct __sk_buff *skb, __u64 cookie, __u64 what)
{
	__u32 offset = (__u16)what, len = skb->len - offset;
	struct df_sock *s = storage_of(skb);
	struct df_payload *r = s ? bpf_ringbuf_reserve(&payloads, sizeof(*r), 0) : 0;

	if (!s || !r)
		return 0; /* no room: the next retransmission tries again */
	__builtin_memset(r, 0, sizeof(*r) - DF_PAYLOAD_MAX);
	r->cookie = cookie;
	r->time = bpf_ktime_get_boot_ns();
	__builtin_memcpy(r->addr, s->addr, sizeof(r->addr));
	load_addresses(skb, r);
	r->port = s->port;
	r->sport = (__u16)(what >> 16);
	r->dport = (__u16)(what >> 32);
	r->verdict = what >> 50 & 1 ? DF_VERDICT_SEEN : s->verdict;
	r->is_held = (__u8)(what >> 48) & 1;
	r->is_enforced = (__u8)(what >> 49) & 1;
	r->is_later = s->is_read == DF_READ_HTTP;
	r->tgid = s->tgid;
	r->tid = s->tid;
	r->connect_time = s->time;
	r->total_len = len;
	if (len > DF_PAYLOAD_MAX)
		len = DF_PAYLOAD_MAX;
	/* in 1 to DF_PAYLOAD_MAX, in a way that the verifier of 5.10 follows */
	len = (len - 1) & (DF_PAYLOAD_MAX - 1);
	asm volatile("" : "+r"(len));
	len = (len & (DF_PAYLOAD_MAX - 1)) + 1;
	r->len = len;
	if (bpf_skb_load_bytes(skb, offset, r->data, len) < 0)
		r->len = 0;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

_Static_assert((DF_PAYLOAD_MAX & (DF_PAYLOAD_MAX - 1)) == 0, "hand_over masks with it");

_Static_assert(DF_READ_HTTP == DF_READ_OTHER + 1, "pass_on adds a bit");

/* The state after a payload that nobody is asked about. */
static __always_inline void pass_on(struct df_sock *s, __u32 kind)
{
	if (!s->is_read)
		s->is_read = DF_READ_OTHER + (kind / PAYLOAD_HTTP & 1);
	if (kind & PAYLOAD_HTTP)
		s->verdict = DF_VERDICT_PROXY;
	else if (s->verdict == DF_VERDICT_SEEN)
		s->verdict = DF_VERDICT_ALLOW;
}

/* 1: the packet is not to leave (yet).  s is its socket's, which connect let pass. */
static __always_inline int is_held(struct __sk_buff *skb, const struct packet *p, struct df_sock *s,
				   __u32 enforcing)
{
	__u32 is_undecided = s->verdict == DF_VERDICT_UNDECIDED, len = skb->len - p->payload;
	__u32 kind = PAYLOAD_REQUEST, is_other;
	__u64 what = p->payload | (__u64)p->sport << 16 | (__u64)p->to.port << 32 |
		     (__u64)(enforcing & 1) << 49;
	struct df_flow *flow;
	__u64 cookie;

	if (skb->len <= p->payload || (s->verdict == DF_VERDICT_ALLOW && s->is_read))
		return 0;
	if (!is_undecided)
		/* an empty line may stand before each request, too (RFC 9112 2.2) */
		kind = kind_of_payload(skb, p->payload,
				       !s->is_read | (s->verdict == DF_VERDICT_PROXY));
	is_other = (kind & PAYLOAD_REQUEST) ^ 1;
	cookie = bpf_get_socket_cookie(skb);
	if (is_other && !(s->verdict == DF_VERDICT_SEEN && enforcing & 1)) {
		if (is_web(s->port) & !s->is_read & !s->is_named)
			hand_over(skb, cookie, what | 1ull << 50);
		pass_on(s, kind);
		return 0;
	}
	flow = bpf_map_lookup_elem(&flows, &cookie);
	/* the application has written more since: another request, maybe */
	if (!flow || flow->connect_time != s->time ||
	    (flow->verdict == DF_VERDICT_PROXY && len > flow->len)) {
		hand_over(skb, cookie, what | (__u64)(enforcing & 1) << 48 | (__u64)is_other << 50);
		if (enforcing & 1)
			return 1;
		s->verdict = is_undecided ? DF_VERDICT_ALLOW : DF_VERDICT_PROXY;
	} else {
		if (flow->verdict == DF_VERDICT_BLOCK)
			return enforcing & 1;
		s->verdict = flow->verdict;
		bpf_map_delete_elem(&flows, &cookie);
	}
	if (!s->is_read)
		s->is_read = DF_READ_OTHER;
	return 0;
}

#endif
