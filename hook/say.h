/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * say: shows the person who started the container why it was refused.
 *
 * runc prints the hook's stderr.  crun sends it to /dev/null; there the line
 * goes to descriptor 2 of the container's init, which podman reads from conmon.
 */
#ifndef DF_SAY_H
#define DF_SAY_H

#include <sys/types.h>

#include "lib/base/log.h"

/* pid: the container's init, 0 if unknown.  Below DF_LOG_WARNING only stderr is used. */
void df_say_to_caller(pid_t pid, enum df_log_level level, const char *line);

#endif
