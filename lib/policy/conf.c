/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/conf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"
#include "lib/policy/annotation_keys.h"
#include "lib/policy/text.h"
#include "lib/policy/value.h"

#define STATEMENTS_MAX 16                 /* more than there are */
#define ANNOTATION_MAX DF_POLICY_NAME_MAX /* octets of a key: OCI sets no limit, Kubernetes 63 */

#define CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct parser {
	struct df_conf_host *conf;
	struct df_stmt stmt;
	unsigned first_line[STATEMENTS_MAX]; /* by statement; 0: not set yet */
};

void df_conf_init(struct df_conf_host *ret)
{
	*ret = (struct df_conf_host){
		.default_policy = "default",
		.may_weaken = true,
		.fail = DF_HOST_FAIL_CLOSED,
		.log = DF_CONF_LOG_JOURNAL,
		.report_dir = DF_REPORT_DIR,
		.report_limits = {.age_s = DF_REPORTS_AGE_S, .octets = DF_REPORTS_OCTETS},
	};
}

static int check_policy_name(struct parser *p, const struct df_word *w)
{
	char quote[DF_MESSAGES_QUOTE];

	if (df_policy_is_name(w->s, w->len))
		return 0;
	df_stmt_error(&p->stmt, w->column,
		      "bad policy name '%s'; write letters, digits, '.', '_' and '-', a letter or "
		      "digit first, at most %d",
		      df_messages_quote(w->s, w->len, quote), DF_POLICY_NAME_MAX);
	return -EINVAL;
}

static int parse_policy_name(struct parser *p, char to[static DF_POLICY_NAME_MAX + 1])
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "the name of a policy", &w);

	if (r == 0)
		r = check_policy_name(p, &w);
	if (r == 0)
		r = df_stmt_end(&p->stmt, "one name only");
	if (r != 0)
		return r;
	memcpy(to, w.s, w.len);
	to[w.len] = '\0';
	return 0;
}

static int parse_default_policy(struct parser *p)
{
	return parse_policy_name(p, p->conf->default_policy);
}

static int parse_base_policy(struct parser *p)
{
	return parse_policy_name(p, p->conf->base_policy);
}

bool df_conf_has_name(const struct df_conf_names *list, const char *name)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (strcmp(list->names[i], name) == 0)
			return true;
	}
	return false;
}

/* w was checked: it fits. */
static int add_name(struct parser *p, struct df_conf_names *list, const struct df_word *w)
{
	char *to;

	if (list->n == DF_CONF_NAMES_MAX) {
		df_stmt_error(&p->stmt, w->column, "more than %d; write fewer", DF_CONF_NAMES_MAX);
		return -EINVAL;
	}
	to = list->names[list->n];
	memcpy(to, w->s, w->len);
	to[w->len] = '\0';
	list->n++;
	return 0;
}

static int parse_selectable(struct parser *p)
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "names of policies", &w);

	if (r < 0)
		return r;
	do {
		r = check_policy_name(p, &w);
		if (r == 0)
			r = add_name(p, &p->conf->selectable, &w);
		if (r < 0)
			return r;
	} while (df_stmt_word(&p->stmt, &w));
	return 0;
}

static int parse_fail(struct parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("closed", "open"));

	if (choice < 0)
		return choice;
	p->conf->fail = choice == 0 ? DF_HOST_FAIL_CLOSED : DF_HOST_FAIL_OPEN;
	return 0;
}

static int parse_log(struct parser *p)
{
	static const unsigned values[] = {
		DF_CONF_LOG_JOURNAL,
		DF_CONF_LOG_SYSLOG,
		DF_CONF_LOG_FILE,
		0,
	};
	const char *const *choices = CHOICES("journal", "syslog", "file", "none");
	unsigned log = 0, n = 0;
	bool has_none = false;
	struct df_word w;

	do {
		int choice = df_stmt_choice_next(&p->stmt, choices, &w);

		if (choice < 0)
			return choice;
		if ((values[choice] & log) || (values[choice] == 0 && has_none)) {
			df_stmt_error(&p->stmt, w.column, "'%s' twice; write it once",
				      choices[choice]);
			return -EINVAL;
		}
		if (n > 0 && (has_none || values[choice] == 0)) {
			df_stmt_error(&p->stmt, w.column,
				      "'none' beside a destination; write one or the other");
			return -EINVAL;
		}
		has_none = values[choice] == 0;
		log |= values[choice];
		n++;
	} while (!df_stmt_at_end(&p->stmt));
	p->conf->log = log;
	return 0;
}

static int parse_may_weaken(struct parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("yes", "no"));

	if (choice < 0)
		return choice;
	p->conf->may_weaken = choice == 0;
	return 0;
}

static int parse_on_policy_error(struct parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("last-good", "refuse"));

	if (choice < 0)
		return choice;
	p->conf->refuse_on_policy_error = choice == 1;
	return 0;
}

static int refuse_annotation(struct parser *p, const struct df_word *w)
{
	char quote[DF_MESSAGES_QUOTE], keys[256];
	size_t pos = 0;

	for (int i = DF_ANNOTATION_FENCE; i < DF_ANNOTATION_X; i++)
		df_append(keys, sizeof(keys), &pos, "%s, ",
			  df_annotation_keys[i].key +
				  (i > DF_ANNOTATION_POLICY ? strlen(DF_ANNOTATION_PREFIX) : 0));
	keys[pos - 2] = '\0'; /* the last one stands behind "or" */
	df_stmt_error(&p->stmt, w->column, "unknown annotation '%s'; write %s or .x-…",
		      df_messages_quote(w->s, w->len, quote), keys);
	return -EINVAL;
}

