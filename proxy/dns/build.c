/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The building half of dns_wire.h. */
#include <string.h>

#include "lib/base/util.h"
#include "proxy/dns/cursor.h"
#include "proxy/dns/out.h"
#include "proxy/dns/svcb.h"
#include "proxy/dns/wire.h"

#define EDE_LEN 6 /* option header and INFO-CODE, RFC 8914 2 */
#define OPTION_EDE 15
#define OPTION_HEADER_LEN 4

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

static bool is_proof_type(uint16_t type)
{
	return type == DF_DNS_TYPE_RRSIG || type == DF_DNS_TYPE_NSEC || type == DF_DNS_TYPE_NSEC3;
}

/* The owner is a name that was reached; of a DNAME it stands above one, RFC 6672 2.3. */
static bool is_owner_of(const struct df_dns_query *q, const struct df_dns_record *rr,
			const struct df_dname *reached)
{
	const bool is_dname =
		rr->type == DF_DNS_TYPE_DNAME ||
		(rr->type == DF_DNS_TYPE_RRSIG && covered_type(rr) == DF_DNS_TYPE_DNAME);

	if (!is_dname)
		return df_dname_is_equal(reached, &rr->owner);
	return df_dname_is_below_or_equal(reached, &rr->owner) &&
	       (q->type == DF_DNS_TYPE_ANY || reached->n_labels > rr->owner.n_labels);
}

static bool is_reached(const struct df_dns_query *q, const struct df_dns_answer *only,
		       const struct df_dns_record *rr)
{
	if (is_owner_of(q, rr, &q->name))
		return true;
	for (unsigned i = 0; i < only->n_chain; i++)
		if (is_owner_of(q, rr, &only->chain[i]))
			return true;
	return false;
}

static bool is_kept(const struct df_dns_query *q, const struct df_dns_answer *only,
		    unsigned section, const struct df_dns_record *rr)
{
	uint16_t type = rr->type;

	if (rr->class != DF_DNS_CLASS_IN || (is_proof_type(type) && !q->edns_do))
		return false;
	if (section != DF_DNS_SECTION_ANSWER)
		return !is_opaque_name_type(type);
	if (type == DF_DNS_TYPE_RRSIG)
		type = covered_type(rr);
	return is_answer_type(q, type) && (!only || is_reached(q, only, rr));
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

/* --- OPT ---------------------------------------------------------------------------- */

/*
 * A client that a server has given a cookie takes no answer without one (RFC 7873 5.3): it
 * gets its own back.  Who has none learns none from us.
 */
static size_t cookie_len(const struct df_dns_query *q)
{
	return q->n_cookie > DF_DNS_COOKIE_CLIENT ? OPTION_HEADER_LEN + (size_t)q->n_cookie : 0;
}

static void put_cookie(struct df_dns_out *o, const struct df_dns_query *q)
{
	if (cookie_len(q) == 0)
		return;
	df_dns_put_u16(o, DF_DNS_OPTION_COOKIE);
	df_dns_put_u16(o, q->n_cookie);
	df_dns_put_bytes(o, q->cookie, q->n_cookie);
}

/* The options of an OPT that was read, but COOKIEs. */
static void put_other_options(struct df_dns_out *o, const struct df_dns_record *opt)
{
	struct df_dns_cursor c = {opt->rdata, opt->rdlen, 0, 0};

	while (!c.error && c.pos < c.len) {
		const size_t start = c.pos;
		const uint16_t code = df_dns_get_u16(&c);

		(void)df_dns_get(&c, df_dns_get_u16(&c));
		if (!c.error && code != DF_DNS_OPTION_COOKIE)
			df_dns_put_bytes(o, opt->rdata + start, c.pos - start);
	}
}

static void put_upstream_opt(struct df_dns_out *o, const struct df_dns_query *q,
			     const struct df_dns_record *opt, bool has_options)
{
	size_t start;

	df_dns_put_opt(o, opt->class, opt->ttl & (DF_DNS_OPT_RCODE | DF_DNS_OPT_DO), NULL, 0);
	start = o->pos;
	put_cookie(o, q);
	if (has_options)
		put_other_options(o, opt);
	if (!o->is_full)
		df_dns_set_u16(o->buf + start - 2, (uint16_t)(o->pos - start));
}

/* The parts of the resolver's message that the client gets, and the room that its OPT takes. */
struct source {
	const struct df_dns_query *q;
	const struct df_dns_answer *only;
	struct df_dns_cursor c; /* stands behind the question */
	struct df_dns_header h;
	size_t end;       /* of the last whole record that is not the OPT */
	bool is_cut;      /* upstream's message is */
	bool has_opt;     /* and it is the client's, and stands at the end, or all is rebuilt */
	bool has_svcb;    /* in the answer section */
	bool has_options; /* there is room for those of the OPT */
	struct df_dns_record opt;
};

/* Finds the OPT, and where the whole records end. */
static int survey(struct source *s)
{
	struct df_dns_cursor c = s->c;
	struct df_dns_record rr;

	s->end = c.pos;
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < s->h.n[section]; i++) {
			if (df_dns_is_cut_at(c.pkt, c.len, &s->h, c.pos)) {
				s->is_cut = true;
				return 0;
			}
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			s->has_svcb |=
				section == DF_DNS_SECTION_ANSWER &&
				(rr.type == DF_DNS_TYPE_SVCB || rr.type == DF_DNS_TYPE_HTTPS);
			if (rr.type == DF_DNS_TYPE_OPT) {
				s->has_opt = true;
				s->opt = rr;
			} else {
				s->end = c.pos;
			}
		}
	}
	return 0;
}

