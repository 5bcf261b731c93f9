/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence report: what fenced containers asked for, from their events. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/aggregate.h"
#include "cli/cli.h"
#include "cli/fences.h"
#include "cli/lines.h"
#include "cli/report_print.h"
#include "lib/util.h"

#define EVENTS "events.jsonl"
#define OPEN_TRIES 3 /* a rotation between two opens is rare, two are no accident */

struct report {
	bool is_json, is_all;
	struct df_aggregate aggregate;
};

static int add_lines(struct df_aggregate *a, struct df_lines *l)
{
	size_t len;
	char *line;
	int r;

	do {
		r = df_lines_next(l, &line, &len);
		if (r == 0)
			r = df_lines_rest(l, &line, &len);
		if (r == 0)
			return 0;
		if (r > 0)
			r = df_aggregate_line(a, line, len) == -ENOMEM ? -ENOMEM : 0;
		else if (r == -EMSGSIZE)
			df_aggregate_damaged(a);
	} while (r == 0 || r == -EMSGSIZE);
	return r;
}

/*
 * Both files of a fence, of which a rotation may make the one the other meanwhile:
 * the newer first, and again if both turn out to be the same.
 */
static int open_both(int dir_fd, struct df_lines *ret_new, struct df_lines *ret_old)
{
	int r = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		r = df_lines_open(ret_new, dir_fd, EVENTS);
		if (r < 0 && r != -ENOENT)
			return r;
		r = df_lines_open(ret_old, dir_fd, EVENTS ".1");
		if (r < 0 && r != -ENOENT)
			return r;
		if (ret_old->fd < 0 || ret_old->ino != ret_new->ino)
			return 0;
		df_lines_close(ret_new);
		df_lines_close(ret_old);
	}
	return -EAGAIN;
}

static int add_directory(struct df_aggregate *a, int dir_fd, bool *ret_has_events)
{
	struct df_lines new = {.fd = -1}, old = {.fd = -1};
	int r = open_both(dir_fd, &new, &old);

	*ret_has_events = new.fd >= 0 || old.fd >= 0;
	if (r == 0 && old.fd >= 0)
		r = add_lines(a, &old);
	if (r == 0 && new.fd >= 0)
		r = add_lines(a, &new);
	df_lines_close(&new);
	df_lines_close(&old);
	return r;
}

static int add_fence(struct df_aggregate *a, const struct df_fences *fences, const char *id,
		     bool is_named)
{
	_cleanup_close_ int dir_fd = df_fences_open(fences, id);
	bool has_events = false;
	int r = dir_fd;

	if (r >= 0)
		r = add_directory(a, dir_fd, &has_events);
	if (r == -ENOENT)
		return 0; /* swept away meanwhile */
	if (r < 0) {
		df_cli_error("read " DF_RUNDIR "/%s: %s", id, strerror(-r));
		return EX_IOERR;
	}
	/* refused, or not fenced: then only the hook has something to say */
	if (is_named && !has_events) {
		df_cli_error("no events of %s; see deployfence logs", id);
		return EX_NOINPUT;
	}
	return 0;
}

/* Goes on after an error; the first one counts. */
static void keep_first(int *status, int new)
{
	if (*status == 0)
		*status = new;
}

static int add_fences(struct df_aggregate *a, const char *prefix)
{
	struct df_fences fences;
	int status = df_fences_select(prefix, &fences);

	if (status == 0)
		for (size_t i = 0; i < fences.n; i++)
			keep_first(&status,
				   add_fence(a, &fences, fences.list[i].id, prefix != NULL));
	df_fences_done(&fences);
	return status;
}

static int add_file(struct df_aggregate *a, const char *path)
{
	struct df_lines l;
	int r = df_lines_open(&l, AT_FDCWD, path);

	if (r == -EINVAL) {
		df_cli_error("%s: not a regular file", path);
		return EX_NOINPUT;
	}
	if (r == 0)
		r = add_lines(a, &l);
	df_lines_close(&l);
	if (r == 0)
		return 0;
	df_cli_error("%s: %s", path, strerror(-r));
	return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_NOINPUT;
}

static bool has_end(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* An id has no slash. */
static bool is_file(const char *argument)
{
	return strchr(argument, '/') || has_end(argument, ".jsonl") ||
	       has_end(argument, ".jsonl.1");
}

static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static int print_report(struct report *r, int n, char **arguments)
{
	int status = 0;

	if (r->is_all || n == 0)
		status = add_fences(&r->aggregate, NULL);
	for (int i = 0; i < n; i++)
		keep_first(&status, is_file(arguments[i])
					    ? add_file(&r->aggregate, arguments[i])
					    : add_fences(&r->aggregate, arguments[i]));
	df_aggregate_sort(&r->aggregate);
	if (r->is_json)
		df_report_json(stdout, &r->aggregate);
	else
		df_report_text(stdout, &r->aggregate, has_colour());
	if (!r->is_json && status == 0 && r->aggregate.n == 0)
		df_cli_error("no events%s", n == 0 ? " in " DF_RUNDIR : "");
	return status;
}

static void usage(FILE *to)
{
	(void)fputs(
		"usage: deployfence report [--all | ID… | FILE…] [--format text|json]\n"
		"\n"
		"Lists every domain that fenced containers asked for: verdict, how often, by "
		"which\n"
		"command, and the rule that decided.  Without an argument, or with --all, of all\n"
		"fences of this host.  ID may be cut, as long as it names one.  FILE is a file of\n"
		"events; it has a slash, or ends in .jsonl or .jsonl.1.\n"
		"\n"
		"      --all          running and ended fences of this host\n"
		"      --format FORM  text (default) or json\n"
		"      --json         the same as --format json\n"
		"      --help         this text\n",
		to);
}

/* 0: go on; else exit with *ret_status. */
static int parse_arguments(int argc, char **argv, struct report *r, int *ret_status)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"format", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	bool is_wrong = false;
	int c;

	*ret_status = EX_USAGE;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			r->is_all = true;
			break;
		case 'f':
			r->is_json = strcmp(optarg, "json") == 0;
			if (!r->is_json && strcmp(optarg, "text") != 0) {
				df_cli_error("unknown format '%s'; write text or json", optarg);
				return 1;
			}
			break;
		case 'j':
			r->is_json = true;
			break;
		case 'h':
			usage(stdout);
			*ret_status = 0;
			return 1;
		default:
			is_wrong = true;
		}
	}
	if (!is_wrong && !(r->is_all && optind < argc))
		return 0;
	usage(stderr);
	return 1;
}

int df_cli_report(int argc, char **argv)
{
	struct report r = {0};
	int status;

	if (parse_arguments(argc, argv, &r, &status) != 0)
		return status;
	status = print_report(&r, argc - optind, argv + optind);
	df_aggregate_done(&r.aggregate);
	return status;
}
