/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as JSON for programs: docs/report.schema.json.  report_read reads it again. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/report.h"
#include "cli/report/totals.h"
#include "cli/text.h"
#include "lib/base/util.h"

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
	if (*time)
		df_json_out_string(j, key, time);
}

static void put_row(struct df_json_out *j, const struct df_row *row)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "domain", row->domain);
	if (row->domain)
		df_json_out_string(j, "parent", df_class_parent(row->domain));
	df_json_out_string(j, "ip", row->ip);
	if (row->ip || row->port)
		df_json_out_uint(j, "port", row->port);
	df_json_out_string(j, "socket", row->socket);
	df_json_out_string(j, "verdict", df_row_verdict_name(row->verdict));
	df_json_out_string(j, "at", row->at);
	if (row->domain)
		df_json_out_string(j, "class", df_class_name(row->class));
	df_json_out_uint(j, "count", row->count);
	df_json_out_string(j, "cmd", row->cmd);
	df_json_out_string(j, "script", row->script);
	put_texts(j, "ancestry", &row->ancestry);
	df_json_out_string(j, "reason", row->reason);
	df_json_out_string(j, "rule", row->rule);
	df_json_out_string(j, "rule_owner", row->rule_owner);
	df_json_out_string(j, "owner", row->owner);
	df_json_out_string(j, "hint", row->hint);
	put_time(j, "first", row->first);
	put_time(j, "last", row->last);
	put_texts(j, "answers", &row->answers);
	put_texts(j, "aliases", &row->aliases);
	if (row->is_new)
		df_json_out_bool(j, "new", true);
	df_json_out_close(j, '}');
}

static void put_rows(struct df_json_out *j, const char *key, const struct df_report_container *c,
		     enum df_row_kind kind)
{
	df_json_out_open(j, key, '[');
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i]->kind == kind)
			put_row(j, c->rows[i]);
	df_json_out_close(j, ']');
}

static void put_total(struct df_json_out *j, const char *key, const char *second,
		      const struct df_total *t)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, key, t->key);
	df_json_out_string(j, "rule_owner", t->rule_owner);
	if (second)
		df_json_out_string(j, second, t->second);
	df_json_out_uint(j, "names", t->n_names);
	df_json_out_uint(j, "count", t->count);
	df_json_out_uint(j, "refused", t->blocked);
	df_json_out_uint(j, "would_refuse", t->would_block);
	df_json_out_close(j, '}');
}

static int put_parents(struct df_json_out *j, const struct df_report_container *c)
{
	struct df_totals totals;
	int r = df_totals_by_parent(c, &totals);

	if (r < 0)
		return r;
	df_json_out_open(j, "groups", '[');
	for (size_t i = 0; i < totals.n; i++)
		put_total(j, "parent", NULL, &totals.list[i]);
	df_json_out_close(j, ']');
	df_totals_done(&totals);
	return 0;
}

static void put_names(struct df_json_out *j, const struct df_report_container *c)
{
	df_json_out_string(j, "id", c->id);
	df_json_out_string(j, "host", c->host);
	df_json_out_string(j, "name", c->name);
	df_json_out_string(j, "hostname", c->hostname);
	df_json_out_string(j, "image", c->image);
	df_json_out_string(j, "pod", c->pod);
	df_json_out_string(j, "namespace", c->k8s_namespace);
	df_json_out_string(j, "owner", c->owner);
	df_json_out_string(j, "policy", c->policy);
	df_json_out_string(j, "mode", c->mode);
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
}

