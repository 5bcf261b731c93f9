/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets, devices, cgroups and files of the host that a container is shown.
 *
 * A source is looked at as the runtime saw it: links followed, in the host's namespace.
 * A directory counts for all that may be below it.  Places under /run count whether or
 * not somebody listens there yet: daemons come later.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "hook/findings/findings.h"
#include "hook/findings/internal.h"
#include "lib/base/util.h"

#define KNOWN_PATH_MAX 64
#define JOURNAL_SOCKETS "/run/systemd/journal/" /* /dev/log is a link to one */
#define KNOWN_DEPTH_MAX 8

struct known {
	const char *path;
	enum df_finding finding;
};

/* Engines and managers start processes that no fence holds; resolvers ask in their own name. */
static const struct known knowns[] = {
	{"/run/podman/podman.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/docker.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/containerd/containerd.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/crio/crio.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/cri-dockerd.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/buildkit/buildkitd.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/k3s/containerd/containerd.sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/libvirt/libvirt-sock", DF_FINDING_ENGINE_SOCKET},
	{"/run/systemd/private", DF_FINDING_ENGINE_SOCKET},
	{"/run/user", DF_FINDING_ENGINE_SOCKET}, /* UID/bus, UID/podman/podman.sock, … */
	{"/var/lib/lxd/unix.socket", DF_FINDING_ENGINE_SOCKET},
	{"/var/lib/incus/unix.socket", DF_FINDING_ENGINE_SOCKET},
	{"/var/snap/lxd/common/lxd/unix.socket", DF_FINDING_ENGINE_SOCKET},
	{"/run/nscd/socket", DF_FINDING_RESOLVER_SOCKET},
	{"/run/systemd/resolve/io.systemd.Resolve", DF_FINDING_RESOLVER_SOCKET},
	{"/run/dbus/system_bus_socket", DF_FINDING_RESOLVER_SOCKET},
	{"/run/avahi-daemon/socket", DF_FINDING_RESOLVER_SOCKET},
	{"/var/lib/sss/pipes/nss", DF_FINDING_RESOLVER_SOCKET},
	{"/dev/net/tun", DF_FINDING_TUN_DEVICE},
};

/* Sockets by these names, wherever they are; below a directory as they stand here. */
static const struct known names[] = {
	{"podman.sock", DF_FINDING_ENGINE_SOCKET},
	{"docker.sock", DF_FINDING_ENGINE_SOCKET},
	{"containerd.sock", DF_FINDING_ENGINE_SOCKET},
	{"containerd.sock.ttrpc", DF_FINDING_ENGINE_SOCKET},
	{"crio.sock", DF_FINDING_ENGINE_SOCKET},
	{"cri-dockerd.sock", DF_FINDING_ENGINE_SOCKET},
	{"dockershim.sock", DF_FINDING_ENGINE_SOCKET},
	{"buildkitd.sock", DF_FINDING_ENGINE_SOCKET},
	{"libvirt-sock", DF_FINDING_ENGINE_SOCKET},
	{"virtqemud-sock", DF_FINDING_ENGINE_SOCKET},
	{"podman/podman.sock", DF_FINDING_ENGINE_SOCKET},
	{"systemd/private", DF_FINDING_ENGINE_SOCKET},
	{"bus", DF_FINDING_ENGINE_SOCKET}, /* of a user's systemd */
	{"io.systemd.Resolve", DF_FINDING_RESOLVER_SOCKET},
	{"io.systemd.Resolve.Monitor", DF_FINDING_RESOLVER_SOCKET},
	{"system_bus_socket", DF_FINDING_RESOLVER_SOCKET},
};

/* A file or directory, whatever its path. */
struct node {
	dev_t dev;
	ino_t ino;
};

struct look {
	int bundle_fd;
	const struct df_config *config;
	struct df_host_files host;
	const struct df_container *container;
	struct df_findings *f;
	bool has_nodes;
	struct node nodes[ARRAY_SIZE(knowns)]
			 [KNOWN_DEPTH_MAX]; /* of each known and what is above */
	/* the mount in question */
	const struct df_config_mount *mount;
	int fd;
	struct stat st;
	char path[4096]; /* where it really is */
};

/* Those that do not exist have no node: 0, 0. */
static void find_nodes(struct look *l)
{
	for (size_t i = 0; !l->has_nodes && i < ARRAY_SIZE(knowns); i++) {
		char path[KNOWN_PATH_MAX];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s", knowns[i].path);
		for (int k = 0; k < KNOWN_DEPTH_MAX && *path; k++) {
			if (stat(path, &st) == 0)
				l->nodes[i][k] = (struct node){st.st_dev, st.st_ino};
			*strrchr(path, '/') = '\0'; /* and not "/" itself, which has one name */
		}
	}
	l->has_nodes = true;
}

/* The same by another path: a bind mount of the host's. */
static bool is_node_above(const struct look *l, size_t known)
{
	for (int k = 0; k < KNOWN_DEPTH_MAX; k++)
		if (l->nodes[known][k].ino == l->st.st_ino &&
		    l->nodes[known][k].dev == l->st.st_dev)
			return true;
	return false;
}

static void add(const struct look *l, enum df_finding finding, const char *what)
{
	const bool is_root = strcmp(l->mount->destination, "/") == 0;

	df_findings_add(l->f, finding, "%s %s%s%s", is_root ? "root" : "mount", l->mount->source,
			*what ? " with " : "", what);
}

