/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What worker and reader can still do.  Each case is a process of its own: it cannot go back. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/sandbox.h"

#ifndef DF_WITH_SANITIZERS

#define PASSES 0

static int errno_of(long result)
{
	return result < 0 ? errno : PASSES;
}

static int open_file(void)
{
	return errno_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
}

static int open_inet(void)
{
	return errno_of(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int open_unix(void)
{
	return errno_of(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int open_packet(void)
{
	return errno_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int run_program(void)
{
	char *argv[] = {"true", NULL};

	return errno_of(execv("/bin/true", argv));
}

static int fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return errno_of(pid);
}

static int trace(void)
{
	return errno_of(syscall(SYS_ptrace, 0, 0, 0, 0));
}

/* BPF_MAP_CREATE (0); with no attributes it is EINVAL where it is not EPERM. */
static int create_map(void)
{
	return errno_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int sleep_on_epoll(void)
{
	struct epoll_event e;

	/* a descriptor that is none: what counts is that the call is made */
	return errno_of(epoll_wait(-1, &e, 1, 0)) == EBADF ? PASSES : errno;
}

static int worker(void)
{
	return df_sandbox_worker(-1);
}

static void check_case(int (*enter)(void), int (*attempt)(void), int expected, const char *what)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int r = enter();

		_exit(r < 0 ? 200 : attempt());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
		print_error("%s: %s %d, not %d\n", what,
			    WIFEXITED(status) ? "ended with" : "signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), expected);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static void test_worker(void **state)
{
	(void)state;
	check_case(worker, open_inet, PASSES, "a socket to a resolver");
	check_case(worker, sleep_on_epoll, PASSES, "epoll");
	check_case(worker, open_file, EPERM, "a file");
	check_case(worker, open_unix, EPERM, "a unix socket");
	check_case(worker, open_packet, EPERM, "a packet socket");
	check_case(worker, run_program, EPERM, "a program");
	check_case(worker, fork_child, EPERM, "a process");
	check_case(worker, trace, EPERM, "ptrace");
	check_case(worker, create_map, EPERM, "a map");
}

static void test_reader(void **state)
{
	(void)state;
	check_case(df_sandbox_reader, open_file, PASSES, "a file");
	check_case(df_sandbox_reader, open_inet, EPERM, "a socket");
	check_case(df_sandbox_reader, run_program, EPERM, "a program");
	check_case(df_sandbox_reader, fork_child, EPERM, "a process");
	check_case(df_sandbox_reader, create_map, EPERM, "a map");
}

static void test_monitor(void **state)
{
	(void)state;
	check_case(df_sandbox_monitor, fork_child, PASSES, "a process");
	check_case(df_sandbox_monitor, open_file, PASSES, "a file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_monitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_nothing(void **state)
{
	(void)state; /* the sanitizers' runtime needs more than the sandbox leaves */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
