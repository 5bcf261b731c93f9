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
#define OPEN_TRIES 3 /* a rotation between two opens is rare, two are no accident */
#define LOOKED_AT 8  /* lines of a file, of which one may be damaged */

/* 1: a line, the unfinished one at the end too; 0: no more; -EMSGSIZE: one was too long. */
static int next_line(struct df_line_reader *l, char **ret, size_t *ret_len)
{
	int r = df_line_reader_next(l, ret, ret_len);

	return r == 0 ? df_line_reader_rest(l, ret, ret_len) : r;
}

/* Which lines stand in /run: what is kept of them must not count twice. */
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

/* Adds up to max lines but those of known. */
static int add_lines(struct df_aggregate *a, struct df_line_reader *l, const char *host,
		     const struct line_set *known, size_t max)
{
	size_t len;
	char *line;
	int r;

	for (size_t i = 0; i < max; i++) {
		r = next_line(l, &line, &len);
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

/* Both files of a fence in /run; what is written to them from now on is left for another time. */
struct running {
	struct df_line_reader new, old;
	size_t n_new, n_old; /* lines; SIZE_MAX: not counted */
	struct line_set lines;
};

/*
 * Of these a rotation may make the one the other meanwhile: the newer first, and again if
 * both turn out to be the same.
 */
static int open_both(int dir_fd, struct running *ret)
{
	int r = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		r = df_line_reader_open(&ret->new, dir_fd, EVENTS);
		if (r < 0 && r != -ENOENT)
			return r;
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

/* Remembers every line, and goes back to the first. */
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
	r = note_lines(&w->lines, &w->old, &w->n_old);
	if (r == 0)
		r = note_lines(&w->lines, &w->new, &w->n_new);
	if (r == 0 && w->lines.n > 0)
		qsort(w->lines.list, w->lines.n, sizeof(*w->lines.list), compare_hashes);
	return r;
}

static int add_kept(struct df_aggregate *a, const struct df_kept *kept, size_t first, size_t n,
		    const char *host, const struct line_set *known)
{
	int r = 0;

	for (size_t i = first; i < first + n && (r == 0 || r == -ENOENT); i++) {
		struct df_line_reader l;

		r = df_line_reader_open(&l, kept->dir_fd, kept->list[i].name);
		if (r == 0)
			r = add_lines(a, &l, host, known, SIZE_MAX);
		df_line_reader_close(&l);
	}
	return r == -ENOENT ? 0 : r; /* too old meanwhile */
}

/* dir_fd -1: there is nothing of it in /run. */
static int add_fence(struct df_aggregate *a, int dir_fd, const struct df_kept *kept, const char *id,
		     bool *ret_has_events)
{
	struct running w = {.new.fd = -1, .old.fd = -1, .n_new = SIZE_MAX, .n_old = SIZE_MAX};
	char host[HOST_NAME_MAX + 1] = "";
	size_t first, n = df_kept_of(kept, id, &first);
	int r = dir_fd >= 0 ? open_both(dir_fd, &w) : 0;

	(void)gethostname(host, sizeof(host) - 1);
	*ret_has_events = w.new.fd >= 0 || w.old.fd >= 0 || n > 0;
	if (r == 0 && n > 0)
		r = note_all(&w);
	if (r == 0)
		r = add_kept(a, kept, first, n, host, &w.lines);
	if (r == 0 && w.old.fd >= 0)
		r = add_lines(a, &w.old, host, NULL, w.n_old);
	if (r == 0 && w.new.fd >= 0)
		r = add_lines(a, &w.new, host, NULL, w.n_new);
	df_line_reader_close(&w.new);
	df_line_reader_close(&w.old);
	free(w.lines.list);
	return r;
}

/* Goes on after an error; the first one counts. */
static void keep_first(int *status, int new)
{
	if (*status == 0)
		*status = new;
}

static int add_id(struct df_aggregate *a, const struct df_fences *fences,
		  const struct df_kept *kept, const char *id, bool is_named)
{
	_cleanup_close_ int dir_fd = fences->run_fd < 0 ? -ENOENT : df_fences_open(fences, id);
	bool has_events = false;
	int r = dir_fd == -ENOENT ? 0 : dir_fd; /* swept away, perhaps just now */

	if (r >= 0)
		r = add_fence(a, dir_fd, kept, id, &has_events);
	if (r < 0) {
		df_cli_error("read events of %s: %s", id, strerror(-r));
		return EX_IOERR;
	}
	/* refused, or not fenced: then only the hook has something to say */
	if (is_named && !has_events) {
		df_cli_error("no events of %s; see deployfence logs", id);
		return EX_NOINPUT;
	}
	return 0;
}

/* The one id that begins with prefix, or is it. */
static int add_named(struct df_aggregate *a, const struct df_fences *fences,
		     const struct df_kept *kept, const char *prefix)
{
	const char *id = prefix;
	size_t n = 0, first;

	if (df_fences_has(fences, prefix) || (*prefix && df_kept_of(kept, prefix, &first) > 0))
		return add_id(a, fences, kept, prefix, true);
	for (size_t i = 0; *prefix && i < fences->n; i++) {
		if (strncmp(fences->list[i].id, prefix, strlen(prefix)) != 0)
			continue;
		id = fences->list[i].id;
		n++;
	}
	for (size_t i = 0; i < kept->n; i = df_kept_next(kept, i)) {
		if (*prefix == '\0' || df_fences_has(fences, kept->list[i].id))
			continue;
		id = kept->list[i].id;
		n++;
	}
	if (n == 1)
		return add_id(a, fences, kept, id, true);
	if (n == 0)
		df_cli_error("no fence '%s' in " DF_RUNDIR " or report-dir", prefix);
	else
		df_cli_error("'%s' is the beginning of %zu ids; write more of it", prefix, n);
	return EX_NOINPUT;
}

/* Whether nothing of a fence can be as young as a->since: each file is written after its events. */
static bool is_past(const struct df_aggregate *a, const struct df_kept *kept, size_t first)
{
	char seconds[DF_TIME_MAX] = "", text[DF_TIME_MAX * 2];

	for (size_t i = first; i < df_kept_next(kept, first); i++) {
		const struct timespec *t = &kept->list[i].written;
		struct tm tm;

		if (!gmtime_r(&t->tv_sec, &tm))
			return false;
		(void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
		(void)snprintf(text, sizeof(text), "%s.%06ldZ", seconds, t->tv_nsec / 1000);
		if (strcmp(text, a->since) >= 0)
			return false;
	}
	return true;
}

int df_sources_fences(struct df_aggregate *a, const char *prefix)
{
	struct df_fences fences;
	struct df_kept kept;
	int status = df_fences_select(NULL, &fences);

	if (status != 0) {
		df_fences_done(&fences);
		return status;
	}
	status = df_kept_list(prefix, &kept);
	if (prefix)
		keep_first(&status, add_named(a, &fences, &kept, prefix));
	for (size_t i = 0; !prefix && i < fences.n; i++)
		keep_first(&status, add_id(a, &fences, &kept, fences.list[i].id, false));
	for (size_t i = 0; !prefix && i < kept.n; i = df_kept_next(&kept, i))
		if (!df_fences_has(&fences, kept.list[i].id) && !is_past(a, &kept, i))
			keep_first(&status, add_id(a, &fences, &kept, kept.list[i].id, false));
	df_kept_done(&kept);
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
	bool is_one = df_json_parse(line, len, DF_LINE_MAX, &doc, error) == 0 &&
		      df_json_get(doc, "event");

	df_json_free(doc);
	return is_one;
}

/* What begins like JSON and has no event in its first lines.  1, 0, or -errno. */
static int is_report(const char *path)
{
	bool is_object = false, is_any_event = false;
	struct df_line_reader l;
	size_t len;
	char *line;
	int r = df_line_reader_open(&l, AT_FDCWD, path);

	if (r < 0)
		return r;
	for (int i = 0; i < LOOKED_AT && !is_any_event; i++) {
		r = next_line(&l, &line, &len);
		if (i == 0) /* a report without a newline in it may be one long line */
			is_object = r == -EMSGSIZE || (r > 0 && line[strspn(line, " \t\r")] == '{');
		if (r == 0 || (r < 0 && r != -EMSGSIZE))
			break;
		is_any_event = r > 0 && is_event(line, len);
	}
	df_line_reader_close(&l);
	if (r < 0 && r != -EMSGSIZE)
		return r;
	return is_object && !is_any_event;
}

static int add_events(struct df_aggregate *a, const char *path)
{
	struct df_line_reader l;
	int r = df_line_reader_open(&l, AT_FDCWD, path);

	if (r == 0)
		r = add_lines(a, &l, NULL, NULL, SIZE_MAX);
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
