/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

#define BYTES(s) (s), sizeof(s) - 1

/* A pipe that holds this text and then its end. */
static int pipe_with(const char *text, size_t len)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(df_write_all(fds[1], text, len), 0);
	(void)close(fds[1]);
	return fds[0];
}

static void test_take(void **state)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *p = strdup("x");
	char *taken_p = TAKE_PTR(p);
	int taken = TAKE_FD(fd);

	(void)state;
	assert_true(taken >= 0 && fd == -1 && p == NULL);
	assert_string_equal(taken_p, "x");
	free(taken_p);
	(void)close(taken);
}

static void test_cleanup_closes(void **state)
{
	int fd, dirfd_;

	(void)state;
	{
		_cleanup_close_ int owned = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_cleanup_closedir_ DIR *dir = opendir("/");
		_cleanup_fclose_ FILE *file = fopen("/dev/null", "re");

		assert_non_null(file);
		assert_non_null(dir);
		fd = owned;
		dirfd_ = dirfd(dir);
	}
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fcntl(dirfd_, F_GETFD), -1);
}

static void test_read_all(void **state)
{
	static char big[50000];
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 50000};

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_close_ int exact = pipe_with(big, sizes[i]);
		_cleanup_close_ int any = pipe_with(big, sizes[i]);
		_cleanup_free_ char *text = NULL, *text2 = NULL;
		size_t len = 99;

		assert_int_equal(df_read_all(exact, sizes[i], &text, &len), 0);
		assert_int_equal(len, sizes[i]);
		assert_int_equal(text[len], '\0');
		assert_memory_equal(text, big, len);
		assert_int_equal(df_read_all(any, SIZE_MAX, &text2, &len), 0);
		assert_int_equal(len, sizes[i]);
		if (sizes[i] > 0) {
			_cleanup_close_ int over = pipe_with(big, sizes[i]);
			char *untouched = big;

			assert_int_equal(df_read_all(over, sizes[i] - 1, &untouched, &len), -E2BIG);
			assert_ptr_equal(untouched, big);
			assert_int_equal(len, sizes[i]);
		}
	}
}

