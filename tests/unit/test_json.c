/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/util.h"

#define LIMIT (1u << 20)

/* On a copy of the exact size, so that ASan sees an over-read of one. */
static int parse(const char *text, size_t len, struct df_json **ret, char *error)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, text, len);
	memset(error, 'x', DF_JSON_ERROR_MAX);
	r = df_json_parse(exact, len, LIMIT, ret, error);
	if (r < 0)
		assert_true(memchr(error, '\0', DF_JSON_ERROR_MAX) != NULL);
	else
		assert_int_equal(r, 0);
	return r;
}

static void refused(const char *text, size_t len, int expected, const char *needle)
{
	struct df_json *doc = (struct df_json *)&doc;
	struct df_json *before = doc;
	char error[DF_JSON_ERROR_MAX];
	int r = parse(text, len, &doc, error);

	if (r == 0)
		fail_msg("accepted: %.60s", text);
	if (r != expected || !strstr(error, needle))
		fail_msg("%.60s: %d, \"%s\"; expected %d, \"%s\"", text, r, error, expected,
			 needle);
	for (const char *p = error; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	assert_ptr_equal(doc, before);
}

static struct df_json *accepted(const char *text, size_t len)
{
	struct df_json *doc = NULL;
	char error[DF_JSON_ERROR_MAX];

	if (parse(text, len, &doc, error) < 0)
		fail_msg("refused: %.60s: %s", text, error);
	return doc;
}

/* clang-format off */
static const struct {
	const char *text;
	size_t len; /* 0: a C string */
	const char *needle;
} hostile[] = {
	{"", 0, "premature EOF at line 1, column 1"},
	{" \n\t", 0, "premature EOF at line 2, column 2"},
	{"{", 0, "premature EOF"},
	{"{} {}", 0, "trailing"},
	{"{}x", 0, "at line 1, column"},
	{"{}}", 0, "at line 1, column"},
	{"{} \"abc", 0, "trailing text after the value at line 1, column 4"}, /* yajl: ok */
	{"{}\n\"", 0, "trailing text after the value at line 2, column 1"},   /* yajl: ok */
	{"12 \"a", 0, "trailing"},
	{"{} tru", 0, "trailing"},
	{"{}\0", 3, "at line 1, column"},
	{"1 2", 0, "trailing"},
	{"{\"a\":1,}", 0, "parse error"},
	{"{a:1}", 0, "lexical error"},
	{"{'a':1}", 0, "lexical error"},
	{"{\"a\" 1}", 0, "parse error"},
	{"[1 2]", 0, "parse error"},
	{"[,]", 0, "parse error"},
	{"[01]", 0, "parse error"},
	{"[+1]", 0, "lexical error"},
	{"[1.]", 0, "lexical error"},
	{"[.5]", 0, "lexical error"},
	{"[1e]", 0, "lexical error"},
	{"[-]", 0, "lexical error"},
	{"[NaN]", 0, "lexical error"},
	{"[TRUE]", 0, "lexical error"},
	{"/* c */ {}", 0, "comment"},
	{"{} // c", 0, "trailing"},
	{"[1, /* c */ 2]", 0, "comment"},
	{"\xef\xbb\xbf{}", 0, "lexical error"}, /* byte order mark */
	{"[\"\n\"]", 0, "lexical error"},
	{"[\"a\0b\"]", 7, "lexical error"},
	{"[\"\\x41\"]", 0, "lexical error"},
	{"[\"\\u12g4\"]", 0, "lexical error"},
	{"[\"\\u123\"]", 0, "lexical error"},
	{"[\"\\u", 0, "lexical error"},
	{"[\"\\", 0, "lexical error"},
	{"[\"\\ud800", 0, "half a surrogate pair"},
	{"[\"ok\\u0000evil\"]", 0, "\\u0000 in a string or key"},
	{"{\"id\\u0000\":1}", 0, "\\u0000 in a string or key"},
	{"{\"\\u0000\":1}", 0, "\\u0000 in a string or key"},
	{"[\"\\ud800\"]", 0, "half a surrogate pair at line 1, column 3"},
	{"[\"\\ud800x\"]", 0, "half a surrogate pair"},
	{"[\"\\ud800\\u0041\"]", 0, "half a surrogate pair"},
	{"[\"\\ud800\\\"]", 0, "half a surrogate pair"},
	{"[\"\\udc00\"]", 0, "half a surrogate pair"},
	{"[\"\\udc00\\ud800\"]", 0, "half a surrogate pair"},
	{"[\"\x80\"]", 0, "invalid UTF-8 at line 1, column 3"},
	{"[\"\xc0\xaf\"]", 0, "invalid UTF-8"},         /* overlong "/" */
	{"[\"\xc1\xbf\"]", 0, "invalid UTF-8"},
	{"[\"\xe0\x80\xaf\"]", 0, "invalid UTF-8"},
	{"[\"\xf0\x80\x80\xaf\"]", 0, "invalid UTF-8"},
	{"[\"\xed\xa0\x80\"]", 0, "invalid UTF-8"},     /* U+D800 */
	{"[\"\xf4\x90\x80\x80\"]", 0, "invalid UTF-8"}, /* U+110000 */
	{"[\"\xf5\x80\x80\x80\"]", 0, "invalid UTF-8"},
	{"[\"\xc3\"]", 0, "invalid UTF-8"},
	{"[\"\xe2\x82\"]", 0, "invalid UTF-8"},
	{"[\"\xe2\x82", 0, "invalid UTF-8"},
	{"{\"a\":1,\"a\":1}", 0, "duplicate key \"a\""},
	{"{\"a\":1,\"b\":2,\"c\":3,\"a\":[]}", 0, "duplicate key \"a\""},
	{"{\"a\":1,\"\\u0061\":2}", 0, "duplicate key \"a\""},
	{"{\"/\":1,\"\\/\":2}", 0, "duplicate key \"/\""},
	{"{\"\xc3\xa9\":1,\"\\u00e9\":2}", 0, "duplicate key"},
	{"{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", 0, "duplicate key"},
	{"{\"\":1,\"\":2}", 0, "duplicate key \"\""},
	{"[{\"a\":{\"b\":1,\"b\":1}}]", 0, "duplicate key \"b\" in the object that ends at line 1"},
	{"{\"\\u001b[31m\\n\":1,\"\\u001b[31m\\n\":2}", 0, "duplicate key \"\\x1b[31m\\n\""},
};
/* clang-format on */

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		size_t len = hostile[i].len ? hostile[i].len : strlen(hostile[i].text);

		refused(hostile[i].text, len, -EINVAL, hostile[i].needle);
	}
}

