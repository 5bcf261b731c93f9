/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"

#define LINKS_MAX 40 /* as many as the kernel follows: path_resolution(7) */
#define SHOWN_MAX 256
#define FD_PATH_MAX 32

struct walk {
	int fd;              /* O_PATH, of the component that was reached */
	char rest[PATH_MAX]; /* of the path, from there */
	unsigned n_links;
	uid_t owner;
	char *why;
};

static void fd_path(int fd, char ret[static FD_PATH_MAX])
{
	(void)snprintf(ret, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* Where the descriptor leads, for a message. */
static void show(int fd, char ret[static SHOWN_MAX])
{
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n;

	fd_path(fd, link);
	n = readlink(link, path, sizeof(path));
	(void)df_escape(n > 0 ? path : "?", n > 0 ? (size_t)n : 1, ret, SHOWN_MAX);
}

/* Checks that root alone (or the accepted owner) can have changed or replaced it. */
static int judge(struct walk *w, int fd, const struct stat *st)
{
	/* the mode of a link means nothing, and only files and directories are ever read */
	const bool has_mode = S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
	const bool is_shared = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
	char shown[SHOWN_MAX];

	if (st->st_uid != 0 && st->st_uid != w->owner) {
		show(fd, shown);
		(void)snprintf(w->why, DF_HOST_FILE_WHY_MAX,
			       "%s belongs to uid %u; it must be root's: chown -h root %s", shown,
			       (unsigned)st->st_uid, shown);
		return -EPERM;
	}
	if (!has_mode || is_shared || !(st->st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	show(fd, shown);
	(void)snprintf(w->why, DF_HOST_FILE_WHY_MAX,
		       "%s can be written by others than its owner (mode %04o): chmod go-w %s",
		       shown, (unsigned)st->st_mode & 07777, shown);
	return -EPERM;
}

static int begin(struct walk *w, const char *path)
{
	struct stat st;
	int fd = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = fd;
	return fstat(fd, &st) < 0 ? -errno : judge(w, fd, &st);
}

/* The link's text takes its place in the path. */
static int follow(struct walk *w, int link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target));
	int len;

	if (n < 0)
		return -errno;
	if (++w->n_links > LINKS_MAX)
		return -ELOOP;
	len = snprintf(rest, sizeof(rest), "%.*s/%s", (int)n, target, w->rest);
	if (n == 0 || len < 0 || (size_t)len >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, (size_t)len + 1);
	return target[0] == '/' ? begin(w, "/") : 0;
}

/* Takes the first component off the rest of the path; false: there is none. */
static bool take_component(struct walk *w, char ret[static NAME_MAX + 1], int *ret_error)
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/");

	*ret_error = n > NAME_MAX ? -ENAMETOOLONG : 0;
	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(ret, w->rest + skip, n);
	ret[n] = '\0';
	memmove(w->rest, w->rest + skip + n, strlen(w->rest + skip + n) + 1);
	return true;
}

static int walk(struct walk *w, const char *path)
{
	char name[NAME_MAX + 1];
	int r = *path ? begin(w, path) : -ENOENT;

	if (r == 0 && strlen(path) >= sizeof(w->rest))
		r = -ENAMETOOLONG;
	if (r < 0)
		return r;
	memcpy(w->rest, path, strlen(path) + 1);
	while (take_component(w, name, &r)) {
		_cleanup_close_ int next = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (next < 0 || fstat(next, &st) < 0)
			return -errno;
		r = judge(w, next, &st);
		if (r == 0 && S_ISLNK(st.st_mode)) {
			r = follow(w, next);
		} else if (r == 0) {
			(void)close(w->fd);
			w->fd = TAKE_FD(next);
		}
		if (r < 0)
			return r;
	}
	return r;
}

static int open_as(const char *path, uid_t owner, mode_t type, int flags, char *ret_why)
{
	struct walk w = {.fd = -1, .owner = owner, .why = ret_why};
	char link[FD_PATH_MAX];
	struct stat st;
	int r, fd = -1;

	ret_why[0] = '\0';
	r = walk(&w, path);
	if (r == 0 && fstat(w.fd, &st) < 0)
		r = -errno;
	if (r == 0 && (st.st_mode & S_IFMT) != type)
		r = type == S_IFDIR ? -ENOTDIR : -EINVAL;
	if (r == 0) {
		/* the file that O_PATH holds, and not the path again */
		fd_path(w.fd, link);
		fd = open(link, flags | O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			r = -errno;
	}
	if (w.fd >= 0)
		(void)close(w.fd);
	return r < 0 ? r : fd;
}

int df_host_file_open(const char *path, uid_t owner, char ret_why[static DF_HOST_FILE_WHY_MAX])
{
	return open_as(path, owner, S_IFREG, 0, ret_why);
}

int df_host_dir_open(const char *path, uid_t owner, char ret_why[static DF_HOST_FILE_WHY_MAX])
{
	return open_as(path, owner, S_IFDIR, O_DIRECTORY, ret_why);
}