/* Keeps room for the OPT; end_opt gives it back and writes it. */
static size_t begin_opt(struct source *s, struct df_dns_out *o, size_t question_len)
{
	size_t len = 0, rest = 0;

	if (!s->has_opt || !s->q->has_edns)
		return 0;
	len = DF_DNS_OPT_LEN + cookie_len(s->q);
	rest = s->opt.rdlen; /* at most: a COOKIE may be among them */
	/* Padding may fill a message; the OPT itself must stay, RFC 6891 7. */
	s->has_options = o->size >= question_len + len + rest;
	len += s->has_options ? rest : 0;
	if (o->size < len) {
		o->is_full = true;
		return 0;
	}
	o->size -= len;
	return len;
}

static void end_opt(const struct source *s, struct df_dns_out *o, size_t len,
		    uint16_t n[static DF_DNS_N_SECTIONS])
{
	if (len == 0)
		return;
	o->size += len;
	put_upstream_opt(o, s->q, &s->opt, s->has_options);
	n[DF_DNS_SECTION_ADDITIONAL]++;
}

/* --- the client's message ------------------------------------------------------------- */

/* False: it does not fit, and nothing of it is there. */
static bool put_whole_record(struct df_dns_out *o, const uint8_t *upstream,
			     const struct df_dns_record *rr, uint16_t *flags)
{
	const unsigned n_known = o->n_known;
	const size_t start = o->pos;

	if (put_record(o, upstream, rr))
		*flags &= (uint16_t)~DF_DNS_FLAG_AD; /* nobody vouches for it */
	if (!o->is_full)
		return true;
	o->pos = start;
	o->n_known = n_known;
	o->is_full = false;
	return false;
}

/*
 * RFC 2181 9: what is only additional may be missing without a word.  In a referral it is the
 * way to the servers (RFC 9471).
 */
static bool is_loss_told(unsigned section, const uint16_t n[static DF_DNS_N_SECTIONS])
{
	return section != DF_DNS_SECTION_ADDITIONAL || n[DF_DNS_SECTION_ANSWER] == 0;
}

