/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_fill: what policies say of ports and addresses, as the kernel programs read it.
 *
 * All tables are asked here, once, for each class of ports and each network that a rule
 * names; the programs then look up one octet.  Names stay in user space: proxy/learn.
 *
 * Networks stand here as rules have them.  The programs find the IPv4 addresses that an IPv6
 * address holds by themselves, and look those up, too (bpf/embedded.h): some of these forms
 * are no prefixes.
 */
#ifndef DF_FENCE_FILL_H
#define DF_FENCE_FILL_H

#include <stddef.h>

#include "bpf/abi.h"
#include "lib/policy/verdict.h"

struct df_fill_net {
	uint8_t addr[16];
	uint8_t prefix_len;
};

/* Owned by the caller; df_fill_done. */
struct df_fill {
	struct df_tables tables; /* borrows the policies' bytes */
	struct df_ports ports;
	struct df_fill_net *nets; /* sorted, without doubles */
	size_t n_nets;
	size_t n_classes; /* entries of the map "classes" */
};

/*
 * Collects networks and classes of the tables, which may be absent.  -E2BIG: their
 * rules together tell more ports apart than the kernel side can; -ENOMEM.
 */
int df_fill_init(const struct df_tables *tables, struct df_fill *ret);
void df_fill_done(struct df_fill *f);

/* Sets what policies decide: the sets of tables, flags, keep_learned_ns, refuse_errno. */
void df_fill_conf(const struct df_fill *f, struct df_conf *conf);

/* Writes the maps, which have room for n_classes and n_nets entries.  0 or -errno. */
int df_fill_maps(const struct df_fill *f, int classes_map, int nets_map);

#endif
