/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/dns/wire.h"

#include <string.h>

#include "lib/base/util.h"
#include "proxy/dns/cursor.h"

void df_dns_get_header(struct df_dns_cursor *c, struct df_dns_header *ret)
{
	ret->id = df_dns_get_u16(c);
	ret->flags = df_dns_get_u16(c);
	for (unsigned i = 0; i < DF_DNS_N_SECTIONS; i++)
		ret->n[i] = df_dns_get_u16(c);
}

/* RFC 4034 3.1.7 and 4.1.1: no compression.  We copy these records as octets. */
static void skip_plain_name(struct df_dns_cursor *c)
{
	struct df_dname name;
	size_t start = c->pos;

	df_dns_get_name(c, &name);
	/* A pointer takes two octets; what it stands for takes one, or three and more. */
	if (!c->error && c->pos - start != name.len)
		c->error = -EBADMSG;
}

static void skip_options(struct df_dns_cursor *c)
{
	while (!c->error && c->pos < c->len) {
		(void)df_dns_get_u16(c); /* any code will do: RFC 6891 6.1.2 */
		(void)df_dns_get(c, df_dns_get_u16(c));
	}
}

/* c spans the message up to the end of the RDATA and stands at its start. */
static bool is_rdata_ok(struct df_dns_cursor c, struct df_dns_record *rr)
{
	struct df_dname name;

	switch (rr->type) {
	case DF_DNS_TYPE_A:
		return rr->rdlen == 4;
	case DF_DNS_TYPE_AAAA:
		return rr->rdlen == 16;
	case DF_DNS_TYPE_CNAME:
	case DF_DNS_TYPE_DNAME:
	case DF_DNS_TYPE_NS:
	case DF_DNS_TYPE_PTR:
		df_dns_get_name(&c, &rr->target);
		break;
	case DF_DNS_TYPE_MX:
		(void)df_dns_get(&c, 2);
		df_dns_get_name(&c, &name);
		break;
	case DF_DNS_TYPE_SRV:
		(void)df_dns_get(&c, 6);
		df_dns_get_name(&c, &name);
		break;
	case DF_DNS_TYPE_SOA:
		df_dns_get_name(&c, &name);
		df_dns_get_name(&c, &name);
		(void)df_dns_get(&c, 20);
		break;
	case DF_DNS_TYPE_RRSIG:
		(void)df_dns_get(&c, 18);
		skip_plain_name(&c);
		(void)df_dns_get(&c, c.len - c.pos);
		break;
	case DF_DNS_TYPE_NSEC:
		skip_plain_name(&c);
		(void)df_dns_get(&c, c.len - c.pos);
		break;
	case DF_DNS_TYPE_OPT:
		/* Another version may have another form; only its length is known. */
		if (rr->ttl & DF_DNS_OPT_VERSION)
			return true;
		skip_options(&c);
		break;
	default: /* not our business: RFC 3597 */
		return true;
	}
	return !c.error && c.pos == c.len;
}

void df_dns_get_any_record(struct df_dns_cursor *c, struct df_dns_record *ret)
{
	df_dns_get_name(c, &ret->owner);
	ret->type = df_dns_get_u16(c);
	ret->class = df_dns_get_u16(c);
	ret->ttl = df_dns_get_u32(c);
	ret->rdlen = df_dns_get_u16(c);
	ret->rdata = df_dns_get(c, ret->rdlen);
	if (ret->type != DF_DNS_TYPE_OPT &&
	    ret->ttl > INT32_MAX) /* is to be read as 0: RFC 2181 8 */
		ret->ttl = 0;
}

bool df_dns_is_signature(const struct df_dns_record *rr)
{
	return rr->class == DF_DNS_CLASS_ANY &&
	       (rr->type == DF_DNS_TYPE_TSIG || rr->type == DF_DNS_TYPE_SIG);
}

void df_dns_get_record(struct df_dns_cursor *c, unsigned section, struct df_dns_record *ret)
{
	size_t start = c->pos;

	df_dns_get_any_record(c, ret);
	if (c->error)
		return;
	if (ret->type == DF_DNS_TYPE_OPT) {
		/* The root label itself: RFC 6891 6.1.2. */
		if (section != DF_DNS_SECTION_ADDITIONAL || c->pkt[start] != 0)
			c->error = -EBADMSG;
	} else if (ret->class != DF_DNS_CLASS_IN) {
		if (section != DF_DNS_SECTION_ADDITIONAL || !df_dns_is_signature(ret))
			c->error = -EBADMSG;
	}
	if (!c->error &&
	    !is_rdata_ok((struct df_dns_cursor){c->pkt, c->pos, c->pos - ret->rdlen, 0}, ret))
		c->error = -EBADMSG;
}

