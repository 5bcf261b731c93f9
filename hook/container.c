/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sysexits.h>

#include "lib/base/util.h"

#define PROC_USER_INIT_INO 0xeffffffdu /* <linux/proc_ns.h>: the initial user namespace */
#define PROCS_MAX (1u << 16) /* octets of cgroup.procs; one container's start has one pid */
#define ANCESTORS_MAX 64
#define RESOLV_CONF_MAX (64u << 10)

__attribute__((format(printf, 3, 4))) static int fail(char *error, int status, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error, DF_CONTAINER_ERROR_MAX, format, args);
	va_end(args);
	return status;
}

/*
 * BPF needs capabilities in the initial user namespace; those of another one do not suffice.
 * There, crun and runc without podman run the hooks of a rootless container as the caller.
 */
int df_container_check_privilege(char ret_error[static DF_CONTAINER_ERROR_MAX])
{
	struct stat st;

	if (geteuid() != 0)
		return fail(ret_error, EX_NOPERM,
			    "rootless containers cannot be fenced: the hook runs as uid %u, and "
			    "attaching BPF programs needs root; run this job with the root engine",
			    (unsigned)geteuid());
	if (stat("/proc/self/ns/user", &st) == 0 && st.st_ino != PROC_USER_INIT_INO)
		return fail(
			ret_error, EX_NOPERM,
			"rootless containers cannot be fenced: attaching BPF programs needs the "
			"initial user namespace; run this job with the root engine");
	return 0;
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Whether the process is in the hook's own namespace of a kind: "net", "user", "pid". */
static bool has_hosts_namespace(pid_t pid, const char *kind)
{
	char path[64];
	struct stat own, its;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &own) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	return stat(path, &its) == 0 && own.st_ino == its.st_ino && own.st_dev == its.st_dev;
}

/*
 * pid 1 of a pid namespace is its first process, and takes all others with it when it ends
 * (pid_namespaces(7)): whoever has another number there has joined the namespace of somebody else.
 */
enum df_pidns df_container_pidns(pid_t pid)
{
	_cleanup_close_ int fd = df_proc_open(pid);
	char numbers[1024];
	const char *last;

	if (has_hosts_namespace(pid, "pid"))
		return DF_PIDNS_HOST;
	if (fd < 0 || df_proc_status(fd, "NSpid", numbers, sizeof(numbers)) < 0)
		return DF_PIDNS_OWN;
	last = strrchr(numbers, '\t');
	return last && strcmp(last, "\t1") == 0 ? DF_PIDNS_OWN : DF_PIDNS_SHARED;
}

static int open_process(struct df_container *c, char *error)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0 && errno == ENOSYS)
		return fail(error, EX_UNAVAILABLE, "the kernel has no pidfd_open (5.3)");
	if (c->pidfd < 0)
		return fail(error, EX_DATAERR, "the container's init, pid %d, is gone: %s",
			    (int)c->pid, strerror(errno));
	c->netns_fd = open_proc(c->pid, "ns/net", O_RDONLY);
	if (c->netns_fd < 0)
		return fail(error, EX_DATAERR, "open the network namespace of pid %d: %s",
			    (int)c->pid, strerror(-c->netns_fd));
	c->is_host_netns = has_hosts_namespace(c->pid, "net");
	c->pidns = df_container_pidns(c->pid);
	c->has_own_userns = !has_hosts_namespace(c->pid, "user");
	/* the files opened by number are init's only if init still lives */
	if (syscall(SYS_pidfd_send_signal, c->pidfd, 0, NULL, 0) < 0)
		return fail(error, EX_DATAERR, "the container's init, pid %d, is gone",
			    (int)c->pid);
	return 0;
}

