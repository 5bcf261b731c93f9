/* SPDX-License-Identifier: GPL-2.0-or-later */
/* include: the statements that name other files. */
#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/internal.h"

#define LINES_TEXT_MAX 128
#define IMPLIED "encrypted-dns.policy"
#define KINDS_MAX 512 /* different rules of one list: scopes times port ranges, and exceptions */

/* A path as a value, resolved against the directory of the current file.  *ret is malloc'd. */
static int parse_path(struct df_policy_parser *p, char **ret, unsigned *ret_column)
{
	const char *from = p->src->files->list[p->file].path, *slash = strrchr(from, '/');
	char path[DF_STMT_STRING_MAX + 1];
	int r = df_stmt_string(&p->stmt, "a file", path, ret_column);

	if (r < 0)
		return r;
	if (path[0] == '\0')
		return df_stmt_error(&p->stmt, *ret_column, "empty file name; write a path");
	if (path[0] == '/' || !slash)
		*ret = strdup(path);
	else if (asprintf(ret, "%.*s/%s", (int)(slash - from), from, path) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

/* The last check before a file is read: nothing follows, and files may be read. */
static int end_statement(struct df_policy_parser *p, const char *hint)
{
	const struct df_word *keyword = &p->stmt.keyword;
	int r = df_stmt_end(&p->stmt, hint);

	if (r < 0 || p->can_read)
		return r;
	return df_stmt_error(&p->stmt, keyword->column,
			     "'%.*s' needs a policy that is a file; this one has no place of its "
			     "own",
			     (int)keyword->len, keyword->s);
}

static int refuse_file(struct df_policy_parser *p, unsigned column, const char *path, int r,
		       size_t max)
{
	char quote[DF_MESSAGES_QUOTE];

	if (r == -ENOMEM)
		return r;
	df_messages_quote(path, strlen(path), quote);
	if (r == -E2BIG)
		return df_stmt_error(&p->stmt, column, "%s: too big; at most %zu MiB", quote,
				     max >> 20);
	return df_stmt_error(&p->stmt, column, "%s: %s", quote,
			     df_policy_files_error(p->src->files, r));
}

/* The file that was read as a policy already, if there is one. */
static bool find_policy(const struct df_policy_parser *p, const struct df_policy_stamp *stamp,
			uint32_t *ret)
{
	const struct df_policy_files *files = p->src->files;

	for (uint32_t i = 0; i < files->n; i++) {
		const struct df_policy_stamp *s = &files->list[i].stamp;

		if (p->is_policy[i] && s->dev == stamp->dev && s->ino == stamp->ino) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static int refuse_cycle(struct df_policy_parser *p, unsigned column, uint32_t known)
{
	const struct df_policy_files *files = p->src->files;
	char chain[512] = "";
	size_t pos = 0;

	for (uint32_t i = known; i < files->n; i++) {
		char quote[DF_MESSAGES_QUOTE];
		const char *path = files->list[i].path;

		if (p->is_open[i])
			df_append(chain, sizeof(chain), &pos, "%s includes ",
				  df_messages_quote(path, strlen(path), quote));
	}
	return df_stmt_error(&p->stmt, column, "a cycle: %s%s", chain,
			     known == p->file ? "itself" : "the first one again");
}

int df_policy_parse_include(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct df_policy_parser saved;
	struct df_policy_stamp stamp;
	size_t len, file;
	unsigned column;
	uint32_t known;
	int r = parse_path(p, &path, &column);

	(void)s;
	if (r == 0)
		r = end_statement(p, "one file a statement");
	if (r < 0)
		return r;
	r = df_policy_stamp_of(path, &stamp);
	if (r < 0)
		return refuse_file(p, column, path, r, 0);
	/* Its statements hold once, however often it is included. */
	if (find_policy(p, &stamp, &known))
		return p->is_open[known] ? refuse_cycle(p, column, known) : 0;
	if (p->depth + 1 == DF_POLICY_INCLUDE_DEPTH)
		return df_stmt_error(&p->stmt, column,
				     "more than %d files in one another; include it higher up",
				     DF_POLICY_INCLUDE_DEPTH);
	r = df_policy_files_read(p->src->files, path, DF_POLICY_FILE_MAX, &text, &len, &file);
	if (r < 0)
		return refuse_file(p, column, path, r, DF_POLICY_FILE_MAX);
	df_policy_warn_untrusted(p->stmt.messages, p->src->files, (uint32_t)file);
	/* Owner and hint that the included file sets end with it. */
	saved = *p;
	p->depth++;
	r = df_policy_parse_file(p, (uint32_t)file, text, len);
	p->depth--;
	p->stmt = saved.stmt;
	p->file = saved.file;
	p->owner = saved.owner;
	p->hint = saved.hint;
	p->has_hint = saved.has_hint;
	p->first_rule = saved.first_rule;
	df_policy_set_file(p->stmt.messages, p->src->files, p->file);
	return r;
}

int df_policy_parse_implied(struct df_policy_parser *p, const char *data_dir,
			    const struct df_policy_place *place)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct df_policy_files *files = p->src->files;
	char quote[DF_MESSAGES_QUOTE];
	struct df_policy_stamp stamp;
	size_t len = 0, file = 0;
	uint32_t known;
	int r;

	if (asprintf(&path, "%s/" IMPLIED, data_dir) < 0)
		return -ENOMEM;
	r = df_policy_stamp_of(path, &stamp);
	if (r == 0 && find_policy(p, &stamp, &known))
		return 0; /* included, and so written, or the policy itself */
	if (r == 0)
		r = df_policy_files_read(files, path, DF_POLICY_FILE_MAX, &text, &len, &file);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		files->has_changed = true; /* not cached: the file may be there the next time */
		df_policy_warn(p->stmt.messages, files, place,
			       "%s: %s; encrypted resolvers are refused by other rules alone",
			       df_messages_quote(path, strlen(path), quote),
			       df_policy_files_error(files, r));
		return 0;
	}
	df_policy_warn_untrusted(p->stmt.messages, files, (uint32_t)file);
	p->is_implied = true;
	p->owner = p->hint = 0;
	p->has_hint = true;
	return df_policy_parse_file(p, (uint32_t)file, text, len);
}

/* A list while it is read: each kind of entry is one rule, which all entries of it share. */
struct reading {
	struct df_policy_parser *p;
	struct df_policy_source_rule rule; /* common to all */
	unsigned column;
	uint32_t kinds[KINDS_MAX]; /* rules of this list */
	unsigned n_kinds;
};

static int get_kind(struct reading *reading, uint32_t *ret)
{
	const struct df_policy_source_rule *b = &reading->rule;
	int r;

	for (unsigned i = 0; i < reading->n_kinds; i++) {
		const struct df_policy_source_rule *a = &reading->p->src->rules[reading->kinds[i]];

		if (a->scope == b->scope && a->is_exception == b->is_exception &&
		    a->is_important == b->is_important && a->ports.proto == b->ports.proto &&
		    a->ports.lo == b->ports.lo && a->ports.hi == b->ports.hi) {
			*ret = reading->kinds[i];
			return 0;
		}
	}
	r = df_policy_add_rule(reading->p, reading->column, b, ret);
	if (r == 0 && reading->n_kinds < KINDS_MAX)
		reading->kinds[reading->n_kinds++] = *ret;
	return r;
}

static int take(void *data, const struct df_list_entry *entry)
{
	struct reading *reading = data;
	const struct df_policy_target *t = &entry->target;
	uint8_t action = reading->rule.action;
	uint32_t rule;
	int r;

	reading->rule.scope = (uint8_t)(t->is_name ? t->scope : DF_POLICY_NET);
	reading->rule.ports = t->ports;
	reading->rule.is_exception = entry->is_exception && action != DF_POLICY_ALLOW;
	reading->rule.is_important = entry->is_important;
	if (reading->rule.is_exception)
		reading->rule.action = DF_POLICY_ALLOW;
	r = get_kind(reading, &rule);
	reading->rule.action = action;
	return r < 0 ? r : df_policy_add_target(reading->p->src, t, rule);
}

/* One message about all lines that are not understood. */
static int judge_reading(struct df_policy_parser *p, const struct df_list_file *list, uint32_t file,
			 unsigned column, const char *format)
{
	const struct df_policy_files *files = p->src->files;
	struct df_policy_place place = {.file = file, .line = list->unknown[0], .column = 1};
	const char *path = files->list[file].path;
	char lines[LINES_TEXT_MAX] = "", quote[DF_MESSAGES_QUOTE];
	unsigned n = 0;
	size_t pos = 0;

	if (df_list_is_alien(list) || (list->n_entries == 0 && list->n_unknown > 0)) {
		const char *guess = df_list_guess(list);
		const char *like = guess ? ": it looks like " : "";

		df_messages_quote(path, strlen(path), quote);
		guess = guess ? guess : "";
		if (list->n_entries == 0)
			return df_stmt_error(&p->stmt, column,
					     "%s: no line is understood as %s; name its format%s%s",
					     quote, format, like, guess);
		return df_stmt_error(&p->stmt, column,
				     "%s: %u lines are not %s, and %u are; name its format%s%s",
				     quote, list->n_alien, format,
				     list->n_read + list->n_unknown - list->n_alien, like, guess);
	}
	for (; n < list->n_unknown && n < DF_LIST_UNKNOWN_KEPT; n++)
		df_append(lines, sizeof(lines), &pos, "%s%u", n ? ", " : "", list->unknown[n]);
	if (list->n_unknown > 0)
		df_policy_warn(p->stmt.messages, files, &place,
			       "%u of %u lines are not understood as %s and left out: %s%s",
			       list->n_unknown, list->n_lines, format, lines,
			       list->n_unknown > n ? ", …" : "");
	place.line = 0;
	if (list->n_entries == 0)
		df_policy_warn(p->stmt.messages, files, &place, "the list is empty");
	df_policy_set_file(p->stmt.messages, files, p->file);
	return 0;
}

int df_policy_parse_list(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	static const char *const formats[] = {"plain", "hosts", "adblock", "rpz", "dnsmasq", NULL};
	struct reading reading = {.p = p, .rule.action = s->value};
	struct df_list_file list = {
		.is_allow = s->value == DF_POLICY_ALLOW,
		.take = take,
		.data = &reading,
	};
	const char *begin = p->stmt.keyword.s, *other;
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct df_policy_source *src = p->src;
	char quote[DF_MESSAGES_QUOTE];
	struct df_word format;
	size_t file;
	int r = parse_path(p, &path, &reading.column);

	if (r < 0)
		return r;
	r = df_stmt_choice_next(&p->stmt, formats, &format);
	if (r < 0)
		return r;
	list.format = (enum df_list_format)r;
	r = end_statement(p, "one value only");
	if (r < 0)
		return r;
	r = df_strpool_add(&src->strings, begin, (size_t)(format.s + format.len - begin),
			   &reading.rule.text);
	if (r < 0)
		return r;
	r = df_policy_files_read(src->files, path, DF_POLICY_LIST_MAX, &text, &list.len, &file);
	if (r < 0)
		return refuse_file(p, reading.column, path, r, DF_POLICY_LIST_MAX);
	df_policy_warn_untrusted(p->stmt.messages, src->files, (uint32_t)file);
	other = df_list_not_a_list(text, list.len);
	if (other)
		return df_stmt_error(&p->stmt, reading.column, "%s: no list; it looks like %s",
				     df_messages_quote(path, strlen(path), quote), other);
	if (df_array_reserve(&src->lists, &src->lists_cap, src->n_lists + 1, sizeof(*src->lists)) <
	    0)
		return -ENOMEM;
	src->lists[src->n_lists++] = (struct df_policy_source_list){.file = (uint32_t)file};
	reading.rule.list = (uint32_t)src->n_lists;
	list.text = text;
	r = df_list_read(&list);
	if (r < 0)
		return r;
	return judge_reading(p, &list, (uint32_t)file, reading.column, formats[list.format]);
}
