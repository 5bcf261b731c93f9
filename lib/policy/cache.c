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
#include "lib/base/util.h"
#include "lib/policy/index.h"
#include "lib/policy/store.h"

#define LOCK_PAUSE_US 5000
#define INDEX_SUFFIX ".index"
#define TABLE_SUFFIX ".table"
#define INDEX_NAME_MAX (DF_POLICY_NAME_MAX + sizeof(INDEX_SUFFIX))
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

void df_policy_mapped_done(struct df_policy_mapped *s)
{
	if (s->base)
		(void)munmap(s->base, s->policy.size);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->messages);
	*s = (struct df_policy_mapped)DF_POLICY_MAPPED_NONE;
}

int df_policy_cache_open(const char *path, bool create)
{
	return df_policy_store_open(path, create);
}

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

/* A regular file that only we can have written. */
static int open_own(int dir_fd, const char *file, struct stat *ret)
{
	_cleanup_close_ int fd = openat(dir_fd, file, OPEN_FLAGS);
	struct stat st = {0};

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)))
		return -EPERM;
	*ret = st;
	return TAKE_FD(fd);
}

static bool is_same(const struct df_policy_stamp *a, const struct df_policy_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int read_index(int dir_fd, const char *file, struct df_policy_index *ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *data = NULL;
	struct stat st = {0};
	size_t len;
	int r = fd = open_own(dir_fd, file, &st);

	if (r >= 0)
		r = df_read_all(fd, DF_POLICY_INDEX_MAX, &data, &len);
	return r < 0 ? r : df_policy_index_read(data, len, ret);
}

/* All files are what they were. */
static bool is_current(const struct df_policy_index *index)
{
	for (size_t i = 0; i < index->files.n; i++) {
		const struct df_policy_file *file = &index->files.list[i];
		struct df_policy_stamp now;

		if (df_policy_stamp_of(file->path, &now) < 0 || !is_same(&file->stamp, &now))
			return false;
	}
	return true;
}

/* The first directory that has the policy has this one; as df_policy_compile_name finds it. */
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

/* fd moves.  is_checked: the table was checked in full, and is still what it was then. */
static int use_table(int fd, size_t size, const char *name, bool is_checked,
		     struct df_policy_mapped *ret)
{
	struct df_policy_mapped s = {.fd = fd};
	int r;

	/* A sweep that holds it for a moment may remove it: it stays ours, for us alone. */
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

static int find(int dir_fd, const char *name, const char *const *dirs,
		const struct df_policy_index *index, struct df_policy_mapped *ret)
{
	_cleanup_close_ int fd = -1;
	struct df_policy_stamp stamp;
	struct stat st = {0};

	if (!is_first(index->files.list[0].path, name, dirs) || !is_current(index))
		return -ENOENT;
	fd = open_own(dir_fd, index->table, &st);
	if (fd < 0)
		return fd;
	stamp = df_policy_stamp_from(&st);
	if (!is_same(&stamp, &index->table_stamp))
		return -ENOENT;
	return use_table(TAKE_FD(fd), (size_t)st.st_size, name, true, ret);
}

int df_policy_cache_find(int dir_fd, const char *name, const char *const *dirs,
			 struct df_policy_mapped *ret)
{
	struct df_policy_index index;
	char file[INDEX_NAME_MAX];
	int r;

	if (!df_policy_is_name(name, strlen(name)))
		return -ENOENT;
	(void)snprintf(file, sizeof(file), "%s" INDEX_SUFFIX, name);
	r = read_index(dir_fd, file, &index);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	r = find(dir_fd, name, dirs, &index, ret);
	if (r == 0)
		ret->messages = TAKE_PTR(index.messages);
	df_policy_index_done(&index);
	/* Whatever is wrong with what is here, it can be made anew. */
	return r == 0 || r == -ENOMEM ? r : -ENOENT;
}

/*
 * Two lanes over words of eight octets.  No collision is to be feared but that of somebody
 * who writes this host's policies; then the files are compared, too.
 */
static void name_table(const void *table, size_t size, char ret[static DF_POLICY_TABLE_NAME])
{
	uint64_t a = size, b = ~(uint64_t)size, word;
	const uint8_t *p = table;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		size_t n = size - i < sizeof(word) ? size - i : sizeof(word);

		word = 0;
		memcpy(&word, p + i, n);
		a = (a ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		a ^= a >> 32;
		b = (b + word) * UINT64_C(0xd6e8feb86659fd93);
		b ^= b >> 29;
	}
	(void)snprintf(ret, DF_POLICY_TABLE_NAME, "%016" PRIx64 "%016" PRIx64 TABLE_SUFFIX, a, b);
}

/* Links fd there, in place of what may be there. */
static int put_in_place(int dir_fd, int fd, const char *file)
{
	char from[64], temporary[INDEX_NAME_MAX + 16];
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

static int open_new(int dir_fd, const void *data, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
	int r;

	if (fd < 0 || fchmod(fd, 0400) < 0)
		return -errno;
	r = df_write_all(fd, data, size);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool has_content(int fd, const void *table, size_t size)
{
	void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	bool is_equal;

	if (base == MAP_FAILED)
		return false;
	is_equal = memcmp(base, table, size) == 0;
	(void)munmap(base, size);
	return is_equal;
}

static int open_same(int dir_fd, const char *file, const void *table, size_t size, struct stat *ret)
{
	_cleanup_close_ int fd = open_own(dir_fd, file, ret);

	if (fd < 0)
		return fd;
	if ((uint64_t)ret->st_size != size || !has_content(fd, table, size))
		return -EEXIST;
	return TAKE_FD(fd);
}

/*
 * The file with this content, of before or new.  Of two that make it at once the second takes
 * that of the first; what is not what its name says is replaced.
 */
static int open_table(int dir_fd, const char *file, const void *table, size_t size,
		      struct stat *ret)
{
	_cleanup_close_ int new_fd = -1;
	int fd = open_same(dir_fd, file, table, size, ret), r = 0;
	char from[64];

	if (fd >= 0)
		return fd;
	new_fd = open_new(dir_fd, table, size);
	if (new_fd < 0)
		return new_fd;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", new_fd);
	if (fd != -ENOENT)
		r = put_in_place(dir_fd, new_fd, file);
	else if (linkat(AT_FDCWD, from, dir_fd, file, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		r = -errno;
	return r < 0 ? r : open_same(dir_fd, file, table, size, ret);
}

/* All files were what they are now for long enough that a write after that would show. */
static bool is_settled(const struct df_policy_files *files, unsigned settle_ms)
{
	const int64_t settle_ns = (int64_t)settle_ms * 1000000;
	struct timespec now;
	int64_t now_ns;

	if (files->has_changed || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return false;
	now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	for (size_t i = 0; i < files->n; i++) {
		int64_t age_ns = now_ns - files->list[i].stamp.ctime_ns;

		if (age_ns < settle_ns && age_ns > -settle_ns)
			return false;
	}
	return true;
}

static int put_index(int dir_fd, const char *name, const struct df_policy_result *compiled,
		     unsigned settle_ms, const char *table, const struct stat *st)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *data = NULL;
	struct df_policy_index index = {
		.table_stamp = df_policy_stamp_from(st),
		.files = compiled->files, /* borrowed */
		.messages = compiled->messages,
	};
	char file[INDEX_NAME_MAX];
	size_t len;
	int r;

	memcpy(index.table, table, sizeof(index.table));
	(void)snprintf(file, sizeof(file), "%s" INDEX_SUFFIX, name);
	if (!is_settled(&compiled->files, settle_ms)) {
		(void)unlinkat(dir_fd, file, 0);
		return 0;
	}
	r = df_policy_index_write(&index, &data, &len);
	if (r < 0)
		return r;
	fd = open_new(dir_fd, data, len);
	return fd < 0 ? fd : put_in_place(dir_fd, fd, file);
}

int df_policy_cache_put(int dir_fd, const char *name, const struct df_policy_result *compiled,
			unsigned settle_ms, struct df_policy_mapped *ret)
{
	_cleanup_close_ int fd = -1;
	char table[DF_POLICY_TABLE_NAME] = {0};
	struct df_policy_mapped s;
	struct stat st = {0};
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

	if (r < 0 || !is_current(&index)) {
		if (r == 0)
			df_policy_index_done(&index);
		(void)unlinkat(dir_fd, file, 0);
		return 0;
	}
	r = df_array_reserve(&needed->tables, &needed->cap, needed->n + 1, sizeof(*needed->tables));
	if (r == 0)
		memcpy(needed->tables[needed->n++], index.table, DF_POLICY_TABLE_NAME);
	df_policy_index_done(&index);
	return r;
}

static void sweep_table(int dir_fd, const char *file, const struct needed *needed, unsigned young_s)
{
	_cleanup_close_ int fd = -1;
	struct stat st = {0};

	for (size_t i = 0; i < needed->n; i++) {
		if (strcmp(needed->tables[i], file) == 0)
			return;
	}
	fd = open_own(dir_fd, file, &st);
	/* Whoever put a young one there may be about to write its index. */
	if (fd >= 0 && is_old(&st, young_s) && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dir_fd, file, 0);
}

static void sweep_temporary(int dir_fd, const char *file, unsigned young_s)
{
	struct stat st = {0};

	if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    is_old(&st, young_s))
		(void)unlinkat(dir_fd, file, 0);
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
	while (dir && r == 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			sweep_temporary(dir_fd, e->d_name, young_s);
		else if (has_suffix(e->d_name, TABLE_SUFFIX))
			sweep_table(dir_fd, e->d_name, &needed, young_s);
	}
	free(needed.tables);
}

static void retire_one(int dir_fd, const char *file)
{
	_cleanup_close_ int fd = -1;
	struct stat st = {0};

	if (has_suffix(file, TABLE_SUFFIX)) {
		fd = open_own(dir_fd, file, &st);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
			return;
	}
	(void)unlinkat(dir_fd, file, 0);
}

void df_policy_cache_retire(const char *path)
{
	_cleanup_close_ int fd = df_policy_cache_open(path, false);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			retire_one(fd, e->d_name);
	}
	if (dir)
		(void)rmdir(path);
}
