/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/aggregate.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "cli/lines.h"
#include "lib/array.h"
#include "lib/json.h"
#include "lib/util.h"

#define SCHEMA 1 /* of events */

const char *df_verdict_name(enum df_verdict verdict)
{
	switch (verdict) {
	case DF_VERDICT_BLOCKED:
		return "blocked";
	case DF_VERDICT_WOULD_BLOCK:
		return "would-block";
	case DF_VERDICT_UNOBSERVED:
		return "unobserved";
	case DF_VERDICT_ALLOWED:
		return "allowed";
	}
	return "?";
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

/* Names before connections; by name, and for what is the same to the eye by the rest. */
static int compare_rows(const void *a, const void *b)
{
	const struct df_row *x = a, *y = b;
	int r = (int)x->verdict - (int)y->verdict;

	if (r == 0)
		r = !x->domain - !y->domain;
	if (r == 0)
		r = compare_text(x->domain, y->domain);
	if (r == 0)
		r = compare_text(x->ip, y->ip);
	if (r == 0)
		r = (int)x->port - (int)y->port;
	if (r == 0)
		r = compare_text(x->cmd, y->cmd);
	if (r == 0)
		r = compare_text(x->rule, y->rule);
	if (r == 0)
		r = compare_text(x->reason, y->reason);
	return r ? r : compare_text(x->owner, y->owner);
}

static int compare_row_pointers(const void *a, const void *b)
{
	return compare_rows(*(struct df_row *const *)a, *(struct df_row *const *)b);
}

static int compare_containers(const void *a, const void *b)
{
	const struct df_container *x = *(struct df_container *const *)a;
	const struct df_container *y = *(struct df_container *const *)b;
	int r = compare_text(x->first, y->first);

	return r ? r : strcmp(x->id, y->id);
}

static void free_row(struct df_row *r)
{
	if (!r)
		return;
	free(r->domain);
	free(r->ip);
	free(r->cmd);
	free(r->rule);
	free(r->owner);
	free(r->reason);
	free(r);
}

static char *copy(const char *text, bool *ret_is_out_of_memory)
{
	char *s = text ? strdup(text) : NULL;

	*ret_is_out_of_memory |= text && !s;
	return s;
}

static struct df_row *copy_row(const struct df_row *r)
{
	struct df_row *new = malloc(sizeof(*new));
	bool is_out_of_memory = false;

	if (!new)
		return NULL;
	*new = (struct df_row){
		.verdict = r->verdict,
		.domain = copy(r->domain, &is_out_of_memory),
		.ip = copy(r->ip, &is_out_of_memory),
		.port = r->port,
		.cmd = copy(r->cmd, &is_out_of_memory),
		.rule = copy(r->rule, &is_out_of_memory),
		.owner = copy(r->owner, &is_out_of_memory),
		.reason = copy(r->reason, &is_out_of_memory),
	};
	if (!is_out_of_memory)
		return new;
	free_row(new);
	return NULL;
}

static void add_to(uint64_t *sum, uint64_t count)
{
	if (__builtin_add_overflow(*sum, count, sum))
		*sum = UINT64_MAX;
}

/* probe borrows its strings. */
static int count_row(struct df_container *c, const struct df_row *probe, uint64_t count)
{
	struct df_row *const *found = tfind(probe, &c->index, compare_rows);
	struct df_row *new;
	int r;

	if (found) {
		add_to(&(*found)->count, count);
		return 0;
	}
	r = df_array_reserve(&c->rows, &c->cap, c->n + 1, sizeof(*c->rows));
	if (r < 0)
		return r;
	new = copy_row(probe);
	if (!new || !tsearch(new, &c->index, compare_rows)) {
		free_row(new);
		return -ENOMEM;
	}
	new->count = count;
	c->rows[c->n++] = new;
	return 0;
}

static int get_container(struct df_aggregate *a, const char *id, struct df_container **ret)
{
	struct df_container *new;
	int r;

	/* the last one first: lines of a container mostly stand together */
	for (size_t i = a->n; i-- > 0;) {
		if (strcmp(a->list[i]->id, id) == 0) {
			*ret = a->list[i];
			return 0;
		}
	}
	r = df_array_reserve(&a->list, &a->cap, a->n + 1, sizeof(struct df_container *));
	if (r < 0)
		return r;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->id = strdup(id);
	if (!new->id) {
		free(new);
		return -ENOMEM;
	}
	a->list[a->n++] = new;
	*ret = new;
	return 0;
}

static int replace(char **old, const char *text)
{
	char *new;

	if (!text || (*old && strcmp(*old, text) == 0))
		return 0;
	new = strdup(text);
	if (!new)
		return -ENOMEM;
	free(*old);
	*old = new;
	return 0;
}

static const char *get_text(const struct df_json *object, const char *key)
{
	return df_json_string(df_json_get(object, key));
}

/* Times of one form compare as text: RFC 3339 5.1. */
static int note_container(struct df_container *c, const struct df_json *e, bool is_start)
{
	const struct df_json *box = df_json_get(e, "container");
	const char *time = get_text(e, "time");
	int r = 0;

	if (!c->first || strcmp(time, c->first) < 0) {
		r = replace(&c->first, time);
		c->is_whole = is_start;
	}
	if (r < 0 || (c->last && strcmp(time, c->last) < 0))
		return r;
	if (replace(&c->last, time) < 0 || replace(&c->name, get_text(box, "name")) < 0 ||
	    replace(&c->image, get_text(box, "image")) < 0 ||
	    replace(&c->pod, get_text(box, "pod")) < 0 ||
	    replace(&c->k8s_namespace, get_text(box, "namespace")) < 0 ||
	    replace(&c->policy, get_text(e, "policy")) < 0 ||
	    replace(&c->mode, get_text(e, "mode")) < 0 ||
	    replace(&c->owner, get_text(df_json_get(e, "annotations"), "owner")) < 0)
		return -ENOMEM;
	return 0;
}

/* Once each: a restarted container has them again. */
static int note_leak(struct df_container *c, const struct df_json *e)
{
	const char *finding = get_text(e, "finding"), *seen = get_text(e, "seen");
	struct df_leak *leak;
	size_t i = 0;

	if (!finding || !seen)
		return -EBADMSG;
	while (i < c->n_leaks && strcmp(c->leaks[i].finding, finding) != 0)
		i++;
	if (i == DF_LEAKS_MAX)
		return 0;
	leak = &c->leaks[i];
	if (replace(&leak->finding, finding) < 0)
		return -ENOMEM;
	if (i == c->n_leaks)
		c->n_leaks++; /* before the next copy: free_container frees what there is */
	return replace(&leak->seen, seen);
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

static enum df_verdict verdict_of(const struct df_json *e, const char *event)
{
	if (strcmp(event, "unobserved") == 0)
		return DF_VERDICT_UNOBSERVED;
	if (!df_json_get(e, "blockedAt"))
		return DF_VERDICT_ALLOWED;
	/* docs/events.schema.json: there if and only if "blocked" is false here */
	return df_json_get(e, "would_block") ? DF_VERDICT_WOULD_BLOCK : DF_VERDICT_BLOCKED;
}

static void count_verdict(struct df_container *c, const struct df_row *row, uint64_t count)
{
	if (!row->domain) {
		add_to(&c->n_connections, count);
		return;
	}
	add_to(&c->n_queries, count);
	if (row->verdict == DF_VERDICT_BLOCKED)
		add_to(&c->n_blocked, count);
	if (row->verdict == DF_VERDICT_WOULD_BLOCK)
		add_to(&c->n_would_block, count);
}

/* cmd is cut in the document itself: it is ours, and freed right after. */
static char *get_cmd(const struct df_json *e)
{
	char *cmd = (char *)get_text(e, "cmd");
	size_t len = cmd ? strlen(cmd) : 0;

	if (len > 0 && cmd[len - 1] == ' ')
		cmd[--len] = '\0';
	return len > 0 ? cmd : NULL;
}

/* 1: a row to be counted; 0: the event is no verdict; -EBADMSG. */
static int read_row(const struct df_json *e, const char *event, struct df_row *ret,
		    uint64_t *ret_count)
{
	static const char *const names[] = {"query", "dns_blocked", "summary", NULL};
	static const char *const connections[] = {"connect_blocked", "socket_blocked",
						  "packet_blocked", "unobserved", NULL};
	const bool is_name = is_one_of(event, names);
	int64_t count = 1, port = 0;

	if (!is_name && !is_one_of(event, connections))
		return 0;
	*ret = (struct df_row){
		.verdict = verdict_of(e, event),
		.cmd = get_cmd(e),
		.rule = (char *)get_text(e, "rule"),
		.owner = (char *)get_text(e, "owner"),
	};
	if (df_json_get(e, "count") &&
	    (df_json_int(df_json_get(e, "count"), &count) < 0 || count < 1))
		return -EBADMSG;
	*ret_count = (uint64_t)count;
	if (is_name) {
		ret->domain = (char *)get_text(e, "domain");
		return ret->domain ? 1 : -EBADMSG;
	}
	ret->ip = (char *)get_text(e, "ip");
	ret->reason = (char *)get_text(e, "reason");
	if (!ret->ip) /* a raw socket is refused before it has an address */
		return strcmp(event, "socket_blocked") == 0 ? 1 : -EBADMSG;
	if (df_json_int(df_json_get(e, "port"), &port) < 0 || port < 0 || port > UINT16_MAX)
		return -EBADMSG;
	ret->port = (uint16_t)port;
	return 1;
}

static int take_event(struct df_aggregate *a, const struct df_json *e)
{
	const char *event = get_text(e, "event");
	const char *id = get_text(df_json_get(e, "container"), "id");
	struct df_container *c;
	struct df_row row;
	int64_t schema;
	uint64_t count = 1;
	int r, kind;

	if (df_json_int(df_json_get(e, "schema"), &schema) < 0 || schema != SCHEMA || !event ||
	    !id || !*id || !get_text(e, "time"))
		return -EBADMSG;
	kind = read_row(e, event, &row, &count);
	if (kind < 0)
		return kind;
	r = get_container(a, id, &c);
	if (r == 0)
		r = note_container(c, e, strcmp(event, "start") == 0);
	if (r < 0)
		return r;
	c->has_gaps |= strcmp(event, "suppressed") == 0;
	if (kind == 0)
		return strcmp(event, "finding") == 0 ? note_leak(c, e) : 0;
	/* as in the text log: who answers for the rule, else who answers for the container */
	if (!row.owner)
		row.owner = (char *)get_text(df_json_get(e, "annotations"), "owner");
	r = count_row(c, &row, count);
	if (r == 0)
		count_verdict(c, &row, count);
	return r;
}

int df_aggregate_line(struct df_aggregate *a, const char *line, size_t len)
{
	char error[DF_JSON_ERROR_MAX] = "";
	struct df_json *e = NULL;
	int r = df_json_parse(line, len, DF_LINES_MAX, &e, error);

	if (r == 0)
		r = take_event(a, e);
	else if (r != -ENOMEM)
		r = -EBADMSG;
	df_json_free(e);
	if (r == -EBADMSG)
		df_aggregate_damaged(a);
	return r;
}

void df_aggregate_damaged(struct df_aggregate *a)
{
	add_to(&a->n_damaged, 1);
}

void df_aggregate_sort(struct df_aggregate *a)
{
	if (a->n > 1)
		qsort(a->list, a->n, sizeof(struct df_container *), compare_containers);
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i]->n > 1)
			qsort(a->list[i]->rows, a->list[i]->n, sizeof(struct df_row *),
			      compare_row_pointers);
}

static void keep(void *row)
{
	(void)row; /* rows are freed by their array */
}

static void free_container(struct df_container *c)
{
	tdestroy(c->index, keep);
	for (size_t i = 0; i < c->n; i++)
		free_row(c->rows[i]);
	for (size_t i = 0; i < c->n_leaks; i++) {
		free(c->leaks[i].finding);
		free(c->leaks[i].seen);
	}
	free(c->rows);
	free(c->id);
	free(c->name);
	free(c->image);
	free(c->pod);
	free(c->k8s_namespace);
	free(c->policy);
	free(c->mode);
	free(c->owner);
	free(c->first);
	free(c->last);
	free(c);
}

void df_aggregate_done(struct df_aggregate *a)
{
	for (size_t i = 0; i < a->n; i++)
		free_container(a->list[i]);
	free(a->list);
	*a = (struct df_aggregate){0};
}
