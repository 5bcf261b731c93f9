/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of other opcodes and classes than QUERY and IN: they pass as octets, so only names
 * and lengths are read.
 */
#include <string.h>

#include "proxy/dns/cursor.h"
#include "proxy/dns/wire.h"

/* *ret_name is unset where there is no question. */
static int get_question(struct df_dns_cursor *c, const struct df_dns_header *h,
			struct df_dname *ret_name, uint16_t *ret_type, uint16_t *ret_class)
{
	*ret_name = (struct df_dname){.len = 0};
	*ret_type = *ret_class = 0;
	if (h->n[DF_DNS_SECTION_QUESTION] > 1)
		return -EBADMSG;
	if (h->n[DF_DNS_SECTION_QUESTION] == 1) {
		df_dns_get_name(c, ret_name);
		*ret_type = df_dns_get_u16(c);
		*ret_class = df_dns_get_u16(c);
	}
	return c->error;
}

int df_dns_parse_other(const uint8_t *pkt, size_t len, df_dns_visit *visit, void *data,
		       struct df_dns_query *ret)
{
	static const struct df_dname root = {.len = 1};
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct df_dns_record rr;
	struct df_dname name;
	uint16_t type, class;
	int r;

	df_dns_get_header(&c, &h);
	if (c.error || h.flags & DF_DNS_FLAG_QR || get_question(&c, &h, &name, &type, &class) < 0)
		return -EBADMSG;
	r = visit(data, name.len ? &name : &root);
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h.n[section]; i++) {
			df_dns_get_any_record(&c, &rr);
			if (c.error)
				return -EBADMSG;
			if (r == 0 && section != DF_DNS_SECTION_ADDITIONAL)
				r = visit(data, &rr.owner);
		}
	}
	if (c.pos != len)
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	ret->id = h.id;
	ret->rd = h.flags & DF_DNS_FLAG_RD;
	ret->cd = h.flags & DF_DNS_FLAG_CD;
	ret->opcode = (uint8_t)((h.flags & DF_DNS_FLAG_OPCODE) >> DF_DNS_OPCODE_SHIFT);
	ret->other_class = class == DF_DNS_CLASS_IN ? 0 : class;
	ret->type = type;
	ret->name = name.len ? name : root;
	/* Uncompressed: nothing but the header lies before it. */
	memcpy(ret->name_case, pkt + DF_DNS_HEADER_LEN, name.len);
	ret->edns_udp_size = DF_DNS_UDP_MIN;
	ret->is_verbatim = true;
	return r;
}

/* Where an alias leads; others lead nowhere. */
static int visit_target(const struct df_dns_cursor *c, const struct df_dns_record *rr,
			df_dns_visit *visit, void *data)
{
	struct df_dns_cursor rdata = {c->pkt, c->pos, c->pos - rr->rdlen, 0};
	struct df_dname target;

	if ((rr->type != DF_DNS_TYPE_CNAME && rr->type != DF_DNS_TYPE_DNAME) || rr->rdlen == 0)
		return 0;
	df_dns_get_name(&rdata, &target);
	return rdata.error ? rdata.error : visit(data, &target);
}

int df_dns_check_other(const uint8_t *pkt, size_t len, uint16_t id, df_dns_visit *visit, void *data)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct df_dns_record rr;
	struct df_dname name;
	uint16_t type, class;
	int r = 0;

	df_dns_get_header(&c, &h);
	if (c.error)
		return -EBADMSG;
	/* the opcode is not looked at: servers that do not know it may not give it back */
	if (h.id != id || !(h.flags & DF_DNS_FLAG_QR))
		return -ENOMSG;
	if (get_question(&c, &h, &name, &type, &class) < 0)
		return -EBADMSG;
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h.n[section]; i++) {
			df_dns_get_any_record(&c, &rr);
			if (c.error)
				return -EBADMSG;
			if (rr.type == DF_DNS_TYPE_SVCB || rr.type == DF_DNS_TYPE_HTTPS)
				return -EPERM;
			if (section != DF_DNS_SECTION_ANSWER)
				continue;
			r = visit(data, &rr.owner);
			if (r == 0)
				r = visit_target(&c, &rr, visit, data);
			if (r != 0)
				return r;
		}
	}
	return c.pos == len ? 0 : -EBADMSG;
}
