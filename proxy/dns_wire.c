/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/dns_wire.h"

#include <string.h>

#include "proxy/dns_cursor.h"
#include "proxy/dns_svcb.h"

struct alias {
	struct df_dname owner;
	struct df_dname target;
	bool is_dname;
	bool is_used;
};

/* What the answer section says, before it is known where the chain ends. */
struct collected {
	unsigned n_aliases;
	unsigned n_chain;
	unsigned n_addrs, n_more_addrs;
	bool is_first_enough;       /* more addresses than there is room for are counted only */
	struct df_dname addr_owner; /* of all addresses: one that differs cannot be the end */
	struct alias aliases[DF_DNS_MAX_CHAIN];
	struct df_dname chain[DF_DNS_MAX_CHAIN + 1]; /* and the one that is too many */
	struct df_dns_addr addrs[DF_DNS_MAX_ADDRS];
	bool is_svcb_malformed;
	unsigned n_svcbs, n_targets;
	struct df_dname svcb_owner; /* of all records; likewise */
	struct df_dname targets[DF_DNS_MAX_TARGETS];
};

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

void df_dns_get_record(struct df_dns_cursor *c, unsigned section, struct df_dns_record *ret)
{
	size_t start = c->pos;

	df_dns_get_name(c, &ret->owner);
	ret->type = df_dns_get_u16(c);
	ret->class = df_dns_get_u16(c);
	ret->ttl = df_dns_get_u32(c);
	ret->rdlen = df_dns_get_u16(c);
	ret->rdata = df_dns_get(c, ret->rdlen);
	if (c->error)
		return;

	if (ret->type == DF_DNS_TYPE_OPT) {
		/* The root label itself: RFC 6891 6.1.2. */
		if (section != DF_DNS_SECTION_ADDITIONAL || c->pkt[start] != 0)
			c->error = -EBADMSG;
	} else {
		if (ret->class != DF_DNS_CLASS_IN)
			c->error = -EBADMSG;
		if (ret->ttl > INT32_MAX) /* is to be read as 0: RFC 2181 8 */
			ret->ttl = 0;
	}
	if (!c->error &&
	    !is_rdata_ok((struct df_dns_cursor){c->pkt, c->pos, c->pos - ret->rdlen, 0}, ret))
		c->error = -EBADMSG;
}

int df_dns_parse_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret, uint16_t *ret_id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_record opt = {.rdlen = 0};
	struct df_dns_header h;
	struct df_dname name;
	uint16_t type, class;

	*ret_id = len >= 2 ? (uint16_t)(pkt[0] << 8 | pkt[1]) : 0;
	if (len > DF_DNS_QUERY_MAX)
		return -EMSGSIZE;
	df_dns_get_header(&c, &h);
	if (c.error || h.flags & DF_DNS_FLAG_QR)
		return -EBADMSG;
	/* Another opcode gives the rest another meaning. */
	if (h.flags & DF_DNS_FLAG_OPCODE)
		return -EOPNOTSUPP;
	if (h.n[DF_DNS_SECTION_QUESTION] != 1 || h.n[DF_DNS_SECTION_ANSWER] != 0 ||
	    h.n[DF_DNS_SECTION_AUTHORITY] != 0 || h.n[DF_DNS_SECTION_ADDITIONAL] > 1)
		return -EBADMSG;

	df_dns_get_name(&c, &name);
	type = df_dns_get_u16(&c);
	class = df_dns_get_u16(&c);
	if (h.n[DF_DNS_SECTION_ADDITIONAL] == 1) {
		df_dns_get_record(&c, DF_DNS_SECTION_ADDITIONAL, &opt);
		if (c.error || opt.type != DF_DNS_TYPE_OPT)
			return -EBADMSG;
	}
	if (c.error || c.pos != len)
		return -EBADMSG;
	if (class != DF_DNS_CLASS_IN)
		return -EOPNOTSUPP;
	if (h.n[DF_DNS_SECTION_ADDITIONAL] == 1 && opt.ttl & DF_DNS_OPT_VERSION)
		return -EOPNOTSUPP;
	if (opt.rdlen > DF_DNS_EDNS_OPTIONS_MAX)
		return -EMSGSIZE;

	ret->id = h.id;
	ret->rd = h.flags & DF_DNS_FLAG_RD;
	ret->ad = h.flags & DF_DNS_FLAG_AD;
	ret->cd = h.flags & DF_DNS_FLAG_CD;
	ret->name = name;
	/* Uncompressed: nothing but the header lies before it. */
	memcpy(ret->name_case, pkt + DF_DNS_HEADER_LEN, name.len);
	ret->type = type;
	ret->has_edns = h.n[DF_DNS_SECTION_ADDITIONAL] == 1;
	ret->edns_do = ret->has_edns && opt.ttl & DF_DNS_OPT_DO;
	/* Lower values are to be read as 512: RFC 6891 6.2.3. */
	ret->edns_udp_size =
		ret->has_edns && opt.class > DF_DNS_UDP_MIN ? opt.class : DF_DNS_UDP_MIN;
	ret->n_options = opt.rdlen;
	if (opt.rdlen > 0)
		memcpy(ret->options, opt.rdata, opt.rdlen);
	return 0;
}

