/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hook/findings/internal.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#define MOUNTINFO_MAX (8u << 20) /* octets; a host with thousands of containers */
#define LAYERS_MAX 8             /* of an overlay below an overlay */
#define CLIMB_MAX 64             /* directories above one another */
#define HOOK "/proc/self/exe"

/*
 * Files of the host that the next fence, or root of the host, goes by.  With a slash at the end
 * all that is below counts as well, else only the whole.  A read-only mount is no lever.
 */
static const char *const relied[] = {
	DF_CONF_FILE, DF_DISABLED_FILE, DF_POLICY_DIR "/", DF_POLICY_DATA_DIR "/",
	DF_POLICY_STORE_DIR "/", DF_REPORT_DIR "/", DF_RUNDIR "/", DF_PROXY_PATH, HOOK,
	"/etc/containers/", "/usr/share/containers/",
	/* of other engines, and CDI files, which bring the hook to some */
	"/etc/cdi/", "/run/cdi/", "/etc/docker/", "/etc/containerd/", "/etc/crio/",
	"/etc/kubernetes/", "/etc/cni/",
	/* programs of root, and what makes it run others */
	"/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/usr/local/bin/",
	"/usr/local/sbin/", "/usr/local/lib/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/boot/",
	"/var/lib/dpkg/info/", "/etc/alternatives/", "/etc/apt/", "/etc/yum.repos.d/",
	"/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d/",
	"/etc/modprobe.d/", "/etc/modules-load.d/", "/etc/sysctl.conf", "/etc/sysctl.d/",
	"/etc/udev/", "/etc/fstab",
	/* who may be root, and the shells of who is */
	"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/nsswitch.conf", "/etc/pam.d/",
	"/etc/security/", "/etc/sudoers", "/etc/sudoers.d/", "/etc/polkit-1/", "/etc/dbus-1/",
	"/etc/ssh/", "/etc/environment", "/etc/profile", "/etc/profile.d/", "/etc/bash.bashrc",
	"/etc/bashrc", "/root/.ssh/", "/root/.profile", "/root/.bashrc", "/root/.bash_profile",
	/* services and times */
	"/etc/crontab", "/etc/anacrontab", "/etc/cron.d/", "/etc/cron.hourly/", "/etc/cron.daily/",
	"/etc/cron.weekly/", "/etc/cron.monthly/", "/var/spool/cron/", "/etc/logrotate.conf",
	"/etc/logrotate.d/", "/etc/init.d/", "/etc/rc.local", "/etc/default/", "/etc/sysconfig/",
	"/etc/network/", "/etc/NetworkManager/", "/etc/systemd/", "/run/systemd/system/",
	"/run/systemd/transient/", "/run/systemd/generator/", "/run/udev/rules.d/",
	/* state and bundles of engines; volumes and a container's own files are below them */
	"/run/containers", "/run/libpod", "/run/crun", "/run/runc", "/run/containerd",
	"/var/lib/containers", "/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet"};

/* The same, where there is such a thing: /opt is given to containers whole, by hosts without it. */
static const char relied_if_there[] = "/opt/cni/bin/";

struct place {
	unsigned major, minor; /* of the superblock, as mountinfo has it */
	char path[PATH_MAX];   /* in the file system; "/" its root */
};

/* One of those files, by one of the ways that lead there. */
struct df_host_place {
	const char *relied;
	struct place place;
	bool is_layer; /* of an overlay: it has another name */
	dev_t dev;     /* of what is there; 0, 0: nothing */
	ino_t ino;
};

/* --- /proc/self/mountinfo --- */