bool df_dns_is_cut_at(const uint8_t *pkt, size_t len, const struct df_dns_header *h, size_t at)
{
	const size_t fixed = 10; /* type, class, TTL and RDLENGTH */

	if (!(h->flags & DF_DNS_FLAG_TC))
		return false;
	for (;; at += 1u + pkt[at]) {
		if (at >= len)
			return true;
		if (pkt[at] >= 0xc0) {
			at += 2;
			break;
		}
		if (pkt[at] > 63)
			return false;
		if (pkt[at] == 0) {
			at++;
			break;
		}
	}
	if (at > len || len - at < fixed)
		return true;
	return len - at - fixed < (size_t)(pkt[at + 8] << 8 | pkt[at + 9]);
}

/* c stands at the question: all that there is of it says what q says. */
static bool is_question_cut(const struct df_dns_cursor *c, const struct df_dns_query *q)
{
	const uint8_t rest[] = {(uint8_t)(q->type >> 8), (uint8_t)q->type, 0, DF_DNS_CLASS_IN};

	if (c->len - c->pos >= q->name.len + sizeof(rest))
		return false;
	for (size_t i = 0; i < c->len - c->pos; i++) {
		uint8_t octet = c->pkt[c->pos + i];

		if (octet >= 'A' && octet <= 'Z')
			octet |= 0x20;
		if (octet != (i < q->name.len ? q->name.wire[i] : rest[i - q->name.len]))
			return false;
	}
	return true;
}

int df_dns_get_question(struct df_dns_cursor *c, const struct df_dns_header *h,
			const struct df_dns_query *q, bool *ret_is_cut)
{
	struct df_dns_cursor at;
	struct df_dname name;
	uint16_t type, class;

	*ret_is_cut = false;
	if (c->error)
		return -EBADMSG;
	if (h->n[DF_DNS_SECTION_QUESTION] == 0)
		return -ENOMSG;
	if (h->n[DF_DNS_SECTION_QUESTION] != 1)
		return -EBADMSG;
	at = *c;
	df_dns_get_name(c, &name);
	type = df_dns_get_u16(c);
	class = df_dns_get_u16(c);
	if (c->error) {
		if (!(h->flags & DF_DNS_FLAG_TC) || !is_question_cut(&at, q))
			return -EBADMSG;
		*ret_is_cut = true;
		return 0;
	}
	if (type != q->type || class != DF_DNS_CLASS_IN || !df_dname_is_equal(&name, &q->name))
		return -ENOMSG;
	return 0;
}

/* The records that may stand behind the question of a query. */
struct extras {
	bool has_opt, is_signed, has_soa;
	struct df_dns_record opt;
};

static int get_extras(struct df_dns_cursor *c, const struct df_dns_header *h, uint16_t qtype,
		      struct extras *ret)
{
	struct df_dns_record rr;

	*ret = (struct extras){.opt = {.rdlen = 0}};
	if (h->n[DF_DNS_SECTION_ANSWER] != 0 ||
	    h->n[DF_DNS_SECTION_AUTHORITY] > (qtype == DF_DNS_TYPE_IXFR))
		return -EBADMSG;
	if (h->n[DF_DNS_SECTION_AUTHORITY] == 1) {
		df_dns_get_record(c, DF_DNS_SECTION_AUTHORITY, &rr);
		if (c->error || rr.type != DF_DNS_TYPE_SOA)
			return -EBADMSG;
		ret->has_soa = true;
	}
	for (unsigned i = 0; i < h->n[DF_DNS_SECTION_ADDITIONAL]; i++) {
		df_dns_get_record(c, DF_DNS_SECTION_ADDITIONAL, &rr);
		if (c->error || ret->is_signed) /* RFC 8945 5.1, RFC 2931 3.1: the last one */
			return -EBADMSG;
		if (rr.type == DF_DNS_TYPE_OPT && !ret->has_opt) {
			ret->has_opt = true;
			ret->opt = rr;
		} else if (df_dns_is_signature(&rr)) {
			ret->is_signed = true;
		} else {
			return -EBADMSG;
		}
	}
	return 0;
}

