/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/conf.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"
#include "lib/policy/annotation_keys.h"
#include "lib/policy/text.h"
#include "lib/policy/value.h"

#define STATEMENTS_MAX 16                 /* more than there are */
#define ANNOTATION_MAX DF_POLICY_NAME_MAX /* octets of a key: OCI sets no limit, Kubernetes 63 */

struct parser {
	struct df_conf_host *conf;
	struct df_stmt stmt;
	unsigned first_line[STATEMENTS_MAX]; /* by statement; 0: not set yet */
};

struct statement {
	const char *name;
	int (*parse)(struct parser *p, const struct statement *s);
	size_t offset;        /* of the field that it sets, in struct df_conf_host */
	const char *words[3]; /* of a bool, NULL-terminated; it becomes true by … */
	int truth;            /* … this one */
};

void df_conf_init(struct df_conf_host *ret)
{
	*ret = (struct df_conf_host){
		.default_policy = "default",
		.may_weaken = true,
		.fail = DF_HOST_FAIL_CLOSED,
		.log = DF_CONF_LOG_JOURNAL,
		.report_dir = DF_REPORT_DIR,
		.report_age_s = DF_CONF_REPORTS_AGE_S,
		.report_octets = DF_CONF_REPORTS_OCTETS,
	};
}

bool df_conf_has_name(const struct df_conf_names *list, const char *name)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (strcmp(list->names[i], name) == 0)
			return true;
	}
	return false;
}

static int check_policy_name(struct parser *p, const struct df_word *w)
{
	char quote[DF_MESSAGES_QUOTE];

	if (df_policy_is_name(w->s, w->len))
		return 0;
	return df_stmt_error(
		&p->stmt, w->column,
		"bad policy name '%s'; write letters, digits, '.', '_' and '-', a letter or "
		"digit first, at most %d",
		df_messages_quote(w->s, w->len, quote), DF_POLICY_NAME_MAX);
}

static void copy_word(const struct df_word *w, char to[static DF_POLICY_NAME_MAX + 1])
{
	memcpy(to, w->s, w->len);
	to[w->len] = '\0';
}

static int parse_policy_name(struct parser *p, const struct statement *s)
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "the name of a policy", &w);

	if (r == 0)
		r = check_policy_name(p, &w);
	if (r == 0)
		r = df_stmt_end(&p->stmt, "one name only");
	if (r == 0)
		copy_word(&w, (char *)p->conf + s->offset);
	return r;
}

/* The words that follow, each of which check accepts. */
static int parse_names(struct parser *p, const char *value, struct df_conf_names *list,
		       int (*check)(struct parser *p, const struct df_word *w))
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, value, &w);

	if (r < 0)
		return r;
	do {
		r = check(p, &w);
		if (r < 0)
			return r;
		if (list->n == DF_CONF_NAMES_MAX)
			return df_stmt_error(&p->stmt, w.column, "more than %d; write fewer",
					     DF_CONF_NAMES_MAX);
		copy_word(&w, list->names[list->n++]);
	} while (df_stmt_word(&p->stmt, &w));
	return 0;
}

static int parse_selectable(struct parser *p, const struct statement *s)
{
	(void)s;
	return parse_names(p, "names of policies", &p->conf->selectable, check_policy_name);
}

static int check_annotation(struct parser *p, const struct df_word *w)
{
	char quote[DF_MESSAGES_QUOTE], keys[256];
	size_t pos = 0;

	if (w->len <= ANNOTATION_MAX && df_annotation_from_key(w->s, w->len) >= 0)
		return 0;
	for (int i = DF_ANNOTATION_FENCE; i < DF_ANNOTATION_X; i++)
		df_append(keys, sizeof(keys), &pos, "%s, ",
			  df_annotation_keys[i].key +
				  (i > DF_ANNOTATION_POLICY ? strlen(DF_ANNOTATION_PREFIX) : 0));
	keys[pos - 2] = '\0'; /* the last one stands behind "or" */
	return df_stmt_error(&p->stmt, w->column, "unknown annotation '%s'; write %s or .x-…",
			     df_messages_quote(w->s, w->len, quote), keys);
}

static int parse_annotations(struct parser *p, const struct statement *s)
{
	int r = parse_names(p, "annotation keys", &p->conf->annotations, check_annotation);

	(void)s;
	if (r == 0)
		p->conf->has_annotations = true;
	return r;
}

static int parse_bool(struct parser *p, const struct statement *s)
{
	int choice = df_stmt_choice(&p->stmt, s->words);

	if (choice < 0)
		return choice;
	*(bool *)((char *)p->conf + s->offset) = choice == s->truth;
	return 0;
}

static int parse_fail(struct parser *p, const struct statement *s)
{
	int choice = df_stmt_choice(&p->stmt, s->words);

	if (choice < 0)
		return choice;
	p->conf->fail = choice == 0 ? DF_HOST_FAIL_CLOSED : DF_HOST_FAIL_OPEN;
	return 0;
}

