/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/event/report_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/array.h"
#include "lib/base/host_file.h"
#include "lib/base/util.h"

#define MARK_MAX 96
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define OPEN_TRIES 3   /* a rotation between two opens is rare, two are no accident */
#define HEAD_MAX 256   /* the time stands at the beginning of a line: lib/event/event.c */
#define COPY_MAX 16384 /* at a time */
#define TIME_LEN 27    /* 2026-01-31T12:00:00.123456Z, and in a name … */
#define STAMP_LEN 23   /* … 20260131T120000.123456Z */
#define NO_STAMP "none"
#define TEMPORARY ".new" /* end of the name of a file that is being written */

static const char *const files[DF_REPORTS_PARTS] = {"events.jsonl.1", "events.jsonl"};

/* --- the directory */

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

int df_reports_open(const char *path, bool create)
{
	char why[DF_HOST_FILE_WHY_MAX];
	_cleanup_close_ int fd = df_host_dir_open(path, geteuid(), why);
	struct stat st;

	if (fd == -ENOENT && create) {
		int r = make_directories(path);

		if (r < 0)
			return r;
		fd = df_host_dir_open(path, geteuid(), why);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return TAKE_FD(fd);
}

static bool is_digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static bool is_stamp(const char *s)
{
	return is_digits(s, 8) && s[8] == 'T' && is_digits(s + 9, 6) && s[15] == '.' &&
	       is_digits(s + 16, 6) && s[22] == 'Z';
}

bool df_reports_id(const char *file, char ret[static DF_REPORTS_ID_MAX + 1])
{
	static const char end[] = ".jsonl";
	size_t len = strlen(file), id_len;

	if (len <= STAMP_LEN + 1 + sizeof(end) - 1 || !is_stamp(file) || file[STAMP_LEN] != '-' ||
	    strcmp(file + len - (sizeof(end) - 1), end) != 0)
		return false;
	id_len = len - STAMP_LEN - 1 - (sizeof(end) - 1);
	if (id_len > DF_REPORTS_ID_MAX)
		return false;
	memcpy(ret, file + STAMP_LEN + 1, id_len);
	ret[id_len] = '\0';
	return true;
}

/* --- lines that are not kept yet */

/* A time as in an event to one as in a name. */
static void make_stamp(const char *time_text, char ret[static STAMP_LEN + 1])
{
	size_t n = 0;

	for (const char *p = time_text; p < time_text + TIME_LEN && n < STAMP_LEN; p++)
		if (*p != '-' && *p != ':')
			ret[n++] = *p;
	ret[n] = '\0';
}

/* The time of the line at an offset; lib/event/event.c writes it near the beginning. */
static bool read_stamp(int fd, off_t at, char ret[static STAMP_LEN + 1])
{
	static const char key[] = "\"time\":\"";
	char head[HEAD_MAX + 1], stamp[STAMP_LEN + 1];
	const ssize_t n = pread(fd, head, HEAD_MAX, at);
	const char *value;

	if (n <= 0)
		return false;
	head[n] = '\0';
	value = strstr(head, key);
	if (!value || strlen(value) < strlen(key) + TIME_LEN)
		return false;
	make_stamp(value + strlen(key), stamp);
	if (!is_stamp(stamp))
		return false;
	memcpy(ret, stamp, sizeof(stamp));
	return true;
}

/* In the run directory: up to where a file is kept.  Numbers of inodes are used again. */
struct mark {
	uint64_t ino, octets;
	char stamp[STAMP_LEN + 1]; /* of its first line */
};

static bool read_mark(int run_fd, struct mark *ret)
{
	char text[MARK_MAX];

	return df_read_small(run_fd, DF_REPORTS_MARK, text, sizeof(text)) > 0 &&
	       sscanf(text, "%" SCNu64 " %" SCNu64 " %23s\n", &ret->ino, &ret->octets,
		      ret->stamp) == 3;
}

/* One write of always the same length: a crash leaves the old mark or the new one. */
static int write_mark(int run_fd, const struct mark *mark)
{
	_cleanup_close_ int fd =
		openat(run_fd, DF_REPORTS_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[MARK_MAX];
	int n = snprintf(text, sizeof(text), "%020" PRIu64 " %020" PRIu64 " %-23s\n", mark->ino,
			 mark->octets, mark->stamp);

	return fd < 0 ? -errno : df_write_all(fd, text, (size_t)n);
}

static bool is_marked(const struct df_reports_part *p, const struct mark *mark)
{
	char stamp[STAMP_LEN + 1] = NO_STAMP;

	if (p->fd < 0 || p->ino != mark->ino || (uint64_t)p->size < mark->octets)
		return false;
	(void)read_stamp(p->fd, 0, stamp);
	return strcmp(stamp, mark->stamp) == 0;
}

void df_reports_rest_done(struct df_reports_rest *rest)
{
	for (int i = 0; i < DF_REPORTS_PARTS; i++) {
		if (rest->parts[i].fd >= 0)
			(void)close(rest->parts[i].fd);
		rest->parts[i] = (struct df_reports_part){.fd = -1};
	}
}

static int open_part(int run_fd, const char *file, struct df_reports_part *ret)
{
	_cleanup_close_ int fd = openat(run_fd, file, OPEN_FLAGS);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (struct df_reports_part){.fd = TAKE_FD(fd), .ino = st.st_ino, .size = st.st_size};
	return 0;
}

/* The newer file first, and again if a rotation has made both the same meanwhile. */
static int open_parts(int run_fd, struct df_reports_rest *rest)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		int r;

		df_reports_rest_done(rest);
		r = open_part(run_fd, files[1], &rest->parts[1]);
		if (r == 0)
			r = open_part(run_fd, files[0], &rest->parts[0]);
		if (r < 0)
			return r;
		if (rest->parts[0].fd < 0 || rest->parts[0].ino != rest->parts[1].ino)
			return 0;
	}
	return -EAGAIN;
}

