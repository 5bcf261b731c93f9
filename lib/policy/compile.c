/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/compile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"
#include "lib/policy/internal.h"

void df_policy_result_done(struct df_policy_result *r)
{
	free(r->table);
	free(r->messages);
	df_policy_files_done(&r->files);
	*r = (struct df_policy_result){0};
}

/* Moves the messages into *ret, whatever r is; r, or -ENOMEM.  After a failure there is no table.
 */
static int finish(struct df_messages *messages, int r, struct df_policy_result *ret)
{
	int r2;

	ret->n_errors = messages->n_errors;
	ret->n_warnings = messages->n_warnings;
	r2 = df_messages_text(messages, &ret->messages);
	df_messages_done(messages);
	r = r2 < 0 ? r2 : r;
	if (r < 0) {
		free(TAKE_PTR(ret->table));
		ret->table_size = 0;
	}
	return r;
}

/* Compiles the first of ret->files; messages move to the result later. */
static int compile(const char *name, const char *text, size_t len,
		   const struct df_policy_reading *reading, struct df_messages *messages,
		   struct df_policy_result *ret)
{
	struct df_policy_source src = {.files = &ret->files};
	void *table = NULL;
	size_t size = 0;
	int r;

	if (len > DF_POLICY_FILE_MAX) {
		df_messages_error(messages, 0, 0, "more than %u octets; split the policy",
				  DF_POLICY_FILE_MAX);
		return -EINVAL;
	}
	r = df_policy_parse(text, len, reading, messages, &src);
	if (r == 0)
		r = df_policy_build(&src, name, messages, &table, &size);
	df_policy_source_done(&src);
	df_policy_set_file(messages, &ret->files, 0);
	if (r == -E2BIG) {
		df_messages_error(messages, 0, 0,
				  "the compiled table would be too big; at most "
				  "%u octets",
				  DF_POLICY_SIZE_MAX);
		return -EINVAL;
	}
	if (r < 0)
		return r;
	if (messages->n_errors)
		return -EINVAL;
	ret->table = table;
	ret->table_size = size;
	return 0;
}

int df_policy_compile_text(const char *name, const char *file, const char *text, size_t len,
			   struct df_policy_result *ret)
{
	const struct df_policy_reading nothing = {.can_read = false};
	struct df_messages messages = {.file = file};
	size_t index;
	int r;

	*ret = (struct df_policy_result){0};
	r = df_policy_files_add(&ret->files, file, &index);
	if (r == 0)
		r = compile(name, text, len, &nothing, &messages, ret);
	return finish(&messages, r, ret);
}

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

int df_policy_compile_file(const char *name, const char *path, struct df_policy_result *ret)
{
	return df_policy_compile_file_in(name, path, NULL, DF_POLICY_TRUST_ANY, ret);
}

_Static_assert(DF_POLICY_FILE_MAX == 16u << 20, "the message below names the limit");

int df_policy_compile_file_in(const char *name, const char *path, const char *data_dir,
			      enum df_policy_trust trust, struct df_policy_result *ret)
{
	const struct df_policy_reading all = {.can_read = true, .data_dir = data_dir};
	struct df_messages messages = {.file = path};
	_cleanup_free_ char *text = NULL;
	size_t len, index;
	int r;

	*ret = (struct df_policy_result){.files.trust = trust};
	r = df_policy_files_read(&ret->files, path, DF_POLICY_FILE_MAX, &text, &len, &index);
	if (r == 0)
		df_policy_warn_untrusted(&messages, &ret->files, (uint32_t)index);
	if (r < 0)
		df_messages_error(&messages, 0, 0, "%s%s",
				  r == -ENOENT && is_link(path)
					  ? "a link to a file that is missing"
					  : df_policy_files_error(&ret->files, r),
				  r == -E2BIG    ? "; at most 16 MiB"
				  : r == -EINVAL ? "; put the policy itself there"
						 : "");
	else
		r = compile(name, text, len, &all, &messages, ret);
	return finish(&messages, r, ret);
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool df_policy_is_name(const char *s, size_t len)
{
	if (len == 0 || len > DF_POLICY_NAME_MAX || !is_letter_or_digit(s[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_letter_or_digit(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
	}
	return true;
}

int df_policy_compile_name(const char *name, const char *const *dirs, enum df_policy_trust trust,
			   struct df_policy_result *ret)
{
	const char *data_dir = NULL;
	struct df_messages messages = {.file = "policy"};
	char quote[DF_MESSAGES_QUOTE], list[1024] = "";
	size_t pos = 0;

	*ret = (struct df_policy_result){0};
	for (size_t i = 0; dirs[i]; i++)
		data_dir = dirs[i];
	if (!df_policy_is_name(name, strlen(name))) {
		df_messages_error(&messages, 0, 0,
				  "bad policy name '%s'; write letters, digits, '.', '_' and '-', "
				  "a letter or digit first, at most %d",
				  df_messages_quote(name, strlen(name), quote), DF_POLICY_NAME_MAX);
		return finish(&messages, -EINVAL, ret);
	}
	for (size_t i = 0; dirs[i]; i++) {
		_cleanup_free_ char *path = NULL;
		int r;

		if (asprintf(&path, "%s/%s.policy", dirs[i], name) < 0)
			return -ENOMEM;
		r = df_policy_compile_file_in(name, path, data_dir, trust, ret);
		/* Only if it is absent, the next one counts: an unreadable one is an error. */
		if ((r != -ENOENT && r != -ENOTDIR) || is_link(path))
			return r;
		df_policy_result_done(ret);
		df_append(list, sizeof(list), &pos, "%s%s", i ? ", " : "", dirs[i]);
	}
	messages.file = name;
	df_messages_error(&messages, 0, 0, "no such policy; looked for %s.policy in %s", name,
			  list);
	return finish(&messages, -ENOENT, ret);
}
