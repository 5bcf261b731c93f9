/* SPDX-License-Identifier: GPL-2.0-or-later */
/* payload_case: parses octets of a test and says what is not as expected. */
#ifndef DF_TEST_PAYLOAD_CASE_H
#define DF_TEST_PAYLOAD_CASE_H

#include "proxy/payload/payload.h"

#define BYTES(s) (s), sizeof(s) - 1

/* in tables */
#define NONE DF_PAYLOAD_NONE
#define HTTP DF_PAYLOAD_HTTP
#define CONNECT DF_PAYLOAD_CONNECT
#define ABSOLUTE DF_PAYLOAD_ABSOLUTE
#define TLS DF_PAYLOAD_TLS
#define BAD DF_PAYLOAD_UNREADABLE
#define MORE DF_PAYLOAD_INCOMPLETE
#define OK DF_PAYLOAD_READ

#define ADDR4 "00000000000000000000ffffc0000201"
#define ADDR6 "20010db8000000000000000000000001"

/* In a copy of exactly this size, so that ASan sees an over-read of one octet. */
struct df_payload_target parse(const void *data, size_t len, bool is_cut);

/* target: "a.example:80", ADDR4 ":443", "a.example:80 Host b.example:80"; "" for neither name nor
 * address. */
void expect(const char *why, const struct df_payload_target *t, enum df_payload_kind kind,
	    enum df_payload_state state, const char *target);

#endif
