/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: what is written to descriptor 2 of another process, and what never is.  That process
 * chooses what its descriptor is, and we have rights that it has not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/base/util.h"

#define HANGS_S 60 /* a call that blocks ends the test */

static const char content[] = "not to be touched\n";
static char dir[] = "/tmp/df-test-log.XXXXXX", file[64], fifo[64];
static int started[2] = {-1, -1}; /* the pipe of the start, read and write end */

static int set_up(void **state)
{
	int fd;

	(void)state;
	(void)alarm(HANGS_S);
	(void)signal(SIGPIPE, SIG_IGN); /* as our processes do */
	if (!mkdtemp(dir) || pipe2(started, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || df_write_all(fd, content, strlen(content)) < 0)
		return -1;
	(void)close(fd);
	return mkfifo(fifo, 0600);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(started[0]);
	(void)close(started[1]);
	(void)unlink(file);
	(void)unlink(fifo);
	return rmdir(dir);
}

/* --- what descriptor 2 can be; each returns one to be it, -1 for closed */

static int open_started(void)
{
	return fcntl(started[1], F_DUPFD_CLOEXEC, 0);
}

static int open_read_end(void)
{
	return fcntl(started[0], F_DUPFD_CLOEXEC, 0);
}

static int open_other_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)fcntl(ends[0], F_DUPFD_CLOEXEC, 100); /* somebody reads */
	(void)close(ends[0]);
	return ends[1];
}

static int open_file(void)
{
	return open(file, O_RDONLY | O_CLOEXEC);
}

static int open_file_to_write(void)
{
	return open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int open_fifo(void)
{
	return open(fifo, O_RDWR | O_CLOEXEC);
}

static int open_socket(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	(void)close(ends[1]);
	return ends[0];
}

static int open_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_directory(void)
{
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_nothing(void)
{
	return -1;
}

static const struct {
	const char *what;
	int (*open)(void);
	int as_payload; /* what df_log_process_stderr returns once a payload runs … */
	int as_hook;    /* … and before */
} rows[] = {
	{"the pipe of the start", open_started, 0, 0},
	{"its other end", open_read_end, -EPERM, -EPERM},
	{"another pipe", open_other_pipe, -EPERM, 0},
	{"a file that it may read", open_file, -EPERM, -EPERM},
	{"a FIFO", open_fifo, -EPERM, 0},
	{"a socket", open_socket, -EPERM, -EPERM},
	{"/dev/null", open_null, -EPERM, -EPERM},
	{"a directory", open_directory, -EPERM, -EPERM},
	{"closed", open_nothing, -ENOENT, -ENOENT},
};

/* A process whose descriptor 2 is fd, and that waits to be killed. */
static pid_t start(int fd)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd < 0 ? close(2) < 0 : dup2(fd, 2) < 0)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct df_log_target target_of_start(void)
{
	struct stat st;

	assert_int_equal(fstat(started[0], &st), 0);
	return (struct df_log_target){.is_pipe = true, .dev = st.st_dev, .ino = st.st_ino};
}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void expect_untouched(void)
{
	char text[sizeof(content) * 2];
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	assert_int_equal(read(fd, text, sizeof(text)), strlen(content));
	assert_memory_equal(text, content, strlen(content));
	(void)close(fd);
}

/* What came through the pipe of the start. */
static void expect_read(const char *text)
{
	char got[256] = "";
	ssize_t n = read(started[0], got, sizeof(got) - 1);

	assert_string_equal(n < 0 ? "" : got, text);
}

static void test_descriptors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const int fd = rows[i].open();
		const pid_t pid = start(fd);
		const unsigned n_fds = count_fds();
		struct df_log_target t = target_of_start();
		int r = df_log_process_stderr(pid, &t, "line");

		if (r != rows[i].as_payload)
			fail_msg("%s: %d", rows[i].what, r);
		expect_read(r == 0 ? "line\n" : "");
		t = (struct df_log_target){.is_any_file = true};
		r = df_log_process_stderr(pid, &t, "hook");
		if (r != rows[i].as_hook)
			fail_msg("%s, the hook: %d", rows[i].what, r);
		expect_read(rows[i].open == open_started ? "hook\n" : "");
		expect_untouched();
		assert_int_equal(count_fds(), n_fds);
		end(pid);
		if (fd >= 0)
			(void)close(fd);
	}
}

