/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/dname.h"
#include "lib/base/util.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 octets */
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEADER "\0\0\0\0\0\0\0\0\0\0\0\0" /* names begin at 12 */
#define BYTES(s) (s), sizeof(s) - 1

static struct df_dname name_of(const char *text)
{
	struct df_dname name;

	assert_int_equal(df_dname_from_text(text, strlen(text), &name, NULL), 0);
	return name;
}

static void test_from_text(void **state)
{
	static const struct {
		const char *text;
		const char *wire;
		size_t len;
		unsigned n_labels;
	} rows[] = {
		{".", BYTES("\0"), 0},
		{"com", BYTES("\3com\0"), 1},
		{"com.", BYTES("\3com\0"), 1},
		{"GitHub.COM", BYTES("\6github\3com\0"), 2},
		{"_a-1._tcp.x.", BYTES("\4_a-1\4_tcp\1x\0"), 3},
		{L63 ".b", BYTES("\77" L63 "\1b\0"), 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dname name = name_of(rows[i].text);

		assert_int_equal(name.len, rows[i].len);
		assert_int_equal(name.n_labels, rows[i].n_labels);
		assert_memory_equal(name.wire, rows[i].wire, rows[i].len);
	}
}

static void test_from_text_limits(void **state)
{
	char many[2 * 127 + 1];
	struct df_dname name = name_of(L63 "." L63 "." L63 "." L61);

	(void)state;
	assert_int_equal(name.len, DF_DNAME_MAX);
	name = name_of(L63 "." L63 "." L63 "." L61 ".");
	assert_int_equal(name.len, DF_DNAME_MAX);
	for (size_t i = 0; i < 127; i++)
		memcpy(many + 2 * i, "a.", 2);
	many[sizeof(many) - 1] = '\0';
	name = name_of(many);
	assert_int_equal(name.len, DF_DNAME_MAX);
	assert_int_equal(name.n_labels, DF_DNAME_LABELS_MAX);
}

static void test_from_text_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len, offset;
		const char *what;
	} rows[] = {
		{BYTES(""), 0, "empty name"},
		{BYTES(".."), 0, "empty label"},
		{BYTES(".a"), 0, "empty label"},
		{BYTES("a..b"), 2, "empty label"},
		{BYTES("a.."), 2, "empty label"},
		{BYTES("a b"), 1, "character not allowed in a name"},
		{BYTES("a\0b"), 1, "character not allowed in a name"},
		{BYTES("a\\.b"), 1, "character not allowed in a name"},
		{BYTES("a/b"), 1, "character not allowed in a name"},
		{BYTES("*.a"), 0, "'*' inside a name"},
		{BYTES("caf\xc3\xa9.fr"), 3, "name is not ASCII"},
		{BYTES(L63 "a"), 63, "label is longer than 63 octets"},
		{BYTES(L63 "." L63 "." L63 "." L61 "a"), 253, "name is longer than 253 characters"},
		{BYTES(L63 "." L63 "." L63 "." L61 ".a"), 254,
		 "name is longer than 253 characters"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dname name = {.len = 77};
		struct df_dname_error error;

		assert_int_equal(df_dname_from_text(rows[i].text, rows[i].len, &name, &error),
				 -EINVAL);
		assert_int_equal(error.offset, rows[i].offset);
		assert_string_equal(error.what, rows[i].what);
		assert_int_equal(name.len, 77);
		assert_int_equal(df_dname_from_text(rows[i].text, rows[i].len, &name, NULL),
				 -EINVAL);
	}
}

/* From a buffer of the exact size, so that ASan sees an over-read of one. */
static int from_wire(const char *pkt, size_t len, size_t *pos, struct df_dname *ret)
{
	_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, pkt, len);
	return df_dname_from_wire(exact, len, pos, ret);
}

