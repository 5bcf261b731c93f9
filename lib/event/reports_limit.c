/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/event/reports_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

#define SUM ".usage" /* octets, files, and when they were counted */
#define SUM_MAX 96
#define COUNT_AGAIN_S 3600 /* the sum may have missed something, files grow older … */
#define STALE_S 3600       /* … and this long nobody writes one */
#define LOCK_TRIES 50
#define LOCK_PAUSE_US 2000
#define SPARE(limit) ((limit) - (limit) / 8) /* what is left where a limit was passed */

struct sum {
	uint64_t octets, files;
	int64_t counted_s; /* CLOCK_REALTIME; 0: never */
};

struct file {
	struct timespec written;
	uint64_t octets;
	char *name;
};

struct list {
	struct file *files;
	size_t n, cap;
};

static int compare_written(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->written.tv_sec != y->written.tv_sec)
		return x->written.tv_sec < y->written.tv_sec ? -1 : 1;
	if (x->written.tv_nsec != y->written.tv_nsec)
		return x->written.tv_nsec < y->written.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_temporary(const char *name)
{
	const size_t len = strlen(name), end = strlen(DF_REPORTS_TEMPORARY);
	char id[DF_REPORTS_ID_MAX + 1], report[DF_REPORTS_NAME_MAX];

	if (name[0] != '.' || len <= end + 1 || len - end > sizeof(report) ||
	    strcmp(name + len - end, DF_REPORTS_TEMPORARY) != 0)
		return false;
	(void)snprintf(report, sizeof(report), "%.*s", (int)(len - end - 1), name + 1);
	return df_reports_id(report, id);
}

static int take_file(struct list *l, int dir_fd, const char *name, time_t now)
{
	char id[DF_REPORTS_ID_MAX + 1];
	struct file new = {0};
	struct stat st;
	int r;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (!df_reports_id(name, id)) {
		if (is_temporary(name) && now - st.st_mtime > STALE_S)
			(void)unlinkat(dir_fd, name, 0);
		return 0;
	}
	r = df_array_reserve(&l->files, &l->cap, l->n + 1, sizeof(*l->files));
	if (r < 0)
		return r;
	new.written = st.st_mtim;
	new.octets = (uint64_t)st.st_size;
	new.name = strdup(name);
	if (!new.name)
		return -ENOMEM;
	l->files[l->n++] = new;
	return 0;
}

static int list_files(int dir_fd, time_t now, struct list *ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	/* twice the limit: others may have put some here, and they are gone after a few rounds */
	while (r == 0 && ret->n < DF_REPORTS_FILES_MAX * 2ul && (entry = readdir(dir)))
		if (strcmp(entry->d_name, SUM) != 0)
			r = take_file(ret, dir_fd, entry->d_name, now);
	return r;
}

static void done(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->files[i].name);
	free(l->files);
}

/* Oldest first. */
static void remove_files(int dir_fd, const struct list *l, time_t now,
			 const struct df_reports_limits *limits, struct sum *sum)
{
	const bool is_too_much = sum->octets > limits->octets || sum->files > DF_REPORTS_FILES_MAX;
	const uint64_t octets = is_too_much ? SPARE(limits->octets) : limits->octets;
	const uint64_t n = is_too_much ? SPARE(DF_REPORTS_FILES_MAX) : DF_REPORTS_FILES_MAX;

	for (size_t i = 0; i < l->n; i++) {
		const struct file *f = &l->files[i];
		const bool is_old = now > f->written.tv_sec &&
				    (uint64_t)(now - f->written.tv_sec) > limits->age_s;

		if (!is_old && sum->octets <= octets && sum->files <= n)
			break;
		if (unlinkat(dir_fd, f->name, 0) < 0 && errno != ENOENT)
			continue;
		sum->octets -= f->octets;
		sum->files--;
	}
}

/* 0 with the sum of what is left; -errno. */
static int count_again(int dir_fd, time_t now, const struct df_reports_limits *limits,
		       struct sum *ret)
{
	struct list list = {0};
	int r = list_files(dir_fd, now, &list);

	if (r == 0) {
		*ret = (struct sum){.files = list.n, .counted_s = now};
		for (size_t i = 0; i < list.n; i++)
			ret->octets += list.files[i].octets;
		if (list.n > 1)
			qsort(list.files, list.n, sizeof(*list.files), compare_written);
		remove_files(dir_fd, &list, now, limits, ret);
	}
	done(&list);
	return r;
}

static int lock_sum(int dir_fd)
{
	_cleanup_close_ int fd =
		openat(dir_fd, SUM, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return TAKE_FD(fd);
		(void)usleep(LOCK_PAUSE_US);
	}
	return -EBUSY;
}

static struct sum read_sum(int fd)
{
	struct sum sum = {0}, none = {0};
	char text[SUM_MAX];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return none;
	text[n] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNd64 "\n", &sum.octets, &sum.files,
		      &sum.counted_s) == 3
		       ? sum
		       : none;
}

static void write_sum(int fd, const struct sum *sum)
{
	char text[SUM_MAX];
	int n = snprintf(text, sizeof(text), "%020" PRIu64 " %020" PRIu64 " %020" PRId64 "\n",
			 sum->octets, sum->files, sum->counted_s);

	if (pwrite(fd, text, (size_t)n, 0) == n)
		return;
	if (ftruncate(fd, 0) < 0) /* then it is counted again */
		return;           /* else within the hour */
}

void df_reports_account(int dir_fd, off_t octets, bool is_new,
			const struct df_reports_limits *limits)
{
	_cleanup_close_ int fd = lock_sum(dir_fd);
	const time_t now = time(NULL);
	struct sum sum;

	if (fd < 0)
		return;
	sum = read_sum(fd);
	sum.octets += (uint64_t)octets;
	sum.files += is_new ? 1 : 0;
	if (sum.counted_s == 0 || now < sum.counted_s || now - sum.counted_s >= COUNT_AGAIN_S ||
	    sum.octets > limits->octets || sum.files > DF_REPORTS_FILES_MAX)
		if (count_again(dir_fd, now, limits, &sum) < 0)
			return;
	write_sum(fd, &sum);
}
