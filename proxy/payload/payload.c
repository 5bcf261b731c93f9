/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which reader, and what a host is to both of them. */
#include "proxy/payload/payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define FIRST_OF_TLS 22 /* a handshake record; no method of HTTP begins so */
#define PORT_DIGITS 5

void df_payload_parse(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret)
{
	if (len > 0 && data[0] == FIRST_OF_TLS)
		df_payload_tls(data, len, is_cut, ret);
	else
		df_payload_http(data, len, is_cut, ret);
}

static int addr_from_text(int family, const uint8_t *text, size_t len, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	char copy[INET6_ADDRSTRLEN];
	uint8_t addr[16];

	if (len >= sizeof(copy) || memchr(text, '\0', len))
		return -EBADMSG;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(family, copy, addr) != 1)
		return -EBADMSG;
	if (family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), addr, 4);
	} else {
		memcpy(ret, addr, sizeof(addr));
	}
	return 0;
}

/*
 * inet_aton() and browsers take 0x8c527003 and 140.5403651 for addresses, resolvers for
 * names: nobody can tell what the peer will do with such a host.
 */
static bool is_number_like(const struct df_dname *name)
{
	const uint8_t *label = name->wire, *p;
	bool is_hex, is_number = true;

	while (label[1 + label[0]] != 0)
		label += 1 + label[0];
	p = label + 1;
	is_hex = label[0] >= 2 && p[0] == '0' && p[1] == 'x';
	for (unsigned i = is_hex ? 2 : 0; i < label[0]; i++)
		is_number &= (p[i] >= '0' && p[i] <= '9') || (is_hex && p[i] >= 'a' && p[i] <= 'f');
	return is_number;
}

int df_payload_host(const uint8_t *text, size_t len, struct df_payload_target *ret)
{
	struct df_dname name;

	if (addr_from_text(AF_INET, text, len, ret->addr) == 0) {
		ret->has_addr = true;
		return 0;
	}
	if (df_dname_from_text((const char *)text, len, &name, NULL) < 0 || name.n_labels == 0 ||
	    is_number_like(&name))
		return -EBADMSG;
	ret->name = name;
	ret->has_name = true;
	return 0;
}

/* ":443", or ":" for none (RFC 3986 3.2.3). */
static int port_from_text(const uint8_t *text, size_t len, struct df_payload_target *ret)
{
	unsigned port = 0;

	if (len == 0)
		return 0;
	if (text[0] != ':' || len > 1 + PORT_DIGITS)
		return -EBADMSG;
	for (size_t i = 1; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EBADMSG;
		port = port * 10 + (text[i] - '0');
	}
	if (port > UINT16_MAX)
		return -EBADMSG;
	if (len > 1) {
		ret->has_port = true;
		ret->port = (uint16_t)port;
	}
	return 0;
}

static int bracketed(const uint8_t *text, size_t len, struct df_payload_target *ret)
{
	const uint8_t *end = memchr(text, ']', len);

	if (!end || addr_from_text(AF_INET6, text + 1, (size_t)(end - text) - 1, ret->addr) < 0)
		return -EBADMSG;
	ret->has_addr = true;
	return port_from_text(end + 1, len - (size_t)(end - text) - 1, ret);
}

int df_payload_authority(const uint8_t *text, size_t len, struct df_payload_target *ret)
{
	struct df_payload_target t = *ret;
	const uint8_t *colon = len ? memchr(text, ':', len) : NULL;
	const size_t host_len = colon ? (size_t)(colon - text) : len;
	int r;

	if (len > 0 && text[0] == '[') {
		r = bracketed(text, len, &t);
	} else {
		r = df_payload_host(text, host_len, &t);
		if (r == 0)
			r = port_from_text(text + host_len, len - host_len, &t);
	}
	if (r == 0)
		*ret = t;
	return r;
}
