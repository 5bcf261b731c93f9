/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/findings_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"

#define TEXT_MAX 8192

/* "cap-net-raw: CAP_NET_RAW in …\n" for each. */
const char *df_findings_case_text(const struct df_findings *f)
{
	static char text[TEXT_MAX];
	size_t pos = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < DF_FINDINGS; i++)
		if (*f->seen[i])
			df_append(text, sizeof(text), &pos, "%s: %s\n", df_finding_name(i),
				  f->seen[i]);
	return text;
}

struct df_config df_findings_case_config(const char *json)
{
	_cleanup_free_ char *exact = malloc(strlen(json));
	char error[DF_OCI_ERROR_MAX] = "";
	struct df_config c;

	assert_non_null(exact);
	memcpy(exact, json, strlen(json));
	if (df_config_parse(exact, strlen(json), &c, error))
		fail_msg("refused: %.300s: %s", json, error);
	return c;
}

/* The names alone, in their order. */
void df_findings_case_names(const char *what, const struct df_findings *f, const char *expected)
{
	char names[512] = "";
	size_t pos = 0;

	for (unsigned i = 0; i < DF_FINDINGS; i++)
		if (*f->seen[i])
			df_append(names, sizeof(names), &pos, "%s%s", pos ? " " : "",
				  df_finding_name(i));
	if (strcmp(names, expected) != 0)
		fail_msg("%s: \"%s\", expected \"%s\"\n%s", what, names, expected,
			 df_findings_case_text(f));
}