static void map4(uint8_t ret[static 16], const uint8_t addr4[static 4])
{
	memcpy(ret, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	memcpy(ret + 12, addr4, 4);
}

static void collect_hint(struct collected *all, const uint8_t *hint, size_t size, uint32_t ttl)
{
	struct df_dns_addr *addr = &all->addrs[all->n_addrs];

	if (all->n_addrs == DF_DNS_MAX_ADDRS)
		return;
	addr->ttl = ttl;
	if (size == 4)
		map4(addr->addr, hint);
	else
		memcpy(addr->addr, hint, size);
	all->n_addrs++;
}

/* What is wrong with it is for the caller to weigh: it may have to pass as it is. */
static void collect_svcb(struct collected *all, const struct df_dns_record *rr)
{
	struct df_dns_svcb svcb;

	if (all->n_svcbs++ == 0)
		all->svcb_owner = rr->owner;
	if (df_dns_svcb_parse(rr->rdata, rr->rdlen, &svcb) < 0 ||
	    !df_dname_is_equal(&all->svcb_owner, &rr->owner) ||
	    (svcb.target.len > 1 && all->n_targets == DF_DNS_MAX_TARGETS)) {
		all->is_svcb_malformed = true;
		return;
	}
	if (svcb.target.len > 1)
		all->targets[all->n_targets++] = svcb.target;
	for (size_t i = 0; i < svcb.n_hint4; i++)
		collect_hint(all, svcb.hint4 + 4 * i, 4, rr->ttl);
	for (size_t i = 0; i < svcb.n_hint6; i++)
		collect_hint(all, svcb.hint6 + 16 * i, 16, rr->ttl);
}

static bool is_svcb(uint16_t type)
{
	return type == DF_DNS_TYPE_SVCB || type == DF_DNS_TYPE_HTTPS;
}

static int collect(struct collected *all, const struct df_dns_query *asked,
		   const struct df_dns_record *rr)
{
	if (rr->type == asked->type &&
	    (rr->type == DF_DNS_TYPE_A || rr->type == DF_DNS_TYPE_AAAA)) {
		struct df_dns_addr *addr = &all->addrs[all->n_addrs];

		if (all->n_addrs == DF_DNS_MAX_ADDRS) {
			all->n_more_addrs++;
			return all->is_first_enough ? 0 : -E2BIG;
		}
		if (all->n_addrs == 0)
			all->addr_owner = rr->owner;
		else if (!df_dname_is_equal(&all->addr_owner, &rr->owner))
			return -EBADMSG;
		addr->ttl = rr->ttl;
		if (rr->type == DF_DNS_TYPE_A)
			map4(addr->addr, rr->rdata);
		else
			memcpy(addr->addr, rr->rdata, 16);
		all->n_addrs++;
	} else if (is_svcb(rr->type) &&
		   (rr->type == asked->type || asked->type == DF_DNS_TYPE_ANY)) {
		collect_svcb(all, rr);
	} else if ((rr->type == DF_DNS_TYPE_CNAME || rr->type == DF_DNS_TYPE_DNAME) &&
		   asked->type != DF_DNS_TYPE_AXFR && asked->type != DF_DNS_TYPE_IXFR) {
		struct alias *alias = &all->aliases[all->n_aliases];

		if (all->n_aliases == DF_DNS_MAX_CHAIN)
			return -E2BIG;
		alias->owner = rr->owner;
		alias->target = rr->target;
		alias->is_dname = rr->type == DF_DNS_TYPE_DNAME;
		alias->is_used = false;
		all->n_aliases++;
	}
	return 0;
}

/* RFC 6672 2.2.  -ENAMETOOLONG: the server answers YXDOMAIN and makes no CNAME. */
static int substitute(const struct df_dname *name, const struct alias *dname, struct df_dname *ret)
{
	size_t keep = (size_t)name->len - dname->owner.len;

	if (keep + dname->target.len > DF_DNAME_MAX)
		return -ENAMETOOLONG;
	memcpy(ret->wire, name->wire, keep);
	memcpy(ret->wire + keep, dname->target.wire, dname->target.len);
	ret->len = (uint8_t)(keep + dname->target.len);
	ret->n_labels = (uint8_t)(name->n_labels - dname->owner.n_labels + dname->target.n_labels);
	return 0;
}

/* Where name is redirected to.  -ENOENT: nowhere.  -EBADMSG: to two places. */
static int redirect(struct collected *all, const struct df_dname *name, struct df_dname *ret)
{
	bool has_cname = false, is_found = false;

	for (unsigned i = 0; i < all->n_aliases; i++) {
		struct alias *alias = &all->aliases[i];
		const struct df_dname *target = &alias->target;
		struct df_dname made;

		if (alias->is_dname) {
			/* Below its owner only, RFC 6672 2.3. */
			if (name->n_labels == alias->owner.n_labels ||
			    !df_dname_is_below_or_equal(name, &alias->owner))
				continue;
			alias->is_used = true;
			if (substitute(name, alias, &made) < 0)
				continue;
			target = &made;
		} else {
			if (!df_dname_is_equal(name, &alias->owner))
				continue;
			if (has_cname)
				return -EBADMSG;
			has_cname = alias->is_used = true;
		}
		/* A synthesized CNAME must say what its DNAME says, RFC 6672 3.1. */
		if (is_found && !df_dname_is_equal(ret, target))
			return -EBADMSG;
		*ret = *target;
		is_found = true;
	}
	return is_found ? 0 : -ENOENT;
}

/* Follows the chain from the QNAME; records may stand in any order. */
static int follow_chain(struct collected *all, const struct df_dns_query *asked)
{
	const struct df_dname *name = &asked->name;
	int r;

	while ((r = redirect(all, name, &all->chain[all->n_chain])) == 0) {
		name = &all->chain[all->n_chain];
		if (df_dname_is_equal(name, &asked->name))
			return -EBADMSG;
		for (unsigned i = 0; i < all->n_chain; i++)
			if (df_dname_is_equal(name, &all->chain[i]))
				return -EBADMSG;
		if (all->n_chain == DF_DNS_MAX_CHAIN)
			return -E2BIG;
		all->n_chain++;
	}
	if (r != -ENOENT)
		return r;
	for (unsigned i = 0; i < all->n_aliases; i++) {
		const struct alias *alias = &all->aliases[i];
		bool is_asked =
			alias->is_dname && df_dname_is_equal(&alias->owner, name) &&
			(asked->type == DF_DNS_TYPE_DNAME || asked->type == DF_DNS_TYPE_ANY);

		if (!alias->is_used && !is_asked)
			return -EBADMSG;
	}
	if (is_svcb(asked->type) || asked->type == DF_DNS_TYPE_ANY) {
		all->is_svcb_malformed |=
			all->n_svcbs > 0 && !df_dname_is_equal(&all->svcb_owner, name);
		return 0;
	}
	return all->n_addrs > 0 && !df_dname_is_equal(&all->addr_owner, name) ? -EBADMSG : 0;
}

static int check_question(struct df_dns_cursor *c, const struct df_dns_header *h,
			  const struct df_dns_query *asked, uint16_t id)
{
	struct df_dname name;
	uint16_t type, class;

	if (c->error)
		return -EBADMSG;
	if (h->id != id || !(h->flags & DF_DNS_FLAG_QR) || h->flags & DF_DNS_FLAG_OPCODE ||
	    h->n[DF_DNS_SECTION_QUESTION] == 0)
		return -ENOMSG;
	if (h->n[DF_DNS_SECTION_QUESTION] != 1)
		return -EBADMSG;
	df_dns_get_name(c, &name);
	type = df_dns_get_u16(c);
	class = df_dns_get_u16(c);
	if (c->error)
		return -EBADMSG;
	if (type != asked->type || class != DF_DNS_CLASS_IN ||
	    !df_dname_is_equal(&name, &asked->name))
		return -ENOMSG;
	return 0;
}

bool df_dns_is_answer_to(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			 uint16_t id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;

	df_dns_get_header(&c, &h);
	return check_question(&c, &h, asked, id) == 0;
}

static int parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, bool is_first_enough, struct df_dns_answer *ret)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct df_dns_record rr;
	struct collected all; /* 16 KB: only the counts are set here */
	unsigned n_opts = 0;
	int r;

	df_dns_get_header(&c, &h);
	r = check_question(&c, &h, asked, id);
	if (r < 0)
		return r;
	all.n_aliases = all.n_chain = all.n_addrs = all.n_svcbs = all.n_targets = 0;
	all.n_more_addrs = 0;
	all.is_first_enough = is_first_enough;
	all.is_svcb_malformed = false;
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h.n[section]; i++) {
			df_dns_get_record(&c, section, &rr);
			if (c.error)
				return c.error;
			if (section == DF_DNS_SECTION_ANSWER)
				r = collect(&all, asked, &rr);
			if (r < 0)
				return r;
			/* One OPT, RFC 6891 6.1.1; of the version that was asked for. */
			if (rr.type == DF_DNS_TYPE_OPT &&
			    (n_opts++ > 0 || rr.ttl & DF_DNS_OPT_VERSION))
				return -EBADMSG;
		}
	}
	if (c.pos != len)
		return -EBADMSG;
	r = follow_chain(&all, asked);
	if (r < 0)
		return r;

	ret->rcode = h.flags & DF_DNS_FLAG_RCODE;
	ret->tc = h.flags & DF_DNS_FLAG_TC;
	ret->n_chain = all.n_chain;
	for (unsigned i = 0; i < all.n_chain; i++)
		ret->chain[i] = all.chain[i];
	ret->n_addrs = all.n_addrs;
	ret->n_more_addrs = all.n_more_addrs;
	memcpy(ret->addrs, all.addrs, all.n_addrs * sizeof(all.addrs[0]));
	ret->is_svcb_malformed = all.is_svcb_malformed;
	ret->n_targets = all.n_targets;
	for (unsigned i = 0; i < all.n_targets; i++)
		ret->targets[i] = all.targets[i];
	return 0;
}

int df_dns_parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, struct df_dns_answer *ret)
{
	return parse_answer(pkt, len, asked, id, false, ret);
}

int df_dns_parse_first(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
		       uint16_t id, struct df_dns_answer *ret)
{
	return parse_answer(pkt, len, asked, id, true, ret);
}
