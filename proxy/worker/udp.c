/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/udp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/util.h"

#define BATCH 32
#define LOOPBACK_IFINDEX 1u /* of lo in every network namespace */

union packet_info {
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr align;
};

/* One round of recvmmsg.  Static: untouched pages are never charged. */
static struct {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in6 from[BATCH]; /* large enough for sockaddr_in */
	union packet_info info[BATCH];
	uint8_t data[BATCH][DF_DNS_MSG_MAX];
} batch;

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

int df_udp_destination(struct msghdr *h, struct in6_addr *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
			memcpy(ret->s6_addr + 12, &info.ipi_addr, 4);
			return info.ipi_ifindex == (int)LOOPBACK_IFINDEX;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ret = info.ipi6_addr;
			return info.ipi6_ifindex == LOOPBACK_IFINDEX;
		}
	}
	return -ENOENT;
}

void df_udp_ready(struct df_source *s, uint32_t events)
{
	struct df_listener *l = (struct df_listener *)s;
	struct df_worker *w = l->worker;
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
	for (int i = 0; i < n; i++) {
		struct df_client client = {.connection = -1, .is_ipv6 = l->is_ipv6};
		struct df_token token;

		if (df_udp_destination(&batch.messages[i].msg_hdr, &client.token_addr) != 1 ||
		    df_udp_token_lookup(w->meta, &client.token_addr, &token) < 0) {
			w->n_unknown_token++;
			continue;
		}
		memcpy(&client.addr, &batch.from[i],
		       l->is_ipv6 ? sizeof(client.addr.in6) : sizeof(client.addr.in4));
		w->relay->query(w, &client, &token, batch.data[i], batch.messages[i].msg_len);
	}
}

void df_udp_reply(struct df_worker *w, const struct df_client *client, const uint8_t *pkt,
		  size_t len)
{
	const struct in6_pktinfo from6 = {.ipi6_addr = client->token_addr};
	struct in_pktinfo from4 = {};
	const size_t from_len = client->is_ipv6 ? sizeof(from6) : sizeof(from4);
	union packet_info info = {};
	struct iovec iov = {(void *)pkt, len};
	struct msghdr h = {
		.msg_name = (void *)&client->addr,
		.msg_namelen =
			client->is_ipv6 ? sizeof(client->addr.in6) : sizeof(client->addr.in4),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = info.bytes,
		.msg_controllen = CMSG_SPACE(from_len),
	};
	struct cmsghdr *c = &info.align;

	memcpy(&from4.ipi_spec_dst, client->token_addr.s6_addr + 12, 4);
	c->cmsg_level = client->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = client->is_ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(from_len);
	if (client->is_ipv6)
		memcpy(CMSG_DATA(c), &from6, from_len);
	else
		memcpy(CMSG_DATA(c), &from4, from_len);
	if (sendmsg(w->listeners[client->is_ipv6].fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++; /* as on any network: the client asks again */
}