/* Blanks, tabs, newlines and backslashes are written as \\ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (;;) {
		if (strncmp(options, name, len) == 0 && (!options[len] || options[len] == ','))
			return true;
		options += strcspn(options, ",");
		if (!*options++)
			return false;
	}
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static int parse_line(char *line, struct df_mount *ret)
{
	char *fields[6], *next = line, *rest = strstr(line, " - "), *type, *super;

	if (!rest)
		return -EBADMSG;
	*rest = '\0';
	rest += 3;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&next, " ");
		if (!fields[i])
			return -EBADMSG;
	}
	type = strsep(&rest, " ");
	if (!rest || !strsep(&rest, " ") ||
	    sscanf(fields[2], "%u:%u", &ret->major, &ret->minor) != 2)
		return -EBADMSG;
	super = rest ? rest : (char *)"";
	unescape(fields[3]);
	unescape(fields[4]);
	ret->id = atoi(fields[0]);
	ret->root = fields[3];
	ret->point = fields[4];
	ret->type = type;
	ret->super = super; /* as it is: a directory's name may hold a comma */
	ret->is_readonly = has_option(fields[5], "ro") || has_option(super, "ro");
	return 0;
}

int df_mountinfo_parse(char *text, struct df_mountinfo *ret)
{
	struct df_mountinfo m = {.text = text};
	char *next = text;

	for (char *line; (line = strsep(&next, "\n")) != NULL;) {
		int r;

		if (!*line)
			continue;
		r = df_array_reserve(&m.mounts, &m.cap_mounts, m.n_mounts + 1, sizeof(*m.mounts));
		if (r < 0) {
			df_mountinfo_done(&m);
			return r;
		}
		if (parse_line(line, &m.mounts[m.n_mounts]) == 0)
			m.n_mounts++;
	}
	*ret = m;
	return 0;
}

void df_mountinfo_done(struct df_mountinfo *m)
{
	free(m->text);
	free(m->mounts);
	*m = (struct df_mountinfo){0};
}

