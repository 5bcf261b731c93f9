/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/dns/out.h"

#define POINTER_TARGET 0x4000 /* what fourteen bits reach, RFC 1035 4.1.4 */

void df_dns_out_init(struct df_dns_out *o, uint8_t *buf, size_t size, size_t limit)
{
	o->buf = buf;
	o->size = size < limit ? size : limit;
	if (o->size > DF_DNS_MSG_MAX)
		o->size = DF_DNS_MSG_MAX;
	o->pos = 0;
	o->is_full = false;
	o->n_known = 0;
}

/* True where buf says at this offset what wire says; buf may have the client's case. */
static bool is_written_at(const struct df_dns_out *o, size_t at, const uint8_t *wire)
{
	for (;;) {
		uint8_t n = o->buf[at];

		if (n >= 0xc0) {
			at = (size_t)(n & 0x3f) << 8 | o->buf[at + 1];
			continue;
		}
		if (n != *wire)
			return false;
		if (n == 0)
			return true;
		for (size_t i = 1; i <= n; i++) {
			uint8_t c = o->buf[at + i];

			if (c >= 'A' && c <= 'Z')
				c |= 0x20;
			if (c != wire[i])
				return false;
		}
		at += 1u + n;
		wire += 1u + n;
	}
}

/* Offset of a suffix that was written before, 0 if none: the header holds no name. */
static uint16_t find_known(const struct df_dns_out *o, const uint8_t *wire, size_t len)
{
	for (unsigned i = 0; i < o->n_known; i++)
		if (o->known[i].len == len && is_written_at(o, o->known[i].at, wire))
			return o->known[i].at;
	return 0;
}

static void remember(struct df_dns_out *o, const struct df_dname *name, size_t start,
		     const uint8_t *suffixes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (o->n_known == DF_DNS_KNOWN_MAX || start + suffixes[i] >= POINTER_TARGET)
			return;
		o->known[o->n_known].at = (uint16_t)(start + suffixes[i]);
		o->known[o->n_known].len = (uint8_t)(name->len - suffixes[i]);
		o->n_known++;
	}
}

void df_dns_put_name(struct df_dns_out *o, const struct df_dname *name)
{
	uint8_t suffixes[DF_DNAME_LABELS_MAX + 1];
	size_t start = o->pos;
	uint16_t target = 0;
	unsigned n = 0;

	if (o->is_full)
		return;
	(void)df_dname_suffixes(name, suffixes);
	for (n = 0; n < name->n_labels && target == 0; n++)
		target = find_known(o, name->wire + suffixes[n], (size_t)name->len - suffixes[n]);
	if (target == 0) {
		df_dns_put_bytes(o, name->wire, name->len);
	} else {
		n--;
		df_dns_put_bytes(o, name->wire, suffixes[n]);
		df_dns_put_u16(o, 0xc000 | target);
	}
	if (!o->is_full)
		remember(o, name, start, suffixes, n);
}

void df_dns_put_header(struct df_dns_out *o, uint16_t id, uint16_t flags)
{
	df_dns_put_u16(o, id);
	df_dns_put_u16(o, flags);
	df_dns_put_u16(o, 1); /* the question */
	df_dns_put_u16(o, 0); /* the records: df_dns_set_counts */
	df_dns_put_u32(o, 0);
}

void df_dns_set_counts(struct df_dns_out *o, const uint16_t n[static DF_DNS_N_SECTIONS])
{
	for (size_t i = 0; i < DF_DNS_N_SECTIONS; i++)
		df_dns_set_u16(o->buf + 4 + 2 * i, n[i]);
}

void df_dns_put_question(struct df_dns_out *o, const struct df_dns_query *q,
			 const uint8_t *spelling)
{
	uint8_t suffixes[DF_DNAME_LABELS_MAX + 1];
	size_t start = o->pos;

	df_dns_put_bytes(o, spelling, q->name.len);
	df_dns_put_u16(o, q->type);
	df_dns_put_u16(o, q->other_class ? q->other_class : DF_DNS_CLASS_IN);
	if (o->is_full)
		return;
	(void)df_dname_suffixes(&q->name, suffixes);
	remember(o, &q->name, start, suffixes, q->name.n_labels);
}

void df_dns_put_opt(struct df_dns_out *o, uint16_t udp_size, uint32_t ttl, const uint8_t *options,
		    uint16_t n_options)
{
	df_dns_put_bytes(o, (const uint8_t[]){0}, 1);
	df_dns_put_u16(o, DF_DNS_TYPE_OPT);
	df_dns_put_u16(o, udp_size);
	df_dns_put_u32(o, ttl);
	df_dns_put_u16(o, n_options);
	df_dns_put_bytes(o, options, n_options);
}
