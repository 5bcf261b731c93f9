/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input: a file that deployfence report is given.  It is read both as a report and as
 * lines of events, and what came of it is shown in every form.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/line_reader.h"
#include "cli/report/event_read.h"
#include "cli/report/report.h"
#include "lib/base/json.h"
#include "lib/base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right, const char *what)
{
	if (is_right)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

static char *show(const struct df_report *r, const struct df_form *form, enum df_view view,
		  size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	check(out && df_report_write(out, r, form, view) == 0 && fclose(out) == 0, "writer");
	return text;
}

/* Whoever obeys escape sequences, or the order of writing, gets none. */
static void check_plain(const char *text, size_t len)
{
	check(!memchr(text, '\033', len) && !memchr(text, '\r', len) && !memchr(text, '\0', len),
	      "control character");
	check(!strstr(text, "\xe2\x80\xae"), "right to left");
}

static void check_json(const struct df_report *r, const struct df_form *form, enum df_view view)
{
	char error[DF_JSON_ERROR_MAX];
	struct df_json *doc = NULL;
	size_t len;
	char *text = show(r, form, view, &len);

	check_plain(text, len);
	check(df_json_parse_large(text, len, SIZE_MAX, SIZE_MAX, &doc, error) == 0, "JSON");
	df_json_free(doc);
	free(text);
}

static void check_html(const struct df_report *r)
{
	size_t len;
	char *text = show(r, &df_form_html, DF_VIEW_REPORT, &len);

	check_plain(text, len);
	check(!strstr(text, "<script") && !strstr(text, "<!--") && !strstr(text, "<img") &&
		      !strstr(text, "<a "),
	      "an element of somebody else's");
	free(text);
}

static void check_text(const struct df_report *r, const struct df_form *form, enum df_view view)
{
	size_t len;
	char *text = show(r, form, view, &len);

	check_plain(text, len);
	free(text);
}

/* What we write we can read, and it says the same again, but for the time of making. */
static void check_again(const struct df_report *r)
{
	char error[DF_REPORT_ERROR_MAX];
	struct df_report again = {0};
	size_t len, len2;
	char *text = show(r, &df_form_json, DF_VIEW_REPORT, &len), *text2;

	check(df_report_read(&again.all, text, len, error) == 0, "our own report is refused");
	df_aggregate_sort(&again.all);
	text2 = show(&again, &df_form_json, DF_VIEW_REPORT, &len2);
	/* what differs in characters that are shown by their octets alone becomes one */
	check(again.all.n <= r->all.n && again.all.n_rows <= r->all.n_rows, "more than there was");
	check(again.all.n < r->all.n || again.all.n_rows < r->all.n_rows || len == len2,
	      "not the same again");
	df_aggregate_done(&again.all);
	free(text);
	free(text2);
}

static void check_all(struct df_report *r)
{
	struct df_baseline b;

	df_aggregate_sort(&r->all);
	check_text(r, &df_form_text, DF_VIEW_REPORT);
	check_text(r, &df_form_dot, DF_VIEW_REPORT);
	check_text(r, &df_form_text, DF_VIEW_SUMMARY);
	check_text(r, &df_form_text, DF_VIEW_GRAPH);
	check_text(r, &df_form_dot, DF_VIEW_GRAPH);
	check_json(r, &df_form_sarif, DF_VIEW_REPORT);
	check_json(r, &df_form_json, DF_VIEW_SUMMARY);
	check_json(r, &df_form_json, DF_VIEW_GRAPH);
	check_html(r);
	check_again(r);
	check(df_baseline_compare(&r->all, &r->all, &b) == 0 && b.n_added == 0 && b.n_gone == 0,
	      "new to itself");
	df_baseline_done(&b);
}

static void check_events(const char *text, size_t size)
{
	struct df_report r = {0};

	for (size_t from = 0, len; from < size; from += len + 1) {
		const char *newline = memchr(text + from, '\n', size - from);
		_cleanup_free_ char *line = NULL;

		len = newline ? (size_t)(newline - text) - from : size - from;
		if (len > DF_LINE_MAX)
			break;
		line = malloc(len ? len : 1);
		check(line, "memory");
		memcpy(line, text + from, len);
		(void)df_event_read(&r.all, line, len, "host");
	}
	check_all(&r);
	df_aggregate_done(&r.all);
}

static void check_report(const char *text, size_t size)
{
	char error[DF_REPORT_ERROR_MAX] = "";
	struct df_report r = {0};
	int status = df_report_read(&r.all, text, size, error);

	check(status == 0 || (status == -EBADMSG && *error), "status");
	check(status == 0 || r.all.n == 0, "part of a refused report");
	check_all(&r);
	df_aggregate_done(&r.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *exact = malloc(size ? size : 1);

	if (!exact)
		return 0;
	memcpy(exact, data, size);
	check_report(exact, size);
	check_events(exact, size);
	return 0;
}
