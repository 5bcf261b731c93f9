/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client side over UDP: queries come to a token's address, answers go from it. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/worker/worker.h"

#define BATCH 32
#define LOOPBACK_IFINDEX 1u /* of lo in every network namespace */

union packet_info {
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr align;
};

/* One round of recvmmsg.  Static: what stays untouched is never charged. */
static struct {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in6 from[BATCH]; /* large enough for sockaddr_in */
	union packet_info info[BATCH];
	uint8_t data[BATCH][DF_DNS_MSG_MAX];
} batch;

static void map4(struct in6_addr *ret, struct in_addr in4)
{
	memset(ret, 0, sizeof(*ret));
	ret->s6_addr[10] = 0xff;
	ret->s6_addr[11] = 0xff;
	memcpy(ret->s6_addr + 12, &in4, 4);
}

int df_udp_token_lookup(const struct df_meta *meta, const struct in6_addr *addr,
			struct df_token *ret)
{
	uint32_t token;

	memcpy(&token, addr->s6_addr + 12, 4);
	token = ntohl(token);
	if (IN6_IS_ADDR_V4MAPPED(addr)) {
		if ((token & DF_TOKEN4_MASK) != DF_TOKEN4_NET)
			return -ENOENT;
		token &= DF_TOKEN_MAX;
	} else if (memcmp(addr, meta->token6_prefix, sizeof(meta->token6_prefix)) != 0) {
		return -ENOENT;
	}
	return token && bpf_map_lookup_elem(DF_FD_TOK, &token, ret) == 0 ? 0 : -ENOENT;
}

/* The address the packet was sent to.  -ENOENT: it did not come over lo. */
static int destination(struct msghdr *h, struct in6_addr *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			map4(ret, info.ipi_addr);
			return info.ipi_ifindex == (int)LOOPBACK_IFINDEX ? 0 : -ENOENT;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ret = info.ipi6_addr;
			return info.ipi6_ifindex == LOOPBACK_IFINDEX ? 0 : -ENOENT;
		}
	}
	return -ENOENT;
}

static void received(struct df_listener *l, struct mmsghdr *m, const void *from,
		     const uint8_t *data)
{
	struct df_worker *w = l->worker;
	struct df_client client = {.connection = -1, .is_ipv6 = l->is_ipv6};
	struct df_token token;

	if (destination(&m->msg_hdr, &client.token_addr) < 0 ||
	    df_udp_token_lookup(w->meta, &client.token_addr, &token) < 0) {
		w->n_unknown_token++;
		return;
	}
	memcpy(&client.addr, from, l->is_ipv6 ? sizeof(client.addr.in6) : sizeof(client.addr.in4));
	df_relay_query(w, &client, &token, data, m->msg_len);
}

static void udp_ready(struct df_source *s, uint32_t events)
{
	struct df_listener *l = (struct df_listener *)s;
	int n;

	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		batch.iov[i] = (struct iovec){batch.data[i], sizeof(batch.data[i])};
		batch.messages[i].msg_hdr = (struct msghdr){
			.msg_name = &batch.from[i],
			.msg_namelen = sizeof(batch.from[i]),
			.msg_iov = &batch.iov[i],
			.msg_iovlen = 1,
			.msg_control = batch.info[i].bytes,
			.msg_controllen = sizeof(batch.info[i].bytes),
		};
	}
	n = recvmmsg(l->fd, batch.messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		received(l, &batch.messages[i], &batch.from[i], batch.data[i]);
}

void df_udp_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len)
{
	union packet_info info = {};
	struct iovec iov = {(void *)pkt, len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = info.bytes};
	struct cmsghdr *c = &info.align;

	if (client->is_ipv6) {
		const struct in6_pktinfo from = {.ipi6_addr = client->token_addr};

		h.msg_name = (void *)&client->addr.in6;
		h.msg_namelen = sizeof(client->addr.in6);
		h.msg_controllen = CMSG_SPACE(sizeof(from));
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(from));
		memcpy(CMSG_DATA(c), &from, sizeof(from));
	} else {
		struct in_pktinfo from = {};

		memcpy(&from.ipi_spec_dst, client->token_addr.s6_addr + 12, 4);
		h.msg_name = (void *)&client->addr.in4;
		h.msg_namelen = sizeof(client->addr.in4);
		h.msg_controllen = CMSG_SPACE(sizeof(from));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(from));
		memcpy(CMSG_DATA(c), &from, sizeof(from));
	}
	if (sendmsg(w->listeners[client->is_ipv6].fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++; /* as on any network: the client asks again */
}

int df_udp_init(struct df_worker *w)
{
	for (int i = 0; i < 2; i++) {
		struct df_listener *l = &w->listeners[i];
		int r;

		if (l->fd < 0)
			continue;
		l->source.ready = udp_ready;
		r = df_loop_add(&w->loop, l->fd, EPOLLIN, &l->source);
		if (r < 0)
			return r;
	}
	return 0;
}
