/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_svcb: the RDATA of SVCB and HTTPS records, RFC 9460; private to dns_wire.c and
 * dns_build.c.
 *
 * Refused is what a client would have to refuse (section 2.2 and the sections of the keys):
 * a compressed TargetName, keys out of order or twice, values that are not of their key's
 * form.  Keys we do not know have any value.
 */
#ifndef DF_DNS_SVCB_H
#define DF_DNS_SVCB_H

#include "proxy/dns/out.h"

/* Numbers of the IANA registry "Service Parameter Keys (SvcParamKeys)". */
enum {
	DF_SVCB_MANDATORY = 0,
	DF_SVCB_ALPN = 1,
	DF_SVCB_NO_DEFAULT_ALPN = 2,
	DF_SVCB_PORT = 3,
	DF_SVCB_IPV4HINT = 4,
	DF_SVCB_ECH = 5, /* RFC 9848 */
	DF_SVCB_IPV6HINT = 6,
};

struct df_dns_svcb {
	uint16_t priority;            /* 0: AliasMode */
	struct df_dname target;       /* the root: the owner itself, or (AliasMode) nobody */
	const uint8_t *hint4, *hint6; /* into the RDATA */
	size_t n_hint4, n_hint6;      /* addresses */
};

/* -EBADMSG; *ret is then undefined. */
int df_dns_svcb_parse(const uint8_t *rdata, size_t len, struct df_dns_svcb *ret);

/*
 * Writes RDATA that was parsed, without the address hints and ECH, and without what says
 * that they are mandatory; of AliasMode, where parameters mean nothing, without any.
 * True: that made a difference.
 */
bool df_dns_svcb_put(struct df_dns_out *o, const uint8_t *rdata, size_t len);

#endif
