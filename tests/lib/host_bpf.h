/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_bpf: the kernel programs' judgement of a destination, compiled from bpf/ itself for the
 * host, over maps in memory.
 */
#ifndef DF_HOST_BPF_H
#define DF_HOST_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/*
 * Stand for descriptors of maps in a program that is linked with --wrap=bpf_map_update_elem; with
 * --wrap=bpf_map_lookup_elem, each lookup is one of map "learned".
 */
enum { DF_HOST_CLASSES = 1, DF_HOST_NETS };

#define DF_HOST_NOW_NS 1000000000000ull /* the clock of the programs, which stands still */

/* Empties all maps. */
void df_host_clear(void);
struct df_conf *df_host_conf(void);

/* Map "learned": as df_learn_map of proxy/learn/learn.h. */
int df_host_learned_get(const uint8_t addr[static 16], struct df_learned *ret);
int df_host_learned_put(const uint8_t addr[static 16], const struct df_learned *value);
int df_host_learned_remove(const uint8_t addr[static 16]);

/* Map "own_addrs" has this address and no other; NULL: none. */
void df_host_own(const uint8_t *addr);

/* What judge() of bpf/connect.bpf.h returns. */
struct df_host_outcome {
	uint8_t against, undecided, noted, enforced; /* sets of tables */
	uint16_t bits;                               /* what is learned of the address */
	uint8_t said;                                /* verdicts of address rules */
	uint8_t kind;                                /* enum df_event_kind */
	bool is_refused;                             /* where the fence enforces */
	bool is_redirected;                          /* to the proxy */
};

/* A connect; port in host byte order, proto IPPROTO_…. */
struct df_host_outcome df_host_judge(const uint8_t addr[static 16], uint16_t proto, uint16_t port);

#endif
