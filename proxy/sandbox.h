/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox: what the processes of the proxy give up.
 *
 * The worker parses hostile bytes: no capability, no file, no new program; sockets of
 * IPv4, IPv6 and netlink, and of bpf() only what reads and writes elements of the maps
 * that it holds.  The reader looks into hostile processes: /proc and its channel.  The
 * monitor keeps the capabilities it works with.  System calls that are not on the list
 * fail with EPERM: a list that forgot one costs a feature, not the fence.
 *
 * Not built with sanitizers, whose runtime needs more.
 */
#ifndef DF_SANDBOX_H
#define DF_SANDBOX_H

/*
 * No other process of this user may read or trace this one, or take its descriptors
 * (ptrace(2), "Ptrace access mode checking"), but with CAP_SYS_PTRACE.  It leaves no core either.
 * Children inherit it; a program starts without it.  First of all things.
 */
int df_sandbox_hide(void);

/*
 * Each is called by the process that it is about, once, with its descriptors open.  0,
 * or -errno: then the process must not go on.  df_sandbox_worker keeps CAP_BPF where the
 * kernel wants it for elements of maps (before 5.19), found by trying with map_fd.
 */
int df_sandbox_monitor(void);
int df_sandbox_worker(int map_fd);
int df_sandbox_reader(void);

#endif
