/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util: ownership macros and the few helpers that every program needs.
 *
 * Owned locals carry _cleanup_*; ownership moves only by TAKE_PTR and TAKE_FD.
 * close() is never retried: on Linux the descriptor is gone even with EINTR.
 */
#ifndef DF_UTIL_H
#define DF_UTIL_H

#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void df_freep(void *p)
{
	free(*(void **)p);
}
static inline void df_closep(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
static inline void df_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}
static inline void df_closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}
static inline int df_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define _cleanup_free_ __attribute__((cleanup(df_freep)))
#define _cleanup_close_ __attribute__((cleanup(df_closep)))
#define _cleanup_fclose_ __attribute__((cleanup(df_fclosep)))
#define _cleanup_closedir_ __attribute__((cleanup(df_closedirp)))
#define TAKE_FD(fd) df_take_fd(&(fd))
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

/*
 * Reads fd to its end.  *ret is malloc'd, NUL-terminated behind *ret_len octets.
 * -E2BIG: more than max octets came; then the rest stays unread.  Other -errno.
 */
int df_read_all(int fd, size_t max, char **ret, size_t *ret_len);

/* As above, for a path; regular files only (-EINVAL), opened at dirfd (or AT_FDCWD). */
int df_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);

/* For small files of /proc: reads at most size - 1 octets once, NUL-terminates.  Length or -errno.
 */
ssize_t df_read_small(int dirfd, const char *path, char *buf, size_t size);

/* Writes all of it, through EINTR and short writes.  0 or -errno. */
int df_write_all(int fd, const void *data, size_t len);

/* Whole string, decimal, no sign, no blanks, at most max.  -EINVAL, -ERANGE. */
int df_parse_u64(const char *text, uint64_t max, uint64_t *ret);

/*
 * Copies text with control characters, DEL, '"', '\\' and invalid UTF-8 escaped
 * (\n \t \" \\ \xHH).  Cuts at whole escapes.  NUL-terminates if size > 0.
 * Returns the length written.
 */
size_t df_escape(const char *text, size_t len, char *buf, size_t size);

/* True if df_escape would change nothing but '"' and '\\': no controls, no invalid UTF-8. */
bool df_is_printable(const char *text, size_t len);

/* snprintf that appends at *pos and never passes size.  Cuts silently. */
void df_append(char *buf, size_t size, size_t *pos, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Whether dir is path or a directory above it; both without a slash at the end but for "/". */
bool df_path_is_above(const char *dir, const char *path);

/* Nanoseconds of CLOCK_BOOTTIME; CLOCK_REALTIME as RFC 3339 with microseconds in UTC. */
uint64_t df_now_ns(void);
void df_time_text(char ret[static 32]);

/* Random bytes from getrandom(2); never fails after boot, aborts otherwise. */
void df_random(void *buf, size_t len);

#endif
