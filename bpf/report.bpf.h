/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report: events to user space, one for a burst of like ones, with facts of the current task
 * that no helper tells: parent, start time and command line.
 *
 * Offsets in the kernel's structs come from its BTF, once a boot (lib/fence/fence.h).  CO-RE
 * would find them at each container start (17 ms).  Where one is not known, nothing is read.
 */
#ifndef DF_REPORT_BPF_H
#define DF_REPORT_BPF_H

#include "bpf/destination.bpf.h"

#define RECENT_NS 1000000000ull

/* Set before loading: the verifier leaves out the code that a zero switches off. */
const volatile struct df_layout layout = {};

/* The word at an address of the kernel; 0 where it cannot be read. */
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

/* The start time of the current process, in the unit of df_token.start. */
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

/*
 * One event for a burst of like ones in a second, with their count.  rest also has
 * kind << 32, refused << 40, is_connect << 41; opinion is address.bpf.h's.
 */
static __always_inline int report_any(__u64 high, __u64 low, __u64 rest, __u64 opinion,
				      int has_identity)
{
	const struct dest dest = unpack(high, low, rest), *d = &dest;
	__u32 kind = (__u8)(rest >> 32), refused = (__u32)(rest >> 40) & 1;
	__u64 now = bpf_ktime_get_boot_ns(), id = has_identity ? bpf_get_current_pid_tgid() : 0;
	__u64 key = (id >> 32) * 0x9e3779b97f4a7c15ull ^
		    ((__u64)d->addr[3] << 32 | (d->addr[0] ^ d->addr[1])) ^ (__u64)d->port << 16 ^
		    kind << 4 ^ refused;
	__u64 other;
	__u32 slot = (__u32)(key ^ (key >> 32)) % DF_RECENT_MAX;
	struct df_recent *r = bpf_map_lookup_elem(&recent, &slot);
	struct df_event_task *t;
	struct df_event *e;
	__u32 held_back;

	if (!r)
		return 0;
	other = r->key ^ key;
	if (!other && now - r->start < RECENT_NS) {
		__sync_fetch_and_add(&r->held_back, 1); /* all CPUs have the one entry */
		return 0;
	}
	/* those of this key that were held back; of another key they are lost, and counted */
	held_back = r->held_back & mask_if(is_zero((__u32)(other | other >> 32)));
	count_n(DF_COUNT_EVENT_LOST, r->held_back - held_back);
	r->key = key;
	r->start = now;
	r->held_back = 0;
	t = has_identity ? bpf_ringbuf_reserve(&events, sizeof(*t), 0) : 0;
	e = has_identity ? (struct df_event *)t : bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		r->key = 0;
		count_n(DF_COUNT_EVENT_LOST, 1 + held_back);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->refused = refused;
	e->time = now;
	__builtin_memcpy(e->addr, d->addr, sizeof(e->addr));
	e->port = d->port;
	e->proto = d->proto;
	e->count = 1 + held_back;
	e->against = (__u8)opinion & DF_TABLES_ALL;
	e->said = (__u8)(opinion >> 16);
	e->bits = (__u16)(opinion >> 32);
	if (has_identity) {
		e->has_identity = 1;
		e->is_connect = (__u8)(rest >> 41) & 1;
		e->tgid = id >> 32;
		e->tid = (__u32)id;
		e->uid = (__u32)bpf_get_current_uid_gid();
		bpf_get_current_comm(e->comm, sizeof(e->comm));
		t->parent = current_parent();
		t->start = current_start();
		t->pad = 0;
		__builtin_memset(t->cmd, 0, sizeof(t->cmd));
		t->cmd_len = current_cmd(t->cmd);
	}
	__builtin_memcpy(&r->last, e, sizeof(*e));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* In connect, sendmsg and sock_create. */
__noinline int report_task(__u64 high, __u64 low, __u64 rest, __u64 opinion)
{
	return report_any(high, low, rest, opinion, 1);
}

/* In egress, where the task may be another's, and before 6.10 cannot be asked for. */
__noinline int report_packet(__u64 high, __u64 low, __u64 rest, __u64 opinion)
{
	return report_any(high, low, rest, opinion, 0);
}

static __always_inline __u64 report_rest(__u64 rest, __u32 kind, __u32 refused, __u32 is_connect)
{
	return (__u32)rest | (__u64)kind << 32 | (__u64)(refused & 1) << 40 |
	       (__u64)is_connect << 41;
}

#endif
