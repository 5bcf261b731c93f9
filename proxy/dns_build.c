/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The building half of dns_wire.h. */
#include <string.h>

#include "lib/util.h"
#include "proxy/dns_cursor.h"
#include "proxy/dns_out.h"
#include "proxy/dns_svcb.h"
#include "proxy/dns_wire.h"

#define EDE_LEN 6 /* option header and INFO-CODE, RFC 8914 2 */
#define OPTION_EDE 15

int df_dns_build_query(const struct df_dns_query *q, uint16_t id, bool keep_case, uint8_t *buf,
		       size_t size)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, q->has_edns};
	uint16_t flags = 0;
	struct df_dns_out o;

	if (q->rd)
		flags |= DF_DNS_FLAG_RD;
	if (q->ad)
		flags |= DF_DNS_FLAG_AD;
	if (q->cd)
		flags |= DF_DNS_FLAG_CD;
	df_dns_out_init(&o, buf, size, DF_DNS_MSG_MAX);
	df_dns_put_header(&o, id, flags);
	df_dns_put_question(&o, q, keep_case ? q->name_case : q->name.wire);
	if (q->has_edns)
		df_dns_put_opt(
			&o, q->edns_udp_size < DF_DNS_UDP_OURS ? q->edns_udp_size : DF_DNS_UDP_OURS,
			q->edns_do ? DF_DNS_OPT_DO : 0, q->options, q->n_options);
	if (o.is_full)
		return -EMSGSIZE;
	df_dns_set_counts(&o, n);
	return (int)o.pos;
}

/* The type an RRSIG covers is the first field of its RDATA, whose length was checked. */
static uint16_t covered_type(const struct df_dns_record *rr)
{
	return (uint16_t)(rr->rdata[0] << 8 | rr->rdata[1]);
}

/*
 * Types whose RDATA may hold compressed names that nobody reads here (RFC 3597 4): not to be
 * copied.  Some of what there is will do as an answer to ANY, RFC 8482 4.1.
 */
static bool is_opaque_name_type(uint16_t type)
{
	static const uint16_t types[] = {3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 35, 36};

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] == type)
			return true;
	return false;
}

static bool is_answer_type(const struct df_dns_query *q, uint16_t type)
{
	if (q->type == DF_DNS_TYPE_ANY)
		return !is_opaque_name_type(type);
	return type == q->type || type == DF_DNS_TYPE_CNAME || type == DF_DNS_TYPE_DNAME;
}

static bool is_denial_type(const struct df_dns_query *q, uint16_t type)
{
	return type == DF_DNS_TYPE_SOA ||
	       (q->edns_do && (type == DF_DNS_TYPE_NSEC || type == DF_DNS_TYPE_NSEC3));
}

static bool is_kept(const struct df_dns_query *q, unsigned section, const struct df_dns_record *rr)
{
	uint16_t type = rr->type;

	if (section == DF_DNS_SECTION_ADDITIONAL)
		return type == DF_DNS_TYPE_OPT && q->has_edns;
	if (type == DF_DNS_TYPE_RRSIG) {
		if (!q->edns_do)
			return false;
		type = covered_type(rr);
	}
	return section == DF_DNS_SECTION_ANSWER ? is_answer_type(q, type) : is_denial_type(q, type);
}

