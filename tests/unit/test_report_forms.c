/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of an aggregate: every form, and a report read again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/report/event_read.h"
#include "cli/report/report.h"
#include "lib/base/json.h"
#include "lib/base/util.h"

#define BOX "\"container\":{\"id\":\"c1\",\"name\":\"web\"},\"policy\":\"p\",\"mode\":\"enforce\""
#define BOX2 "\"container\":{\"id\":\"c2\"},\"policy\":\"p\",\"mode\":\"audit\""
#define AT(s) "\"schema\":1,\"time\":\"2026-01-01T00:00:" s ".000000Z\","
#define SH "\"ancestry\":[{\"pid\":1,\"comm\":\"sh\",\"cmd\":\"sh ./d.sh\"}],"
/* Ends an attribute, an element, a DOT string, a JSON string, a SARIF message, a line. */
#define EVIL                                                                                       \
	"\\\"'><script>x</script><!--&amp;\\\\[l](h){0}\\u001b[31m\\u202e\\n\\u00e4\\\\N\\\" -> "  \
	"x;"

static const char *const events[] = {
	"{" AT("01") "\"event\":\"start\",\"message\":\"x\",\"addresses\":[\"10.0.0.1\"],"
		     "\"annotations\":{\"owner\":\"me\",\"x-service\":\"web\"}," BOX "}",
	"{" AT("02") "\"event\":\"query\",\"blocked\":false,\"domain\":\"a.ok.example.\",\"cmd\":"
		     "\"curl a.ok.example \"," SH "\"answers\":[\"192.0.2.1\"],\"cname_chain\":"
		     "[\"b.cdn.example.\"]," BOX "}",
	"{" AT("03") "\"event\":\"query\",\"blocked\":false,\"domain\":\"b.ok.example.\",\"cmd\":"
		     "\"tool \"," SH BOX "}",
	"{" AT("04") "\"event\":\"dns_blocked\",\"blocked\":true,\"blockedAt\":\"dns\",\"domain\":"
		     "\"github.com.\",\"cmd\":\"git clone https://github.com/x \",\"rule\":"
		     "\"p.policy:3 block github.com\",\"owner\":\"team\",\"hint\":\"no\"," SH BOX
		     "}",
	"{" AT("05") "\"event\":\"connect_blocked\",\"blocked\":true,\"blockedAt\":\"connect\","
		     "\"ip\":"
		     "\"2001:db8::1\",\"port\":443,\"count\":2,\"reason\":\"AddressRule\",\"rule\":"
		     "\"p.policy:4 block 2001:db8::/32\",\"cmd\":\"x \"," BOX "}",
	"{" AT("06") "\"event\":\"shadow\",\"would_block\":true,\"domain\":\"a.ok.example.\","
		     "\"rule\":"
		     "\"s.policy default deny\"," SH BOX "}",
	"{" AT("07") "\"event\":\"finding\",\"finding\":\"http-proxy\",\"seen\":\"s\",\"remedy\":"
		     "\"r\"," BOX "}",
	"{" AT("08") "\"event\":\"stop\",\"message\":\"container ended\",\"totals\":"
		     "{\"queries\":3,\"refused\":3,\"lost\":1}," BOX "}",
	"{" AT("02") "\"event\":\"dns_blocked\",\"blocked\":false,\"would_block\":true,"
		     "\"blockedAt\":"
		     "\"dns\",\"domain\":\"github.com.\",\"cmd\":\"tool \",\"rule\":"
		     "\"p.policy:3 block github.com\"," SH BOX2 "}",
	"{" AT("03") "\"event\":\"unobserved\",\"ip\":\"192.0.2.9\",\"port\":53,\"reason\":"
		     "\"NoHeartbeat\",\"count\":1," BOX2 "}",
};

