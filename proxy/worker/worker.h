/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker: the process that reads hostile octets, decides, relays and answers.
 *
 * It serves DNS and judges payloads.  The monitor starts it, gives it its descriptors, and
 * replaces it when it dies.
 */
#ifndef DF_WORKER_H
#define DF_WORKER_H

struct df_learn_shared;
struct df_meta;

/* Runs until the monitor goes.  Never returns. */
_Noreturn void df_worker_run(const struct df_meta *meta, struct df_learn_shared *learned,
			     int channel);

#endif
