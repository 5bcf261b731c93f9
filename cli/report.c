/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence report: names and addresses that fenced containers asked for, from their events. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/internal.h"
#include "cli/report/report.h"
#include "cli/report/sources.h"
#include "lib/base/util.h"
#include "lib/policy/value.h"

static const struct {
	const char *name;
	const struct df_form *form;
} forms[] = {
	{"text", &df_form_text}, {"json", &df_form_json}, {"sarif", &df_form_sarif},
	{"html", &df_form_html}, {"dot", &df_form_dot},
};

struct options {
	bool is_all;
	const struct df_form *form;
	const char *form_name;
	enum df_view view;
	const char *baseline, *output; /* NULL: none, standard output */
	char since[DF_TIME_MAX];
	char *const *arguments;
	int n;
};

static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* The first error of several counts. */
static int first_of(int a, int b)
{
	return a ? a : b;
}

static int read_sources(const struct options *o, struct df_aggregate *a)
{
	_cleanup_free_ char **files = reallocarray(NULL, (size_t)o->n + 1, sizeof(*files));
	int status = 0, n = 0;

	if (!files) {
		df_cli_error("out of memory");
		return EX_OSERR;
	}
	memcpy(a->since, o->since, sizeof(a->since));
	if (o->is_all || o->n == 0)
		status = df_sources_fences(a, NULL);
	for (int i = 0; i < o->n; i++) {
		if (df_sources_is_file(o->arguments[i]))
			files[n++] = o->arguments[i];
		else
			status = first_of(status, df_sources_fences(a, o->arguments[i]));
	}
	status = first_of(status, df_sources_files(a, files, n));
	df_aggregate_sort(a);
	return status;
}

/* 0, or an exit status after an error message. */
static int read_baseline(const struct options *o, struct df_report *r, struct df_aggregate *then,
			 struct df_baseline *ret)
{
	char *const paths[] = {(char *)o->baseline};
	int status = df_sources_files(then, paths, 1);

	if (status != 0)
		return status;
	df_aggregate_sort(then);
	if (df_baseline_compare(&r->all, then, ret) < 0) {
		df_cli_error("out of memory");
		return EX_OSERR;
	}
	ret->file = o->baseline;
	r->baseline = ret;
	return 0;
}

static int write_form(const struct options *o, const struct df_report *r, FILE *out)
{
	int status = df_report_write(out, r, o->form, o->view);

	if (status < 0)
		df_cli_error("%s", strerror(-status));
	return status < 0 ? EX_OSERR : 0;
}

/* A temporary file takes the name when it is complete. */
static int write_file(const struct options *o, const struct df_report *r)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_fclose_ FILE *out = NULL;
	mode_t mask = umask(0);
	int fd, status;

	(void)umask(mask);
	if (asprintf(&temporary, "%s.XXXXXX", o->output) < 0) {
		temporary = NULL;
		return EX_OSERR;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		df_cli_error("%s: %s", o->output, strerror(errno));
		return EX_CANTCREAT;
	}
	status = write_form(o, r, out);
	if (status == 0 && (fflush(out) != 0 || ferror(out) || fchmod(fd, 0666 & ~mask) < 0 ||
			    rename(temporary, o->output) < 0)) {
		df_cli_error("%s: %s", o->output, strerror(errno));
		status = EX_IOERR;
	}
	if (status != 0)
		(void)unlink(temporary);
	return status;
}

static int make_report(const struct options *o)
{
	struct df_report r = {.has_colour = !o->output && has_colour()};
	struct df_aggregate then = {0};
	struct df_baseline baseline = {0};
	int status = read_sources(o, &r.all), failed = 0;

	if (o->baseline)
		failed = read_baseline(o, &r, &then, &baseline);
	if (failed == 0)
		failed = o->output ? write_file(o, &r) : write_form(o, &r, stdout);
	if (o->form == &df_form_text && status == 0 && failed == 0 && r.all.n == 0)
		df_cli_error("no events%s", o->n == 0 ? " in " DF_RUNDIR " or report-dir" : "");
	status = first_of(status, failed);
	if (status == 0 && baseline.n_added > 0)
		status = DF_CLI_NEW;
	df_baseline_done(&baseline);
	df_aggregate_done(&then);
	df_aggregate_done(&r.all);
	return status;
}

