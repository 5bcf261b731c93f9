/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as JSON for programs, written and read again (docs/report.schema.json); a summary and
 * a graph.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/internal.h"
#include "cli/report/internal.h"
#include "lib/base/util.h"

/* --- keys, for the writer and the reader alike */

#define FIELD(key, field) (key), offsetof(struct df_report_container, field)

struct field {
	const char *key;
	size_t offset; /* in struct df_report_container */
};

static const struct field names[] = {
	{FIELD("host", host)},   {FIELD("name", name)},     {FIELD("hostname", hostname)},
	{FIELD("image", image)}, {FIELD("pod", pod)},       {FIELD("namespace", k8s_namespace)},
	{FIELD("owner", owner)}, {FIELD("policy", policy)}, {FIELD("mode", mode)},
};

/* The reader counts rows by itself. */
static const struct field row_counts[] = {
	{FIELD("queries", n_queries)},          {FIELD("refused", n_blocked)},
	{FIELD("would_refuse", n_would_block)}, {FIELD("refused_connections", n_connections)},
	{FIELD("proxied", n_proxied)},
};
static const struct field counts[] = {
	{FIELD("probes", n_probes)},
	{FIELD("search_attempts", n_search)},
	{FIELD("suppressed", n_suppressed)},
};
static const struct field stop_counts[] = {
	{FIELD("queries", stop_queries)},
	{FIELD("refused", stop_refused)},
};

static const char *const row_lists[DF_ROW_KINDS] = {
	[DF_ROW_NAME] = "domains",
	[DF_ROW_CONNECTION] = "connections",
	[DF_ROW_SHADOW] = "shadow",
};

/* --- writer: rows and containers */

static void put_texts(struct df_json_out *j, const char *key, const struct df_texts *t)
{
	if (t->n == 0)
		return;
	df_json_out_open(j, key, '[');
	for (size_t i = 0; i < t->n; i++)
		df_json_out_string(j, NULL, t->list[i]);
	df_json_out_close(j, ']');
}

static void put_time(struct df_json_out *j, const char *key, const char *time)
{
	df_json_out_string(j, key, *time ? time : NULL);
}

static void put_counts(struct df_json_out *j, const struct df_report_container *c,
		       const struct field *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		df_json_out_uint(j, list[i].key,
				 *(const uint64_t *)((const char *)c + list[i].offset));
}

static void put_row(struct df_writer *w, const struct df_row *row)
{
	const char *parent = row->domain ? df_class_parent(row->domain) : NULL;
	const char *class = row->domain ? df_class_name(row->class) : NULL;
	struct df_json_out *j = &w->json;

	df_json_out_open(j, NULL, '{');
	df_json_out_members(j, DF_MEMBER("domain", row->domain), DF_MEMBER("parent", parent),
			    DF_MEMBER("ip", row->ip));
	if (row->ip || row->port)
		df_json_out_uint(j, "port", row->port);
	df_json_out_members(j, DF_MEMBER("socket", row->socket),
			    DF_MEMBER("verdict", df_row_verdict_name(row->verdict)),
			    DF_MEMBER("at", row->at), DF_MEMBER("class", class),
			    DF_MEMBER("count", row->count), DF_MEMBER("cmd", row->cmd),
			    DF_MEMBER("script", row->script));
	put_texts(j, "ancestry", &row->ancestry);
	df_json_out_members(j, DF_MEMBER("reason", row->reason), DF_MEMBER("rule", row->rule),
			    DF_MEMBER("rule_owner", row->rule_owner),
			    DF_MEMBER("owner", row->owner), DF_MEMBER("hint", row->hint));
	put_time(j, "first", row->first);
	put_time(j, "last", row->last);
	put_texts(j, "answers", &row->answers);
	put_texts(j, "aliases", &row->aliases);
	if (row->is_new)
		df_json_out_bool(j, "new", true);
	df_json_out_close(j, '}');
}

static void put_note(struct df_writer *w, const struct df_report_note *n)
{
	df_json_out_object(&w->json, NULL,
			   DF_MEMBER(n->what ? "finding" : "event", n->what ? n->what : n->event),
			   DF_MEMBER(n->what ? "seen" : "text", n->text),
			   DF_MEMBER("remedy", n->remedy), DF_MEMBER("count", n->count));
}

