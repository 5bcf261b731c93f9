/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reading of an answer: df_dns_parse_answer. */
#include <string.h>

#include "lib/base/util.h"
#include "proxy/dns/cursor.h"
#include "proxy/dns/svcb.h"
#include "proxy/dns/wire.h"

struct alias {
	struct df_dname owner;
	struct df_dname target;
	bool is_dname;
	bool is_used;
};

/* The records of the answer section, before it is known which names they lead to. */
struct collected {
	unsigned n_aliases;
	unsigned n_chain;
	unsigned n_addrs, n_more_addrs;
	bool is_first_enough;       /* more addresses than there is room for are counted only */
	struct df_dname addr_owner; /* of the first address */
	bool is_addr_owner_mixed;   /* another one has another */
	struct alias aliases[DF_DNS_MAX_CHAIN];
	struct df_dname chain[DF_DNS_MAX_CHAIN];
	uint8_t came_from[DF_DNS_MAX_CHAIN]; /* index in chain, or FROM_QNAME */
	struct df_dns_addr addrs[DF_DNS_MAX_ADDRS];
	bool is_svcb_malformed;
	unsigned n_svcbs, n_targets;
	struct df_dname svcb_owner; /* of all records; one that differs cannot be the end */
	struct df_dname targets[DF_DNS_MAX_TARGETS];
	unsigned n_strays;
	struct df_dname strays[DF_DNS_MAX_STRAYS];
};

#define FROM_QNAME UINT8_MAX

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

/* The caller weighs its errors: the record may have to pass as it is. */
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

static bool is_address(const struct df_dns_query *asked, const struct df_dns_record *rr)
{
	return rr->type == asked->type &&
	       (rr->type == DF_DNS_TYPE_A || rr->type == DF_DNS_TYPE_AAAA);
}

static int collect_addr(struct collected *all, const struct df_dns_record *rr)
{
	struct df_dns_addr *addr = &all->addrs[all->n_addrs];

	if (all->n_addrs == DF_DNS_MAX_ADDRS) {
		all->n_more_addrs++;
		return all->is_first_enough ? 0 : -E2BIG;
	}
	addr->ttl = rr->ttl;
	if (rr->type == DF_DNS_TYPE_A)
		map4(addr->addr, rr->rdata);
	else
		memcpy(addr->addr, rr->rdata, 16);
	all->n_addrs++;
	return 0;
}

/* The same twice, by whatever server or load balancer, is one. */
static int collect_alias(struct collected *all, const struct df_dns_record *rr)
{
	const bool is_dname = rr->type == DF_DNS_TYPE_DNAME;
	struct alias *alias;

	for (unsigned i = 0; i < all->n_aliases; i++) {
		alias = &all->aliases[i];
		if (alias->is_dname == is_dname && df_dname_is_equal(&alias->owner, &rr->owner) &&
		    df_dname_is_equal(&alias->target, &rr->target))
			return 0;
	}
	if (all->n_aliases == DF_DNS_MAX_CHAIN)
		return -E2BIG;
	alias = &all->aliases[all->n_aliases++];
	alias->owner = rr->owner;
	alias->target = rr->target;
	alias->is_dname = is_dname;
	alias->is_used = false;
	return 0;
}