/* The allow twins of what is refused above. */
static void test_accepted(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		" \t\r\n{ } \n",
		"12",
		" -0 ",
		"12 ",
		"\"a\"",
		"null",
		"true\n",
		"false",
		"[1.5e-300,1e99999,123456789012345678901234567890]",
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
		"[\"\\ud83d\\ude00\",\"\\uD7FF\",\"\\uE000\",\"\\uFFFF\"]",
		"[\"\\\\ud800\",\"\\\\\"]",
		("[\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f"
		 "\xbf\xbf\x7f\"]"),
		"{\"a\":1,\"A\":1,\"a \":1,\"\":1}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[\"// no comment\",\"/* nor this */\"]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		df_json_free(accepted(texts[i], strlen(texts[i])));
}

static void test_truncated(void **state)
{
	static const char text[] = "{\"id\":\"a\\u00e9\\ud83d\\ude00\xc3\xa9\",\"n\":[1,-2.5e3,"
				   "true,false,null,{}],\n\"o\":{\"k\":\"\\\\\"},\"e\":\"\"}";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		refused(text, len, -EINVAL, "at line");
	df_json_free(accepted(text, sizeof(text) - 1));
}

static char *nested(char open, char close, size_t depth)
{
	char *text = malloc(2 * depth + 1);

	assert_non_null(text);
	memset(text, open, depth);
	memset(text + depth, close, depth);
	text[2 * depth] = '\0';
	return text;
}

static void test_depth(void **state)
{
	char objects[6 * (DF_JSON_DEPTH_MAX + 1)] = "";
	char *text = nested('[', ']', DF_JSON_DEPTH_MAX);

	(void)state;
	df_json_free(accepted(text, strlen(text)));
	free(text);
	text = nested('[', ']', DF_JSON_DEPTH_MAX + 1);
	refused(text, strlen(text), -E2BIG, "nested too deep at line 1, column 34");
	free(text);
	text = nested('[', ']', 200000); /* yajl's own tree accepts it */
	refused(text, strlen(text), -E2BIG, "nested too deep");
	refused(text, 200000, -E2BIG, "nested too deep");
	free(text);
	for (size_t i = 0; i <= DF_JSON_DEPTH_MAX; i++)
		strcat(objects, "{\"a\":");
	refused(objects, strlen(objects), -E2BIG, "nested too deep");
}

