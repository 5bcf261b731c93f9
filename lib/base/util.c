/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define READ_FIRST 4096 /* most of what we read (configuration, /proc) fits in one page */

int df_read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (len == room) {
			size_t larger = room ? room * 2 : READ_FIRST;
			char *moved;

			/* One octet beyond max tells "exactly max" from "more". */
			if (larger > max)
				larger = max < SIZE_MAX - 1 ? max + 1 : max;
			moved = larger > room ? realloc(buf, larger + 1) : NULL;
			if (!moved)
				return -ENOMEM;
			buf = moved;
			room = larger;
		}
		n = read(fd, buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -E2BIG;
	}
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

int df_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a FIFO put in the file's place must not hold us. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return df_read_all(fd, max, ret, ret_len);
}

ssize_t df_read_small(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (size == 0)
		return -EINVAL;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

int df_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* would be an endless loop */
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int df_parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	bool is_over = false;

	if (*text == '\0')
		return -EINVAL;
	/* Not strtoull: it takes blanks, a sign, and the empty string. */
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		is_over |= __builtin_mul_overflow(value, 10, &value);
		is_over |= __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
	}
	if (is_over || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* Octets of the well-formed, printable character at p, 0 if there is none: RFC 3629 section 4. */
static size_t printable_char(const uint8_t *p, size_t len)
{
	uint32_t c;
	size_t n;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	/* Overlong forms, surrogates, beyond Unicode; U+0080..9F are controls as well, and the
	 * bidirectional ones reorder what a terminal shows (Unicode TR 9). */
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff) || c < 0xa0 || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029)
		return 0;
	return n;
}

bool df_is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		const size_t n = printable_char((const uint8_t *)text + i, len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static size_t escape_char(uint8_t c, char ret[static 4])
{
	static const char hex[] = "0123456789abcdef";

	ret[0] = '\\';
	if (c == '\n' || c == '\t') {
		ret[1] = c == '\n' ? 'n' : 't';
		return 2;
	}
	if (c == '"' || c == '\\') {
		ret[1] = (char)c;
		return 2;
	}
	ret[1] = 'x';
	ret[2] = hex[c >> 4];
	ret[3] = hex[c & 15];
	return 4;
}

size_t df_escape(const char *text, size_t len, char *buf, size_t size)
{
	const uint8_t *in = (const uint8_t *)text;
	size_t pos = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < len;) {
		char escaped[4];
		const void *from = in + i;
		size_t taken = printable_char(in + i, len - i), n = taken;

		if (n == 0 || in[i] == '"' || in[i] == '\\') {
			taken = 1;
			n = escape_char(in[i], escaped);
			from = escaped;
		}
		if (n >= size - pos)
			break;
		memcpy(buf + pos, from, n);
		pos += n;
		i += taken;
	}
	buf[pos] = '\0';
	return pos;
}

void df_append(char *buf, size_t size, size_t *pos, const char *format, ...)
{
	va_list args;
	int n;

	if (*pos >= size)
		return;
	va_start(args, format);
	n = vsnprintf(buf + *pos, size - *pos, format, args);
	va_end(args);
	if (n < 0)
		buf[*pos] = '\0';
	else if ((size_t)n >= size - *pos)
		*pos = size - 1;
	else
		*pos += (size_t)n;
}

uint64_t df_now_ns(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists since Linux 2.6.39 and now is ours. */
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void df_time_text(char ret[static 32])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* as above */
	(void)gmtime_r(&now.tv_sec, &tm);          /* fails from the year 2^31 on */
	n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret + n, 32 - n, ".%06uZ", (unsigned)(now.tv_nsec / 1000) % 1000000u);
}

void df_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort(); /* predictable ids and ports would be worse than no proxy */
		p += n;
		len -= (size_t)n;
	}
}

bool df_path_is_above(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return len > 0 && strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
