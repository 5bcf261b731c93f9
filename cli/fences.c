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
#include "lib/event/report_dir.h"
#include "lib/policy/conf.h"

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static int compare_written(const void *a, const void *b)
{
	const struct df_fence_place *x = a, *y = b;

	return is_later(&x->written, &y->written) - is_later(&y->written, &x->written)
		       ?: strcmp(x->id, y->id);
}

static int compare_ids(const void *a, const void *b)
{
	const struct df_fence_place *x = a, *y = b;

	return strcmp(x->id, y->id) ?: !x->file - !y->file
		?: strcmp(x->file ? x->file : "", y->file ? y->file : "");
}

static int add(struct df_fences *f, const char *id, const char *file, struct timespec written)
{
	struct df_fence_place new = {.written = written};
	int r = df_array_reserve(&f->list, &f->cap, f->n + 1, sizeof(*f->list));

	if (r < 0)
		return r;
	new.id = strdup(id);
	new.file = file ? strdup(file) : NULL;
	if (!new.id || (file && !new.file)) {
		free(new.id);
		free(new.file);
		return -ENOMEM;
	}
	f->list[f->n++] = new;
	return 0;
}

/* Frees the places behind n. */
static void cut(struct df_fences *f, size_t n)
{
	while (f->n > n) {
		free(f->list[--f->n].id);
		free(f->list[f->n].file);
	}
}

/* --- /run/deployfence */

/* The time of the directory itself counts as long as there is no log. */
static int add_running(struct df_fences *f, const char *id)
{
	static const char *const files[] = {"events.jsonl", "events.log", "hook.log"};
	_cleanup_close_ int dir_fd =
		openat(f->run_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct timespec written;
	bool has_file = false;
	struct stat st;

	if (dir_fd < 0 || fstat(dir_fd, &st) < 0) /* swept away meanwhile, or no fence */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	written = st.st_mtim;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(dir_fd, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!has_file || is_later(&st.st_mtim, &written))
			written = st.st_mtim;
		has_file = true;
	}
	return add(f, id, NULL, written);
}

static int list_running(const char *prefix, struct df_fences *f)
{
	_cleanup_closedir_ DIR *dir = opendir(DF_RUNDIR);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	f->run_fd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 0);
	if (f->run_fd < 0)
		return -errno;
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && entry->d_name[0] != '@' &&
		    strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			r = add_running(f, entry->d_name);
	return r;
}

int df_fences_open(const struct df_fences *f, const char *id)
{
	int fd = openat(f->run_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* --- report-dir */

static int list_kept(const char *path, const char *prefix, struct df_fences *f)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = -1;
	char id[DF_REPORTS_ID_MAX + 1];
	const struct dirent *entry;
	struct stat st;
	int r = df_reports_open(path, false);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	f->kept_fd = r;
	fd = openat(f->kept_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	for (r = 0; r == 0 && (entry = readdir(dir));) {
		if (!df_reports_id(entry->d_name, id) || strncmp(id, prefix, strlen(prefix)) != 0)
			continue;
		/* it may have been removed meanwhile, or be no file of ours */
		if (fstatat(f->kept_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			r = add(f, id, entry->d_name, st.st_mtim);
	}
	return r;
}

/* 0, or an exit status after an error message. */
static int add_kept(const char *prefix, struct df_fences *f)
{
	_cleanup_free_ char *messages = NULL;
	struct df_conf_host conf;
	int r;

	df_conf_init(&conf);
	if (df_conf_load(DF_CONF_FILE, &conf, &messages) < 0) {
		df_cli_error("%s: cannot be used, so report-dir is not known", DF_CONF_FILE);
		return EX_CONFIG;
	}
	r = list_kept(conf.report_dir, prefix, f);
	if (r == 0)
		return 0;
	df_cli_error("report-dir %s: %s", conf.report_dir,
		     r == -EPERM ? "others than you own it, or may write there" : strerror(-r));
	return r == -EPERM || r == -EACCES ? EX_NOPERM : EX_OSERR;
}

/* --- both */

size_t df_fences_next(const struct df_fences *f, size_t first)
{
	size_t i = first;

	while (i < f->n && strcmp(f->list[i].id, f->list[first].id) == 0)
		i++;
	return i;
}

/* Leaves the places of one fence: of the id that equals the prefix, else of the only id. */
static int reduce(struct df_fences *f, const char *prefix, bool with_kept)
{
	size_t first = 0, n_ids = 0;

	for (size_t i = 0; i < f->n && *prefix; i = df_fences_next(f, i)) {
		first = i;
		n_ids++;
		if (strcmp(f->list[i].id, prefix) == 0) {
			n_ids = 1;
			break;
		}
	}
	if (n_ids == 1) {
		const size_t end = df_fences_next(f, first), all = f->n;

		f->n = 0;
		for (size_t i = 0; i < all; i++) {
			if (i >= first && i < end) {
				f->list[f->n++] = f->list[i];
			} else {
				free(f->list[i].id);
				free(f->list[i].file);
			}
		}
		return 0;
	}
	cut(f, 0);
	if (n_ids == 0)
		df_cli_error("no fence '%s' in " DF_RUNDIR "%s", prefix,
			     with_kept ? " or report-dir" : "");
	else
		df_cli_error("'%s' is the beginning of %zu ids; write more of it", prefix, n_ids);
	return EX_NOINPUT;
}

int df_fences_select(const char *prefix, bool with_kept, struct df_fences *ret)
{
	int r, status = 0;

	*ret = (struct df_fences){.run_fd = -1, .kept_fd = -1};
	r = list_running(prefix ? prefix : "", ret);
	if (r < 0) {
		cut(ret, 0);
		if (r != -EACCES && r != -EPERM) {
			df_cli_error("read " DF_RUNDIR ": %s", strerror(-r));
			return EX_OSERR;
		}
		df_cli_error("cannot read " DF_RUNDIR "; that needs root");
		return EX_NOPERM;
	}
	if (with_kept)
		status = add_kept(prefix ? prefix : "", ret);
	if (ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list),
		      with_kept || prefix ? compare_ids : compare_written);
	if (prefix)
		r = reduce(ret, prefix, with_kept);
	return status ?: r;
}

void df_fences_done(struct df_fences *f)
{
	cut(f, 0);
	free(f->list);
	if (f->run_fd >= 0)
		(void)close(f->run_fd);
	if (f->kept_fd >= 0)
		(void)close(f->kept_fd);
	*f = (struct df_fences){.run_fd = -1, .kept_fd = -1};
}
