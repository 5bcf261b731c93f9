/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables that fences share: when one counts, and what is removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/cache.h"

static char top[] = "/tmp/df-cache-XXXXXX", first[64], second[64], cache_path[64];
static const char *const dirs[] = {first, second, NULL};
static int cache = -1;

static void remove_files(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(first, sizeof(first), "%s/first", top);
	(void)snprintf(second, sizeof(second), "%s/second", top);
	(void)snprintf(cache_path, sizeof(cache_path), "%s/cache", top);
	return mkdir(first, 0700) < 0 || mkdir(second, 0700) < 0 ? -1 : 0;
}

static int clear(void **state)
{
	(void)state;
	if (cache >= 0)
		(void)close(cache);
	remove_files(first);
	remove_files(second);
	remove_files(cache_path);
	cache = df_policy_cache_open(cache_path, true);
	return cache < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)clear(state);
	(void)close(cache);
	remove_files(cache_path);
	(void)rmdir(cache_path);
	(void)rmdir(first);
	(void)rmdir(second);
	return rmdir(top);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

#define SETTLE_MS 20 /* the clock of files may have 10 ms */

static void settle(void)
{
	(void)usleep(SETTLE_MS * 2000);
}

static void compile(const char *name, struct df_policy_result *ret)
{
	int r = df_policy_compile_name(name, dirs, DF_POLICY_TRUST_ANY, ret);

	if (r < 0)
		print_error("%s", ret->messages);
	assert_int_equal(r, 0);
}

/* Compiles and puts; what is in use afterwards is the caller's. */
static void put_policy(const char *name, struct df_policy_mapped *ret)
{
	struct df_policy_result result;

	compile(name, &result);
	assert_int_equal(df_policy_cache_put(cache, name, &result, SETTLE_MS, ret), 0);
	df_policy_result_done(&result);
}

static bool is_found(const char *name)
{
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
	int r = df_policy_cache_find(cache, name, dirs, &m);

	assert_true(r == 0 || r == -ENOENT);
	if (r == 0) {
		assert_true(m.fd >= 0);
		assert_string_equal(df_policy_name(&m.policy), name);
		df_policy_mapped_done(&m);
	}
	return r == 0;
}

static unsigned count(const char *suffix)
{
	_cleanup_closedir_ DIR *d = opendir(cache_path);
	const struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += strlen(e->d_name) > strlen(suffix) &&
		     strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix) == 0;
	return n;
}