static void test_read_file(void **state)
{
	char dir[] = "/tmp/df-test-XXXXXX", buf[4];
	_cleanup_close_ int at = -1;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(mkfifoat(at, "fifo", 0600), 0);
	fd = openat(at, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(df_write_all(fd, "12345", 5), 0);
	(void)close(fd);

	assert_int_equal(df_read_file(at, "file", 5, &text, &len), 0);
	assert_string_equal(text, "12345");
	assert_int_equal(df_read_file(at, "file", 4, &text, &len), -E2BIG);
	assert_int_equal(df_read_file(at, "none", 4, &text, &len), -ENOENT);
	assert_int_equal(df_read_file(at, "fifo", 4, &text, &len), -EINVAL);
	assert_int_equal(df_read_file(at, ".", 4, &text, &len), -EINVAL);
	assert_int_equal(df_read_file(at, "/dev/null", 4, &text, &len), -EINVAL);

	assert_int_equal(df_read_small(at, "file", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "123");
	assert_int_equal(df_read_small(at, "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(df_read_small(at, "file", buf, 0), -EINVAL);
	assert_int_equal(df_read_small(at, "file", buf, 1), 0);

	assert_int_equal(unlinkat(at, "file", 0) | unlinkat(at, "fifo", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void *drain(void *arg)
{
	static size_t total;
	char buf[1000];
	ssize_t n;

	total = 0;
	while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	return &total;
}

/* A pipe takes 64 KiB at a time: the rest needs more than one write. */
static void test_write_all(void **state)
{
	static char big[300000];
	pthread_t reader;
	void *total;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&reader, NULL, drain, &fds[0]), 0);
	assert_int_equal(df_write_all(fds[1], big, sizeof(big)), 0);
	(void)close(fds[1]);
	assert_int_equal(pthread_join(reader, &total), 0);
	assert_int_equal(*(size_t *)total, sizeof(big));
	(void)close(fds[0]);

	assert_int_equal(df_write_all(-1, big, 1), -EBADF);
	assert_int_equal(df_write_all(-1, big, 0), 0);
}

static void test_parse_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		int expected;
	} rows[] = {
		{"0", 0, 0, 0},
		{"65535", 65535, 65535, 0},
		{"007", 10, 7, 0},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, 0},
		{"65536", 65535, 0, -ERANGE},
		{"18446744073709551616", UINT64_MAX, 0, -ERANGE},
		{"99999999999999999999999", UINT64_MAX, 0, -ERANGE},
		{"99999999999999999999999x", UINT64_MAX, 0, -EINVAL},
		{"", 9, 0, -EINVAL},
		{" 1", 9, 0, -EINVAL},
		{"1 ", 9, 0, -EINVAL},
		{"+1", 9, 0, -EINVAL},
		{"-1", 9, 0, -EINVAL},
		{"0x1", 9, 0, -EINVAL},
		{"1.0", 9, 0, -EINVAL},
		{"\xd9\xa1", 9, 0, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = 4711;

		assert_int_equal(df_parse_u64(rows[i].text, rows[i].max, &value), rows[i].expected);
		assert_int_equal(value, rows[i].expected ? 4711 : rows[i].value);
	}
}

static void test_escape(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} rows[] = {
		{BYTES(""), ""},
		{BYTES("plain ~"), "plain ~"},
		{BYTES("a\nb\tc\"d\\e"), "a\\nb\\tc\\\"d\\\\e"},
		{BYTES("\0\x1b[31m\x7f\r"), "\\x00\\x1b[31m\\x7f\\x0d"},
		{BYTES("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
		 "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{BYTES("\xc2\x9b"), "\\xc2\\x9b"},                   /* CSI, a C1 control */
		{BYTES("\xc0\xaf"), "\\xc0\\xaf"},                   /* overlong */
		{BYTES("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},          /* overlong */
		{BYTES("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf"}, /* overlong */
		{BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},          /* surrogate */
		{BYTES("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
		{BYTES("\xff\xfe"), "\\xff\\xfe"},
		{BYTES("a\x80"), "a\\x80"},          /* stray continuation */
		{BYTES("\xe2\x82"), "\\xe2\\x82"},   /* cut off */
		{BYTES("\xe2\x82x"), "\\xe2\\x82x"}, /* broken off */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *exact = malloc(rows[i].len ? rows[i].len : 1);
		char buf[64];

		memcpy(exact, rows[i].in, rows[i].len);
		assert_int_equal(df_escape(exact, rows[i].len, buf, sizeof(buf)),
				 strlen(rows[i].out));
		assert_string_equal(buf, rows[i].out);
	}
}

static void test_escape_cuts_at_whole_escapes(void **state)
{
	static const char text[] = "a\x01\xc3\xa9\n";
	static const char *const expected[] = {
		"", "", "a", "a", "a", "a", "a\\x01", "a\\x01", "a\\x01\xc3\xa9", "a\\x01\xc3\xa9"};
	char untouched = '?';

	(void)state;
	for (size_t size = 1; size < ARRAY_SIZE(expected); size++) {
		_cleanup_free_ char *buf = malloc(size);

		assert_int_equal(df_escape(BYTES(text), buf, size), strlen(expected[size]));
		assert_string_equal(buf, expected[size]);
	}
	assert_int_equal(df_escape(BYTES(text), &untouched, 0), 0);
	assert_int_equal(untouched, '?');
}

static void test_append(void **state)
{
	char buf[8] = "";
	size_t pos = 0;

	(void)state;
	df_append(buf, sizeof(buf), &pos, "%d", 123);
	df_append(buf, sizeof(buf), &pos, "%s", "ab");
	assert_string_equal(buf, "123ab");
	assert_int_equal(pos, 5);
	df_append(buf, sizeof(buf), &pos, "%s", "cdefgh");
	assert_string_equal(buf, "123abcd");
	assert_int_equal(pos, 7);
	df_append(buf, sizeof(buf), &pos, "more");
	assert_string_equal(buf, "123abcd");
	assert_int_equal(pos, 7);
	df_append(buf, 0, &pos, "none");
	assert_int_equal(pos, 7);
}

static void test_clocks(void **state)
{
	uint64_t before = df_now_ns();
	char text[32];

	(void)state;
	assert_true(before > 0 && df_now_ns() >= before);
	df_time_text(text);
	assert_int_equal(strlen(text), strlen("2026-01-02T03:04:05.678901Z"));
	assert_int_equal(text[10], 'T');
	assert_int_equal(text[19], '.');
	assert_int_equal(text[26], 'Z');
}

static void test_random(void **state)
{
	uint8_t a[300] = {0}, b[300] = {0};

	(void)state;
	df_random(a, sizeof(a)); /* over 256: getrandom may be interrupted */
	df_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	df_random(a, 0);
}

/* Values of the reference implementation; policies and reports depend on them. */
static void test_hash(void **state)
{
	(void)state;
	assert_int_equal(df_hash_text(DF_HASH_START, NULL), DF_HASH_START);
	assert_int_equal(df_hash_text(DF_HASH_START, "a"), UINT64_C(0xaf63dc4c8601ec8c));
	assert_int_equal(df_hash_bytes(DF_HASH_START, BYTES("foobar")),
			 UINT64_C(0x85944171f73967e8));
	assert_int_equal(df_hash_fold(UINT64_C(0x100000002)), 3);
}

/* Every value is found through all growth, under a hash that thousands share, too. */
static void test_hash_index(void **state)
{
	static const unsigned n_hashes[] = {1, 100000, 7};
	struct df_hash_slot *slot;

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(n_hashes); k++) {
		const uint32_t n = n_hashes[k] < 100 ? 1000 : 100000;
		struct df_hash_index x = {0};

		for (uint32_t i = 1; i <= n; i++) {
			assert_int_equal(df_hash_reserve(&x, x.n + 1), 0);
			slot = df_hash_first(&x, i % n_hashes[k]);
			while (slot->value && slot->value != i)
				slot = df_hash_next(&x, slot, i % n_hashes[k]);
			assert_int_equal(slot->value, 0);
			df_hash_put(&x, slot, i % n_hashes[k], i);
		}
		for (uint32_t i = 1; i <= n; i++) {
			slot = df_hash_first(&x, i % n_hashes[k]);
			while (slot->value && slot->value != i)
				slot = df_hash_next(&x, slot, i % n_hashes[k]);
			assert_int_equal(slot->value, i);
		}
		assert_int_equal(x.n, n);
		df_hash_done(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_cleanup_closes),
		cmocka_unit_test(test_read_all),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_write_all),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_cuts_at_whole_escapes),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_hash_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