/* All before the mark is kept; a mark whose file is gone says nothing. */
static void skip_marked(struct df_reports_rest *rest, const struct mark *mark)
{
	for (int i = 0; i < DF_REPORTS_PARTS; i++) {
		struct df_reports_part *p = &rest->parts[i];

		if (!is_marked(p, mark))
			continue;
		p->from = (off_t)mark->octets;
		for (int k = 0; k < i; k++)
			rest->parts[k].from = rest->parts[k].size;
	}
}

static void skip_octets(struct df_reports_rest *rest, off_t n)
{
	for (int i = 0; i < DF_REPORTS_PARTS; i++) {
		struct df_reports_part *p = &rest->parts[i];
		off_t here = p->size - p->from < n ? p->size - p->from : n;

		p->from += here;
		n -= here;
	}
}

/* Of the first line that is not kept yet; the present where it has none. */
static void first_stamp(const struct df_reports_rest *rest, char ret[static STAMP_LEN + 1])
{
	char now[32];

	for (int i = 0; i < DF_REPORTS_PARTS; i++) {
		const struct df_reports_part *p = &rest->parts[i];

		if (p->from < p->size && read_stamp(p->fd, p->from, ret))
			return;
		if (p->from < p->size)
			break;
	}
	df_time_text(now);
	make_stamp(now, ret);
}

static int name_report(const struct df_reports_rest *rest, const char *id,
		       char ret[static DF_REPORTS_NAME_MAX])
{
	char stamp[STAMP_LEN + 1], again[DF_REPORTS_ID_MAX + 1];

	first_stamp(rest, stamp);
	(void)snprintf(ret, DF_REPORTS_NAME_MAX, "%s-%.*s.jsonl", stamp, DF_REPORTS_ID_MAX, id);
	return df_reports_id(ret, again) && strcmp(again, id) == 0 ? 0 : -EINVAL;
}

int df_reports_rest_open(int dir_fd, int run_fd, const char *id, struct df_reports_rest *ret)
{
	char name[DF_REPORTS_NAME_MAX];
	struct mark mark;
	struct stat st;
	bool has_mark;
	int r;

	for (int i = 0; i < DF_REPORTS_PARTS; i++)
		ret->parts[i] = (struct df_reports_part){.fd = -1};
	has_mark = read_mark(run_fd, &mark);
	r = open_parts(run_fd, ret);
	if (r < 0)
		return r;
	if (has_mark)
		skip_marked(ret, &mark);
	/* kept, but not marked yet */
	if (dir_fd >= 0 && !df_reports_rest_is_empty(ret) && name_report(ret, id, name) == 0 &&
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		skip_octets(ret, st.st_size);
	return 0;
}

bool df_reports_rest_is_empty(const struct df_reports_rest *rest)
{
	for (int i = 0; i < DF_REPORTS_PARTS; i++)
		if (rest->parts[i].from < rest->parts[i].size)
			return false;
	return true;
}

/* --- how much there may be */

#define SUM ".usage" /* octets, files, and when they were counted */
#define SUM_MAX 96
#define COUNT_AGAIN_S 3600 /* the sum may have missed something, files grow older … */
#define STALE_S 3600       /* … and this long nobody writes one */
#define LOCK_TRIES 50
#define LOCK_PAUSE_US 2000
#define SPARE(limit) ((limit) - (limit) / 8) /* the size to return to where a limit was passed */

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
	const size_t len = strlen(name), end = strlen(TEMPORARY);
	char id[DF_REPORTS_ID_MAX + 1], report[DF_REPORTS_NAME_MAX];

	if (name[0] != '.' || len <= end + 1 || len - end > sizeof(report) ||
	    strcmp(name + len - end, TEMPORARY) != 0)
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

static void list_done(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->files[i].name);
	free(l->files);
}