static void begin_container(struct df_writer *w)
{
	const struct df_report_container *c = w->container;
	struct df_json_out *j = &w->json;

	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "id", c->id);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		df_json_out_string(j, names[i].key,
				   *(const char *const *)((const char *)c + names[i].offset));
	put_time(j, "first", c->first);
	put_time(j, "last", c->last);
	df_json_out_bool(j, "ended", c->is_ended);
	df_json_out_bool(j, "complete",
			 c->is_whole && !c->has_gaps && !c->lost[DF_LOSS_EVENTS] &&
				 c->unpinned.n == 0);
	if (c->n_x > 0) {
		df_json_out_open(j, "annotations", '{');
		for (size_t i = 0; i < c->n_x; i++)
			df_json_out_string(j, c->x[i].key, c->x[i].value);
		df_json_out_close(j, '}');
	}
	put_texts(j, "addresses", &c->addresses);
	put_texts(j, "unpinned", &c->unpinned);
	put_counts(j, c, row_counts, ARRAY_SIZE(row_counts));
	put_counts(j, c, counts, ARRAY_SIZE(counts));
	if (!c->is_ended)
		return;
	df_json_out_open(j, "stop", '{');
	put_counts(j, c, stop_counts, ARRAY_SIZE(stop_counts));
	df_json_out_close(j, '}');
	df_json_out_open(j, "lost", '{');
	for (enum df_loss i = 0; i < DF_LOSSES; i++)
		df_json_out_uint(j, df_loss_name(i), c->lost[i]);
	df_json_out_close(j, '}');
}

static void end_container(struct df_writer *w)
{
	df_json_out_close(&w->json, '}');
}

/* --- writer: sections */

static void put_total(struct df_writer *w, const struct df_total *t)
{
	const bool is_script = w->section == DF_SECTION_SCRIPTS;
	struct df_json_out *j = &w->json;

	df_json_out_open(j, NULL, '{');
	if (is_script)
		df_json_out_members(j, DF_MEMBER("script", t->key), DF_MEMBER("domain", t->second),
				    DF_MEMBER("class", df_class_name(t->class)));
	else if (w->section == DF_SECTION_RULES)
		df_json_out_members(j, DF_MEMBER("rule", t->key),
				    DF_MEMBER("rule_owner", t->rule_owner),
				    DF_MEMBER("owner", t->second), DF_MEMBER("names", t->n_names));
	else
		df_json_out_members(j, DF_MEMBER("parent", t->key), DF_MEMBER("names", t->n_names));
	df_json_out_members(j, DF_MEMBER("count", t->count), DF_MEMBER("refused", t->blocked),
			    DF_MEMBER("would_refuse", t->would_block));
	if (is_script)
		df_json_out_members(j, DF_MEMBER("containers", t->n_containers),
				    DF_MEMBER("last", *t->last ? t->last : NULL));
	df_json_out_close(j, '}');
}

static void put_sum(struct df_json_out *j, const struct df_class_sum *s)
{
	df_json_out_object(j, s->name, DF_MEMBER("dependencies", s->n_dependencies),
			   DF_MEMBER("count", s->count), DF_MEMBER("refused", s->blocked),
			   DF_MEMBER("would_refuse", s->would_block),
			   DF_MEMBER("against_per_mille", s->against_per_mille));
}

static void begin_section(struct df_writer *w)
{
	static const char *const keys[DF_SECTIONS] = {
		[DF_SECTION_CONTAINERS] = "containers",
		[DF_SECTION_RULES] = "rules",
		[DF_SECTION_SCRIPTS] = "dependencies",
		[DF_SECTION_NEW] = "new",
		[DF_SECTION_GONE] = "gone",
		[DF_SECTION_PARENTS] = "groups",
		[DF_SECTION_NAMES] = "domains",
		[DF_SECTION_CONNECTIONS] = "connections",
		[DF_SECTION_SHADOW] = "shadow",
		[DF_SECTION_FINDINGS] = "findings",
		[DF_SECTION_EVENTS] = "notes",
	};
	struct df_class_sum sums[DF_CLASS_SUMS];
	struct df_json_out *j = &w->json;

	if (w->section == DF_SECTION_SCRIPTS) {
		df_json_out_uint(j, "containers", w->report->all.n);
		df_json_out_uint(j, "search_attempts",
				 df_aggregate_search_attempts(&w->report->all));
		df_totals_sum_classes(w->totals, sums);
		put_sum(j, &sums[DF_CLASS_SUM_ALL]);
		for (size_t i = 0; i < DF_CLASS_SUM_ALL; i++)
			put_sum(j, &sums[i]);
	}
	if (w->section == DF_SECTION_NEW) {
		df_json_out_open(j, "baseline", '{');
		df_json_out_string(j, "file", w->report->baseline->file);
	}
	df_json_out_open(j, keys[w->section], '[');
}

