/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings_pid: whose processes a container sees.
 *
 * Root of a container may signal every process of its user that it sees, and trace those
 * that have no capability more than itself.  The proxy of the fence cannot be traced, but it can
 * be stopped; processes that no fence holds can be traced, and have sockets.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "hook/findings/findings.h"
#include "lib/base/util.h"

#define COMM_MAX 32

static void add_shared(const struct df_config *config, struct df_findings *f)
{
	const char *path = config->pidns_path;
	char file[64], comm[COMM_MAX] = "";
	int pid;

	/* how engines write "that of another container" */
	if (path && sscanf(path, "/proc/%d/", &pid) == 1) {
		(void)snprintf(file, sizeof(file), "/proc/%d/comm", pid);
		if (df_read_small(AT_FDCWD, file, comm, sizeof(comm)) < 0)
			*comm = '\0';
		comm[strcspn(comm, "\n")] = '\0';
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace of process %d%s%s", pid,
				*comm ? " " : "", comm);
	} else if (config->is_in_pod && config->pod) {
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace of pod %s", config->pod);
	} else {
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace %s",
				path ? path : "of others");
	}
}

void df_findings_of_processes(const struct df_config *config, const struct df_container *container,
			      struct df_findings *f)
{
	switch (container->pidns) {
	case DF_PIDNS_OWN:
		break;
	case DF_PIDNS_SHARED:
		add_shared(config, f);
		break;
	case DF_PIDNS_HOST:
		df_findings_add(f, DF_FINDING_HOST_PID, "the host's pid namespace");
		break;
	}
}