/* The hook writes to a file that was given to be written to; nobody else does. */
static void test_file_to_write(void **state)
{
	const struct df_log_target payload = target_of_start(), hook = {.is_any_file = true};
	const int fd = open_file_to_write();
	const pid_t pid = start(fd);
	struct stat st;

	(void)state;
	assert_int_equal(df_log_process_stderr(pid, &payload, "line"), -EPERM);
	expect_untouched();
	assert_int_equal(df_log_process_stderr(pid, &hook, "hook"), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, strlen(content) + strlen("hook\n"));
	assert_int_equal(ftruncate(fd, (off_t)strlen(content)), 0);
	end(pid);
	(void)close(fd);
}

static void test_terminal(void **state)
{
	const struct df_log_target t = {.is_pipe = false};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	char text[32] = "";
	pid_t pid;

	(void)state;
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		skip();
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	pid = start(slave);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), 0);
	assert_true(read(master, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "line\r\n");
	end(pid);
	(void)close(slave);
	/* the other side of a terminal is none */
	pid = start(master);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), -EPERM);
	end(pid);
	(void)close(master);
}

/* Full, or read by nobody: an error at once. */
static void test_no_room(void **state)
{
	struct df_log_target t = target_of_start();
	const pid_t pid = start(started[1]);
	char octets[4096] = "";
	struct stat st;
	int ends[2];
	pid_t other;

	(void)state;
	while (write(started[1], octets, sizeof(octets)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), -EAGAIN);
	while (read(started[0], octets, sizeof(octets)) > 0)
		;
	assert_int_equal(df_log_process_stderr(pid, &t, "again"), 0);
	expect_read("again\n");
	end(pid);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fstat(ends[1], &st), 0);
	t.dev = st.st_dev;
	t.ino = st.st_ino;
	(void)close(ends[0]);
	other = start(ends[1]);
	assert_int_equal(df_log_process_stderr(other, &t, "line"), -EPIPE);
	end(other);
	(void)close(ends[1]);
}

/* Its pid may soon be somebody else's. */
static void test_ended(void **state)
{
	struct df_log_target t = target_of_start();
	const pid_t pid = start(started[1]);
	siginfo_t info;

	(void)state;
	t.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(t.pidfd > 0);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), 0);
	expect_read("line\n");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), -ESRCH); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(df_log_process_stderr(pid, &t, "line"), -ESRCH);
	/* the number is now that of another, which has the same stderr */
	assert_int_equal(df_log_process_stderr(getpid(), &t, "line"), -ESRCH);
	expect_read("");
	(void)close(t.pidfd);
}

/* What leads to the pipe holds no end of it open. */
static void test_kept(void **state)
{
	struct df_log_target t = target_of_start();
	char octets[16] = "";
	struct stat st;
	int ends[2], kept;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fstat(ends[1], &st), 0);
	pid = start(ends[1]);
	(void)close(ends[1]);
	assert_int_equal(df_log_open_stderr(pid, &t), -EPERM); /* another pipe */
	t.dev = st.st_dev;
	t.ino = st.st_ino;
	kept = df_log_open_stderr(pid, &t);
	assert_true(kept >= 0);
	end(pid);
	assert_int_equal(read(ends[0], octets, sizeof(octets)), 0); /* its end is seen */
	assert_int_equal(df_log_kept_stderr(kept, "late"), 0);
	assert_int_equal(read(ends[0], octets, sizeof(octets)), 5);
	assert_string_equal(octets, "late\n");
	assert_int_equal(read(ends[0], octets, sizeof(octets)), 0);
	(void)close(ends[0]);
	assert_int_equal(df_log_kept_stderr(kept, "too late"), -EPIPE);
	(void)close(kept);
	/* a terminal, a file: not kept */
	pid = start(open_file_to_write());
	assert_int_equal(df_log_open_stderr(pid, &(struct df_log_target){.is_any_file = true}),
			 -EPERM);
	end(pid);
	assert_true(df_log_open_stderr(pid, &t) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors), cmocka_unit_test(test_file_to_write),
		cmocka_unit_test(test_terminal),    cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_ended),       cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
