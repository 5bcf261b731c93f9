/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_wire: decode and build the DNS messages the proxy lets through.
 * RFC 1035 section 4, RFC 2181, RFC 3597, RFC 6891 (EDNS), RFC 8914 (EDE), RFC 9460 (SVCB).
 * No I/O, no allocation, no logging, no policy.
 *
 * Untrusted bytes are read through a bounded cursor with a sticky error.
 * Results are copies, so they outlive the packet buffer.  Queries are
 * built from decoded ones; octets of a client leave only where is_verbatim says so.
 *
 * Oracle of the tests: every message that is accepted here, ns_initparse and ns_parserr of libc
 * accept too, with the same names.
 */
#ifndef DF_DNS_WIRE_H
#define DF_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/dname.h"

#define DF_DNS_HEADER_LEN 12
#define DF_DNS_MSG_MAX 65535
#define DF_DNS_QR_BIT 0x80    /* in the third octet of a message: it is an answer */
#define DF_DNS_UDP_MIN 512    /* without EDNS, RFC 1035 2.3.4 */
#define DF_DNS_UDP_OURS 1232  /* announced by us: fits every path unfragmented, RFC 9715 */
#define DF_DNS_QUERY_MAX 4096 /* longer queries are refused; cookies and padding fit */
#define DF_DNS_MAX_ADDRS 128  /* addresses of one answer; more are refused with -E2BIG */
#define DF_DNS_MAX_CHAIN 16   /* CNAMEs and DNAMEs of one answer; more are refused with -E2BIG */
#define DF_DNS_MAX_TARGETS 16 /* TargetNames of one answer; with more it counts as malformed */
#define DF_DNS_MAX_STRAYS 16  /* names beside the chain; more are refused with -E2BIG */
#define DF_DNS_EDNS_OPTIONS_MAX 1024
#define DF_DNS_COOKIE_CLIENT 8 /* the client's part of a COOKIE, RFC 7873 4 */
#define DF_DNS_COOKIE_MAX 40   /* with the server's, which has 8 to 32 octets */

/* Numbers of the IANA registry "DNS Parameters", as far as we need them. */
enum {
	DF_DNS_TYPE_A = 1,
	DF_DNS_TYPE_NS = 2,
	DF_DNS_TYPE_CNAME = 5,
	DF_DNS_TYPE_SOA = 6,
	DF_DNS_TYPE_PTR = 12,
	DF_DNS_TYPE_MX = 15,
	DF_DNS_TYPE_TXT = 16,
	DF_DNS_TYPE_SIG = 24, /* as SIG(0), RFC 2931 */
	DF_DNS_TYPE_AAAA = 28,
	DF_DNS_TYPE_SRV = 33,
	DF_DNS_TYPE_DNAME = 39,
	DF_DNS_TYPE_OPT = 41,
	DF_DNS_TYPE_RRSIG = 46,
	DF_DNS_TYPE_NSEC = 47,
	DF_DNS_TYPE_NSEC3 = 50,
	DF_DNS_TYPE_SVCB = 64,
	DF_DNS_TYPE_HTTPS = 65,
	DF_DNS_TYPE_TSIG = 250, /* RFC 8945 */
	DF_DNS_TYPE_IXFR = 251,
	DF_DNS_TYPE_AXFR = 252,
	DF_DNS_TYPE_ANY = 255,
};
enum {
	DF_DNS_OPCODE_QUERY = 0,
	DF_DNS_OPCODE_NOTIFY = 4, /* RFC 1996 */
	DF_DNS_OPCODE_UPDATE = 5, /* RFC 2136 */
};
enum {
	DF_DNS_RCODE_NOERROR = 0,
	DF_DNS_RCODE_FORMERR = 1,
	DF_DNS_RCODE_SERVFAIL = 2,
	DF_DNS_RCODE_NXDOMAIN = 3,
	DF_DNS_RCODE_NOTIMP = 4,
	DF_DNS_RCODE_REFUSED = 5,
};
enum {
	DF_DNS_EDE_BLOCKED = 15, /* RFC 8914 4.16 */
	DF_DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
	DF_DNS_EDE_NETWORK_ERROR = 23,
};

