/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"
#include "lib/policy/compile.h"

#define SUFFIX ".table"
#define FILE_MAX (DF_POLICY_NAME_MAX + 16)
#define TEMPORARY_MAX (FILE_MAX + 16)
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define OTHERS (S_IRWXG | S_IRWXO)

static int check_owner(int fd, mode_t type)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() && !(st.st_mode & OTHERS)
		       ? 0
		       : -EPERM;
}

static int make_directories(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, (size_t)(slash - path)) : NULL;

	if (slash && !parent)
		return -ENOMEM;
	if (parent && *parent && mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Root alone can have put this directory, and those above it, in place. */
static int open_directory(const char *path)
{
	char why[DF_HOST_FILE_WHY_MAX];
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	return df_host_dir_open(path, geteuid(), why);
}

int df_policy_store_open(const char *path, bool create)
{
	_cleanup_close_ int fd = -1;
	int r = create ? make_directories(path) : 0;

	if (r < 0)
		return r;
	fd = open_directory(path);
	if (fd < 0)
		return fd;
	r = check_owner(fd, S_IFDIR);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_kept(int dir_fd, const char *file, const void *table, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, file, OPEN_FLAGS);
	_cleanup_free_ char *old = NULL;
	size_t old_size;

	return fd >= 0 && check_owner(fd, S_IFREG) == 0 &&
	       df_read_all(fd, size, &old, &old_size) == 0 && old_size == size &&
	       memcmp(old, table, size) == 0;
}

/* A name of its own for each writer: linkat does not replace, rename does. */
static int put_in_place(int dir_fd, int fd, const char *file)
{
	char from[64], temporary[TEMPORARY_MAX];
	int r;

	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	(void)snprintf(temporary, sizeof(temporary), ".%s.%d", file, (int)getpid());
	(void)unlinkat(dir_fd, temporary, 0); /* of a process that died here */
	if (linkat(AT_FDCWD, from, dir_fd, temporary, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	if (renameat(dir_fd, temporary, dir_fd, file) == 0)
		return 0;
	r = -errno;
	(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

int df_policy_store_save(int dir_fd, const char *name, const void *table, size_t size)
{
	_cleanup_close_ int fd = -1;
	char file[FILE_MAX];
	int r;

	(void)snprintf(file, sizeof(file), "%s" SUFFIX, name);
	if (is_kept(dir_fd, file, table, size))
		return 0;
	fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0)
		return -errno;
	r = df_write_all(fd, table, size);
	/* after a power failure the new name must not stand for an empty file */
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = put_in_place(dir_fd, fd, file);
	return r < 0 ? r : 1;
}

int df_policy_store_load(int dir_fd, const char *name, void **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *table = NULL;
	struct df_policy policy;
	char file[FILE_MAX];
	size_t size;
	int r;

	(void)snprintf(file, sizeof(file), "%s" SUFFIX, name);
	fd = openat(dir_fd, file, OPEN_FLAGS);
	if (fd < 0)
		return -errno;
	r = check_owner(fd, S_IFREG);
	if (r == 0)
		r = df_read_all(fd, DF_POLICY_SIZE_MAX, &table, &size);
	if (r != 0)
		return r == -E2BIG ? -EBADMSG : r;
	if (df_policy_open(table, size, &policy) < 0 || strcmp(df_policy_name(&policy), name) != 0)
		return -EBADMSG;
	*ret = TAKE_PTR(table);
	*ret_size = size;
	return 0;
}
