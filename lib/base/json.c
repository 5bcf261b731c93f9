/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: yajl splits the text, the tree is ours.
 *
 * yajl 2.1 alone is too kind for hostile input: check_text checks the text before
 * it, the callbacks check depth, NUL and duplicate keys, and what follows the
 * value is checked after it (yajl accepts an unfinished token there: {} "abc).
 *
 * A document is one arena: values and strings live until df_json_free, which
 * walks chunks, never the tree.
 */
#include "lib/base/json.h"

#include <errno.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "lib/base/util.h"

/* --- the text, before yajl sees it */

/* Length of the UTF-8 sequence at p as RFC 3629 allows it, 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second octet */
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* below: overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* above: surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* above: beyond U+10FFFF */
	if (left < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* The unit of a \uXXXX at p, -1 if there is none. */
static int32_t escaped_unit(const uint8_t *p, size_t left)
{
	int32_t unit = 0;

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int digit;

		if (p[i] >= '0' && p[i] <= '9')
			digit = p[i] - '0';
		else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')
			digit = (p[i] | 0x20) - 'a' + 10;
		else
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* Octets to skip for the escape at p, 0 for half a surrogate pair. */
static size_t escape_length(const uint8_t *p, size_t left)
{
	int32_t unit = escaped_unit(p, left), second;

	if (unit < 0xd800 || unit > 0xdfff)
		return 2; /* a malformed one is yajl's to refuse */
	if (unit >= 0xdc00)
		return 0;
	second = escaped_unit(p + 6, left - 6);
	return second >= 0xdc00 && second <= 0xdfff ? 12 : 0;
}

/*
 * yajl passes overlong UTF-8, surrogates and U+110000 up, and turns the lone surrogate of
 * "\ud800x" into "?", swallowing the x: keys that differ for one reader would be equal for
 * another.  Grammar stays yajl's to judge.  len if all is well; else the offset of the fault.
 */
static size_t check_text(const char *chars, size_t len, const char **ret_why)
{
	const uint8_t *text = (const uint8_t *)chars;
	bool in_string = false;

	for (size_t i = 0; i < len;) {
		bool is_escape = in_string && text[i] == '\\';
		size_t n = is_escape ? escape_length(text + i, len - i)
				     : utf8_length(text + i, len - i);

		if (n == 0) {
			*ret_why = is_escape ? "half a surrogate pair" : "invalid UTF-8";
			return i;
		}
		if (text[i] == '"')
			in_string = !in_string;
		i += n;
	}
	return len;
}

/* --- the values */

/* A state JSON is 1 to 4 KiB of text: one chunk, and not one page too many. */
#define CHUNK_SIZE (16u << 10)
/* A duplicate key is shown up to here; the position behind it must fit in the message. */
#define KEY_SHOWN_MAX 64

enum type { TYPE_NULL, TYPE_BOOL, TYPE_NUMBER, TYPE_STRING, TYPE_ARRAY, TYPE_OBJECT };

struct df_json {
	enum type type;
	size_t n;                     /* values in an array or object */
	const char *key;              /* in an object, else NULL */
	const char *text;             /* of a string or number; "true" or NULL */
	const struct df_json **items; /* n of them */
	struct df_json *next;         /* sibling, while the tree is built */
};

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

struct document {
	struct df_json root; /* first: what the caller holds */
	struct chunk *chunks;
};

/* An array or object that is still open. */
struct frame {
	struct df_json *self, *first, **tail;
};

struct build {
	yajl_handle yajl;
	struct document *doc;
	struct frame stack[DF_JSON_DEPTH_MAX];
	size_t depth, n_values, max_values;
	const char *key; /* read, its value not yet */
	bool is_done;
	size_t end; /* of the value, once is_done */
	int error;
	char why[DF_JSON_ERROR_MAX];
};

static void *arena_alloc(struct document *doc, size_t size)
{
	struct chunk *c = doc->chunks;
	void *p;

	size = (size + _Alignof(struct df_json) - 1) & ~(_Alignof(struct df_json) - 1);
	if (!c || size > c->size - c->used) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		*c = (struct chunk){.next = doc->chunks, .size = room};
		doc->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

/* For callbacks: 0 tells yajl to stop. */
static int stop(struct build *b, int error, const char *why)
{
	size_t pos = 0;

	b->error = error;
	df_append(b->why, sizeof(b->why), &pos, "%s", why);
	return 0;
}

static const char *copy_text(struct build *b, const void *text, size_t len)
{
	char *copy;

	/* Only as \u0000: yajl refuses the raw octet.  C strings would end there. */
	if (memchr(text, '\0', len)) {
		stop(b, -EINVAL, "\\u0000 in a string or key");
		return NULL;
	}
	copy = arena_alloc(b->doc, len + 1);
	if (!copy) {
		stop(b, -ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static void end_of_value(struct build *b)
{
	if (b->depth > 0)
		return;
	b->is_done = true;
	b->end = yajl_get_bytes_consumed(b->yajl);
}

static struct df_json *add_value(struct build *b, enum type type, const char *text)
{
	struct frame *top = b->depth > 0 ? &b->stack[b->depth - 1] : NULL;
	struct df_json *v;

	if (++b->n_values > b->max_values) {
		stop(b, -E2BIG, "too many values");
		return NULL;
	}
	v = top ? arena_alloc(b->doc, sizeof(*v)) : &b->doc->root;
	if (!v) {
		stop(b, -ENOMEM, "out of memory");
		return NULL;
	}
	*v = (struct df_json){.type = type, .key = b->key, .text = text};
	b->key = NULL;
	if (top) {
		*top->tail = v;
		top->tail = &v->next;
		top->self->n++;
	}
	return v;
}

static int add_scalar(struct build *b, enum type type, const void *text, size_t len)
{
	const char *copy = NULL;

	if (text) {
		copy = copy_text(b, text, len);
		if (!copy)
			return 0;
	}
	if (!add_value(b, type, copy))
		return 0;
	end_of_value(b);
	return 1;
}

static int on_null(void *ctx)
{
	return add_scalar(ctx, TYPE_NULL, NULL, 0);
}

static int on_boolean(void *ctx, int value)
{
	return add_scalar(ctx, TYPE_BOOL, value ? "true" : NULL, strlen("true"));
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return add_scalar(ctx, TYPE_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	return add_scalar(ctx, TYPE_STRING, text, len);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct build *b = ctx;

	b->key = copy_text(b, text, len);
	return b->key ? 1 : 0;
}

static int open_container(struct build *b, enum type type)
{
	struct df_json *v;

	if (b->depth == DF_JSON_DEPTH_MAX)
		return stop(b, -E2BIG, "nested too deep");
	v = add_value(b, type, NULL);
	if (!v)
		return 0;
	b->stack[b->depth] = (struct frame){.self = v};
	b->stack[b->depth].tail = &b->stack[b->depth].first;
	b->depth++;
	return 1;
}

static int on_start_object(void *ctx)
{
	return open_container(ctx, TYPE_OBJECT);
}

static int on_start_array(void *ctx)
{
	return open_container(ctx, TYPE_ARRAY);
}

/* The list of the open frame becomes an array: df_json_at must not walk. */
static int close_container(struct build *b)
{
	struct frame *f = &b->stack[b->depth - 1];
	size_t i = 0;

	f->self->items = arena_alloc(b->doc, f->self->n * sizeof(*f->self->items));
	if (!f->self->items)
		return stop(b, -ENOMEM, "out of memory");
	for (struct df_json *v = f->first; v; v = v->next)
		f->self->items[i++] = v;
	b->depth--;
	end_of_value(b);
	return 1;
}

static int compare_keys(const void *a, const void *b)
{
	const struct df_json *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* By sorting: 100,000 keys compared pairwise would take minutes. */
static int check_duplicates(struct build *b, const struct df_json *obj)
{
	_cleanup_free_ const struct df_json **sorted = NULL;

	if (obj->n < 2)
		return 1;
	sorted = malloc(obj->n * sizeof(*sorted));
	if (!sorted)
		return stop(b, -ENOMEM, "out of memory");
	memcpy(sorted, obj->items, obj->n * sizeof(*sorted));
	qsort(sorted, obj->n, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < obj->n; i++) {
		char shown[KEY_SHOWN_MAX];
		size_t pos = 0;

		if (compare_keys(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		(void)df_escape(sorted[i]->key, strlen(sorted[i]->key), shown, sizeof(shown));
		b->error = -EINVAL;
		df_append(b->why, sizeof(b->why), &pos,
			  "duplicate key \"%s\" in the object that ends", shown);
		return 0;
	}
	return 1;
}

static int on_end_object(void *ctx)
{
	struct build *b = ctx;
	const struct df_json *obj = b->stack[b->depth - 1].self;

	return close_container(b) && check_duplicates(b, obj);
}

static int on_end_array(void *ctx)
{
	return close_container(ctx);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end_object,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end_array,
};

static void describe(const char *why, const char *text, size_t offset, char *error)
{
	size_t line = 1, column = 1, pos = 0;

	for (size_t i = 0; i < offset; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	df_append(error, DF_JSON_ERROR_MAX, &pos, "%s at line %zu, column %zu", why, line, column);
}

/* yajl's own words, without the newline and full stop at their end. */
static void take_yajl_error(struct build *b)
{
	unsigned char *text = yajl_get_error(b->yajl, 0, NULL, 0);
	size_t n;

	stop(b, -EINVAL, text ? (char *)text : "syntax error");
	if (text)
		yajl_free_error(b->yajl, text);
	for (n = strlen(b->why); n > 0 && strchr(".\n", b->why[n - 1]); n--)
		b->why[n - 1] = '\0';
}

/* RFC 8259 2 */
static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Returns b->error; *ret_offset tells where. */
static int run_yajl(struct build *b, const char *text, size_t len, size_t *ret_offset)
{
	yajl_status status = yajl_parse(b->yajl, (const unsigned char *)text, len);
	size_t offset = yajl_get_bytes_consumed(b->yajl);

	if (status == yajl_status_ok && b->is_done) {
		offset = b->end;
		while (offset < len && is_space(text[offset]))
			offset++;
		if (offset < len)
			stop(b, -EINVAL, "trailing text after the value");
	} else if (status == yajl_status_ok) {
		/* Only a number may still become whole here. */
		status = yajl_complete_parse(b->yajl);
		offset = len;
	}
	if (status != yajl_status_ok && b->error == 0)
		take_yajl_error(b);
	*ret_offset = offset < len ? offset : len;
	return b->error;
}

int df_json_parse(const char *text, size_t len, size_t max_len, struct df_json **ret,
		  char ret_error[static DF_JSON_ERROR_MAX])
{
	return df_json_parse_large(text, len, max_len, DF_JSON_VALUES_MAX, ret, ret_error);
}

int df_json_parse_large(const char *text, size_t len, size_t max_len, size_t max_values,
			struct df_json **ret, char ret_error[static DF_JSON_ERROR_MAX])
{
	struct build b = {.max_values = max_values};
	const char *why = NULL;
	size_t offset, pos = 0;
	int r;

	if (len > max_len) {
		df_append(ret_error, DF_JSON_ERROR_MAX, &pos, "longer than the limit of %zu octets",
			  max_len);
		return -E2BIG;
	}
	offset = check_text(text, len, &why);
	if (why) {
		describe(why, text, offset, ret_error);
		return -EINVAL;
	}
	b.doc = calloc(1, sizeof(*b.doc));
	/* Past this call yajl does not check malloc: it would crash, which refuses too. */
	b.yajl = yajl_alloc(&callbacks, NULL, &b);
	if (b.doc && b.yajl)
		r = run_yajl(&b, text, len, &offset);
	else
		r = -ENOMEM;
	if (b.yajl)
		yajl_free(b.yajl);
	if (r < 0) {
		describe(r == -ENOMEM ? "out of memory" : b.why, text, offset, ret_error);
		df_json_free((struct df_json *)b.doc);
		return r;
	}
	*ret = &b.doc->root;
	return 0;
}

void df_json_free(struct df_json *doc)
{
	struct document *d = (struct document *)doc;

	if (!d)
		return;
	for (struct chunk *c = d->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(d);
}

const struct df_json *df_json_get(const struct df_json *obj, const char *key)
{
	if (!df_json_is_object(obj))
		return NULL;
	for (size_t i = 0; i < obj->n; i++) {
		if (strcmp(obj->items[i]->key, key) == 0)
			return obj->items[i];
	}
	return NULL;
}

const char *df_json_string(const struct df_json *v)
{
	return v && v->type == TYPE_STRING ? v->text : NULL;
}

bool df_json_is_object(const struct df_json *v)
{
	return v && v->type == TYPE_OBJECT;
}

bool df_json_is_array(const struct df_json *v)
{
	return v && v->type == TYPE_ARRAY;
}

bool df_json_is_true(const struct df_json *v)
{
	return v && v->type == TYPE_BOOL && v->text;
}

int df_json_int(const struct df_json *v, int64_t *ret)
{
	long long n;
	char *end;

	if (!v || v->type != TYPE_NUMBER)
		return -EINVAL;
	/* The grammar was yajl's to check; 1.0 and 1e3 end early here. */
	errno = 0;
	n = strtoll(v->text, &end, 10);
	if (errno != 0 || *end != '\0')
		return -EINVAL;
	*ret = n;
	return 0;
}

size_t df_json_len(const struct df_json *v)
{
	return v ? v->n : 0;
}

const struct df_json *df_json_at(const struct df_json *v, size_t i)
{
	return i < df_json_len(v) ? v->items[i] : NULL;
}

const char *df_json_key_at(const struct df_json *obj, size_t i)
{
	return df_json_is_object(obj) && i < obj->n ? obj->items[i]->key : NULL;
}
