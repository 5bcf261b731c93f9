/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/report_read.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/base/util.h"

/* Where in the document we are, for messages, and what went wrong first. */
struct reading {
	struct df_aggregate *a;
	size_t container, row;
	const char *list; /* NULL: in the container itself */
	char *error;
};

static const char *const lists[DF_ROW_KINDS] = {
	[DF_ROW_NAME] = "domains",
	[DF_ROW_CONNECTION] = "connections",
	[DF_ROW_SHADOW] = "shadow",
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *r, const char *format, ...)
{
	va_list args;
	size_t pos = 0;

	df_append(r->error, DF_REPORT_ERROR_MAX, &pos, "containers[%zu]", r->container);
	if (r->list)
		df_append(r->error, DF_REPORT_ERROR_MAX, &pos, ".%s[%zu]", r->list, r->row);
	df_append(r->error, DF_REPORT_ERROR_MAX, &pos, ": ");
	va_start(args, format);
	(void)vsnprintf(r->error + pos, DF_REPORT_ERROR_MAX - pos, format, args);
	va_end(args);
	return -EBADMSG;
}

static int get_text(struct reading *r, const struct df_json *obj, const char *key, const char **ret)
{
	const struct df_json *v = df_json_get(obj, key);

	*ret = df_json_string(v);
	return v && !*ret ? refuse(r, "%s is no string", key) : 0;
}

/* Missing: 0. */
static int get_count(struct reading *r, const struct df_json *obj, const char *key, uint64_t *ret)
{
	const struct df_json *v = df_json_get(obj, key);
	int64_t value = 0;

	if (v && (df_json_int(v, &value) < 0 || value < 0))
		return refuse(r, "%s is no count", key);
	*ret = (uint64_t)value;
	return 0;
}

static int get_time(struct reading *r, const struct df_json *obj, const char *key,
		    char ret[static DF_TIME_MAX])
{
	const char *text;
	int status = get_text(r, obj, key, &text);

	if (status < 0)
		return status;
	if (text && !df_time_is_plain(text))
		return refuse(r, "%s is no time", key);
	(void)snprintf(ret, DF_TIME_MAX, "%s", text ? text : "");
	return 0;
}

/* What is over a bound is left out and counted, the rest stays. */
static int unless_full(struct reading *r, int status)
{
	if (status != -ENOSPC)
		return status;
	df_aggregate_add(&r->a->n_left_out, 1);
	return 0;
}

static int get_texts(struct reading *r, const struct df_json *obj, const char *key, size_t max,
		     struct df_texts *t)
{
	const struct df_json *list = df_json_get(obj, key);

	if (list && !df_json_is_array(list))
		return refuse(r, "%s is no array", key);
	for (size_t i = 0; i < df_json_len(list); i++) {
		const char *text = df_json_string(df_json_at(list, i));
		int status;

		if (!text)
			return refuse(r, "%s[%zu] is no string", key, i);
		status = unless_full(r, df_texts_append(t, &r->a->pool, text, max));
		if (status < 0)
			return status;
	}
	return 0;
}

static int read_class(struct reading *r, const struct df_json *obj, enum df_class *ret)
{
	const char *text;
	int status = get_text(r, obj, "class", &text);

	if (status < 0)
		return status;
	for (*ret = DF_CLASS_DIRECT; text && *ret > DF_CLASS_UNKNOWN; (*ret)--)
		if (strcmp(df_class_name(*ret), text) == 0)
			return 0;
	*ret = DF_CLASS_UNKNOWN;
	return 0;
}

static int read_verdict(struct reading *r, const struct df_json *obj, struct df_row *row)
{
	const char *text;
	int status = get_text(r, obj, "verdict", &text);

	if (status < 0)
		return status;
	row->verdict = text ? df_row_verdict_from_name(text) : DF_ROW_VERDICTS;
	return row->verdict == DF_ROW_VERDICTS ? refuse(r, "verdict is none") : 0;
}

static int read_texts(struct reading *r, const struct df_json *obj, struct df_row *row)
{
	const struct {
		const char *key, **field;
	} texts[] = {
		{"at", &row->at},
		{"domain", &row->domain},
		{"ip", &row->ip},
		{"cmd", &row->cmd},
		{"script", &row->script},
		{"rule", &row->rule},
		{"rule_owner", &row->rule_owner},
		{"owner", &row->owner},
		{"hint", &row->hint},
		{"reason", &row->reason},
		{"socket", &row->socket},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int status = get_text(r, obj, texts[i].key, texts[i].field);

		if (status < 0)
			return status;
	}
	return 0;
}

