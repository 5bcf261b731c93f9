/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_oracle: what dns_wire accepts, libc accepts with the same names and
 * addresses; what dns_wire builds, dns_wire accepts with the same meaning.
 * Shared by the unit tests and the fuzzers; link with -lresolv.
 *
 * Each returns NULL, or a static text that says what does not hold.  Packets are
 * copied to buffers of their exact size, so that ASan sees an over-read of one.
 */
#ifndef DF_TEST_DNS_ORACLE_H
#define DF_TEST_DNS_ORACLE_H

#include "proxy/dns/wire.h"

/* *ret_result: what df_dns_parse_query returned; *ret as it left it. */
const char *df_oracle_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret,
			    int *ret_result);

const char *df_oracle_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			     uint16_t id, struct df_dns_answer *ret, int *ret_result);

#endif