static bool is_cookie_length(size_t n)
{
	return n == DF_DNS_COOKIE_CLIENT ||
	       (n >= 2 * (size_t)DF_DNS_COOKIE_CLIENT && n <= DF_DNS_COOKIE_MAX);
}

/*
 * All but COOKIEs.  One of a wrong length stays: the resolver has to say what it thinks of it
 * (RFC 7873 5.2.2).
 */
static void take_options(struct df_dns_query *q, const struct df_dns_record *opt)
{
	struct df_dns_cursor c = {opt->rdata, opt->rdlen, 0, 0};

	q->n_options = 0;
	q->n_cookie = 0;
	while (c.pos < c.len) {
		const size_t start = c.pos;
		const uint16_t code = df_dns_get_u16(&c), n = df_dns_get_u16(&c);
		const uint8_t *data = df_dns_get(&c, n);

		if (!data) /* the lengths were checked: is_rdata_ok */
			return;
		if (code == DF_DNS_OPTION_COOKIE && is_cookie_length(n)) {
			if (q->n_cookie == 0) /* the first counts, RFC 7873 5.2 */
				memcpy(q->cookie, data, n);
			if (q->n_cookie == 0)
				q->n_cookie = (uint8_t)n;
			continue;
		}
		memcpy(q->options + q->n_options, opt->rdata + start, c.pos - start);
		q->n_options += (uint16_t)(c.pos - start);
	}
}

static void fill_query(struct df_dns_query *ret, const struct df_dns_header *h,
		       const struct extras *e)
{
	const bool is_version_0 = !(e->opt.ttl & DF_DNS_OPT_VERSION);

	ret->id = h->id;
	ret->rd = h->flags & DF_DNS_FLAG_RD;
	ret->ad = h->flags & DF_DNS_FLAG_AD;
	ret->cd = h->flags & DF_DNS_FLAG_CD;
	ret->other_class = 0;
	ret->opcode = DF_DNS_OPCODE_QUERY;
	ret->has_edns = e->has_opt;
	ret->is_verbatim = e->is_signed || e->has_soa || (e->has_opt && !is_version_0);
	ret->edns_do = e->has_opt && e->opt.ttl & DF_DNS_OPT_DO;
	/* Lower values are to be read as 512: RFC 6891 6.2.3. */
	ret->edns_udp_size =
		e->has_opt && e->opt.class > DF_DNS_UDP_MIN ? e->opt.class : DF_DNS_UDP_MIN;
	ret->n_options = ret->n_cookie = 0;
	if (e->has_opt && is_version_0)
		take_options(ret, &e->opt);
}

int df_dns_parse_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret, uint16_t *ret_id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct df_dname name;
	uint16_t type, class;
	struct extras extras;

	*ret_id = len >= 2 ? (uint16_t)(pkt[0] << 8 | pkt[1]) : 0;
	if (len > DF_DNS_QUERY_MAX)
		return -EMSGSIZE;
	df_dns_get_header(&c, &h);
	if (c.error || h.flags & DF_DNS_FLAG_QR)
		return -EBADMSG;
	/* Another opcode gives the rest another meaning. */
	if (h.flags & DF_DNS_FLAG_OPCODE)
		return -EOPNOTSUPP;
	if (h.n[DF_DNS_SECTION_QUESTION] != 1)
		return -EBADMSG;
	df_dns_get_name(&c, &name);
	type = df_dns_get_u16(&c);
	class = df_dns_get_u16(&c);
	if (c.error)
		return -EBADMSG;
	if (class != DF_DNS_CLASS_IN)
		return -EOPNOTSUPP;
	if (get_extras(&c, &h, type, &extras) < 0 || c.pos != len)
		return -EBADMSG;
	if (extras.opt.rdlen > DF_DNS_EDNS_OPTIONS_MAX)
		return -EMSGSIZE;

	fill_query(ret, &h, &extras);
	ret->name = name;
	/* Uncompressed: nothing but the header lies before it. */
	memcpy(ret->name_case, pkt + DF_DNS_HEADER_LEN, name.len);
	ret->type = type;
	return 0;
}
