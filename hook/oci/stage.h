/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stage: what the hook is called for.
 *
 * The status alone does not tell.  runc restore calls createRuntime hooks with the status
 * "stopped" and the pid of the init that it restores; crun and runc call poststop hooks with
 * the same status, and with pid 0 or none (crun do_hooks, runc runPoststopHooks and
 * criuNotifications).
 */
#ifndef DF_STAGE_H
#define DF_STAGE_H

#include "hook/oci/state.h"

enum df_stage {
	DF_STAGE_START, /* there is an init to be fenced */
	DF_STAGE_STOP,  /* nothing runs any more */
	/* "stopped", with a process that is older than the caller: nobody's init, or a number that
	 * was used again.  It is neither fenced nor left alone. */
	DF_STAGE_UNCLEAR,
};

enum df_stage df_stage_of(const struct df_state *s);

#endif