static int parse_log(struct parser *p, const struct statement *s)
{
	static const char *const choices[] = {"journal", "syslog", "file", "none", NULL};
	static const unsigned values[] = {
		DF_CONF_LOG_JOURNAL,
		DF_CONF_LOG_SYSLOG,
		DF_CONF_LOG_FILE,
		0,
	};
	unsigned log = 0, n = 0;
	bool has_none = false;
	struct df_word w;

	(void)s;
	do {
		int choice = df_stmt_choice_next(&p->stmt, choices, &w);

		if (choice < 0)
			return choice;
		if ((values[choice] & log) || (values[choice] == 0 && has_none))
			return df_stmt_error(&p->stmt, w.column, "'%s' twice; write it once",
					     choices[choice]);
		if (n > 0 && (has_none || values[choice] == 0))
			return df_stmt_error(&p->stmt, w.column,
					     "'none' beside a destination; write one or the other");
		has_none = values[choice] == 0;
		log |= values[choice];
		n++;
	} while (!df_stmt_at_end(&p->stmt));
	p->conf->log = log;
	return 0;
}

static int parse_report_dir(struct parser *p, const struct statement *s)
{
	char path[DF_STMT_STRING_MAX + 1];
	unsigned column;
	int r = df_stmt_string(&p->stmt, "a directory", path, &column);

	(void)s;
	if (r < 0)
		return r;
	if (path[0] != '/')
		return df_stmt_error(&p->stmt, column, "not an absolute path; write one from '/'");
	r = df_stmt_end(&p->stmt, "one directory only");
	if (r == 0)
		memcpy(p->conf->report_dir, path, strlen(path) + 1);
	return r;
}

/* The duration and the size up to which reports are kept: 30d 1GiB. */
static int parse_report_keep(struct parser *p, const struct statement *s)
{
	uint64_t age_s, octets;
	struct df_value_error error;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "a duration and a size, as 30d 1GiB", &w);

	(void)s;
	if (r < 0)
		return r;
	if (df_value_duration(w.s, w.len, &age_s, &error) < 0)
		goto refuse;
	r = df_stmt_need(&p->stmt, "a size too, as 30d 1GiB", &w);
	if (r < 0)
		return r;
	if (df_value_size(w.s, w.len, &octets, &error) < 0)
		goto refuse;
	/* One report must not push out all others. */
	if (octets < DF_CONF_REPORTS_OCTETS_MIN)
		return df_stmt_error(&p->stmt, w.column, "too small; at least %lluMiB",
				     (unsigned long long)DF_CONF_REPORTS_OCTETS_MIN >> 20);
	r = df_stmt_end(&p->stmt, "a duration and a size only");
	if (r < 0)
		return r;
	p->conf->report_age_s = age_s;
	p->conf->report_octets = octets;
	return 0;
refuse:
	return df_stmt_error(&p->stmt, w.column + (unsigned)error.offset, "%s", error.text);
}

#define FIELD(name) offsetof(struct df_conf_host, name)

static const struct statement statements[] = {
	{"annotations", parse_annotations, 0, {NULL}, 0},
	{"annotations-may-weaken", parse_bool, FIELD(may_weaken), {"yes", "no"}, 0},
	{"selectable-policies", parse_selectable, 0, {NULL}, 0},
	{"default-policy", parse_policy_name, FIELD(default_policy), {NULL}, 0},
	{"base-policy", parse_policy_name, FIELD(base_policy), {NULL}, 0},
	{"on-policy-error", parse_bool, FIELD(refuse_on_policy_error), {"last-good", "refuse"}, 1},
	{"fail", parse_fail, 0, {"closed", "open"}, 0},
	{"log", parse_log, 0, {NULL}, 0},
	{"report-dir", parse_report_dir, 0, {NULL}, 0},
	{"report-keep", parse_report_keep, 0, {NULL}, 0},
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
			df_stmt_report(&p->stmt, keyword->column,
				       "'%s' is set twice; line %u has set it", names[i],
				       p->first_line[i]);
			return;
		}
		p->first_line[i] = p->stmt.line;
		(void)statements[i].parse(p, &statements[i]); /* errors are in the messages */
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

/* Reads a file that root alone can have written.  why: the reason of a failure, after subject. */
static int read_trusted(const char *path, const char *subject, char **ret, size_t *ret_len,
			char why[static DF_HOST_FILE_WHY_MAX])
{
	_cleanup_close_ int fd = df_host_file_open(path, geteuid(), why);
	int r = fd < 0 ? fd : df_read_all(fd, DF_CONF_FILE_MAX, ret, ret_len);

	if (r < 0 && !*why)
		(void)snprintf(why, DF_HOST_FILE_WHY_MAX, "%s%s",
			       r == -EINVAL || r == -E2BIG || r == -ENOENT ? subject : "",
			       r == -EINVAL  ? (*subject ? "no regular file" : "not a regular file")
			       : r == -E2BIG ? "too big; at most 64 KiB"
			       : r == -ENOENT ? "a link to a file that is missing"
					      : strerror(-r));
	return r;
}