bool df_path_is_above(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return len > 0 && strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The number of the mount that a descriptor was opened through (Linux 3.15). */
static int mount_id(int fd)
{
	char path[64], text[1024], *line;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (df_read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	line = strstr(text, "mnt_id:");
	return line ? atoi(line + strlen("mnt_id:")) : -1;
}

/* The target of a descriptor, of PATH_MAX octets; "" where it cannot be read. */
static void read_link(int fd, char ret[static PATH_MAX])
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	ret[n > 0 ? n : 0] = '\0';
}

/* The path of a mount's file system at path, which is the mount's point or below it.  0 or -errno.
 */
static int place_in(const struct df_mount *m, const char *path, struct place *ret)
{
	const char *rest = path + (strcmp(m->point, "/") == 0 ? 0 : strlen(m->point));
	const char *root = m->root;

	if (strcmp(rest, "/") == 0)
		rest = "";
	if (strcmp(root, "/") == 0 && *rest)
		root = "";
	ret->major = m->major;
	ret->minor = m->minor;
	return snprintf(ret->path, sizeof(ret->path), "%s%s", root, rest) < (int)sizeof(ret->path)
		       ? 0
		       : -ENAMETOOLONG;
}

/*
 * The place that an O_PATH descriptor leads to.  *ret_mount is the mount it was reached by.  0;
 * -ENOENT: it is in no mount of this process's namespace; -ENAMETOOLONG.
 */
static int place_of(const struct df_host_files *h, int fd, struct place *ret,
		    const struct df_mount **ret_mount)
{
	const int id = mount_id(fd);
	char path[PATH_MAX];

	read_link(fd, path);
	for (size_t i = h->mounts.n_mounts; i-- > 0;) {
		const struct df_mount *m = &h->mounts.mounts[i];

		if (m->id != id)
			continue;
		if (!*path || !df_path_is_above(m->point, path))
			return -ENOENT;
		*ret_mount = m;
		return place_in(m, path, ret);
	}
	return -ENOENT;
}

/* --- the places of the files that are relied on --- */

static void add_place(struct df_host_files *h, const char *relied_on, const struct place *place,
		      const struct stat *st, bool is_layer)
{
	if (df_array_reserve(&h->places, &h->cap_places, h->n_places + 1, sizeof(*h->places)) < 0)
		return;
	h->places[h->n_places++] = (struct df_host_place){.relied = relied_on,
							  .place = *place,
							  .is_layer = is_layer,
							  .dev = st->st_dev,
							  .ino = st->st_ino};
}

static void add_layers(struct df_host_files *h, const char *relied_on, const struct df_mount *m,
		       const char *path, unsigned depth);

/*
 * A layer of an overlay, dir of len octets, and what of it the relied-on file is.  The layer's
 * mount is found by its name at the time of mounting: what is mounted on it now, the overlay itself
 * perhaps, is not what the overlay reads.
 */
static void add_layer(struct df_host_files *h, const char *relied_on,
		      const struct df_mount *overlay, const char *dir, size_t len, const char *path,
		      unsigned depth)
{
	const struct stat nothing = {};
	const struct df_mount *best = NULL;
	struct place place;
	char text[PATH_MAX];

	if (snprintf(text, sizeof(text), "%.*s%s", (int)len, dir,
		     strcmp(path, "/") == 0 ? "" : path) >= (int)sizeof(text))
		return;
	for (size_t i = 0; i < h->mounts.n_mounts; i++) {
		const struct df_mount *m = &h->mounts.mounts[i];

		if (m != overlay && strcmp(m->point, text) != 0 &&
		    df_path_is_above(m->point, text) &&
		    (!best || strlen(m->point) >= strlen(best->point)))
			best = m;
	}
	if (!best || place_in(best, text, &place) < 0)
		return;
	add_place(h, relied_on, &place, &nothing, true);
	if (depth < LAYERS_MAX && strcmp(best->type, "overlay") == 0)
		add_layers(h, relied_on, best, place.path, depth + 1);
}

/*
 * "…,lowerdir=A:B,upperdir=C,…": who writes there, writes here.  Overlays that were mounted by
 * fsconfig(2) have "lowerdir+=A,lowerdir+=B" (Linux 6.7).  path: in the overlay.
 */
static void add_layers(struct df_host_files *h, const char *relied_on, const struct df_mount *m,
		       const char *path, unsigned depth)
{
	static const char *const keys[] = {"lowerdir=", "lowerdir+=", "datadir+=", "upperdir="};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (const char *dirs = strstr(m->super, keys[i]); dirs;
		     dirs = strstr(dirs, keys[i])) {
			for (dirs += strlen(keys[i]); *dirs && *dirs != ',';) {
				size_t len = strcspn(dirs, ":,");

				if (*dirs == '/')
					add_layer(h, relied_on, m, dirs, len, path, depth);
				dirs += len + (dirs[len] == ':');
			}
		}
	}
}

/*
 * The place of dir and what of path is behind it: rest, "/a/b" or "".  st: of what is at path.
 * Layers are added for the file itself alone.
 */
static void add_below(struct df_host_files *h, const char *relied_on, int dir_fd, const char *rest,
		      const struct stat *st, bool has_layers)
{
	const struct df_mount *mount = NULL;
	struct place place;
	size_t len;

	if (dir_fd < 0 || place_of(h, dir_fd, &place, &mount) < 0)
		return;
	len = *rest && strcmp(place.path, "/") == 0 ? 0 : strlen(place.path);
	if (len + strlen(rest) >= sizeof(place.path))
		return;
	memcpy(place.path + len, rest, strlen(rest) + 1);
	add_place(h, relied_on, &place, st, false);
	if (has_layers && strcmp(mount->type, "overlay") == 0)
		add_layers(h, relied_on, mount, place.path, 0);
}

/*
 * The file, or the nearest directory above it that exists and the rest of its name.  A link counts
 * where it stands, too.
 */