static int collect(struct collected *all, const struct df_dns_query *asked,
		   const struct df_dns_record *rr)
{
	if (is_address(asked, rr)) {
		if (all->n_addrs == 0)
			all->addr_owner = rr->owner;
		else
			all->is_addr_owner_mixed |=
				!df_dname_is_equal(&all->addr_owner, &rr->owner);
		return collect_addr(all, rr);
	}
	if (is_svcb(rr->type) && (rr->type == asked->type || asked->type == DF_DNS_TYPE_ANY))
		collect_svcb(all, rr);
	else if ((rr->type == DF_DNS_TYPE_CNAME || rr->type == DF_DNS_TYPE_DNAME) &&
		 asked->type != DF_DNS_TYPE_AXFR && asked->type != DF_DNS_TYPE_IXFR)
		return collect_alias(all, rr);
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

/* Where an alias leads name.  -ENOENT: nowhere. */
static int redirect(struct alias *alias, const struct df_dname *name, struct df_dname *ret)
{
	if (!alias->is_dname) {
		if (!df_dname_is_equal(name, &alias->owner))
			return -ENOENT;
		*ret = alias->target;
	} else {
		/* Below its owner only, RFC 6672 2.3. */
		if (name->n_labels == alias->owner.n_labels ||
		    !df_dname_is_below_or_equal(name, &alias->owner))
			return -ENOENT;
		alias->is_used = true;
		if (substitute(name, alias, ret) < 0)
			return -ENOENT;
	}
	alias->is_used = true;
	return 0;
}

/* Index in the chain, FROM_QNAME, or -ENOENT. */
static int find_reached(const struct collected *all, const struct df_dns_query *asked,
			const struct df_dname *name)
{
	if (df_dname_is_equal(name, &asked->name))
		return FROM_QNAME;
	for (unsigned i = 0; i < all->n_chain; i++)
		if (df_dname_is_equal(name, &all->chain[i]))
			return (int)i;
	return -ENOENT;
}

/* The way to from leads over name, or is it. */
static bool is_on_the_way(const struct collected *all, unsigned from, int name)
{
	for (; from != FROM_QNAME; from = all->came_from[from])
		if ((int)from == name)
			return true;
	return name == FROM_QNAME;
}

/* Follows every alias of one name that was reached. */
static int follow_from(struct collected *all, const struct df_dns_query *asked, unsigned from)
{
	const struct df_dname name = from == FROM_QNAME ? asked->name : all->chain[from];

	for (unsigned i = 0; i < all->n_aliases; i++) {
		struct df_dname target;
		int at;

		if (redirect(&all->aliases[i], &name, &target) < 0)
			continue;
		at = find_reached(all, asked, &target);
		if (at >= 0 && is_on_the_way(all, from, at))
			return -EBADMSG; /* a loop */
		if (at >= 0)
			continue; /* a DNAME and the CNAME that it makes, RFC 6672 3.1 */
		if (all->n_chain == DF_DNS_MAX_CHAIN)
			return -E2BIG;
		all->came_from[all->n_chain] = (uint8_t)from;
		all->chain[all->n_chain++] = target;
	}
	return 0;
}

static int add_stray(struct collected *all, const struct df_dname *name)
{
	for (unsigned i = 0; i < all->n_strays; i++)
		if (df_dname_is_equal(name, &all->strays[i]))
			return 0;
	if (all->n_strays == DF_DNS_MAX_STRAYS)
		return -E2BIG;
	all->strays[all->n_strays++] = *name;
	return 0;
}

/* Follows the aliases from the QNAME; records may stand in any order. */
static int follow_aliases(struct collected *all, const struct df_dns_query *asked)
{
	int r = follow_from(all, asked, FROM_QNAME);

	for (unsigned i = 0; r == 0 && i < all->n_chain; i++)
		r = follow_from(all, asked, i);
	for (unsigned i = 0; r == 0 && i < all->n_aliases; i++) {
		const struct alias *alias = &all->aliases[i];
		/* which was asked for, and leads to nothing itself */
		const bool is_asked =
			alias->is_dname && find_reached(all, asked, &alias->owner) >= 0 &&
			(asked->type == DF_DNS_TYPE_DNAME || asked->type == DF_DNS_TYPE_ANY);

		if (alias->is_used || is_asked)
			continue;
		r = add_stray(all, &alias->owner);
		if (r == 0)
			r = add_stray(all, &alias->target);
	}
	return r;
}

/* c stands at the answer section, whose records were read before without an error. */
static int sort_addrs(struct collected *all, const struct df_dns_query *asked,
		      struct df_dns_cursor c, unsigned n_records)
{
	struct df_dns_record rr;
	int r = 0;

	all->n_addrs = all->n_more_addrs = 0;
	for (unsigned i = 0; r == 0 && i < n_records; i++) {
		df_dns_get_record(&c, DF_DNS_SECTION_ANSWER, &rr);
		if (c.error || !is_address(asked, &rr))
			continue;
		if (find_reached(all, asked, &rr.owner) >= 0)
			r = collect_addr(all, &rr);
		else
			r = add_stray(all, &rr.owner);
	}
	return r;
}

/* Reads all sections.  *ret_n_answers: whole records of the first. */
static int read_sections(struct collected *all, const struct df_dns_query *asked,
			 struct df_dns_cursor *c, const struct df_dns_header *h,
			 unsigned *ret_n_answers, bool *ret_is_cut)
{
	struct df_dns_record rr;
	unsigned n_opts = 0;
	int r = 0;

	*ret_n_answers = 0;
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h->n[section]; i++) {
			if (df_dns_is_cut_at(c->pkt, c->len, h, c->pos)) {
				*ret_is_cut = true;
				return 0;
			}
			df_dns_get_record(c, section, &rr);
			if (c->error)
				return c->error;
			if (section == DF_DNS_SECTION_ANSWER) {
				r = collect(all, asked, &rr);
				*ret_n_answers = i + 1;
			}
			if (r < 0)
				return r;
			/* One OPT, RFC 6891 6.1.1; of the version that was asked for. */
			if (rr.type == DF_DNS_TYPE_OPT &&
			    (n_opts++ > 0 || rr.ttl & DF_DNS_OPT_VERSION))
				return -EBADMSG;
		}
	}
	return c->pos == c->len ? 0 : -EBADMSG;
}