/* systemd's two places: the pure and the hybrid layout. */
int df_container_cgroup_root(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_close_ int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

/* The path of its cgroup as seen from the hook's cgroup namespace.  0 or -errno. */
static int read_cgroup_path(pid_t pid, char *ret, size_t size)
{
	_cleanup_close_ int fd = df_proc_open(pid);

	return fd < 0 ? fd : df_proc_cgroup(fd, ret, size);
}

bool df_container_is_descendant(pid_t pid, pid_t ancestor)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		_cleanup_close_ int fd = -1;
		struct df_proc_stat s;

		if (pid == ancestor)
			return true;
		fd = df_proc_open(pid);
		if (fd < 0 || df_proc_stat(fd, &s) < 0)
			return false;
		pid = s.parent;
	}
	return false;
}

/* Opens a cgroup's directory.  path: from the root of the mount, or "" for that root. */
static int open_directory(const struct df_container *c, const char *path, int *ret, char *error)
{
	*ret = openat(c->cgroup_root_fd, *path ? path + 1 : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret >= 0 ? 0
			 : fail(error, EX_UNAVAILABLE, "open cgroup %s: %s", *path ? path : "/",
				strerror(errno));
}

/* Checks that all processes of one cgroup are the container's. */
static int check_level(const struct df_container *c, const char *path, char *error)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *procs = NULL;
	char *next;
	size_t len;
	int r = open_directory(c, path, &fd, error);

	if (r != 0)
		return r;
	r = df_read_file(fd, "cgroup.procs", PROCS_MAX, &procs, &len);
	if (r < 0)
		return fail(error, EX_UNAVAILABLE, "read cgroup.procs of %s: %s", path,
			    strerror(-r));
	for (char *word = strtok_r(procs, "\n", &next); word; word = strtok_r(NULL, "\n", &next))
		if (!df_container_is_descendant(atoi(word), c->pid))
			return fail(
				error, EX_UNAVAILABLE,
				"cgroup %s also holds pid %d, which is not the container's: the "
				"fence would catch it too; give the container a cgroup of its own",
				path, atoi(word));
	return 0;
}

/*
 * Checks that the cgroup at the first len octets of c->cgroup, where init stands, is the
 * container's alone: the only cgroups below it are those on the way to init's, and all their
 * processes are the container's.
 */
static int check_alone(const struct df_container *c, int top_fd, size_t len, char *error)
{
	const char *init = c->cgroup;
	unsigned long n_below = 0, n_descendants = 0;
	char path[DF_META_PATH_MAX], stat_text[1024];

	for (size_t end = len;; end += 1 + strcspn(init + end + 1, "/")) {
		int status;

		(void)snprintf(path, sizeof(path), "%.*s", (int)end, init);
		status = check_level(c, path, error);
		if (status != 0)
			return status;
		if (init[end] == '\0')
			break;
		n_below++;
	}
	if (df_read_small(top_fd, "cgroup.stat", stat_text, sizeof(stat_text)) > 0 &&
	    sscanf(stat_text, "nr_descendants %lu", &n_descendants) == 1 &&
	    n_descendants != n_below)
		return fail(error, EX_UNAVAILABLE,
			    "cgroup %.*s has child cgroups before the container has started: it is "
			    "not the container's alone",
			    (int)len, init);
	return 0;
}

/*
 * The path of init's cgroup as init itself sees it: from the root of its cgroup namespace, or
 * with "/.." from outside of it (cgroup_namespaces(7)).  1; 0: that namespace is the hook's;
 * -errno.
 */
static int read_own_view(pid_t pid, char *ret, size_t size)
{
	_cleanup_close_ int own = open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int its = open_proc(pid, "ns/cgroup", O_RDONLY);
	int r;

	if (own < 0 || its < 0 || has_hosts_namespace(pid, "cgroup"))
		return own < 0 ? -errno : its < 0 ? its : 0;
	if (setns(its, CLONE_NEWCGROUP) < 0)
		return -errno;
	r = read_cgroup_path(pid, ret, size);
	if (setns(own, CLONE_NEWCGROUP) < 0)
		return -errno;
	return r < 0 ? r : 1;
}