static void usage(FILE *to)
{
	(void)fputs(
		"usage: deployfence report [OPTION…] [--all | ID… | FILE…]\n"
		"\n"
		"Lists every domain that fenced containers asked for: verdict, how often, by "
		"which\n"
		"command, and the rule that decided.  Without an argument, or with --all, of all\n"
		"fences of this host.  ID may be cut, as long as it names one.  FILE is a file of\n"
		"events, or a report in JSON, of any host; it has a slash, or ends in .json, "
		".jsonl\n"
		"or .jsonl.1.\n"
		"\n"
		"      --all            running and ended fences of this host, and FILEs\n"
		"      --since WHEN     30d, 12h, 15m, or a time as 2026-11-22T08:00:00Z\n"
		"      --baseline FILE  what an earlier report in JSON had not; exit 1 if there "
		"is any\n"
		"      --summary        scripts and the names they need, over all containers\n"
		"      --graph          which container reached which, and chains to what is "
		"blocked\n"
		"      --format FORM    text (default), json, sarif, html, dot;\n"
		"                       with --summary text, json; with --graph text, json, dot\n"
		"      --json           the same as --format json\n"
		"  -o, --output FILE    write to FILE, whole or not at all\n"
		"      --help           this text\n",
		to);
}

/* "30d": so long ago; or a time in UTC as in events, which may be cut anywhere behind the day. */
static int read_since(const char *text, char ret[static DF_TIME_MAX])
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";
	struct df_value_error error;
	size_t len = strlen(text), i = 0;
	uint64_t ago_s;
	struct tm tm;
	time_t when;

	while (i < len && i < sizeof(form) - 1 &&
	       (form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i]))
		i++;
	if (len >= strlen("2026-11-22") && (i == len || (text[i] == 'Z' && i + 1 == len))) {
		(void)snprintf(ret, DF_TIME_MAX, "%.*s", (int)i, text);
		return 0;
	}
	if (df_value_duration(text, len, &ago_s, &error) < 0) {
		df_cli_error("--since %s: write how long ago, as 30d, 12h or 15m, or a time in "
			     "UTC, as 2026-11-22 or 2026-11-22T08:00:00Z",
			     text);
		return -EINVAL;
	}
	when = time(NULL) - (time_t)ago_s;
	if (!gmtime_r(&when, &tm))
		return -EINVAL;
	(void)strftime(ret, DF_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	return 0;
}

static int read_form(const char *name, struct options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (strcmp(forms[i].name, name) == 0) {
			o->form = forms[i].form;
			o->form_name = name;
			return 0;
		}
	}
	df_cli_error("unknown format '%s'; write text, json, sarif, html or dot", name);
	return -EINVAL;
}

static int take_option(struct options *o, int c)
{
	switch (c) {
	case 'a':
		o->is_all = true;
		return 0;
	case 'b':
		o->baseline = optarg;
		return 0;
	case 'f':
		return read_form(optarg, o);
	case 'g':
	case 's':
		if (o->view != DF_VIEW_REPORT &&
		    o->view != (c == 'g' ? DF_VIEW_GRAPH : DF_VIEW_SUMMARY)) {
			df_cli_error("--summary or --graph, not both");
			return -EINVAL;
		}
		o->view = c == 'g' ? DF_VIEW_GRAPH : DF_VIEW_SUMMARY;
		return 0;
	case 'j':
		return read_form("json", o);
	case 'o':
		o->output = optarg;
		return 0;
	case 't':
		return read_since(optarg, o->since);
	default:
		usage(stderr);
		return -EINVAL;
	}
}

/* Refuses options that exclude each other.  0 or -EINVAL. */
static int check_options(const struct options *o)
{
	for (int i = 0; o->is_all && i < o->n; i++) {
		if (!df_sources_is_file(o->arguments[i])) {
			df_cli_error("--all and '%s': write one of them", o->arguments[i]);
			return -EINVAL;
		}
	}
	if (o->baseline && o->view != DF_VIEW_REPORT) {
		df_cli_error("--baseline goes with neither --summary nor --graph");
		return -EINVAL;
	}
	if (!df_report_has_view(o->form, o->view)) {
		df_cli_error("--%s has no format '%s'; write text%s or json",
			     o->view == DF_VIEW_GRAPH ? "graph" : "summary", o->form_name,
			     o->view == DF_VIEW_GRAPH ? ", dot" : "");
		return -EINVAL;
	}
	return 0;
}

int df_cli_report(int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"baseline", required_argument, NULL, 'b'},
		{"format", required_argument, NULL, 'f'},
		{"graph", no_argument, NULL, 'g'},
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"output", required_argument, NULL, 'o'},
		{"since", required_argument, NULL, 't'},
		{"summary", no_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.form = &df_form_text, .form_name = "text"};
	int c;

	while ((c = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (take_option(&o, c) < 0)
			return EX_USAGE;
	}
	o.arguments = argv + optind;
	o.n = argc - optind;
	return check_options(&o) < 0 ? EX_USAGE : make_report(&o);
}
