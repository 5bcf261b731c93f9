/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The building half of wire.h. */
#include "lib/base/util.h"
#include "proxy/dns/internal.h"

#define POINTER_TARGET 0x4000 /* the offsets that fourteen bits reach, RFC 1035 4.1.4 */
#define OPT_LEN 11            /* an OPT record without options, RFC 6891 6.1.2 */
#define EDE_LEN 6             /* option header and INFO-CODE, RFC 8914 2 */
#define OPTION_EDE 15
#define OPTION_HEADER_LEN 4

/* --- the writer ------------------------------------------------------------------------ */

/* Writes to buf, at most the smallest of size, limit and DF_DNS_MSG_MAX. */
static void out_init(struct df_dns_out *o, uint8_t *buf, size_t size, size_t limit)
{
	o->buf = buf;
	o->size = size < limit ? size : limit;
	if (o->size > DF_DNS_MSG_MAX)
		o->size = DF_DNS_MSG_MAX;
	o->pos = 0;
	o->is_full = false;
	o->n_known = 0;
}

static void put_u32(struct df_dns_out *o, uint32_t value)
{
	df_dns_put_u16(o, (uint16_t)(value >> 16));
	df_dns_put_u16(o, (uint16_t)value);
}

/* True where buf has the name wire at this offset; buf may have the client's case. */
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

/* The first n suffixes of a name that was written at start. */
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

/* Compressed against all names written before, RFC 1035 4.1.4. */
static void put_name(struct df_dns_out *o, const struct df_dname *name)
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

/* A header that counts one question and no records. */
static void put_header(struct df_dns_out *o, uint16_t id, unsigned flags)
{
	df_dns_put_u16(o, id);
	df_dns_put_u16(o, (uint16_t)flags);
	df_dns_put_u16(o, 1); /* the question */
	df_dns_put_u16(o, 0); /* the records: finish */
	put_u32(o, 0);
}

/* spelling: q->name_case or q->name.wire. */
static void put_question(struct df_dns_out *o, const struct df_dns_query *q,
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

/* Type, class, TTL and RDLENGTH, behind the owner. */
static void put_fixed(struct df_dns_out *o, uint16_t type, uint16_t class, uint32_t ttl,
		      uint16_t rdlen)
{
	df_dns_put_u16(o, type);
	df_dns_put_u16(o, class);
	put_u32(o, ttl);
	df_dns_put_u16(o, rdlen);
}

static void put_opt(struct df_dns_out *o, uint16_t udp_size, uint32_t ttl, const uint8_t *options,
		    uint16_t n_options)
{
	df_dns_put_bytes(o, (const uint8_t[]){0}, 1);
	put_fixed(o, DF_DNS_TYPE_OPT, udp_size, ttl, n_options);
	df_dns_put_bytes(o, options, n_options);
}

/* The RDLENGTH of a record whose RDATA begins at start and was written just now. */
static void set_rdlen(struct df_dns_out *o, size_t start)
{
	if (!o->is_full)
		df_dns_set_u16(o->buf + start - 2, (uint16_t)(o->pos - start));
}

/* Sets the counts of the header.  The length of the message, or -EMSGSIZE. */
static int finish(struct df_dns_out *o, const uint16_t n[static DF_DNS_N_SECTIONS])
{
	if (o->is_full)
		return -EMSGSIZE;
	for (size_t i = 0; i < DF_DNS_N_SECTIONS; i++)
		df_dns_set_u16(o->buf + 4 + 2 * i, n[i]);
	return (int)o->pos;
}

static uint16_t flag_if(bool is_set, unsigned flag)
{
	return is_set ? (uint16_t)flag : 0;
}

int df_dns_build_query(const struct df_dns_query *q, uint16_t id, bool keep_case, uint8_t *buf,
		       size_t size)
{
	const uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, q->has_edns};
	struct df_dns_out o;

	out_init(&o, buf, size, DF_DNS_MSG_MAX);
	put_header(&o, id,
		   flag_if(q->rd, DF_DNS_FLAG_RD) | flag_if(q->ad, DF_DNS_FLAG_AD) |
			   flag_if(q->cd, DF_DNS_FLAG_CD));
	put_question(&o, q, keep_case ? q->name_case : q->name.wire);
	if (q->has_edns)
		put_opt(&o, q->edns_udp_size < DF_DNS_UDP_OURS ? q->edns_udp_size : DF_DNS_UDP_OURS,
			q->edns_do ? DF_DNS_OPT_DO : 0, q->options, q->n_options);
	return finish(&o, n);
}