static int read_probe(struct reading *r, const struct df_json *obj, struct df_row *row,
		      uint64_t *ret_count)
{
	uint64_t port = 0;
	int status = read_texts(r, obj, row);

	if (status == 0)
		status = read_verdict(r, obj, row);
	if (status == 0)
		status = read_class(r, obj, &row->class);
	if (status == 0)
		status = get_time(r, obj, "first", row->first);
	if (status == 0)
		status = get_time(r, obj, "last", row->last);
	if (status == 0)
		status = get_count(r, obj, "port", &port);
	if (status == 0)
		status = get_count(r, obj, "count", ret_count);
	if (status < 0)
		return status;
	if (port > UINT16_MAX)
		return refuse(r, "port is none");
	if (*ret_count == 0)
		return refuse(r, "count is missing");
	if (row->kind == DF_ROW_NAME && (!row->domain || !*row->domain))
		return refuse(r, "domain is missing");
	row->port = (uint16_t)port;
	if (!row->at)
		row->at = row->kind == DF_ROW_NAME ? "dns" : "connect";
	return 0;
}

static int read_row(struct reading *r, const struct df_json *obj, struct df_report_container *c,
		    enum df_row_kind kind)
{
	struct df_row probe = {.kind = kind}, *row;
	uint64_t count;
	int status = read_probe(r, obj, &probe, &count);

	if (status < 0 || strcmp(probe.last, r->a->since) < 0)
		return status;
	status = df_aggregate_count(r->a, c, &probe, count, &row);
	if (status < 0)
		return unless_full(r, status);
	if (row->ancestry.n == 0)
		status = get_texts(r, obj, "ancestry", DF_ROW_ANCESTORS_MAX, &row->ancestry);
	if (status == 0)
		status = get_texts(r, obj, "answers", DF_ROW_ANSWERS_MAX, &row->answers);
	if (status == 0)
		status = get_texts(r, obj, "aliases", DF_ROW_ALIASES_MAX, &row->aliases);
	return status;
}

static int read_rows(struct reading *r, const struct df_json *obj, struct df_report_container *c)
{
	int status = 0;

	for (int kind = 0; kind < DF_ROW_KINDS && status == 0; kind++) {
		const struct df_json *list = df_json_get(obj, lists[kind]);

		if (list && !df_json_is_array(list))
			return refuse(r, "%s is no array", lists[kind]);
		r->list = lists[kind];
		for (r->row = 0; r->row < df_json_len(list) && status == 0; r->row++)
			status = read_row(r, df_json_at(list, r->row), c, (enum df_row_kind)kind);
		if (status == 0)
			r->list = NULL;
	}
	return status;
}

/* Findings, or what happened; the first has a name and what was seen, the other an event. */
static int read_notes(struct reading *r, const struct df_json *obj, struct df_report_container *c,
		      const char *key)
{
	const bool is_finding = strcmp(key, "findings") == 0;
	const struct df_json *list = df_json_get(obj, key);

	if (list && !df_json_is_array(list))
		return refuse(r, "%s is no array", key);
	for (size_t i = 0; i < df_json_len(list); i++) {
		const struct df_json *o = df_json_at(list, i);
		struct df_note n = {
			.event = is_finding ? "finding" : df_json_string(df_json_get(o, "event")),
			.what = is_finding ? df_json_string(df_json_get(o, "finding")) : NULL,
			.text = df_json_string(df_json_get(o, is_finding ? "seen" : "text")),
			.remedy = df_json_string(df_json_get(o, "remedy")),
		};
		int status = get_count(r, o, "count", &n.count);

		if (status == 0 && (!n.event || !*n.event || n.count == 0 ||
				    (is_finding && (!n.what || !*n.what))))
			return refuse(r, "%s[%zu] has no %s or no count", key, i,
				      is_finding ? "name" : "event");
		if (status == 0)
			status = unless_full(r, df_aggregate_note(r->a, c, &n));
		if (status < 0)
			return status;
	}
	return 0;
}

static int read_annotations(struct reading *r, const struct df_json *obj,
			    struct df_report_container *c)
{
	const struct df_json *all = df_json_get(obj, "annotations");

	if (all && !df_json_is_object(all))
		return refuse(r, "annotations is no object");
	for (size_t i = 0; i < df_json_len(all); i++) {
		const char *value = df_json_string(df_json_at(all, i));
		int status;

		if (!value)
			return refuse(r, "an annotation is no string");
		status = unless_full(r,
				     df_aggregate_annotate(r->a, c, df_json_key_at(all, i), value));
		if (status < 0)
			return status;
	}
	return 0;
}

static int read_names(struct reading *r, const struct df_json *obj, struct df_report_container *c)
{
	const struct {
		const char *key, **field;
	} names[] = {
		{"host", &c->host},     {"name", &c->name}, {"hostname", &c->hostname},
		{"image", &c->image},   {"pod", &c->pod},   {"namespace", &c->k8s_namespace},
		{"policy", &c->policy}, {"mode", &c->mode}, {"owner", &c->owner},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int status = get_text(r, obj, names[i].key, names[i].field);

		if (status == 0)
			status = unless_full(
				r, df_pool_add(&r->a->pool, *names[i].field, names[i].field));
		if (status < 0)
			return status;
	}
	return 0;
}

