/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/util.h"

#define CLOSING "@closing" /* no id has '@': where a proxy stands while it removes its own */
#define SPARE_FD_MIN 64    /* above every DF_FD_… */
#define CREATE_TRIES 5
#define REMOVE_TRIES 50
#define REMOVE_PAUSE_US 2000

int df_launch_memfd(const char *name, const void *data, size_t len)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = df_write_all(fd, data, len);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int write_at(int dirfd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return df_write_all(fd, text, strlen(text));
}

/* -ENOENT, -ENODEV: another fence's end removed the parent meanwhile. */
static int try_cgroup(int root_fd, const char *id)
{
	_cleanup_close_ int parent = -1;
	int fd;

	if (mkdirat(root_fd, DF_LAUNCH_CGROUP_PARENT, 0755) < 0 && errno != EEXIST)
		return -errno;
	parent = openat(root_fd, DF_LAUNCH_CGROUP_PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	/* Makes each fence's cost visible where the host's root hands these on. */
	(void)write_at(parent, "cgroup.subtree_control", "+memory");
	(void)write_at(parent, "cgroup.subtree_control", "+cpu");
	(void)unlinkat(parent, id, AT_REMOVEDIR);
	if (mkdirat(parent, id, 0755) < 0)
		return -errno;
	fd = openat(parent, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int df_launch_cgroup(int root_fd, const char *id, char *ret_path, size_t size)
{
	int fd = -ENOENT;

	for (int i = 0; i < CREATE_TRIES && (fd == -ENOENT || fd == -ENODEV); i++)
		fd = try_cgroup(root_fd, id);
	if (fd >= 0)
		(void)snprintf(ret_path, size, DF_LAUNCH_CGROUP_PARENT "/%s", id);
	return fd;
}

void df_launch_cgroup_remove(int root_fd, const char *path)
{
	char kill_path[DF_META_PATH_MAX];

	(void)snprintf(kill_path, sizeof(kill_path), "%s/cgroup.kill", path);
	(void)write_at(root_fd, kill_path, "1"); /* 5.14; before, the caller ends them by pid */
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(root_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			break;
		(void)usleep(REMOVE_PAUSE_US);
	}
	(void)unlinkat(root_fd, DF_LAUNCH_CGROUP_PARENT, AT_REMOVEDIR);
}

void df_launch_cgroup_tidy(int root_fd)
{
	/* the process there is about to exit */
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(root_fd, DF_LAUNCH_CGROUP_PARENT "/" CLOSING, AT_REMOVEDIR) == 0 ||
		    errno != EBUSY)
			break;
		(void)usleep(REMOVE_PAUSE_US);
	}
	(void)unlinkat(root_fd, DF_LAUNCH_CGROUP_PARENT, AT_REMOVEDIR);
}

/*
 * A child that is born in the cgroup.  Moving it there later would wait for an
 * RCU grace period under the threadgroup lock: 10 to 20 ms at every start.
 * -ENOSYS, -E2BIG, -EINVAL: before 5.7.
 */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_fd};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 ? -errno : (pid_t)pid;
}

/* Waits for the end of its parent, whose cgroup it then removes. */
static void wait_and_remove(int root_fd, const char *path, int parent_pipe)
{
	char octet;

	if (read(parent_pipe, &octet, 1) < 0)
		(void)usleep(REMOVE_PAUSE_US);
	df_launch_cgroup_remove(root_fd, path);
}