/* --- records that are kept ------------------------------------------------------------- */

/* The type an RRSIG covers is the first field of its RDATA, whose length was checked. */
static uint16_t covered_type(const struct df_dns_record *rr)
{
	return (uint16_t)(rr->rdata[0] << 8 | rr->rdata[1]);
}

/*
 * Types whose RDATA may hold compressed names that nobody reads here (RFC 3597 4): not to be
 * copied.  The rest will do as an answer to ANY, RFC 8482 4.1.
 */
static bool is_opaque_name_type(uint16_t type)
{
	static const uint16_t types[] = {3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 35, 36};

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] == type)
			return true;
	return false;
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
	const bool is_proof =
		type == DF_DNS_TYPE_RRSIG || type == DF_DNS_TYPE_NSEC || type == DF_DNS_TYPE_NSEC3;
	bool is_answer;

	if (type == DF_DNS_TYPE_OPT || rr->class != DF_DNS_CLASS_IN || (is_proof && !q->edns_do))
		return false;
	if (section != DF_DNS_SECTION_ANSWER)
		return !is_opaque_name_type(type);
	if (type == DF_DNS_TYPE_RRSIG)
		type = covered_type(rr);
	if (q->type == DF_DNS_TYPE_ANY)
		is_answer = !is_opaque_name_type(type);
	else
		is_answer =
			type == q->type || type == DF_DNS_TYPE_CNAME || type == DF_DNS_TYPE_DNAME;
	return is_answer && (!only || is_reached(q, only, rr));
}

/* True: it is not the same as upstream's. */
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
		put_name(o, &rr->target);
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
			put_name(o, &name);
		}
		df_dns_put_bytes(o, upstream + c.pos, c.len - c.pos);
		break;
	default: /* holds no compressed name: df_dns_get_record */
		df_dns_put_bytes(o, rr->rdata, rr->rdlen);
		break;
	}
	return false;
}

/* False: it does not fit, and nothing of it is there. */
static bool put_record(struct df_dns_out *o, const uint8_t *upstream,
		       const struct df_dns_record *rr, uint16_t *flags)
{
	const unsigned n_known = o->n_known;
	const size_t start = o->pos;
	size_t rdata;

	put_name(o, &rr->owner);
	put_fixed(o, rr->type, rr->class, rr->ttl, 0);
	rdata = o->pos;
	if (put_rdata(o, upstream, rr))
		*flags &= (uint16_t)~DF_DNS_FLAG_AD; /* nobody vouches for it */
	set_rdlen(o, rdata);
	if (!o->is_full)
		return true;
	o->pos = start;
	o->n_known = n_known;
	o->is_full = false;
	return false;
}

/* --- answers --------------------------------------------------------------------------- */