/* True: it is not what upstream said. */
static bool put_rdata(struct df_dns_out *o, const uint8_t *upstream, const struct df_dns_record *rr)
{
	size_t start = (size_t)(rr->rdata - upstream);
	struct df_dns_cursor c = {upstream, start + rr->rdlen, start, 0};
	struct df_dname name = {.len = 0};

	switch (rr->type) {
	case DF_DNS_TYPE_SVCB:
	case DF_DNS_TYPE_HTTPS:
		return df_dns_svcb_put(o, rr->rdata, rr->rdlen);
	case DF_DNS_TYPE_CNAME:
	case DF_DNS_TYPE_NS:
	case DF_DNS_TYPE_PTR:
		df_dns_put_name(o, &rr->target);
		break;
	case DF_DNS_TYPE_MX:
	case DF_DNS_TYPE_SRV:
		df_dns_put_bytes(o, rr->rdata, rr->type == DF_DNS_TYPE_MX ? 2 : 6);
		(void)df_dns_get(&c, rr->type == DF_DNS_TYPE_MX ? 2 : 6);
		df_dns_get_name(&c, &name);
		df_dns_put_bytes(o, name.wire, name.len); /* uncompressed, RFC 2782 */
		break;
	case DF_DNS_TYPE_DNAME: /* never compressed, RFC 6672 2.5 */
		df_dns_put_bytes(o, rr->target.wire, rr->target.len);
		break;
	case DF_DNS_TYPE_SOA:
		for (unsigned i = 0; i < 2; i++) {
			df_dns_get_name(&c, &name);
			df_dns_put_name(o, &name);
		}
		df_dns_put_bytes(o, upstream + c.pos, c.len - c.pos);
		break;
	default: /* holds no compressed name: df_dns_get_record */
		df_dns_put_bytes(o, rr->rdata, rr->rdlen);
		break;
	}
	return false;
}

/* Likewise. */
static bool put_record(struct df_dns_out *o, const uint8_t *upstream,
		       const struct df_dns_record *rr)
{
	bool is_changed;
	size_t start;

	if (rr->type == DF_DNS_TYPE_OPT) {
		df_dns_put_opt(o, DF_DNS_UDP_OURS, rr->ttl & (DF_DNS_OPT_RCODE | DF_DNS_OPT_DO),
			       rr->rdata, rr->rdlen);
		return false;
	}
	df_dns_put_name(o, &rr->owner);
	df_dns_put_u16(o, rr->type);
	df_dns_put_u16(o, rr->class);
	df_dns_put_u32(o, rr->ttl);
	df_dns_put_u16(o, 0);
	start = o->pos;
	is_changed = put_rdata(o, upstream, rr);
	if (!o->is_full)
		df_dns_set_u16(o->buf + start - 2, (uint16_t)(o->pos - start));
	return is_changed;
}

/* c stands behind the question.  -EMSGSIZE: does not fit. */
static int rebuild(const struct df_dns_query *q, struct df_dns_cursor c,
		   const struct df_dns_header *h, struct df_dns_out *o)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, 0};
	uint16_t flags = (uint16_t)(h->flags & ~DF_DNS_FLAG_Z);
	struct df_dns_record rr;

	df_dns_put_header(o, q->id, flags);
	df_dns_put_question(o, q, q->name_case);
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h->n[section]; i++) {
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			if (!is_kept(q, section, &rr))
				continue;
			if (put_record(o, c.pkt, &rr))
				flags &= (uint16_t)~DF_DNS_FLAG_AD; /* nobody vouches for it */
			n[section]++;
			if (o->is_full)
				return -EMSGSIZE;
		}
	}
	df_dns_set_u16(o->buf + 2, flags);
	df_dns_set_counts(o, n);
	return (int)o->pos;
}

/* -ENOENT: the message has none.  *ret_end is where the record ends. */
static int find_opt(struct df_dns_cursor c, const struct df_dns_header *h,
		    struct df_dns_record *ret, size_t *ret_end)
{
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h->n[section]; i++) {
			df_dns_get_record(&c, section, ret);
			if (c.error)
				return c.error;
			if (ret->type == DF_DNS_TYPE_OPT) {
				*ret_end = c.pos;
				return 0;
			}
		}
	}
	return -ENOENT;
}

static int pass(const struct df_dns_query *q, struct df_dns_cursor c, const struct df_dns_header *h,
		struct df_dns_out *o)
{
	size_t len = c.len, end;
	struct df_dns_record rr;
	bool has_stray_opt = false;

