/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reading half of wire.h: queries, answers, and messages of other opcodes and classes. */
#include "lib/base/util.h"
#include "proxy/dns/internal.h"

/* --- headers, questions and records ------------------------------------------------------ */

void df_dns_get_header(struct df_dns_cursor *c, struct df_dns_header *ret)
{
	ret->id = df_dns_get_u16(c);
	ret->flags = df_dns_get_u16(c);
	for (unsigned i = 0; i < DF_DNS_N_SECTIONS; i++)
		ret->n[i] = df_dns_get_u16(c);
}

void df_dns_get_plain_name(struct df_dns_cursor *c, struct df_dname *ret)
{
	const size_t start = c->pos;

	df_dns_get_name(c, ret);
	/* A pointer takes two octets; the name that it stands for takes one, or three and more. */
	if (!c->error && c->pos - start != ret->len)
		c->error = -EBADMSG;
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
	case DF_DNS_TYPE_SRV:
		(void)df_dns_get(&c, rr->type == DF_DNS_TYPE_MX ? 2 : 6);
		df_dns_get_name(&c, &name);
		break;
	case DF_DNS_TYPE_SOA:
		df_dns_get_name(&c, &name);
		df_dns_get_name(&c, &name);
		(void)df_dns_get(&c, 20);
		break;
	case DF_DNS_TYPE_RRSIG:
	case DF_DNS_TYPE_NSEC:
		/* RFC 4034 3.1.7 and 4.1.1: no compression.  These records are copied as octets. */
		(void)df_dns_get(&c, rr->type == DF_DNS_TYPE_RRSIG ? 18 : 0);
		df_dns_get_plain_name(&c, &name);
		return !c.error;
	case DF_DNS_TYPE_OPT:
		/* Another version may have another form; only its length is known. */
		if (rr->ttl & DF_DNS_OPT_VERSION)
			return true;
		while (!c.error && c.pos < c.len) {
			(void)df_dns_get_u16(&c); /* any code will do: RFC 6891 6.1.2 */
			(void)df_dns_get(&c, df_dns_get_u16(&c));
		}
		break;
	default: /* not our business: RFC 3597 */
		return true;
	}
	return !c.error && c.pos == c.len;
}

/* Reads a record without a look at class and RDATA. */
static void get_any_record(struct df_dns_cursor *c, struct df_dns_record *ret)
{
	df_dns_get_name(c, &ret->owner);
	ret->type = df_dns_get_u16(c);
	ret->class = df_dns_get_u16(c);
	ret->ttl = (uint32_t)df_dns_get_u16(c) << 16;
	ret->ttl |= df_dns_get_u16(c);
	ret->rdlen = df_dns_get_u16(c);
	ret->rdata = df_dns_get(c, ret->rdlen);
	if (ret->type != DF_DNS_TYPE_OPT && ret->ttl > INT32_MAX)
		ret->ttl = 0; /* RFC 2181 8 */
}

/* A TSIG or SIG(0). */
static bool is_signature(const struct df_dns_record *rr)
{
	return rr->class == DF_DNS_CLASS_ANY &&
	       (rr->type == DF_DNS_TYPE_TSIG || rr->type == DF_DNS_TYPE_SIG);
}

