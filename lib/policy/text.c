/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

#define LIST_MAX 512        /* octets of a list of accepted words in a message */
#define SUGGEST_MAX 2       /* edits between a typo and the word that is proposed for it */
#define SUGGEST_WORD_MAX 31 /* no keyword is longer */

static const char bom[] = "\xef\xbb\xbf";

/* Messages. */

void df_messages_done(struct df_messages *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->list[i].text);
	free(m->list);
	m->list = NULL;
	m->n = m->cap = 0;
}

void df_messages_add(struct df_messages *m, bool is_error, unsigned line, unsigned column,
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
	df_messages_add(m, true, line, column, format, args);
	va_end(args);
}

/* Insertion sort: stable, and the list is short and nearly sorted. */
static void sort_by_line(struct df_messages *m)
{
	for (size_t i = 1; i < m->n; i++) {
		struct df_message moved = m->list[i];
		size_t j = i;

		for (; j > 0; j--) {
			const struct df_message *other = &m->list[j - 1];

			if (other->file_number < moved.file_number ||
			    (other->file_number == moved.file_number && other->line <= moved.line))
				break;
			m->list[j] = *other;
		}
		m->list[j] = moved;
	}
}

/* FILE, LINE and COLUMN, as far as there are any. */
static bool print_place(FILE *out, const char *file, unsigned line, unsigned column)
{
	size_t size = strlen(file) * 4 + 1; /* an octet escapes to at most \xHH */
	_cleanup_free_ char *escaped = malloc(size);

	if (!escaped)
		return false;
	(void)df_escape(file, strlen(file), escaped, size);
	(void)fprintf(out, line ? "%s:%u:%u: " : "%s: ", escaped, line, column);
	return true;
}

