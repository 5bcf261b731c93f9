/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_wire: decode and build the DNS messages the proxy lets through.
 * RFC 1035 section 4, RFC 2181, RFC 3597, RFC 6891 (EDNS), RFC 8914 (EDE), RFC 9460 (SVCB).
 * No I/O, no allocation, no logging, no policy.
 *
 * Untrusted bytes are read through a bounded cursor with a sticky error.
 * Results are copies, so they outlive the packet buffer.  No client byte is
 * forwarded: what leaves is built from the decoded query.
 *
 * Oracle of the tests: what we accept, libc's ns_initparse and ns_parserr
 * accept too, with the same names.
 */
#ifndef DF_DNS_WIRE_H
#define DF_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dname.h"

#define DF_DNS_HEADER_LEN 12
#define DF_DNS_MSG_MAX 65535
#define DF_DNS_QR_BIT 0x80    /* in the third octet of a message: it is an answer */
#define DF_DNS_UDP_MIN 512    /* without EDNS, RFC 1035 2.3.4 */
#define DF_DNS_UDP_OURS 1232  /* what we announce: fits every path unfragmented, RFC 9715 */
#define DF_DNS_QUERY_MAX 4096 /* longer queries are refused; cookies and padding fit */
#define DF_DNS_MAX_ADDRS 128  /* addresses of one answer; more are refused with -E2BIG */
#define DF_DNS_MAX_CHAIN 16   /* CNAMEs and DNAMEs of one answer; more are refused with -E2BIG */
#define DF_DNS_MAX_TARGETS 16 /* TargetNames of one answer; with more it counts as malformed */
#define DF_DNS_EDNS_OPTIONS_MAX 1024

/* Numbers of the IANA registry "DNS Parameters", as far as we need them. */
enum {
	DF_DNS_TYPE_A = 1,
	DF_DNS_TYPE_NS = 2,
	DF_DNS_TYPE_CNAME = 5,
	DF_DNS_TYPE_SOA = 6,
	DF_DNS_TYPE_PTR = 12,
	DF_DNS_TYPE_MX = 15,
	DF_DNS_TYPE_TXT = 16,
	DF_DNS_TYPE_AAAA = 28,
	DF_DNS_TYPE_SRV = 33,
	DF_DNS_TYPE_DNAME = 39,
	DF_DNS_TYPE_OPT = 41,
	DF_DNS_TYPE_RRSIG = 46,
	DF_DNS_TYPE_NSEC = 47,
	DF_DNS_TYPE_NSEC3 = 50,
	DF_DNS_TYPE_SVCB = 64,
	DF_DNS_TYPE_HTTPS = 65,
	DF_DNS_TYPE_IXFR = 251,
	DF_DNS_TYPE_AXFR = 252,
	DF_DNS_TYPE_ANY = 255,
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
	uint8_t name_case[DF_DNAME_MAX]; /* QNAME as the client wrote it (DNS 0x20); for the answer
					  */
	uint16_t type;                   /* the class is IN; any other class is refused */
	bool has_edns;
	bool edns_do;
	uint16_t edns_udp_size; /* at least 512 */
	uint16_t n_options;     /* octets in options: EDNS options, validated, passed on */
	uint8_t options[DF_DNS_EDNS_OPTIONS_MAX];
};

struct df_dns_addr {
	uint32_t ttl;     /* seconds */
	uint8_t addr[16]; /* network byte order, IPv4 as ::ffff:a.b.c.d */
};

struct df_dns_answer {
	uint8_t rcode; /* the low four bits */
	bool tc;
	unsigned n_chain;
	struct df_dname chain[DF_DNS_MAX_CHAIN]; /* names the QNAME was redirected to, in order */
	unsigned n_addrs;
	struct df_dns_addr addrs[DF_DNS_MAX_ADDRS]; /* of the last name of the chain */
	unsigned n_more_addrs;                      /* only df_dns_parse_first leaves any out */
	/* of HTTPS and SVCB, or ANY; the addresses are their hints then, as far as there is room */
	bool is_svcb_malformed; /* a client must refuse the answer, and so must we, or pass it */
	unsigned n_targets;
	struct df_dname targets[DF_DNS_MAX_TARGETS]; /* without those that are the owner itself */
};

