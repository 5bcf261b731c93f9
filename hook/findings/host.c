/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/findings/host.h"

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

#include "hook/findings/relied.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#define LAYERS_MAX 8 /* of an overlay below an overlay */
#define CLIMB_MAX 64 /* directories above one another */

/* One of those, by one of the ways that lead there. */
struct df_host_place {
	const struct relied *relied;
	struct df_place place;
	bool is_layer; /* of an overlay: it has another name */
	dev_t dev;     /* of what is there; 0, 0: nothing */
	ino_t ino;
};

static int add_place(struct df_host_files *h, const struct relied *r, const struct df_place *place,
		     const struct stat *st, bool is_layer)
{
	if (df_array_reserve(&h->places, &h->cap_places, h->n_places + 1, sizeof(*h->places)) < 0)
		return -ENOMEM;
	h->places[h->n_places++] = (struct df_host_place){.relied = r,
							  .place = *place,
							  .is_layer = is_layer,
							  .dev = st->st_dev,
							  .ino = st->st_ino};
	return 0;
}

/*
 * Where a layer is, by its name at the time of mounting: what is mounted on it now, the overlay
 * itself perhaps, is not what the overlay reads.
 */
static const struct df_mount *mount_of_layer(const struct df_host_files *h, const char *path,
					     const struct df_mount *overlay)
{
	const struct df_mount *best = NULL;

	for (size_t i = 0; i < h->mounts.n_mounts; i++) {
		const struct df_mount *m = &h->mounts.mounts[i];

		if (m != overlay && strcmp(m->point, path) != 0 &&
		    df_mountinfo_is_above(m->point, path) &&
		    (!best || strlen(m->point) >= strlen(best->point)))
			best = m;
	}
	return best;
}

static void add_layers(struct df_host_files *h, const struct relied *r, const struct df_mount *m,
		       const char *path, unsigned depth);

/* A layer of an overlay, and what of it the relied-on file is: dir has len octets. */
static void add_layer(struct df_host_files *h, const struct relied *r, const struct df_mount *m,
		      const char *dir, size_t len, const char *path, unsigned depth)
{
	const struct stat nothing = {};
	const struct df_mount *mount;
	struct df_place place;
	char text[PATH_MAX];
	const char *rest;

	if (snprintf(text, sizeof(text), "%.*s%s", (int)len, dir,
		     strcmp(path, "/") == 0 ? "" : path) >= (int)sizeof(text))
		return;
	mount = mount_of_layer(h, text, m);
	if (!mount)
		return;
	rest = text + (strcmp(mount->point, "/") == 0 ? 0 : strlen(mount->point));
	place = (struct df_place){.major = mount->major, .minor = mount->minor};
	if (snprintf(place.path, sizeof(place.path), "%s%s",
		     strcmp(mount->root, "/") == 0 ? "" : mount->root,
		     rest) >= (int)sizeof(place.path))
		return;
	(void)add_place(h, r, &place, &nothing, true);
	if (depth < LAYERS_MAX && strcmp(mount->type, "overlay") == 0)
		add_layers(h, r, mount, place.path, depth + 1);
}

/*
 * "…,lowerdir=A:B,upperdir=C,…": who writes there, writes here.  Overlays that were mounted by
 * fsconfig(2) have "lowerdir+=A,lowerdir+=B" (Linux 6.7).  path: in the overlay.
 */
static void add_layers(struct df_host_files *h, const struct relied *r, const struct df_mount *m,
		       const char *path, unsigned depth)
{
	static const char *const keys[] = {"lowerdir=", "lowerdir+=", "datadir+=", "upperdir="};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (const char *dirs = strstr(m->super, keys[i]); dirs;
		     dirs = strstr(dirs, keys[i])) {
			for (dirs += strlen(keys[i]); *dirs && *dirs != ',';) {
				size_t len = strcspn(dirs, ":,");

				if (*dirs == '/')
					add_layer(h, r, m, dirs, len, path, depth);
				dirs += len + (dirs[len] == ':');
			}
		}
	}
}

/* rest: "/a/b", or "".  0 or -ENAMETOOLONG. */
static int append(struct df_place *place, const char *rest)
{
	size_t len = *rest && strcmp(place->path, "/") == 0 ? 0 : strlen(place->path);

	if (len + strlen(rest) >= sizeof(place->path))
		return -ENAMETOOLONG;
	memcpy(place->path + len, rest, strlen(rest) + 1);
	return 0;
}

/* The file, or the nearest directory above it that exists and the rest of the name. */
static void add_path(struct df_host_files *h, const struct relied *r, const char *path)
{
	const struct df_mount *mount = NULL;
	char dir[PATH_MAX], *rest;
	struct df_place place;
	struct stat st = {};
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	(void)snprintf(dir, sizeof(dir), "%s", path);
	rest = dir + strlen(dir);
	if (fd >= 0)
		(void)fstat(fd, &st);
	while (fd < 0 && (rest = strrchr(dir, '/')) != NULL) {
		*rest = '\0';
		fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (rest == dir)
			break;
	}
	if (fd < 0 || df_mountinfo_place(&h->mounts, fd, &place, &mount) < 0)
		return;
	if (append(&place, path + (rest - dir)) < 0) /* the part that does not exist */
		return;
	(void)add_place(h, r, &place, &st, false);
	if (strcmp(mount->type, "overlay") == 0)
		add_layers(h, r, mount, place.path, 0);
}