static int put_records(const struct source *s, struct df_dns_out *o, uint16_t *flags,
		       uint16_t n[static DF_DNS_N_SECTIONS])
{
	struct df_dns_cursor c = s->c;
	struct df_dns_record rr;

	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < s->h.n[section] && c.pos < s->end; i++) {
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			if (rr.type == DF_DNS_TYPE_OPT || !is_kept(s->q, s->only, section, &rr))
				continue;
			if (!put_whole_record(o, c.pkt, &rr, flags)) {
				if (is_loss_told(section, n))
					*flags |= DF_DNS_FLAG_TC;
				return 0;
			}
			n[section]++;
		}
	}
	return 0;
}

static int rebuild(struct source *s, struct df_dns_out *o)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, 0};
	uint16_t flags = (uint16_t)(s->h.flags & ~DF_DNS_FLAG_Z);
	size_t opt_len;
	int r;

	df_dns_put_header(o, s->q->id, flags);
	df_dns_put_question(o, s->q, s->q->name_case);
	opt_len = begin_opt(s, o, o->pos);
	if (o->is_full || o->pos > o->size)
		return -EMSGSIZE;
	r = put_records(s, o, &flags, n);
	if (r < 0)
		return r;
	end_opt(s, o, opt_len, n);
	if (o->is_full)
		return -EMSGSIZE;
	df_dns_set_u16(o->buf + 2, flags);
	df_dns_set_counts(o, n);
	return (int)o->pos;
}

/* Where the last record ends that fits; with how many there are then. */
static size_t fitting(const struct source *s, size_t room, uint16_t *flags,
		      uint16_t n[static DF_DNS_N_SECTIONS])
{
	struct df_dns_cursor c = s->c;
	struct df_dns_record rr;

	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < s->h.n[section] && c.pos < s->end; i++) {
			const size_t start = c.pos;

			df_dns_get_record(&c, section, &rr);
			if (c.pos > room) {
				if (is_loss_told(section, n))
					*flags |= DF_DNS_FLAG_TC;
				return start;
			}
			n[section]++;
		}
	}
	return s->end;
}

/*
 * The octets as they are.  An OPT that is not the last record stays where it is, since
 * pointers behind it would go astray; it is the last with every server we know.
 */
static int pass(struct source *s, struct df_dns_out *o)
{
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, 0};
	uint16_t flags = s->h.flags;
	size_t opt_len, end;

	if (s->has_opt && (size_t)(s->opt.rdata - s->c.pkt) < s->end)
		s->has_opt = false;
	opt_len = begin_opt(s, o, s->c.pos);
	if (o->is_full || s->c.pos > o->size)
		return -EMSGSIZE;
	end = fitting(s, o->size, &flags, n);
	df_dns_put_bytes(o, s->c.pkt, end);
	end_opt(s, o, opt_len, n);
	if (o->is_full)
		return -EMSGSIZE;
	df_dns_set_u16(o->buf, s->q->id);
	df_dns_set_u16(o->buf + 2, flags);
	df_dns_set_counts(o, n);
	memcpy(o->buf + DF_DNS_HEADER_LEN, s->q->name_case, s->q->name.len);
	return (int)o->pos;
}

static bool is_rebuilt(const struct source *s)
{
	switch (s->q->type) {
	case DF_DNS_TYPE_A:
	case DF_DNS_TYPE_AAAA:
	case DF_DNS_TYPE_SVCB:
	case DF_DNS_TYPE_HTTPS:
		return true;
	case DF_DNS_TYPE_ANY:
		return s->has_svcb;
	default:
		return false;
	}
}

