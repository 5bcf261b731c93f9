/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/messages.h"

#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

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
		.file = m->file,
		.file_number = m->file_number,
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

static bool is_behind(const struct df_message *a, const struct df_message *b)
{
	return a->file_number != b->file_number ? a->file_number > b->file_number
						: a->line > b->line;
}

/* Insertion sort: stable, and the list is short and nearly sorted. */
static void sort_by_line(struct df_messages *m)
{
	for (size_t i = 1; i < m->n; i++) {
		struct df_message moved = m->list[i];
		size_t j = i;

		for (; j > 0 && is_behind(&m->list[j - 1], &moved); j--)
			m->list[j] = m->list[j - 1];
		m->list[j] = moved;
	}
}

static int print_file(FILE *out, const char *file)
{
	size_t size = strlen(file) * 4 + 1; /* an octet escapes to at most \xHH */
	_cleanup_free_ char *escaped = malloc(size);

	if (!escaped)
		return -ENOMEM;
	(void)df_escape(file, strlen(file), escaped, size);
	(void)fputs(escaped, out);
	return 0;
}

static int print_rest(FILE *out, const char *file, unsigned count, const char *what)
{
	if (count <= DF_MESSAGES_MAX)
		return 0;
	count -= DF_MESSAGES_MAX;
	if (print_file(out, file) < 0)
		return -ENOMEM;
	(void)fprintf(out, ": … and %u more %s%s\n", count, what, count == 1 ? "" : "s");
	return 0;
}

static int print_all(FILE *out, const struct df_messages *m)
{
	const char *first = m->list[0].file;

	for (size_t i = 0; i < m->n; i++) {
		const struct df_message *one = &m->list[i];

		if (print_file(out, one->file) < 0)
			return -ENOMEM;
		if (one->line)
			(void)fprintf(out, ":%u:%u", one->line, one->column);
		(void)fprintf(out, ": %s%s\n", one->is_error ? "" : "warning: ", one->text);
	}
	if (print_rest(out, first, m->n_errors, "error") < 0)
		return -ENOMEM;
	return print_rest(out, first, m->n_warnings, "warning");
}

int df_messages_text(struct df_messages *m, char **ret)
{
	char *text = NULL;
	size_t len = 0;
	bool is_bad;
	FILE *out;

	if (m->is_out_of_memory)
		return -ENOMEM;
	if (m->n == 0) {
		*ret = NULL;
		return 0;
	}
	out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	sort_by_line(m);
	is_bad = print_all(out, m) < 0 || ferror(out);
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
