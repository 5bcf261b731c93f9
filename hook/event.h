/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event: what the hook has to say about a fence that is not there, beside the fence's
 * own events, so that reports show it.  deployfence.events(5)
 */
#ifndef DF_HOOK_EVENT_H
#define DF_HOOK_EVENT_H

#include "lib/fence/launch.h"

/*
 * Appends one event to events.jsonl; for whoever knows that no monitor writes there.
 * What cannot be written is lost: hook.log and syslog have it too.
 */
void df_hook_event(int run_fd, const struct df_meta *m, const char *event, const char *message);

#endif
