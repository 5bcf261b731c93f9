/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * task: what the kernel keeps and no helper tells: parent and command line of the current
 * task, and the interface that a socket or message chose.
 *
 * Offsets come from the kernel's BTF, once a boot (lib/fence/layout.h).  CO-RE would find them at
 * each container start (17 ms).  Where one is not known, nothing is read.
 */
#ifndef DF_TASK_BPF_H
#define DF_TASK_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

/* Set before loading: the verifier leaves out what a zero switches off. */
const volatile struct df_layout layout = {};

/* What lies at an address of the kernel; 0 where it cannot be read. */
static __always_inline __u64 read_word(__u64 address)
{
	__u64 value = 0;

	(void)bpf_probe_read_kernel(&value, sizeof(value), (const void *)address);
	return value;
}

static __always_inline __u32 read_number(__u64 address)
{
	__u32 value = 0;

	(void)bpf_probe_read_kernel(&value, sizeof(value), (const void *)address);
	return value;
}

static __always_inline __u32 current_parent(void)
{
	if (!layout.task_parent || !layout.task_tgid)
		return 0;
	return read_number(read_word(bpf_get_current_task() + layout.task_parent) +
			   layout.task_tgid);
}

/* Of the process, as df_token.start. */
static __always_inline __u32 current_start(void)
{
	if (!layout.task_leader || !layout.task_start)
		return 0;
	return (__u32)(read_word(read_word(bpf_get_current_task() + layout.task_leader) +
				 layout.task_start) /
		       DF_TICK_NS);
}

/* Its length.  The arguments' pages may be out: then there is none. */
static __always_inline __u32 current_cmd(char cmd[DF_EVENT_CMD_MAX])
{
	__u64 mm, start, len;

	if (!layout.task_mm || !layout.mm_arg_start || !layout.mm_arg_end)
		return 0;
	mm = read_word(bpf_get_current_task() + layout.task_mm);
	if (!mm)
		return 0;
	start = read_word(mm + layout.mm_arg_start);
	len = read_word(mm + layout.mm_arg_end) - start;
	if (!len)
		return 0;
	if (len > DF_EVENT_CMD_MAX)
		len = DF_EVENT_CMD_MAX;
	/* in 1 to DF_EVENT_CMD_MAX, in a way that the verifier of 5.10 follows */
	len = (len - 1) & (DF_EVENT_CMD_MAX - 1);
	asm volatile("" : "+r"(len));
	len = (len & (DF_EVENT_CMD_MAX - 1)) + 1;
	return bpf_probe_read_user(cmd, (__u32)len, (const void *)start) < 0 ? 0 : (__u32)len;
}

_Static_assert((DF_EVENT_CMD_MAX & (DF_EVENT_CMD_MAX - 1)) == 0, "current_cmd masks with it");

/* As a number: the verifier lets no program add to a pointer of these types. */
static __always_inline __u64 as_number(const void *pointer)
{
	return read_word((__u64)&pointer);
}

/* The interface that IP_UNICAST_IF or IPV6_UNICAST_IF names; 0: none, or not known. */
static __always_inline __u32 socket_interface(struct bpf_sock_addr *ctx, __u32 is_ipv6)
{
	__u64 sk;

	if (!layout.sock_uc_index || !layout.sock_pinet6 || !layout.pinfo_ucast_oif)
		return 0;
	sk = as_number(ctx->sk);
	if (!is_ipv6)
		return read_number(sk + layout.sock_uc_index);
	return read_number(read_word(sk + layout.sock_pinet6) + layout.pinfo_ucast_oif);
}

/* The same of IP_PKTINFO or IPV6_PKTINFO with this message. */
static __always_inline __u32 message_interface(struct bpf_sock_addr *ctx, __u32 is_ipv6)
{
	__u64 source;

	if (!layout.ctx_t_ctx)
		return 0;
	source = read_word(as_number(ctx) + layout.ctx_t_ctx);
	if (!is_ipv6)
		return layout.ipc_oif ? read_number(source + layout.ipc_oif) : 0;
	return layout.flow_oif ? read_number(source - layout.flow_oif) : 0;
}

#endif
