/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello: a ClientHello as a client sends it (RFC 8446 4.1.2), around the extensions that a
 * test gives.
 */
#ifndef DF_TEST_HELLO_H
#define DF_TEST_HELLO_H

#include <stddef.h>
#include <stdint.h>

#define TEST_HELLO_MAX 8192
/* offsets in a hello of one record */
#define TEST_HELLO_SESSION_ID 43
#define TEST_HELLO_EXTENSIONS 54

struct test_hello {
	size_t len;
	uint8_t handshake[TEST_HELLO_MAX];
};

/* Without any extensions there is no vector for them. */
void test_hello_init(struct test_hello *ret, const char *extensions, size_t len);

/* In records of so many octets.  Returns the length. */
size_t test_hello_records(const struct test_hello *h, size_t octets,
			  uint8_t ret[static TEST_HELLO_MAX]);

#endif
