/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_out: the bounded writer below dns_build.c; private to it.
 *
 * "Does not fit" is sticky: writes behind it do nothing, so that a caller may
 * write a whole message and test is_full once.
 */
#ifndef DF_DNS_OUT_H
#define DF_DNS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/dns/cursor.h"
#include "proxy/dns/wire.h"

#define DF_DNS_KNOWN_MAX 96 /* name suffixes to point at: sixteen names of six labels */
#define DF_DNS_OPT_LEN 11   /* an OPT record without options, RFC 6891 6.1.2 */

struct df_dns_out {
	uint8_t *buf;
	size_t size;
	size_t pos;
	bool is_full;
	unsigned n_known;
	struct {
		uint16_t at; /* where in buf the suffix begins */
		uint8_t len; /* octets of it on the wire, uncompressed */
	} known[DF_DNS_KNOWN_MAX];
};

static inline void df_dns_set_u16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Room for n octets, or NULL and is_full. */
static inline uint8_t *df_dns_put(struct df_dns_out *o, size_t n)
{
	if (o->is_full || n > o->size - o->pos) {
		o->is_full = true;
		return NULL;
	}
	o->pos += n;
	return o->buf + o->pos - n;
}

static inline void df_dns_put_bytes(struct df_dns_out *o, const uint8_t *data, size_t n)
{
	uint8_t *p = df_dns_put(o, n);

	if (p && n > 0)
		memcpy(p, data, n);
}

static inline void df_dns_put_u16(struct df_dns_out *o, uint16_t value)
{
	uint8_t *p = df_dns_put(o, 2);

	if (p)
		df_dns_set_u16(p, value);
}

static inline void df_dns_put_u32(struct df_dns_out *o, uint32_t value)
{
	df_dns_put_u16(o, (uint16_t)(value >> 16));
	df_dns_put_u16(o, (uint16_t)value);
}

/* Writes to buf, at most the smallest of size, limit and DF_DNS_MSG_MAX. */
void df_dns_out_init(struct df_dns_out *o, uint8_t *buf, size_t size, size_t limit);

/* A header that counts one question and no records. */
void df_dns_put_header(struct df_dns_out *o, uint16_t id, uint16_t flags);

/* Sets the counts of the header; only where the message is not full. */
void df_dns_set_counts(struct df_dns_out *o, const uint16_t n[static DF_DNS_N_SECTIONS]);

/* spelling: q->name_case or q->name.wire. */
void df_dns_put_question(struct df_dns_out *o, const struct df_dns_query *q,
			 const uint8_t *spelling);

/* Compressed against all names written before, RFC 1035 4.1.4. */
void df_dns_put_name(struct df_dns_out *o, const struct df_dname *name);

void df_dns_put_opt(struct df_dns_out *o, uint16_t udp_size, uint32_t ttl, const uint8_t *options,
		    uint16_t n_options);

#endif
