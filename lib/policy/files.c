/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/util.h"

void df_policy_files_done(struct df_policy_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->list[i].path);
	files->n = 0;
}

struct df_policy_stamp df_policy_stamp_from(const struct stat *st)
{
	return (struct df_policy_stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
	};
}

int df_policy_stamp_of(const char *path, struct df_policy_stamp *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	*ret = df_policy_stamp_from(&st);
	return 0;
}

int df_policy_files_add(struct df_policy_files *files, const char *path, size_t *ret_index)
{
	struct df_policy_file *file = &files->list[files->n];

	if (files->n == DF_POLICY_FILES_MAX)
		return -EMFILE;
	*file = (struct df_policy_file){.path = strdup(path)};
	if (!file->path)
		return -ENOMEM;
	*ret_index = files->n++;
	return 0;
}

/* A descriptor or -errno; files->why is set if others could have written the file. */
static int open_file(struct df_policy_files *files, const char *path)
{
	int fd = -EPERM;

	files->why[0] = '\0';
	if (files->trust != DF_POLICY_TRUST_ANY) {
		/* a warning is about files of root, for any user */
		fd = df_host_file_open(path, files->trust == DF_POLICY_TRUST_WARN ? 0 : geteuid(),
				       files->why);
		if (!*files->why || files->trust == DF_POLICY_TRUST_DEMAND)
			return fd;
	}
	/* O_NONBLOCK: a FIFO put in the file's place must not hold us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int df_policy_files_read(struct df_policy_files *files, const char *path, size_t max, char **ret,
			 size_t *ret_len, size_t *ret_index)
{
	_cleanup_close_ int fd = open_file(files, path);
	_cleanup_free_ char *text = NULL;
	struct df_policy_stamp stamp, after;
	struct stat st;
	size_t len = 0;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -E2BIG;
	stamp = df_policy_stamp_from(&st);
	r = df_read_all(fd, max, &text, &len);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	after = df_policy_stamp_from(&st);
	r = df_policy_files_add(files, path, ret_index);
	if (r < 0)
		return r;
	if (len != stamp.size || memcmp(&stamp, &after, sizeof(stamp)) != 0)
		files->has_changed = true;
	files->list[*ret_index].stamp = stamp;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

const char *df_policy_files_error(const struct df_policy_files *files, int r)
{
	if (r == -EPERM && *files->why)
		return files->why;
	switch (r) {
	case -E2BIG:
		return "too big";
	case -EINVAL:
		return "not a regular file";
	case -ENOENT:
		/* In the words of strerror, podman would take the container's command for missing.
		 */
		return "the file is missing";
	case -EMFILE:
		return "too many files in one policy";
	default:
		return strerror(-r);
	}
}