static void test_found(void **state)
{
	struct df_policy_mapped made = DF_POLICY_MAPPED_NONE, m = DF_POLICY_MAPPED_NONE;
	struct stat a, b;
	struct df_dname name;

	(void)state;
	put(first, "p.policy", "include in\nblock-list list plain\nblock a.test\nblock a.test\n");
	put(first, "in", "mode audit\n");
	put(first, "list", "b.test\n");
	assert_false(is_found("p"));
	settle();
	put_policy("p", &made);
	assert_int_equal(df_policy_cache_find(cache, "p", dirs, &m), 0);
	/* the same file, with what was said of it */
	assert_int_equal(fstat(made.fd, &a), 0);
	assert_int_equal(fstat(m.fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(b.st_mode & 07777, 0400);
	assert_non_null(m.messages);
	assert_non_null(strstr(m.messages, "p.policy:4:1: warning: the same rule"));
	assert_string_equal(m.messages, made.messages);
	assert_int_equal(df_policy_mode(&m.policy), DF_POLICY_AUDIT);
	assert_int_equal(df_dname_from_text("b.test", 6, &name, NULL), 0);
	assert_non_null(df_policy_lookup(&m.policy, &name));
	/* and locked, as long as one holds it */
	{
		_cleanup_close_ int fd = -1;
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", m.fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
		df_policy_mapped_done(&made);
		assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
		df_policy_mapped_done(&m);
		assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	}
	assert_int_equal(m.fd, -1);
	assert_false(is_found("q"));
	assert_false(is_found("../p"));
}

/* Every file counts, and every part of its stamp. */
static void test_stale(void **state)
{
	static const char *const files[] = {"p.policy", "in", "list"};
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
	char path[512], other[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		put(first, "p.policy", "include in\nblock-list list plain\n");
		put(first, "in", "mode audit\n");
		put(first, "list", "b.test\n");
		settle();
		put_policy("p", &m);
		df_policy_mapped_done(&m);
		assert_true(is_found("p"));
		(void)snprintf(path, sizeof(path), "%s/%s", first, files[i]);
		(void)snprintf(other, sizeof(other), "%s/moved", first);
		switch (i) {
		case 0: /* another file with the same content */
			assert_int_equal(rename(path, other), 0);
			put(first, files[i], "include in\nblock-list list plain\n");
			break;
		case 1: /* only the time, by whatever */
			assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
			break;
		default:
			assert_int_equal(unlink(path), 0);
		}
		assert_false(is_found("p"));
		remove_files(first);
	}
}

/* A file that was just written may be written again without showing it. */
static void test_racy(void **state)
{
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
	struct df_policy_result result;

	(void)state;
	put(first, "p.policy", "block a.test\n");
	compile("p", &result);
	assert_int_equal(df_policy_cache_put(cache, "p", &result, DF_POLICY_CACHE_SETTLE_MS, &m),
			 0);
	df_policy_mapped_done(&m);
	assert_false(is_found("p"));
	assert_int_equal(count(".table"), 1); /* shared all the same */
	settle();
	assert_int_equal(df_policy_cache_put(cache, "p", &result, SETTLE_MS, &m), 0);
	df_policy_mapped_done(&m);
	assert_true(is_found("p"));
	assert_int_equal(count(".table"), 1);
	/* an index of before goes */
	assert_int_equal(df_policy_cache_put(cache, "p", &result, DF_POLICY_CACHE_SETTLE_MS, &m),
			 0);
	df_policy_mapped_done(&m);
	assert_int_equal(count(".index"), 0);
	/* and one that was written while it was read has none, however old */
	result.files.has_changed = true;
	assert_int_equal(df_policy_cache_put(cache, "p", &result, SETTLE_MS, &m), 0);
	df_policy_mapped_done(&m);
	assert_int_equal(count(".index"), 0);
	df_policy_result_done(&result);
}

/* The directory that is looked at first may get the policy later. */
static void test_order(void **state)
{
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
	char path[512];

	(void)state;
	put(second, "p.policy", "block a.test\n");
	settle();
	put_policy("p", &m);
	df_policy_mapped_done(&m);
	assert_true(is_found("p"));
	put(first, "p.policy", "block b.test\n");
	assert_false(is_found("p"));
	(void)snprintf(path, sizeof(path), "%s/p.policy", first);
	assert_int_equal(unlink(path), 0);
	assert_true(is_found("p"));
	/* be it a link that leads nowhere: that is an error, not an absence */
	assert_int_equal(symlink("/no/such/file", path), 0);
	assert_false(is_found("p"));
	assert_int_equal(unlink(path), 0);
}

static void find_file(const char *suffix, char *ret, size_t size)
{
	_cleanup_closedir_ DIR *d = opendir(cache_path);
	const struct dirent *e;

	ret[0] = '\0';
	while (d && (e = readdir(d))) {
		if (strstr(e->d_name, suffix))
			(void)snprintf(ret, size, "%s/%s", cache_path, e->d_name);
	}
	assert_true(ret[0]);
}

static void make_current(void)
{
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;

	put_policy("p", &m);
	df_policy_mapped_done(&m);
	assert_true(is_found("p"));
}

/* What anybody else may have written, or what was written to, is made anew. */
static void test_not_trusted(void **state)
{
	char table[512], index[512], other[512];
	int fd;

	(void)state;
	put(first, "p.policy", "block a.test\n");
	settle();
	make_current();
	find_file(".table", table, sizeof(table));
	find_file(".index", index, sizeof(index));
	/* touched, if only its mode */
	assert_int_equal(chmod(table, 0600), 0);
	assert_false(is_found("p"));
	assert_int_equal(unlink(table), 0);
	make_current();
	fd = open(index, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_false(is_found("p"));
	(void)close(fd);
	make_current();
	assert_int_equal(truncate(index, 100), 0);
	assert_false(is_found("p"));
	make_current();
	(void)snprintf(other, sizeof(other), "%s/moved", cache_path);
	assert_int_equal(rename(index, other), 0);
	assert_int_equal(symlink("moved", index), 0);
	assert_false(is_found("p"));
	assert_int_equal(unlink(index), 0);
	make_current();
	assert_int_equal(unlink(table), 0);
	assert_int_equal(symlink("moved", table), 0);
	assert_false(is_found("p"));
	/* another table with its name */
	assert_int_equal(unlink(table), 0);
	fd = open(table, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	assert_true(fd >= 0);
	assert_int_equal(df_write_all(fd, "x", 1), 0);
	(void)close(fd);
	make_current();
	/* one octet of it, in the size that it has */
	fd = open(table, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fchmod(fd, 0600), 0);
	(void)close(fd);
	fd = open(table, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(fchmod(fd, 0400), 0);
	(void)close(fd);
	assert_false(is_found("p"));
	make_current();
}

static void test_index_bytes(void **state)
{
	struct df_policy_index index = {.table = "0123456789abcdef0123456789abcdef.table"}, back;
	_cleanup_free_ char *data = NULL;
	char copy[1024];
	size_t len, n;

	(void)state;
	index.messages = strdup("warning\n");
	assert_int_equal(df_policy_files_add(&index.files, "/a/b", &n), 0);
	index.files.list[0].stamp.ino = 7;
	assert_int_equal(df_policy_index_write(&index, &data, &len), 0);
	assert_true(len < sizeof(copy));
	assert_int_equal(df_policy_index_read(data, len, &back), 0);
	assert_string_equal(back.files.list[0].path, "/a/b");
	assert_int_equal(back.files.list[0].stamp.ino, 7);
	assert_string_equal(back.messages, "warning\n");
	df_policy_index_done(&back);
	/* cut anywhere, or longer; in a buffer of exact size */
	for (n = 0; n <= len; n++) {
		_cleanup_free_ char *exact = malloc(n ? n : 1);

		assert_non_null(exact);
		memcpy(exact, data, n);
		if (n < len)
			assert_int_equal(df_policy_index_read(exact, n, &back), -EBADMSG);
	}
	/* whatever a flipped bit does, it is read to its end and no further */
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(copy, data, len);
		copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
		if (df_policy_index_read(copy, len, &back) == 0)
			df_policy_index_done(&back);
	}
	memcpy(copy, data, len);
	copy[8] ^= 1; /* of another release */
	assert_int_equal(df_policy_index_read(copy, len, &back), -EBADMSG);
	df_policy_index_done(&index);
}

/* A table that no index names goes, once nobody holds it and it is not young. */
static void test_sweep(void **state)
{
	struct df_policy_mapped p = DF_POLICY_MAPPED_NONE, q = DF_POLICY_MAPPED_NONE;

	(void)state;
	put(first, "p.policy", "block a.test\n");
	put(first, "q.policy", "block a.test\n");
	settle();
	put_policy("p", &p);
	put_policy("q", &q);
	df_policy_mapped_done(&q);
	df_policy_cache_sweep(cache, 0);
	assert_int_equal(count(".table"), 2);
	assert_int_equal(count(".index"), 2);
	/* one policy is gone, the other has changed: their tables are young, then one is held */
	remove_files(first);
	put(first, "q.policy", "block b.test\n");
	df_policy_cache_sweep(cache, DF_POLICY_CACHE_YOUNG_S);
	assert_int_equal(count(".index"), 0);
	assert_int_equal(count(".table"), 2);
	df_policy_cache_sweep(cache, 0);
	assert_int_equal(count(".table"), 1);
	df_policy_mapped_done(&p);
	df_policy_cache_sweep(cache, 0);
	assert_int_equal(count(".table"), 0);
	/* what a process that died left, and what is no index */
	put(cache_path, ".p.index.4711", "");
	put(cache_path, "p.index", "");
	put(cache_path, "x.table", "");
	df_policy_cache_sweep(cache, DF_POLICY_CACHE_YOUNG_S);
	assert_int_equal(count(".4711"), 1);
	df_policy_cache_sweep(cache, 0);
	assert_int_equal(count(".4711"), 0);
	assert_int_equal(count(".index"), 0);
}

/* Many at once: one file, whole at every moment. */
static void test_at_once(void **state)
{
	enum { N = 8 };
	pid_t pids[N];

	(void)state;
	put(first, "p.policy", "block a.test\nblock b.test\n");
	settle();
	for (unsigned i = 0; i < N; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		for (unsigned k = 0; k < 50; k++) {
			struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
			struct df_policy_result result;

			if (df_policy_compile_name("p", dirs, DF_POLICY_TRUST_ANY, &result) < 0 ||
			    df_policy_cache_put(cache, "p", &result, SETTLE_MS, &m) < 0)
				_exit(1);
			df_policy_result_done(&result);
			df_policy_mapped_done(&m);
			if (df_policy_cache_find(cache, "p", dirs, &m) < 0)
				_exit(2);
			df_policy_mapped_done(&m);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < N; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count(".table"), 1);
	assert_int_equal(count(".index"), 1);
	assert_int_equal(count(""), 4); /* with "." and ".." */
}

static void test_lock(void **state)
{
	_cleanup_close_ int held = df_policy_cache_lock(cache, 0), again = -1;

	(void)state;
	assert_true(held >= 0);
	again = df_policy_cache_lock(cache, 20);
	assert_int_equal(again, -EBUSY);
	(void)close(held);
	held = -1;
	again = df_policy_cache_lock(cache, 0);
	assert_true(again >= 0);
}

#define TEST(f) cmocka_unit_test_setup(f, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found),   TEST(test_stale),       TEST(test_racy),
		TEST(test_order),   TEST(test_not_trusted), TEST(test_sweep),
		TEST(test_at_once), TEST(test_lock),        cmocka_unit_test(test_index_bytes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
