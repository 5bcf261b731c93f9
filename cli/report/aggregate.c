/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/aggregate.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_rows(const void *a, const void *b)
{
	return df_row_compare(a, b);
}

static int compare_parents(const struct df_row *x, const struct df_row *y)
{
	if (x->kind != y->kind)
		return (int)x->kind - (int)y->kind;
	return compare_text(x->domain ? df_class_parent(x->domain) : NULL,
			    y->domain ? df_class_parent(y->domain) : NULL);
}

static int compare_by_parent(const void *a, const void *b)
{
	return compare_parents(*(struct df_row *const *)a, *(struct df_row *const *)b);
}

static int compare_shown(const void *a, const void *b)
{
	const struct df_row *x = *(struct df_row *const *)a, *y = *(struct df_row *const *)b;
	int r = (int)x->kind - (int)y->kind;

	if (r == 0)
		r = (int)x->worst - (int)y->worst;
	if (r == 0)
		r = compare_parents(x, y);
	return r ? r : compare_rows(x, y);
}

static void sort_rows(struct df_container *c)
{
	size_t from = 0;

	if (c->n == 0)
		return;
	qsort(c->rows, c->n, sizeof(struct df_row *), compare_by_parent);
	for (size_t i = 0; i < c->n; i++) {
		enum df_verdict worst = DF_VERDICT_ALLOWED;

		if (i + 1 < c->n && compare_parents(c->rows[i], c->rows[i + 1]) == 0)
			continue;
		for (size_t k = from; k <= i; k++)
			worst = c->rows[k]->verdict < worst ? c->rows[k]->verdict : worst;
		for (; from <= i; from++)
			c->rows[from]->worst = worst;
	}
	qsort(c->rows, c->n, sizeof(struct df_row *), compare_shown);
}

static int compare_containers(const void *a, const void *b)
{
	const struct df_container *x = *(struct df_container *const *)a;
	const struct df_container *y = *(struct df_container *const *)b;
	int r = strcmp(x->first, y->first);

	return r ? r : strcmp(x->id, y->id);
}

static int compare_ids(const void *a, const void *b)
{
	const struct df_container *x = a, *y = b;

	return strcmp(x->id, y->id);
}

bool df_time_is_plain(const char *time)
{
	const size_t len = strlen(time);

	return len < DF_TIME_MAX && strspn(time, "0123456789TtZz:.+-") == len;
}

void df_aggregate_add(uint64_t *sum, uint64_t count)
{
	if (__builtin_add_overflow(*sum, count, sum) || *sum > DF_COUNT_MAX)
		*sum = DF_COUNT_MAX;
}

int df_aggregate_text(struct df_aggregate *a, const char *text, const char **ret)
{
	return df_pool_add(&a->pool, text, ret);
}

struct df_container *df_aggregate_find(const struct df_aggregate *a, const char *id)
{
	const struct df_container probe = {.id = id};
	struct df_container *const *found = tfind(&probe, &a->index, compare_ids);

	return found ? *found : NULL;
}

int df_aggregate_container(struct df_aggregate *a, const char *id, struct df_container **ret)
{
	struct df_container *new = df_aggregate_find(a, id);
	const char *kept;
	int r;

	if (new) {
		*ret = new;
		return 0;
	}
	if (a->n == DF_AGGREGATE_CONTAINERS_MAX)
		return -ENOSPC;
	r = df_aggregate_text(a, id, &kept);
	if (r == 0)
		r = df_array_reserve(&a->list, &a->cap, a->n + 1, sizeof(struct df_container *));
	if (r < 0)
		return r;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->id = kept;
	if (!tsearch(new, &a->index, compare_ids)) {
		free(new);
		return -ENOMEM;
	}
	a->list[a->n++] = new;
	*ret = new;
	return 0;
}

static void free_row(struct df_row *r)
{
	df_texts_done(&r->ancestry);
	df_texts_done(&r->answers);
	df_texts_done(&r->aliases);
	free(r);
}

