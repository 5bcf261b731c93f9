/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: which policies a container gets, their compiled tables, and the modes. */
#ifndef DF_HOOK_POLICY_H
#define DF_HOOK_POLICY_H

#include "hook/hook.h"

/* Finds, compiles and opens the policies, or their last good tables. */
int df_hook_read_policy(struct df_hook *h);

/* With the configuration read: the mode by enforce-share and annotation. */
int df_hook_settle_mode(struct df_hook *h);

/* Removes the tables that no policy and no fence needs any more. */
void df_hook_sweep_policies(void);

#endif
