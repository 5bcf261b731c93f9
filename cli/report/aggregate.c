/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/aggregate.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

int df_compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

void df_aggregate_add(uint64_t *sum, uint64_t count)
{
	if (__builtin_add_overflow(*sum, count, sum) || *sum > DF_COUNT_MAX)
		*sum = DF_COUNT_MAX;
}

bool df_time_is_plain(const char *time)
{
	const size_t len = strlen(time);

	return len < DF_TIME_MAX && strspn(time, "0123456789TtZz:.+-") == len;
}

/* --- texts */

/* A balanced tree, not a hash table: no choice of texts makes it slow. */
static int compare_pooled(const void *a, const void *b)
{
	return strcmp(a, b);
}

int df_pool_add(struct df_pool *p, const char *text, const char **ret)
{
	char *const *found, *new;

	if (!text || !*text) {
		*ret = NULL;
		return 0;
	}
	found = tfind(text, &p->texts, compare_pooled);
	if (found) {
		*ret = *found;
		return 0;
	}
	if (strlen(text) + 1 > DF_POOL_MAX - p->used)
		return -ENOSPC;
	new = strdup(text);
	if (!new || !tsearch(new, &p->texts, compare_pooled)) {
		free(new);
		return -ENOMEM;
	}
	p->used += strlen(text) + 1;
	*ret = new;
	return 0;
}

void df_pool_done(struct df_pool *p)
{
	tdestroy(p->texts, free);
	*p = (struct df_pool){0};
}

static size_t find_text(const struct df_texts *t, const char *text)
{
	size_t i = 0;

	while (i < t->n && strcmp(t->list[i], text) != 0)
		i++;
	return i;
}

int df_texts_append(struct df_texts *t, struct df_pool *p, const char *text, size_t max)
{
	const char *pooled;
	int r;

	if (!text || !*text || t->n >= max)
		return 0;
	r = df_pool_add(p, text, &pooled)
		    ?: df_array_reserve(&t->list, &t->cap, t->n + 1, sizeof(*t->list));
	if (r == 0)
		t->list[t->n++] = pooled;
	return r;
}

int df_texts_add(struct df_texts *t, struct df_pool *p, const char *text, size_t max)
{
	return text && find_text(t, text) < t->n ? 0 : df_texts_append(t, p, text, max);
}

void df_texts_remove(struct df_texts *t, const char *text)
{
	size_t i = find_text(t, text);

	if (i == t->n)
		return;
	t->n--;
	memmove(&t->list[i], &t->list[i + 1], (t->n - i) * sizeof(*t->list));
}

void df_texts_done(struct df_texts *t)
{
	free(t->list);
	*t = (struct df_texts){0};
}

/* --- rows */

static const char *const verdict_names[DF_ROW_VERDICTS] = {
	[DF_ROW_BLOCKED] = "blocked",
	[DF_ROW_WOULD_BLOCK] = "would-block",
	[DF_ROW_UNOBSERVED] = "unobserved",
	[DF_ROW_ALLOWED] = "allowed",
};

const char *df_row_verdict_name(enum df_row_verdict verdict)
{
	return verdict < DF_ROW_VERDICTS ? verdict_names[verdict] : "?";
}

enum df_row_verdict df_row_verdict_from_name(const char *name)
{
	enum df_row_verdict v = 0;

	while (v < DF_ROW_VERDICTS && strcmp(verdict_names[v], name) != 0)
		v++;
	return v;
}

const char *df_loss_name(enum df_loss loss)
{
	static const char *const names[DF_LOSSES] = {
		[DF_LOSS_EVENTS] = "events",       [DF_LOSS_DROPPED] = "dropped",
		[DF_LOSS_MALFORMED] = "malformed", [DF_LOSS_MISMATCHED] = "mismatched",
		[DF_LOSS_STRAY] = "stray",         [DF_LOSS_UNLOGGED] = "unlogged",
		[DF_LOSS_UNSHOWN] = "unshown",
	};

	return names[loss];
}

void df_row_target(const struct df_row *row, char *buf, size_t size)
{
	const int len = row->domain ? (int)df_class_len(row->domain) : 0;
	const char *name = row->domain ? row->domain : "", *blank = row->domain ? " " : "";

	if (row->ip)
		(void)snprintf(buf, size, strchr(row->ip, ':') ? "%.*s%s[%s]:%u" : "%.*s%s%s:%u",
			       len, name, blank, row->ip, row->port);
	else if (row->domain && row->port)
		(void)snprintf(buf, size, "%.*s:%u", len, name, row->port);
	else if (row->domain)
		(void)snprintf(buf, size, "%.*s", len, name);
	else
		(void)snprintf(buf, size, "%s", row->socket ? row->socket : "");
}