static const char evil[] = "{" AT(
	"01") "\"event\":\"dns_blocked\",\"blocked\":true,\"blockedAt\":\"" EVIL "\",\"domain\":"
	      "\"" EVIL ".\",\"ip\":\"" EVIL "\",\"port\":1,\"cmd\":\"sh " EVIL
	      " \",\"rule\":\"" EVIL "\",\"rule_owner\":\"" EVIL "\",\"owner\":\"" EVIL
	      "\",\"hint\":\"" EVIL "\",\"reason\":\"" EVIL "\",\"ancestry\":"
	      "[{\"pid\":1,\"comm\":\"sh\",\"cmd\":\"sh " EVIL "\"}],\"answers\":[\"" EVIL "\"],"
	      "\"annotations\":{\"owner\":\"" EVIL "\",\"x-service\":\"" EVIL "\"},\"container\":{"
	      "\"id\":\"" EVIL "\",\"name\":\"" EVIL "\",\"image\":\"" EVIL "\"},\"policy\":\"" EVIL
	      "\",\"mode\":\"" EVIL "\"}";
static const char evil_note[] =
	"{" AT("02") "\"event\":\"" EVIL "\",\"finding\":\"" EVIL "\",\"seen\":\"" EVIL
		     "\",\"remedy\":\"" EVIL "\",\"container\":{\"id\":\"" EVIL "\"}}";

static const struct {
	const char *name;
	const struct df_form *form;
	enum df_view view;
	bool is_json;
} forms[] = {
	{"text", &df_form_text, DF_VIEW_REPORT, false},
	{"json", &df_form_json, DF_VIEW_REPORT, true},
	{"sarif", &df_form_sarif, DF_VIEW_REPORT, true},
	{"html", &df_form_html, DF_VIEW_REPORT, false},
	{"dot", &df_form_dot, DF_VIEW_REPORT, false},
	{"summary", &df_form_text, DF_VIEW_SUMMARY, false},
	{"summary json", &df_form_json, DF_VIEW_SUMMARY, true},
	{"graph", &df_form_text, DF_VIEW_GRAPH, false},
	{"graph json", &df_form_json, DF_VIEW_GRAPH, true},
	{"graph dot", &df_form_dot, DF_VIEW_GRAPH, false},
};

static void add(struct df_aggregate *a, const char *line)
{
	assert_int_equal(df_event_read(a, line, strlen(line), "host"), 0);
}

static void make(struct df_report *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		add(&r->all, events[i]);
	assert_int_equal(r->all.n_damaged, 0);
	df_aggregate_sort(&r->all);
}

static char *show(const struct df_report *r, const struct df_form *form, enum df_view view)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(df_report_write(out, r, form, view), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("no %s in %s", what, text);
}

static void assert_has_no(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("%s in %s", what, text);
}

static int read_report(struct df_aggregate *a, const char *text, char *error)
{
	return df_report_read(a, text, strlen(text), error);
}

/* All that the text of a report shows, and its JSON but for the time of making, survive. */
static void test_round_trip(void **state)
{
	char error[DF_REPORT_ERROR_MAX] = "";
	struct df_report r = {0}, again = {0};
	_cleanup_free_ char *json = NULL, *json2 = NULL, *text = NULL, *text2 = NULL;
	char *time, *time2;

	(void)state;
	make(&r);
	json = show(&r, &df_form_json, DF_VIEW_REPORT);
	if (read_report(&again.all, json, error) < 0)
		fail_msg("%s", error);
	df_aggregate_sort(&again.all);
	json2 = show(&again, &df_form_json, DF_VIEW_REPORT);
	time = strstr(json, "\"time\"");
	time2 = strstr(json2, "\"time\"");
	assert_non_null(time);
	assert_non_null(time2);
	memset(time, ' ', strcspn(time, "\n"));
	memset(time2, ' ', strcspn(time2, "\n"));
	assert_string_equal(json, json2);
	text = show(&r, &df_form_text, DF_VIEW_SUMMARY);
	text2 = show(&again, &df_form_text, DF_VIEW_SUMMARY);
	assert_string_equal(text, text2);
	df_aggregate_done(&again.all);
	df_aggregate_done(&r.all);
}