static bool print_all(FILE *out, const struct df_messages *m)
{
	const unsigned counts[] = {m->n_errors, m->n_warnings};
	const char *const kinds[] = {"error", "warning"};

	for (size_t i = 0; i < m->n; i++) {
		const struct df_message *one = &m->list[i];

		if (!print_place(out, one->file, one->line, one->column))
			return false;
		(void)fprintf(out, "%s%s\n", one->is_error ? "" : "warning: ", one->text);
	}
	for (int i = 0; i < 2; i++) {
		if (counts[i] <= DF_MESSAGES_MAX)
			continue;
		if (!print_place(out, m->list[0].file, 0, 0))
			return false;
		(void)fprintf(out, "… and %u more %s%s\n", counts[i] - DF_MESSAGES_MAX, kinds[i],
			      counts[i] - DF_MESSAGES_MAX == 1 ? "" : "s");
	}
	return true;
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
	is_bad = !print_all(out, m) || ferror(out);
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

/* Statements. */

void df_stmt_init(struct df_stmt *s, const char *text, size_t len, struct df_messages *messages)
{
	*s = (struct df_stmt){.messages = messages, .text = text, .len = len};
}

void df_stmt_report(struct df_stmt *s, unsigned column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	df_messages_add(s->messages, true, s->line, column, format, args);
	va_end(args);
}

/*
 * Length of the UTF-8 sequence at p, 0 if it is none.  RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF.
 */
static size_t utf8_len(const uint8_t *p, size_t len)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (n == 0 || n > len || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool is_control(const uint8_t *p)
{
	return (p[0] < 0x20 && p[0] != '\t') || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

/* Comments are checked, too: nothing that cannot be shown must hide in one. */
static int check_line(struct df_stmt *s)
{
	const uint8_t *p = (const uint8_t *)s->start;
	size_t n;

	if (s->line_len > DF_STMT_LINE_MAX)
		return df_stmt_error(s, DF_STMT_LINE_MAX + 1,
				     "line is longer than %d octets; break it up",
				     DF_STMT_LINE_MAX);
	for (size_t i = s->at; i < s->line_len; i += n) {
		unsigned column = (unsigned)i + 1;

		n = utf8_len(p + i, s->line_len - i);
		if (n == 0)
			return df_stmt_error(s, column,
					     "octet 0x%02x is not UTF-8; save the file as UTF-8",
					     p[i]);
		if (p[i] == '\0')
			return df_stmt_error(s, column, "NUL octet; the file must be plain text");
		if (p[i] == '\r')
			return df_stmt_error(
				s, column,
				"carriage return inside a line; lines end in LF or CR LF");
		if (is_control(p + i))
			return df_stmt_error(s, column, "control character 0x%02x; remove it",
					     p[i + n - 1]);
	}
	return 0;
}

bool df_stmt_next(struct df_stmt *s)
{
	while (s->next < s->len) {
		const char *lf = memchr(s->text + s->next, '\n', s->len - s->next);

		s->start = s->text + s->next;
		s->line++;
		s->at = 0;
		s->line_len = lf ? (size_t)(lf - s->start) : s->len - s->next;
		s->next += s->line_len + (lf ? 1 : 0);
		if (lf && s->line_len > 0 && s->start[s->line_len - 1] == '\r')
			s->line_len--;
		if (s->line == 1 && s->line_len >= strlen(bom) &&
		    memcmp(s->start, bom, strlen(bom)) == 0) {
			df_stmt_report(s, 1, "byte order mark; save the file as UTF-8 without one");
			s->at = strlen(bom);
		}
		if (check_line(s) == 0 && df_stmt_word(s, &s->keyword))
			return true;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool df_stmt_at_end(struct df_stmt *s)
{
	while (s->at < s->line_len && is_blank(s->start[s->at]))
		s->at++;
	/* A word ends before white space only, so a '#' here always begins a comment. */
	return s->at == s->line_len || s->start[s->at] == '#';
}

bool df_stmt_word(struct df_stmt *s, struct df_word *ret)
{
	size_t begin;

	if (df_stmt_at_end(s))
		return false;
	begin = s->at;
	while (s->at < s->line_len && !is_blank(s->start[s->at]))
		s->at++;
	*ret = (struct df_word){
		.s = s->start + begin,
		.len = s->at - begin,
		.column = (unsigned)begin + 1,
	};
	return true;
}

bool df_word_is(const struct df_word *w, const char *text)
{
	return w->len == strlen(text) && memcmp(w->s, text, w->len) == 0;
}

/* At the place of the missing value: behind the last word read. */
static int report_missing(struct df_stmt *s, const char *value)
{
	size_t end = s->at;
	char quote[DF_MESSAGES_QUOTE];

	while (end > 0 && is_blank(s->start[end - 1]))
		end--;
	return df_stmt_error(s, (unsigned)end + 1, "'%s' needs %s",
			     df_messages_quote(s->keyword.s, s->keyword.len, quote), value);
}

int df_stmt_need(struct df_stmt *s, const char *value, struct df_word *ret)
{
	return df_stmt_word(s, ret) ? 0 : report_missing(s, value);
}

int df_stmt_end(struct df_stmt *s, const char *hint)
{
	struct df_word extra;
	char quote[DF_MESSAGES_QUOTE];

	if (!df_stmt_word(s, &extra))
		return 0;
	return df_stmt_error(s, extra.column, "unexpected '%s'; %s",
			     df_messages_quote(extra.s, extra.len, quote), hint);
}

static void list_words(const char *const *words, const char *separator, char ret[static LIST_MAX])
{
	size_t pos = 0;

	ret[0] = '\0';
	for (size_t i = 0; words[i]; i++)
		df_append(ret, LIST_MAX, &pos, "%s%s", i ? separator : "", words[i]);
}

int df_stmt_choice_next(struct df_stmt *s, const char *const *choices, struct df_word *ret)
{
	char list[LIST_MAX], quote[DF_MESSAGES_QUOTE];
	struct df_word w;

	list_words(choices, " | ", list);
	if (!df_stmt_word(s, &w))
		return report_missing(s, list);
	for (int i = 0; choices[i]; i++) {
		if (df_word_is(&w, choices[i])) {
			*ret = w;
			return i;
		}
	}
	return df_stmt_error(s, w.column, "unknown value '%s'; write %s",
			     df_messages_quote(w.s, w.len, quote), list);
}

int df_stmt_choice(struct df_stmt *s, const char *const *choices)
{
	struct df_word w;
	int choice = df_stmt_choice_next(s, choices, &w);
	int r;

	if (choice < 0)
		return choice;
	r = df_stmt_end(s, "one value only");
	return r < 0 ? r : choice;
}

/* s->at stands on the opening quote. */
static int read_quoted(struct df_stmt *s, char *buf, size_t *ret_len)
{
	size_t begin = s->at++, n = 0;

	for (; s->at < s->line_len; s->at++) {
		char c = s->start[s->at];

		if (c == '"') {
			s->at++;
			*ret_len = n;
			if (s->at < s->line_len && !is_blank(s->start[s->at]))
				return df_stmt_error(s, (unsigned)s->at + 1,
						     "text behind the closing '\"'; put a blank "
						     "there, or write \\\" inside the string");
			return 0;
		}
		if (c == '\\') {
			c = ++s->at < s->line_len ? s->start[s->at] : '\0';
			if (c != '"' && c != '\\')
				return df_stmt_error(
					s, (unsigned)s->at,
					"unknown escape; only \\\" and \\\\ are escapes");
		}
		if (n < DF_STMT_STRING_MAX)
			buf[n] = c;
		n++;
	}
	return df_stmt_error(s, (unsigned)begin + 1, "string has no end; close it with '\"'");
}

static int read_bare(struct df_stmt *s, char *buf, size_t *ret_len)
{
	struct df_word w;
	const char *quote;

	if (!df_stmt_word(s, &w))
		return -EINVAL; /* the caller saw that there is one */
	quote = memchr(w.s, '"', w.len);
	if (quote)
		return df_stmt_error(s, w.column + (unsigned)(quote - w.s),
				     "'\"' inside a word; put the whole text in quotes");
	memcpy(buf, w.s, w.len < DF_STMT_STRING_MAX ? w.len : DF_STMT_STRING_MAX);
	*ret_len = w.len;
	return 0;
}

int df_stmt_string(struct df_stmt *s, const char *value, char ret[static DF_STMT_STRING_MAX + 1],
		   unsigned *ret_column)
{
	char buf[DF_STMT_STRING_MAX + 1];
	size_t begin, len = 0;
	int r;

	if (df_stmt_at_end(s))
		return report_missing(s, value);
	begin = s->at;
	r = s->start[begin] == '"' ? read_quoted(s, buf, &len) : read_bare(s, buf, &len);
	if (r < 0)
		return r;
	if (len > DF_STMT_STRING_MAX)
		return df_stmt_error(s, (unsigned)begin + 1,
				     "text of %zu octets; at most %d are kept", len,
				     DF_STMT_STRING_MAX);
	memcpy(ret, buf, len);
	ret[len] = '\0';
	*ret_column = (unsigned)begin + 1;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Levenshtein, the case of a ignored; both at most SUGGEST_WORD_MAX octets. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[SUGGEST_WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0]++;

		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (lower(a[i - 1]) != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

int df_stmt_unknown(struct df_stmt *s, const char *const *names)
{
	const struct df_word *w = &s->keyword;
	char list[LIST_MAX], quote[DF_MESSAGES_QUOTE];
	const char *nearest = NULL;
	unsigned best = SUGGEST_MAX + 1;

	for (size_t i = 0; names[i] && w->len <= SUGGEST_WORD_MAX; i++) {
		unsigned d = edit_distance(w->s, w->len, names[i], strlen(names[i]));

		/* As many edits as letters would turn any short word into another. */
		if (d < best && d < w->len) {
			best = d;
			nearest = names[i];
		}
	}
	df_messages_quote(w->s, w->len, quote);
	if (nearest)
		return df_stmt_error(s, w->column, "unknown statement '%s'; did you mean '%s'?",
				     quote, nearest);
	list_words(names, ", ", list);
	return df_stmt_error(s, w->column, "unknown statement '%s'; statements are %s", quote,
			     list);
}