/* By identity: names before connections; by verdict, by name, then by the rest. */
static int compare_rows(const void *a, const void *b)
{
	const struct df_row *x = a, *y = b;

	return (int)x->kind - (int)y->kind ?: (int)x->verdict - (int)y->verdict
		?: df_compare_text(x->domain, y->domain) ?: df_compare_text(x->ip, y->ip)
		?: (int)x->port - (int)y->port ?: df_compare_text(x->socket, y->socket)
		?: df_compare_text(x->cmd, y->cmd) ?: df_compare_text(x->script, y->script)
		?: df_compare_text(x->at, y->at) ?: df_compare_text(x->rule, y->rule)
		?: df_compare_text(x->reason, y->reason)
		?: df_compare_text(x->rule_owner, y->rule_owner) ?: df_compare_text(x->owner, y->owner);
}

static int compare_parents(const struct df_row *x, const struct df_row *y)
{
	return (int)x->kind - (int)y->kind
		       ?: df_compare_text(x->domain ? df_class_parent(x->domain) : NULL,
					  y->domain ? df_class_parent(y->domain) : NULL);
}

static int compare_by_parent(const void *a, const void *b)
{
	return compare_parents(*(struct df_row *const *)a, *(struct df_row *const *)b);
}

static int compare_shown(const void *a, const void *b)
{
	const struct df_row *x = *(struct df_row *const *)a, *y = *(struct df_row *const *)b;

	return (int)x->kind - (int)y->kind ?: (int)x->worst - (int)y->worst
		?: compare_parents(x, y) ?: compare_rows(x, y);
}

static void sort_rows(struct df_report_container *c)
{
	size_t from = 0;

	if (c->n == 0)
		return;
	qsort(c->rows, c->n, sizeof(struct df_row *), compare_by_parent);
	for (size_t i = 0; i < c->n; i++) {
		enum df_row_verdict worst = DF_ROW_ALLOWED;

		if (i + 1 < c->n && compare_parents(c->rows[i], c->rows[i + 1]) == 0)
			continue;
		for (size_t k = from; k <= i; k++)
			worst = c->rows[k]->verdict < worst ? c->rows[k]->verdict : worst;
		for (; from <= i; from++)
			c->rows[from]->worst = worst;
	}
	qsort(c->rows, c->n, sizeof(struct df_row *), compare_shown);
}

/* Adds it to the index and the list, or to neither. */
static int add_row(struct df_aggregate *a, struct df_report_container *c,
		   const struct df_row *probe, struct df_row **ret)
{
	struct df_row row = *probe, *new;
	const char **texts[] = {&row.at,     &row.socket, &row.domain,    &row.ip,
				&row.cmd,    &row.script, &row.rule,      &row.owner,
				&row.reason, &row.hint,   &row.rule_owner};
	int r = a->n_rows == DF_AGGREGATE_ROWS_MAX ? -ENOSPC : 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = df_pool_add(&a->pool, *texts[i], texts[i]);
	if (r == 0)
		r = df_array_reserve(&c->rows, &c->cap, c->n + 1, sizeof(*c->rows));
	if (r < 0)
		return r;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = row;
	new->count = 0;
	if (!tsearch(new, &c->index, compare_rows)) {
		free(new);
		return -ENOMEM;
	}
	c->rows[c->n++] = new;
	a->n_rows++;
	*ret = new;
	return 0;
}

static void count_verdict(struct df_report_container *c, const struct df_row *row, uint64_t count)
{
	if (row->kind == DF_ROW_SHADOW)
		return;
	if (row->at && strcmp(row->at, "dns") != 0) {
		if (row->verdict != DF_ROW_ALLOWED)
			df_aggregate_add(&c->n_connections, count);
		else if (strcmp(row->at, "proxy") == 0)
			df_aggregate_add(&c->n_proxied, count);
		return;
	}
	df_aggregate_add(&c->n_queries, count);
	if (row->verdict == DF_ROW_BLOCKED)
		df_aggregate_add(&c->n_blocked, count);
	if (row->verdict == DF_ROW_WOULD_BLOCK)
		df_aggregate_add(&c->n_would_block, count);
}

int df_aggregate_count(struct df_aggregate *a, struct df_report_container *c,
		       const struct df_row *probe, uint64_t count, struct df_row **ret)
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

/* --- containers */