void df_dns_get_record(struct df_dns_cursor *c, unsigned section, struct df_dns_record *ret)
{
	const bool is_additional = section == DF_DNS_SECTION_ADDITIONAL;
	const size_t start = c->pos;
	bool is_ok;

	get_any_record(c, ret);
	if (c->error)
		return;
	if (ret->type == DF_DNS_TYPE_OPT) /* owned by the root label itself: RFC 6891 6.1.2 */
		is_ok = is_additional && c->pkt[start] == 0;
	else
		is_ok = ret->class == DF_DNS_CLASS_IN || (is_additional && is_signature(ret));
	if (!is_ok ||
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

struct question {
	struct df_dname name; /* len 0: there is none */
	uint16_t type, class;
};

static int get_question(struct df_dns_cursor *c, const struct df_dns_header *h,
			struct question *ret)
{
	*ret = (struct question){.name = {.len = 0}};
	if (c->error || h->n[DF_DNS_SECTION_QUESTION] > 1)
		return -EBADMSG;
	if (h->n[DF_DNS_SECTION_QUESTION] == 1) {
		df_dns_get_name(c, &ret->name);
		ret->type = df_dns_get_u16(c);
		ret->class = df_dns_get_u16(c);
	}
	return c->error;
}

/* c stands at the question: as much as there is of it says the same as q. */
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
	const struct df_dns_cursor at = *c;
	struct question asked;

	*ret_is_cut = false;
	if (get_question(c, h, &asked) < 0) {
		*ret_is_cut = !at.error && h->n[DF_DNS_SECTION_QUESTION] == 1 &&
			      h->flags & DF_DNS_FLAG_TC && is_question_cut(&at, q);
		return *ret_is_cut ? 0 : -EBADMSG;
	}
	if (asked.name.len == 0 || asked.type != q->type || asked.class != DF_DNS_CLASS_IN ||
	    !df_dname_is_equal(&asked.name, &q->name))
		return -ENOMSG;
	return 0;
}

/* --- queries --------------------------------------------------------------------------- */

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
		} else if (is_signature(&rr)) {
			ret->is_signed = true;
		} else {
			return -EBADMSG;
		}
	}
	return 0;
}

/*
 * All options but COOKIEs.  One of a wrong length stays: the resolver has to answer it
 * (RFC 7873 5.2.2).
 */
static void take_options(struct df_dns_query *q, const struct df_dns_record *opt)
{
	struct df_dns_cursor c = {opt->rdata, opt->rdlen, 0, 0};

	while (c.pos < c.len) {
		const size_t start = c.pos;
		const uint16_t code = df_dns_get_u16(&c), n = df_dns_get_u16(&c);
		const uint8_t *data = df_dns_get(&c, n);

		if (!data) /* the lengths were checked: is_rdata_ok */
			return;
		if (code == DF_DNS_OPTION_COOKIE &&
		    (n == DF_DNS_COOKIE_CLIENT ||
		     (n >= 2 * DF_DNS_COOKIE_CLIENT && n <= DF_DNS_COOKIE_MAX))) {
			if (q->n_cookie == 0) { /* the first counts, RFC 7873 5.2 */
				memcpy(q->cookie, data, n);
				q->n_cookie = (uint8_t)n;
			}
			continue;
		}
		memcpy(q->options + q->n_options, opt->rdata + start, c.pos - start);
		q->n_options += (uint16_t)(c.pos - start);
	}
}

int df_dns_parse_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret, uint16_t *ret_id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct question asked;
	struct extras e;
	bool is_version_0;

	*ret_id = len >= 2 ? (uint16_t)(pkt[0] << 8 | pkt[1]) : 0;
	if (len > DF_DNS_QUERY_MAX)
		return -EMSGSIZE;
	df_dns_get_header(&c, &h);
	if (c.error || h.flags & DF_DNS_FLAG_QR)
		return -EBADMSG;
	/* Another opcode gives the rest another meaning. */
	if (h.flags & DF_DNS_FLAG_OPCODE)
		return -EOPNOTSUPP;
	if (get_question(&c, &h, &asked) < 0 || asked.name.len == 0)
		return -EBADMSG;
	if (asked.class != DF_DNS_CLASS_IN)
		return -EOPNOTSUPP;
	if (get_extras(&c, &h, asked.type, &e) < 0 || c.pos != len)
		return -EBADMSG;
	if (e.opt.rdlen > DF_DNS_EDNS_OPTIONS_MAX)
		return -EMSGSIZE;

	is_version_0 = !(e.opt.ttl & DF_DNS_OPT_VERSION);
	ret->id = h.id;
	ret->rd = h.flags & DF_DNS_FLAG_RD;
	ret->ad = h.flags & DF_DNS_FLAG_AD;
	ret->cd = h.flags & DF_DNS_FLAG_CD;
	ret->name = asked.name;
	/* Uncompressed: nothing but the header lies before it. */
	memcpy(ret->name_case, pkt + DF_DNS_HEADER_LEN, asked.name.len);
	ret->type = asked.type;
	ret->other_class = 0;
	ret->opcode = DF_DNS_OPCODE_QUERY;
	ret->is_verbatim = e.is_signed || e.has_soa || (e.has_opt && !is_version_0);
	ret->has_edns = e.has_opt;
	ret->edns_do = e.has_opt && e.opt.ttl & DF_DNS_OPT_DO;
	/* Lower values are to be read as 512: RFC 6891 6.2.3. */
	ret->edns_udp_size =
		e.has_opt && e.opt.class > DF_DNS_UDP_MIN ? e.opt.class : DF_DNS_UDP_MIN;
	ret->n_options = ret->n_cookie = 0;
	if (e.has_opt && is_version_0)
		take_options(ret, &e.opt);
	return 0;
}

