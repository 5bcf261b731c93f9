/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maps: the maps of one fence, and the configuration in them: whether the fence enforces.
 * abi.h has the part that user space shares.
 *
 * Arithmetic instead of branches, here and in the other headers: the verifier walks both sides
 * of each branch at every container start, and keeps the states apart that result.
 */
#ifndef DF_MAPS_BPF_H
#define DF_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

#define PASS 1
#define REFUSE 0

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct df_conf);
} conf SEC(".maps");

/* LRU: a flood of queries costs the flooder its own oldest tokens.  Sized by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct df_token);
} tok SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct df_sock);
} sks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32768);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DF_N_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Filled at the start, by lib/fence/fill; sized by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct df_port_key);
	__type(value, __u32);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct df_net_key);
	__type(value, struct df_net);
} nets SEC(".maps");

/* A plain hash, written and expired by the worker: an LRU evicts early on many CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DF_LEARNED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u8[16]);
	__type(value, struct df_learned);
} learned SEC(".maps");

/* Written by the monitor as addresses come and go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DF_OWN_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u8[16]);
	__type(value, __u32);
} own_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DF_FLOWS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct df_flow);
} flows SEC(".maps");

/* 30 records: a burst of connections must not keep out those that wait for a verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} payloads SEC(".maps");

/* The events of the last second: one for a burst, with a count. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DF_RECENT_MAX);
	__type(key, __u32);
	__type(value, struct df_recent);
} recent SEC(".maps");

static __always_inline struct df_conf *conf_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&conf, &zero);
}

static __always_inline void count_n(__u32 which, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += n;
}

static __always_inline void count(__u32 which)
{
	count_n(which, 1);
}

/* Signed: a beat between the two reads is not stale. */
static __always_inline __u32 is_heartbeat_stale(const struct df_conf *c)
{
	__s64 age = bpf_ktime_get_boot_ns() - c->heartbeat;

	return (__u64)((__s64)DF_HEARTBEAT_MAX_NS - age) >> 63;
}

static __always_inline __u32 is_passing_open(const struct df_conf *c)
{
	return c->flags / DF_CONF_FAIL_OPEN & is_heartbeat_stale(c) & 1;
}

/* 1 unless audit, kill switch, bypass, or fail=open without a heartbeat. */
static __always_inline __u32 is_enforcing(const struct df_conf *c)
{
	__u64 is_bypassed =
		(bpf_ktime_get_boot_ns() - c->bypass_until) >> 63; /* its end is ahead */

	return ((c->mode >> 1 | c->flags / DF_CONF_DISABLED | is_bypassed | is_passing_open(c)) &
		1) ^
	       1;
}

_Static_assert(DF_MODE_AUDIT == 2 && DF_MODE_ENFORCE == 1, "is_enforcing reads bit 1 of mode");

/*
 * The return value of a program.  The verifiers of 5.10 and 6.1 do not know the
 * bounds of the verdict here; clang does, and must not.
 */
static __always_inline int verdict(__u32 refused)
{
	asm volatile("" : "+r"(refused));
	return refused & 1 ? REFUSE : PASS;
}

#endif
