/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/own_addr.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"

#define ROUND_SIZE 16384 /* the most that the kernel puts into one message of a dump */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* --- the addresses */

static void add(struct df_own *o, const struct ifaddrmsg *a, const struct rtattr *attr)
{
	uint8_t *addr;

	if (o->n == DF_OWN_MAX)
		return;
	addr = o->addrs[o->n];
	if (a->ifa_family == AF_INET && RTA_PAYLOAD(attr) == 4) {
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + 12, RTA_DATA(attr), 4);
		o->n++;
	} else if (a->ifa_family == AF_INET6 && RTA_PAYLOAD(attr) == 16) {
		memcpy(addr, RTA_DATA(attr), 16);
		o->n++;
	}
}

/* IFA_LOCAL where there is one: on a point-to-point link IFA_ADDRESS is the peer's. */
static void take(struct df_own *o, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	const struct rtattr *local = NULL, *address = NULL;
	int len = (int)IFA_PAYLOAD(h);

	for (const struct rtattr *attr = IFA_RTA(a); RTA_OK(attr, len);
	     attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == IFA_LOCAL)
			local = attr;
		else if (attr->rta_type == IFA_ADDRESS)
			address = attr;
	}
	if (local || address)
		add(o, a, local ? local : address);
}

/* 0: more messages follow; 1: it was the last one; or -errno. */
static int take_round(struct df_own *o, int fd)
{
	static union {
		struct nlmsghdr header;
		char bytes[ROUND_SIZE];
	} round;
	ssize_t len = recv(fd, &round, sizeof(round), MSG_DONTWAIT);

	if (len < 0)
		return -errno;
	for (const struct nlmsghdr *h = &round.header; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return 1;
		if (h->nlmsg_type == RTM_NEWADDR &&
		    h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
			take(o, h);
	}
	return 0;
}

void df_own_read(struct df_own *o)
{
	const struct {
		struct nlmsghdr header;
		struct ifaddrmsg body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETADDR,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.ifa_family = AF_UNSPEC},
	};
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	o->n = 0;
	if (fd < 0 || send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		return;
	while (take_round(o, fd) == 0)
		;
}

void df_own_add(struct df_own *o, const uint8_t addr[static 16])
{
	if (o->n < DF_OWN_MAX)
		memcpy(o->addrs[o->n++], addr, sizeof(o->addrs[0]));
}

bool df_own_has(struct df_own *o, const uint8_t addr[static 16], uint64_t now_ns)
{
	if (now_ns >= o->until_ns) {
		df_own_read(o);
		o->until_ns = now_ns + DF_OWN_KEEP_NS;
	}
	for (unsigned i = 0; i < o->n; i++)
		if (memcmp(o->addrs[i], addr, 16) == 0)
			return true;
	return false;
}

/* --- the routes */

static bool is_unspecified(const uint8_t *addr, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (addr[i] != 0)
			return false;
	return true;
}

/* The type of the route to an address, RTN_…; RTN_UNSPEC: none, or it cannot be asked. */
static uint8_t route_type(uint8_t family, const uint8_t *addr, uint16_t len)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr dst;
		uint8_t addr[16];
	} request = {
		.header = {.nlmsg_len = (uint32_t)(sizeof(request) - 16 + len),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = family, .rtm_dst_len = (uint8_t)(len * 8)},
		.dst = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = RTA_DST},
	};
	union {
		struct nlmsghdr header;
		uint8_t bytes[4096];
	} answer;
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	const struct rtmsg *route = NLMSG_DATA(&answer.header);
	ssize_t n;

	memcpy(request.addr, addr, len);
	if (fd < 0 || send(fd, &request, request.header.nlmsg_len, MSG_NOSIGNAL) < 0)
		return RTN_UNSPEC;
	n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT); /* the kernel answers within send */
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*route)) || answer.header.nlmsg_type != RTM_NEWROUTE)
		return RTN_UNSPEC;
	return route->rtm_type;
}

bool df_own_is_local(const uint8_t addr[static 16])
{
	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		return is_unspecified(addr + 12, 4) ||
		       route_type(AF_INET, addr + 12, 4) == RTN_LOCAL;
	return is_unspecified(addr, 16) || route_type(AF_INET6, addr, 16) == RTN_LOCAL;
}