/* --- answers --------------------------------------------------------------------------- */

#define FROM_QNAME UINT8_MAX

struct alias {
	struct df_dname owner;
	struct df_dname target;
	bool is_dname;
	bool is_used;
};

/* The records of the answer section, before it is known which names they lead to: 24 KB. */
struct collected {
	const struct df_dns_query *asked;
	bool is_first_enough; /* more addresses than there is room for are counted only */
	unsigned n_aliases, n_svcbs;
	struct alias aliases[DF_DNS_MAX_CHAIN];
	uint8_t came_from[DF_DNS_MAX_CHAIN]; /* index in chain, or FROM_QNAME */
	struct df_dname addr_owner;          /* of the first address */
	bool is_addr_owner_mixed;            /* another one has another */
	struct df_dname svcb_owner; /* of all records; one that differs cannot be the end */
	struct df_dns_answer a;
};

/* The caller sees to it that there is room. */
static void add_addr(struct df_dns_answer *a, const uint8_t *addr, size_t size, uint32_t ttl)
{
	struct df_dns_addr *ret = &a->addrs[a->n_addrs++];

	ret->ttl = ttl;
	if (size == 4)
		memcpy(ret->addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	memcpy(ret->addr + 16 - size, addr, size);
}

/* Errors are not the end: the record may have to pass as it is. */
static void collect_svcb(struct collected *all, const struct df_dns_record *rr)
{
	struct df_dns_answer *a = &all->a;
	struct df_dns_svcb svcb;

	if (all->n_svcbs++ == 0)
		all->svcb_owner = rr->owner;
	if (df_dns_svcb_parse(rr->rdata, rr->rdlen, &svcb) < 0 ||
	    !df_dname_is_equal(&all->svcb_owner, &rr->owner) ||
	    (svcb.target.len > 1 && a->n_targets == DF_DNS_MAX_TARGETS)) {
		a->is_svcb_malformed = true;
		return;
	}
	if (svcb.target.len > 1)
		a->targets[a->n_targets++] = svcb.target;
	for (size_t i = 0; i < svcb.n_hint4 && a->n_addrs < DF_DNS_MAX_ADDRS; i++)
		add_addr(a, svcb.hint4 + 4 * i, 4, rr->ttl);
	for (size_t i = 0; i < svcb.n_hint6 && a->n_addrs < DF_DNS_MAX_ADDRS; i++)
		add_addr(a, svcb.hint6 + 16 * i, 16, rr->ttl);
}

static bool is_address(const struct df_dns_query *asked, const struct df_dns_record *rr)
{
	return rr->type == asked->type &&
	       (rr->type == DF_DNS_TYPE_A || rr->type == DF_DNS_TYPE_AAAA);
}

static int collect_addr(struct collected *all, const struct df_dns_record *rr)
{
	if (all->a.n_addrs == DF_DNS_MAX_ADDRS) {
		all->a.n_more_addrs++;
		return all->is_first_enough ? 0 : -E2BIG;
	}
	add_addr(&all->a, rr->rdata, rr->rdlen, rr->ttl);
	return 0;
}

/* The same alias twice, as some servers and load balancers send it, is one. */
static int collect_alias(struct collected *all, const struct df_dns_record *rr)
{
	const bool is_dname = rr->type == DF_DNS_TYPE_DNAME;
	struct alias *alias = all->aliases;

	for (; alias < all->aliases + all->n_aliases; alias++)
		if (alias->is_dname == is_dname && df_dname_is_equal(&alias->owner, &rr->owner) &&
		    df_dname_is_equal(&alias->target, &rr->target))
			return 0;
	if (all->n_aliases == DF_DNS_MAX_CHAIN)
		return -E2BIG;
	all->n_aliases++;
	alias->owner = rr->owner;
	alias->target = rr->target;
	alias->is_dname = is_dname;
	alias->is_used = false;
	return 0;
}

static int collect(struct collected *all, const struct df_dns_record *rr)
{
	const uint16_t qtype = all->asked->type;

	if (is_address(all->asked, rr)) {
		if (all->a.n_addrs == 0)
			all->addr_owner = rr->owner;
		else
			all->is_addr_owner_mixed |=
				!df_dname_is_equal(&all->addr_owner, &rr->owner);
		return collect_addr(all, rr);
	}
	if (df_dns_is_svcb(rr->type) && (rr->type == qtype || qtype == DF_DNS_TYPE_ANY))
		collect_svcb(all, rr);
	else if ((rr->type == DF_DNS_TYPE_CNAME || rr->type == DF_DNS_TYPE_DNAME) &&
		 qtype != DF_DNS_TYPE_AXFR && qtype != DF_DNS_TYPE_IXFR)
		return collect_alias(all, rr);
	return 0;
}

/*
 * Where an alias leads name.  -ENOENT: nowhere.  A DNAME puts its target in the place of its owner
 * in all names below that (RFC 6672 2.2, 2.3); if the result is too long the server answers
 * YXDOMAIN and makes no CNAME.
 */
static int redirect(struct alias *alias, const struct df_dname *name, struct df_dname *ret)
{
	const struct df_dname *owner = &alias->owner, *target = &alias->target;
	size_t keep;

	if (!alias->is_dname) {
		if (!df_dname_is_equal(name, owner))
			return -ENOENT;
		alias->is_used = true;
		*ret = *target;
		return 0;
	}
	if (name->n_labels == owner->n_labels || !df_dname_is_below_or_equal(name, owner))
		return -ENOENT;
	alias->is_used = true;
	keep = (size_t)name->len - owner->len;
	if (keep + target->len > DF_DNAME_MAX)
		return -ENOENT;
	memcpy(ret->wire, name->wire, keep);
	memcpy(ret->wire + keep, target->wire, target->len);
	ret->len = (uint8_t)(keep + target->len);
	ret->n_labels = (uint8_t)(name->n_labels - owner->n_labels + target->n_labels);
	return 0;
}

/* Index in the chain, FROM_QNAME, or -ENOENT. */
static int find_reached(const struct collected *all, const struct df_dname *name)
{
	if (df_dname_is_equal(name, &all->asked->name))
		return FROM_QNAME;
	for (unsigned i = 0; i < all->a.n_chain; i++)
		if (df_dname_is_equal(name, &all->a.chain[i]))
			return (int)i;
	return -ENOENT;
}

/* Follows every alias of one name that was reached. */
static int follow_from(struct collected *all, unsigned from)
{
	const struct df_dname name = from == FROM_QNAME ? all->asked->name : all->a.chain[from];

	for (unsigned i = 0; i < all->n_aliases; i++) {
		struct df_dname target;
		int at;

		if (redirect(&all->aliases[i], &name, &target) < 0)
			continue;
		at = find_reached(all, &target);
		/* on the way from the QNAME to this name: a loop */
		for (unsigned on = from; at >= 0; on = all->came_from[on]) {
			if ((int)on == at)
				return -EBADMSG;
			if (on == FROM_QNAME)
				break;
		}
		if (at >= 0)
			continue; /* a DNAME and the CNAME that it makes, RFC 6672 3.1 */
		if (all->a.n_chain == DF_DNS_MAX_CHAIN)
			return -E2BIG;
		all->came_from[all->a.n_chain] = (uint8_t)from;
		all->a.chain[all->a.n_chain++] = target;
	}
	return 0;
}

static int add_stray(struct df_dns_answer *a, const struct df_dname *name)
{
	for (unsigned i = 0; i < a->n_strays; i++)
		if (df_dname_is_equal(name, &a->strays[i]))
			return 0;
	if (a->n_strays == DF_DNS_MAX_STRAYS)
		return -E2BIG;
	a->strays[a->n_strays++] = *name;
	return 0;
}

/* Follows the aliases from the QNAME; records may stand in any order. */
static int follow_aliases(struct collected *all)
{
	const uint16_t qtype = all->asked->type;
	int r = follow_from(all, FROM_QNAME);

	for (unsigned i = 0; r == 0 && i < all->a.n_chain; i++)
		r = follow_from(all, i);
	for (unsigned i = 0; r == 0 && i < all->n_aliases; i++) {
		const struct alias *alias = &all->aliases[i];
		/* a DNAME that was asked for, and leads to nothing itself */
		const bool is_asked = alias->is_dname && find_reached(all, &alias->owner) >= 0 &&
				      (qtype == DF_DNS_TYPE_DNAME || qtype == DF_DNS_TYPE_ANY);

		if (alias->is_used || is_asked)
			continue;
		r = add_stray(&all->a, &alias->owner);
		if (r == 0)
			r = add_stray(&all->a, &alias->target);
	}
	return r;
}

/* c stands at the answer section, whose records were read before without an error. */
static int sort_addrs(struct collected *all, struct df_dns_cursor c, unsigned n_records)
{
	struct df_dns_record rr;
	int r = 0;

	all->a.n_addrs = all->a.n_more_addrs = 0;
	for (unsigned i = 0; r == 0 && i < n_records; i++) {
		df_dns_get_record(&c, DF_DNS_SECTION_ANSWER, &rr);
		if (c.error || !is_address(all->asked, &rr))
			continue;
		if (find_reached(all, &rr.owner) >= 0)
			r = collect_addr(all, &rr);
		else
			r = add_stray(&all->a, &rr.owner);
	}
	return r;
}

/* Reads all sections.  *ret_n_answers: whole records of the first. */
static int read_sections(struct collected *all, struct df_dns_cursor *c,
			 const struct df_dns_header *h, unsigned *ret_n_answers)
{
	struct df_dns_record rr;
	unsigned n_opts = 0;
	int r;

	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h->n[section]; i++) {
			if (df_dns_is_cut_at(c->pkt, c->len, h, c->pos)) {
				all->a.is_cut = true;
				return 0;
			}
			df_dns_get_record(c, section, &rr);
			if (c->error)
				return c->error;
			if (section == DF_DNS_SECTION_ANSWER) {
				r = collect(all, &rr);
				if (r < 0)
					return r;
				*ret_n_answers = i + 1;
			}
			/* One OPT, RFC 6891 6.1.1; of the version that was asked for. */
			if (rr.type == DF_DNS_TYPE_OPT &&
			    (n_opts++ > 0 || rr.ttl & DF_DNS_OPT_VERSION))
				return -EBADMSG;
		}
	}
	return c->pos == c->len ? 0 : -EBADMSG;
}