/*
 * Accepts opcode QUERY with one IN question, no other record but at most one
 * OPT of version 0, and not a byte more.
 * -EBADMSG: malformed; nothing is known of it but maybe *ret_id.
 * -EOPNOTSUPP: another opcode, class or EDNS version; answer with NOTIMP (or
 * BADVERS, RFC 6891 6.1.3), *ret_id is valid.  -EMSGSIZE: over
 * DF_DNS_QUERY_MAX or DF_DNS_EDNS_OPTIONS_MAX.
 * *ret_id is the id if len >= 2 (0 else); *ret is touched only on success.
 */
int df_dns_parse_query(const uint8_t *pkt, size_t len, struct df_dns_query *ret, uint16_t *ret_id);

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
 * lengths must meet exactly.  Collects the CNAME/DNAME chain that starts at
 * asked->name, and for A and AAAA the addresses of its last name.
 * -EBADMSG: malformed, or an address record of the asked type in the answer
 * section whose owner is not the end of the chain, or a CNAME or DNAME that is
 * not part of the chain, forks it or loops.  -ENOMSG: another id, question (or
 * none), class or opcode, or not a response.  -E2BIG: more chain or addresses
 * than we keep.
 * The question's case is compared without regard to case.
 */
int df_dns_parse_answer(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			uint16_t id, struct df_dns_answer *ret);

/* The same, but of more than DF_DNS_MAX_ADDRS addresses it has the first, and the number of others.
 */
int df_dns_parse_first(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
		       uint16_t id, struct df_dns_answer *ret);

/* Whether id, opcode and question are those asked for, whatever else the message is. */
bool df_dns_is_answer_to(const uint8_t *pkt, size_t len, const struct df_dns_query *asked,
			 uint16_t id);

/*
 * The answer for the client, from an upstream message that
 * df_dns_parse_answer accepted for the same query.
 *
 * A and AAAA answers are rebuilt from decoded records (DESIGN 12.14): the
 * chain, the addresses, RRSIGs if the query set DO, SOA (and NSEC, NSEC3,
 * RRSIG with DO) of the authority section, OPT.  Other types pass through with
 * their bytes, but the id and the question, which are the client's.
 * limit: octets the client takes (UDP size, or DF_DNS_MSG_MAX).  What is longer
 * is answered with TC and no records, RFC 2181 9.
 * An OPT of upstream stays (its options too) only where the query had one.
 * Returns the length.  -EMSGSIZE: buf or limit is too small for even that.
 * -EBADMSG: parse_answer would not have accepted it.
 */
int df_dns_build_answer(const struct df_dns_query *q, const uint8_t *upstream, size_t upstream_len,
			size_t limit, uint8_t *buf, size_t size);

/*
 * The same where nothing may name addresses past the answers to A and AAAA: HTTPS and SVCB
 * are rebuilt too, without address hints and ECH (RFC 9460 7.3, RFC 9848), and so are
 * answers to ANY that have them.  AD goes where that changed something.  Not for answers that are
 * is_svcb_malformed.
 */
int df_dns_build_stripped(const struct df_dns_query *q, const uint8_t *upstream,
			  size_t upstream_len, size_t limit, uint8_t *buf, size_t size);

/* An answer of our own making. */
struct df_dns_refusal {
	uint8_t rcode;
	bool sinkhole;        /* A: 0.0.0.0, AAAA: ::, TTL 0; other types: no record */
	uint16_t ede;         /* INFO-CODE, RFC 8914; UINT16_MAX: none */
	const char *ede_text; /* UTF-8, shortened to what fits; NULL: none */
};

/*
 * RA set, RD and CD as asked, no authority section (so that nothing is cached,
 * RFC 2308 5).  EDNS and EDE only if the query had EDNS, RFC 6891 7.
 * Returns the length, or -EMSGSIZE.
 */
int df_dns_build_refusal(const struct df_dns_query *q, const struct df_dns_refusal *r, size_t limit,
			 uint8_t *buf, size_t size);

/* FORMERR or NOTIMP for what df_dns_parse_query refused: the bare header.  Returns the length. */
int df_dns_build_error(uint16_t id, uint8_t rcode, uint8_t buf[static DF_DNS_HEADER_LEN]);

#endif