struct df_dns_query {
	uint16_t id; /* host byte order, like all numbers here */
	bool rd, ad, cd;
	struct df_dname name;
	uint8_t name_case[DF_DNAME_MAX]; /* QNAME as the client wrote it (DNS 0x20) */
	uint16_t type;
	uint16_t other_class; /* 0: IN; another one has the fields of df_dns_parse_other alone */
	uint8_t opcode;       /* likewise, of other than QUERY */
	bool is_verbatim;     /* no octet but the id may change: it is signed, or of an
			       * EDNS version that nobody here writes */
	bool has_edns;
	bool edns_do;
	uint16_t edns_udp_size; /* at least 512 */
	uint16_t n_options;     /* octets in options: EDNS options, validated, passed on */
	uint8_t options[DF_DNS_EDNS_OPTIONS_MAX];
	uint8_t n_cookie; /* octets in cookie; 0: none, or its length is wrong (an option) */
	uint8_t cookie[DF_DNS_COOKIE_MAX];
};

struct df_dns_addr {
	uint32_t ttl;     /* seconds */
	uint8_t addr[16]; /* network byte order, IPv4 as ::ffff:a.b.c.d */
};

struct df_dns_answer {
	uint8_t rcode; /* the low four bits */
	bool tc;
	bool is_cut; /* with tc: it ends inside a record; the records before that one are here */
	unsigned n_chain;
	struct df_dname chain[DF_DNS_MAX_CHAIN]; /* names the QNAME was redirected to, in order */
	unsigned n_addrs;
	struct df_dns_addr addrs[DF_DNS_MAX_ADDRS]; /* of the QNAME and the names of the chain */
	unsigned n_more_addrs;                      /* only df_dns_parse_first leaves any out */
	/* whose records stand among the answers though nothing leads to them: owners and targets */
	unsigned n_strays;
	struct df_dname strays[DF_DNS_MAX_STRAYS];
	/* of HTTPS and SVCB, or ANY; the addresses are their hints then, as far as there is room */
	bool has_svcb;
	bool is_svcb_malformed; /* a client must refuse the answer, and so must we, or pass it */
	unsigned n_targets;
	struct df_dname targets[DF_DNS_MAX_TARGETS]; /* without those that are the owner itself */
};

/*
 * Accepts opcode QUERY with one IN question and not a byte more than its records: at most one
 * OPT, a TSIG or SIG(0) at the end, and with IXFR the client's SOA (RFC 1995 3).
 * -EBADMSG: malformed; nothing is known of it but maybe *ret_id.
 * -EOPNOTSUPP: another opcode or class, for df_dns_parse_other; *ret_id is valid.
 * -EMSGSIZE: over DF_DNS_QUERY_MAX or DF_DNS_EDNS_OPTIONS_MAX.
 * *ret_id is the id if len >= 2 (0 else); *ret is touched only on success.
 *
 * A COOKIE (RFC 7873) of a proper length is not among ret->options: resolvers get none from
 * us, so that no client learns to wait for a cookie, which an answer of ours would lack.
 */
int df_dns_parse_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret, uint16_t *ret_id);

/* One name of a message: 0 goes on, all else ends the walk and is its result. */
typedef int df_dns_visit(void *data, const struct df_dname *name);

/*
 * A message of another opcode or class: dynamic update, NOTIFY, version.bind.  Its lengths must
 * meet exactly; RDATA is not read.  visit gets the name of its question (of an
 * update the zone) and the owners of its answer and authority sections (of an update the
 * prerequisites and the updates); without a question the root.  *ret has id, opcode, class,
 * type and name of the question, and can be refused with df_dns_build_refusal.
 * -EBADMSG: malformed, or more than one question.  Or the result of visit.
 */
int df_dns_parse_other(const uint8_t *pkt, size_t len, df_dns_visit *visit, void *data,
		       struct df_dns_query *ret);

/*
 * The answer to such a message.  visit gets the owners of the answer section, and where their
 * CNAMEs and DNAMEs lead.  -EBADMSG: malformed.  -ENOMSG: another id, or not a
 * response.  -EPERM: it has SVCB or HTTPS records, which cannot be stripped here.  Or the
 * result of visit.
 */
int df_dns_check_other(const uint8_t *pkt, size_t len, uint16_t id, df_dns_visit *visit,
		       void *data);

/*
 * The query that goes upstream, under its own id.  keep_case writes the
 * client's spelling of the QNAME.  EDNS if the client had it, with its options;
 * announces the client's UDP size, at most DF_DNS_UDP_OURS.
 * Returns the length, or -EMSGSIZE.
 */
