/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/array.h"
#include "lib/base/host_file.h"
#include "lib/base/util.h"

#define LOCK_PAUSE_US 5000
#define INDEX_SUFFIX ".index"
#define TABLE_SUFFIX ".table"
#define FILE_NAME_MAX (DF_POLICY_NAME_MAX + sizeof(TABLE_SUFFIX))
#define INDEX_MAGIC 0x31494644u /* "DFI1" in a little-endian file */

/* The octets that an index begins with; behind them stands for each file its stamp, the length of
 * its path and the path; then the messages. */
struct index_head {
	uint32_t magic, version;
	char compiler[32]; /* the release: the meaning of a text may change with it */
	char table[DF_POLICY_TABLE_NAME];
	struct df_policy_stamp table_stamp;
	uint32_t n_files, messages_len;
};

static const char compiler[sizeof(((struct index_head *)NULL)->compiler)] = PACKAGE_VERSION;

void df_policy_mapped_done(struct df_policy_mapped *s)
{
	if (s->base)
		(void)munmap(s->base, s->policy.size);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->messages);
	*s = (struct df_policy_mapped)DF_POLICY_MAPPED_NONE;
}

/* Both directories: only this user can have written the files in them. */

/* 0, or -EPERM if the file is of another type or user, or others may do anything with it. */
static int check_own(int fd, mode_t type, struct stat *ret)
{
	if (fstat(fd, ret) < 0)
		return -errno;
	return (ret->st_mode & S_IFMT) == type && ret->st_uid == geteuid() &&
			       !(ret->st_mode & (S_IRWXG | S_IRWXO))
		       ? 0
		       : -EPERM;
}