static void fill_answer(struct df_dns_answer *ret, const struct collected *all)
{
	ret->n_chain = all->n_chain;
	for (unsigned i = 0; i < all->n_chain; i++)
		ret->chain[i] = all->chain[i];
	ret->n_addrs = all->n_addrs;
	ret->n_more_addrs = all->n_more_addrs;
	memcpy(ret->addrs, all->addrs, all->n_addrs * sizeof(all->addrs[0]));
	ret->has_svcb = all->n_svcbs > 0;
	ret->is_svcb_malformed = all->is_svcb_malformed;
	ret->n_targets = all->n_targets;
	for (unsigned i = 0; i < all->n_targets; i++)
		ret->targets[i] = all->targets[i];
	ret->n_strays = all->n_strays;
	for (unsigned i = 0; i < all->n_strays; i++)
		ret->strays[i] = all->strays[i];
}

static int check_header(const struct df_dns_cursor *c, const struct df_dns_header *h, uint16_t id)
{
	if (c->error)
		return -EBADMSG;
	return h->id != id || !(h->flags & DF_DNS_FLAG_QR) || h->flags & DF_DNS_FLAG_OPCODE
		       ? -ENOMSG
		       : 0;
}

bool df_dns_is_answer_to(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			 uint16_t id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	bool is_cut;

	df_dns_get_header(&c, &h);
	return check_header(&c, &h, id) == 0 && df_dns_get_question(&c, &h, asked, &is_cut) == 0;
}

static int parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, bool is_first_enough, struct df_dns_answer *ret)
{
	struct df_dns_cursor c = {pkt, len, 0, 0}, answers;
	struct collected all; /* 24 KB: only the counts are set here */
	unsigned n_answers = 0;
	struct df_dns_header h;
	bool is_cut;
	int r;

	df_dns_get_header(&c, &h);
	r = check_header(&c, &h, id);
	if (r == 0)
		r = df_dns_get_question(&c, &h, asked, &is_cut);
	if (r < 0)
		return r;
	all.n_aliases = all.n_chain = all.n_addrs = all.n_svcbs = all.n_targets = all.n_strays = 0;
	all.n_more_addrs = 0;
	all.is_first_enough = is_first_enough;
	all.is_svcb_malformed = all.is_addr_owner_mixed = false;
	answers = c;
	if (!is_cut)
		r = read_sections(&all, asked, &c, &h, &n_answers, &is_cut);
	if (r == 0)
		r = follow_aliases(&all, asked);
	if (r < 0)
		return r;
	if (is_svcb(asked->type) || asked->type == DF_DNS_TYPE_ANY)
		all.is_svcb_malformed |=
			all.n_svcbs > 0 && find_reached(&all, asked, &all.svcb_owner) < 0;
	else if (all.n_addrs > 0 &&
		 (all.is_addr_owner_mixed || find_reached(&all, asked, &all.addr_owner) < 0))
		r = sort_addrs(&all, asked, answers, n_answers);
	if (r < 0)
		return r;
	ret->rcode = h.flags & DF_DNS_FLAG_RCODE;
	ret->tc = h.flags & DF_DNS_FLAG_TC;
	ret->is_cut = is_cut;
	fill_answer(ret, &all);
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

unsigned df_dns_bare_error(const uint8_t *pkt, size_t len, bool *ret_has_opt)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_record opt = {.rdlen = 0};
	struct df_dns_header h;
	unsigned rcode;

	df_dns_get_header(&c, &h);
	if (c.error || !(h.flags & DF_DNS_FLAG_QR) || h.flags & DF_DNS_FLAG_OPCODE ||
	    h.n[DF_DNS_SECTION_QUESTION] != 0 || h.n[DF_DNS_SECTION_ANSWER] != 0 ||
	    h.n[DF_DNS_SECTION_AUTHORITY] != 0 || h.n[DF_DNS_SECTION_ADDITIONAL] > 1)
		return 0;
	rcode = h.flags & DF_DNS_FLAG_RCODE;
	if (h.n[DF_DNS_SECTION_ADDITIONAL] == 1) {
		df_dns_get_record(&c, DF_DNS_SECTION_ADDITIONAL, &opt);
		if (c.error || opt.type != DF_DNS_TYPE_OPT)
			return 0;
		rcode |= (opt.ttl & DF_DNS_OPT_RCODE) >> 20;
	}
	if (c.pos != len || rcode == 0)
		return 0;
	*ret_has_opt = h.n[DF_DNS_SECTION_ADDITIONAL] == 1;
	return rcode;
}
