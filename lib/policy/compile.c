/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/compile.h"

#include <errno.h>
#include <fcntl.h>
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

/*
 * Moves the messages into *ret, whatever r is; r, or -ENOMEM.  A table is of use only
 * whole: after a failure, none is handed out.
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

/* Of the first of ret->files.  Without the result's messages; those are in messages. */
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

static const char *read_error(const struct df_policy_files *files, int r)
{
	switch (r) {
	case -E2BIG:
		return "too big; at most 16 MiB";
	case -EINVAL:
		return "not a regular file; put the policy itself there";
	default:
		return df_policy_files_error(files, r);
	}
}

_Static_assert(DF_POLICY_FILE_MAX == 16u << 20, "read_error says so");

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

int df_policy_compile_file(const char *name, const char *path, struct df_policy_result *ret)
{
	return df_policy_compile_file_in(name, path, NULL, DF_POLICY_TRUST_ANY, ret);
}

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
	if (r == -ENOENT && is_link(path))
		df_messages_error(&messages, 0, 0, "a link to a file that is missing");
	else if (r < 0)
		df_messages_error(&messages, 0, 0, "%s", read_error(&ret->files, r));
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

static int report_missing(const char *name, const char *const *dirs, struct df_policy_result *ret)
{
	_cleanup_free_ char *list = NULL;
	struct df_messages messages = {.file = name};
	size_t size = 1, pos = 0;

	for (size_t i = 0; dirs[i]; i++)
		size += strlen(dirs[i]) + strlen(", ");
	list = calloc(1, size);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; dirs[i]; i++)
		df_append(list, size, &pos, "%s%s", i ? ", " : "", dirs[i]);
	df_messages_error(&messages, 0, 0, "no such policy; looked for %s.policy in %s", name,
			  list);
	return finish(&messages, -ENOENT, ret);
}

int df_policy_compile_name(const char *name, const char *const *dirs, enum df_policy_trust trust,
			   struct df_policy_result *ret)
{
	const char *data_dir = NULL;

	*ret = (struct df_policy_result){0};
	for (size_t i = 0; dirs[i]; i++)
		data_dir = dirs[i];
	if (!df_policy_is_name(name, strlen(name))) {
		struct df_messages messages = {.file = "policy"};
		char quote[DF_MESSAGES_QUOTE];

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
		/* Only absence leads on: what cannot be read is not replaced by another. */
		if ((r != -ENOENT && r != -ENOTDIR) || is_link(path))
			return r;
		df_policy_result_done(ret);
	}
	return report_missing(name, dirs, ret);
}

void df_policy_files_done(struct df_policy_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->list[i].path);
	files->n = 0;
}

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

struct df_policy_stamp df_policy_stamp_from(const struct stat *st)
{
	return (struct df_policy_stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = nanoseconds(&st->st_mtim),
		.ctime_ns = nanoseconds(&st->st_ctim),
	};
}

int df_policy_stamp_of(const char *path, struct df_policy_stamp *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	*ret = df_policy_stamp_from(&st);
	return 0;
}

int df_policy_files_add(struct df_policy_files *files, const char *path, size_t *ret_index)
{
	struct df_policy_file *file = &files->list[files->n];

	if (files->n == DF_POLICY_FILES_MAX)
		return -EMFILE;
	*file = (struct df_policy_file){.path = strdup(path)};
	if (!file->path)
		return -ENOMEM;
	*ret_index = files->n++;
	return 0;
}

/* A descriptor or -errno; files->why is set for what others could have written. */
static int open_file(struct df_policy_files *files, const char *path)
{
	int fd = -EPERM;

	files->why[0] = '\0';
	if (files->trust != DF_POLICY_TRUST_ANY) {
		/* a warning is about root's files, whoever looks at them */
		fd = df_host_file_open(path, files->trust == DF_POLICY_TRUST_WARN ? 0 : geteuid(),
				       files->why);
		if (!*files->why || files->trust == DF_POLICY_TRUST_DEMAND)
			return fd;
	}
	/* O_NONBLOCK: a FIFO put in the file's place must not hold us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int df_policy_files_read(struct df_policy_files *files, const char *path, size_t max, char **ret,
			 size_t *ret_len, size_t *ret_index)
{
	_cleanup_close_ int fd = open_file(files, path);
	_cleanup_free_ char *text = NULL;
	struct df_policy_stamp stamp, after;
	struct stat st;
	size_t len = 0;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -E2BIG;
	stamp = df_policy_stamp_from(&st);
	r = df_read_all(fd, max, &text, &len);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	after = df_policy_stamp_from(&st);
	r = df_policy_files_add(files, path, ret_index);
	if (r < 0)
		return r;
	if (len != stamp.size || memcmp(&stamp, &after, sizeof(stamp)) != 0)
		files->has_changed = true;
	files->list[*ret_index].stamp = stamp;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

char *df_policy_files_resolve(const char *from, const char *path)
{
	const char *slash = strrchr(from, '/');
	char *resolved;

	if (path[0] == '/' || !slash)
		return strdup(path);
	if (asprintf(&resolved, "%.*s/%s", (int)(slash - from), from, path) < 0)
		return NULL;
	return resolved;
}

const char *df_policy_files_error(const struct df_policy_files *files, int r)
{
	if (r == -EPERM && *files->why)
		return files->why;
	switch (r) {
	case -E2BIG:
		return "too big";
	case -EINVAL:
		return "not a regular file";
	case -ENOENT:
		/* In the words of strerror, podman would take the container's command for missing.
		 */
		return "the file is missing";
	case -EMFILE:
		return "too many files in one policy";
	default:
		return strerror(-r);
	}
}
