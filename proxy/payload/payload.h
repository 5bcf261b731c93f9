/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * payload: the host that the first octets of a TCP stream name.
 *
 * Two protocols are read: a TLS ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2: the server_name
 * of RFC 6066 3) and an HTTP/1 request (RFC 9112: Host, CONNECT, absolute-form).  Of Encrypted
 * ClientHello the outer name is seen.  HTTP/2 and QUIC hide theirs.
 *
 * Where two readers could come to different hosts, none is returned: more than one server_name,
 * more than one Host, folded lines, a bare CR, blanks before a colon, an escaped host, a host
 * that ends in a number and is no address, userinfo that could end in two places; and
 * absolute-form whose Host is not among the octets that are there.  Only addresses and names
 * that a policy could contain are returned.
 *
 * More octets never change a result that is READ, UNREADABLE or of kind NONE: all three are
 * final, and only INCOMPLETE waits.  No I/O, no allocation.
 */
#ifndef DF_PAYLOAD_H
#define DF_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/dname.h"

enum df_payload_kind {
	DF_PAYLOAD_NONE,     /* neither TLS nor an HTTP request; or, INCOMPLETE, not known yet */
	DF_PAYLOAD_TLS,      /* a ClientHello */
	DF_PAYLOAD_HTTP,     /* a request to an origin server */
	DF_PAYLOAD_CONNECT,  /* to a proxy: CONNECT host:port */
	DF_PAYLOAD_ABSOLUTE, /* to a proxy: METHOD scheme://host/ */
};

enum df_payload_state {
	DF_PAYLOAD_UNREADABLE, /* of kind NONE: nothing to read */
	DF_PAYLOAD_INCOMPLETE, /* more octets could name a host */
	DF_PAYLOAD_READ,       /* the host has a name or an address */
};

struct df_payload_host {
	bool has_name, has_addr, has_port; /* never a name and an address */
	struct df_dname name;
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;    /* host byte order */
};

struct df_payload_target {
	enum df_payload_kind kind;
	enum df_payload_state state;
	/* Its port is that of CONNECT, or the one written, or the default of the scheme. */
	struct df_payload_host host;
	/*
	 * Of CONNECT and absolute-form the Host field, if it names another host or port.  The
	 * target counts (RFC 9112 3.2.2), but some servers and proxies go by Host.
	 */
	struct df_payload_host other;
	size_t next; /* where another request begins in the same octets; 0: none is known */
};

/*
 * is_cut: octets follow that will never be shown.  Then a host counts without them, as a
 * ClientHello with a session ticket is often longer than the part that is seen.
 */
void df_payload_parse(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret);

#endif