/* The parts of the resolver's message that the client gets, and the room that its OPT takes. */
struct source {
	const struct df_dns_query *q;
	const struct df_dns_answer *only;
	struct df_dns_cursor c; /* stands behind the question */
	struct df_dns_header h;
	size_t end;       /* of the last whole record that is not the OPT */
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
			if (df_dns_is_cut_at(c.pkt, c.len, &s->h, c.pos))
				return 0;
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			s->has_svcb |= section == DF_DNS_SECTION_ANSWER && df_dns_is_svcb(rr.type);
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

/*
 * A client that a server has given a cookie takes no answer without one (RFC 7873 5.3): it
 * gets its own back.  A client without one learns none from us.
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

/* Keeps room for the OPT; end_opt gives it back and writes it. */
static size_t begin_opt(struct source *s, struct df_dns_out *o, size_t question_len)
{
	size_t len;

	if (!s->has_opt || !s->q->has_edns)
		return 0;
	len = OPT_LEN + cookie_len(s->q);
	/* Padding may fill a message; the OPT itself must stay, RFC 6891 7. */
	s->has_options = o->size >= question_len + len + s->opt.rdlen;
	len += s->has_options ? s->opt.rdlen : 0u; /* at most: a COOKIE may be among them */
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
	const struct df_dns_record *opt = &s->opt;
	struct df_dns_cursor c = {opt->rdata, s->has_options ? opt->rdlen : 0, 0, 0};
	size_t rdata;

	if (len == 0)
		return;
	o->size += len;
	put_opt(o, opt->class, opt->ttl & (DF_DNS_OPT_RCODE | DF_DNS_OPT_DO), NULL, 0);
	rdata = o->pos;
	put_cookie(o, s->q);
	while (!c.error && c.pos < c.len) { /* its other options */
		const size_t start = c.pos;
		const uint16_t code = df_dns_get_u16(&c);

		(void)df_dns_get(&c, df_dns_get_u16(&c));
		if (!c.error && code != DF_DNS_OPTION_COOKIE)
			df_dns_put_bytes(o, opt->rdata + start, c.pos - start);
	}
	set_rdlen(o, rdata);
	n[DF_DNS_SECTION_ADDITIONAL]++;
}

/*
 * Writes the records that fit: those that are kept, or (is_rebuilt false) their octets with the
 * question and all before them.  *n counts them.
 */
static int put_records(const struct source *s, bool is_rebuilt, struct df_dns_out *o,
		       uint16_t *flags, uint16_t n[static DF_DNS_N_SECTIONS])
{
	struct df_dns_cursor c = s->c;
	struct df_dns_record rr;
	size_t end = c.pos; /* of the last record that fits */
	bool is_fitting = true;

	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; is_fitting && i < s->h.n[section] && c.pos < s->end; i++) {
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			if (is_rebuilt && !is_kept(s->q, s->only, section, &rr))
				continue;
			is_fitting =
				is_rebuilt ? put_record(o, c.pkt, &rr, flags) : c.pos <= o->size;
			if (is_fitting) {
				n[section]++;
				end = c.pos;
			} else if (section != DF_DNS_SECTION_ADDITIONAL ||
				   n[DF_DNS_SECTION_ANSWER] == 0) {
				/*
				 * RFC 2181 9: additional records may be missing without a word.  In
				 * a referral they are the way to the servers (RFC 9471).
				 */
				*flags |= DF_DNS_FLAG_TC;
			}
		}
	}
	if (!is_rebuilt)
		df_dns_put_bytes(o, c.pkt, end);
	return 0;
}

/* The message of s, from decoded records or as octets. */
static int build_from(struct source *s, bool is_rebuilt, struct df_dns_out *o)
{
	const struct df_dns_query *q = s->q;
	uint16_t n[DF_DNS_N_SECTIONS] = {1, 0, 0, 0};
	uint16_t flags = s->h.flags;
	size_t question_end = s->c.pos, opt_len;
	int r;

	if (is_rebuilt) {
		flags &= (uint16_t)~DF_DNS_FLAG_Z;
		put_header(o, q->id, flags);
		put_question(o, q, q->name_case);
		question_end = o->pos;
	} else if (s->has_opt && (size_t)(s->opt.rdata - s->c.pkt) < s->end) {
		/*
		 * An OPT that is not the last record stays where it is, since pointers behind it
		 * would go astray; it is the last with every server we know.
		 */
		s->has_opt = false;
	}
	opt_len = begin_opt(s, o, question_end);
	if (o->is_full || question_end > o->size)
		return -EMSGSIZE;
	r = put_records(s, is_rebuilt, o, &flags, n);
	if (r < 0)
		return r;
	end_opt(s, o, opt_len, n);
	r = finish(o, n);
	if (r < 0)
		return r;
	df_dns_set_u16(o->buf, q->id);
	df_dns_set_u16(o->buf + 2, flags);
	memcpy(o->buf + DF_DNS_HEADER_LEN, q->name_case, q->name.len);
	return r;
}

int df_dns_build_answer(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
			const struct df_dns_answer *only, size_t limit, uint8_t *buf, size_t size)
{
	struct source s = {.q = q, .only = only, .c = {upstream, upstream_len, 0, 0}};
	bool is_question_cut, is_rebuilt;
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
	out_init(&o, buf, size, limit);
	is_rebuilt = is_question_cut || q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA ||
		     df_dns_is_svcb(q->type) || (q->type == DF_DNS_TYPE_ANY && s.has_svcb);
	return build_from(&s, is_rebuilt, &o);
}