/* The length of path without the components of below at its end; strlen(path) if it ends otherwise.
 */
static size_t strip(const char *path, const char *below)
{
	size_t end = strlen(path), n = strlen(below);

	while (n > 0) {
		size_t from;

		while (n > 0 && below[n - 1] == '/')
			n--;
		for (from = n; from > 0 && below[from - 1] != '/';)
			from--;
		if (n - from == 0 || (n - from == 1 && below[from] == '.')) {
			n = from;
			continue;
		}
		if (end <= n - from || path[end - (n - from) - 1] != '/' ||
		    memcmp(path + end - (n - from), below + from, n - from) != 0)
			return strlen(path);
		end -= n - from + 1;
		n = from;
	}
	return end;
}

/*
 * How much of c->cgroup, where init stands, is the cgroup to fence.  crun makes the namespace first
 * and then moves init further down (run.oci.delegate-cgroup); without a namespace, too, and what
 * enters later then stands above init.
 */
static size_t find_top(struct df_container *c, const struct df_config *config)
{
	char view[DF_META_PATH_MAX];
	size_t by_view = strlen(c->cgroup), by_config = by_view;
	int r = read_own_view(c->pid, view, sizeof(view));

	if (r == 1) {
		by_view = strip(c->cgroup, view);
		/* init stands outside of the root of its own cgroup namespace */
		c->sees_more_cgroups = strncmp(view, "/..", 3) == 0;
	}
	if (config->delegated_cgroup)
		by_config = strip(c->cgroup, config->delegated_cgroup);
	return by_view < by_config ? by_view : by_config;
}

/* The cgroups above it, whose programs it inherits. */
static int open_above(struct df_container *c, char *error)
{
	char path[DF_META_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s", c->cgroup);
	for (char *slash; (slash = strrchr(path, '/')) != NULL; c->n_above++) {
		int status;

		*slash = '\0';
		if (c->n_above == DF_CONTAINER_DEPTH_MAX)
			return fail(error, EX_UNAVAILABLE, "cgroup %s has more than %d above it",
				    c->cgroup, DF_CONTAINER_DEPTH_MAX);
		status = open_directory(c, path, &c->above_fds[c->n_above], error);
		if (status != 0)
			return status;
	}
	return 0;
}

/* The cgroup of len octets of c->cgroup, if it is the container's alone. */
static int take_cgroup(struct df_container *c, const char *own, size_t len, char *error)
{
	char path[DF_META_PATH_MAX];
	_cleanup_close_ int fd = -1;
	int status;

	(void)snprintf(path, sizeof(path), "%.*s", (int)len, c->cgroup);
	if (df_path_is_above(path, own))
		return fail(error, EX_UNAVAILABLE,
			    "the container's cgroup %s is that of its caller: it is not the "
			    "container's alone; do not use --cgroups=disabled",
			    path);
	status = open_directory(c, path, &fd, error);
	if (status == 0)
		status = check_alone(c, fd, len, error);
	if (status != 0)
		return status;
	c->cgroup[len] = '\0';
	c->cgroup_fd = TAKE_FD(fd);
	return 0;
}

static int open_cgroup(struct df_container *c, const struct df_config *config, char *error)
{
	char own[DF_META_PATH_MAX];
	size_t top;
	int r = read_cgroup_path(c->pid, c->cgroup, sizeof(c->cgroup));

	if (r == -ENOENT)
		return fail(error, EX_UNAVAILABLE, "the container has no cgroup v2");
	if (r < 0)
		return fail(error, EX_DATAERR, "read the cgroup of pid %d: %s", (int)c->pid,
			    strerror(-r));
	r = read_cgroup_path(getpid(), own, sizeof(own));
	if (r < 0)
		return fail(error, EX_OSERR, "read the hook's own cgroup: %s", strerror(-r));
	if (strcmp(c->cgroup, "/") == 0 || strstr(c->cgroup, "/.."))
		return fail(
			error, EX_UNAVAILABLE,
			"the container's cgroup is %s, the host's own: the fence would catch the "
			"whole host; do not use --cgroups=disabled",
			c->cgroup);
	top = find_top(c, config);
	if (top < strlen(c->cgroup) && top > 0 && take_cgroup(c, own, top, error) == 0)
		return 0;
	/* the cgroups that it sees above its own hold processes of others, too */
	c->sees_more_cgroups |= top < strlen(c->cgroup);
	return take_cgroup(c, own, strlen(c->cgroup), error);
}

/*
 * The container's own resolv.conf: the source of its mount, or, without one, the
 * file in its root file system, which is not pivoted yet.
 */
static int open_resolv_conf(const struct df_state *state, const struct df_config *config)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				     .resolve = RESOLVE_IN_ROOT};
	_cleanup_close_ int root = -1;
	char path[8192];
	int fd;

	if (config->resolv_conf)
		return open(config->resolv_conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (!config->root_path)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s%s%s", (int)state->pid,
		       config->root_path[0] == '/' ? "" : state->bundle,
		       config->root_path[0] == '/' ? "" : "/", config->root_path);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root, "etc/resolv.conf", &how, sizeof(how));
	return fd;
}

