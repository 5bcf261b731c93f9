/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust: whose files count, and the way to them.  Another owner is tried if root runs this. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"

static char top[64];

static const char *in_top(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int set_up(void **state)
{
	_cleanup_close_ int fd = -1;

	(void)state;
	(void)umask(022);
	(void)snprintf(top, sizeof(top), "/tmp/df-trust-XXXXXX");
	if (!mkdtemp(top) || mkdir(in_top("a"), 0755) < 0)
		return -1;
	fd = open(in_top("a/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : df_write_all(fd, "text", 4);
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(in_top("link"));
	(void)unlink(in_top("a/link"));
	(void)unlink(in_top("a/file"));
	(void)rmdir(in_top("a"));
	return rmdir(top);
}

static int look(const char *name, char *why)
{
	_cleanup_close_ int fd = df_host_file_open(in_top(name), geteuid(), why);
	char text[8] = "";

	if (fd < 0)
		return fd;
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "text");
	assert_string_equal(why, "");
	return 0;
}

static void test_file(void **state)
{
	char why[DF_HOST_FILE_WHY_MAX], want[DF_HOST_FILE_WHY_MAX];
	_cleanup_close_ int dir = -1;

	(void)state;
	assert_int_equal(look("a/file", why), 0);
	assert_int_equal(look("a//./../a/file", why), 0);
	assert_int_equal(look("a/none", why), -ENOENT);
	assert_string_equal(why, "");
	assert_int_equal(look("a", why), -EINVAL);
	assert_int_equal(look("a/file/x", why), -ENOTDIR);
	assert_int_equal(df_host_dir_open(in_top("a/file"), geteuid(), why), -ENOTDIR);
	dir = df_host_dir_open(in_top("a"), geteuid(), why);
	assert_true(dir >= 0);
	for (unsigned bits = 020; bits >= 02; bits >>= 3) {
		assert_int_equal(chmod(in_top("a/file"), 0644 | bits), 0);
		assert_int_equal(look("a/file", why), -EPERM);
		(void)snprintf(want, sizeof(want),
			       "%s/a/file can be written by others than its owner (mode %04o): "
			       "chmod go-w %s/a/file",
			       top, 0644 | bits, top);
		assert_string_equal(why, want);
	}
	assert_int_equal(chmod(in_top("a/file"), 0600), 0);
	assert_int_equal(look("a/file", why), 0);
}

/* A directory on the way, and one that is sticky. */
static void test_way(void **state)
{
	char why[DF_HOST_FILE_WHY_MAX];

	(void)state;
	assert_int_equal(chmod(in_top("a"), 0775), 0);
	assert_int_equal(look("a/file", why), -EPERM);
	assert_non_null(strstr(why, "/a can be written by others"));
	assert_int_equal(chmod(in_top("a"), 01777), 0);
	assert_int_equal(look("a/file", why), 0);
	assert_int_equal(chmod(in_top("a"), 0755), 0);
	assert_int_equal(chmod(top, 0777), 0);
	assert_int_equal(look("a/file", why), -EPERM);
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(look("a/file", why), 0);
}

static void test_links(void **state)
{
	char why[DF_HOST_FILE_WHY_MAX], target[128];

	(void)state;
	assert_int_equal(symlink("a/file", in_top("link")), 0);
	assert_int_equal(look("link", why), 0);
	/* the way counts that the link leads, too */
	assert_int_equal(chmod(in_top("a"), 0777), 0);
	assert_int_equal(look("link", why), -EPERM);
	assert_int_equal(chmod(in_top("a"), 0755), 0);
	assert_int_equal(unlink(in_top("link")), 0);
	assert_int_equal(symlink("link", in_top("link")), 0);
	assert_int_equal(look("link", why), -ELOOP);
	assert_int_equal(unlink(in_top("link")), 0);
	assert_int_equal(symlink("nowhere", in_top("link")), 0);
	assert_int_equal(look("link", why), -ENOENT);
	assert_int_equal(unlink(in_top("link")), 0);
	(void)snprintf(target, sizeof(target), "%s/a", top);
	assert_int_equal(symlink(target, in_top("link")), 0); /* absolute, to a directory */
	assert_int_equal(look("link/file", why), 0);
}

static void test_owner(void **state)
{
	char why[DF_HOST_FILE_WHY_MAX];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(in_top("a/file"), 1234, 0), 0);
	assert_int_equal(look("a/file", why), -EPERM);
	assert_non_null(strstr(why, "belongs to uid 1234; it must be root's: chown -h root "));
	assert_int_equal(chown(in_top("a/file"), 0, 0), 0);
	assert_int_equal(chown(in_top("a"), 1234, 0), 0);
	assert_int_equal(look("a/file", why), -EPERM);
	assert_int_equal(chown(in_top("a"), 0, 0), 0);
	assert_int_equal(symlink("file", in_top("a/link")), 0);
	assert_int_equal(look("a/link", why), 0);
	assert_int_equal(lchown(in_top("a/link"), 1234, 0), 0);
	assert_int_equal(look("a/link", why), -EPERM);
}

static void test_long(void **state)
{
	char why[DF_HOST_FILE_WHY_MAX], path[8192];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	path[0] = '/';
	assert_int_equal(df_host_file_open(path, 0, why), -ENAMETOOLONG);
	path[4000] = '\0';
	assert_int_equal(df_host_file_open(path, 0, why), -ENAMETOOLONG);
	assert_int_equal(df_host_file_open("", 0, why), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
