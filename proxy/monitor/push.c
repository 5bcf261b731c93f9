/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/push.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/util.h"
#include "proxy/monitor/reader.h"

#define LINK_MAX_LEN 64

static bool is_it(int fd, uint64_t cookie)
{
	uint64_t own = 0;
	socklen_t len = sizeof(own);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &own, &len) == 0 && own == cookie;
}

/* One that the application has corked waits for the application. */
static void uncork(int fd)
{
	int is_corked = 1;
	socklen_t len = sizeof(is_corked);

	if (getsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, &len) == 0 && !is_corked)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof(is_corked));
}

/* true: this descriptor of the process was it. */
static bool try_one(int pidfd, int fds, const char *name, uint64_t cookie)
{
	char link[LINK_MAX_LEN];
	_cleanup_close_ int fd = -1;
	uint64_t number;
	ssize_t n = readlinkat(fds, name, link, sizeof(link));

	if (n < 7 || memcmp(link, "socket:", 7) != 0 || df_parse_u64(name, INT32_MAX, &number) < 0)
		return false;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)number, 0u);
	if (fd < 0 || !is_it(fd, cookie))
		return false;
	uncork(fd);
	return true;
}

/* The process's descriptors, without an allocation. */
static void try_all(int pidfd, int fds, uint64_t cookie)
{
	unsigned n_left = DF_PUSH_DESCRIPTORS_MAX;
	char buf[4096] __attribute__((aligned(8)));
	long n;

	while ((n = syscall(SYS_getdents64, fds, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(buf + at);

			if (try_one(pidfd, fds, e->d_name, cookie) || --n_left == 0)
				return;
			at += e->d_reclen;
		}
	}
}

void df_push(const struct df_meta *meta, int proc_fd, const struct df_msg_push *m)
{
	const struct df_token t = {.tgid = m->tgid, .time = m->connect_time};
	/* First: of a process that ended before the next line nothing can be had by it. */
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)m->tgid, 0u);
	_cleanup_close_ int process = df_reader_open(meta, proc_fd, &t);
	_cleanup_close_ int fds = -1;

	if (pidfd < 0 || process < 0)
		return;
	fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds >= 0)
		try_all(pidfd, fds, m->cookie);
}