	/*
	 * An OPT the client did not ask for (RFC 6891 7 forbids it): we can take
	 * it off where it is the last record, as it is with every server we know;
	 * from the middle not, since pointers behind it would go astray.
	 */
	if (!q->has_edns && find_opt(c, h, &rr, &end) == 0 && end == len) {
		len -= DF_DNS_OPT_LEN + rr.rdlen;
		has_stray_opt = true;
	}
	df_dns_put_bytes(o, c.pkt, len);
	if (o->is_full)
		return -EMSGSIZE;
	df_dns_set_u16(o->buf, q->id);
	if (has_stray_opt)
		df_dns_set_u16(o->buf + 10, (uint16_t)(h->n[DF_DNS_SECTION_ADDITIONAL] - 1));
	memcpy(o->buf + DF_DNS_HEADER_LEN, q->name_case, q->name.len);
	return (int)o->pos;
}

/* c stands behind the question. */
static bool has_svcb(struct df_dns_cursor c, const struct df_dns_header *h)
{
	struct df_dns_record rr;

	for (unsigned i = 0; i < h->n[DF_DNS_SECTION_ANSWER]; i++) {
		df_dns_get_record(&c, DF_DNS_SECTION_ANSWER, &rr);
		if (c.error)
			return false;
		if (rr.type == DF_DNS_TYPE_SVCB || rr.type == DF_DNS_TYPE_HTTPS)
			return true;
	}
	return false;
}

/* The question and TC: the client asks again by TCP, RFC 2181 9. */
static int truncate_answer(const struct df_dns_query *q, struct df_dns_cursor c,
			   const struct df_dns_header *h, struct df_dns_out *o)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, 0};
	struct df_dns_record rr;
	size_t end;
	uint16_t flags = (uint16_t)(h->flags & ~DF_DNS_FLAG_Z);

	df_dns_put_header(o, q->id, flags | DF_DNS_FLAG_TC);
	df_dns_put_question(o, q, q->name_case);
	if (q->has_edns && find_opt(c, h, &rr, &end) == 0) {
		size_t mark = o->pos;

		(void)put_record(o, c.pkt, &rr);
		if (o->is_full) {
			/* Padding may fill a message; the OPT itself must stay, RFC 6891 7. */
			o->pos = mark;
			o->is_full = false;
			rr.rdlen = 0;
			(void)put_record(o, c.pkt, &rr);
		}
		n[DF_DNS_SECTION_ADDITIONAL] = 1;
	}
	if (o->is_full)
		return -EMSGSIZE;
	df_dns_set_counts(o, n);
	return (int)o->pos;
}

static int build(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
		 bool is_stripped, size_t limit, uint8_t *buf, size_t size)
{
	bool is_rebuilt = q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA;
	struct df_dns_cursor c = {upstream, upstream_len, 0, 0};
	struct df_dns_header h;
	struct df_dname name;
	struct df_dns_out o;
	int r;

	df_dns_get_header(&c, &h);
	df_dns_get_name(&c, &name);
	(void)df_dns_get_u32(&c); /* type and class */
	if (c.error || h.n[DF_DNS_SECTION_QUESTION] != 1 || !df_dname_is_equal(&name, &q->name))
		return -EBADMSG;
	if (is_stripped)
		is_rebuilt |= q->type == DF_DNS_TYPE_SVCB || q->type == DF_DNS_TYPE_HTTPS ||
			      (q->type == DF_DNS_TYPE_ANY && has_svcb(c, &h));
	df_dns_out_init(&o, buf, size, limit);
	if (is_rebuilt)
		r = rebuild(q, c, &h, &o);
	else
		r = pass(q, c, &h, &o);
	if (r != -EMSGSIZE)
		return r;
	df_dns_out_init(&o, buf, size, limit);
	return truncate_answer(q, c, &h, &o);
}

