/* SPDX-License-Identifier: GPL-2.0-or-later */
/* local: which addresses are the namespace's own. process: whether another program runs since. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/base/own_addr.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"

static bool is_local(const char *text)
{
	uint8_t addr[16] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, text, addr + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
	return df_own_is_local(addr);
}

static void test_local(void **state)
{
	(void)state;
	assert_true(is_local("127.0.0.1"));
	assert_true(is_local("127.1.2.3"));
	assert_true(is_local("0.0.0.0"));
	assert_true(is_local("::"));
	assert_true(is_local("::ffff:127.0.0.1"));
	assert_false(is_local("192.0.2.1"));
	assert_false(is_local("2001:db8::1"));
	assert_false(is_local("::2"));
}

static bool is_same(const struct df_proc_image *a, const struct df_proc_image *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static int image_of(pid_t pid, struct df_proc_image *ret)
{
	_cleanup_close_ int fd = df_proc_open(pid);

	return fd < 0 ? fd : df_proc_image(fd, ret);
}

/* The child is this program, until it executes another one, or the same once more. */
static void test_image(void **state)
{
	struct df_proc_image before = {}, again = {}, after = {};
	int pipe_fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char octet;

		(void)close(pipe_fds[1]);
		if (read(pipe_fds[0], &octet, 1) == 1)
			(void)execl("/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	assert_int_equal(image_of(pid, &before), 0);
	assert_int_equal(image_of(pid, &again), 0);
	assert_true(is_same(&before, &again));
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	for (int i = 0; i < 1000 && (after.exe_ino == 0 || is_same(&before, &after)); i++) {
		assert_int_equal(image_of(pid, &after), 0);
		(void)usleep(10000);
	}
	assert_int_not_equal(before.exe_ino, after.exe_ino);
	assert_int_not_equal(before.arg_start, after.arg_start);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_true(image_of(pid, &after) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
