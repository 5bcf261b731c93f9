/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/conf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/host_file.h"
#include "lib/base/util.h"
#include "lib/policy/stmt.h"
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

static bool is_annotation_key(const struct df_word *w)
{
	static const char custom[] = "deployfence.x-";
	const char *const *keys = CHOICES("deployfence", "deployfence.policy", "deployfence.shadow",
					  "deployfence.fail", "deployfence.log",
					  "deployfence.containers", "deployfence.owner");

	for (size_t i = 0; keys[i]; i++) {
		if (df_word_is(w, keys[i]))
			return true;
	}
	return w->len >= sizeof(custom) && w->len <= ANNOTATION_MAX &&
	       memcmp(w->s, custom, sizeof(custom) - 1) == 0;
}

static int parse_annotations(struct parser *p)
{
	char quote[DF_MESSAGES_QUOTE];
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "annotation keys", &w);

	if (r < 0)
		return r;
	do {
		if (!is_annotation_key(&w)) {
			df_stmt_error(&p->stmt, w.column,
				      "unknown annotation '%s'; write deployfence, "
				      "deployfence.policy, .shadow, .fail, .log, .containers, "
				      ".owner or .x-…",
				      df_messages_quote(w.s, w.len, quote));
			return -EINVAL;
		}
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