static void put_counts(struct df_json_out *j, const struct df_report_container *c)
{
	df_json_out_uint(j, "queries", c->n_queries);
	df_json_out_uint(j, "refused", c->n_blocked);
	df_json_out_uint(j, "would_refuse", c->n_would_block);
	df_json_out_uint(j, "refused_connections", c->n_connections);
	df_json_out_uint(j, "proxied", c->n_proxied);
	df_json_out_uint(j, "probes", c->n_probes);
	df_json_out_uint(j, "search_attempts", c->n_search);
	df_json_out_uint(j, "suppressed", c->n_suppressed);
	if (!c->is_ended)
		return;
	df_json_out_open(j, "stop", '{');
	df_json_out_uint(j, "queries", c->stop_queries);
	df_json_out_uint(j, "refused", c->stop_refused);
	df_json_out_close(j, '}');
	df_json_out_open(j, "lost", '{');
	df_json_out_uint(j, "events", c->lost[DF_LOSS_EVENTS]);
	df_json_out_uint(j, "dropped", c->lost[DF_LOSS_DROPPED]);
	df_json_out_uint(j, "malformed", c->lost[DF_LOSS_MALFORMED]);
	df_json_out_uint(j, "mismatched", c->lost[DF_LOSS_MISMATCHED]);
	df_json_out_uint(j, "stray", c->lost[DF_LOSS_STRAY]);
	df_json_out_uint(j, "unlogged", c->lost[DF_LOSS_UNLOGGED]);
	df_json_out_uint(j, "unshown", c->lost[DF_LOSS_UNSHOWN]);
	df_json_out_close(j, '}');
}

static void put_notes(struct df_json_out *j, const struct df_report_container *c, bool is_finding)
{
	df_json_out_open(j, is_finding ? "findings" : "notes", '[');
	for (size_t i = 0; i < c->n_notes; i++) {
		const struct df_note *n = &c->notes[i];

		if (!n->what == is_finding)
			continue;
		df_json_out_open(j, NULL, '{');
		df_json_out_string(j, is_finding ? "finding" : "event",
				   is_finding ? n->what : n->event);
		df_json_out_string(j, is_finding ? "seen" : "text", n->text);
		df_json_out_string(j, "remedy", n->remedy);
		df_json_out_uint(j, "count", n->count);
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
}

static int put_container(struct df_json_out *j, const struct df_report_container *c)
{
	int r;

	df_json_out_open(j, NULL, '{');
	put_names(j, c);
	put_counts(j, c);
	r = put_parents(j, c);
	put_rows(j, "domains", c, DF_ROW_NAME);
	put_rows(j, "connections", c, DF_ROW_CONNECTION);
	put_rows(j, "shadow", c, DF_ROW_SHADOW);
	put_notes(j, c, true);
	put_notes(j, c, false);
	df_json_out_close(j, '}');
	return r;
}

static int put_rules(struct df_json_out *j, const struct df_aggregate *a)
{
	struct df_totals totals;
	int r = df_totals_by_rule(a, &totals);

	if (r < 0)
		return r;
	df_json_out_open(j, "rules", '[');
	for (size_t i = 0; i < totals.n; i++)
		put_total(j, "rule", "owner", &totals.list[i]);
	df_json_out_close(j, ']');
	df_totals_done(&totals);
	return 0;
}

static void put_dependencies(struct df_json_out *j, const char *key, const struct df_row **rows,
			     size_t n)
{
	df_json_out_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		put_row(j, rows[i]);
	df_json_out_close(j, ']');
}

static void put_baseline(struct df_json_out *j, const struct df_baseline *b)
{
	df_json_out_open(j, "baseline", '{');
	df_json_out_string(j, "file", b->file);
	put_dependencies(j, "new", b->added, b->n_added);
	put_dependencies(j, "gone", b->gone, b->n_gone);
	df_json_out_close(j, '}');
}

int df_report_json(FILE *out, const struct df_report *r)
{
	struct df_json_out j = {.out = out};
	char now[DF_TIME_MAX];
	int status = 0;

	df_time_text(now);
	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(&j, "kind", "report");
	df_json_out_string(&j, "time", now);
	put_time(&j, "since", r->all.since);
	df_json_out_uint(&j, "damaged_lines", r->all.n_damaged);
	df_json_out_uint(&j, "left_out", r->all.n_left_out);
	df_json_out_open(&j, "containers", '[');
	for (size_t i = 0; i < r->all.n && status == 0; i++)
		status = put_container(&j, r->all.list[i]);
	df_json_out_close(&j, ']');
	if (status == 0)
		status = put_rules(&j, &r->all);
	if (r->baseline)
		put_baseline(&j, r->baseline);
	df_json_out_close(&j, '}');
	return status;
}
