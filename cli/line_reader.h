/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * line_reader: reads a file line by line in bounded memory, and continues at the end of what it
 * read when the file has grown.
 */
#ifndef DF_LINE_READER_H
#define DF_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Octets of a line without its newline: an event has fewer, deployfence.events(5). */
#define DF_LINE_MAX 65536

struct df_line_reader {
	int fd; /* owned; -1: closed */
	dev_t dev;
	ino_t ino;
	char *buf;
	size_t start, end; /* unread octets of buf */
	bool is_skipping;  /* inside a line that is too long */
};

/*
 * Opens a regular file for reading, relative to dirfd.  0, -EINVAL: no regular
 * file, other -errno; on error l is closed.
 */
int df_line_reader_open(struct df_line_reader *l, int dirfd, const char *path);
void df_line_reader_close(struct df_line_reader *l); /* also of a closed one */

/*
 * 1: *ret is a line, NUL-terminated in place of its newline, valid until the next
 * call.  0: nothing more for now; an unfinished line waits for its end.
 * -EMSGSIZE: a line was too long and is left out; go on.  Other -errno of read.
 */
int df_line_reader_next(struct df_line_reader *l, char **ret, size_t *ret_len);

/* After a 0: the octets behind the last newline, which then count as read.  1, 0, -EMSGSIZE. */
int df_line_reader_rest(struct df_line_reader *l, char **ret, size_t *ret_len);

/* Back to the first line.  0 or -errno. */
int df_line_reader_rewind(struct df_line_reader *l);

#endif
