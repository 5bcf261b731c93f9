/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input: the length of the query (two octets, big-endian), the query, and the
 * answer of upstream to it, under the id of the query.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/dns_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_dns_query query;
	struct df_dns_answer answer;
	const char *wrong;
	size_t query_len;
	uint16_t id;
	int result;

	if (size < 2)
		return 0;
	query_len = (size_t)(data[0] << 8 | data[1]);
	data += 2;
	size -= 2;
	if (query_len > size || df_dns_parse_query(data, query_len, &query, &id) < 0)
		return 0;
	wrong = df_oracle_answer(data + query_len, size - query_len, &query, id, &answer, &result);
	if (wrong) {
		(void)fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
