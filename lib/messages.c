/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/messages.h"

#include <errno.h>
#include <string.h>

#include "lib/array.h"
#include "lib/util.h"

void df_messages_done(struct df_messages *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->list[i].text);
	free(m->list);
	m->list = NULL;
	m->n = m->cap = 0;
}

static void add(struct df_messages *m, bool is_error, unsigned line, unsigned column,
		const char *format, va_list args)
{
	unsigned *count = is_error ? &m->n_errors : &m->n_warnings;
	char *text = NULL;

	if ((*count)++ >= DF_MESSAGES_MAX)
		return;
	if (df_array_reserve(&m->list, &m->cap, m->n + 1, sizeof(*m->list)) < 0 ||
	    vasprintf(&text, format, args) < 0) {
		m->is_out_of_memory = true;
		return;
	}
	m->list[m->n++] = (struct df_message){
		.line = line,
		.column = column,
		.is_error = is_error,
		.text = text,
	};
}

void df_messages_error(struct df_messages *m, unsigned line, unsigned column, const char *format,
		       ...)
{
	va_list args;

	va_start(args, format);
	add(m, true, line, column, format, args);
	va_end(args);
}

void df_messages_warning(struct df_messages *m, unsigned line, unsigned column, const char *format,
			 ...)
{
	va_list args;

	va_start(args, format);
	add(m, false, line, column, format, args);
	va_end(args);
}

/* Insertion sort: stable, and the list is short and nearly sorted. */
static void sort_by_line(struct df_messages *m)
{
	for (size_t i = 1; i < m->n; i++) {
		struct df_message moved = m->list[i];
		size_t j = i;

		for (; j > 0 && m->list[j - 1].line > moved.line; j--)
			m->list[j] = m->list[j - 1];
		m->list[j] = moved;
	}
}

static void print_rest(FILE *out, const char *file, unsigned count, const char *what)
{
	if (count > DF_MESSAGES_MAX)
		(void)fprintf(out, "%s: … and %u more %s%s\n", file, count - DF_MESSAGES_MAX, what,
			      count - DF_MESSAGES_MAX == 1 ? "" : "s");
}

static void print_all(FILE *out, const struct df_messages *m, const char *file)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct df_message *one = &m->list[i];

		(void)fputs(file, out);
		if (one->line)
			(void)fprintf(out, ":%u:%u", one->line, one->column);
		(void)fprintf(out, ": %s%s\n", one->is_error ? "" : "warning: ", one->text);
	}
	print_rest(out, file, m->n_errors, "error");
	print_rest(out, file, m->n_warnings, "warning");
}

int df_messages_text(struct df_messages *m, char **ret)
{
	_cleanup_free_ char *file = NULL;
	char *text = NULL;
	size_t len = 0, file_size = strlen(m->file) * 4 + 1; /* an octet escapes to at most \xHH */
	bool is_bad;
	FILE *out;

	if (m->is_out_of_memory)
		return -ENOMEM;
	if (m->n == 0) {
		*ret = NULL;
		return 0;
	}
	file = malloc(file_size);
	if (!file)
		return -ENOMEM;
	(void)df_escape(m->file, strlen(m->file), file, file_size);
	out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	sort_by_line(m);
	print_all(out, m, file);
	is_bad = ferror(out);
	if (fclose(out) != 0 || is_bad) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

const char *df_messages_quote(const char *s, size_t len, char buf[static DF_MESSAGES_QUOTE])
{
	static const char cut[] = "…";
	size_t room = DF_MESSAGES_QUOTE - sizeof(cut) + 1, take = len, n;

	if (take >= room) {
		/* Cut between characters, not inside one. */
		for (take = room - 1; take > 0 && ((unsigned char)s[take] & 0xc0) == 0x80;)
			take--;
	}
	n = df_escape(s, take, buf, room);
	if (take < len)
		memcpy(buf + n, cut, sizeof(cut));
	return buf;
}
