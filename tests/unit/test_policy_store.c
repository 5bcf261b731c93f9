/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last good tables: a kept one comes back, and no file that others could have written does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/policy/cache.h"
#include "lib/policy/compile.h"
#include "lib/policy/table.h"

static char top[] = "/tmp/df-store-XXXXXX", dir[64];
static int dir_fd = -1;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/df-store-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/a/policies", top);
	dir_fd = df_policy_cache_open(dir, true);
	return dir_fd < 0;
}

static int tear_down(void **state)
{
	char parent[64];

	(void)state;
	(void)unlinkat(dir_fd, "p.table", 0);
	(void)unlinkat(dir_fd, "q.table", 0);
	(void)close(dir_fd);
	(void)snprintf(parent, sizeof(parent), "%s/a", top);
	return rmdir(dir) || rmdir(parent) || rmdir(top); /* nothing temporary stayed */
}

static void compile(const char *name, const char *text, struct df_policy_result *ret)
{
	assert_int_equal(df_policy_compile_text(name, "p.policy", text, strlen(text), ret), 0);
}

static int load(const char *name)
{
	_cleanup_free_ void *table = NULL;
	size_t size = 0;

	return df_policy_cache_last_good(dir_fd, name, &table, &size);
}

static void test_round(void **state)
{
	struct df_policy_result first, second;
	_cleanup_free_ void *table = NULL;
	struct stat st, again;
	size_t size;

	(void)state;
	compile("p", "block a.example\n", &first);
	compile("p", "block b.example\n", &second);
	assert_int_equal(load("p"), -ENOENT);
	assert_int_equal(df_policy_cache_keep(dir_fd, "p", first.table, first.table_size), 1);
	assert_int_equal(fstatat(dir_fd, "p.table", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* the same once more is not written */
	assert_int_equal(df_policy_cache_keep(dir_fd, "p", first.table, first.table_size), 0);
	assert_int_equal(fstatat(dir_fd, "p.table", &again, 0), 0);
	assert_int_equal(st.st_ino, again.st_ino);
	assert_int_equal(df_policy_cache_keep(dir_fd, "p", second.table, second.table_size), 1);
	assert_int_equal(df_policy_cache_last_good(dir_fd, "p", &table, &size), 0);
	assert_int_equal(size, second.table_size);
	assert_memory_equal(table, second.table, size);
	df_policy_result_done(&first);
	df_policy_result_done(&second);
}

static void write_octets(const void *data, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, "p.table", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(df_write_all(fd, data, size), 0);
}

static void test_not_trusted(void **state)
{
	struct df_policy_result good, other;
	struct df_policy_header *header;

	(void)state;
	compile("p", "block a.example\n", &good);
	compile("q", "block a.example\n", &other);
	write_octets("", 0);
	assert_int_equal(load("p"), -EBADMSG);
	write_octets(good.table, good.table_size - 1);
	assert_int_equal(load("p"), -EBADMSG);
	write_octets(other.table, other.table_size);
	assert_int_equal(load("p"), -EBADMSG); /* of another policy */
	write_octets(good.table, good.table_size);
	assert_int_equal(load("p"), 0); /* the twin */
	assert_int_equal(fchmodat(dir_fd, "p.table", 0640, 0), 0);
	assert_int_equal(load("p"), -EPERM);
	/* and what is not trusted is written anew */
	assert_int_equal(df_policy_cache_keep(dir_fd, "p", good.table, good.table_size), 1);
	assert_int_equal(load("p"), 0);
	header = good.table;
	header->version++;
	write_octets(good.table, good.table_size);
	assert_int_equal(load("p"), -EBADMSG);
	assert_int_equal(renameat(dir_fd, "p.table", dir_fd, "q.table"), 0);
	assert_int_equal(symlinkat("q.table", dir_fd, "p.table"), 0);
	assert_int_equal(load("p"), -ELOOP);
	df_policy_result_done(&good);
	df_policy_result_done(&other);
}

static void test_directory(void **state)
{
	(void)state;
	assert_int_equal(chmod(dir, 0750), 0);
	assert_int_equal(df_policy_cache_open(dir, true), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(df_policy_cache_open("/tmp/df-store-none/x", false), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_trusted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
