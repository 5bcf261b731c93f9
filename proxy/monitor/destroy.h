/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * destroy: ends a refused TCP connection at once, so that its application sees
 * ECONNABORTED and not a time-out of minutes (SOCK_DESTROY, Linux 4.5).
 *
 * Runs in the monitor, in the container's network namespace.  The worker that asks is
 * not trusted: what is ended is the socket of that very cookie, and only if the kernel
 * says that it was made in the container's cgroup or below.  Not ended are sockets of
 * nested namespaces, and those whose tuple NAT has changed: their packets are dropped.
 */
#ifndef DF_DESTROY_H
#define DF_DESTROY_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/channel.h"

struct df_monitor;

struct df_destroy {
	bool is_known; /* that the kernel has a socket diagnosis for TCP */
	bool is_reported;
	uint64_t cgroup_id; /* 0: not read yet */
};

/*
 * 0: it has ended.  -ENOENT: it was gone, or cannot be found.  -EBADMSG: the request makes
 * no sense.  -EXDEV: not a socket of the container.  -EOPNOTSUPP and others: this kernel
 * ends no connection.
 */
int df_destroy_socket(struct df_destroy *d, const struct df_msg_destroy *m);

/* The worker's request.  Where nothing is enforced, nothing is ended. */
void df_destroy_asked(struct df_monitor *m, const struct df_msg_destroy *d);

#endif