static void end_section(struct df_writer *w)
{
	df_json_out_close(&w->json, ']');
	if (w->section == DF_SECTION_GONE)
		df_json_out_close(&w->json, '}');
}

static void begin(struct df_writer *w)
{
	static const char *const kinds[DF_VIEWS] = {
		[DF_VIEW_REPORT] = "report",
		[DF_VIEW_SUMMARY] = "summary",
		[DF_VIEW_GRAPH] = "graph",
	};
	struct df_json_out *j = &w->json;
	char now[DF_TIME_MAX];

	df_json_out_open(j, NULL, '{');
	df_json_out_uint(j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(j, "kind", kinds[w->view]);
	df_time_text(now);
	if (w->view == DF_VIEW_REPORT)
		df_json_out_string(j, "time", now);
	put_time(j, "since", w->report->all.since);
	df_json_out_uint(j, "damaged_lines", w->report->all.n_damaged);
	df_json_out_uint(j, "left_out", w->report->all.n_left_out);
}

static void end(struct df_writer *w)
{
	df_json_out_close(&w->json, '}');
}

/* --- writer: graph */

static void put_contact(struct df_json_out *j, const struct df_graph *g,
			const struct df_graph_contact *c)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_members(
		j, DF_MEMBER("name", c->name), DF_MEMBER("verdict", df_graph_verdict(c)),
		DF_MEMBER("count", c->count), DF_MEMBER("rule", c->row->rule),
		DF_MEMBER("rule_owner", c->row->rule_owner), DF_MEMBER("owner", c->row->owner));
	if (c->blocked_for != DF_GRAPH_NONE)
		df_json_out_members(j, DF_MEMBER("blocked_for", g->services[c->blocked_for].label),
				    DF_MEMBER("guess", c->is_blocked_guess));
	df_json_out_open(j, "links", '[');
	for (size_t i = c->links; i < c->links + c->n_links; i++)
		df_json_out_object(j, NULL, DF_MEMBER("service", g->services[g->links[i].to].label),
				   DF_MEMBER("by", df_graph_by_name(g->links[i].by)),
				   DF_MEMBER("guess", g->links[i].is_guess));
	df_json_out_close(j, ']');
	df_json_out_close(j, '}');
}

static void put_chain(struct df_json_out *j, const struct df_graph *g,
		      const struct df_graph_chain *chain)
{
	const struct df_graph_contact *start = &g->contacts[g->links[chain->links[0]].contact];
	const struct df_graph_contact *last = &g->contacts[chain->end];
	_cleanup_free_ char *text = df_graph_chain_text(g, chain);
	bool is_guess = last->is_blocked_guess;

	df_json_out_open(j, NULL, '{');
	df_json_out_members(j, DF_MEMBER("chain", text),
			    DF_MEMBER("from", g->services[start->service].label));
	df_json_out_open(j, "through", '[');
	for (size_t i = 0; i < chain->n; i++) {
		const struct df_graph_link *l = &g->links[chain->links[i]];

		df_json_out_object(j, NULL, DF_MEMBER("name", g->contacts[l->contact].name),
				   DF_MEMBER("service", g->services[l->to].label),
				   DF_MEMBER("by", df_graph_by_name(l->by)),
				   DF_MEMBER("guess", l->is_guess));
		is_guess |= l->is_guess;
	}
	df_json_out_close(j, ']');
	df_json_out_members(
		j, DF_MEMBER("name", last->name), DF_MEMBER("verdict", df_graph_verdict(last)),
		DF_MEMBER("rule", last->row->rule), DF_MEMBER("rule_owner", last->row->rule_owner),
		DF_MEMBER("owner", last->row->owner),
		DF_MEMBER("blocked_for", last->blocked_for != DF_GRAPH_NONE
						 ? g->services[last->blocked_for].label
						 : NULL),
		DF_MEMBER("guess", is_guess));
	df_json_out_close(j, '}');
}