static int read_counts(struct reading *r, const struct df_json *obj, struct df_report_container *c)
{
	const struct df_json *lost = df_json_get(obj, "lost"), *stop = df_json_get(obj, "stop");
	const struct {
		const struct df_json *from;
		const char *key;
		uint64_t *field;
	} counts[] = {
		{obj, "suppressed", &c->n_suppressed},
		{obj, "probes", &c->n_probes},
		{obj, "search_attempts", &c->n_search},
		{lost, "events", &c->lost[DF_LOSS_EVENTS]},
		{lost, "dropped", &c->lost[DF_LOSS_DROPPED]},
		{lost, "malformed", &c->lost[DF_LOSS_MALFORMED]},
		{lost, "mismatched", &c->lost[DF_LOSS_MISMATCHED]},
		{lost, "stray", &c->lost[DF_LOSS_STRAY]},
		{lost, "unlogged", &c->lost[DF_LOSS_UNLOGGED]},
		{lost, "unshown", &c->lost[DF_LOSS_UNSHOWN]},
		{stop, "queries", &c->stop_queries},
		{stop, "refused", &c->stop_refused},
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		int status = get_count(r, counts[i].from, counts[i].key, counts[i].field);

		if (status < 0)
			return status;
	}
	c->is_ended = df_json_is_true(df_json_get(obj, "ended"));
	c->is_whole = df_json_is_true(df_json_get(obj, "complete"));
	c->is_imported = true;
	return 0;
}

static int read_container(struct reading *r, const struct df_json *obj)
{
	const char *id = df_json_string(df_json_get(obj, "id"));
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_report_container *c;
	int status;

	if (!id || !*id)
		return refuse(r, "id is missing");
	status = get_time(r, obj, "first", first);
	if (status == 0)
		status = get_time(r, obj, "last", last);
	if (status < 0)
		return status;
	c = df_aggregate_find(r->a, id);
	if (strcmp(last, r->a->since) < 0 || (c && strcmp(c->last, last) >= 0))
		return 0;
	if (c)
		df_aggregate_reset(r->a, c);
	else
		status = df_aggregate_container(r->a, id, &c);
	if (status < 0)
		return unless_full(r, status);
	memcpy(c->first, first, sizeof(first));
	memcpy(c->last, last, sizeof(last));
	status = read_names(r, obj, c);
	if (status == 0)
		status = read_counts(r, obj, c);
	if (status == 0)
		status = read_annotations(r, obj, c);
	if (status == 0)
		status = get_texts(r, obj, "addresses", DF_ADDRESSES_MAX, &c->addresses);
	if (status == 0)
		status = get_texts(r, obj, "unpinned", DF_UNPINNED_MAX, &c->unpinned);
	if (status == 0)
		status = read_notes(r, obj, c, "findings");
	if (status == 0)
		status = read_notes(r, obj, c, "notes");
	return status == 0 ? read_rows(r, obj, c) : status;
}

static int read_document(struct reading *r, const struct df_json *doc)
{
	const struct df_json *list = df_json_get(doc, "containers");
	const char *kind = df_json_string(df_json_get(doc, "kind"));
	int64_t schema = 0, gaps = 0;
	size_t pos = 0;

	(void)df_json_int(df_json_get(doc, "schema"), &schema);
	if (!df_json_is_array(list) || (kind && strcmp(kind, "report") != 0)) {
		df_append(r->error, DF_REPORT_ERROR_MAX, &pos, "no report of deployfence");
		return -EBADMSG;
	}
	if (schema != DF_CLI_SCHEMA) {
		df_append(r->error, DF_REPORT_ERROR_MAX, &pos, "a report of schema %lld, not %d",
			  (long long)schema, DF_CLI_SCHEMA);
		return -EBADMSG;
	}
	/* what that report did not know is not known now */
	if (df_json_int(df_json_get(doc, "left_out"), &gaps) == 0 && gaps > 0)
		df_aggregate_add(&r->a->n_left_out, (uint64_t)gaps);
	if (df_json_int(df_json_get(doc, "damaged_lines"), &gaps) == 0 && gaps > 0)
		df_aggregate_add(&r->a->n_damaged, (uint64_t)gaps);
	for (r->container = 0; r->container < df_json_len(list); r->container++) {
		int status = read_container(r, df_json_at(list, r->container));

		if (status < 0)
			return status;
	}
	return 0;
}

int df_report_read(struct df_aggregate *a, const char *text, size_t len,
		   char ret_error[static DF_REPORT_ERROR_MAX])
{
	struct df_aggregate trial = {0};
	struct reading first = {.a = &trial, .error = ret_error};
	struct reading second = {.a = a, .error = ret_error};
	struct df_json *doc = NULL;
	int status = df_json_parse_large(text, len, DF_REPORT_FILE_MAX, DF_REPORT_VALUES_MAX, &doc,
					 ret_error);

	if (status < 0)
		return status == -ENOMEM ? -ENOMEM : -EBADMSG;
	status = read_document(&first, doc);
	df_aggregate_done(&trial);
	if (status == 0)
		status = read_document(&second, doc);
	df_json_free(doc);
	return status;
}
