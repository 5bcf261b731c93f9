/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/oci/stage.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook/rundir.h"
#include "lib/base/util.h"

/*
 * Start time in ticks of a living process, 0 if there is none.  The descriptor is opened first
 * and asked last, so that both are of one process.
 */
static uint64_t start_of(pid_t pid)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};
	uint64_t start = df_rundir_start_of(pid);

	if (fd >= 0 && poll(&ended, 1, 0) > 0)
		return 0;
	return start;
}

enum df_stage df_stage_of(const struct df_state *s)
{
	uint64_t start;

	if (s->status == DF_STATUS_CREATE)
		return DF_STAGE_START;
	start = s->pid > 0 ? start_of(s->pid) : 0;
	if (start == 0)
		return DF_STAGE_STOP;
	/* whoever restores a container has made its init, and so was there before it */
	return start >= start_of(getppid()) ? DF_STAGE_START : DF_STAGE_UNCLEAR;
}
