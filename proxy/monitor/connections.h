/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connections: what the verdict of a payload does to the container's TCP connection.
 *
 * A refused one ends at once, so that its application sees ECONNABORTED and not a time-out of
 * minutes (SOCK_DESTROY, Linux 4.5).  By the monitor, in the container's network namespace.
 * The worker that asks is not trusted: only the socket of that very cookie is ended, and only
 * if the kernel says that it was made in the container's cgroup or below.  Not ended are
 * sockets of nested namespaces, and those whose tuple NAT has changed: their packets are
 * dropped.
 *
 * A held one that passes sends at once.  Egress dropped its packet, so TCP has it in the
 * queue still and would send it with its next retransmission, 200 ms later.  Taking TCP_CORK
 * off a socket that has none sends the queue (tcp(7)) and changes nothing else.  By
 * the reader, which may look at processes of the container, and may be killed.  Needs
 * pidfd_getfd (5.6).
 */
#ifndef DF_CONNECTIONS_H
#define DF_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/fence/launch.h"
#include "proxy/channel.h"

#define DF_RESUME_DESCRIPTORS_MAX 1024 /* of a process, that are looked at */

struct df_record;

struct df_connections {
	const struct df_meta *meta;
	struct df_record *record;
	bool is_known; /* that the kernel has a socket diagnosis for TCP */
	bool is_reported;
	uint64_t cgroup_id; /* 0: not read yet */
};

/*
 * 0: it has ended.  -ENOENT: it was gone, or cannot be found.  -EBADMSG: the request makes
 * no sense.  -EXDEV: not a socket of the container.  -EOPNOTSUPP and others: this kernel
 * ends no connection.
 */
int df_connections_destroy(struct df_connections *c, const struct df_msg_destroy *m);

/* The worker's request.  Where nothing is enforced, nothing is ended. */
void df_connections_asked(struct df_connections *c, const struct df_msg_destroy *m);

/*
 * The socket of that cookie among the descriptors of a process sends what it holds back.
 * process_fd: its directory in /proc.  A socket that is not found waits for TCP.
 */
void df_connections_resume(int pidfd, int process_fd, uint64_t cookie);

#endif
