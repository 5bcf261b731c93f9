/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"

int df_proc_open_at(int proc_fd, pid_t pid)
{
	char name[16];
	int fd;

	(void)snprintf(name, sizeof(name), "%d", (int)pid);
	fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int df_proc_open(pid_t pid)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int df_proc_stat(int fd, struct df_proc_stat *ret)
{
	char text[1024], *open, *close;
	unsigned long long start, arg_start = 0;
	struct df_proc_stat s = {};
	ssize_t n = df_read_small(fd, "stat", text, sizeof(text));

	if (n < 0)
		return (int)n;
	open = strchr(text, '(');
	close = strrchr(text, ')'); /* the name before it may hold anything, ')' too */
	if (!open || !close || close < open)
		return -EBADMSG;
	*close = '\0';
	/* fields 3, 4, 22 and, since Linux 3.3, 48 */
	if (sscanf(text, "%d", &s.pid) != 1 ||
	    sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u "
		   "%*u %*u %*u %*d %*u %*u %*u %llu",
		   &s.state, &s.parent, &start, &arg_start) < 3)
		return -EBADMSG;
	s.start = start;
	s.arg_start = arg_start;
	(void)snprintf(s.comm, sizeof(s.comm), "%s", open + 1);
	*ret = s;
	return 0;
}

int df_proc_status(int fd, const char *key, char *ret, size_t size)
{
	const size_t key_len = strlen(key);
	char text[4096], *next = NULL;
	ssize_t n = df_read_small(fd, "status", text, sizeof(text));

	if (n < 0)
		return (int)n;
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		if (strncmp(line, key, key_len) != 0 || line[key_len] != ':')
			continue;
		line += key_len + 1;
		line += strspn(line, " \t");
		if (strlen(line) >= size)
			return -ENOSPC;
		memcpy(ret, line, strlen(line) + 1);
		return 0;
	}
	return -ENOENT;
}

int df_proc_cgroup(int fd, char *ret, size_t size)
{
	char text[8192], *line, *end;
	ssize_t n = df_read_small(fd, "cgroup", text, sizeof(text));

	if (n < 0)
		return (int)n;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/');
	end = line ? strchr(line, '\n') : NULL;
	if (!end)
		return -EBADMSG;
	*end = '\0';
	if (strlen(line) >= size)
		return -ENAMETOOLONG;
	memcpy(ret, line, strlen(line) + 1);
	return 0;
}

int df_proc_image(int fd, struct df_proc_image *ret)
{
	struct df_proc_stat s;
	struct stat exe;
	int r = df_proc_stat(fd, &s);

	if (r < 0)
		return r;
	if (fstatat(fd, "exe", &exe, 0) < 0)
		return -errno;
	*ret = (struct df_proc_image){exe.st_dev, exe.st_ino, s.arg_start};
	return 0;
}
