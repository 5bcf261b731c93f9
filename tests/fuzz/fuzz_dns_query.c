/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: a query as a client sends it. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/dns_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_dns_query query;
	int result;
	const char *wrong = df_oracle_query(data, size, &query, &result);

	if (wrong) {
		(void)fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