int df_dns_build_query(const struct df_dns_query *q, uint16_t id, bool keep_case, uint8_t *buf,
		       size_t size);

/*
 * Validates a whole answer: every record of every section is walked and the
 * lengths must meet exactly; with TC it may end inside a record or before one (RFC 2181 9 has
 * the client ask again), and even inside the question.  Collects the names that CNAMEs and
 * DNAMEs lead to from asked->name, whichever way, and for A and AAAA the addresses of all
 * these; records that say the same twice count once.  Names to which nothing leads are strays.
 * -EBADMSG: malformed, or aliases that loop.  -ENOMSG: another id, question (or
 * none), class or opcode, or not a response.  -E2BIG: more chain, strays or addresses
 * than we keep.
 * The question is compared without regard to case.
 */
int df_dns_parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, struct df_dns_answer *ret);

/* The same, but of too many addresses it has the first, and the number of the others. */
int df_dns_parse_first(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
		       uint16_t id, struct df_dns_answer *ret);

/* Whether id, opcode and question are those asked for, even if the rest is malformed. */
bool df_dns_is_answer_to(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			 uint16_t id);

/*
 * RCODE of an error without a question, as of a server that knows no EDNS (RFC 6891 7) or
 * cannot read the query, with the bits of its OPT; 0: it is no such message.  *ret_has_opt
 * is set if it is one.
 */
unsigned df_dns_bare_error(const uint8_t *pkt, size_t len, bool *ret_has_opt);

/*
 * The answer for the client, from an upstream message that
 * df_dns_parse_answer accepted for the same query, and that is not is_svcb_malformed.
 *
 * Answers to A, AAAA, SVCB and HTTPS are rebuilt from decoded records, and so are those to ANY
 * that have service bindings: of the answer section the records that answer the question, with
 * RRSIGs if the query set DO; authority and additional sections whole (referrals, denials), but
 * types whose compressed names nobody here reads.  SVCB and HTTPS lose address hints and ECH (RFC
 * 9460 7.3, RFC 9848), and the message AD where that changed something.  Other types pass
 * through with their bytes, but the id and the question, which are the client's.
 * only: names that may own records of a rebuilt answer section are the QNAME and its chain;
 * NULL: whoever owns them.
 * limit: octets the client takes (UDP size, or DF_DNS_MSG_MAX).  A longer message ends
 * before the first record that does not fit, with TC (RFC 2181 9).
 * An OPT of upstream stays (its options too, but a COOKIE) only where the query had one; the
 * query's COOKIE comes back if a server has given it (RFC 7873 5.3).
 * Returns the length.  -EMSGSIZE: buf or limit is too small for even the question and an OPT.
 * -EBADMSG: parse_answer would not have accepted it.
 */
int df_dns_build_answer(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
			const struct df_dns_answer *only, size_t limit, uint8_t *buf, size_t size);

/* An answer of our own making. */
struct df_dns_refusal {
	uint16_t rcode;
	bool sinkhole;        /* A: 0.0.0.0, AAAA: ::, TTL 0; other types: no record */
	uint16_t ede;         /* INFO-CODE, RFC 8914; UINT16_MAX: none */
	const char *ede_text; /* UTF-8, shortened to what fits; NULL: none */
	bool has_no_opt;      /* even if the query had one: its sender knows no EDNS */
};

/*
 * RA set, RD and CD as asked, no authority section (so that nothing is cached,
 * RFC 2308 5).  EDNS and EDE only if the query had EDNS, RFC 6891 7; its COOKIE as above.
 * Opcode and question are those of the query.
 * Returns the length, or -EMSGSIZE.
 */
int df_dns_build_refusal(const struct df_dns_query *q, const struct df_dns_refusal *r, size_t limit,
			 uint8_t *buf, size_t size);

/*
 * The answer to an unreadable message: the bare header, with the id and the opcode of its own.
 * FORMERR, or NOTIMP for an opcode that is not known here.  Returns the length, or 0: no answer is
 * due, since it is too short or an answer itself (two servers could go on for ever).
 */
int df_dns_build_error(const uint8_t *pkt, size_t len, uint8_t buf[static DF_DNS_HEADER_LEN]);

#endif
