/* SPDX-License-Identifier: GPL-2.0-or-later */
/* on_leak: the consequence of findings: closed where the kernel can, else `on-leak` of policies. */
#ifndef DF_ON_LEAK_H
#define DF_ON_LEAK_H

#include "hook/hook.h"

/* Closes what can be closed, then judges: 0, or 78 if a policy refuses a finding. */
int df_on_leak_judge(struct df_hook *h);

#endif