int df_dns_build_answer(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
			const struct df_dns_answer *only, size_t limit, uint8_t *buf, size_t size)
{
	struct source s = {.q = q, .only = only, .c = {upstream, upstream_len, 0, 0}};
	bool is_question_cut;
	struct df_dns_out o;
	int r;

	df_dns_get_header(&s.c, &s.h);
	r = df_dns_get_question(&s.c, &s.h, q, &is_question_cut);
	if (r < 0)
		return -EBADMSG;
	if (is_question_cut) { /* nothing stands behind it */
		s.c = (struct df_dns_cursor){upstream, upstream_len, upstream_len, 0};
		memset(s.h.n, 0, sizeof(s.h.n));
	}
	r = survey(&s);
	if (r < 0)
		return r;
	df_dns_out_init(&o, buf, size, limit);
	return is_question_cut || is_rebuilt(&s) ? rebuild(&s, &o) : pass(&s, &o);
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
	const size_t start = o->pos;
	uint32_t ttl = (uint32_t)(r->rcode >> 4) << 24;

	if (q->edns_do) /* is copied, RFC 3225 3 */
		ttl |= DF_DNS_OPT_DO;
	df_dns_put_opt(o, DF_DNS_UDP_OURS, ttl, NULL, 0);
	put_cookie(o, q);
	if (o->is_full)
		return;
	df_dns_set_u16(o->buf + start + DF_DNS_OPT_LEN - 2, (uint16_t)cookie_len(q));
	room = o->size - o->pos;
	if (r->ede == UINT16_MAX || room < EDE_LEN)
		return;
	room -= EDE_LEN;
	if (n > room)
		for (n = room; n > 0 && ((uint8_t)r->ede_text[n] & 0xc0) == 0x80;)
			n--;
	df_dns_set_u16(o->buf + start + DF_DNS_OPT_LEN - 2,
		       (uint16_t)(cookie_len(q) + EDE_LEN + n));
	df_dns_put_u16(o, OPTION_EDE);
	df_dns_put_u16(o, (uint16_t)(2 + n));
	df_dns_put_u16(o, r->ede);
	df_dns_put_bytes(o, (const uint8_t *)r->ede_text, n);
}

int df_dns_build_refusal(const struct df_dns_query *q, const struct df_dns_refusal *r, size_t limit,
			 uint8_t *buf, size_t size)
{
	const bool has_opt = q->has_edns && !r->has_no_opt;
	/* only a message of another opcode may have none, and then no type */
	uint16_t n[DF_DNS_N_SECTIONS] = {q->opcode == DF_DNS_OPCODE_QUERY || q->type != 0, 0, 0,
					 has_opt};
	uint16_t flags = DF_DNS_FLAG_QR | (r->rcode & DF_DNS_FLAG_RCODE);
	struct df_dns_out o;

	flags |= (uint16_t)(q->opcode << DF_DNS_OPCODE_SHIFT);
	if (q->opcode == DF_DNS_OPCODE_QUERY) /* of others the bit is zero: RFC 2136 2.2 */
		flags |= DF_DNS_FLAG_RA;
	if (q->rd)
		flags |= DF_DNS_FLAG_RD;
	if (q->cd)
		flags |= DF_DNS_FLAG_CD;
	df_dns_out_init(&o, buf, size, limit);
	df_dns_put_header(&o, q->id, flags);
	if (n[DF_DNS_SECTION_QUESTION])
		df_dns_put_question(&o, q, q->name_case);
	if (r->sinkhole && (q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA)) {
		put_sinkhole(&o, q);
		n[DF_DNS_SECTION_ANSWER] = 1;
	}
	if (has_opt)
		put_refusal_opt(&o, q, r);
	if (o.is_full)
		return -EMSGSIZE;
	df_dns_set_counts(&o, n);
	return (int)o.pos;
}

int df_dns_build_error(const uint8_t *pkt, size_t len, uint8_t buf[static DF_DNS_HEADER_LEN])
{
	uint8_t rcode = DF_DNS_RCODE_FORMERR;

	if (len < DF_DNS_HEADER_LEN || (pkt[2] & DF_DNS_QR_BIT))
		return 0;
	switch (pkt[2] >> 3 & 15) {
	case DF_DNS_OPCODE_QUERY:
	case DF_DNS_OPCODE_NOTIFY:
	case DF_DNS_OPCODE_UPDATE:
		break;
	default:
		rcode = DF_DNS_RCODE_NOTIMP;
		break;
	}
	memset(buf, 0, DF_DNS_HEADER_LEN);
	memcpy(buf, pkt, 2);
	buf[2] = (uint8_t)(DF_DNS_QR_BIT | (pkt[2] & 0x79)); /* opcode and RD */
	buf[3] = rcode;
	return DF_DNS_HEADER_LEN;
}
