/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_lsm: the program that refuses AF_PACKET and other families which the programs
 * of a fence do not see.  Where the kernel takes it (lsm_cgroup, 6.0) and asks it ("bpf"
 * among its LSMs); elsewhere there is none, which is no error.
 */
#ifndef DF_FENCE_LSM_H
#define DF_FENCE_LSM_H

#include <stdint.h>

#include "lib/fence/fence.h"

struct df_fence_lsm; /* the loaded object */

/*
 * Loads it with the maps and the layout of a fence and attaches it to the container's cgroup.
 * *btf_id: the number of the hook's function in the kernel's BTF, 0 if it is not known;
 * then it is set, for the next time: finding it costs 17 ms.
 * -EOPNOTSUPP: the kernel would not ask it; other -errno: it does not take it.
 */
int df_fence_lsm_attach(const struct df_fence_maps *maps, const struct df_layout *layout,
			int cgroup_fd, uint32_t *btf_id, struct df_fence_lsm **ret);
void df_fence_lsm_detach(const struct df_fence_lsm *lsm, int cgroup_fd); /* NULL-safe */
void df_fence_lsm_free(struct df_fence_lsm *lsm); /* NULL-safe; what is attached stays */

/* Detaches what an earlier fence left on a cgroup that is used again: its mode would go on. */
void df_fence_lsm_clean(int cgroup_fd);

#endif
