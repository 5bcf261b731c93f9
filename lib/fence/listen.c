/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* <linux/socket.h> of 5.14 */
#endif

#define PORT_TRIES 64
#define TCP_BACKLOG 1024     /* clients that wait for a place; net.core.somaxconn may be less */
#define UDP_BUFFER (1 << 20) /* a burst of a few hundred queries fits */
#define PORTS_TEXT_MAX 4096

/* A netlink request of ours never needs more. */
struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

static void add_attribute(struct route_request *r, uint16_t type, const void *data, uint16_t len)
{
	struct rtattr *a = (struct rtattr *)((uint8_t *)r + NLMSG_ALIGN(r->header.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->header.nlmsg_len = NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* "ip -6 route add|del local PREFIX/96 dev lo table local" */
static int change_route(const uint8_t *prefix, uint16_t type, uint16_t flags)
{
	struct route_request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = type,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags},
		.route = {.rtm_family = AF_INET6,
			  .rtm_dst_len = DF_TOKEN6_PREFIX_LEN * 8,
			  .rtm_table = RT_TABLE_LOCAL,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = RT_SCOPE_UNIVERSE,
			  .rtm_type = RTN_LOCAL},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[256];
	} answer = {};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const uint32_t lo = 1;
	uint8_t dst[16] = {};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	if (fd < 0)
		return -errno;
	memcpy(dst, prefix, DF_TOKEN6_PREFIX_LEN);
	add_attribute(&request, RTA_DST, dst, sizeof(dst));
	add_attribute(&request, RTA_OIF, &lo, sizeof(lo));
	if (sendto(fd, &request, request.header.nlmsg_len, 0, (const void *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(answer.error)))
		return n < 0 ? -errno : -EPROTO;
	return answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
}

int df_listen_remove_route(const uint8_t prefix[static DF_TOKEN6_PREFIX_LEN])
{
	return change_route(prefix, RTM_DELROUTE, 0);
}

static int bind_socket(int family, int type, uint16_t port)
{
	_cleanup_close_ int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1, buffer = UDP_BUFFER;
	const struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int r;

	if (fd < 0)
		return -errno;
	if (family == AF_INET) {
		r = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
		if (r == 0 && type == SOCK_DGRAM)
			r = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	} else {
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		if (r == 0)
			r = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
		if (r == 0 && type == SOCK_DGRAM)
			r = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	}
	if (r < 0)
		return -errno;
	if (type == SOCK_DGRAM) /* best effort: the default holds some hundred queries */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (family == AF_INET)
		r = bind(fd, (const void *)&in4, sizeof(in4));
	else
		r = bind(fd, (const void *)&in6, sizeof(in6));
	if (r == 0 && type == SOCK_STREAM)
		r = listen(fd, TCP_BACKLOG);
	return r < 0 ? -errno : TAKE_FD(fd);
}

/* The list of ip_local_reserved_ports: "8080,9000-9010". */
static bool is_reserved(const char *list, unsigned port)
{
	while (*list) {
		char *end;
		unsigned long low = strtoul(list, &end, 10), high = low;

		if (end == list)
			return false;
		if (*end == '-')
			high = strtoul(end + 1, &end, 10);
		if (port >= low && port <= high)
			return true;
		list = *end == ',' ? end + 1 : end + strlen(end);
	}
	return false;
}

/* A port that no socket gets by itself: above the ephemeral range where that leaves room. */
static uint16_t draw_port(void)
{
	char range[64] = "", reserved[PORTS_TEXT_MAX] = "";
	unsigned low = 0, high = 0, from, span;
	uint16_t random, port = 0;

	(void)df_read_small(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", range,
			    sizeof(range));
	(void)df_read_small(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_reserved_ports", reserved,
			    sizeof(reserved));
	if (sscanf(range, "%u %u", &low, &high) != 2 || high > 65535)
		high = 60999;
	from = high < 65000 ? high + 1 : 1024;
	span = 65535 - from + 1;
	for (int i = 0; i < PORT_TRIES; i++) {
		df_random(&random, sizeof(random));
		port = (uint16_t)(from + random % span);
		if (!is_reserved(reserved, port))
			break;
	}
	return port;
}

static void close_sockets(struct df_listen *l)
{
	int *fds[] = {&l->udp4, &l->udp6, &l->tcp4, &l->tcp6};

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

/* All sockets on one port.  -EADDRINUSE: try another. */
static int open_on(struct df_listen *l, uint16_t port, bool with_ipv6)
{
	l->port = port;
	l->udp4 = bind_socket(AF_INET, SOCK_DGRAM, port);
	if (l->udp4 < 0)
		return l->udp4;
	l->tcp4 = bind_socket(AF_INET, SOCK_STREAM, port);
	if (l->tcp4 < 0)
		return l->tcp4;
	if (!with_ipv6)
		return 0;
	l->udp6 = bind_socket(AF_INET6, SOCK_DGRAM, port);
	if (l->udp6 < 0)
		return l->udp6;
	l->tcp6 = bind_socket(AF_INET6, SOCK_STREAM, port);
	return l->tcp6 < 0 ? l->tcp6 : 0;
}

/* The prefix is DF_TOKEN6_NET/32 (RFC 4193) with 64 random bits: unique for each fence. */
static bool add_route(struct df_listen *l)
{
	const uint32_t net = htonl(DF_TOKEN6_NET);

	memcpy(l->token6_prefix, &net, sizeof(net));
	df_random(l->token6_prefix + sizeof(net), sizeof(l->token6_prefix) - sizeof(net));
	if (change_route(l->token6_prefix, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL) == 0)
		return true;
	/* No IPv6 here (module absent, disable_ipv6): its port 53 is refused, start goes on. */
	memset(l->token6_prefix, 0, sizeof(l->token6_prefix));
	return false;
}

static int open_here(struct df_listen *l, bool with_ipv6, const char **ret_what)
{
	socklen_t len = sizeof(l->netns_cookie);
	int r = -EADDRINUSE;

	with_ipv6 = with_ipv6 && add_route(l);

	*ret_what = "open the proxy's sockets";
	for (int i = 0; i < PORT_TRIES && r == -EADDRINUSE; i++) {
		close_sockets(l);
		r = open_on(l, draw_port(), with_ipv6);
	}
	if (r < 0)
		return r;
	if (getsockopt(l->udp4, SOL_SOCKET, SO_NETNS_COOKIE, &l->netns_cookie, &len) < 0)
		l->netns_cookie = 0;
	return 0;
}

int df_listen_open(int netns_fd, bool with_ipv6, struct df_listen *ret, const char **ret_what)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	*ret = (struct df_listen){.udp4 = -1, .udp6 = -1, .tcp4 = -1, .tcp6 = -1};
	*ret_what = "enter the container's network namespace";
	if (home < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	r = open_here(ret, with_ipv6, ret_what);
	if (r < 0) {
		close_sockets(ret);
		(void)df_listen_remove_route(ret->token6_prefix);
	}
	if (setns(home, CLONE_NEWNET) < 0) {
		*ret_what = "leave the container's network namespace";
		return -ENOTRECOVERABLE;
	}
	return r;
}

void df_listen_done(struct df_listen *l, int netns_fd)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};

	close_sockets(l);
	if (memcmp(l->token6_prefix, none, sizeof(none)) == 0 || home < 0)
		return;
	if (setns(netns_fd, CLONE_NEWNET) == 0) {
		(void)df_listen_remove_route(l->token6_prefix);
		(void)setns(home, CLONE_NEWNET); /* the caller is about to exit */
	}
}