/* Oldest first. */
static void remove_files(int dir_fd, const struct list *l, time_t now,
			 const struct df_report_limits *limits, struct sum *sum)
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

/* 0 with the sum of the files that stay; -errno. */
static int count_again(int dir_fd, time_t now, const struct df_report_limits *limits,
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
	list_done(&list);
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

/*
 * Adds to the directory's sum, and looks at every file if the sum passes a limit, is unknown, or
 * was counted an hour ago.  A process that finds it locked for long leaves it to the next.
 */
static void account(int dir_fd, off_t octets, bool is_new, const struct df_report_limits *limits)
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

/* --- keeping it */

/* Appends a part to a file of *written octets; *ret_whole: octets up to the last newline. */
static int copy_part(const struct df_reports_part *p, int to, off_t *written, off_t *ret_whole)
{
	char buf[COPY_MAX];
	off_t at = p->from;

	while (at < p->size) {
		size_t want = p->size - at < COPY_MAX ? (size_t)(p->size - at) : COPY_MAX;
		ssize_t n = pread(p->fd, buf, want, at);
		const char *newline;
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* nobody cuts these files */
		r = df_write_all(to, buf, (size_t)n);
		if (r < 0)
			return r;
		newline = memrchr(buf, '\n', (size_t)n);
		if (newline)
			*ret_whole = *written + (newline - buf) + 1;
		*written += n;
		at += n;
	}
	return 0;
}

/* The octets that were taken, whole lines; 0: there is not one; -errno. */
static off_t copy_rest(const struct df_reports_rest *rest, int to)
{
	off_t written = 0, whole = 0;
	int r = 0;

	for (int i = 0; i < DF_REPORTS_PARTS && r == 0; i++)
		r = copy_part(&rest->parts[i], to, &written, &whole);
	if (r == 0 && ftruncate(to, whole) < 0)
		r = -errno;
	/* after a power failure the new name must not stand for an empty file */
	if (r == 0 && whole > 0 && fdatasync(to) < 0)
		r = -errno;
	return r < 0 ? r : whole;
}

/* O_TMPFILE is not everywhere (overlayfs before 6.3).  The lock makes the name ours alone. */
static off_t put_in_place(int dir_fd, const struct df_reports_rest *rest, const char *name)
{
	char temporary[DF_REPORTS_NAME_MAX + sizeof(TEMPORARY)];
	_cleanup_close_ int fd = -1;
	off_t octets;

	(void)snprintf(temporary, sizeof(temporary), ".%s" TEMPORARY, name);
	(void)unlinkat(dir_fd, temporary, 0); /* of a process that died here */
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	octets = copy_rest(rest, fd);
	if (octets > 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		octets = -errno;
	if (octets <= 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return octets;
}

/* Where the last whole line of rest ends. */
static struct mark mark_behind(const struct df_reports_rest *rest, off_t octets)
{
	const struct df_reports_part *last = NULL;
	struct mark mark = {.stamp = NO_STAMP};

	for (int i = 0; i < DF_REPORTS_PARTS; i++) {
		const struct df_reports_part *p = &rest->parts[i];
		off_t here = p->size - p->from < octets ? p->size - p->from : octets;

		if (here > 0) {
			last = p;
			mark.octets = (uint64_t)(p->from + here);
		}
		octets -= here;
	}
	if (last) {
		mark.ino = last->ino;
		(void)read_stamp(last->fd, 0, mark.stamp);
	}
	return mark;
}

int df_reports_keep(int dir_fd, int run_fd, const char *id, const struct df_report_limits *limits)
{
	struct df_reports_rest rest;
	char name[DF_REPORTS_NAME_MAX];
	off_t octets = 0, replaced = 0;
	struct stat st;
	int r;

	r = df_reports_rest_open(-1, run_fd, id, &rest);
	if (r == 0 && !df_reports_rest_is_empty(&rest)) {
		r = name_report(&rest, id, name);
		if (r == 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			replaced = st.st_size;
		if (r == 0)
			octets = put_in_place(dir_fd, &rest, name);
		if (octets < 0)
			r = (int)octets;
	}
	if (r == 0 && octets > 0) {
		struct mark mark = mark_behind(&rest, octets);

		r = write_mark(run_fd, &mark);
		account(dir_fd, octets - replaced, replaced == 0, limits);
	}
	df_reports_rest_done(&rest);
	return r < 0 ? r : octets > 0;
}

void df_reports_note_unkept(int run_fd)
{
	int fd = openat(run_fd, DF_REPORTS_UNKEPT, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			0600);

	if (fd >= 0)
		(void)close(fd);
}