static int take_texts(struct df_aggregate *a, struct df_row *row)
{
	const char **texts[] = {&row->at,    &row->socket, &row->domain, &row->ip,
				&row->cmd,   &row->script, &row->rule,   &row->rule_owner,
				&row->owner, &row->reason, &row->hint};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int r = df_aggregate_text(a, *texts[i], texts[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Into the index and the list, or nowhere. */
static int add_row(struct df_aggregate *a, struct df_container *c, const struct df_row *probe,
		   struct df_row **ret)
{
	struct df_row *new;
	int r;

	if (a->n_rows == DF_AGGREGATE_ROWS_MAX)
		return -ENOSPC;
	r = df_array_reserve(&c->rows, &c->cap, c->n + 1, sizeof(struct df_row *));
	if (r < 0)
		return r;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = *probe;
	new->count = 0;
	r = take_texts(a, new);
	if (r == 0 && !tsearch(new, &c->index, compare_rows))
		r = -ENOMEM;
	if (r < 0) {
		free(new);
		return r;
	}
	c->rows[c->n++] = new;
	a->n_rows++;
	*ret = new;
	return 0;
}

static void count_verdict(struct df_container *c, const struct df_row *row, uint64_t count)
{
	if (row->kind == DF_ROW_SHADOW)
		return;
	if (row->at && strcmp(row->at, "dns") != 0) {
		if (row->verdict != DF_VERDICT_ALLOWED)
			df_aggregate_add(&c->n_connections, count);
		else if (strcmp(row->at, "proxy") == 0)
			df_aggregate_add(&c->n_proxied, count);
		return;
	}
	df_aggregate_add(&c->n_queries, count);
	if (row->verdict == DF_VERDICT_BLOCKED)
		df_aggregate_add(&c->n_blocked, count);
	if (row->verdict == DF_VERDICT_WOULD_BLOCK)
		df_aggregate_add(&c->n_would_block, count);
}

int df_aggregate_count(struct df_aggregate *a, struct df_container *c, const struct df_row *probe,
		       uint64_t count, struct df_row **ret)
{
	struct df_row *const *found = tfind(probe, &c->index, compare_rows);
	struct df_row *row = found ? *found : NULL;
	int r = 0;

	*ret = NULL;
	count_verdict(c, probe, count);
	if (!row)
		r = add_row(a, c, probe, &row);
	if (r < 0)
		return r;
	df_aggregate_add(&row->count, count);
	if (probe->class > row->class)
		row->class = probe->class;
	if (strcmp(probe->first, row->first) < 0)
		memcpy(row->first, probe->first, sizeof(row->first));
	if (strcmp(probe->last, row->last) > 0)
		memcpy(row->last, probe->last, sizeof(row->last));
	*ret = row;
	return 0;
}

int df_aggregate_note(struct df_aggregate *a, struct df_container *c, const struct df_note *note)
{
	struct df_note new = {.count = note->count};
	int r;

	for (size_t i = 0; i < c->n_notes; i++) {
		struct df_note *old = &c->notes[i];

		if (strcmp(old->event, note->event) == 0 && !compare_text(old->what, note->what) &&
		    (note->what || !compare_text(old->text, note->text))) {
			df_aggregate_add(&old->count, note->count);
			return df_aggregate_text(a, note->text, &old->text);
		}
	}
	if (c->n_notes == DF_AGGREGATE_NOTES_MAX)
		return -ENOSPC;
	r = df_array_reserve(&c->notes, &c->cap_notes, c->n_notes + 1, sizeof(*c->notes));
	if (r == 0)
		r = df_aggregate_text(a, note->event, &new.event);
	if (r == 0)
		r = df_aggregate_text(a, note->what, &new.what);
	if (r == 0)
		r = df_aggregate_text(a, note->text, &new.text);
	if (r == 0)
		r = df_aggregate_text(a, note->remedy, &new.remedy);
	if (r == 0)
		c->notes[c->n_notes++] = new;
	return r;
}

/* As hook/annotations.h has them; else a key could stand twice once it is escaped. */
static bool is_annotation(const char *key)
{
	const char *name = strncmp(key, "x-", 2) == 0 ? key + 2 : "";

	return strcmp(key, "owner") == 0 ||
	       (*name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0');
}

int df_aggregate_annotate(struct df_aggregate *a, struct df_container *c, const char *key,
			  const char *value)
{
	struct df_annotation *x = &c->x[c->n_x];
	int r;

	for (size_t i = 0; i < c->n_x; i++)
		if (strcmp(c->x[i].key, key) == 0)
			return 0;
	if (!is_annotation(key) || !*value)
		return 0;
	if (c->n_x == DF_AGGREGATE_X_MAX)
		return -ENOSPC;
	r = df_aggregate_text(a, key, &x->key);
	if (r == 0)
		r = df_aggregate_text(a, value, &x->value);
	if (r == 0)
		c->n_x++;
	return r;
}

static const char *annotation(const struct df_container *c, const char *key)
{
	for (size_t i = 0; i < c->n_x; i++)
		if (strcmp(c->x[i].key, key) == 0)
			return c->x[i].value;
	return NULL;
}

void df_aggregate_label(const struct df_container *c, char *buf, size_t size)
{
	const char *service = annotation(c, "x-service");

	if (service)
		(void)snprintf(buf, size, "%s", service);
	else if (c->name && c->k8s_namespace)
		(void)snprintf(buf, size, "%s/%s", c->k8s_namespace, c->name);
	else if (c->name)
		(void)snprintf(buf, size, "%s", c->name);
	else if (c->hostname && strncmp(c->id, c->hostname, strlen(c->hostname)) != 0)
		(void)snprintf(buf, size, "%s", c->hostname);
	else
		(void)snprintf(buf, size, "%.*s", (int)df_text_id_len(c->id), c->id);
}

static void keep(void *row)
{
	(void)row; /* rows are freed by their array */
}

static void clear(struct df_container *c)
{
	tdestroy(c->index, keep);
	for (size_t i = 0; i < c->n; i++)
		free_row(c->rows[i]);
	free(c->rows);
	free(c->notes);
	df_texts_done(&c->addresses);
	df_texts_done(&c->unpinned);
}

void df_aggregate_reset(struct df_aggregate *a, struct df_container *c)
{
	a->n_rows -= c->n;
	clear(c);
	*c = (struct df_container){.id = c->id};
}

void df_aggregate_sort(struct df_aggregate *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct df_container *c = a->list[i];

		if (strcmp(c->last, a->since) >= 0) {
			a->list[n++] = c;
			continue;
		}
		(void)tdelete(c, &a->index, compare_ids);
		clear(c);
		free(c);
	}
	a->n = n;
	if (n > 1)
		qsort(a->list, n, sizeof(struct df_container *), compare_containers);
	for (size_t i = 0; i < n; i++)
		sort_rows(a->list[i]);
}

void df_aggregate_done(struct df_aggregate *a)
{
	tdestroy(a->index, keep);
	for (size_t i = 0; i < a->n; i++) {
		clear(a->list[i]);
		free(a->list[i]);
	}
	free(a->list);
	df_pool_done(&a->pool);
	*a = (struct df_aggregate){0};
}
