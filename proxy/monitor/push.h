/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push: what a connection holds back leaves at once, when the verdict is there.
 *
 * Egress dropped its packet, so TCP has it in the queue still and would send it with its
 * next probe, 200 ms later.  Taking TCP_CORK off a socket that has none sends what is
 * queued (tcp(7)) and changes nothing else.  The socket is one of the process that
 * connected it, found by its cookie among that process's descriptors.
 *
 * By the reader: it may look at processes of the container, and may be killed.  Needs
 * pidfd_getfd (5.6).  What is not found waits for its probe.
 */
#ifndef DF_PUSH_H
#define DF_PUSH_H

#include "lib/fence/launch.h"
#include "proxy/channel.h"

#define DF_PUSH_DESCRIPTORS_MAX 1024 /* of a process, that are looked at */

/* proc_fd: a directory descriptor of /proc. */
void df_push(const struct df_meta *meta, int proc_fd, const struct df_msg_push *m);

#endif
