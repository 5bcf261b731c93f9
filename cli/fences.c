/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/fences.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/internal.h"
#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/event/reports.h"
#include "lib/policy/conf.h"

/* --- /run/deployfence */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static int compare_written(const void *a, const void *b)
{
	const struct df_fence_dir *x = a, *y = b;

	return is_later(&x->written, &y->written) - is_later(&y->written, &x->written)
		       ?: strcmp(x->id, y->id);
}

/* The last write to a log; the time of the directory itself if there is no log yet. */
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

static int add_fence(struct df_fences *f, const char *id)
{
	struct df_fence_dir new = {0};
	int r = read_times(f->run_fd, id, &new.written);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* swept away meanwhile, or no fence */
	if (r == 0)
		r = df_array_reserve(&f->list, &f->cap, f->n + 1, sizeof(*f->list));
	if (r < 0)
		return r;
	new.id = strdup(id);
	if (!new.id)
		return -ENOMEM;
	f->list[f->n++] = new;
	return 0;
}

static void clear_fences(struct df_fences *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->list[i].id);
	f->n = 0;
}

static int list_fences(const char *prefix, struct df_fences *f)
{
	_cleanup_closedir_ DIR *dir = opendir(DF_RUNDIR);
	const struct dirent *entry;
	bool is_whole = false;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	f->run_fd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 0);
	if (f->run_fd < 0)
		return -errno;
	while (r == 0 && !is_whole && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || entry->d_name[0] == '@' ||
		    (prefix && strncmp(entry->d_name, prefix, strlen(prefix)) != 0))
			continue;
		is_whole = prefix && strcmp(entry->d_name, prefix) == 0;
		if (is_whole)
			clear_fences(f);
		r = add_fence(f, entry->d_name);
	}
	if (r == 0 && f->n > 1)
		qsort(f->list, f->n, sizeof(*f->list), compare_written);
	return r;
}

int df_fences_select(const char *prefix, struct df_fences *ret)
{
	int r;

	*ret = (struct df_fences){.run_fd = -1};
	r = list_fences(prefix && *prefix ? prefix : NULL, ret);
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

void df_fences_done(struct df_fences *f)
{
	clear_fences(f);
	free(f->list);
	if (f->run_fd >= 0)
		(void)close(f->run_fd);
	*f = (struct df_fences){.run_fd = -1};
}

int df_fences_open(const struct df_fences *f, const char *id)
{
	int fd = openat(f->run_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool df_fences_has(const struct df_fences *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].id, id) == 0)
			return true;
	return false;
}

/* --- report-dir */

static int compare_kept(const void *a, const void *b)
{
	const struct df_kept_file *x = a, *y = b;

	return strcmp(x->id, y->id) ?: strcmp(x->name, y->name);
}

static int add_kept(struct df_kept *k, const char *name, const char *id)
{
	struct df_kept_file new = {0};
	struct stat st;
	int r;

	if (fstatat(k->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0; /* removed meanwhile, or not ours */
	r = df_array_reserve(&k->list, &k->cap, k->n + 1, sizeof(*k->list));
	if (r < 0)
		return r;
	new.written = st.st_mtim;
	new.id = strdup(id);
	new.name = strdup(name);
	if (!new.id || !new.name) {
		free(new.id);
		free(new.name);
		return -ENOMEM;
	}
	k->list[k->n++] = new;
	return 0;
}

static int list_kept(const char *dir_path, const char *prefix, struct df_kept *k)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = -1;
	char id[DF_REPORTS_ID_MAX + 1];
	const struct dirent *entry;
	int r = df_reports_open(dir_path, false);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	k->dir_fd = r;
	fd = openat(k->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	r = 0;
	while (r == 0 && (entry = readdir(dir)))
		if (df_reports_id(entry->d_name, id) &&
		    (!prefix || strncmp(id, prefix, strlen(prefix)) == 0))
			r = add_kept(k, entry->d_name, id);
	return r;
}

int df_kept_list(const char *prefix, struct df_kept *ret)
{
	_cleanup_free_ char *messages = NULL;
	struct df_conf_host conf;
	int r;

	*ret = (struct df_kept){.dir_fd = -1};
	df_conf_init(&conf);
	if (df_conf_load(DF_CONF_FILE, &conf, &messages) < 0) {
		df_cli_error("%s: cannot be used, so report-dir is not known", DF_CONF_FILE);
		return EX_CONFIG;
	}
	r = list_kept(conf.report_dir, prefix, ret);
	if (r == -EPERM)
		df_cli_error("report-dir %s: others than you own it, or may write there",
			     conf.report_dir);
	else if (r < 0)
		df_cli_error("report-dir %s: %s", conf.report_dir, strerror(-r));
	if (r < 0)
		return r == -EPERM || r == -EACCES ? EX_NOPERM : EX_OSERR;
	if (ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), compare_kept);
	return 0;
}

void df_kept_done(struct df_kept *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->list[i].id);
		free(k->list[i].name);
	}
	free(k->list);
	if (k->dir_fd >= 0)
		(void)close(k->dir_fd);
	*k = (struct df_kept){.dir_fd = -1};
}

size_t df_kept_next(const struct df_kept *k, size_t first)
{
	size_t i = first;

	while (i < k->n && strcmp(k->list[i].id, k->list[first].id) == 0)
		i++;
	return i;
}

size_t df_kept_of(const struct df_kept *k, const char *id, size_t *ret_first)
{
	size_t low = 0, high = k->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(k->list[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_first = low;
	return low < k->n && strcmp(k->list[low].id, id) == 0 ? df_kept_next(k, low) - low : 0;
}