static void add_relied(struct df_host_files *h, const char *relied_on)
{
	char path[PATH_MAX], dir[PATH_MAX], *rest;
	const size_t len = strlen(relied_on);
	struct stat st = {};
	_cleanup_close_ int fd = -1, link_dir = -1;

	(void)snprintf(path, sizeof(path), "%s", relied_on);
	if (path[len - 1] == '/')
		path[len - 1] = '\0';
	(void)snprintf(dir, sizeof(dir), "%s", path);
	rest = dir + strlen(dir);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		(void)fstat(fd, &st);
	while (fd < 0 && (rest = strrchr(dir, '/')) != NULL) {
		*rest = '\0';
		fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (rest == dir)
			break;
	}
	if (rest)
		add_below(h, relied_on, fd, path + (rest - dir), &st, true);
	if (strcmp(path, HOOK) == 0 || lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
		return;
	rest = strrchr(path, '/');
	(void)snprintf(dir, sizeof(dir), "%.*s/", (int)(rest - path), path);
	link_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	add_below(h, relied_on, link_dir, rest, &st, false);
}

static void read_files(struct df_host_files *h)
{
	_cleanup_close_ int fd = -1;
	char *text = NULL;
	size_t len;

	if (h->is_read)
		return;
	h->is_read = true;
	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || df_read_all(fd, MOUNTINFO_MAX, &text, &len) < 0 ||
	    df_mountinfo_parse(text, &h->mounts) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(relied); i++)
		add_relied(h, relied[i]);
	if (access(relied_if_there, F_OK) == 0)
		add_relied(h, relied_if_there);
}

void df_host_files_done(struct df_host_files *h)
{
	df_mountinfo_done(&h->mounts);
	free(h->places);
	*h = (struct df_host_files){0};
}

/* --- whether a mount shows one of them --- */

static bool has_below(const char *relied_on)
{
	return relied_on[strlen(relied_on) - 1] == '/';
}

/* The name of the file for a message.  True. */
static bool name_file(const struct df_host_place *known, char ret[static PATH_MAX])
{
	const int len = (int)strlen(known->relied) - has_below(known->relied);

	if (strcmp(known->relied, HOOK) == 0)
		(void)snprintf(ret, PATH_MAX, "the hook");
	else
		(void)snprintf(ret, PATH_MAX, "%.*s", len, known->relied);
	return true;
}

