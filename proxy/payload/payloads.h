/* SPDX-License-Identifier: GPL-2.0-or-later */
/* payloads: the kernel's ring of payloads and its map of verdicts, around flows. */
#ifndef DF_PAYLOADS_H
#define DF_PAYLOADS_H

struct df_worker;

/* Adds the ring to the worker's loop.  0 or -errno. */
int df_payloads_init(struct df_worker *w);

#endif
