/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/index.h"

#include <errno.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/table.h"

#define MAGIC 0x31494644u /* "DFI1" in a little-endian file */

/* In front; behind it: for each file its stamp, the length of its path, the path; messages. */
struct head {
	uint32_t magic, version;
	char compiler[32]; /* release: the meaning of a text may change with it */
	char table[DF_POLICY_TABLE_NAME];
	struct df_policy_stamp table_stamp;
	uint32_t n_files, messages_len;
};

static const char compiler[sizeof(((struct head *)NULL)->compiler)] = PACKAGE_VERSION;

struct cursor {
	const char *at;
	size_t left;
};

void df_policy_index_done(struct df_policy_index *index)
{
	df_policy_files_done(&index->files);
	free(index->messages);
	index->messages = NULL;
}

int df_policy_index_write(const struct df_policy_index *index, char **ret, size_t *ret_len)
{
	struct head head = {
		.magic = MAGIC,
		.version = DF_POLICY_VERSION,
		.table_stamp = index->table_stamp,
		.n_files = (uint32_t)index->files.n,
		.messages_len = index->messages ? (uint32_t)strlen(index->messages) : 0,
	};
	char *data = NULL;
	size_t len = 0;
	bool is_bad;
	FILE *out = open_memstream(&data, &len);

	if (!out)
		return -ENOMEM;
	memcpy(head.compiler, compiler, sizeof(compiler));
	memcpy(head.table, index->table, sizeof(head.table));
	(void)fwrite(&head, sizeof(head), 1, out);
	for (size_t i = 0; i < index->files.n; i++) {
		const struct df_policy_file *file = &index->files.list[i];
		uint32_t path_len = (uint32_t)strlen(file->path);

		(void)fwrite(&file->stamp, sizeof(file->stamp), 1, out);
		(void)fwrite(&path_len, sizeof(path_len), 1, out);
		(void)fwrite(file->path, 1, path_len, out);
	}
	(void)fwrite(index->messages ? index->messages : "", 1, head.messages_len, out);
	is_bad = ferror(out);
	if (fclose(out) != 0 || is_bad) {
		free(data);
		return -ENOMEM;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

static bool take(struct cursor *c, void *ret, size_t len)
{
	if (c->left < len)
		return false;
	memcpy(ret, c->at, len);
	c->at += len;
	c->left -= len;
	return true;
}

/* *ret is malloc'd.  Text that holds a NUL is none. */
static int take_text(struct cursor *c, size_t len, char **ret)
{
	char *text;

	if (c->left < len || memchr(c->at, '\0', len))
		return -EBADMSG;
	text = strndup(c->at, len);
	if (!text)
		return -ENOMEM;
	c->at += len;
	c->left -= len;
	*ret = text;
	return 0;
}

static int read_files(struct cursor *c, uint32_t n, struct df_policy_files *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		struct df_policy_file *file = &ret->list[i];
		uint32_t path_len;
		int r;

		*file = (struct df_policy_file){0};
		if (!take(c, &file->stamp, sizeof(file->stamp)) ||
		    !take(c, &path_len, sizeof(path_len)) || path_len == 0)
			return -EBADMSG;
		r = take_text(c, path_len, &file->path);
		if (r < 0)
			return r;
		ret->n++;
	}
	return 0;
}

static bool is_table_name(const char *name)
{
	static const char suffix[] = ".table";
	size_t n = strspn(name, "0123456789abcdef");

	return n == DF_POLICY_TABLE_NAME - sizeof(suffix) - 1 && strcmp(name + n, suffix) == 0;
}

int df_policy_index_read(const char *data, size_t len, struct df_policy_index *ret)
{
	struct cursor c = {data, len};
	struct df_policy_index index = {0};
	struct head head;
	int r;

	if (!take(&c, &head, sizeof(head)) || head.magic != MAGIC ||
	    head.version != DF_POLICY_VERSION ||
	    memcmp(head.compiler, compiler, sizeof(compiler)) != 0 ||
	    head.table[sizeof(head.table) - 1] != '\0' || !is_table_name(head.table) ||
	    head.n_files == 0 || head.n_files > DF_POLICY_FILES_MAX)
		return -EBADMSG;
	memcpy(index.table, head.table, sizeof(index.table));
	index.table_stamp = head.table_stamp;
	r = read_files(&c, head.n_files, &index.files);
	if (r == 0 && c.left != head.messages_len)
		r = -EBADMSG;
	if (r == 0 && head.messages_len > 0)
		r = take_text(&c, head.messages_len, &index.messages);
	if (r < 0) {
		df_policy_index_done(&index);
		return r;
	}
	*ret = index;
	return 0;
}
