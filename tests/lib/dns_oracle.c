/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/dns_oracle.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/util.h"

static void *copy_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = calloc(1, len ? len : 1);

	if (!copy)
		abort();
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* text is what libc makes of a name; "" is the root. */
static bool is_name(const char *text, const struct df_dname *name)
{
	uint8_t wire[NS_MAXCDNAME];
	size_t pos = 0;

	if (ns_name_pton(*text ? text : ".", wire, sizeof(wire)) < 0)
		return false;
	for (; wire[pos] != 0; pos += 1u + wire[pos])
		for (size_t i = 1; i <= wire[pos]; i++)
			if (wire[pos + i] >= 'A' && wire[pos + i] <= 'Z')
				wire[pos + i] |= 0x20;
	return pos + 1 == name->len && memcmp(wire, name->wire, name->len) == 0;
}

static const char *check_question(ns_msg *msg, const struct df_dns_query *q)
{
	ns_rr rr;

	if (ns_msg_count(*msg, ns_s_qd) != 1 || ns_parserr(msg, ns_s_qd, 0, &rr) < 0)
		return "libc refuses the question";
	if (!is_name(ns_rr_name(rr), &q->name))
		return "libc reads another QNAME";
	if (ns_rr_type(rr) != q->type || ns_rr_class(rr) != ns_c_in)
		return "libc reads another QTYPE or QCLASS";
	return NULL;
}

static bool is_same_query(const struct df_dns_query *a, const struct df_dns_query *b)
{
	return a->rd == b->rd && a->ad == b->ad && a->cd == b->cd && a->type == b->type &&
	       df_dname_is_equal(&a->name, &b->name) && a->has_edns == b->has_edns &&
	       a->edns_do == b->edns_do && a->n_options == b->n_options &&
	       memcmp(a->options, b->options, a->n_options) == 0;
}

/* What we make of an accepted query is accepted, and an answer to it too. */
static const char *check_built_from(const struct df_dns_query *q)
{
	static const struct df_dns_refusal refusal = {
		.rcode = DF_DNS_RCODE_NXDOMAIN,
		.sinkhole = true,
		.ede = DF_DNS_EDE_BLOCKED,
		.ede_text = "blocked: \xc3\xa9t\xc3\xa9",
	};
	uint8_t buf[DF_DNS_QUERY_MAX];
	struct df_dns_query again;
	struct df_dns_answer answer;
	uint16_t id;
	int n;

	n = df_dns_build_query(q, 0x4321, false, buf, sizeof(buf));
	if (n < 0 || df_dns_parse_query(buf, (size_t)n, &again, &id) < 0 || id != 0x4321)
		return "the built query is refused";
	if (!is_same_query(q, &again) || memcmp(again.name_case, q->name.wire, q->name.len) != 0)
		return "the built query differs";
	n = df_dns_build_query(q, 0x4321, true, buf, sizeof(buf));
	if (n < 0 || df_dns_parse_query(buf, (size_t)n, &again, &id) < 0 ||
	    memcmp(again.name_case, q->name_case, q->name.len) != 0)
		return "the built query does not keep the case";
	n = df_dns_build_refusal(q, &refusal, DF_DNS_UDP_MIN, buf, sizeof(buf));
	if (n < 0 || n > DF_DNS_UDP_MIN ||
	    df_dns_parse_answer(buf, (size_t)n, q, q->id, &answer) < 0)
		return "the built refusal is refused";
	return NULL;
}

static int count_name(void *data, const struct df_dname *name)
{
	unsigned *n = data;

	if (!df_dname_is_sane(name))
		abort();
	(*n)++;
	return 0;
}

/* Of another opcode or class: every name is shown, and it can be refused. */
static const char *check_other(const uint8_t *pkt, size_t len)
{
	static const struct df_dns_refusal refusal = {.rcode = DF_DNS_RCODE_REFUSED,
						      .ede = UINT16_MAX};
	uint8_t buf[DF_DNS_UDP_MIN];
	struct df_dns_query q;
	unsigned n_names = 0;
	ns_msg msg, refused;
	int n;

	/* as an answer: it must not do harm */
	(void)df_dns_check_other(pkt, len, len >= 2 ? (uint16_t)(pkt[0] << 8 | pkt[1]) : 0,
				 count_name, &n_names);
	n_names = 0;
	if (df_dns_parse_other(pkt, len, count_name, &n_names, &q) < 0)
		return NULL;
	if (ns_initparse(pkt, (int)len, &msg) < 0)
		return "libc refuses the message";
	if (n_names != 1u + ns_msg_count(msg, ns_s_an) + ns_msg_count(msg, ns_s_ns))
		return "not every name is judged";
	if (q.opcode != ns_msg_getflag(msg, ns_f_opcode) || q.id != ns_msg_id(msg))
		return "libc reads another opcode";
	n = df_dns_build_refusal(&q, &refusal, DF_DNS_UDP_MIN, buf, sizeof(buf));
	if (n < 0 || ns_initparse(buf, n, &refused) < 0 || ns_msg_id(refused) != q.id ||
	    ns_msg_getflag(refused, ns_f_opcode) != q.opcode || !ns_msg_getflag(refused, ns_f_qr) ||
	    ns_msg_getflag(refused, ns_f_rcode) != ns_r_refused)
		return "the refusal of another opcode";
	return NULL;
}