/* Reads the header and the question of an answer, and whether they are those asked for. */
static int get_answer_head(struct df_dns_cursor *c, const struct df_dns_query *asked, uint16_t id,
			   struct df_dns_header *ret, bool *ret_is_cut)
{
	df_dns_get_header(c, ret);
	if (c->error)
		return -EBADMSG;
	if (ret->id != id || !(ret->flags & DF_DNS_FLAG_QR) || ret->flags & DF_DNS_FLAG_OPCODE)
		return -ENOMSG;
	return df_dns_get_question(c, ret, asked, ret_is_cut);
}

bool df_dns_is_answer_to(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			 uint16_t id)
{
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	bool is_cut;

	return get_answer_head(&c, asked, id, &h, &is_cut) == 0;
}

/* Only as much of the arrays as is used. */
static void copy_answer(struct df_dns_answer *ret, const struct df_dns_answer *a)
{
	ret->rcode = a->rcode;
	ret->tc = a->tc;
	ret->is_cut = a->is_cut;
	ret->n_chain = a->n_chain;
	memcpy(ret->chain, a->chain, a->n_chain * sizeof(a->chain[0]));
	ret->n_addrs = a->n_addrs;
	memcpy(ret->addrs, a->addrs, a->n_addrs * sizeof(a->addrs[0]));
	ret->n_more_addrs = a->n_more_addrs;
	ret->n_strays = a->n_strays;
	memcpy(ret->strays, a->strays, a->n_strays * sizeof(a->strays[0]));
	ret->has_svcb = a->has_svcb;
	ret->is_svcb_malformed = a->is_svcb_malformed;
	ret->n_targets = a->n_targets;
	memcpy(ret->targets, a->targets, a->n_targets * sizeof(a->targets[0]));
}

