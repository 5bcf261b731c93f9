/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/local.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

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

bool df_is_local(const uint8_t addr[static 16])
{
	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		return is_unspecified(addr + 12, 4) ||
		       route_type(AF_INET, addr + 12, 4) == RTN_LOCAL;
	return is_unspecified(addr, 16) || route_type(AF_INET6, addr, 16) == RTN_LOCAL;
}
