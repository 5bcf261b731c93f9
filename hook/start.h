/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start: the fence of a container and its proxy, from the state that main has read. */
#ifndef DF_START_H
#define DF_START_H

#include "hook/hook.h"

/*
 * /run/deployfence/ID and its lock, the kernel programs, their attachment.  69 if a foreign
 * program on the container's cgroup, or on one above it, admits no fence, would be switched off by
 * one, or is another fence's; programs that filter there become findings.
 */
int df_start_fence(struct df_hook *h);

/* The proxy; when this returns 0 it answers queries. */
int df_start_proxy(struct df_hook *h);

/* Removes all of a fence that was not finished. */
void df_start_undo(struct df_hook *h);

/* The identity of the container in *job, as far as state and config.json were read. */
void df_start_describe(const struct df_hook *h, struct df_job *job);

#endif
