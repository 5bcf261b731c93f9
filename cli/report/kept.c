/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/conf.h"

static int compare(const void *a, const void *b)
{
	const struct df_kept_file *x = a, *y = b;
	int r = strcmp(x->id, y->id);

	return r ? r : strcmp(x->name, y->name);
}

static int add(struct df_kept *k, const char *name, const char *id)
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

static int read_entries(struct df_kept *k, const char *prefix)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = openat(k->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char id[DF_REPORTS_ID_MAX + 1];
	const struct dirent *entry;
	int r = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	while (r == 0 && (entry = readdir(dir)))
		if (df_reports_id(entry->d_name, id) &&
		    (!prefix || strncmp(id, prefix, strlen(prefix)) == 0))
			r = add(k, entry->d_name, id);
	return r;
}

static int fail(const char *dir, int r)
{
	if (r == -EPERM)
		df_cli_error("report-dir %s: others than you own it, or may write there", dir);
	else
		df_cli_error("report-dir %s: %s", dir, strerror(-r));
	return r == -EPERM || r == -EACCES ? EX_NOPERM : EX_OSERR;
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
	ret->dir_fd = df_reports_open(conf.report_dir, false);
	if (ret->dir_fd == -ENOENT) {
		ret->dir_fd = -1;
		return 0;
	}
	r = ret->dir_fd;
	if (r < 0)
		ret->dir_fd = -1;
	else
		r = read_entries(ret, prefix);
	if (r < 0)
		return fail(conf.report_dir, r);
	if (ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), compare);
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
