/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/state_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"

static int parse_len(const char *text, size_t len, struct df_state *ret, char *error)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);
	int status;

	assert_non_null(exact);
	memcpy(exact, text, len);
	memset(error, 'x', DF_OCI_ERROR_MAX);
	status = df_state_parse(exact, len, ret, error);
	if (status)
		assert_non_null(memchr(error, '\0', DF_OCI_ERROR_MAX));
	return status;
}

void df_case_refused(const char *text, size_t len, int expected, const char *needle)
{
	struct df_state s, before;
	char error[DF_OCI_ERROR_MAX];
	int status;

	memset(&s, 0x5a, sizeof(s));
	memcpy(&before, &s, sizeof(s));
	status = parse_len(text, len, &s, error);
	if (status == 0)
		fail_msg("accepted: %.300s", text);
	if (status != expected || !strstr(error, needle))
		fail_msg("%.300s: %d, \"%s\"; expected %d, \"%s\"", text, status, error, expected,
			 needle);
	for (const char *p = error; *p; p++)
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
	if (status != 64) {
		assert_memory_equal(&s, &before, sizeof(s));
		return;
	}
	/* Only the annotations are wrong: where to say so is known. */
	assert_true(s.status == DF_STATUS_CREATE && s.id && s.bundle && s.pid > 1);
	df_state_done(&s);
}

struct df_state df_case_accepted(const char *text)
{
	struct df_state s;
	char error[DF_OCI_ERROR_MAX];

	memset(&s, 0x5a, sizeof(s));
	if (parse_len(text, strlen(text), &s, error))
		fail_msg("refused: %.300s: %s", text, error);
	return s;
}

void df_case_check(const struct df_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		df_case_refused(cases[i].text, strlen(cases[i].text), cases[i].status,
				cases[i].needle);
}
