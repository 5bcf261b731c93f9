/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/own.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"

#define ROUND_SIZE 16384 /* the most that the kernel puts into one message of a dump */

static void add(struct df_own *o, const struct ifaddrmsg *a, const struct rtattr *attr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
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