static void test_text(void **state)
{
	struct df_report r = {0};
	_cleanup_free_ char *text = NULL, *coloured = NULL;

	(void)state;
	make(&r);
	text = show(&r, &df_form_text, DF_VIEW_REPORT);
	assert_has(text,
		   "c1  policy p  mode enforce  queries 3  refused 1  connections 2  name web  "
		   "(incomplete: some events could not be written)\n"
		   "finding http-proxy: s\nPARENT ");
	assert_has(text, "\nok.example      2      2\n");
	assert_has(text,
		   "\nblocked      1  github.com         direct  git clone https://github.com/x"
		   "  ./d.sh  dns      p.policy:3 block github.com     team\n");
	assert_has(text, "\nallowed      1  b.ok.example       hidden  tool");
	assert_has(text, "\nblocked      2  [2001:db8::1]:443  -       x  ");
	assert_has(text, "\nthe shadow policy:\n");
	assert_has(text, "\nlost: 1 events\n");
	assert_has(text, "\nc2  policy p  mode audit  queries 1  refused 0  would-refuse 1  "
			 "connections 1  (incomplete: ");
	assert_has_no(text, "\033");
	r.has_colour = true;
	coloured = show(&r, &df_form_text, DF_VIEW_REPORT);
	assert_has(coloured, "\n\033[31mblocked\033[0m      1  github.com");
	df_aggregate_done(&r.all);
}

/* Whoever shows it obeys none of it: a terminal, a browser, dot, a reader of JSON or SARIF. */
static void test_evil(void **state)
{
	struct df_report r = {0};

	(void)state;
	add(&r.all, evil);
	add(&r.all, evil_note);
	df_aggregate_sort(&r.all);
	assert_int_equal(r.all.n_damaged, 0);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_free_ char *text = show(&r, forms[i].form, forms[i].view);
		char error[DF_JSON_ERROR_MAX] = "";
		struct df_json *doc = NULL;

		assert_has_no(text, "\033");
		assert_has_no(text, "\xe2\x80\xae");
		if (forms[i].is_json &&
		    df_json_parse(text, strlen(text), strlen(text), &doc, error) < 0)
			fail_msg("%s: %s", forms[i].name, error);
		df_json_free(doc);
	}
	df_aggregate_done(&r.all);
}

static void test_evil_html(void **state)
{
	struct df_report r = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	add(&r.all, evil);
	add(&r.all, evil_note);
	df_aggregate_sort(&r.all);
	text = show(&r, &df_form_html, DF_VIEW_REPORT);
	assert_has(text, "&lt;script&gt;x&lt;/script&gt;&lt;!--&amp;amp;");
	assert_has_no(text, "<script");
	assert_has_no(text, "<!--");
	assert_has_no(text, "'>");
	/* nothing from elsewhere */
	assert_has_no(text, "http:");
	assert_has_no(text, "https:");
	assert_has_no(text, "@import");
	assert_has_no(text, "url(");
	df_aggregate_done(&r.all);
}

/* Every quoted string ends where it should: what is left outside is ours. */
static void check_dot(const char *text)
{
	bool in_string = false;

	for (; *text; text++) {
		if (in_string && *text == '\\') {
			assert_int_not_equal(text[1], '\0');
			assert_non_null(strchr("\"\\", text[1]));
			text++;
		} else if (*text == '"') {
			in_string = !in_string;
		} else if (!in_string && (*text == '<' || *text == '\'' || *text == '\\')) {
			fail_msg("outside of strings: %s", text);
		}
	}
	assert_false(in_string);
}

static void test_evil_dot(void **state)
{
	struct df_report r = {0};
	_cleanup_free_ char *report = NULL, *graph = NULL;

	(void)state;
	add(&r.all, evil);
	df_aggregate_sort(&r.all);
	report = show(&r, &df_form_dot, DF_VIEW_REPORT);
	graph = show(&r, &df_form_dot, DF_VIEW_GRAPH);
	check_dot(report);
	check_dot(graph);
	df_aggregate_done(&r.all);
}

static void test_sarif(void **state)
{
	struct df_report r = {0};
	_cleanup_free_ char *text = NULL, *nasty = NULL;

	(void)state;
	make(&r);
	text = show(&r, &df_form_sarif, DF_VIEW_REPORT);
	assert_has(text, "\"uri\": \"d.sh\"");
	assert_has(text, "\"uri\": \"p.policy\"\n");
	assert_has(text, "\"startLine\": 3\n");
	assert_has(text, "\"ruleId\": \"blocked-name\",\n          \"ruleIndex\": 0,");
	assert_has(text, "\"ruleId\": \"hidden-dependency\"");
	assert_has(text, "\"text\": \"git clone https://github.com/x: github.com blocked, "
			 "p.policy:3 block github.com (no)\"");
	assert_has_no(text, "baselineState");
	df_aggregate_done(&r.all);
	add(&r.all, evil);
	df_aggregate_sort(&r.all);
	nasty = show(&r, &df_form_sarif, DF_VIEW_REPORT);
	/* neither a link nor a placeholder */
	assert_has(nasty, "\\\\[l\\\\](h){{0}}");
	df_aggregate_done(&r.all);
}

