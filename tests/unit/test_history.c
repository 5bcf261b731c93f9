/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history: first sights are events, repetitions are counted, and no count is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/event/event.h"
#include "proxy/worker/history.h"

static struct df_history history;
static uint64_t n_summaries, n_counted;

static void summary(void *data, const struct df_history_entry *e)
{
	assert_ptr_equal(data, &history);
	n_summaries++;
	n_counted += e->repeated;
}

static int setup(void **state)
{
	(void)state;
	memset(&history, 0, sizeof(history));
	history.seed = 42;
	n_summaries = n_counted = 0;
	return 0;
}

static bool note(uint32_t tgid, const char *comm, const char *text, bool is_refusal, uint64_t now)
{
	struct df_token t = {.tgid = tgid};
	struct df_history_what what = {};
	bool is_first;

	(void)snprintf(t.comm, sizeof(t.comm), "%s", comm);
	assert_int_equal(df_dname_from_text(text, strlen(text), &what.name, NULL), 0);
	(void)df_history_note(&history, &t, &what, is_refusal, now, &is_first, summary, &history);
	return is_first;
}

static void test_first_and_again(void **state)
{
	(void)state;
	assert_true(note(10, "curl", "github.com", true, 1000));
	assert_false(note(10, "curl", "github.com", true, 2000));
	assert_false(note(10, "curl", "GITHUB.com", true, 3000));
	assert_true(note(11, "curl", "github.com", true, 3000));  /* another process */
	assert_true(note(10, "git", "github.com", true, 3000));   /* after exec */
	assert_true(note(10, "curl", "gitlab.com", true, 3000));  /* another name */
	assert_true(note(10, "curl", "github.com", false, 3000)); /* another verdict */
}

/* A number that another process has by now: it is somebody else's first sight. */
static void test_reused_number(void **state)
{
	struct df_token t = {.tgid = 10, .start = 7, .comm = "curl"};
	struct df_history_what what = {};
	bool is_first;

	(void)state;
	assert_int_equal(df_dname_from_text("github.com", 10, &what.name, NULL), 0);
	(void)df_history_note(&history, &t, &what, 2, 1000, &is_first, summary, &history);
	assert_true(is_first);
	(void)df_history_note(&history, &t, &what, 2, 2000, &is_first, summary, &history);
	assert_false(is_first);
	t.start = 8;
	(void)df_history_note(&history, &t, &what, 2, 3000, &is_first, summary, &history);
	assert_true(is_first);
}

static bool note_what(struct df_history_what what, uint8_t last_octet)
{
	const struct df_token t = {.tgid = 10};
	bool is_first;

	what.addr[15] = last_octet;
	(void)df_history_note(&history, &t, &what, 2, 1000, &is_first, summary, &history);
	return is_first;
}

/* What has no name is told apart by address and port; the same name by where it was seen. */
static void test_without_a_name(void **state)
{
	struct df_history_what named = {.at = DF_AT_PROXY, .port = 443};

	(void)state;
	assert_int_equal(df_dname_from_text("a.example", 9, &named.name, NULL), 0);
	assert_true(note_what((struct df_history_what){.at = DF_AT_TLS, .port = 443}, 1));
	assert_false(note_what((struct df_history_what){.at = DF_AT_TLS, .port = 443}, 1));
	assert_true(note_what((struct df_history_what){.at = DF_AT_TLS, .port = 443}, 2));
	assert_true(note_what((struct df_history_what){.at = DF_AT_HTTP, .port = 443}, 2));
	assert_true(note_what((struct df_history_what){.at = DF_AT_HTTP, .port = 80}, 2));
	assert_true(note_what(named, 1));
	assert_false(note_what(named, 2));
	named.port = 80;
	assert_false(note_what(named, 1));
	named.at = DF_AT_DNS;
	assert_true(note_what(named, 1));
}

static void test_forgotten_after_a_while(void **state)
{
	(void)state;
	assert_true(note(10, "curl", "github.com", true, 1));
	assert_false(note(10, "curl", "github.com", true, DF_HISTORY_FORGET_NS));
	assert_true(note(10, "curl", "github.com", true, DF_HISTORY_FORGET_NS + 1));
	/* the repetition in between went out when the entry was taken over */
	assert_int_equal(n_summaries, 1);
	assert_int_equal(n_counted, 1);
}

static void test_summaries(void **state)
{
	(void)state;
	(void)note(10, "curl", "github.com", true, 1);
	for (int i = 0; i < 5; i++)
		(void)note(10, "curl", "github.com", true, 2);
	df_history_summaries(&history, DF_HISTORY_SUMMARY_NS, false, summary, &history);
	assert_int_equal(n_summaries, 0); /* not due yet */
	df_history_summaries(&history, DF_HISTORY_SUMMARY_NS + 1, false, summary, &history);
	assert_int_equal(n_summaries, 1);
	assert_int_equal(n_counted, 5);
	df_history_summaries(&history, DF_HISTORY_SUMMARY_NS + 1, true, summary, &history);
	assert_int_equal(n_summaries, 1); /* nothing new */
	(void)note(10, "curl", "github.com", true, 3);
	df_history_summaries(&history, 4, true, summary, &history);
	assert_int_equal(n_counted, 6);
}

/* Ten times more names than slots: each query is either a first sight or counted. */
static void test_nothing_is_lost(void **state)
{
	const unsigned n_names = 10 * DF_HISTORY_ENTRIES, rounds = 3;
	uint64_t n_first = 0;

	(void)state;
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < n_names; i++) {
			char text[32];

			(void)snprintf(text, sizeof(text), "n%u.example", i);
			n_first += note(10, "curl", text, false, 1);
			n_first += note(10, "curl", text, false, 1);
		}
	}
	df_history_summaries(&history, 2, true, summary, &history);
	assert_int_equal(history.n_repeated, 0);
	assert_int_equal(n_first + n_counted, 2ull * rounds * n_names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_first_and_again, setup),
		cmocka_unit_test_setup(test_reused_number, setup),
		cmocka_unit_test_setup(test_without_a_name, setup),
		cmocka_unit_test_setup(test_forgotten_after_a_while, setup),
		cmocka_unit_test_setup(test_summaries, setup),
		cmocka_unit_test_setup(test_nothing_is_lost, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