static int parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, bool is_first_enough, struct df_dns_answer *ret)
{
	struct df_dns_cursor c = {pkt, len, 0, 0}, answers;
	struct collected all; /* only the counts and flags are set here */
	struct df_dns_answer *a = &all.a;
	unsigned n_answers = 0;
	struct df_dns_header h;
	int r = get_answer_head(&c, asked, id, &h, &a->is_cut);

	if (r < 0)
		return r;
	all.asked = asked;
	all.is_first_enough = is_first_enough;
	all.is_addr_owner_mixed = a->is_svcb_malformed = false;
	all.n_aliases = all.n_svcbs = 0;
	a->n_chain = a->n_addrs = a->n_more_addrs = a->n_targets = a->n_strays = 0;
	a->rcode = h.flags & DF_DNS_FLAG_RCODE;
	a->tc = h.flags & DF_DNS_FLAG_TC;
	answers = c;
	if (!a->is_cut)
		r = read_sections(&all, &c, &h, &n_answers);
	if (r == 0)
		r = follow_aliases(&all);
	if (r < 0)
		return r;
	if (df_dns_is_svcb(asked->type) || asked->type == DF_DNS_TYPE_ANY)
		a->is_svcb_malformed |= all.n_svcbs > 0 && find_reached(&all, &all.svcb_owner) < 0;
	else if (a->n_addrs > 0 &&
		 (all.is_addr_owner_mixed || find_reached(&all, &all.addr_owner) < 0))
		r = sort_addrs(&all, answers, n_answers);
	if (r < 0)
		return r;
	a->has_svcb = all.n_svcbs > 0;
	copy_answer(ret, a);
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

/* --- other opcodes and classes: they pass as octets, so only names and lengths are read --- */

int df_dns_parse_other(const uint8_t *pkt, size_t len, df_dns_visit *visit, void *data,
		       struct df_dns_query *ret)
{
	static const struct df_dname root = {.len = 1};
	struct df_dns_cursor c = {pkt, len, 0, 0};
	struct df_dns_header h;
	struct df_dns_record rr;
	struct question asked;
	int r;

	df_dns_get_header(&c, &h);
	if (h.flags & DF_DNS_FLAG_QR || get_question(&c, &h, &asked) < 0)
		return -EBADMSG;
	if (asked.name.len == 0)
		asked.name = root;
	r = visit(data, &asked.name);
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h.n[section]; i++) {
			get_any_record(&c, &rr);
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
	ret->other_class = asked.class == DF_DNS_CLASS_IN ? 0 : asked.class;
	ret->type = asked.type;
	ret->name = asked.name;
	if (h.n[DF_DNS_SECTION_QUESTION] == 1)
		memcpy(ret->name_case, pkt + DF_DNS_HEADER_LEN, asked.name.len); /* uncompressed */
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
	struct question asked;
	int r = 0;

	df_dns_get_header(&c, &h);
	if (c.error)
		return -EBADMSG;
	/* the opcode is not looked at: servers that do not know it may not give it back */
	if (h.id != id || !(h.flags & DF_DNS_FLAG_QR))
		return -ENOMSG;
	if (get_question(&c, &h, &asked) < 0)
		return -EBADMSG;
	for (unsigned section = DF_DNS_SECTION_ANSWER; section < DF_DNS_N_SECTIONS; section++) {
		for (unsigned i = 0; i < h.n[section]; i++) {
			get_any_record(&c, &rr);
			if (c.error)
				return -EBADMSG;
			if (df_dns_is_svcb(rr.type))
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