int df_launch_cgroup_of(pid_t pid, char *ret, size_t size)
{
	char path[64], text[DF_META_PATH_MAX + 512];
	const char *line;
	size_t len;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	n = df_read_small(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/') + 1;
	len = strcspn(line, "\n");
	if (strncmp(line, "..", 2) == 0 || strstr(line, "/..") || len + 1 > size)
		return -ENOENT; /* outside of the cgroup namespace */
	memcpy(ret, line, len);
	ret[len] = '\0';
	return 0;
}

static pid_t fork_into_path(int root_fd, const char *path)
{
	_cleanup_close_ int fd = -1;

	if (*path == '\0')
		return -ENOENT;
	fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fork_into(fd);
}

/*
 * Where no cgroup of a fence is.  The root takes processes, but not one that only looks like it
 * (cgroup namespace) and hands controllers on: cgroups(7), "no internal processes".  Then the
 * cgroup of the fence's caller does, or that of the present parent, which is conmon, a shim or
 * pid 1, for the few milliseconds of a removal.  Last a cgroup of our own, which the next hook
 * removes.
 */
static pid_t fork_outside(int root_fd, const char *caller)
{
	char parent[DF_META_PATH_MAX];
	pid_t pid = fork_into(root_fd);

	if (pid != -EBUSY)
		return pid;
	pid = fork_into_path(root_fd, caller);
	if (pid < 0 && df_launch_cgroup_of(getppid(), parent, sizeof(parent)) == 0)
		pid = fork_into_path(root_fd, parent);
	if (pid >= 0)
		return pid;
	(void)mkdirat(root_fd, DF_LAUNCH_CGROUP_PARENT "/" CLOSING, 0755);
	return fork_into_path(root_fd, DF_LAUNCH_CGROUP_PARENT "/" CLOSING);
}

pid_t df_launch_cgroup_leave(int root_fd, const char *path, const char *caller)
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork_outside(root_fd, caller);
	if (pid < 0 && write_at(root_fd, "cgroup.procs", "0") == 0)
		pid = fork(); /* before 5.7 */
	if (pid == 0) {
		(void)close(pipe_fds[1]);
		wait_and_remove(root_fd, path, pipe_fds[0]);
	}
	/* the parent's write end closes with it */
	(void)close(pipe_fds[0]);
	return pid;
}

/* Brings the descriptors to their numbers and closes all others. */
static int place_fds(const struct df_launch *l)
{
	const int n = DF_FD_END - DF_FD_FIRST;
	int spare[DF_FD_END - DF_FD_FIRST];

	for (int i = 0; i < n; i++) {
		spare[i] = -1;
		if (l->fds[i] < 0)
			continue;
		spare[i] = fcntl(l->fds[i], F_DUPFD, SPARE_FD_MIN);
		if (spare[i] < 0)
			return -errno;
	}
	for (int i = 0; i < n; i++) {
		int to = DF_FD_FIRST + i;

		if (spare[i] < 0)
			(void)close(to);
		else if (dup2(spare[i], to) < 0)
			return -errno;
	}
	return syscall(SYS_close_range, (unsigned)DF_FD_END, ~0u, 0u) < 0 ? -errno : 0;
}

static int child_prepare(const struct df_launch *l, bool must_move)
{
	int null;

	if (setsid() < 0)
		return -errno;
	if (must_move) {
		int r = write_at(l->proxy_cgroup_fd, "cgroup.procs", "0");

		if (r < 0)
			return r;
	}
	if (setns(l->fds[DF_FD_NETNS - DF_FD_FIRST], CLONE_NEWNET) < 0 || chdir("/") < 0)
		return -errno;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -errno;
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	return place_fds(l);
}

static void child_run(const struct df_launch *l, bool must_move)
{
	char *const argv[] = {(char *)"deployfence-proxy", (char *)l->id, NULL};
	char *const envp[] = {NULL};

	if (child_prepare(l, must_move) == 0)
		(void)execve(l->program, argv, envp);
	_exit(127);
}

static int wait_ready(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char octet;
	int r;

	do
		r = poll(&p, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	return read(fd, &octet, 1) == 1 ? 0 : -ECHILD;
}

int df_launch(const struct df_launch *l, int timeout_ms)
{
	_cleanup_close_ int ready_read = -1, ready_write = -1;
	struct df_launch with_pipe = *l;
	bool must_move = false;
	int pipe_fds[2], r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	ready_read = pipe_fds[0];
	ready_write = pipe_fds[1];
	with_pipe.fds[DF_FD_READY - DF_FD_FIRST] = ready_write;
	pid = l->proxy_cgroup_fd < 0 ? -ENOSYS : fork_into(l->proxy_cgroup_fd);
	if (pid < 0) {
		must_move = l->proxy_cgroup_fd >= 0;
		pid = fork();
	}
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_run(&with_pipe, must_move);
	(void)close(TAKE_FD(ready_write));
	r = wait_ready(ready_read, timeout_ms);
	if (r < 0) {
		/* the worker goes with it: PR_SET_PDEATHSIG */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return r;
}