const char *df_oracle_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret,
			    int *ret_result)
{
	_cleanup_free_ uint8_t *exact = copy_exact(pkt, len);
	const char *wrong;
	uint16_t id;
	ns_msg msg;

	*ret_result = df_dns_parse_query(exact, len, ret, &id);
	if (id != (len >= 2 ? (exact[0] << 8 | exact[1]) : 0))
		return "the id is not told";
	wrong = check_other(exact, len);
	if (*ret_result < 0 || wrong)
		return wrong;
	if (ns_initparse(exact, (int)len, &msg) < 0)
		return "libc refuses the query";
	if (ns_msg_id(msg) != ret->id || ns_msg_getflag(msg, ns_f_qr) ||
	    ns_msg_getflag(msg, ns_f_opcode) != ns_o_query)
		return "libc reads another header";
	if (ns_msg_count(msg, ns_s_an) ||
	    (!ret->is_verbatim &&
	     (ns_msg_count(msg, ns_s_ns) || ns_msg_count(msg, ns_s_ar) != ret->has_edns)))
		return "libc reads other records";
	wrong = check_question(&msg, ret);
	return wrong ? wrong : check_built_from(ret);
}

/* Is there a CNAME from one to the other, or a DNAME that may have made it? */
static bool has_alias(ns_msg *msg, const struct df_dname *from, const struct df_dname *to)
{
	char target[NS_MAXDNAME];
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
		if (ns_parserr(msg, ns_s_an, i, &rr) < 0)
			return false;
		if (ns_rr_type(rr) == ns_t_dname)
			return true;
		if (ns_rr_type(rr) == ns_t_cname && is_name(ns_rr_name(rr), from) &&
		    dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(rr), target,
			      sizeof(target)) >= 0 &&
		    is_name(target, to))
			return true;
	}
	return false;
}

static bool is_reached(const struct df_dns_query *q, const struct df_dns_answer *a,
		       const char *name)
{
	if (is_name(name, &q->name))
		return true;
	for (unsigned i = 0; i < a->n_chain; i++)
		if (is_name(name, &a->chain[i]))
			return true;
	return false;
}

static bool is_stray(const struct df_dns_answer *a, const char *name)
{
	for (unsigned i = 0; i < a->n_strays; i++)
		if (is_name(name, &a->strays[i]))
			return true;
	return false;
}

static const char *check_addrs(ns_msg *msg, const struct df_dns_query *q,
			       const struct df_dns_answer *a)
{
	size_t size = q->type == DF_DNS_TYPE_A ? 4 : 16;
	unsigned n = 0;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
		if (ns_parserr(msg, ns_s_an, i, &rr) < 0)
			return "libc refuses an answer record";
		if (ns_rr_type(rr) != q->type)
			continue;
		if (!is_reached(q, a, ns_rr_name(rr))) {
			if (!is_stray(a, ns_rr_name(rr)))
				return "libc reads another owner of an address";
			continue;
		}
		if (n == a->n_addrs)
			return "libc reads more addresses";
		if (ns_rr_rdlen(rr) != size ||
		    memcmp(ns_rr_rdata(rr), a->addrs[n].addr + 16 - size, size) != 0)
			return "libc reads another address";
		if (a->addrs[n].ttl != (ns_rr_ttl(rr) > INT32_MAX ? 0 : ns_rr_ttl(rr)))
			return "libc reads another TTL";
		n++;
	}
	return n == a->n_addrs ? NULL : "libc reads fewer addresses";
}

static bool is_svcb(uint16_t type)
{
	return type == DF_DNS_TYPE_SVCB || type == DF_DNS_TYPE_HTTPS;
}

/* Answers to these have bindings that count. */
static bool has_svcbs(uint16_t type)
{
	return is_svcb(type) || type == DF_DNS_TYPE_ANY;
}

/*
 * One record's SvcParams, by a reader of its own (libc has none).  hints counts its
 * addresses; NULL: there must be no hint, no ECH, and nobody says that there is.
 */