static void look_at_directory(struct look *l)
{
	bool is_found[DF_FINDINGS] = {}; /* the first of each: "/" has them all */
	struct stat st;

	find_nodes(l);
	for (size_t i = 0; i < ARRAY_SIZE(knowns); i++) {
		const struct known *k = &knowns[i];

		if (is_found[k->finding] ||
		    (!df_path_is_above(l->path, k->path) && !is_node_above(l, i)) ||
		    (strncmp(k->path, "/run/", 5) != 0 && lstat(k->path, &st) < 0))
			continue;
		is_found[k->finding] = true;
		add(l, k->finding, strcmp(l->path, k->path) == 0 ? "" : k->path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (is_found[names[i].finding] ||
		    fstatat(l->fd, names[i].path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISSOCK(st.st_mode))
			continue;
		is_found[names[i].finding] = true;
		add(l, names[i].finding, names[i].path);
	}
}

static void look_at_socket(struct look *l)
{
	const char *base = strrchr(l->path, '/');

	find_nodes(l);
	for (size_t i = 0; i < ARRAY_SIZE(knowns); i++) {
		if (is_node_above(l, i)) { /* the same: nothing is below a socket */
			add(l, knowns[i].finding, "");
			return;
		}
	}
	for (size_t i = 0; base && i < ARRAY_SIZE(names); i++) {
		if (strcmp(base + 1, names[i].path) == 0) {
			add(l, names[i].finding, "");
			return;
		}
	}
	/* journald's sockets answer nothing; what another one does is not known */
	if (strncmp(l->path, JOURNAL_SOCKETS, strlen(JOURNAL_SOCKETS)) != 0)
		add(l, DF_FINDING_HOST_SOCKET, "");
}

static bool is_cgroup2(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/*
 * The source itself, or a mount below it.  "ro" covers the one, "rro" the other.  The
 * container's own cgroup is its own to write: its programs reach below it.
 */
static void look_at_cgroups(const struct look *l)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct stat own;

	if (is_cgroup2(l->fd)) {
		const bool is_own = fstat(l->container->cgroup_fd, &own) == 0 &&
				    own.st_dev == l->st.st_dev && own.st_ino == l->st.st_ino;

		if (!l->mount->is_readonly && !is_own)
			add(l, DF_FINDING_HOST_CGROUP, "");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_close_ int fd = -1;

		if (!l->mount->is_recursive || l->mount->is_all_readonly ||
		    !df_path_is_above(l->path, places[i]))
			continue;
		fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && is_cgroup2(fd)) {
			add(l, DF_FINDING_HOST_CGROUP, places[i]);
			return;
		}
	}
}

static void look_at(struct look *l)
{
	_cleanup_close_ int fd = openat(l->bundle_fd, l->mount->source, O_PATH | O_CLOEXEC);
	char link[32], shown[PATH_MAX];
	ssize_t n;

	if (fd < 0 || fstat(fd, &l->st) < 0)
		return; /* gone meanwhile */
	l->fd = fd;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, l->path, sizeof(l->path) - 1);
	l->path[n > 0 ? n : 0] = '\0';
	if (df_host_files_are_shown(&l->host, l->config, l->mount, fd, shown))
		add(l, DF_FINDING_HOST_MOUNT, strcmp(shown, l->path) == 0 ? "" : shown);
	if (S_ISSOCK(l->st.st_mode))
		look_at_socket(l);
	else if (S_ISCHR(l->st.st_mode) && l->st.st_rdev == DF_TUN_DEVICE)
		add(l, DF_FINDING_TUN_DEVICE, "");
	if (!S_ISDIR(l->st.st_mode))
		return;
	look_at_directory(l);
	look_at_cgroups(l);
}

/* Disks that are not made for the container, but that it may make and open. */
static void look_at_disks(const struct df_config *config, struct df_findings *f)
{
	_cleanup_closedir_ DIR *disks = opendir("/sys/dev/block");
	const struct dirent *entry;

	while (disks && (entry = readdir(disks))) {
		uint32_t major, minor;

		if (sscanf(entry->d_name, "%" SCNu32 ":%" SCNu32, &major, &minor) != 2 ||
		    !df_config_may_use_device(config, true, major, minor) ||
		    !df_host_files_is_used_device(major, minor))
			continue;
		df_findings_add(f, DF_FINDING_HOST_MOUNT,
				"CAP_MKNOD with the device %s allowed, which has a file system",
				entry->d_name);
		return;
	}
}

void df_findings_of_mounts(const char *bundle, const struct df_config *config,
			   const struct df_container *container, struct df_findings *f)
{
	_cleanup_close_ int bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct look l = {.bundle_fd = bundle_fd, .config = config, .container = container, .f = f};

	for (size_t i = 0; i < config->n_mounts; i++) {
		l.mount = &config->mounts[i];
		if (!l.mount->is_cgroup)
			look_at(&l);
	}
	df_host_files_done(&l.host);
	for (size_t i = 0; i < config->n_disks; i++) {
		const struct df_config_device *d = &config->disks[i];

		if (df_config_may_use_device(config, true, d->major, d->minor) &&
		    df_host_files_is_used_device(d->major, d->minor))
			df_findings_add(f, DF_FINDING_HOST_MOUNT,
					"device %s (%u:%u) with a file system", d->path, d->major,
					d->minor);
	}
	/* with every device it is privileged; without any rule runtimes allow no disk */
	if ((config->caps >> CAP_MKNOD & 1) && config->n_rules > 0 && !config->has_all_devices &&
	    !container->has_own_userns)
		look_at_disks(config, f);
}
