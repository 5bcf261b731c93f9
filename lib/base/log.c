/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/util.h"

#define SYSLOG_PATH "/dev/log"
#define JOURNAL_PATH "/run/systemd/journal/socket"
#define FACILITY_DAEMON (3 << 3)
/* Documentation/admin-guide/devices.txt: Unix98 pty slaves */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST 143

int df_log_syslog(const char *tag, enum df_log_level level, const char *line)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SYSLOG_PATH};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[DF_LOG_LINE_MAX];
	size_t n = 0;

	if (fd < 0)
		return -errno;
	df_append(text, sizeof(text), &n, "<%d>%s[%d]: %s", FACILITY_DAEMON | (int)level, tag,
		  (int)getpid(), line);
	if (sendto(fd, text, n, MSG_NOSIGNAL, (const void *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int df_log_journal(const void *entry, size_t len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = JOURNAL_PATH};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (sendto(fd, entry, len, MSG_NOSIGNAL, (const void *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static bool is_accepted(const struct stat *st, const struct df_log_target *t)
{
	if (S_ISCHR(st->st_mode)) {
		unsigned major_nr = major(st->st_rdev);

		if (major_nr >= PTS_MAJOR_FIRST && major_nr <= PTS_MAJOR_LAST)
			return true;
	}
	if (t->is_any_file)
		return S_ISFIFO(st->st_mode) || S_ISREG(st->st_mode);
	return t->is_pipe && S_ISFIFO(st->st_mode) && st->st_dev == t->dev && st->st_ino == t->ino;
}

/* The mode in which the process has it open: we do not write to a file that it can only read. */
static bool is_writable(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & S_IWUSR); /* proc(5) */
}

/* The pid of a zombie is still its own, but its descriptors are gone. */
static bool is_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return pidfd > 0 && poll(&p, 1, 0) != 0;
}

static int write_once(int path_fd, const char *line)
{
	_cleanup_close_ int fd = -1;
	char path[64], text[PIPE_BUF];
	size_t n = 0;

	/* the very file that was examined is opened: the container may change its fd 2 meanwhile */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	df_append(text, sizeof(text) - 1, &n, "%s", line);
	text[n++] = '\n';
	return write(fd, text, n) < 0 ? -errno : 0;
}

int df_log_process_stderr(int pid, const struct df_log_target *target, const char *line)
{
	_cleanup_close_ int path_fd = -1;
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0) {
		const int r = -errno;

		return is_ended(target->pidfd) ? -ESRCH : r;
	}
	if (fstat(path_fd, &st) < 0)
		return -errno;
	if (is_ended(target->pidfd))
		return -ESRCH;
	if (!is_accepted(&st, target) || !is_writable(path))
		return -EPERM;
	return write_once(path_fd, line);
}

int df_log_open_stderr(int pid, const struct df_log_target *target)
{
	_cleanup_close_ int path_fd = -1;
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode) || !is_accepted(&st, target))
		return -EPERM;
	return TAKE_FD(path_fd);
}

int df_log_kept_stderr(int path_fd, const char *line)
{
	return write_once(path_fd, line);
}