int df_conf_load(const char *path, struct df_conf_host *ret, char **ret_messages)
{
	_cleanup_free_ char *text = NULL;
	char why[DF_HOST_FILE_WHY_MAX];
	size_t len;
	struct stat st;
	int r = read_trusted(path, "", &text, &len, why);

	*ret_messages = NULL;
	if (r == -ENOENT && (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))) {
		df_conf_init(ret);
		return 0;
	}
	if (r < 0) {
		struct df_messages messages = {.file = path};
		int r2;

		df_messages_error(&messages, 0, 0, "%s", why);
		r2 = df_messages_text(&messages, ret_messages);
		df_messages_done(&messages);
		return r2 < 0 ? r2 : r;
	}
	return df_conf_parse(path, text, len, ret, ret_messages);
}

/* The kill switch. */

/* In form, 'd' stands for a digit, and 'T' for a separator of date and time. */
static bool has_form(const char *s, const char *form, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool is_good = form[i] == 'd'   ? s[i] >= '0' && s[i] <= '9'
			       : form[i] == 'T' ? s[i] == 'T' || s[i] == 't' || s[i] == ' '
						: s[i] == form[i];

		if (!is_good)
			return false;
	}
	return true;
}

/* Of n digits. */
static int number(const char *s, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++)
		value = value * 10 + (s[i] - '0');
	return value;
}

int df_conf_parse_time(const char *s, size_t len, time_t *ret)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd", zone[] = "dd:dd";
	size_t at = strlen(form);
	struct tm tm = {0}, day = {0};
	long offset = 0;

	if (len <= at || !has_form(s, form, at))
		return -EINVAL;
	tm.tm_year = number(s, 4) - 1900;
	tm.tm_mon = number(s + 5, 2) - 1;
	tm.tm_mday = number(s + 8, 2);
	tm.tm_hour = number(s + 11, 2);
	tm.tm_min = number(s + 14, 2);
	tm.tm_sec = number(s + 17, 2);
	/* timegm carries over: a day that the month does not have, and 60 for a leap second. */
	day = tm;
	day.tm_hour = day.tm_min = day.tm_sec = 0;
	(void)timegm(&day);
	if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    day.tm_mday != tm.tm_mday || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	if (s[at] == '.') { /* a fraction is read and dropped */
		size_t first = ++at;

		while (at < len && has_form(s + at, "d", 1))
			at++;
		if (at == first || at == len)
			return -EINVAL;
	}
	if (s[at] == '+' || s[at] == '-') {
		int hours, minutes;

		if (len - at - 1 != strlen(zone) || !has_form(s + at + 1, zone, strlen(zone)))
			return -EINVAL;
		hours = number(s + at + 1, 2);
		minutes = number(s + at + 4, 2);
		if (hours > 23 || minutes > 59)
			return -EINVAL;
		offset = (s[at] == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
	} else if (at + 1 != len || (s[at] != 'Z' && s[at] != 'z')) {
		return -EINVAL;
	}
	*ret = timegm(&tm) - offset;
	return 0;
}

struct disabled {
	const char *reason; /* NULL: none yet */
	size_t reason_len;
	bool has_until;
	time_t until;
	unsigned line;     /* of the text, from 1 */
	const char *fault; /* of that line; NULL: none */
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
	if (memchr(line, '\r', len)) { /* else an 'until' behind it would be part of the reason */
		d->fault = "a carriage return inside of it; lines end with a line feed";
		return;
	}
	if (len == 0 || *line == '#')
		return;
	if (take_word(line, len, "reason", &rest, &rest_len)) {
		if (d->reason)
			d->fault = "a second reason";
		else if (rest_len == 0)
			d->fault = "a reason without a text";
		d->reason = rest;
		d->reason_len = rest_len;
	} else if (take_word(line, len, "until", &rest, &rest_len)) {
		if (d->has_until)
			d->fault = "a second 'until'";
		else if (df_conf_parse_time(rest, rest_len, &d->until) < 0)
			d->fault = "'until' needs a time such as 2026-12-01T12:00:00Z";
		d->has_until = true;
	} else {
		d->fault = "neither 'reason TEXT' nor 'until TIME' nor a comment";
	}
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
	if (read_trusted(path, "it is ", &text, &len, why) < 0) {
		(void)snprintf(ret_text, DF_CONF_SWITCH_TEXT_MAX, "%s", why);
		return DF_CONF_SWITCH_VOID;
	}
	/* Up to the first bad line. */
	for (size_t at = 0, n; at < len && !d.fault; at += n + 1) {
		const char *lf = memchr(text + at, '\n', len - at);

		n = lf ? (size_t)(lf - text) - at : len - at;
		d.line++;
		read_line(text + at, n, &d);
	}
	if (d.fault) {
		(void)snprintf(ret_text, DF_CONF_SWITCH_TEXT_MAX, "line %u: %s", d.line, d.fault);
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