static void test_from_wire(void **state)
{
	static const struct {
		const char *pkt;
		size_t len, pos, behind;
		const char *text, *why;
	} rows[] = {
		{BYTES(HEADER "\0"), 12, 13, ".", "root"},
		{BYTES(HEADER "\3WwW\0"), 12, 17, "www.", "case"},
		{BYTES(HEADER "\3com\0\1a\xc0\x0c"), 17, 21, "a.com.", "pointer"},
		{BYTES(HEADER "\3com\0\xc0\x0c"), 17, 19, "com.", "bare pointer"},
		{BYTES(HEADER "\3com\0\1b\xc0\x0c\1a\xc0\x11zz"), 21, 25, "a.b.com.", "two hops"},
		{BYTES(HEADER "\3com\0\xc0\x10"), 17, 19, ".", "pointer to the root label"},
		{BYTES(HEADER "\3\1a\0\0\xc0\x0d"), 17, 19, "a.",
		 "into a label that reads as a name: harmless, as what leaves is the name"},
		{BYTES(HEADER "\4a.\0\\\0"), 12, 18, "a\\.\\000\\\\.", "any octet"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[DF_DNAME_TEXT_MAX];
		struct df_dname name;
		size_t pos = rows[i].pos;

		if (from_wire(rows[i].pkt, rows[i].len, &pos, &name) != 0)
			fail_msg("refused: %s", rows[i].why);
		assert_int_equal(pos, rows[i].behind);
		assert_int_equal(df_dname_to_text(&name, text), strlen(rows[i].text));
		assert_string_equal(text, rows[i].text);
	}
}

static void test_from_wire_refused(void **state)
{
	static const struct {
		const char *pkt;
		size_t len, pos;
		const char *why;
	} rows[] = {
		{BYTES(HEADER), 12, "nothing there"},
		{BYTES(HEADER), 13, "begins behind the end"},
		{BYTES(HEADER "\3www"), 12, "no root label"},
		{BYTES(HEADER "\4www"), 12, "label past the end"},
		{BYTES(HEADER "\xc0"), 12, "half a pointer"},
		{BYTES(HEADER "\xc0\x0c"), 12, "pointer to itself"},
		{BYTES(HEADER "\1a\xc0\x0c"), 12, "pointer to its own name"},
		{BYTES(HEADER "\1a\xc0\x0e"), 12, "pointer to itself behind a label"},
		{BYTES(HEADER "\xc0\x0e\0"), 12, "forward pointer"},
		{BYTES(HEADER "\xc0\x0e\xc0\x0c"), 14, "loop of two"},
		{BYTES(HEADER "\1b\xc0\x10\1a\xc0\x0c"), 16, "loop of two with labels"},
		{BYTES("\1a\0\0\0\0\0\0\0\0\0\0\xc0\0"), 12, "pointer into the header"},
		{BYTES(HEADER "\3www\0\xc0\x0d"), 17, "into a label that reads as no name"},
		{BYTES(HEADER "\xff\xff"), 12, "pointer far past the end"},
		{BYTES(HEADER "\x41" L63 "aa\0"), 12, "label type 01"},
		{BYTES(HEADER "\x81" L63 L63 "aaa\0"), 12, "label type 10"},
		{BYTES(HEADER "\77" L63 "\77" L63 "\77" L63 "\76" L61 "a\0"), 12, "256 octets"},
		{BYTES(HEADER "\77" L63 "\77" L63 "\0\77" L63 "\77" L63 "\xc0\x0c"), 141,
		 "257 octets by a pointer"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dname name = {.len = 77};
		size_t pos = rows[i].pos;

		if (from_wire(rows[i].pkt, rows[i].len, &pos, &name) != -EBADMSG)
			fail_msg("not refused: %s", rows[i].why);
		assert_int_equal(pos, rows[i].pos);
		assert_int_equal(name.len, 77);
	}
}

static void test_from_wire_truncated(void **state)
{
	static const char pkt[] = HEADER "\3com\0\3www\7example\xc0\x0c";
	size_t len = sizeof(pkt) - 1, pos = 17;
	struct df_dname name;

	(void)state;
	assert_int_equal(from_wire(pkt, len, &pos, &name), 0);
	for (size_t cut = 17; cut < len; cut++) {
		pos = 17;
		assert_int_equal(from_wire(pkt, cut, &pos, &name), -EBADMSG);
	}
}

static void test_from_wire_limits(void **state)
{
	static const char pkt[] = HEADER "\77" L63 "\77" L63 "\77" L63 "\75" L61 "\0";
	struct df_dname name;
	size_t pos = 12;

	(void)state;
	assert_int_equal(from_wire(pkt, sizeof(pkt) - 1, &pos, &name), 0);
	assert_int_equal(name.len, DF_DNAME_MAX);
	assert_int_equal(pos, 12 + DF_DNAME_MAX);
}

static void test_to_text_longest(void **state)
{
	char text[DF_DNAME_TEXT_MAX];
	struct df_dname name = {.len = 255, .n_labels = 4};
	static const uint8_t sizes[] = {63, 63, 63, 61};
	size_t at = 0;

	(void)state;
	memset(name.wire, 0xff, sizeof(name.wire));
	for (size_t i = 0; i < 4; i++) {
		name.wire[at] = sizes[i];
		at += 1u + sizes[i];
	}
	name.wire[at] = 0;
	assert_int_equal(df_dname_to_text(&name, text), 4 * 250 + 4);
	assert_memory_equal(text, "\\255\\255", 8);
}

static void test_below(void **state)
{
	static const struct {
		const char *name, *parent;
		bool is_below;
	} rows[] = {
		{"github.com", "github.com", true},
		{"api.github.com", "github.com", true},
		{"a.b.github.com", "com", true},
		{"api.github.com", ".", true},
		{".", ".", true},
		{"notgithub.com", "github.com", false},
		{"com", "github.com", false},
		{"github.com.evil", "github.com", false},
		{".", "com", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dname name = name_of(rows[i].name), parent = name_of(rows[i].parent);

		assert_int_equal(df_dname_is_below_or_equal(&name, &parent), rows[i].is_below);
		assert_int_equal(df_dname_is_equal(&name, &parent),
				 strcmp(rows[i].name, rows[i].parent) == 0);
	}
}

/* Octets that look like a label boundary are none: "a\6github" "com" is one label and com. */
static void test_below_is_by_label(void **state)
{
	struct df_dname parent = name_of("github.com"), name;
	size_t pos = 12;

	(void)state;
	assert_int_equal(from_wire(BYTES(HEADER "\x08x\6github\3com\0"), &pos, &name), 0);
	assert_false(df_dname_is_below_or_equal(&name, &parent));
	name = (struct df_dname){.len = 0};
	assert_false(df_dname_is_below_or_equal(&parent, &name));
	assert_false(df_dname_is_below_or_equal(&name, &parent));
}

static void test_strip_suffix(void **state)
{
	static const struct {
		const char *name, *suffix, *left;
	} rows[] = {
		{"github.com.corp.example", "corp.example", "github.com."},
		{"db.corp.example", "corp.example", "db."},
		{"corp.example", "corp.example", NULL},
		{"xcorp.example", "corp.example", NULL},
		{"github.com", ".", NULL},
		{".", ".", NULL},
		{"example", "corp.example", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_dname name = name_of(rows[i].name), suffix = name_of(rows[i].suffix);
		struct df_dname left = {.len = 77}, expected;
		int r = df_dname_strip_suffix(&name, &suffix, &left);

		if (!rows[i].left) {
			assert_int_equal(r, -ENOENT);
			assert_int_equal(left.len, 77);
			continue;
		}
		assert_int_equal(r, 0);
		expected = name_of(rows[i].left);
		assert_true(df_dname_is_equal(&left, &expected));
		assert_int_equal(left.n_labels, expected.n_labels);
		assert_int_equal(df_dname_strip_suffix(&name, &suffix, &name), 0);
		assert_true(df_dname_is_equal(&name, &expected));
	}
}

static void test_suffixes(void **state)
{
	uint8_t at[DF_DNAME_LABELS_MAX + 1];
	struct df_dname name = name_of("www.example.com"), root = name_of(".");

	(void)state;
	assert_int_equal(df_dname_suffixes(&name, at), 4);
	assert_memory_equal(at, "\0\4\14\20", 4);
	assert_int_equal(df_dname_suffixes(&root, at), 1);
	assert_int_equal(at[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_text),
		cmocka_unit_test(test_from_text_limits),
		cmocka_unit_test(test_from_text_refused),
		cmocka_unit_test(test_from_wire),
		cmocka_unit_test(test_from_wire_refused),
		cmocka_unit_test(test_from_wire_truncated),
		cmocka_unit_test(test_from_wire_limits),
		cmocka_unit_test(test_to_text_longest),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_below_is_by_label),
		cmocka_unit_test(test_strip_suffix),
		cmocka_unit_test(test_suffixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
