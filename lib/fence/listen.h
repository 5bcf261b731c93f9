/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen: the proxy's sockets and the token route in the container's network
 * namespace.
 *
 * One random port for all four sockets, above ip_local_port_range, not
 * reserved, without SO_REUSEADDR and SO_REUSEPORT: with either a payload could
 * bind the same port and receive queries.  IPv4 is bound to lo by
 * SO_BINDTODEVICE.  IPv6 cannot be (answers would get ENETUNREACH): its reader
 * must drop what did not arrive on ifindex 1.
 */
#ifndef DF_LISTEN_H
#define DF_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

struct df_listen {
	int udp4, udp6, tcp4, tcp6; /* owned; the IPv6 ones -1 where the namespace has no IPv6 */
	uint16_t port;              /* host byte order */
	uint8_t token6_prefix[DF_TOKEN6_PREFIX_LEN];
	uint64_t netns_cookie; /* 0: kernel before 5.14 */
};

/*
 * Enters netns_fd, opens the sockets, adds the route (with_ipv6), and comes back.  The
 * calling thread must be the only one.  0 or -errno, *ret_what (static) then
 * names the failed step.  -ENOTRECOVERABLE: could not come back; the caller must exit.
 */
int df_listen_open(int netns_fd, bool with_ipv6, struct df_listen *ret, const char **ret_what);

/* Closes the sockets and removes the route.  Also for one that df_listen_open refused. */
void df_listen_done(struct df_listen *l, int netns_fd);

/* Removes the token route in the calling thread's network namespace.  0 or -errno. */
int df_listen_remove_route(const uint8_t prefix[static DF_TOKEN6_PREFIX_LEN]);

#endif