/* A link counts where it stands, too. */
static void add_relied(struct df_host_files *h, const struct relied *r)
{
	const struct df_mount *mount = NULL;
	const char *name = strrchr(r->path, '/');
	char dir[PATH_MAX];
	struct stat st;
	struct df_place place;
	_cleanup_close_ int fd = -1;

	add_path(h, r, r->path);
	if (strncmp(r->path, "/proc/", 6) == 0 || lstat(r->path, &st) < 0 || !S_ISLNK(st.st_mode))
		return;
	(void)snprintf(dir, sizeof(dir), "%.*s/", (int)(name - r->path), r->path);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || df_mountinfo_place(&h->mounts, fd, &place, &mount) < 0 ||
	    append(&place, name) < 0)
		return;
	(void)add_place(h, r, &place, &st, false);
}

static void read_files(struct df_host_files *h)
{
	if (h->is_read)
		return;
	h->is_read = true;
	if (df_mountinfo_read(&h->mounts) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(relied); i++)
		add_relied(h, &relied[i]);
	for (size_t i = 0; i < ARRAY_SIZE(relied_if_there); i++)
		if (access(relied_if_there[i].path, F_OK) == 0)
			add_relied(h, &relied_if_there[i]);
}

void df_host_files_done(struct df_host_files *h)
{
	df_mountinfo_done(&h->mounts);
	free(h->places);
	*h = (struct df_host_files){0};
}

static const char *name_of(const struct relied *r)
{
	return strcmp(r->path, "/proc/self/exe") == 0 ? "the hook" : r->path;
}

/* The host's file at this place, or one below it; a file with this very name comes first. */
static const struct df_host_place *find(const struct df_host_files *h, const struct df_place *p)
{
	const struct df_host_place *layer = NULL;

	for (size_t i = 0; i < h->n_places; i++) {
		const struct df_host_place *known = &h->places[i];

		if (known->place.major != p->major || known->place.minor != p->minor ||
		    (!df_mountinfo_is_above(p->path, known->place.path) &&
		     !(known->relied->has_below &&
		       df_mountinfo_is_above(known->place.path, p->path))))
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
			    (i == 0 || h->places[k].relied->has_below))
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

/* A process's directory, or all of them, leads to its root and its files, read-only or not. */
static bool is_processes(const char *path)
{
	return strcmp(path, "/") == 0 || (path[1] >= '0' && path[1] <= '9');
}

/* File systems that are the kernel's own. */
static const char *special(const struct df_mount *m, const char *path, bool is_dir,
			   bool is_readonly)
{
	static const char *const levers[] = {"sysfs",    "debugfs", "tracefs",   "configfs",
					     "efivarfs", "pstore",  "securityfs"};

	if (strcmp(m->type, "proc") == 0)
		return is_dir && is_processes(path) ? "the host's /proc"
		       : is_readonly                ? NULL
						    : "files of /proc";
	if (strcmp(m->type, "bpf") == 0)
		return "BPF objects"; /* BPF_OBJ_GET does not ask how it is mounted */
	for (size_t i = 0; !is_readonly && i < ARRAY_SIZE(levers); i++)
		if (strcmp(m->type, levers[i]) == 0)
			return levers[i];
	return NULL;
}

static bool copy(const char *text, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", text);
	return true;
}

/* Mounts below the source come along, and "ro" does not cover them. */
static bool are_shown_below(const struct df_host_files *h, const struct df_config_mount *mount,
			    const char *source, char *ret, size_t size)
{
	for (size_t i = 0; mount->is_recursive && i < h->mounts.n_mounts; i++) {
		const struct df_mount *m = &h->mounts.mounts[i];
		const bool is_readonly = mount->is_all_readonly || m->is_readonly;
		const struct df_host_place *known = NULL;
		const char *lever;
		struct df_place place = {.major = m->major, .minor = m->minor};

		if (!df_mountinfo_is_above(source, m->point) || strcmp(source, m->point) == 0)
			continue;
		(void)snprintf(place.path, sizeof(place.path), "%s", m->root);
		lever = special(m, m->root, true, is_readonly);
		if (lever)
			return copy(lever, ret, size);
		known = is_readonly ? NULL : find(h, &place);
		if (known)
			return copy(name_of(known->relied), ret, size);
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
			     const struct df_config_mount *mount, int fd, char *ret, size_t size)
{
	const struct df_host_place *known = NULL;
	const struct df_mount *m = NULL;
	const char *lever;
	struct df_place place;
	char source[PATH_MAX], link[64];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode))
		return df_config_may_use_device(config, true, major(st.st_rdev),
						minor(st.st_rdev)) &&
		       is_in_use(fd) && copy("a file system", ret, size);
	read_files(h);
	if (df_mountinfo_place(&h->mounts, fd, &place, &m) < 0) {
		known = mount->is_readonly ? NULL : find_inode(h, fd);
		return known && copy(name_of(known->relied), ret, size);
	}
	lever = special(m, place.path, S_ISDIR(st.st_mode),
			mount->is_readonly || !is_writable(fd, &st));
	if (lever)
		return copy(lever, ret, size);
	known = mount->is_readonly ? NULL : find(h, &place);
	if (!known && !mount->is_readonly)
		known = find_inode(h, fd);
	if (known)
		return copy(name_of(known->relied), ret, size);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, source, sizeof(source) - 1);
	source[n > 0 ? n : 0] = '\0';
	if (config->has_all_devices && df_mountinfo_is_above(source, "/dev"))
		return copy("the devices of /dev", ret, size);
	return S_ISDIR(st.st_mode) && are_shown_below(h, mount, source, ret, size);
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
