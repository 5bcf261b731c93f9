/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe: numbers that were found out about this kernel, kept until it ends: below
 * /run/deployfence, with the boot's id beside them.
 */
#ifndef DF_PROBE_H
#define DF_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DF_PROBE_VALUES_MAX 32

/* n numbers into values, else untouched.  False: not known.  name: a file name of ours. */
bool df_probe_get(const char *name, uint32_t *values, size_t n);

/* What cannot be kept is found out again. */
void df_probe_set(const char *name, const uint32_t *values, size_t n);

#endif
