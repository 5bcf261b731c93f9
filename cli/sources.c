/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/event_read.h"
#include "cli/fences.h"
#include "cli/lines.h"
#include "cli/report_read.h"
#include "lib/json.h"
#include "lib/util.h"

#define EVENTS "events.jsonl"
#define OPEN_TRIES 3 /* a rotation between two opens is rare, two are no accident */
#define LOOKED_AT 8  /* lines of a file, of which one may be damaged */

static int add_lines(struct df_aggregate *a, struct df_lines *l, const char *host)
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
			r = df_event_read(a, line, len, host) == -ENOMEM ? -ENOMEM : 0;
		else if (r == -EMSGSIZE)
			df_event_read_damaged(a);
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

static int add_directory(struct df_aggregate *a, int dir_fd, const char *host, bool *ret_has_events)
{
	struct df_lines new = {.fd = -1}, old = {.fd = -1};
	int r = open_both(dir_fd, &new, &old);

	*ret_has_events = new.fd >= 0 || old.fd >= 0;
	if (r == 0 && old.fd >= 0)
		r = add_lines(a, &old, host);
	if (r == 0 && new.fd >= 0)
		r = add_lines(a, &new, host);
	df_lines_close(&new);
	df_lines_close(&old);
	return r;
}

static int add_fence(struct df_aggregate *a, const struct df_fences *fences, const char *id,
		     bool is_named)
{
	_cleanup_close_ int dir_fd = df_fences_open(fences, id);
	char host[HOST_NAME_MAX + 1] = "";
	bool has_events = false;
	int r = dir_fd;

	(void)gethostname(host, sizeof(host) - 1);
	if (r >= 0)
		r = add_directory(a, dir_fd, host, &has_events);
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

int df_sources_fences(struct df_aggregate *a, const char *prefix)
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

static bool has_end(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

bool df_sources_is_file(const char *argument)
{
	return strchr(argument, '/') || has_end(argument, ".jsonl") ||
	       has_end(argument, ".jsonl.1") || has_end(argument, ".json");
}

static int fail(const char *path, int r)
{
	if (r == -EINVAL) {
		df_cli_error("%s: not a regular file", path);
		return EX_NOINPUT;
	}
	df_cli_error("%s: %s", path, strerror(-r));
	return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_NOINPUT;
}

static bool is_event(const char *line, size_t len)
{
	char error[DF_JSON_ERROR_MAX];
	struct df_json *doc = NULL;
	bool is_one = df_json_parse(line, len, DF_LINES_MAX, &doc, error) == 0 &&
		      df_json_get(doc, "event");

	df_json_free(doc);
	return is_one;
}

/* What begins like JSON and has no event in its first lines.  1, 0, or -errno. */
static int is_report(const char *path)
{
	bool is_object = false, is_any_event = false;
	struct df_lines l;
	size_t len;
	char *line;
	int r = df_lines_open(&l, AT_FDCWD, path);

	if (r < 0)
		return r;
	for (int i = 0; i < LOOKED_AT && !is_any_event; i++) {
		r = df_lines_next(&l, &line, &len);
		if (r == 0)
			r = df_lines_rest(&l, &line, &len);
		if (i == 0) /* a report without a newline in it may be one long line */
			is_object = r == -EMSGSIZE || (r > 0 && line[strspn(line, " \t\r")] == '{');
		if (r == 0 || (r < 0 && r != -EMSGSIZE))
			break;
		is_any_event = r > 0 && is_event(line, len);
	}
	df_lines_close(&l);
	if (r < 0 && r != -EMSGSIZE)
		return r;
	return is_object && !is_any_event;
}

static int add_events(struct df_aggregate *a, const char *path)
{
	struct df_lines l;
	int r = df_lines_open(&l, AT_FDCWD, path);

	if (r == 0)
		r = add_lines(a, &l, NULL);
	df_lines_close(&l);
	return r == 0 ? 0 : fail(path, r);
}

static int add_report(struct df_aggregate *a, const char *path)
{
	char error[DF_REPORT_ERROR_MAX] = "out of memory";
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = df_read_file(AT_FDCWD, path, DF_REPORT_FILE_MAX, &text, &len);

	if (r == -E2BIG) {
		df_cli_error("%s: a report of more than %u MiB", path, DF_REPORT_FILE_MAX >> 20);
		return EX_DATAERR;
	}
	if (r < 0)
		return fail(path, r);
	r = df_report_read(a, text, len, error);
	if (r == 0)
		return 0;
	df_cli_error("%s: %s", path, error);
	return r == -ENOMEM ? EX_OSERR : EX_DATAERR;
}

int df_sources_files(struct df_aggregate *a, char *const *paths, int n)
{
	int status = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < n; i++) {
			int kind = is_report(paths[i]);

			if (kind == pass)
				keep_first(&status, pass ? add_report(a, paths[i])
							 : add_events(a, paths[i]));
			else if (kind < 0 && pass == 0)
				keep_first(&status, fail(paths[i], kind));
		}
	}
	return status;
}
