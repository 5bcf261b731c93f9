/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns: private to parse.c (the reading half of wire.h), build.c (the building half) and svcb.c.
 *
 * The reader is bounded, and its error is sticky: reads behind it yield zeros, so that a caller
 * may read several fields and test once, before it uses any of them.  The writer is bounded, and
 * "does not fit" is sticky: writes behind it do nothing, so that a caller may write a whole message
 * and test is_full once.
 */
#ifndef DF_DNS_INTERNAL_H
#define DF_DNS_INTERNAL_H

#include <errno.h>
#include <string.h>

#include "proxy/dns/wire.h"

/* The second word of the header: RFC 1035 4.1.1, RFC 4035 3.1.6 and 3.2 (AD, CD). */
#define DF_DNS_FLAG_QR 0x8000u
#define DF_DNS_FLAG_OPCODE 0x7800u
#define DF_DNS_FLAG_TC 0x0200u
#define DF_DNS_FLAG_RD 0x0100u
#define DF_DNS_FLAG_RA 0x0080u
#define DF_DNS_FLAG_Z 0x0040u
#define DF_DNS_FLAG_AD 0x0020u
#define DF_DNS_FLAG_CD 0x0010u
#define DF_DNS_FLAG_RCODE 0x000fu

#define DF_DNS_OPCODE_SHIFT 11

#define DF_DNS_CLASS_IN 1
#define DF_DNS_CLASS_ANY 255

#define DF_DNS_OPTION_COOKIE 10 /* RFC 7873 */

/* An OPT record keeps these in its TTL: RFC 6891 6.1.3. */
#define DF_DNS_OPT_RCODE 0xff000000u
#define DF_DNS_OPT_VERSION 0x00ff0000u
#define DF_DNS_OPT_DO 0x00008000u

enum {
	DF_DNS_SECTION_QUESTION,
	DF_DNS_SECTION_ANSWER,
	DF_DNS_SECTION_AUTHORITY,
	DF_DNS_SECTION_ADDITIONAL,
	DF_DNS_N_SECTIONS,
};

/* --- the reader (parse.c) --------------------------------------------------------------- */

struct df_dns_cursor {
	const uint8_t *pkt;
	size_t len;
	size_t pos;
	int error; /* 0 or -EBADMSG */
};

struct df_dns_header {
	uint16_t id;
	uint16_t flags;
	uint16_t n[DF_DNS_N_SECTIONS];
};

struct df_dns_record {
	struct df_dname owner;
	struct df_dname target; /* of CNAME, DNAME, NS and PTR; else unset */
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	uint16_t rdlen;
	const uint8_t *rdata; /* into the packet */
};

static inline const uint8_t *df_dns_get(struct df_dns_cursor *c, size_t n)
{
	if (c->error || n > c->len - c->pos) {
		c->error = -EBADMSG;
		return NULL;
	}
	c->pos += n;
	return c->pkt + c->pos - n;
}

static inline uint16_t df_dns_get_u16(struct df_dns_cursor *c)
{
	const uint8_t *p = df_dns_get(c, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline void df_dns_get_name(struct df_dns_cursor *c, struct df_dname *ret)
{
	if (!c->error)
		c->error = df_dname_from_wire(c->pkt, c->len, &c->pos, ret);
}

/* One that is not compressed. */
void df_dns_get_plain_name(struct df_dns_cursor *c, struct df_dname *ret);

void df_dns_get_header(struct df_dns_cursor *c, struct df_dns_header *ret);

/*
 * Reads one record of a section and checks its RDATA by type.  Sets the error
 * for another class than IN (but ANY of a TSIG or SIG(0) in the additional section), for an
 * OPT that is not in the additional section or not owned by the root, and for compressed names
 * where RFC 4034 has none.
 */
void df_dns_get_record(struct df_dns_cursor *c, unsigned section, struct df_dns_record *ret);

/*
 * True: the message has TC and ends before or inside the record that begins at this offset, so
 * that the sender cut it there.
 */
bool df_dns_is_cut_at(const uint8_t *pkt, size_t len, const struct df_dns_header *h, size_t at);

/*
 * Reads the question, and whether it is that of q.  0; -EBADMSG, -ENOMSG as
 * df_dns_parse_answer has them.  *ret_is_cut: with TC, the message ends inside it.
 */
int df_dns_get_question(struct df_dns_cursor *c, const struct df_dns_header *h,
			const struct df_dns_query *q, bool *ret_is_cut);

/* --- the writer (build.c) --------------------------------------------------------------- */

#define DF_DNS_KNOWN_MAX 96 /* name suffixes to point at: sixteen names of six labels */

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

static inline void df_dns_put_bytes(struct df_dns_out *o, const uint8_t *data, size_t n)
{
	if (o->is_full || n > o->size - o->pos) {
		o->is_full = true;
		return;
	}
	if (n > 0)
		memcpy(o->buf + o->pos, data, n);
	o->pos += n;
}

static inline void df_dns_put_u16(struct df_dns_out *o, uint16_t value)
{
	df_dns_put_bytes(o, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

/* --- service bindings (svcb.c): the RDATA of SVCB and HTTPS records, RFC 9460 ------------ */

struct df_dns_svcb {
	uint16_t priority;            /* 0: AliasMode */
	struct df_dname target;       /* the root: the owner itself, or (AliasMode) nobody */
	const uint8_t *hint4, *hint6; /* into the RDATA */
	size_t n_hint4, n_hint6;      /* addresses */
};

static inline bool df_dns_is_svcb(uint16_t type)
{
	return type == DF_DNS_TYPE_SVCB || type == DF_DNS_TYPE_HTTPS;
}

/*
 * Refused are records that a client has to refuse (section 2.2 and the sections of the keys): a
 * compressed TargetName, keys out of order or twice, values that are not of their key's form.
 * Unknown keys have any value.  -EBADMSG; *ret is then undefined.
 */
int df_dns_svcb_parse(const uint8_t *rdata, size_t len, struct df_dns_svcb *ret);

/*
 * Writes RDATA that was parsed, without the address hints and ECH, and without the mandatory
 * keys that name these; of AliasMode, where parameters mean nothing, without any.
 * True: that made a difference.
 */
bool df_dns_svcb_put(struct df_dns_out *o, const uint8_t *rdata, size_t len);

#endif