static const char *check_params(const uint8_t *p, const uint8_t *end, unsigned *hints)
{
	int last = -1;

	while (p < end) {
		unsigned key, n;

		if (end - p < 4)
			return "a parameter is cut off";
		key = ns_get16(p);
		n = ns_get16(p + 2);
		p += 4;
		if (n > (size_t)(end - p) || (int)key <= last)
			return "parameters out of order, or one is cut off";
		last = (int)key;
		if (hints && (key == 4 || key == 6))
			*hints += n / (key == 4 ? 4 : 16);
		if (!hints && key >= 4 && key <= 6)
			return "a hint or ECH is left";
		for (unsigned i = 0; !hints && key == 0 && i + 1 < n; i += 2)
			if (ns_get16(p + i) >= 4 && ns_get16(p + i) <= 6)
				return "what was stripped is mandatory";
		p += n;
	}
	return NULL;
}

/* hints: as above, of all. */
static const char *check_svcb_records(ns_msg *msg, const struct df_dns_query *q,
				      const struct df_dns_answer *a, unsigned *hints)
{
	unsigned n_targets = 0;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
		char target[NS_MAXDNAME];
		const char *wrong;
		int n;

		if (ns_parserr(msg, ns_s_an, i, &rr) < 0)
			return "libc refuses an answer record";
		if (q->type == DF_DNS_TYPE_ANY ? !is_svcb((uint16_t)ns_rr_type(rr))
					       : ns_rr_type(rr) != q->type)
			continue;
		if (!is_reached(q, a, ns_rr_name(rr)))
			return "libc reads another owner of a binding";
		n = ns_rr_rdlen(rr) < 3
			    ? -1
			    : ns_name_uncompress(ns_rr_rdata(rr) + 2,
						 ns_rr_rdata(rr) + ns_rr_rdlen(rr),
						 ns_rr_rdata(rr) + 2, target, sizeof(target));
		if (n < 0)
			return "libc reads no TargetName";
		if (*target && strcmp(target, ".") != 0 &&
		    (n_targets == a->n_targets || !is_name(target, &a->targets[n_targets++])))
			return "libc reads another TargetName";
		wrong = check_params(ns_rr_rdata(rr) + 2 + n, ns_rr_rdata(rr) + ns_rr_rdlen(rr),
				     hints);
		if (wrong)
			return wrong;
	}
	return n_targets == a->n_targets ? NULL : "libc reads fewer TargetNames";
}

static const char *check_svcbs(ns_msg *msg, const struct df_dns_query *q,
			       const struct df_dns_answer *a)
{
	unsigned hints = 0;
	const char *wrong;

	if (a->is_svcb_malformed)
		return NULL;
	wrong = check_svcb_records(msg, q, a, &hints);
	if (wrong)
		return wrong;
	return a->n_addrs == (hints < DF_DNS_MAX_ADDRS ? hints : DF_DNS_MAX_ADDRS)
		       ? NULL
		       : "another number of hints";
}

static const char *check_message(const uint8_t *pkt, size_t len, const struct df_dns_query *q,
				 const struct df_dns_answer *a)
{
	const char *wrong;
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(pkt, (int)len, &msg) < 0)
		return "libc refuses the answer";
	if ((int)a->rcode != ns_msg_getflag(msg, ns_f_rcode) ||
	    (int)a->tc != ns_msg_getflag(msg, ns_f_tc))
		return "libc reads another header";
	for (ns_sect s = ns_s_an; s < ns_s_max; s++)
		for (int i = 0; i < ns_msg_count(msg, s); i++)
			if (ns_parserr(&msg, s, i, &rr) < 0)
				return "libc refuses a record";
	wrong = check_question(&msg, q);
	if (wrong)
		return wrong;
	for (unsigned i = 0; i < a->n_chain; i++) {
		bool is_led_to = has_alias(&msg, &q->name, &a->chain[i]);

		for (unsigned k = 0; k < i; k++)
			is_led_to |= has_alias(&msg, &a->chain[k], &a->chain[i]);
		if (!is_led_to)
			return "libc reads another chain";
	}
	if (q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA)
		return check_addrs(&msg, q, a);
	if (has_svcbs(q->type))
		return check_svcbs(&msg, q, a);
	return a->n_addrs == 0 ? NULL : "addresses of another type";
}

static bool is_same_names(const struct df_dname *a, unsigned n, const struct df_dname *b,
			  unsigned n_b)
{
	if (n != n_b)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!df_dname_is_equal(&a[i], &b[i]))
			return false;
	return true;
}

