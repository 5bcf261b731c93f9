/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hello.h"

#include <assert.h>
#include <string.h>

void test_hello_init(struct test_hello *ret, const char *extensions, size_t len)
{
	static const uint8_t head[] = {1, 0, 0, 0, 3, 3};
	static const uint8_t suites[] = {0, 0, 4, 0x13, 1, 0x13, 2, 1, 0};
	uint8_t *p = ret->handshake;
	size_t n = sizeof(head) + 32 + sizeof(suites);

	assert(n + 2 + len <= sizeof(ret->handshake));
	memset(ret, 0, sizeof(*ret));
	memcpy(p, head, sizeof(head));
	memset(p + sizeof(head), 0x5a, 32); /* random */
	memcpy(p + sizeof(head) + 32, suites, sizeof(suites));
	if (len > 0) {
		p[n++] = (uint8_t)(len >> 8);
		p[n++] = (uint8_t)len;
		memcpy(p + n, extensions, len);
		n += len;
	}
	p[2] = (uint8_t)((n - 4) >> 8);
	p[3] = (uint8_t)(n - 4);
	ret->len = n;
}

size_t test_hello_records(const struct test_hello *h, size_t octets,
			  uint8_t ret[static TEST_HELLO_MAX])
{
	size_t n = 0;

	for (size_t pos = 0; pos < h->len; pos += octets) {
		const size_t part = h->len - pos < octets ? h->len - pos : octets;
		const uint8_t header[] = {22, 3, 1, (uint8_t)(part >> 8), (uint8_t)part};

		assert(n + sizeof(header) + part <= TEST_HELLO_MAX);
		memcpy(ret + n, header, sizeof(header));
		memcpy(ret + n + sizeof(header), h->handshake + pos, part);
		n += sizeof(header) + part;
	}
	return n;
}
