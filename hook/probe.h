/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe: numbers that were found out about this kernel, kept until it ends: below
 * /run/deployfence, with the boot's id beside them.
 */
#ifndef DF_PROBE_H
#define DF_PROBE_H

#include <stdint.h>

/* 0: not known.  name: a file name of ours. */
uint32_t df_probe_get(const char *name);

/* What cannot be kept is found out again. */
void df_probe_set(const char *name, uint32_t value);

#endif
