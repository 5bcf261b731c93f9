/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * container: the container's init, cgroup, network namespace and resolver, as
 * they are at createRuntime.  Everything is opened once and used by descriptor.
 *
 * The cgroup of a fence is the root of init's cgroup namespace, where init may stand in one below
 * it: whatever cgroup the container makes or moves to is below that root.
 *
 * Refused: a rootless caller, by a check of its own; a cgroup that is the root, the hook's own or
 * an ancestor of it, or that holds processes which are not the container's; a host without cgroup
 * v2 for this container.
 */
#ifndef DF_CONTAINER_H
#define DF_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "hook/oci/config.h"
#include "hook/oci/state.h"
#include "lib/base/proc.h"
#include "lib/base/resolv_conf.h"
#include "lib/fence/launch.h"

#define DF_CONTAINER_ERROR_MAX 1024
#define DF_CONTAINER_DEPTH_MAX 32 /* cgroups above one another; systemd's are not ten deep */

/* The processes that a container sees. */
enum df_pidns {
	DF_PIDNS_OWN,    /* its own alone */
	DF_PIDNS_SHARED, /* others', too: of a container or a pod that it joins */
	DF_PIDNS_HOST,   /* those of the hook, and so of every proxy */
};

/* Descriptors are owned; -1: not open. */
struct df_container {
	pid_t pid;
	int pidfd;
	int netns_fd;
	int cgroup_root_fd; /* directory of the cgroup2 mount */
	int cgroup_fd;      /* directory of the container's cgroup, the topmost that is its alone */
	char cgroup[DF_META_PATH_MAX];
	int above_fds[DF_CONTAINER_DEPTH_MAX]; /* of the cgroups above it, the next one first … */
	unsigned n_above;                      /* … up to the mount's root, the last one */
	bool sees_more_cgroups; /* its cgroup namespace does not begin with that cgroup */
	bool is_host_netns;
	enum df_pidns pidns;
	bool has_own_userns;
	struct df_resolv_conf dns; /* empty where the file cannot be read */
	int resolv_conf_fd;        /* of its mount; -1: it has none */
	struct timespec resolv_conf_ctime;
	struct df_proc_image image; /* what init runs now: the runtime */
	bool is_stderr_pipe;
	uint64_t stderr_dev, stderr_ino; /* of that pipe */
};

/* 0, or 77 with error filled: a rootless caller. */
int df_container_check_privilege(char ret_error[static DF_CONTAINER_ERROR_MAX]);

/* 0, or the hook's exit status with error filled: 65, 69 or 71. */
int df_container_open(const struct df_state *state, const struct df_config *config,
		      struct df_container *ret, char ret_error[static DF_CONTAINER_ERROR_MAX]);
void df_container_done(struct df_container *c);

/* DF_PIDNS_OWN where /proc does not tell: then the process is gone. */
enum df_pidns df_container_pidns(pid_t pid);

/* Equal, or a child of a child …; false where /proc does not tell. */
bool df_container_is_descendant(pid_t pid, pid_t ancestor);

/* Directory descriptor of the cgroup2 mount, or -ENOENT. */
int df_container_cgroup_root(void);

#endif