static void put_graph(struct df_writer *w, const struct df_graph *g)
{
	struct df_json_out *j = &w->json;

	df_json_out_bool(j, "complete", !g->is_cut);
	df_json_out_open(j, "services", '[');
	for (size_t i = 0; i < g->n_services; i++) {
		const struct df_graph_service *s = &g->services[i];

		df_json_out_open(j, NULL, '{');
		df_json_out_members(j, DF_MEMBER("service", s->label),
				    DF_MEMBER("containers", s->n_containers));
		df_json_out_open(j, "contacts", '[');
		for (size_t k = s->contacts; k < s->contacts + s->n_contacts; k++)
			put_contact(j, g, &g->contacts[k]);
		df_json_out_close(j, ']');
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
	df_json_out_open(j, "chains", '[');
	for (size_t i = 0; i < g->n_chains; i++)
		put_chain(j, g, &g->chains[i]);
	df_json_out_close(j, ']');
}

const struct df_form df_form_json = {
	.sections[DF_VIEW_REPORT] = DF_SECTION_LIST(DF_SECTION_CONTAINERS, DF_SECTION_RULES,
						    DF_SECTION_NEW, DF_SECTION_GONE),
	.sections[DF_VIEW_SUMMARY] = DF_SECTION_LIST(DF_SECTION_SCRIPTS),
	.sections[DF_VIEW_GRAPH] = DF_SECTION_LIST(DF_SECTION_GRAPH),
	.container_sections =
		DF_SECTION_LIST(DF_SECTION_PARENTS, DF_SECTION_NAMES, DF_SECTION_CONNECTIONS,
				DF_SECTION_SHADOW, DF_SECTION_FINDINGS, DF_SECTION_EVENTS),
	.begin = begin,
	.end = end,
	.begin_container = begin_container,
	.end_container = end_container,
	.begin_section = begin_section,
	.end_section = end_section,
	.row = put_row,
	.note = put_note,
	.total = put_total,
	.graph = put_graph,
};

/* --- reader */

/* The place in the document, for messages, and the first error; later ones do not count. */
struct reading {
	struct df_aggregate *a;
	size_t container, row;
	const char *list; /* NULL: in the container itself */
	char *error;
	int status; /* 0, -EBADMSG, -ENOMEM */
};

__attribute__((format(printf, 2, 3))) static void refuse(struct reading *r, const char *format, ...)
{
	va_list args;
	size_t pos = 0;

	if (r->status < 0)
		return;
	r->status = -EBADMSG;
	df_append(r->error, DF_REPORT_ERROR_MAX, &pos, "containers[%zu]", r->container);
	if (r->list)
		df_append(r->error, DF_REPORT_ERROR_MAX, &pos, ".%s[%zu]", r->list, r->row);
	df_append(r->error, DF_REPORT_ERROR_MAX, &pos, ": ");
	va_start(args, format);
	(void)vsnprintf(r->error + pos, DF_REPORT_ERROR_MAX - pos, format, args);
	va_end(args);
}

/* A status of the aggregate.  An entry over a bound is left out and counted; the rest stays. */
static int take_status(struct reading *r, int status)
{
	if (status == -ENOSPC)
		df_aggregate_add(&r->a->n_left_out, 1);
	else if (status < 0 && r->status == 0)
		r->status = status;
	return status;
}

/* NULL if the key is missing. */
static const char *get_text(struct reading *r, const struct df_json *obj, const char *key)
{
	const struct df_json *v = df_json_get(obj, key);
	const char *text = df_json_string(v);

	if (v && !text)
		refuse(r, "%s is no string", key);
	return text;
}

/* 0 if the key is missing. */
static uint64_t get_count(struct reading *r, const struct df_json *obj, const char *key)
{
	const struct df_json *v = df_json_get(obj, key);
	int64_t value = 0;

	if (v && (df_json_int(v, &value) < 0 || value < 0)) {
		refuse(r, "%s is no count", key);
		return 0;
	}
	return (uint64_t)value;
}

static void get_counts(struct reading *r, const struct df_json *obj, struct df_report_container *c,
		       const struct field *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(uint64_t *)((char *)c + list[i].offset) = get_count(r, obj, list[i].key);
}

static void get_time(struct reading *r, const struct df_json *obj, const char *key,
		     char ret[static DF_TIME_MAX])
{
	const char *text = get_text(r, obj, key);

	if (text && !df_time_is_plain(text))
		refuse(r, "%s is no time", key);
	(void)snprintf(ret, DF_TIME_MAX, "%s", text ? text : "");
}

/* NULL if the key is missing. */
static const struct df_json *get_list(struct reading *r, const struct df_json *obj, const char *key)
{
	const struct df_json *list = df_json_get(obj, key);

	if (list && !df_json_is_array(list)) {
		refuse(r, "%s is no array", key);
		return NULL;
	}
	return list;
}

static void get_texts(struct reading *r, const struct df_json *obj, const char *key, size_t max,
		      struct df_texts *t)
{
	const struct df_json *list = get_list(r, obj, key);

	for (size_t i = 0; i < df_json_len(list) && r->status == 0; i++) {
		const char *text = df_json_string(df_json_at(list, i));

		if (text)
			(void)take_status(r, df_texts_append(t, &r->a->pool, text, max));
		else
			refuse(r, "%s[%zu] is no string", key, i);
	}
}

static void read_row(struct reading *r, const struct df_json *obj, struct df_report_container *c,
		     enum df_row_kind kind)
{
	const char *verdict = get_text(r, obj, "verdict"), *class = get_text(r, obj, "class");
	uint64_t port = get_count(r, obj, "port"), count = get_count(r, obj, "count");
	struct df_row *row,
		probe = {
			.kind = kind,
			.verdict = verdict ? df_row_verdict_from_name(verdict) : DF_ROW_VERDICTS,
			.at = get_text(r, obj, "at"),
			.domain = get_text(r, obj, "domain"),
			.ip = get_text(r, obj, "ip"),
			.port = (uint16_t)port,
			.socket = get_text(r, obj, "socket"),
			.cmd = get_text(r, obj, "cmd"),
			.script = get_text(r, obj, "script"),
			.rule = get_text(r, obj, "rule"),
			.rule_owner = get_text(r, obj, "rule_owner"),
			.owner = get_text(r, obj, "owner"),
			.reason = get_text(r, obj, "reason"),
			.hint = get_text(r, obj, "hint"),
		};

	get_time(r, obj, "first", probe.first);
	get_time(r, obj, "last", probe.last);
	if (probe.verdict == DF_ROW_VERDICTS)
		refuse(r, "verdict is none");
	if (port > UINT16_MAX)
		refuse(r, "port is none");
	if (count == 0)
		refuse(r, "count is missing");
	if (kind == DF_ROW_NAME && (!probe.domain || !*probe.domain))
		refuse(r, "domain is missing");
	if (r->status < 0 || strcmp(probe.last, r->a->since) < 0)
		return;
	if (!probe.at)
		probe.at = kind == DF_ROW_NAME ? "dns" : "connect";
	for (enum df_class i = DF_CLASS_DIRECT; class && i > DF_CLASS_UNKNOWN; i--)
		if (strcmp(df_class_name(i), class) == 0)
			probe.class = i;
	if (take_status(r, df_aggregate_count(r->a, c, &probe, count, &row)) < 0)
		return;
	if (row->ancestry.n == 0)
		get_texts(r, obj, "ancestry", DF_ROW_ANCESTORS_MAX, &row->ancestry);
	get_texts(r, obj, "answers", DF_ROW_ANSWERS_MAX, &row->answers);
	get_texts(r, obj, "aliases", DF_ROW_ALIASES_MAX, &row->aliases);
}

static void read_rows(struct reading *r, const struct df_json *obj, struct df_report_container *c)
{
	for (enum df_row_kind kind = 0; kind < DF_ROW_KINDS; kind++) {
		const struct df_json *list = get_list(r, obj, row_lists[kind]);

		r->list = row_lists[kind];
		for (r->row = 0; r->row < df_json_len(list) && r->status == 0; r->row++)
			read_row(r, df_json_at(list, r->row), c, kind);
		r->list = NULL;
	}
}

/* Findings have a name and a text "seen", events of the fence's life an event and a text. */
static void read_notes(struct reading *r, const struct df_json *obj, struct df_report_container *c,
		       const char *key, bool is_finding)
{
	const struct df_json *list = get_list(r, obj, key);

	for (size_t i = 0; i < df_json_len(list) && r->status == 0; i++) {
		const struct df_json *o = df_json_at(list, i);
		const char *name = df_json_string(df_json_get(o, is_finding ? "finding" : "event"));
		const struct df_report_note n = {
			.event = is_finding ? "finding" : name,
			.what = is_finding ? name : NULL,
			.text = df_json_string(df_json_get(o, is_finding ? "seen" : "text")),
			.remedy = df_json_string(df_json_get(o, "remedy")),
			.count = get_count(r, o, "count"),
		};

		if (!name || !*name || n.count == 0)
			refuse(r, "%s[%zu] has no %s or no count", key, i,
			       is_finding ? "name" : "event");
		else
			(void)take_status(r, df_aggregate_note(r->a, c, &n));
	}
}

static void read_annotations(struct reading *r, const struct df_json *obj,
			     struct df_report_container *c)
{
	const struct df_json *all = df_json_get(obj, "annotations");

	if (all && !df_json_is_object(all))
		refuse(r, "annotations is no object");
	for (size_t i = 0; i < df_json_len(all) && r->status == 0; i++) {
		const char *value = df_json_string(df_json_at(all, i));

		if (value)
			(void)take_status(
				r, df_aggregate_annotate(r->a, c, df_json_key_at(all, i), value));
		else
			refuse(r, "an annotation is no string");
	}
}

static void read_container(struct reading *r, const struct df_json *obj)
{
	const char *id = df_json_string(df_json_get(obj, "id"));
	char first[DF_TIME_MAX], last[DF_TIME_MAX];
	struct df_report_container *c;

	if (!id || !*id)
		refuse(r, "id is missing");
	get_time(r, obj, "first", first);
	get_time(r, obj, "last", last);
	if (r->status < 0)
		return;
	c = df_aggregate_find(r->a, id);
	if (strcmp(last, r->a->since) < 0 || (c && strcmp(c->last, last) >= 0))
		return;
	if (c)
		df_aggregate_reset(r->a, c);
	else if (take_status(r, df_aggregate_container(r->a, id, &c)) < 0)
		return;
	memcpy(c->first, first, sizeof(first));
	memcpy(c->last, last, sizeof(last));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)take_status(r, df_pool_add(&r->a->pool, get_text(r, obj, names[i].key),
						 (const char **)((char *)c + names[i].offset)));
	get_counts(r, obj, c, counts, ARRAY_SIZE(counts));
	get_counts(r, df_json_get(obj, "stop"), c, stop_counts, ARRAY_SIZE(stop_counts));
	for (enum df_loss i = 0; i < DF_LOSSES; i++)
		c->lost[i] = get_count(r, df_json_get(obj, "lost"), df_loss_name(i));
	c->is_ended = df_json_is_true(df_json_get(obj, "ended"));
	c->is_whole = df_json_is_true(df_json_get(obj, "complete"));
	c->is_imported = true;
	read_annotations(r, obj, c);
	get_texts(r, obj, "addresses", DF_ADDRESSES_MAX, &c->addresses);
	get_texts(r, obj, "unpinned", DF_UNPINNED_MAX, &c->unpinned);
	read_notes(r, obj, c, "findings", true);
	read_notes(r, obj, c, "notes", false);
	read_rows(r, obj, c);
}

