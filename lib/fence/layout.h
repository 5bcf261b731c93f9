/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout: where this kernel keeps what the programs read of it (struct df_layout), from its
 * BTF.
 *
 * libbpf parses all of that BTF for it (17 ms and some MB): once a boot, by the hook, which
 * keeps what was found (hook/probe).
 */
#ifndef DF_LAYOUT_H
#define DF_LAYOUT_H

#include "bpf/abi.h"

/*
 * What is not found is 0 in *ret, and so is all that is of use with it only.
 * 0, or -errno: there is no BTF.
 */
int df_layout_find(struct df_layout *ret);

#endif