/* But for hints, which are gone, and strays. */
static bool is_same_answer(const struct df_dns_answer *a, const struct df_dns_answer *b)
{
	if (a->rcode != b->rcode || a->tc != b->tc || b->is_cut ||
	    a->is_svcb_malformed != b->is_svcb_malformed ||
	    !is_same_names(a->chain, a->n_chain, b->chain, b->n_chain) ||
	    !is_same_names(a->targets, a->n_targets, b->targets, b->n_targets))
		return false;
	if (a->has_svcb)
		return b->n_addrs == 0;
	return a->n_addrs == b->n_addrs &&
	       memcmp(a->addrs, b->addrs, a->n_addrs * sizeof(a->addrs[0])) == 0;
}

/* For the smallest client: all, or with TC the first of it. */
static const char *check_small(const uint8_t *pkt, size_t len, const struct df_dns_query *q,
			       const struct df_dns_answer *a)
{
	uint8_t small[DF_DNS_UDP_MIN];
	struct df_dns_answer again;
	int n, r;

	n = df_dns_build_answer(q, pkt, len, NULL, DF_DNS_UDP_MIN, small, DF_DNS_UDP_MIN);
	if (n < DF_DNS_HEADER_LEN)
		return "the small answer cannot be built";
	r = df_dns_parse_answer(small, (size_t)n, q, q->id, &again);
	if (r == -E2BIG) /* addresses whose aliases are cut off are strays */
		return NULL;
	if (r < 0)
		return "the small answer is refused";
	if (!again.tc && !is_same_answer(a, &again))
		return "the small answer differs";
	return again.n_addrs <= a->n_addrs ? NULL : "the small answer has more addresses";
}

/* The client's answer, as large as it gets. */
static const char *check_built(const uint8_t *pkt, size_t len, const struct df_dns_query *q,
			       const struct df_dns_answer *a, bool is_narrow)
{
	_cleanup_free_ uint8_t *buf = malloc(DF_DNS_MSG_MAX);
	_cleanup_free_ uint8_t *exact = NULL;
	struct df_dns_answer again;
	ns_msg msg;
	int n;

	if (!buf)
		abort();
	n = df_dns_build_answer(q, pkt, len, is_narrow ? a : NULL, DF_DNS_MSG_MAX, buf,
				DF_DNS_MSG_MAX);
	if (n < DF_DNS_HEADER_LEN)
		return "the answer cannot be built";
	exact = copy_exact(buf, (size_t)n);
	if (df_dns_parse_answer(exact, (size_t)n, q, q->id, &again) < 0)
		return "the built answer is refused";
	if (again.tc &&
	    !a->tc) /* names that were compressed are written out: it may get too long */
		return NULL;
	if (!is_same_answer(a, &again))
		return "the built answer differs";
	if (!is_narrow && !is_same_names(a->strays, a->n_strays, again.strays, again.n_strays))
		return "the built answer has other strays";
	if (is_narrow && (q->type == DF_DNS_TYPE_A || q->type == DF_DNS_TYPE_AAAA) &&
	    again.n_strays > 0)
		return "strays are left";
	if (memcmp(exact + DF_DNS_HEADER_LEN, q->name_case, q->name.len) != 0)
		return "the built answer does not keep the question's case";
	if (check_message(exact, (size_t)n, q, &again))
		return "libc does not agree on the built answer";
	if (a->has_svcb && ns_initparse(exact, n, &msg) == 0)
		return check_svcb_records(&msg, q, &again, NULL);
	return NULL;
}

const char *df_oracle_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			     uint16_t id, struct df_dns_answer *ret, int *ret_result)
{
	_cleanup_free_ uint8_t *exact = copy_exact(pkt, len);
	const char *wrong;

	*ret_result = df_dns_parse_answer(exact, len, asked, id, ret);
	if (*ret_result < 0) {
		uint8_t scratch[DF_DNS_UDP_MIN];
		bool has_opt;

		/* Nobody should build from it, yet it must not do harm. */
		(void)df_dns_build_answer(asked, exact, len, NULL, DF_DNS_UDP_MIN, scratch,
					  DF_DNS_UDP_MIN);
		(void)df_dns_bare_error(exact, len, &has_opt);
		return NULL;
	}
	if (ret->is_cut && !ret->tc)
		return "a message without TC is not cut";
	wrong = ret->is_cut ? NULL : check_message(exact, len, asked, ret); /* libc refuses those */
	if (wrong)
		return wrong;
	if (ret->is_svcb_malformed) { /* nobody builds it; it must not do harm */
		(void)check_small(exact, len, asked, ret);
		return NULL;
	}
	wrong = check_built(exact, len, asked, ret, false);
	if (!wrong)
		wrong = check_built(exact, len, asked, ret, true);
	return wrong ? wrong : check_small(exact, len, asked, ret);
}