/* 0, -EBADMSG, -ENOMEM. */
static int read_document(struct df_aggregate *a, const struct df_json *doc, char *error)
{
	struct reading r = {.a = a, .error = error};
	const struct df_json *list = df_json_get(doc, "containers");
	const char *kind = df_json_string(df_json_get(doc, "kind"));
	int64_t schema = 0, gaps = 0;

	(void)df_json_int(df_json_get(doc, "schema"), &schema);
	if (!df_json_is_array(list) || (kind && strcmp(kind, "report") != 0)) {
		(void)snprintf(error, DF_REPORT_ERROR_MAX, "no report of deployfence");
		return -EBADMSG;
	}
	if (schema != DF_CLI_SCHEMA) {
		(void)snprintf(error, DF_REPORT_ERROR_MAX, "a report of schema %lld, not %d",
			       (long long)schema, DF_CLI_SCHEMA);
		return -EBADMSG;
	}
	/* gaps of that report are gaps of this one */
	if (df_json_int(df_json_get(doc, "left_out"), &gaps) == 0 && gaps > 0)
		df_aggregate_add(&a->n_left_out, (uint64_t)gaps);
	if (df_json_int(df_json_get(doc, "damaged_lines"), &gaps) == 0 && gaps > 0)
		df_aggregate_add(&a->n_damaged, (uint64_t)gaps);
	for (; r.container < df_json_len(list) && r.status == 0; r.container++)
		read_container(&r, df_json_at(list, r.container));
	return r.status;
}

int df_report_read(struct df_aggregate *a, const char *text, size_t len,
		   char ret_error[static DF_REPORT_ERROR_MAX])
{
	struct df_aggregate trial = {0};
	struct df_json *doc = NULL;
	int status = df_json_parse_large(text, len, DF_REPORT_FILE_MAX, DF_REPORT_VALUES_MAX, &doc,
					 ret_error);

	if (status < 0)
		return status == -ENOMEM ? -ENOMEM : -EBADMSG;
	status = read_document(&trial, doc, ret_error);
	df_aggregate_done(&trial);
	if (status == 0)
		status = read_document(a, doc, ret_error);
	df_json_free(doc);
	return status;
}
