/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence report --summary: scripts and the names they need, over all containers. */
#include "cli/cli.h"
#include "cli/report.h"
#include "cli/report/totals.h"
#include "cli/text.h"
#include "lib/base/util.h"

#define CLASSES (DF_CLASS_DIRECT + 1)
#define SCRIPT_WIDTH_MAX 60

struct sum {
	uint64_t n_dependencies, count, blocked, would_block;
};

/* Direct ones first, as everywhere. */
static const enum df_class classes[CLASSES] = {DF_CLASS_DIRECT, DF_CLASS_HIDDEN, DF_CLASS_UNKNOWN};

static void add(struct sum *s, const struct df_total *t)
{
	s->n_dependencies++;
	df_aggregate_add(&s->count, t->count);
	df_aggregate_add(&s->blocked, t->blocked);
	df_aggregate_add(&s->would_block, t->would_block);
}

static void sum_up(const struct df_totals *t, struct sum ret_classes[static CLASSES],
		   struct sum *ret_all)
{
	for (size_t i = 0; i < t->n; i++) {
		add(&ret_classes[t->list[i].class], &t->list[i]);
		add(ret_all, &t->list[i]);
	}
}

/* In thousandths, so that JSON needs no fraction of its own making. */
static unsigned rate(const struct sum *s)
{
	uint64_t against = s->blocked;

	df_aggregate_add(&against, s->would_block);
	return s->count == 0 ? 0 : (unsigned)((double)against / (double)s->count * 1000 + 0.5);
}

static void put_sum(struct df_table *t, const char *what, const struct sum *s)
{
	df_table_row(t, NULL);
	df_table_cell(t, 0, what);
	df_table_cellf(t, 1, "%llu", (unsigned long long)s->n_dependencies);
	df_table_cellf(t, 2, "%llu", (unsigned long long)s->count);
	df_table_cellf(t, 3, "%llu", (unsigned long long)s->blocked);
	df_table_cellf(t, 4, "%llu", (unsigned long long)s->would_block);
	df_table_cellf(t, 5, "%u.%u%%", rate(s) / 10, rate(s) % 10);
}

static void put_sums(FILE *out, const struct sum sums[static CLASSES], const struct sum *all)
{
	static const struct df_column columns[] = {
		{.title = "CLASS"},
		{.title = "DEPENDENCIES", .is_right = true},
		{.title = "COUNT", .is_right = true},
		{.title = "REFUSED", .is_right = true},
		{.title = "WOULD-REFUSE", .is_right = true},
		{.title = "RATE", .is_right = true},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < CLASSES; i++)
		put_sum(&t, df_class_name(classes[i]), &sums[classes[i]]);
	put_sum(&t, "all", all);
	df_table_print(out, &t);
}

static void put_dependencies(FILE *out, const struct df_totals *totals)
{
	static const struct df_column columns[] = {
		{.title = "CLASS"},
		{.title = "SCRIPT", .max = SCRIPT_WIDTH_MAX},
		{.title = "NAME"},
		{.title = "COUNT", .is_right = true},
		{.title = "REFUSED", .is_right = true, .usual = "0"},
		{.title = "WOULD-REFUSE", .is_right = true, .usual = "0"},
		{.title = "CONTAINERS", .is_right = true},
		{.title = "LAST"},
	};
	struct df_table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

	for (size_t i = 0; i < totals->n && !t.is_failed; i++) {
		const struct df_total *d = &totals->list[i];

		df_table_row(&t, NULL);
		df_table_cell(&t, 0, df_class_name(d->class));
		df_table_cell(&t, 1, d->key);
		df_table_cellf(&t, 2, "%.*s", (int)df_class_len(d->second), d->second);
		df_table_cellf(&t, 3, "%llu", (unsigned long long)d->count);
		df_table_cellf(&t, 4, "%llu", (unsigned long long)d->blocked);
		df_table_cellf(&t, 5, "%llu", (unsigned long long)d->would_block);
		df_table_cellf(&t, 6, "%llu", (unsigned long long)d->n_containers);
		df_table_cellf(&t, 7, "%.19s", d->last);
	}
	df_table_print(out, &t);
}

static uint64_t search_attempts(const struct df_report *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->all.n; i++)
		df_aggregate_add(&n, r->all.list[i]->n_search);
	return n;
}

int df_summary_text(FILE *out, const struct df_report *r)
{
	struct sum sums[CLASSES] = {0}, all = {0};
	struct df_totals totals;
	int status = df_totals_by_script(&r->all, &totals);

	if (status < 0)
		return status;
	sum_up(&totals, sums, &all);
	(void)fprintf(out, "%zu container%s", r->all.n, r->all.n == 1 ? "" : "s");
	if (*r->all.since)
		(void)fprintf(out, " since %s", r->all.since);
	(void)fputc('\n', out);
	if (search_attempts(r) > 0)
		(void)fprintf(out, "%llu attempts of search lists are not counted\n",
			      (unsigned long long)search_attempts(r));
	(void)fputc('\n', out);
	put_sums(out, sums, &all);
	if (totals.n > 0)
		(void)fputc('\n', out);
	put_dependencies(out, &totals);
	df_report_text_gaps(out, r);
	df_totals_done(&totals);
	return 0;
}

static void put_json_sum(struct df_json_out *j, const char *key, const struct sum *s)
{
	df_json_out_open(j, key, '{');
	df_json_out_uint(j, "dependencies", s->n_dependencies);
	df_json_out_uint(j, "count", s->count);
	df_json_out_uint(j, "refused", s->blocked);
	df_json_out_uint(j, "would_refuse", s->would_block);
	df_json_out_uint(j, "against_per_mille", rate(s));
	df_json_out_close(j, '}');
}

static void put_json_dependency(struct df_json_out *j, const struct df_total *d)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "script", d->key);
	df_json_out_string(j, "domain", d->second);
	df_json_out_string(j, "class", df_class_name(d->class));
	df_json_out_uint(j, "count", d->count);
	df_json_out_uint(j, "refused", d->blocked);
	df_json_out_uint(j, "would_refuse", d->would_block);
	df_json_out_uint(j, "containers", d->n_containers);
	if (*d->last)
		df_json_out_string(j, "last", d->last);
	df_json_out_close(j, '}');
}

int df_summary_json(FILE *out, const struct df_report *r)
{
	struct df_json_out j = {.out = out};
	struct sum sums[CLASSES] = {0}, all = {0};
	struct df_totals totals;
	int status = df_totals_by_script(&r->all, &totals);

	if (status < 0)
		return status;
	sum_up(&totals, sums, &all);
	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(&j, "kind", "summary");
	if (*r->all.since)
		df_json_out_string(&j, "since", r->all.since);
	df_json_out_uint(&j, "damaged_lines", r->all.n_damaged);
	df_json_out_uint(&j, "left_out", r->all.n_left_out);
	df_json_out_uint(&j, "containers", r->all.n);
	df_json_out_uint(&j, "search_attempts", search_attempts(r));
	put_json_sum(&j, "all", &all);
	for (size_t i = 0; i < CLASSES; i++)
		put_json_sum(&j, df_class_name(classes[i]), &sums[classes[i]]);
	df_json_out_open(&j, "dependencies", '[');
	for (size_t i = 0; i < totals.n; i++)
		put_json_dependency(&j, &totals.list[i]);
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
	df_totals_done(&totals);
	return 0;
}
