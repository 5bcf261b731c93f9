/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intrude PID [SECONDS]: everything by which one process reads or steers another, tried on PID
 * until SECONDS (0) have passed: one line "NAME ok" or "NAME ERRNO" for each way, and "successes N"
 * at the end. The exit status is 0; a signal that stops it is taken back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_kcmp
#define SYS_kcmp 312
#endif

static pid_t pid;

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int attach(void)
{
	int r = result(ptrace(PTRACE_ATTACH, pid, NULL, NULL));

	if (r == 0) {
		(void)waitpid(pid, NULL, __WALL);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	return r;
}

static int seize(void)
{
	int r = result(ptrace(PTRACE_SEIZE, pid, NULL, NULL));

	if (r == 0) {
		(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		(void)waitpid(pid, NULL, __WALL);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	return r;
}

/* An address that is not there: whoever may read gets EFAULT, others EPERM before that. */
static int vm(int call)
{
	char octet = 0;
	struct iovec here = {&octet, 1}, there = {(void *)8, 1};
	int r = result(syscall(call, (long)pid, &here, 1l, &there, 1l, 0l));

	return r == -EFAULT ? 0 : r;
}

static int vm_readv(void)
{
	return vm(SYS_process_vm_readv);
}

static int vm_writev(void)
{
	return vm(SYS_process_vm_writev);
}

/* Any descriptor; EBADF is said to whoever may take one that is not there. */
static int getfd(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, (long)pid, 0l), r = -ESRCH;

	for (long fd = 0; pidfd >= 0 && fd < 64 && r != 0; fd++) {
		long got = syscall(SYS_pidfd_getfd, (long)pidfd, fd, 0l);

		r = result(got);
		if (got >= 0)
			(void)close((int)got);
		if (r == -EBADF)
			r = 0;
	}
	if (pidfd >= 0)
		(void)close(pidfd);
	return r;
}

static int kcmp(void)
{
	return result(syscall(SYS_kcmp, (long)getpid(), (long)pid, 0l, 0l, 0l));
}

static int open_file(const char *name, int flags)
{
	char path[64];
	int fd, r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, flags | O_CLOEXEC);
	r = result(fd);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int mem_read(void)
{
	return open_file("mem", O_RDONLY);
}

static int mem_write(void)
{
	return open_file("mem", O_WRONLY);
}

static int maps(void)
{
	return open_file("maps", O_RDONLY);
}

static int environment(void)
{
	return open_file("environ", O_RDONLY);
}

static int root(void)
{
	return open_file("root", O_PATH);
}

static int netns(void)
{
	return open_file("ns/net", O_RDONLY);
}

/* Follows one of its descriptors. */
static int fd_link(void)
{
	int r = -ENOENT;
	char name[16];

	for (int fd = 0; fd < 64 && r != 0; fd++) {
		(void)snprintf(name, sizeof(name), "fd/%d", fd);
		r = open_file(name, O_PATH);
		if (r == -EACCES || r == -EPERM)
			break;
	}
	return r;
}

static const struct {
	const char *name;
	int (*try)(void);
} ways[] = {
	{"ptrace-attach", attach},
	{"ptrace-seize", seize},
	{"process_vm_readv", vm_readv},
	{"process_vm_writev", vm_writev},
	{"pidfd_getfd", getfd},
	{"kcmp", kcmp},
	{"mem-read", mem_read},
	{"mem-write", mem_write},
	{"maps", maps},
	{"environ", environment},
	{"root", root},
	{"netns", netns},
	{"fd", fd_link},
};

int main(int argc, char **argv)
{
	const time_t until = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
	unsigned successes = 0;

	if (argc < 2)
		return 64;
	pid = atoi(argv[1]);
	for (unsigned round = 0; round == 0 || time(NULL) < until; round++) {
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
			int r = ways[i].try();

			if (r == 0)
				successes++;
			if (round == 0 || r == 0)
				printf("%s %s\n", ways[i].name, r == 0 ? "ok" : strerror(-r));
		}
	}
	printf("successes %u\n", successes);
	return 0;
}