static int compare_ids(const void *a, const void *b)
{
	const struct df_report_container *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static int compare_containers(const void *a, const void *b)
{
	const struct df_report_container *x = *(struct df_report_container *const *)a;
	const struct df_report_container *y = *(struct df_report_container *const *)b;

	return strcmp(x->first, y->first) ?: strcmp(x->id, y->id);
}

struct df_report_container *df_aggregate_find(const struct df_aggregate *a, const char *id)
{
	const struct df_report_container probe = {.id = id};
	struct df_report_container *const *found = tfind(&probe, &a->index, compare_ids);

	return found ? *found : NULL;
}

int df_aggregate_container(struct df_aggregate *a, const char *id, struct df_report_container **ret)
{
	struct df_report_container *new = df_aggregate_find(a, id);
	const char *pooled;
	int r;

	if (new) {
		*ret = new;
		return 0;
	}
	if (a->n == DF_AGGREGATE_CONTAINERS_MAX)
		return -ENOSPC;
	r = df_pool_add(&a->pool, id, &pooled)
		    ?: df_array_reserve(&a->list, &a->cap, a->n + 1, sizeof(*a->list));
	if (r < 0)
		return r;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->id = pooled;
	if (!tsearch(new, &a->index, compare_ids)) {
		free(new);
		return -ENOMEM;
	}
	a->list[a->n++] = new;
	*ret = new;
	return 0;
}

int df_aggregate_note(struct df_aggregate *a, struct df_report_container *c,
		      const struct df_report_note *note)
{
	struct df_report_note new = {.count = note->count};
	int r;

	for (size_t i = 0; i < c->n_notes; i++) {
		struct df_report_note *old = &c->notes[i];

		if (strcmp(old->event, note->event) == 0 &&
		    !df_compare_text(old->what, note->what) &&
		    (note->what || !df_compare_text(old->text, note->text))) {
			df_aggregate_add(&old->count, note->count);
			return df_pool_add(&a->pool, note->text, &old->text);
		}
	}
	if (c->n_notes == DF_AGGREGATE_NOTES_MAX)
		return -ENOSPC;
	r = df_array_reserve(&c->notes, &c->cap_notes, c->n_notes + 1, sizeof(*c->notes))
		    ?: df_pool_add(&a->pool, note->event, &new.event)
		    ?: df_pool_add(&a->pool, note->what, &new.what)
		    ?: df_pool_add(&a->pool, note->text, &new.text)
		    ?: df_pool_add(&a->pool, note->remedy, &new.remedy);
	if (r == 0)
		c->notes[c->n_notes++] = new;
	return r;
}

static const char *annotation(const struct df_report_container *c, const char *key)
{
	for (size_t i = 0; i < c->n_x; i++)
		if (strcmp(c->x[i].key, key) == 0)
			return c->x[i].value;
	return NULL;
}

int df_aggregate_annotate(struct df_aggregate *a, struct df_report_container *c, const char *key,
			  const char *value)
{
	static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	const char *name = strncmp(key, "x-", 2) == 0 ? key + 2 : "";
	struct df_report_annotation *x = &c->x[c->n_x];
	int r;

	/* keys as hook/annotations.h has them; else a key could occur twice once it is escaped */
	if (strcmp(key, "owner") != 0 && (!*name || name[strspn(name, name_chars)] != '\0'))
		return 0;
	if (annotation(c, key) || !*value)
		return 0;
	if (c->n_x == DF_AGGREGATE_X_MAX)
		return -ENOSPC;
	r = df_pool_add(&a->pool, key, &x->key) ?: df_pool_add(&a->pool, value, &x->value);
	if (r == 0)
		c->n_x++;
	return r;
}

void df_aggregate_label(const struct df_report_container *c, char *buf, size_t size)
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

uint64_t df_aggregate_search_attempts(const struct df_aggregate *a)
{
	uint64_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		df_aggregate_add(&n, a->list[i]->n_search);
	return n;
}

static void leave(void *entry)
{
	(void)entry; /* tdestroy(3) wants a function; the arrays own the entries of both indexes */
}

static void clear(struct df_report_container *c)
{
	tdestroy(c->index, leave);
	for (size_t i = 0; i < c->n; i++) {
		df_texts_done(&c->rows[i]->ancestry);
		df_texts_done(&c->rows[i]->answers);
		df_texts_done(&c->rows[i]->aliases);
		free(c->rows[i]);
	}
	free(c->rows);
	free(c->notes);
	df_texts_done(&c->addresses);
	df_texts_done(&c->unpinned);
}

void df_aggregate_reset(struct df_aggregate *a, struct df_report_container *c)
{
	a->n_rows -= c->n;
	clear(c);
	*c = (struct df_report_container){.id = c->id};
}

void df_aggregate_sort(struct df_aggregate *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct df_report_container *c = a->list[i];

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
		qsort(a->list, n, sizeof(*a->list), compare_containers);
	for (size_t i = 0; i < n; i++)
		sort_rows(a->list[i]);
}

void df_aggregate_done(struct df_aggregate *a)
{
	tdestroy(a->index, leave);
	for (size_t i = 0; i < a->n; i++) {
		clear(a->list[i]);
		free(a->list[i]);
	}
	free(a->list);
	df_pool_done(&a->pool);
	*a = (struct df_aggregate){0};
}