/* The cause is what a message says of it.  True. */
static bool name_cause(const char *text, char ret[static PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s", text);
	return true;
}

/* The host's file at this place, or one below it; a file with this very name comes first. */
static const struct df_host_place *find(const struct df_host_files *h, const struct place *p)
{
	const struct df_host_place *layer = NULL;

	for (size_t i = 0; i < h->n_places; i++) {
		const struct df_host_place *known = &h->places[i];

		if (known->place.major != p->major || known->place.minor != p->minor ||
		    (!df_path_is_above(p->path, known->place.path) &&
		     !(has_below(known->relied) && df_path_is_above(known->place.path, p->path))))
			continue;
		if (!known->is_layer)
			return known;
		layer = layer ? layer : known;
	}
	return layer;
}

/* The same by inodes: hard links, and mounts of another namespace, as below /proc/PID/root. */
static const struct df_host_place *find_inode(const struct df_host_files *h, int fd)
{
	_cleanup_close_ int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct stat st, last = {};

	for (int i = 0; i < CLIMB_MAX && at >= 0 && fstat(at, &st) == 0; i++) {
		int above;

		if (st.st_dev == last.st_dev && st.st_ino == last.st_ino)
			break;
		for (size_t k = 0; k < h->n_places; k++)
			if (h->places[k].ino == st.st_ino && h->places[k].dev == st.st_dev &&
			    (i == 0 || has_below(h->places[k].relied)))
				return &h->places[k];
		if (!S_ISDIR(st.st_mode))
			break;
		last = st;
		above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		(void)close(at);
		at = above;
	}
	return NULL;
}

/*
 * File systems that are the kernel's own.  A process's directory, or all of them, leads to its root
 * and its files, read-only or not.
 */
static const char *special(const struct df_mount *m, const char *path, bool is_dir,
			   bool is_readonly)
{
	static const char *const levers[] = {"sysfs",    "debugfs", "tracefs",   "configfs",
					     "efivarfs", "pstore",  "securityfs"};

	if (strcmp(m->type, "proc") == 0) {
		if (is_dir && (strcmp(path, "/") == 0 || (path[1] >= '0' && path[1] <= '9')))
			return "the host's /proc";
		return is_readonly ? NULL : "files of /proc";
	}
	if (strcmp(m->type, "bpf") == 0)
		return "BPF objects"; /* BPF_OBJ_GET does not ask how it is mounted */
	for (size_t i = 0; !is_readonly && i < ARRAY_SIZE(levers); i++)
		if (strcmp(m->type, levers[i]) == 0)
			return levers[i];
	return NULL;
}

/* Mounts below the source come along, and "ro" does not cover them. */
static bool are_shown_below(const struct df_host_files *h, const struct df_config_mount *mount,
			    const char *source, char *ret)
{
	for (size_t i = 0; mount->is_recursive && i < h->mounts.n_mounts; i++) {
		const struct df_mount *m = &h->mounts.mounts[i];
		const bool is_readonly = mount->is_all_readonly || m->is_readonly;
		const struct df_host_place *known = NULL;
		const char *lever;
		struct place place = {.major = m->major, .minor = m->minor};

		if (!df_path_is_above(source, m->point) || strcmp(source, m->point) == 0)
			continue;
		(void)snprintf(place.path, sizeof(place.path), "%s", m->root);
		lever = special(m, m->root, true, is_readonly);
		if (lever)
			return name_cause(lever, ret);
		known = is_readonly ? NULL : find(h, &place);
		if (known)
			return name_file(known, ret);
	}
	return false;
}

/* One that is in use (open(2), O_EXCL): a file system of the host's is on it. */
static bool is_in_use(int fd)
{
	char path[64];
	_cleanup_close_ int device = -1;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	device = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	return device < 0 && errno != ENXIO && errno != ENOMEDIUM;
}

/* A regular file of /proc that nobody can write is none to look at. */
static bool is_writable(int fd, const struct stat *st)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC || !S_ISREG(st->st_mode) ||
	       (st->st_mode & 0222) != 0;
}

bool df_host_files_are_shown(struct df_host_files *h, const struct df_config *config,
			     const struct df_config_mount *mount, int fd, char *ret)
{
	const struct df_host_place *known = NULL;
	const struct df_mount *m = NULL;
	const char *lever;
	struct place place;
	char source[PATH_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode))
		return df_config_may_use_device(config, true, major(st.st_rdev),
						minor(st.st_rdev)) &&
		       is_in_use(fd) && name_cause("a file system", ret);
	read_files(h);
	if (place_of(h, fd, &place, &m) < 0) {
		known = mount->is_readonly ? NULL : find_inode(h, fd);
		return known && name_file(known, ret);
	}
	lever = special(m, place.path, S_ISDIR(st.st_mode),
			mount->is_readonly || !is_writable(fd, &st));
	if (lever)
		return name_cause(lever, ret);
	known = mount->is_readonly ? NULL : find(h, &place);
	if (!known && !mount->is_readonly)
		known = find_inode(h, fd);
	if (known)
		return name_file(known, ret);
	read_link(fd, source);
	if (config->has_all_devices && df_path_is_above(source, "/dev"))
		return name_cause("the devices of /dev", ret);
	return S_ISDIR(st.st_mode) && are_shown_below(h, mount, source, ret);
}

bool df_host_files_is_used_device(uint32_t major, uint32_t minor)
{
	char link[64], target[PATH_MAX], path[PATH_MAX];
	const char *name;
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major, minor);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	name = strrchr(target, '/');
	if (!name)
		return errno != ENOENT; /* there is no such device */
	(void)snprintf(path, sizeof(path), "/dev%s", name);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) ||
	    st.st_rdev != makedev(major, minor))
		return true; /* nothing tells that it is not */
	return is_in_use(fd);
}