static void read_resolv_conf(struct df_container *c, const struct df_state *state,
			     const struct df_config *config)
{
	_cleanup_close_ int fd = open_resolv_conf(state, config);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;

	c->dns.ndots = 1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		c->resolv_conf_ctime = st.st_ctim;
		if (df_read_all(fd, RESOLV_CONF_MAX, &text, &len) == 0)
			df_resolv_conf_parse(text, &c->dns);
		if (config->resolv_conf)
			c->resolv_conf_fd = TAKE_FD(fd);
	}
	df_resolv_conf_environment(config->localdomain, config->res_options, &c->dns);
	df_resolv_conf_hostname(config->hostname, &c->dns);
}

int df_container_open(const struct df_state *state, const struct df_config *config,
		      struct df_container *ret, char ret_error[static DF_CONTAINER_ERROR_MAX])
{
	_cleanup_close_ int proc_fd = -1, stderr_fd = -1;
	struct stat st;
	int status;

	*ret = (struct df_container){.pid = state->pid,
				     .pidfd = -1,
				     .netns_fd = -1,
				     .cgroup_root_fd = -1,
				     .cgroup_fd = -1,
				     .resolv_conf_fd = -1};
	status = open_process(ret, ret_error);
	if (status != 0)
		return status;
	ret->cgroup_root_fd = df_container_cgroup_root();
	if (ret->cgroup_root_fd < 0)
		return fail(ret_error, EX_UNAVAILABLE,
			    "no cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified: boot with "
			    "systemd.unified_cgroup_hierarchy=1");
	status = open_cgroup(ret, config, ret_error);
	if (status == 0)
		status = open_above(ret, ret_error);
	if (status != 0)
		return status;
	read_resolv_conf(ret, state, config);
	proc_fd = df_proc_open(ret->pid);
	if (proc_fd >= 0)
		(void)df_proc_image(
			proc_fd,
			&ret->image); /* without it no later change of resolv.conf counts */
	/* conmon's pipe at this moment: later only this very pipe is written to */
	stderr_fd = open_proc(ret->pid, "fd/2", O_PATH);
	if (stderr_fd >= 0 && fstat(stderr_fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
		ret->is_stderr_pipe = true;
		ret->stderr_dev = st.st_dev;
		ret->stderr_ino = st.st_ino;
	}
	return 0;
}

void df_container_done(struct df_container *c)
{
	df_closep(&c->pidfd);
	df_closep(&c->netns_fd);
	df_closep(&c->cgroup_root_fd);
	df_closep(&c->cgroup_fd);
	df_closep(&c->resolv_conf_fd);
	while (c->n_above > 0)
		df_closep(&c->above_fds[--c->n_above]);
}
