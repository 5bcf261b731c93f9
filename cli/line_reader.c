/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/util.h"

int df_line_reader_open(struct df_line_reader *l, int dirfd, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	*l = (struct df_line_reader){.fd = -1};
	/* O_NONBLOCK: a FIFO in the file's place must not hold us */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	l->buf = malloc(DF_LINE_MAX + 1);
	if (!l->buf)
		return -ENOMEM;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->fd = TAKE_FD(fd);
	return 0;
}

void df_line_reader_close(struct df_line_reader *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l->buf);
	*l = (struct df_line_reader){.fd = -1};
}

/* Octets read, 0 at the end of the file, -errno. */
static ssize_t fill(struct df_line_reader *l)
{
	ssize_t n;

	memmove(l->buf, l->buf + l->start, l->end - l->start);
	l->end -= l->start;
	l->start = 0;
	do
		n = read(l->fd, l->buf + l->end, DF_LINE_MAX + 1 - l->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->end += (size_t)n;
	return n;
}

int df_line_reader_next(struct df_line_reader *l, char **ret, size_t *ret_len)
{
	size_t seen = 0; /* octets behind start without a newline */

	for (;;) {
		char *from = l->buf + l->start, *newline;
		ssize_t n;

		newline = memchr(from + seen, '\n', l->end - l->start - seen);
		if (newline) {
			bool was_skipping = l->is_skipping;

			l->start = (size_t)(newline - l->buf) + 1;
			l->is_skipping = false;
			if (was_skipping)
				return -EMSGSIZE;
			*newline = '\0';
			*ret = from;
			*ret_len = (size_t)(newline - from);
			return 1;
		}
		seen = l->end - l->start;
		if (seen > DF_LINE_MAX)
			l->is_skipping = true;
		if (l->is_skipping)
			l->start = l->end = seen = 0;
		n = fill(l);
		if (n <= 0)
			return (int)n;
	}
}

int df_line_reader_rest(struct df_line_reader *l, char **ret, size_t *ret_len)
{
	if (l->is_skipping) {
		l->is_skipping = false;
		return -EMSGSIZE;
	}
	if (l->start == l->end)
		return 0;
	l->buf[l->end] = '\0'; /* the last read left room: a full buffer would be a line too long */
	*ret = l->buf + l->start;
	*ret_len = l->end - l->start;
	l->start = l->end = 0;
	return 1;
}

int df_line_reader_rewind(struct df_line_reader *l)
{
	if (lseek(l->fd, 0, SEEK_SET) < 0)
		return -errno;
	l->start = l->end = 0;
	l->is_skipping = false;
	return 0;
}
