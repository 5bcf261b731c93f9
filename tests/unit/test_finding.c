/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/policy/finding.h"

_Static_assert(DF_FINDINGS <= 32, "sets of findings are 32 bits");

/* Each has a name of its own, and the name leads back. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		const char *name = df_finding_name(i);

		assert_non_null(name);
		assert_non_null(df_finding_remedy(i));
		assert_int_equal(df_finding_from_name(name, strlen(name)), i);
		assert_int_equal(df_finding_from_name(name, strlen(name) - 1), -ENOENT);
	}
	assert_null(df_finding_name(DF_FINDINGS));
	assert_null(df_finding_remedy(DF_FINDINGS));
	assert_int_equal(df_finding_from_name("", 0), -ENOENT);
	assert_int_equal(df_finding_from_name("cap-net-rawx", 12), -ENOENT);
	assert_int_equal(df_finding_from_name("cap-net-rawx", 11), DF_FINDING_CAP_NET_RAW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