static int parse_annotations(struct parser *p)
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "annotation keys", &w);

	if (r < 0)
		return r;
	do {
		if (w.len > ANNOTATION_MAX || df_annotation_from_key(w.s, w.len) < 0)
			return refuse_annotation(p, &w);
		r = add_name(p, &p->conf->annotations, &w);
		if (r < 0)
			return r;
	} while (df_stmt_word(&p->stmt, &w));
	p->conf->has_annotations = true;
	return 0;
}

static int parse_report_dir(struct parser *p)
{
	char path[DF_STMT_STRING_MAX + 1];
	unsigned column;
	int r = df_stmt_string(&p->stmt, "a directory", path, &column);

	if (r < 0)
		return r;
	if (path[0] != '/') {
		df_stmt_error(&p->stmt, column, "not an absolute path; write one from '/'");
		return -EINVAL;
	}
	r = df_stmt_end(&p->stmt, "one directory only");
	if (r == 0)
		memcpy(p->conf->report_dir, path, strlen(path) + 1);
	return r;
}

/* One report must not push out all others. */
static int check_report_size(uint64_t octets, struct df_value_error *ret_error)
{
	if (octets >= DF_REPORTS_OCTETS_MIN)
		return 0;
	return df_value_refuse(ret_error, 0, "too small; at least %lluMiB",
			       (unsigned long long)DF_REPORTS_OCTETS_MIN >> 20);
}

/* How long, and how much at most: 30d 1GiB. */
static int parse_report_keep(struct parser *p)
{
	struct df_reports_limits limits;
	struct df_value_error error;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "a duration and a size, as 30d 1GiB", &w);

	if (r < 0)
		return r;
	if (df_value_duration(w.s, w.len, &limits.age_s, &error) < 0)
		goto refuse;
	r = df_stmt_need(&p->stmt, "a size too, as 30d 1GiB", &w);
	if (r < 0)
		return r;
	if (df_value_size(w.s, w.len, &limits.octets, &error) < 0 ||
	    check_report_size(limits.octets, &error) < 0)
		goto refuse;
	r = df_stmt_end(&p->stmt, "a duration and a size only");
	if (r == 0)
		p->conf->report_limits = limits;
	return r;
refuse:
	df_stmt_error(&p->stmt, w.column + (unsigned)error.offset, "%s", error.text);
	return -EINVAL;
}

static const struct statement {
	const char *name;
	int (*parse)(struct parser *p);
} statements[] = {
	{"annotations", parse_annotations},
	{"annotations-may-weaken", parse_may_weaken},
	{"selectable-policies", parse_selectable},
	{"default-policy", parse_default_policy},
	{"base-policy", parse_base_policy},
	{"on-policy-error", parse_on_policy_error},
	{"fail", parse_fail},
	{"log", parse_log},
	{"report-dir", parse_report_dir},
	{"report-keep", parse_report_keep},
};

_Static_assert(ARRAY_SIZE(statements) < STATEMENTS_MAX, "first_line has an entry for each");

static void parse_statement(struct parser *p)
{
	const struct df_word *keyword = &p->stmt.keyword;
	const char *names[STATEMENTS_MAX] = {NULL};

	for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
		names[i] = statements[i].name;
		if (!df_word_is(keyword, names[i]))
			continue;
		if (p->first_line[i]) {
			df_stmt_error(&p->stmt, keyword->column,
				      "'%s' is set twice; line %u has set it", names[i],
				      p->first_line[i]);
			return;
		}
		p->first_line[i] = p->stmt.line;
		(void)statements[i].parse(p); /* what it refuses is in the messages */
		return;
	}
	df_stmt_unknown(&p->stmt, names);
}

int df_conf_parse(const char *file, const char *text, size_t len, struct df_conf_host *ret,
		  char **ret_messages)
{
	struct df_messages messages = {.file = file};
	struct df_conf_host conf;
	struct parser p = {.conf = &conf};
	unsigned n_errors;
	int r;

	*ret_messages = NULL;
	df_conf_init(&conf);
	df_stmt_init(&p.stmt, text, len, &messages);
	while (df_stmt_next(&p.stmt))
		parse_statement(&p);
	n_errors = messages.n_errors;
	r = df_messages_text(&messages, ret_messages);
	df_messages_done(&messages);
	if (r < 0)
		return r;
	if (n_errors)
		return -EINVAL;
	*ret = conf;
	return 0;
}

static int read_trusted(const char *path, char **ret, size_t *ret_len,
			char ret_why[static DF_HOST_FILE_WHY_MAX])
{
	_cleanup_close_ int fd = df_host_file_open(path, geteuid(), ret_why);

	return fd < 0 ? fd : df_read_all(fd, DF_CONF_FILE_MAX, ret, ret_len);
}

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

int df_conf_load(const char *path, struct df_conf_host *ret, char **ret_messages)
{
	_cleanup_free_ char *text = NULL;
	char why[DF_HOST_FILE_WHY_MAX];
	size_t len;
	int r = read_trusted(path, &text, &len, why);

	*ret_messages = NULL;
	if (r == -ENOENT && !is_link(path)) {
		df_conf_init(ret);
		return 0;
	}
	if (r < 0) {
		struct df_messages messages = {.file = path};
		int r2;

		df_messages_error(&messages, 0, 0, "%s",
				  *why           ? why
				  : r == -E2BIG  ? "too big; at most 64 KiB"
				  : r == -EINVAL ? "not a regular file"
				  : r == -ENOENT ? "a link to a file that is missing"
						 : strerror(-r));
		r2 = df_messages_text(&messages, ret_messages);
		df_messages_done(&messages);
		return r2 < 0 ? r2 : r;
	}
	return df_conf_parse(path, text, len, ret, ret_messages);
}

/* The kill switch of conf.h: nothing but its own lines counts. */
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