#define TOP "{\"schema\":1,\"kind\":\"report\",\"containers\":["
#define ROW(rest) TOP "{\"id\":\"c\",\"domains\":[{" rest "}]}]}"

static const struct {
	const char *text, *error;
} refused[] = {
	{"", "at line 1"},
	{"{\"schema\":1", "at line 1"},
	{"[]", "no report of deployfence"},
	{"{}", "no report of deployfence"},
	{"{\"schema\":1,\"containers\":{}}", "no report of deployfence"},
	{"{\"schema\":1,\"kind\":\"summary\",\"containers\":[]}", "no report of deployfence"},
	{"{\"schema\":2,\"containers\":[]}", "a report of schema 2, not 1"},
	{"{\"containers\":[]}", "a report of schema 0, not 1"},
	{TOP "7]}", "containers[0]: id is missing"},
	{TOP "{\"id\":\"\"}]}", "containers[0]: id is missing"},
	{TOP "{\"id\":\"c\"},{\"id\":7}]}", "containers[1]: id is missing"},
	{TOP "{\"id\":\"c\",\"name\":7}]}", "containers[0]: name is no string"},
	{TOP "{\"id\":\"c\",\"domains\":7}]}", "containers[0]: domains is no array"},
	{TOP "{\"id\":\"c\",\"domains\":[7]}]}", "containers[0].domains[0]: verdict is none"},
	{TOP "{\"id\":\"c\",\"suppressed\":-1}]}", "containers[0]: suppressed is no count"},
	{TOP "{\"id\":\"c\",\"lost\":{\"events\":\"1\"}}]}", "containers[0]: events is no count"},
	{TOP "{\"id\":\"c\",\"addresses\":[7]}]}", "containers[0]: addresses[0] is no string"},
	{TOP "{\"id\":\"c\",\"annotations\":[]}]}", "annotations is no object"},
	{TOP "{\"id\":\"c\",\"annotations\":{\"x-a\":7}}]}", "an annotation is no string"},
	{TOP "{\"id\":\"c\",\"notes\":[{\"count\":1}]}]}", "notes[0] has no event or no count"},
	{TOP "{\"id\":\"c\",\"findings\":[{\"count\":1}]}]}",
	 "findings[0] has no name or no count"},
	{TOP "{\"id\":\"c\",\"last\":\"0123456789012345678901234567890123\"}]}", "last is no time"},
	{ROW("\"domain\":\"a.\",\"verdict\":\"fine\",\"count\":1"), "verdict is none"},
	{ROW("\"verdict\":\"allowed\",\"count\":1"), "domain is missing"},
	{ROW("\"domain\":\"a.\",\"verdict\":\"allowed\""), "count is missing"},
	{ROW("\"domain\":\"a.\",\"verdict\":\"allowed\",\"count\":0"), "count is missing"},
	{ROW("\"domain\":\"a.\",\"verdict\":\"allowed\",\"count\":1,\"port\":65536"),
	 "port is none"},
	{ROW("\"domain\":\"a.\",\"verdict\":\"allowed\",\"count\":1,\"answers\":7"),
	 "answers is no array"},
};

/* As a whole: what stood before the fault is not used either. */
static void test_refused(void **state)
{
	struct df_aggregate a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char error[DF_REPORT_ERROR_MAX] = "";

		if (read_report(&a, refused[i].text, error) != -EBADMSG || a.n != 0 ||
		    !strstr(error, refused[i].error))
			fail_msg("%s: %s", refused[i].text, error);
	}
	df_aggregate_done(&a);
}

#define KNOWN(last, count)                                                                         \
	TOP "{\"id\":\"c1\",\"last\":\"" last "\",\"domains\":[{\"domain\":\"x.\",\"verdict\":"    \
	    "\"allowed\",\"count\":" count ",\"unknown\":[{}],\"last\":\"" last "\"}]}]}"

