/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deployfence logs: the text logs of fences, from the first line on.
 *
 * Lines have no time, so those of several fences are not merged: fence after fence, the one that
 * wrote last at the end.  With --follow, new lines are printed as they come.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/fences.h"
#include "cli/internal.h"
#include "cli/line_reader.h"
#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define PAUSE_MS 200

/* A container that was refused has a hook.log only. */
static const char *const names[] = {"hook.log", "events.log"};
static const char *const olds[] = {NULL, "events.log.1"}; /* after a rotation */

struct source {
	char *id;
	int dir_fd;
	struct df_line_reader files[ARRAY_SIZE(names)];
};

struct logs {
	bool is_following;
	const char *id; /* prefix; NULL: all */
	char whole_id[NAME_MAX + 1];
	struct source *list;
	size_t n, cap;
};

static void print_line(const char *line, size_t len)
{
	(void)df_text_put(stdout, line, len, DF_TEXT_ALL);
	(void)fputc('\n', stdout);
}

static int print_lines(struct df_line_reader *l)
{
	size_t len;
	char *line;
	int r;

	while ((r = df_line_reader_next(l, &line, &len)) != 0) {
		if (r > 0)
			print_line(line, len);
		else if (r != -EMSGSIZE)
			return r;
	}
	return 0;
}

/* An unfinished line at the end: the disk was full. */
static void print_rest(struct df_line_reader *l)
{
	size_t len;
	char *line;

	if (l->fd >= 0 && df_line_reader_rest(l, &line, &len) > 0)
		print_line(line, len);
}

static int print_file(struct df_line_reader *l, int dir_fd, const char *name)
{
	for (;;) {
		struct stat st;
		/* another file has the name; checked before reading, so that the old one is
		 * complete */
		bool is_replaced = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				   (l->fd < 0 || st.st_ino != l->ino || st.st_dev != l->dev);
		int r = l->fd >= 0 ? print_lines(l) : 0;

		if (r < 0 || !is_replaced)
			return r;
		df_line_reader_close(l);
		r = df_line_reader_open(l, dir_fd, name);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	}
}

static int print_source(struct source *s)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++)
		r = print_file(&s->files[i], s->dir_fd, names[i]);
	return r;
}

/* The rotated file.  The current one is open: a rotation in between must not hide it. */
static int print_old(const struct df_line_reader *current, int dir_fd, const char *name)
{
	struct df_line_reader old;
	int r = df_line_reader_open(&old, dir_fd, name);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (current->fd < 0 || old.ino != current->ino)
		r = print_lines(&old);
	print_rest(&old);
	df_line_reader_close(&old);
	return r;
}

static int add_source(struct logs *l, const struct df_fences *fences, const char *id)
{
	struct source new = {.dir_fd = -1, .files = {{.fd = -1}, {.fd = -1}}}, *s;
	int r;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->list[i].id, id) == 0)
			return 0;
	r = df_array_reserve(&l->list, &l->cap, l->n + 1, sizeof(*l->list));
	if (r < 0)
		return r;
	new.dir_fd = df_fences_open(fences, id);
	if (new.dir_fd < 0)
		return new.dir_fd == -ENOENT ? 0 : new.dir_fd; /* swept away meanwhile */
	new.id = strdup(id);
	if (!new.id) {
		(void)close(new.dir_fd);
		return -ENOMEM;
	}
	s = &l->list[l->n++];
	*s = new;
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		r = df_line_reader_open(&s->files[i], s->dir_fd, names[i]);
		if (r == -ENOENT)
			r = 0;
		if (r == 0 && olds[i])
			r = print_old(&s->files[i], s->dir_fd, olds[i]);
		r = r ?: print_file(&s->files[i], s->dir_fd, names[i]);
	}
	return r;
}

static void drop_source(struct source *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		print_rest(&s->files[i]);
		df_line_reader_close(&s->files[i]);
	}
	(void)close(s->dir_fd);
	free(s->id);
}

/* Drops the sources whose directory was swept away; a new fence may have their id. */
static void drop_gone(struct logs *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct stat st;

		if (fstat(l->list[i].dir_fd, &st) == 0 && st.st_nlink > 0) {
			l->list[n++] = l->list[i];
		} else {
			(void)print_source(&l->list[i]);
			drop_source(&l->list[i]);
		}
	}
	l->n = n;
}

static int fail(int r)
{
	df_cli_error("read the logs in " DF_RUNDIR ": %s", strerror(-r));
	return EX_IOERR;
}

/* Fences that are not known yet.  Without --follow, each is dropped at once. */
static int print_new(struct logs *l)
{
	struct df_fences fences;
	int status = df_fences_select(l->id, false, &fences), r = 0;

	for (size_t i = 0; i < fences.n && status == 0; i++) {
		r = add_source(l, &fences, fences.list[i].id);
		if (r < 0)
			status = fail(r);
		if (!l->is_following && l->n > 0)
			drop_source(&l->list[--l->n]);
	}
	df_fences_done(&fences);
	return status;
}

static int follow(struct logs *l)
{
	int status = 0, r;

	/* the prefix has selected its fence: a later one with the same prefix is not meant */
	if (l->id) {
		(void)snprintf(l->whole_id, sizeof(l->whole_id), "%s", l->list[0].id);
		l->id = l->whole_id;
	}
	while (status == 0 && fflush(stdout) == 0) {
		struct pollfd out = {.fd = STDOUT_FILENO};

		/* only poll tells before the next line that the reader has gone */
		if (poll(&out, 1, PAUSE_MS) > 0 && (out.revents & (POLLERR | POLLHUP | POLLNVAL)))
			break;
		drop_gone(l);
		if (l->id && l->n == 0)
			break;
		for (size_t i = 0; i < l->n; i++) {
			r = print_source(&l->list[i]);
			if (r < 0)
				return fail(r);
		}
		if (!l->id)
			status = print_new(l);
	}
	return status;
}

static void usage(FILE *to)
{
	(void)fputs("usage: deployfence logs [-f] [ID]\n"
		    "\n"
		    "Prints the logs of the fence of container ID, or of all fences of this host.\n"
		    "ID may be cut, as long as it names one.\n"
		    "\n"
		    "  -f, --follow  wait for more; end with Ctrl-C\n"
		    "      --help    this text\n",
		    to);
}

int df_cli_logs(int argc, char **argv)
{
	static const struct option options[] = {
		{"follow", no_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct logs l = {0};
	int c, status;

	while ((c = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		if (c != 'f') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : EX_USAGE;
		}
		l.is_following = true;
	}
	if (argc - optind > 1) {
		usage(stderr);
		return EX_USAGE;
	}
	l.id = argc > optind ? argv[optind] : NULL;
	status = print_new(&l);
	if (status == 0 && l.is_following && (!l.id || l.n > 0))
		status = follow(&l);
	for (size_t i = 0; i < l.n; i++)
		drop_source(&l.list[i]);
	free(l.list);
	return status;
}
