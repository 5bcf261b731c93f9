/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sockets: which sockets can be had, a line each: "packet EPERM". */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static const struct {
		const char *name;
		int family, type;
	} kinds[] = {
		{"packet", AF_PACKET, SOCK_RAW},   {"packet-dgram", AF_PACKET, SOCK_DGRAM},
		{"xdp", AF_XDP, SOCK_RAW},         {"vsock", AF_VSOCK, SOCK_STREAM},
		{"raw", AF_INET, SOCK_RAW},        {"tcp", AF_INET, SOCK_STREAM},
		{"udp6", AF_INET6, SOCK_DGRAM},    {"unix", AF_UNIX, SOCK_STREAM},
		{"netlink", AF_NETLINK, SOCK_RAW},
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int protocol = kinds[i].type == SOCK_RAW && kinds[i].family == AF_INET ? 1 : 0;
		int fd = socket(kinds[i].family, kinds[i].type, protocol);

		(void)printf("%s %s\n", kinds[i].name, fd < 0 ? strerrorname_np(errno) : "ok");
		if (fd >= 0)
			(void)close(fd);
	}
	return 0;
}