/* Of one container in several reports that counts which knows more of its life. */
static void test_twice(void **state)
{
	char error[DF_REPORT_ERROR_MAX];
	struct df_aggregate a = {0};

	(void)state;
	assert_int_equal(read_report(&a, KNOWN("2026-01-02", "1"), error), 0);
	assert_int_equal(read_report(&a, KNOWN("2026-01-02", "5"), error), 0);
	assert_int_equal(read_report(&a, KNOWN("2026-01-01", "6"), error), 0);
	assert_int_equal(a.list[0]->n_queries, 1);
	assert_int_equal(read_report(&a, KNOWN("2026-01-03", "7"), error), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.n_rows, 1);
	assert_int_equal(a.list[0]->n_queries, 7);
	df_aggregate_done(&a);
	(void)snprintf(a.since, sizeof(a.since), "2026-01-02");
	assert_int_equal(read_report(&a, KNOWN("2026-01-01", "1"), error), 0);
	assert_int_equal(a.n, 0);
	df_aggregate_done(&a);
}

static void test_baseline(void **state)
{
	struct df_report r = {0};
	struct df_aggregate then = {0};
	struct df_baseline b;
	_cleanup_free_ char *text = NULL, *sarif = NULL;

	(void)state;
	make(&r);
	for (size_t i = 0; i < 3; i++)
		add(&then, events[i]);
	add(&then, "{" AT("02") "\"event\":\"query\",\"domain\":\"gone.example.\"," BOX2 "}");
	df_aggregate_sort(&then);
	assert_int_equal(df_baseline_compare(&r.all, &then, &b), 0);
	/* github.com of two containers is one; addresses count, the shadow policy does not */
	assert_int_equal(b.n_added, 3);
	assert_string_equal(b.added[0]->domain, "github.com.");
	assert_string_equal(b.added[1]->ip, "192.0.2.9");
	assert_string_equal(b.added[2]->ip, "2001:db8::1");
	assert_int_equal(b.n_gone, 1);
	assert_string_equal(b.gone[0]->domain, "gone.example.");
	b.file = "base.json";
	r.baseline = &b;
	text = show(&r, &df_form_text, DF_VIEW_REPORT);
	assert_has(text, "\n3 new, 1 gone since base.json\n\nNEW ");
	assert_has(text, "\nGONE ");
	sarif = show(&r, &df_form_sarif, DF_VIEW_REPORT);
	assert_has(sarif, "\"baselineState\": \"new\"");
	assert_has(sarif, "\"baselineState\": \"unchanged\"");
	df_baseline_done(&b);
	/* the twin: nothing is new to itself */
	assert_int_equal(df_baseline_compare(&r.all, &r.all, &b), 0);
	assert_int_equal(b.n_added + b.n_gone, 0);
	df_baseline_done(&b);
	df_aggregate_done(&then);
	df_aggregate_done(&r.all);
}

static void test_summary(void **state)
{
	struct df_report r = {0};
	_cleanup_free_ char *text = NULL, *json = NULL;

	(void)state;
	make(&r);
	text = show(&r, &df_form_text, DF_VIEW_SUMMARY);
	assert_has(text, "2 containers\n");
	assert_has(text, "\ndirect              2      2        1             0  50.0%\n");
	assert_has(text, "\nhidden              2      2        0             1  50.0%\n");
	assert_has(text, "\ndirect  ./d.sh  github.com        1        1             0           1 "
			 " 2026-01-01T00:00:04\n");
	assert_has(text,
		   "\nhidden  ./d.sh  github.com        1        0             1           1");
	json = show(&r, &df_form_json, DF_VIEW_SUMMARY);
	assert_has(json, "\"against_per_mille\": 500");
	df_aggregate_done(&r.all);
}

static void test_empty(void **state)
{
	struct df_report r = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_free_ char *text = show(&r, forms[i].form, forms[i].view);

		assert_non_null(text);
	}
	df_aggregate_done(&r.all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_text),
		cmocka_unit_test(test_evil),       cmocka_unit_test(test_evil_html),
		cmocka_unit_test(test_evil_dot),   cmocka_unit_test(test_sarif),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_twice),
		cmocka_unit_test(test_baseline),   cmocka_unit_test(test_summary),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