/* --- answers of our own ---------------------------------------------------------------- */

/* RFC 8914 2: the text is not terminated; it is cut between characters. */
static void put_refusal_opt(struct df_dns_out *o, const struct df_dns_query *q,
			    const struct df_dns_refusal *r)
{
	size_t n = r->ede_text ? strlen(r->ede_text) : 0, room, rdata;
	uint32_t ttl = (uint32_t)(r->rcode >> 4) << 24;

	if (q->edns_do) /* is copied, RFC 3225 3 */
		ttl |= DF_DNS_OPT_DO;
	put_opt(o, DF_DNS_UDP_OURS, ttl, NULL, 0);
	rdata = o->pos;
	put_cookie(o, q);
	room = o->size - o->pos;
	if (r->ede != UINT16_MAX && room >= EDE_LEN) {
		room -= EDE_LEN;
		if (n > room)
			for (n = room; n > 0 && ((uint8_t)r->ede_text[n] & 0xc0) == 0x80;)
				n--;
		df_dns_put_u16(o, OPTION_EDE);
		df_dns_put_u16(o, (uint16_t)(2 + n));
		df_dns_put_u16(o, r->ede);
		df_dns_put_bytes(o, (const uint8_t *)r->ede_text, n);
	}
	set_rdlen(o, rdata);
}

int df_dns_build_refusal(const struct df_dns_query *q, const struct df_dns_refusal *r, size_t limit,
			 uint8_t *buf, size_t size)
{
	static const uint8_t unspecified[16];
	const bool is_query = q->opcode == DF_DNS_OPCODE_QUERY;
	const bool has_opt = q->has_edns && !r->has_no_opt;
	/* only a message of another opcode may have none, and then no type */
	uint16_t n[DF_DNS_N_SECTIONS] = {is_query || q->type != 0, 0, 0, has_opt};
	struct df_dns_out o;

	out_init(&o, buf, size, limit);
	/* RA of other opcodes is zero: RFC 2136 2.2 */
	put_header(&o, q->id,
		   DF_DNS_FLAG_QR | (r->rcode & DF_DNS_FLAG_RCODE) |
			   (unsigned)q->opcode << DF_DNS_OPCODE_SHIFT |
			   flag_if(is_query, DF_DNS_FLAG_RA) | flag_if(q->rd, DF_DNS_FLAG_RD) |
			   flag_if(q->cd, DF_DNS_FLAG_CD));
	if (n[DF_DNS_SECTION_QUESTION])
		put_question(&o, q, q->name_case);
	if (r->sinkhole && (q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA)) {
		const uint16_t len = q->type == DF_DNS_TYPE_A ? 4 : 16;

		put_name(&o, &q->name);
		/* nothing to cache: the policy may change */
		put_fixed(&o, q->type, DF_DNS_CLASS_IN, 0, len);
		df_dns_put_bytes(&o, unspecified, len);
		n[DF_DNS_SECTION_ANSWER] = 1;
	}
	if (has_opt)
		put_refusal_opt(&o, q, r);
	return finish(&o, n);
}

int df_dns_build_error(const uint8_t *pkt, size_t len, uint8_t buf[static DF_DNS_HEADER_LEN])
{
	unsigned opcode;

	if (len < DF_DNS_HEADER_LEN || (pkt[2] & DF_DNS_QR_BIT))
		return 0;
	opcode = pkt[2] >> 3 & 15;
	memset(buf, 0, DF_DNS_HEADER_LEN);
	memcpy(buf, pkt, 2);
	buf[2] = (uint8_t)(DF_DNS_QR_BIT | (pkt[2] & 0x79)); /* opcode and RD */
	buf[3] = opcode == DF_DNS_OPCODE_QUERY || opcode == DF_DNS_OPCODE_NOTIFY ||
				 opcode == DF_DNS_OPCODE_UPDATE
			 ? DF_DNS_RCODE_FORMERR
			 : DF_DNS_RCODE_NOTIMP;
	return DF_DNS_HEADER_LEN;
}
