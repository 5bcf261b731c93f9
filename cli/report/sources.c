/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/fences.h"
#include "cli/internal.h"
#include "cli/line_reader.h"
#include "cli/report/event_read.h"
#include "cli/report/report.h"
#include "lib/base/array.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/util.h"

#define EVENTS "events.jsonl"
#define OPEN_TRIES 3   /* a rotation between two opens is rare */
#define PROBED_LINES 8 /* of a file, of which one may be damaged */

/* 1: a line, the unfinished one at the end too; 0: no more; -EMSGSIZE: one was too long. */
static int next_line(struct df_line_reader *l, char **ret, size_t *ret_len)
{
	return df_line_reader_next(l, ret, ret_len) ?: df_line_reader_rest(l, ret, ret_len);
}

/* Hashes of the lines in /run: the same lines in report-dir must not count twice. */
struct line_set {
	uint64_t seed;
	uint64_t *list;
	size_t n, cap;
};

static int compare_hashes(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool has_line(const struct line_set *s, const char *line, size_t len)
{
	const uint64_t h = df_hash_bytes(s->seed, line, len);

	return s->n > 0 && bsearch(&h, s->list, s->n, sizeof(h), compare_hashes);
}

/* Adds up to max lines, except those that are known (NULL: none). */
static int add_lines(struct df_aggregate *a, struct df_line_reader *l, const char *host,
		     const struct line_set *known, size_t max)
{
	size_t len;
	char *line;

	for (size_t i = 0; i < max; i++) {
		int r = next_line(l, &line, &len);

		if (r == -EMSGSIZE)
			df_event_read_damaged(a);
		else if (r <= 0)
			return r;
		else if (!(known && has_line(known, line, len)) &&
			 df_event_read(a, line, len, host) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

/* --- fences of this host: /run and report-dir */

/* Both event files of a fence in /run; later lines are left for another time. */
struct running {
	struct df_line_reader new, old;
	size_t n_new, n_old; /* lines; SIZE_MAX: not counted */
	struct line_set lines;
};

/*
 * A rotation may turn the newer file into the older one meanwhile: the newer one is opened first,
 * and both again if they turn out to be the same.
 */
static int open_both(int dir_fd, struct running *ret)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		int r = df_line_reader_open(&ret->new, dir_fd, EVENTS);

		if (r == 0 || r == -ENOENT)
			r = df_line_reader_open(&ret->old, dir_fd, EVENTS ".1");
		if (r < 0 && r != -ENOENT)
			return r;
		if (ret->old.fd < 0 || ret->old.ino != ret->new.ino)
			return 0;
		df_line_reader_close(&ret->new);
		df_line_reader_close(&ret->old);
	}
	return -EAGAIN;
}

/* Adds every line to the set, and goes back to the first. */
static int note_lines(struct line_set *s, struct df_line_reader *l, size_t *ret_n)
{
	size_t n = 0, len;
	char *line;
	int r = 0;

	while (l->fd >= 0 && (r = next_line(l, &line, &len)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		n++;
		if (r == -EMSGSIZE)
			continue;
		r = df_array_reserve(&s->list, &s->cap, s->n + 1, sizeof(*s->list));
		if (r < 0)
			return r;
		s->list[s->n++] = df_hash_bytes(s->seed, line, len);
	}
	*ret_n = n;
	return l->fd >= 0 ? df_line_reader_rewind(l) : 0;
}

static int note_all(struct running *w)
{
	int r;

	df_random(&w->lines.seed, sizeof(w->lines.seed));
	r = note_lines(&w->lines, &w->old, &w->n_old) ?: note_lines(&w->lines, &w->new, &w->n_new);
	if (r == 0 && w->lines.n > 0)
		qsort(w->lines.list, w->lines.n, sizeof(*w->lines.list), compare_hashes);
	return r;
}

/* The places of one fence from first on: files of report-dir, and last its directory in /run. */
static int add_fence(struct df_aggregate *a, const struct df_fences *f, size_t first,
		     bool *ret_has_events)
{
	struct running w = {.new.fd = -1, .old.fd = -1, .n_new = SIZE_MAX, .n_old = SIZE_MAX};
	const char *id = f->list[first].id;
	size_t end = df_fences_next(f, first);
	char host[HOST_NAME_MAX + 1] = "";
	_cleanup_close_ int dir_fd = -1;
	int r = 0;

	(void)gethostname(host, sizeof(host) - 1);
	if (!f->list[end - 1].file) {
		end--;
		dir_fd = df_fences_open(f, id);
		if (dir_fd >= 0)
			r = open_both(dir_fd, &w);
		else if (dir_fd != -ENOENT) /* swept away, perhaps just now */
			return dir_fd;
	}
	*ret_has_events = w.new.fd >= 0 || w.old.fd >= 0 || end > first;
	if (r == 0 && end > first)
		r = note_all(&w);
	for (size_t i = first; i < end && (r == 0 || r == -ENOENT); i++) {
		struct df_line_reader l;

		/* -ENOENT: removed meanwhile, because it was too old */
		r = df_line_reader_open(&l, f->kept_fd, f->list[i].file)
			    ?: add_lines(a, &l, host, &w.lines, SIZE_MAX);
		df_line_reader_close(&l);
	}
	if (r == -ENOENT)
		r = 0;
	if (r == 0 && w.old.fd >= 0)
		r = add_lines(a, &w.old, host, NULL, w.n_old);
	if (r == 0 && w.new.fd >= 0)
		r = add_lines(a, &w.new, host, NULL, w.n_new);
	df_line_reader_close(&w.new);
	df_line_reader_close(&w.old);
	free(w.lines.list);
	return r;
}

/* Whether all events of a fence are older than a->since: each file is written after its events. */
static bool is_past(const struct df_aggregate *a, const struct df_fences *f, size_t first)
{
	char seconds[DF_TIME_MAX] = "", text[DF_TIME_MAX * 2];

	for (size_t i = first; i < df_fences_next(f, first); i++) {
		const struct timespec *t = &f->list[i].written;
		struct tm tm;

		if (!f->list[i].file || !gmtime_r(&t->tv_sec, &tm))
			return false;
		(void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
		(void)snprintf(text, sizeof(text), "%s.%06ldZ", seconds, t->tv_nsec / 1000);
		if (strcmp(text, a->since) >= 0)
			return false;
	}
	return true;
}

/* All sources are read, whatever happens to one; the first error counts. */
static void keep_first(int *status, int new)
{
	if (*status == 0)
		*status = new;
}

int df_sources_fences(struct df_aggregate *a, const char *prefix)
{
	struct df_fences f;
	int status = df_fences_select(prefix, true, &f);

	for (size_t i = 0; i < f.n; i = df_fences_next(&f, i)) {
		bool has_events = false;
		int r = !prefix && is_past(a, &f, i) ? 0 : add_fence(a, &f, i, &has_events);

		if (r < 0) {
			df_cli_error("read events of %s: %s", f.list[i].id, strerror(-r));
			keep_first(&status, EX_IOERR);
		} else if (prefix && !has_events) {
			/* refused, or not fenced: only the hook has written a log */
			df_cli_error("no events of %s; see deployfence logs", f.list[i].id);
			keep_first(&status, EX_NOINPUT);
		}
	}
	df_fences_done(&f);
	return status;
}

/* --- files */

bool df_sources_is_file(const char *argument)
{
	static const char *const ends[] = {".json", ".jsonl", ".jsonl.1"};
	const size_t len = strlen(argument);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (len > strlen(ends[i]) && strcmp(argument + len - strlen(ends[i]), ends[i]) == 0)
			return true;
	return strchr(argument, '/');
}

static int fail(const char *path, int r)
{
	df_cli_error("%s: %s", path, r == -EINVAL ? "not a regular file" : strerror(-r));
	return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_NOINPUT;
}

static bool is_event(const char *line, size_t len)
{
	char error[DF_JSON_ERROR_MAX];
	struct df_json *doc = NULL;
	bool is_one = df_json_parse(line, len, DF_LINE_MAX, &doc, error) == 0 &&
		      df_json_get(doc, "event");

	df_json_free(doc);
	return is_one;
}

/* A report begins like JSON, and has no event in its first lines.  1, 0, or -errno. */
static int is_report(const char *path)
{
	bool is_object = false, is_any_event = false;
	struct df_line_reader l;
	size_t len;
	char *line;
	int r = df_line_reader_open(&l, AT_FDCWD, path);

	if (r < 0)
		return r;
	for (int i = 0; i < PROBED_LINES && !is_any_event; i++) {
		r = next_line(&l, &line, &len);
		if (i == 0) /* a report without a newline in it may be one long line */
			is_object = r == -EMSGSIZE || (r > 0 && line[strspn(line, " \t\r")] == '{');
		if (r == 0 || (r < 0 && r != -EMSGSIZE))
			break;
		is_any_event = r > 0 && is_event(line, len);
	}
	df_line_reader_close(&l);
	return r < 0 && r != -EMSGSIZE ? r : is_object && !is_any_event;
}

static int add_events(struct df_aggregate *a, const char *path)
{
	struct df_line_reader l;
	int r = df_line_reader_open(&l, AT_FDCWD, path) ?: add_lines(a, &l, NULL, NULL, SIZE_MAX);

	df_line_reader_close(&l);
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
