/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/fences.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static int compare_written(const void *a, const void *b)
{
	const struct df_fence_dir *x = a, *y = b;

	if (is_later(&x->written, &y->written))
		return 1;
	return is_later(&y->written, &x->written) ? -1 : strcmp(x->id, y->id);
}

/* Of the directory itself if nothing was written yet. */
static int read_times(int run_fd, const char *id, struct timespec *ret)
{
	static const char *const files[] = {"events.jsonl", "events.log", "hook.log"};
	_cleanup_close_ int dir_fd =
		openat(run_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool has_file = false;

	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return -errno;
	*ret = st.st_mtim;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(dir_fd, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!has_file || is_later(&st.st_mtim, ret))
			*ret = st.st_mtim;
		has_file = true;
	}
	return 0;
}

static int add(struct df_fences *f, const char *id)
{
	struct df_fence_dir new = {0};
	int r = read_times(f->run_fd, id, &new.written);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* swept away meanwhile, or no fence */
	if (r < 0)
		return r;
	r = df_array_reserve(&f->list, &f->cap, f->n + 1, sizeof(*f->list));
	if (r < 0)
		return r;
	new.id = strdup(id);
	if (!new.id)
		return -ENOMEM;
	f->list[f->n++] = new;
	return 0;
}

static void clear(struct df_fences *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->list[i].id);
	f->n = 0;
}

static int read_entries(struct df_fences *f, const char *prefix, DIR *dir)
{
	const struct dirent *entry;
	int r;

	while ((entry = readdir(dir))) {
		bool is_whole = prefix && strcmp(entry->d_name, prefix) == 0;

		if (entry->d_name[0] == '.' || entry->d_name[0] == '@' ||
		    (prefix && strncmp(entry->d_name, prefix, strlen(prefix)) != 0))
			continue;
		if (is_whole)
			clear(f);
		r = add(f, entry->d_name);
		if (r < 0 || is_whole)
			return r;
	}
	return 0;
}

int df_fences_list(const char *prefix, struct df_fences *ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int r;

	*ret = (struct df_fences){.run_fd = -1};
	dir = opendir(DF_RUNDIR);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	ret->run_fd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 0);
	if (ret->run_fd < 0)
		return -errno;
	r = read_entries(ret, prefix, dir);
	if (r == 0 && ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), compare_written);
	return r;
}

void df_fences_done(struct df_fences *f)
{
	clear(f);
	free(f->list);
	if (f->run_fd >= 0)
		(void)close(f->run_fd);
	*f = (struct df_fences){.run_fd = -1};
}

int df_fences_select(const char *prefix, struct df_fences *ret)
{
	int r = df_fences_list(prefix && *prefix ? prefix : NULL, ret);

	if (r == -EACCES || r == -EPERM) {
		df_cli_error("cannot read " DF_RUNDIR "; that needs root");
		return EX_NOPERM;
	}
	if (r < 0) {
		df_cli_error("read " DF_RUNDIR ": %s", strerror(-r));
		return EX_OSERR;
	}
	if (!prefix || (ret->n == 1 && *prefix))
		return 0;
	if (ret->n == 0 || !*prefix)
		df_cli_error("no fence '%s' in " DF_RUNDIR, prefix);
	else
		df_cli_error("'%s' is the beginning of %zu ids; write more of it", prefix, ret->n);
	return EX_NOINPUT;
}

int df_fences_open(const struct df_fences *f, const char *id)
{
	int fd = openat(f->run_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
