/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf_helpers: in place of libbpf's header of this name, so that the compiler of the host
 * compiles bpf/ (tests/lib/host_bpf.c).  Maps are variables, helpers are functions of that file.
 * Those that libbpf has for user space as well get another name.
 */
#ifndef DF_HOST_BPF_HELPERS_H
#define DF_HOST_BPF_HELPERS_H

#include <linux/bpf.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __noinline __attribute__((noinline))

#define bpf_map_lookup_elem host_map_lookup_elem
#define bpf_map_update_elem host_map_update_elem

static void *bpf_map_lookup_elem(const void *map, const void *key);
static long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
static void *bpf_sk_storage_get(const void *map, struct bpf_sock *sk, void *value, __u64 flags);
static void *bpf_ringbuf_reserve(const void *map, __u64 size, __u64 flags);
static void bpf_ringbuf_submit(void *data, __u64 flags);
static __u64 bpf_ktime_get_boot_ns(void);
static __u64 bpf_get_netns_cookie(const void *ctx);
static __u64 bpf_get_current_pid_tgid(void);
static __u64 bpf_get_current_uid_gid(void);
static __u64 bpf_get_current_task(void);
static __u32 bpf_get_prandom_u32(void);
static long bpf_get_current_comm(void *buf, __u32 size);
static long bpf_probe_read_kernel(void *dst, __u32 size, const void *src);
static long bpf_probe_read_user(void *dst, __u32 size, const void *src);

#endif
