/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: events to user space, one for a burst of like ones. */
#ifndef DF_REPORT_BPF_H
#define DF_REPORT_BPF_H

#include "bpf/dest.bpf.h"
#include "bpf/task.bpf.h"

#define RECENT_NS 1000000000ull

static __always_inline __u64 key_of(const struct dest *d, __u32 kind, __u32 refused, __u64 id)
{
	return (id >> 32) * 0x9e3779b97f4a7c15ull ^
	       ((__u64)d->addr[3] << 32 | (d->addr[0] ^ d->addr[1])) ^ (__u64)d->port << 16 ^
	       kind << 4 ^ refused;
}

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
	__u64 key = key_of(d, kind, refused, id), other;
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
	}
	if (has_identity) {
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
