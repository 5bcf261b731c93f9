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
 * all that is below counts as well, else only the whole.  A read-only mount changes none of them.
 */
/* NOLINTBEGIN(bugprone-suspicious-missing-comma): a directory and its slash are one word */
static const char *const relied[] = {
	DF_CONF_FILE, DF_DISABLED_FILE, DF_POLICY_DIR "/", DF_POLICY_DATA_DIR "/",
	DF_POLICY_LAST_GOOD_DIR "/", DF_REPORT_DIR "/", DF_RUNDIR "/", DF_PROXY_PATH, HOOK,
	"/etc/containers/", "/usr/share/containers/",
	/* of other engines, and CDI files, which bring the hook to some */
	"/etc/cdi/", "/run/cdi/", "/etc/docker/", "/etc/containerd/", "/etc/crio/",
	"/etc/kubernetes/", "/etc/cni/",
	/* programs of root, and files that make it run others */
	"/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/usr/local/bin/",
	"/usr/local/sbin/", "/usr/local/lib/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/boot/",
	"/var/lib/dpkg/info/", "/etc/alternatives/", "/etc/apt/", "/etc/yum.repos.d/",
	"/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d/",
	"/etc/modprobe.d/", "/etc/modules-load.d/", "/etc/sysctl.conf", "/etc/sysctl.d/",
	"/etc/udev/", "/etc/fstab",
	/* users and their rights, and start files of root's shells */
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
/* NOLINTEND(bugprone-suspicious-missing-comma) */

/* The same, if it exists: a host without it may well give the whole of /opt to a container. */
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

/*
 * The mount that a descriptor was opened through, and the file: by statx(2) where the kernel tells
 * the mount (Linux 5.8), else by fstat(2) and fdinfo (Linux 3.15).  The mount's number or -1.
 */
static int mount_id(int fd, dev_t *ret_dev, ino_t *ret_ino)
{
	char path[64], text[1024], *line;
	struct statx x;
	struct stat st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x) == 0 &&
	    (x.stx_mask & STATX_MNT_ID)) {
		*ret_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
		*ret_ino = x.stx_ino;
		return (int)x.stx_mnt_id;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (fstat(fd, &st) < 0 || df_read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
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

/* Where an O_PATH descriptor leads to. */
struct target {
	char path[PATH_MAX];          /* in this process's mount namespace; "": unknown */
	const struct df_mount *mount; /* that it was reached by */
	struct place place;
	dev_t dev;
	ino_t ino;
};

/* 0; -ENOENT: it is in no mount of this process's namespace; -ENAMETOOLONG. */
static int find_target(const struct df_host_files *h, int fd, struct target *ret)
{
	const int id = mount_id(fd, &ret->dev, &ret->ino);

	read_link(fd, ret->path);
	for (size_t i = h->mounts.n_mounts; i-- > 0;) {
		const struct df_mount *m = &h->mounts.mounts[i];

		if (m->id != id)
			continue;
		if (!*ret->path || !df_path_is_above(m->point, ret->path))
			return -ENOENT;
		ret->mount = m;
		return place_in(m, ret->path, &ret->place);
	}
	return -ENOENT;
}

/* --- the places of the files that are relied on --- */

static void add_place(struct df_host_files *h, const char *relied_on, const struct place *place,
		      dev_t dev, ino_t ino, bool is_layer)
{
	if (df_array_reserve(&h->places, &h->cap_places, h->n_places + 1, sizeof(*h->places)) < 0)
		return;
	h->places[h->n_places++] = (struct df_host_place){
		.relied = relied_on, .place = *place, .is_layer = is_layer, .dev = dev, .ino = ino};
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
	add_place(h, relied_on, &place, 0, 0, true);
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

/* Adds what is at rest, "/a/b" or "", below the target of a descriptor. */
static bool add_below(struct df_host_files *h, const char *relied_on, struct target *t,
		      const char *rest, dev_t dev, ino_t ino)
{
	const size_t len = *rest && strcmp(t->place.path, "/") == 0 ? 0 : strlen(t->place.path);

	if (len + strlen(rest) >= sizeof(t->place.path))
		return false;
	memcpy(t->place.path + len, rest, strlen(rest) + 1);
	add_place(h, relied_on, &t->place, dev, ino, false);
	return true;
}

/*
 * The file, or the nearest directory above it that exists and the rest of its name.  A link counts
 * where it stands, too.
 */
static void add_relied(struct df_host_files *h, const char *relied_on)
{
	char path[PATH_MAX], dir[PATH_MAX], *rest;
	const size_t len = strlen(relied_on);
	struct target t = {.path = ""};
	struct stat st;
	_cleanup_close_ int fd = -1, link_dir = -1;

	(void)snprintf(path, sizeof(path), "%s", relied_on);
	if (path[len - 1] == '/')
		path[len - 1] = '\0';
	(void)snprintf(dir, sizeof(dir), "%s", path);
	rest = dir + strlen(dir);
	fd = open(path, O_PATH | O_CLOEXEC);
	while (fd < 0 && (rest = strrchr(dir, '/')) != NULL) {
		*rest = '\0';
		fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (rest == dir)
			break;
	}
	if (fd >= 0 && find_target(h, fd, &t) == 0) {
		const char *missing = path + (rest - dir);

		if (add_below(h, relied_on, &t, missing, *missing ? 0 : t.dev,
			      *missing ? 0 : t.ino) &&
		    strcmp(t.mount->type, "overlay") == 0)
			add_layers(h, relied_on, t.mount, t.place.path, 0);
	}
	/* a path that leads to its own name is no link */
	if (strcmp(path, HOOK) == 0 || strcmp(path, t.path) == 0 || lstat(path, &st) < 0 ||
	    !S_ISLNK(st.st_mode))
		return;
	rest = strrchr(path, '/');
	(void)snprintf(dir, sizeof(dir), "%.*s/", (int)(rest - path), path);
	link_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (link_dir >= 0 && find_target(h, link_dir, &t) == 0)
		(void)add_below(h, relied_on, &t, rest, st.st_dev, st.st_ino);
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

/* Copies the name of the file, for a message.  Returns true. */
static bool name_file(const struct df_host_place *known, char ret[static PATH_MAX])
{
	const int len = (int)strlen(known->relied) - has_below(known->relied);

	if (strcmp(known->relied, HOOK) == 0)
		(void)snprintf(ret, PATH_MAX, "the hook");
	else
		(void)snprintf(ret, PATH_MAX, "%.*s", len, known->relied);
	return true;
}

/* Copies a cause, for a message.  Returns true. */
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
	static const char *const writable[] = {"sysfs",    "debugfs", "tracefs",   "configfs",
					       "efivarfs", "pstore",  "securityfs"};

	if (strcmp(m->type, "proc") == 0) {
		if (is_dir && (strcmp(path, "/") == 0 || (path[1] >= '0' && path[1] <= '9')))
			return "the host's /proc";
		return is_readonly ? NULL : "files of /proc";
	}
	if (strcmp(m->type, "bpf") == 0)
		return "BPF objects"; /* BPF_OBJ_GET does not ask how it is mounted */
	for (size_t i = 0; !is_readonly && i < ARRAY_SIZE(writable); i++)
		if (strcmp(m->type, writable[i]) == 0)
			return writable[i];
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
		const char *cause;
		struct place place = {.major = m->major, .minor = m->minor};

		if (!df_path_is_above(source, m->point) || strcmp(source, m->point) == 0)
			continue;
		(void)snprintf(place.path, sizeof(place.path), "%s", m->root);
		cause = special(m, m->root, true, is_readonly);
		if (cause)
			return name_cause(cause, ret);
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

/* False for a regular file of /proc without write permission. */
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
	struct target t = {.path = ""};
	const char *cause;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode))
		return df_config_may_use_device(config, true, major(st.st_rdev),
						minor(st.st_rdev)) &&
		       is_in_use(fd) && name_cause("a file system", ret);
	read_files(h);
	if (find_target(h, fd, &t) < 0) {
		known = mount->is_readonly ? NULL : find_inode(h, fd);
		return known && name_file(known, ret);
	}
	cause = special(t.mount, t.place.path, S_ISDIR(st.st_mode),
			mount->is_readonly || !is_writable(fd, &st));
	if (cause)
		return name_cause(cause, ret);
	known = mount->is_readonly ? NULL : find(h, &t.place);
	if (!known && !mount->is_readonly)
		known = find_inode(h, fd);
	if (known)
		return name_file(known, ret);
	if (config->has_all_devices && df_path_is_above(t.path, "/dev"))
		return name_cause("the devices of /dev", ret);
	return S_ISDIR(st.st_mode) && are_shown_below(h, mount, t.path, ret);
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
