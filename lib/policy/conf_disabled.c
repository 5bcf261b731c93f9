/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kill switch of conf.h: nothing but its own lines counts. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"
#include "lib/policy/conf.h"

/* n decimal digits at *s, moved over; -1 if there are not. */
static int take_digits(const char **s, const char *end, int n)
{
	int value = 0;

	if (end - *s < n)
		return -1;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return -1;
		value = value * 10 + (**s - '0');
	}
	return value;
}

/* One of the accepted characters at *s, moved over. */
static bool take_char(const char **s, const char *end, const char *accepted)
{
	if (*s == end || **s == '\0' || !strchr(accepted, **s))
		return false;
	(*s)++;
	return true;
}

/* Z, +01:00 or -01:00 in seconds. */
static int take_offset(const char **s, const char *end, long *ret)
{
	int hours, minutes;
	bool is_west;

	if (take_char(s, end, "Zz")) {
		*ret = 0;
		return 0;
	}
	is_west = take_char(s, end, "-");
	if (!is_west && !take_char(s, end, "+"))
		return -EINVAL;
	hours = take_digits(s, end, 2);
	if (!take_char(s, end, ":"))
		return -EINVAL;
	minutes = take_digits(s, end, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret = (is_west ? -1 : 1) * (hours * 3600L + minutes * 60L);
	return 0;
}

/* yyyy-mm-ddThh:mm:ss; a fraction is read and dropped. */
static int take_date_time(const char **s, const char *end, struct tm *ret)
{
	struct tm tm = {0};
	bool is_good;

	tm.tm_year = take_digits(s, end, 4) - 1900;
	is_good = take_char(s, end, "-");
	tm.tm_mon = take_digits(s, end, 2) - 1;
	is_good = take_char(s, end, "-") && is_good;
	tm.tm_mday = take_digits(s, end, 2);
	is_good = take_char(s, end, "Tt ") && is_good;
	tm.tm_hour = take_digits(s, end, 2);
	is_good = take_char(s, end, ":") && is_good;
	tm.tm_min = take_digits(s, end, 2);
	is_good = take_char(s, end, ":") && is_good;
	tm.tm_sec = take_digits(s, end, 2);
	if (take_char(s, end, ".")) {
		const char *first = *s;

		while (take_char(s, end, "0123456789"))
			;
		is_good = *s > first && is_good;
	}
	/* timegm moves over what is out of range: 60 for leap seconds is meant to. */
	if (!is_good || tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
	    tm.tm_sec > 60)
		return -EINVAL;
	*ret = tm;
	return 0;
}

static int days_of_month(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap);
}

int df_conf_parse_time(const char *s, size_t len, time_t *ret)
{
	const char *end = s + len;
	struct tm tm;
	long offset;

	if (take_date_time(&s, end, &tm) < 0 || tm.tm_mday > days_of_month(&tm) ||
	    take_offset(&s, end, &offset) < 0 || s != end)
		return -EINVAL;
	*ret = timegm(&tm) - offset;
	return 0;
}

struct disabled {
	const char *reason; /* NULL: none yet */
	size_t reason_len;
	bool has_until;
	time_t until;
	unsigned line;    /* of the text, from 1 */
	const char *what; /* is wrong in that line; NULL: nothing */
};

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The rest of a trimmed line "WORD rest"; false if it begins with something else. */
static bool take_word(const char *line, size_t len, const char *word, const char **ret,
		      size_t *ret_len)
{
	size_t n = strlen(word);

	if (len < n || memcmp(line, word, n) != 0 || (len > n && !is_white(line[n])))
		return false;
	for (; n < len && is_white(line[n]); n++)
		;
	*ret = line + n;
	*ret_len = len - n;
	return true;
}

static void read_line(const char *line, size_t len, struct disabled *d)
{
	const char *rest;
	size_t rest_len;

	while (len > 0 && is_white(line[len - 1]))
		len--;
	for (; len > 0 && is_white(*line); len--)
		line++;
	if (memchr(line, '\r', len)) { /* lines of a Mac of old: an 'until' would be no line */
		d->what = "a carriage return inside of it; lines end with a line feed";
		return;
	}
	if (len == 0 || *line == '#')
		return;
	if (take_word(line, len, "reason", &rest, &rest_len)) {
		if (d->reason)
			d->what = "a second reason";
		else if (rest_len == 0)
			d->what = "a reason without a text";
		d->reason = rest;
		d->reason_len = rest_len;
	} else if (take_word(line, len, "until", &rest, &rest_len)) {
		if (d->has_until)
			d->what = "a second 'until'";
		else if (df_conf_parse_time(rest, rest_len, &d->until) < 0)
			d->what = "'until' needs a time such as 2026-12-01T12:00:00Z";
		d->has_until = true;
	} else {
		d->what = "neither 'reason TEXT' nor 'until TIME' nor a comment";
	}
}

/* Up to the first line that is wrong. */
static void read_lines(const char *text, size_t len, struct disabled *d)
{
	while (len > 0 && !d->what) {
		const char *lf = memchr(text, '\n', len);
		size_t n = lf ? (size_t)(lf - text) : len;

		d->line++;
		read_line(text, n, d);
		n += lf ? 1 : 0;
		text += n;
		len -= n;
	}
}

static int read_file(const char *path, char **ret, size_t *ret_len,
		     char why[static DF_HOST_FILE_WHY_MAX])
{
	_cleanup_close_ int fd = df_host_file_open(path, geteuid(), why);
	int r = fd < 0 ? fd : df_read_all(fd, DF_CONF_FILE_MAX, ret, ret_len);

	if (r < 0 && !*why)
		(void)snprintf(why, DF_HOST_FILE_WHY_MAX, "%s",
			       r == -EINVAL   ? "it is no regular file"
			       : r == -E2BIG  ? "it is too big; at most 64 KiB"
			       : r == -ENOENT ? "it is a link to a file that is missing"
					      : strerror(-r));
	return r;
}

enum df_conf_switch df_conf_switch(const char *path, time_t now,
				   char ret_text[static DF_CONF_SWITCH_TEXT_MAX])
{
	_cleanup_free_ char *text = NULL;
	char why[DF_HOST_FILE_WHY_MAX];
	struct disabled d = {0};
	struct stat st;
	size_t len;

	/* lstat: a dangling link is a file that somebody has put there. */
	if (lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return DF_CONF_SWITCH_NONE;
	ret_text[0] = '\0';
	if (read_file(path, &text, &len, why) < 0) {
		(void)snprintf(ret_text, DF_CONF_SWITCH_TEXT_MAX, "%s", why);
		return DF_CONF_SWITCH_VOID;
	}
	read_lines(text, len, &d);
	if (d.what) {
		(void)snprintf(ret_text, DF_CONF_SWITCH_TEXT_MAX, "line %u: %s", d.line, d.what);
		return DF_CONF_SWITCH_VOID;
	}
	if (!d.reason) {
		(void)snprintf(ret_text, DF_CONF_SWITCH_TEXT_MAX, "%s",
			       len == 0 ? "it is empty" : "it names no reason");
		return DF_CONF_SWITCH_VOID;
	}
	if (d.has_until && d.until <= now)
		return DF_CONF_SWITCH_NONE;
	(void)df_escape(d.reason, d.reason_len, ret_text, DF_CONF_REASON_MAX);
	return DF_CONF_SWITCH_THROWN;
}