static void test_size(void **state)
{
	char *text = malloc(LIMIT + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', LIMIT + 1);
	memcpy(text, "{}", 2);
	refused(text, LIMIT + 1, -E2BIG, "longer than the limit of 1048576 octets");
	df_json_free(accepted(text, LIMIT));

	/* One string that fills it; then every octet escaped. */
	memset(text, 'a', LIMIT);
	text[0] = text[LIMIT - 1] = '"';
	df_json_free(accepted(text, LIMIT));
	for (size_t i = 1; i < LIMIT - 1; i++)
		text[i] = i % 2 ? '\\' : 'n';
	df_json_free(accepted(text, LIMIT));
	free(text);
}

static void test_values(void **state)
{
	char *text = malloc(LIMIT);
	struct df_json *doc;
	size_t pos;

	(void)state;
	assert_non_null(text);
	memset(text, ',', LIMIT);
	text[0] = '[';
	for (size_t i = 0; i < DF_JSON_VALUES_MAX; i++)
		text[1 + 2 * i] = '1';
	text[2 * DF_JSON_VALUES_MAX] = ']';
	refused(text, 2 * DF_JSON_VALUES_MAX + 1, -E2BIG, "too many values");
	text[2 * DF_JSON_VALUES_MAX - 2] = ']';
	doc = accepted(text, 2 * DF_JSON_VALUES_MAX - 1);
	assert_int_equal(df_json_len(doc), DF_JSON_VALUES_MAX - 1);
	df_json_free(doc);

	/* As many keys as fit, each unlike the others, then one twice: no quadratic search. */
	pos = 0;
	df_append(text, LIMIT, &pos, "{");
	for (unsigned int i = 0; i < 60000; i++)
		df_append(text, LIMIT, &pos, "\"%u\":1,", i);
	df_append(text, LIMIT, &pos, "\"x\":1}");
	doc = accepted(text, pos);
	assert_int_equal(df_json_len(doc), 60001);
	assert_string_equal(df_json_key_at(doc, 59999), "59999");
	df_json_free(doc);
	memcpy(text + pos - 6, "\"7\":1}", 6);
	refused(text, pos, -EINVAL, "duplicate key \"7\"");
	free(text);
}

static void check_int(const char *text, bool is_int, int64_t expected)
{
	struct df_json *doc = accepted(text, strlen(text));
	int64_t n = 4242;
	int r = df_json_int(doc, &n);

	if (is_int ? r != 0 || n != expected : r != -EINVAL || n != 4242)
		fail_msg("%s: %d, %lld", text, r, (long long)n);
	df_json_free(doc);
}

static void test_int(void **state)
{
	int64_t n = 4242;

	(void)state;
	check_int("0", true, 0);
	check_int("-0", true, 0);
	check_int("4194303", true, 4194303);
	check_int("-7", true, -7);
	check_int("9223372036854775807", true, INT64_MAX);
	check_int("-9223372036854775808", true, INT64_MIN);
	check_int("9223372036854775808", false, 0);
	check_int("-9223372036854775809", false, 0);
	check_int("1.0", false, 0);
	check_int("1e3", false, 0);
	check_int("1E3", false, 0);
	check_int("\"1\"", false, 0);
	check_int("true", false, 0);
	check_int("null", false, 0);
	check_int("[1]", false, 0);
	assert_int_equal(df_json_int(NULL, &n), -EINVAL);
}

static void test_access(void **state)
{
	static const char text[] = "{\"s\":\"a\\/b\\u00e9\",\"e\":\"\",\"n\":5,\"a\":[\"x\",[],{}],"
				   "\"o\":{\"k\":\"v\"},\"t\":true,\"z\":null}";
	struct df_json *doc = accepted(text, sizeof(text) - 1);
	const struct df_json *a = df_json_get(doc, "a");

	(void)state;
	assert_true(df_json_is_object(doc) && !df_json_is_array(doc));
	assert_int_equal(df_json_len(doc), 7);
	assert_string_equal(df_json_string(df_json_get(doc, "s")), "a/b\xc3\xa9");
	assert_string_equal(df_json_string(df_json_get(doc, "e")), "");
	assert_string_equal(df_json_key_at(doc, 0), "s");
	assert_string_equal(df_json_key_at(doc, 6), "z");
	assert_null(df_json_key_at(doc, 7));
	assert_null(df_json_at(doc, 7));
	assert_ptr_equal(df_json_at(doc, 3), a);
	assert_true(df_json_is_array(a) && !df_json_is_object(a));
	assert_int_equal(df_json_len(a), 3);
	assert_string_equal(df_json_string(df_json_at(a, 0)), "x");
	assert_true(df_json_is_array(df_json_at(a, 1)));
	assert_int_equal(df_json_len(df_json_at(a, 1)), 0);
	assert_null(df_json_at(df_json_at(a, 1), 0));
	assert_null(df_json_key_at(a, 0));
	assert_null(df_json_get(a, "x"));
	assert_string_equal(df_json_string(df_json_get(df_json_get(doc, "o"), "k")), "v");
	assert_null(df_json_string(df_json_get(doc, "t")));
	assert_null(df_json_string(df_json_get(doc, "n")));
	assert_null(df_json_string(doc));
	assert_null(df_json_get(doc, "missing"));
	assert_null(df_json_get(NULL, "s"));
	assert_null(df_json_string(NULL));
	assert_null(df_json_at(NULL, 0));
	assert_null(df_json_key_at(NULL, 0));
	assert_int_equal(df_json_len(NULL), 0);
	assert_int_equal(df_json_len(df_json_get(doc, "s")), 0);
	assert_false(df_json_is_object(NULL) || df_json_is_array(NULL));
	df_json_free(doc);
	df_json_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),   cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),      cmocka_unit_test(test_values),
		cmocka_unit_test(test_int),       cmocka_unit_test(test_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