int df_policy_cache_open(const char *path, bool create)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	_cleanup_close_ int fd = -1;
	char why[DF_HOST_FILE_WHY_MAX];
	struct stat st;
	int r;

	if (slash && !parent)
		return -ENOMEM;
	if (create && parent && *parent && mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	if ((create && mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	fd = df_host_dir_open(path, geteuid(), why);
	if (fd < 0)
		return fd;
	r = check_own(fd, S_IFDIR, &st);
	return r < 0 ? r : TAKE_FD(fd);
}

static int open_own(int dir_fd, const char *file, struct stat *ret)
{
	_cleanup_close_ int fd =
		openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : check_own(fd, S_IFREG, ret);

	return r < 0 ? r : TAKE_FD(fd);
}

/* The file if it holds exactly these octets; -EEXIST if it holds others. */
static int open_same(int dir_fd, const char *file, const void *data, size_t size, struct stat *ret)
{
	_cleanup_close_ int fd = open_own(dir_fd, file, ret);
	bool is_equal;
	void *base;

	if (fd < 0)
		return fd;
	if ((uint64_t)ret->st_size != size)
		return -EEXIST;
	base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	is_equal = memcmp(base, data, size) == 0;
	(void)munmap(base, size);
	return is_equal ? TAKE_FD(fd) : -EEXIST;
}

enum replace { REPLACE, KEEP_OTHER };

/*
 * The one way in which files get here: written whole without a name, then linked, so that a
 * reader sees the old file or the new one.  linkat does not replace a file; so to replace one,
 * the link gets a name of this process's own and is renamed.
 */
static int write_file(int dir_fd, const char *file, const void *data, size_t size, mode_t mode,
		      bool is_durable, enum replace replace)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	char from[64], temporary[FILE_NAME_MAX + 16];
	int r;

	if (fd < 0 || fchmod(fd, mode) < 0)
		return -errno;
	r = df_write_all(fd, data, size);
	/* After a power failure the new name must not stand for an empty file. */
	if (r == 0 && is_durable && fdatasync(fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (replace == KEEP_OTHER) {
		r = linkat(AT_FDCWD, from, dir_fd, file, AT_SYMLINK_FOLLOW);
		return r < 0 && errno != EEXIST ? -errno : 0;
	}
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

/* Last good tables. */

int df_policy_cache_keep(int dir_fd, const char *name, const void *table, size_t size)
{
	_cleanup_close_ int fd = -1;
	char file[FILE_NAME_MAX];
	struct stat st;
	int r;

	(void)snprintf(file, sizeof(file), "%s" TABLE_SUFFIX, name);
	fd = open_same(dir_fd, file, table, size, &st);
	if (fd >= 0)
		return 0;
	r = write_file(dir_fd, file, table, size, 0600, true, REPLACE);
	return r < 0 ? r : 1;
}

int df_policy_cache_last_good(int dir_fd, const char *name, void **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *table = NULL;
	struct df_policy policy;
	char file[FILE_NAME_MAX];
	struct stat st;
	size_t size;
	int r;

	(void)snprintf(file, sizeof(file), "%s" TABLE_SUFFIX, name);
	fd = open_own(dir_fd, file, &st);
	if (fd < 0)
		return fd;
	r = df_read_all(fd, DF_POLICY_SIZE_MAX, &table, &size);
	if (r != 0)
		return r == -E2BIG ? -EBADMSG : r;
	if (df_policy_open(table, size, &policy) < 0 || strcmp(df_policy_name(&policy), name) != 0)
		return -EBADMSG;
	*ret = TAKE_PTR(table);
	*ret_size = size;
	return 0;
}

/* The index of a shared table as octets.  It is read with care: it is a file. */

void df_policy_index_done(struct df_policy_index *index)
{
	df_policy_files_done(&index->files);
	free(index->messages);
	index->messages = NULL;
}

int df_policy_index_write(const struct df_policy_index *index, char **ret, size_t *ret_len)
{
	struct index_head head = {
		.magic = INDEX_MAGIC,
		.version = DF_POLICY_VERSION,
		.table_stamp = index->table_stamp,
		.n_files = (uint32_t)index->files.n,
		.messages_len = index->messages ? (uint32_t)strlen(index->messages) : 0,
	};
	char *data = NULL;
	size_t len = 0;
	bool is_bad;
	FILE *out = open_memstream(&data, &len);

	if (!out)
		return -ENOMEM;
	memcpy(head.compiler, compiler, sizeof(compiler));
	memcpy(head.table, index->table, sizeof(head.table));
	(void)fwrite(&head, sizeof(head), 1, out);
	for (size_t i = 0; i < index->files.n; i++) {
		const struct df_policy_file *file = &index->files.list[i];
		uint32_t path_len = (uint32_t)strlen(file->path);

		(void)fwrite(&file->stamp, sizeof(file->stamp), 1, out);
		(void)fwrite(&path_len, sizeof(path_len), 1, out);
		(void)fwrite(file->path, 1, path_len, out);
	}
	(void)fwrite(index->messages ? index->messages : "", 1, head.messages_len, out);
	is_bad = ferror(out);
	if (fclose(out) != 0 || is_bad) {
		free(data);
		return -ENOMEM;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

struct cursor {
	const char *at;
	size_t left;
};

static bool take(struct cursor *c, void *ret, size_t len)
{
	if (c->left < len)
		return false;
	memcpy(ret, c->at, len);
	c->at += len;
	c->left -= len;
	return true;
}

/* *ret is malloc'd.  Text that holds a NUL is refused. */
static int take_text(struct cursor *c, size_t len, char **ret)
{
	char *text;

	if (c->left < len || memchr(c->at, '\0', len))
		return -EBADMSG;
	text = strndup(c->at, len);
	if (!text)
		return -ENOMEM;
	c->at += len;
	c->left -= len;
	*ret = text;
	return 0;
}

static int take_files(struct cursor *c, uint32_t n, struct df_policy_files *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		struct df_policy_file *file = &ret->list[i];
		uint32_t path_len;
		int r;

		*file = (struct df_policy_file){0};
		if (!take(c, &file->stamp, sizeof(file->stamp)) ||
		    !take(c, &path_len, sizeof(path_len)) || path_len == 0)
			return -EBADMSG;
		r = take_text(c, path_len, &file->path);
		if (r < 0)
			return r;
		ret->n++;
	}
	return 0;
}

static bool is_table_name(const char *name)
{
	size_t n = strspn(name, "0123456789abcdef");

	return n == DF_POLICY_TABLE_NAME - sizeof(TABLE_SUFFIX) - 1 &&
	       strcmp(name + n, TABLE_SUFFIX) == 0;
}

int df_policy_index_read(const char *data, size_t len, struct df_policy_index *ret)
{
	struct cursor c = {data, len};
	struct df_policy_index index = {0};
	struct index_head head;
	int r;

	if (!take(&c, &head, sizeof(head)) || head.magic != INDEX_MAGIC ||
	    head.version != DF_POLICY_VERSION ||
	    memcmp(head.compiler, compiler, sizeof(compiler)) != 0 ||
	    head.table[sizeof(head.table) - 1] != '\0' || !is_table_name(head.table) ||
	    head.n_files == 0 || head.n_files > DF_POLICY_FILES_MAX)
		return -EBADMSG;
	memcpy(index.table, head.table, sizeof(index.table));
	index.table_stamp = head.table_stamp;
	r = take_files(&c, head.n_files, &index.files);
	if (r == 0 && c.left != head.messages_len)
		r = -EBADMSG;
	if (r == 0 && head.messages_len > 0)
		r = take_text(&c, head.messages_len, &index.messages);
	if (r < 0) {
		df_policy_index_done(&index);
		return r;
	}
	*ret = index;
	return 0;
}

/* Shared tables. */

int df_policy_cache_lock(int dir_fd, int timeout_ms)
{
	_cleanup_close_ int fd =
		openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	for (int waited_us = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_us += LOCK_PAUSE_US) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited_us >= timeout_ms * 1000)
			return -EBUSY;
		(void)usleep(LOCK_PAUSE_US);
	}
	return TAKE_FD(fd);
}

static bool is_same_stamp(const struct df_policy_stamp *a, const struct df_policy_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int read_index(int dir_fd, const char *file, struct df_policy_index *ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t len;
	int r = fd = open_own(dir_fd, file, &st);

	if (r >= 0)
		r = df_read_all(fd, DF_POLICY_INDEX_MAX, &data, &len);
	return r < 0 ? r : df_policy_index_read(data, len, ret);
}

/* All files are what they were when the index was written. */
static bool is_current(const struct df_policy_index *index)
{
	for (size_t i = 0; i < index->files.n; i++) {
		const struct df_policy_file *file = &index->files.list[i];
		struct df_policy_stamp now;

		if (df_policy_stamp_of(file->path, &now) < 0 || !is_same_stamp(&file->stamp, &now))
			return false;
	}
	return true;
}

/* path is where df_policy_compile_name would find the policy now. */
static bool is_first(const char *path, const char *name, const char *const *dirs)
{
	for (size_t i = 0; dirs[i]; i++) {
		_cleanup_free_ char *candidate = NULL;
		struct stat st;

		if (asprintf(&candidate, "%s/%s.policy", dirs[i], name) < 0)
			return false;
		if (strcmp(candidate, path) == 0)
			return true;
		if (lstat(candidate, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
			return false;
	}
	return false;
}

/* fd moves.  is_checked: the table was checked in full, and its stamp is still the same. */
static int use_table(int fd, size_t size, const char *name, bool is_checked,
		     struct df_policy_mapped *ret)
{
	struct df_policy_mapped s = {.fd = fd};
	int r;

	/* A sweep that holds the lock right now may remove the name: the open file stays usable. */
	(void)flock(fd, LOCK_SH | LOCK_NB);
	s.base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (s.base == MAP_FAILED) {
		s.base = NULL;
		r = -errno;
	} else {
		s.policy.size = size;
		r = is_checked ? df_policy_reopen(s.base, size, &s.policy)
			       : df_policy_open(s.base, size, &s.policy);
	}
	if (r == 0 && strcmp(df_policy_name(&s.policy), name) != 0)
		r = -EBADMSG;
	if (r < 0) {
		df_policy_mapped_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int df_policy_cache_find(int dir_fd, const char *name, const char *const *dirs,
			 struct df_policy_mapped *ret)
{
	_cleanup_close_ int fd = -1;
	struct df_policy_index index;
	struct df_policy_stamp stamp;
	char file[FILE_NAME_MAX];
	struct stat st;
	int r;

	if (!df_policy_is_name(name, strlen(name)))
		return -ENOENT;
	(void)snprintf(file, sizeof(file), "%s" INDEX_SUFFIX, name);
	r = read_index(dir_fd, file, &index);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	r = -ENOENT;
	if (is_first(index.files.list[0].path, name, dirs) && is_current(&index))
		r = fd = open_own(dir_fd, index.table, &st);
	if (fd >= 0) {
		stamp = df_policy_stamp_from(&st);
		r = is_same_stamp(&stamp, &index.table_stamp)
			    ? use_table(TAKE_FD(fd), (size_t)st.st_size, name, true, ret)
			    : -ENOENT;
	}
	if (r == 0)
		ret->messages = TAKE_PTR(index.messages);
	df_policy_index_done(&index);
	/* The files here can be made anew, whatever is wrong with them. */
	return r == 0 || r == -ENOMEM ? r : -ENOENT;
}

/*
 * Two lanes over words of eight octets.  Only somebody who writes this host's policies could
 * make a collision; and where the name exists, the contents are compared.
 */
static void name_table(const void *table, size_t size, char ret[static DF_POLICY_TABLE_NAME])
{
	uint64_t a = size, b = ~(uint64_t)size, word;
	const uint8_t *p = table;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		word = 0;
		memcpy(&word, p + i, size - i < sizeof(word) ? size - i : sizeof(word));
		a = (a ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		a ^= a >> 32;
		b = (b + word) * UINT64_C(0xd6e8feb86659fd93);
		b ^= b >> 29;
	}
	(void)snprintf(ret, DF_POLICY_TABLE_NAME, "%016" PRIx64 "%016" PRIx64 TABLE_SUFFIX, a, b);
}

/*
 * The shared file with this content, existing or new.  Of two processes that make it at once
 * the second takes that of the first; a file with another content than its name says is replaced.
 */
static int open_table(int dir_fd, const char *file, const void *table, size_t size,
		      struct stat *ret)
{
	int fd = open_same(dir_fd, file, table, size, ret), r;

	if (fd >= 0)
		return fd;
	r = write_file(dir_fd, file, table, size, 0400, false,
		       fd == -ENOENT ? KEEP_OTHER : REPLACE);
	return r < 0 ? r : open_same(dir_fd, file, table, size, ret);
}

/* All files are old enough that a later write shows in their times. */
static bool is_settled(const struct df_policy_files *files, unsigned settle_ms)
{
	const int64_t settle_ns = (int64_t)settle_ms * 1000000;
	struct timespec now;

	if (files->has_changed || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return false;
	for (size_t i = 0; i < files->n; i++) {
		int64_t age_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec -
				 files->list[i].stamp.ctime_ns;

		if (age_ns < settle_ns && age_ns > -settle_ns)
			return false;
	}
	return true;
}

static int put_index(int dir_fd, const char *name, const struct df_policy_result *compiled,
		     unsigned settle_ms, const char *table, const struct stat *st)
{
	_cleanup_free_ char *data = NULL;
	struct df_policy_index index = {
		.table_stamp = df_policy_stamp_from(st),
		.files = compiled->files, /* borrowed */
		.messages = compiled->messages,
	};
	char file[FILE_NAME_MAX];
	size_t len;
	int r;

	memcpy(index.table, table, sizeof(index.table));
	(void)snprintf(file, sizeof(file), "%s" INDEX_SUFFIX, name);
	if (!is_settled(&compiled->files, settle_ms)) {
		(void)unlinkat(dir_fd, file, 0);
		return 0;
	}
	r = df_policy_index_write(&index, &data, &len);
	return r < 0 ? r : write_file(dir_fd, file, data, len, 0400, false, REPLACE);
}

int df_policy_cache_put(int dir_fd, const char *name, const struct df_policy_result *compiled,
			unsigned settle_ms, struct df_policy_mapped *ret)
{
	_cleanup_close_ int fd = -1;
	char table[DF_POLICY_TABLE_NAME] = {0};
	struct df_policy_mapped s;
	struct stat st;
	int r;

	name_table(compiled->table, compiled->table_size, table);
	fd = open_table(dir_fd, table, compiled->table, compiled->table_size, &st);
	if (fd < 0)
		return fd;
	r = use_table(TAKE_FD(fd), compiled->table_size, name, false, &s);
	if (r < 0)
		return r;
	r = put_index(dir_fd, name, compiled, settle_ms, table, &st);
	if (r == 0 && compiled->messages) {
		s.messages = strdup(compiled->messages);
		r = s.messages ? 0 : -ENOMEM;
	}
	if (r < 0) {
		df_policy_mapped_done(&s);
		return r;
	}
	df_policy_cache_sweep(dir_fd, DF_POLICY_CACHE_YOUNG_S);
	*ret = s;
	return 0;
}

struct needed {
	char (*tables)[DF_POLICY_TABLE_NAME];
	size_t n, cap;
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);

	return len > strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;
}

static bool is_old(const struct stat *st, unsigned young_s)
{
	return time(NULL) - st->st_ctim.tv_sec >= (time_t)young_s;
}

/* Notes the table of an index that counts, and removes one that does not. */
static int sweep_index(int dir_fd, const char *file, struct needed *needed)
{
	struct df_policy_index index;
	int r = read_index(dir_fd, file, &index);
	bool is_good = r == 0 && is_current(&index);

	if (is_good) {
		r = df_array_reserve(&needed->tables, &needed->cap, needed->n + 1,
				     sizeof(*needed->tables));
		if (r == 0)
			memcpy(needed->tables[needed->n++], index.table, DF_POLICY_TABLE_NAME);
	} else {
		(void)unlinkat(dir_fd, file, 0);
	}
	if (is_good || r == 0)
		df_policy_index_done(&index);
	return is_good ? r : 0;
}

/* Removes a table, unless a fence holds it. */
static void remove_free_table(int dir_fd, const char *file, unsigned young_s)
{
	struct stat st;
	_cleanup_close_ int fd = open_own(dir_fd, file, &st);

	/* The process that put a young one there may be about to write its index. */
	if (fd >= 0 && is_old(&st, young_s) && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dir_fd, file, 0);
}

static void sweep_other(int dir_fd, const char *file, const struct needed *needed, unsigned young_s)
{
	struct stat st;

	if (file[0] == '.') { /* temporary, of a process that died */
		if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    is_old(&st, young_s))
			(void)unlinkat(dir_fd, file, 0);
		return;
	}
	for (size_t i = 0; i < needed->n; i++) {
		if (strcmp(needed->tables[i], file) == 0)
			return;
	}
	if (has_suffix(file, TABLE_SUFFIX))
		remove_free_table(dir_fd, file, young_s);
}

void df_policy_cache_sweep(int dir_fd, unsigned young_s)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct needed needed = {0};
	const struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir))) {
		if (has_suffix(e->d_name, INDEX_SUFFIX) && e->d_name[0] != '.')
			r = sweep_index(dir_fd, e->d_name, &needed);
	}
	if (dir)
		rewinddir(dir);
	while (dir && r == 0 && (e = readdir(dir)))
		sweep_other(dir_fd, e->d_name, &needed, young_s);
	free(needed.tables);
}

void df_policy_cache_retire(const char *path)
{
	_cleanup_close_ int fd = df_policy_cache_open(path, false);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (has_suffix(e->d_name, TABLE_SUFFIX))
			remove_free_table(fd, e->d_name, 0);
		else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(fd, e->d_name, 0);
	}
	if (dir)
		(void)rmdir(path);
}