int df_dns_build_answer(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
			size_t limit, uint8_t *buf, size_t size)
{
	return build(q, upstream, upstream_len, false, limit, buf, size);
}

int df_dns_build_stripped(const struct df_dns_query *q, const uint8_t *upstream,
			  size_t upstream_len, size_t limit, uint8_t *buf, size_t size)
{
	return build(q, upstream, upstream_len, true, limit, buf, size);
}

static void put_sinkhole(struct df_dns_out *o, const struct df_dns_query *q)
{
	static const uint8_t unspecified[16];
	uint16_t rdlen = q->type == DF_DNS_TYPE_A ? 4 : 16;

	df_dns_put_name(o, &q->name);
	df_dns_put_u16(o, q->type);
	df_dns_put_u16(o, DF_DNS_CLASS_IN);
	df_dns_put_u32(o, 0); /* nothing to cache: the policy may change */
	df_dns_put_u16(o, rdlen);
	df_dns_put_bytes(o, unspecified, rdlen);
}

/* RFC 8914 2: the text is not terminated; it is cut between characters. */
static void put_refusal_opt(struct df_dns_out *o, const struct df_dns_query *q,
			    const struct df_dns_refusal *r)
{
	size_t n = r->ede_text ? strlen(r->ede_text) : 0, room;
	uint32_t ttl = (uint32_t)(r->rcode >> 4) << 24;

	if (q->edns_do) /* is copied, RFC 3225 3 */
		ttl |= DF_DNS_OPT_DO;
	if (o->is_full)
		return;
	room = o->size - o->pos;
	if (r->ede == UINT16_MAX || room < DF_DNS_OPT_LEN + EDE_LEN) {
		df_dns_put_opt(o, DF_DNS_UDP_OURS, ttl, NULL, 0);
		return;
	}
	room -= DF_DNS_OPT_LEN + EDE_LEN;
	if (n > room)
		for (n = room; n > 0 && ((uint8_t)r->ede_text[n] & 0xc0) == 0x80;)
			n--;
	df_dns_put_opt(o, DF_DNS_UDP_OURS, ttl, NULL, 0);
	df_dns_set_u16(o->buf + o->pos - 2, (uint16_t)(EDE_LEN + n));
	df_dns_put_u16(o, OPTION_EDE);
	df_dns_put_u16(o, (uint16_t)(2 + n));
	df_dns_put_u16(o, r->ede);
	df_dns_put_bytes(o, (const uint8_t *)r->ede_text, n);
}

int df_dns_build_refusal(const struct df_dns_query *q, const struct df_dns_refusal *r, size_t limit,
			 uint8_t *buf, size_t size)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, q->has_edns};
	uint16_t flags = DF_DNS_FLAG_QR | DF_DNS_FLAG_RA | (r->rcode & DF_DNS_FLAG_RCODE);
	struct df_dns_out o;

	if (q->rd)
		flags |= DF_DNS_FLAG_RD;
	if (q->cd)
		flags |= DF_DNS_FLAG_CD;
	df_dns_out_init(&o, buf, size, limit);
	df_dns_put_header(&o, q->id, flags);
	df_dns_put_question(&o, q, q->name_case);
	if (r->sinkhole && (q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA)) {
		put_sinkhole(&o, q);
		n[DF_DNS_SECTION_ANSWER] = 1;
	}
	if (q->has_edns)
		put_refusal_opt(&o, q, r);
	if (o.is_full)
		return -EMSGSIZE;
	df_dns_set_counts(&o, n);
	return (int)o.pos;
}

int df_dns_build_error(uint16_t id, uint8_t rcode, uint8_t buf[static DF_DNS_HEADER_LEN])
{
	memset(buf, 0, DF_DNS_HEADER_LEN);
	df_dns_set_u16(buf, id);
	df_dns_set_u16(buf + 2, DF_DNS_FLAG_QR | (rcode & DF_DNS_FLAG_RCODE));
	return DF_DNS_HEADER_LEN;
}
