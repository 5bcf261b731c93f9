/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/payload/payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "bpf/abi.h"
#include "lib/base/util.h"

/* --- hosts and ports: RFC 3986 3.2 ------------------------------------------------- */

#define PORT_DIGITS 5

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
 * inet_aton() and browsers take 0x8c527003 and 140.5403651 for addresses, resolvers take them
 * for names: nobody can tell how the peer will read such a host.
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

/* A name or an IPv4 address, without a port.  -EBADMSG: neither. */
static int read_host(const uint8_t *text, size_t len, struct df_payload_host *ret)
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
static int read_port(const uint8_t *text, size_t len, struct df_payload_host *ret)
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

/*
 * "host", "host:port", "1.2.3.4", "[2001:db8::1]:443" as they stand in a request.  -EBADMSG:
 * none of them, *ret is untouched.
 */
static int read_authority(const uint8_t *text, size_t len, struct df_payload_host *ret)
{
	struct df_payload_host host = *ret;
	size_t host_len = len;
	const uint8_t *end;

	if (len > 0 && text[0] == '[') {
		end = memchr(text, ']', len);
		if (!end ||
		    addr_from_text(AF_INET6, text + 1, (size_t)(end - text) - 1, host.addr) < 0)
			return -EBADMSG;
		host.has_addr = true;
		host_len = (size_t)(end - text) + 1;
	} else {
		end = len ? memchr(text, ':', len) : NULL;
		if (end)
			host_len = (size_t)(end - text);
		if (read_host(text, host_len, &host) < 0)
			return -EBADMSG;
	}
	if (read_port(text + host_len, len - host_len, &host) < 0)
		return -EBADMSG;
	*ret = host;
	return 0;
}

/* --- the ClientHello: RFC 8446 4.1.2 and 5.1, RFC 6066 3 --------------------------- */

#define RECORD_HANDSHAKE 22 /* no method of HTTP begins so */
#define RECORD_HEADER 5
#define RECORD_MAX (1u << 14) /* RFC 8446 5.1 */
#define HANDSHAKE_CLIENT_HELLO 1
#define RANDOM_LEN 32
#define SESSION_ID_MAX 32
#define U16_VECTOR_MAX 0xffff
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0

/*
 * Octets up to end are claimed, those up to have are there.  An error sticks, and a number that
 * is read behind it is zero.
 */
struct reader {
	const uint8_t *data;
	size_t pos, have, end;
	bool is_short; /* claimed, but not there */
	bool is_bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	r->is_bad |= n > r->end - r->pos;
	if (r->is_bad || r->is_short)
		return NULL;
	r->is_short = n > r->have - r->pos;
	if (r->is_short)
		return NULL;
	r->pos += n;
	return r->data + r->pos - n;
}

static size_t take_number(struct reader *r, size_t octets)
{
	const uint8_t *p = take(r, octets);
	size_t value = 0;

	for (size_t i = 0; p && i < octets; i++)
		value = value << 8 | p[i];
	return value;
}

/* The length of a vector, RFC 8446 3.4; its octets come next, and are claimed. */
static size_t take_length(struct reader *r, size_t octets, size_t min, size_t max)
{
	const size_t n = take_number(r, octets);

	if (!r->is_short)
		r->is_bad |= n < min || n > max || n > r->end - r->pos;
	return r->is_bad ? 0 : n;
}

static void skip_vector(struct reader *r, size_t octets, size_t min, size_t max)
{
	(void)take(r, take_length(r, octets, min, max));
}

/*
 * The handshake without the headers of its records, as far as it is there.  *ret_is_over:
 * no more of it can follow, as another type of record does.
 */
static size_t join_records(const uint8_t *data, size_t len, uint8_t *buf, bool *ret_is_over)
{
	size_t pos = 0, n = 0;

	*ret_is_over = false;
	while (pos < len && !*ret_is_over) {
		const uint8_t *p = data + pos;
		const size_t left = len - pos;
		size_t length, part;

		*ret_is_over = p[0] != RECORD_HANDSHAKE || (left > 1 && p[1] != 3);
		if (*ret_is_over || left < RECORD_HEADER)
			break;
		length = (size_t)p[3] << 8 | p[4];
		*ret_is_over = length == 0 || length > RECORD_MAX;
		if (*ret_is_over)
			break;
		part = length < left - RECORD_HEADER ? length : left - RECORD_HEADER;
		memcpy(buf + n, p + RECORD_HEADER, part);
		n += part;
		pos += RECORD_HEADER + part;
	}
	return n;
}

/* One host_name and nothing else; len octets of it were claimed. */
static void read_server_name(struct reader *r, size_t len, struct df_payload_host *ret)
{
	const size_t list_len = take_number(r, 2);
	const size_t type = take_number(r, 1);
	const size_t name_len = take_number(r, 2);
	const uint8_t *name;

	if (r->is_short)
		return;
	r->is_bad |= len < 5 || list_len != len - 2 || type != NAME_TYPE_HOST ||
		     name_len != len - 5 || name_len == 0;
	name = take(r, name_len);
	if (name)
		r->is_bad |= read_host(name, name_len, ret) < 0;
}

static void read_extensions(struct reader *r, struct df_payload_host *ret)
{
	bool has_server_name = false;
	const size_t len = take_length(r, 2, 0, U16_VECTOR_MAX);

	if (!r->is_short)
		r->is_bad |= len != r->end - r->pos;
	while (!r->is_bad && !r->is_short && r->pos < r->end) {
		const size_t type = take_number(r, 2);
		const size_t extension_len = take_length(r, 2, 0, U16_VECTOR_MAX);

		if (r->is_bad || r->is_short)
			break;
		if (type != EXTENSION_SERVER_NAME) {
			(void)take(r, extension_len);
			continue;
		}
		r->is_bad |= has_server_name; /* RFC 8446 4.2: one of each type */
		has_server_name = true;
		read_server_name(r, extension_len, ret);
	}
}

static void read_hello(struct reader *r, struct df_payload_host *ret)
{
	const size_t type = take_number(r, 1);
	const size_t len = take_number(r, 3);

	r->is_bad |= !r->is_short && type != HANDSHAKE_CLIENT_HELLO;
	if (r->is_bad || r->is_short)
		return;
	r->end = r->pos + len;
	(void)take(r, 2); /* legacy_version */
	(void)take(r, RANDOM_LEN);
	skip_vector(r, 1, 0, SESSION_ID_MAX);
	skip_vector(r, 2, 2, U16_VECTOR_MAX - 1); /* cipher suites */
	skip_vector(r, 1, 1, UINT8_MAX);          /* compression methods */
	if (r->pos < r->end)
		read_extensions(r, ret);
}

static void parse_tls(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret)
{
	uint8_t handshake[DF_PAYLOAD_MAX];
	struct reader r = {.data = handshake, .end = SIZE_MAX};
	struct df_payload_host host = {};
	bool is_over;

	memset(ret, 0, sizeof(*ret));
	if (len > sizeof(handshake)) {
		len = sizeof(handshake);
		is_cut = true;
	}
	if (len > 1 && data[1] != 3)
		return;
	if (len == 1) {
		ret->state = is_cut ? DF_PAYLOAD_UNREADABLE : DF_PAYLOAD_INCOMPLETE;
		return;
	}
	r.have = join_records(data, len, handshake, &is_over);
	read_hello(&r, &host);
	ret->kind = DF_PAYLOAD_TLS;
	if (r.is_bad || (r.is_short && is_over))
		return;
	if (r.is_short && !is_cut) {
		ret->state = DF_PAYLOAD_INCOMPLETE;
	} else if (host.has_name || host.has_addr) {
		ret->state = DF_PAYLOAD_READ;
		ret->host = host;
	}
}

/* --- the request line and Host: RFC 9112 2.2, 3 and 5 ------------------------------ */

#define METHOD_MAX 32 /* the longest that is registered has 17 */
#define SCHEME_MAX 16
#define VERSION_LEN 8 /* HTTP/1.1 */

/* Octets from pos to end; without the line's end if is_whole. */
struct line {
	const uint8_t *p;
	size_t pos, end, next; /* next: of the next line */
	bool is_whole;
};

static bool is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(uint8_t c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

static bool is_one_of(uint8_t c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

/* RFC 9110 5.6.2 */
static bool is_token(uint8_t c)
{
	return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

/* Lenient readers part words by these: RFC 9112 3. */
static bool is_blank(uint8_t c)
{
	return is_one_of(c, " \t\v\f");
}

static bool is_equal(const uint8_t *p, size_t len, const char *text)
{
	return len == strlen(text) && strncasecmp((const char *)p, text, len) == 0;
}

/* LF ends a line, and a CR before it belongs to the end: RFC 9112 2.2. */
static struct line line_at(const uint8_t *data, size_t len, size_t pos)
{
	const uint8_t *lf = pos < len ? memchr(data + pos, '\n', len - pos) : NULL;
	struct line l = {.p = data, .pos = pos, .end = len, .next = len};

	if (!lf)
		return l;
	l.is_whole = true;
	l.end = (size_t)(lf - data);
	l.next = l.end + 1;
	if (l.end > pos && data[l.end - 1] == '\r')
		l.end--;
	return l;
}

/* The form of the request target.  *ret_is_incomplete: it could be a scheme. */
static enum df_payload_kind kind_of(const struct line *l, size_t method_len, size_t target,
				    bool *ret_is_incomplete)
{
	static const char parts[] = "://";
	const uint8_t first = l->p[target];
	size_t i = target, k = 0;

	*ret_is_incomplete = false;
	if (first == '/' || first == '*')
		return DF_PAYLOAD_HTTP;
	if (is_equal(l->p + l->pos, method_len, "CONNECT"))
		/* NATS begins with CONNECT {…}, and is no request of HTTP */
		return is_alnum(first) || is_one_of(first, "-._~%[") ? DF_PAYLOAD_CONNECT
								     : DF_PAYLOAD_NONE;
	if (!is_alpha(first))
		return DF_PAYLOAD_NONE;
	while (i < l->end && (is_alnum(l->p[i]) || is_one_of(l->p[i], "+-.")))
		i++;
	if (i - target > SCHEME_MAX)
		return DF_PAYLOAD_NONE;
	while (i < l->end && parts[k] && l->p[i] == (uint8_t)parts[k])
		i++, k++;
	if (!parts[k])
		return DF_PAYLOAD_ABSOLUTE;
	*ret_is_incomplete = i == l->end && !l->is_whole;
	return DF_PAYLOAD_NONE;
}

/* "METHOD target HTTP/1.x" with one blank each, and a target of visible ASCII. */
static bool is_strict(const struct line *l, size_t method_len, size_t target, size_t target_end)
{
	const uint8_t *version;

	if (target != l->pos + method_len + 1 || l->p[target - 1] != ' ')
		return false;
	for (size_t i = target; i < target_end; i++)
		if (l->p[i] <= ' ' || l->p[i] >= 0x7f)
			return false;
	if (!l->is_whole)
		return true; /* the part that is missing does not name the host */
	if (l->end != target_end + 1 + VERSION_LEN)
		return false;
	version = l->p + target_end + 1;
	return memcmp(version, "HTTP/1.", 7) == 0 && version[7] >= '0' && version[7] <= '9';
}

/* scheme://userinfo@host:port; RFC 3986 3.2: the authority ends at '/', '?' or the target's end. */
static int read_absolute(const uint8_t *target, size_t len, bool is_whole,
			 struct df_payload_host *ret)
{
	static const struct {
		const char *scheme;
		uint16_t port;
	} ports[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}, {"ftp", 21}};
	const uint8_t *colon = memchr(target, ':', len), *text = colon + 3, *at;
	const size_t rest = len - (size_t)(text - target);
	size_t n = 0, host = 0;

	while (n < rest && text[n] != '/' && text[n] != '?')
		n++;
	if (n == rest && !is_whole)
		return -EBADMSG;
	/* one '@' at most: readers disagree on which of two ends the userinfo */
	at = n ? memchr(text, '@', n) : NULL;
	for (; at && text + host < at; host++) /* RFC 3986 3.2.1 */
		if (!is_alnum(text[host]) && !is_one_of(text[host], "-._~%!$&'()*+,;=:"))
			return -EBADMSG;
	host += at != NULL;
	if (read_authority(text + host, n - host, ret) < 0)
		return -EBADMSG;
	for (size_t i = 0; !ret->has_port && i < ARRAY_SIZE(ports); i++) {
		if (!is_equal(target, (size_t)(colon - target), ports[i].scheme))
			continue;
		ret->port = ports[i].port;
		ret->has_port = true;
	}
	return 0;
}

/* The header fields, as far as they are there. */
struct fields {
	bool is_bad, is_whole, has_host;
	bool is_empty_ok; /* a Host that names nobody */
	bool has_body;    /* or something else than a request may follow */
	size_t next;
};

static void read_field(const struct line *l, struct fields *f, struct df_payload_host *host)
{
	const uint8_t *p = l->p + l->pos, *value;
	size_t n = 0, len = l->end - l->pos;

	while (n < len && is_token(p[n]))
		n++;
	/* RFC 9112 5.1 and 5.2: no blank before the colon; folded lines begin with one */
	f->is_bad |= n == 0 || n == len || p[n] != ':';
	if (f->is_bad)
		return;
	value = p + n + 1;
	len -= n + 1;
	for (; len > 0 && is_one_of(value[0], " \t"); len--)
		value++;
	while (len > 0 && is_one_of(value[len - 1], " \t"))
		len--;
	for (size_t i = 0; i < len; i++)
		f->is_bad |= value[i] == 0x7f || (value[i] < ' ' && value[i] != '\t');
	f->has_body |= is_equal(p, n, "Transfer-Encoding") || is_equal(p, n, "Upgrade") ||
		       (is_equal(p, n, "Content-Length") && !is_equal(value, len, "0"));
	if (!is_equal(p, n, "Host"))
		return;
	f->is_bad |= f->has_host ||
		     (!(len == 0 && f->is_empty_ok) && read_authority(value, len, host) < 0);
	f->has_host = true;
}

static struct fields read_fields(const uint8_t *data, size_t len, size_t pos, bool is_empty_ok,
				 struct df_payload_host *host)
{
	struct fields f = {.is_empty_ok = is_empty_ok};

	while (!f.is_bad && !f.is_whole) {
		const struct line l = line_at(data, len, pos);

		if (!l.is_whole)
			break;
		pos = l.next;
		if (l.end == l.pos)
			f.is_whole = true;
		else
			read_field(&l, &f, host);
	}
	/* another request may stand behind this one if this one is known to end */
	if (f.is_whole && !f.has_body && pos < len)
		f.next = pos;
	return f;
}

/* A Host without a port means the target's. */
static bool is_same(const struct df_payload_host *host, const struct df_payload_host *target)
{
	if (host->has_port && host->port != target->port)
		return false;
	if (host->has_name)
		return target->has_name && df_dname_is_equal(&host->name, &target->name);
	return target->has_addr && memcmp(host->addr, target->addr, sizeof(host->addr)) == 0;
}

/*
 * The request line is whole, or no more of it will be seen.  In origin-form the Host field names
 * the host, else the target does, and Host is beside it.  No server goes by the Host of CONNECT,
 * so one behind a long ticket for the proxy need not be read.
 */
static enum df_payload_state read_target(const struct line *l, size_t method_len, size_t target,
					 size_t len, bool is_cut, struct df_payload_target *t)
{
	const uint8_t *blank = memchr(l->p + target, ' ', l->end - target);
	const uint8_t *text = l->p + target;
	const size_t end = blank ? (size_t)(blank - l->p) : l->end;
	const bool is_origin = t->kind == DF_PAYLOAD_HTTP, is_line_whole = l->is_whole;
	struct df_payload_host host = {};
	struct fields f;

	if (!is_strict(l, method_len, target, end) || (is_origin && !is_line_whole))
		return DF_PAYLOAD_UNREADABLE;
	if (t->kind == DF_PAYLOAD_CONNECT &&
	    ((!blank && !is_line_whole) || read_authority(text, end - target, &t->host) < 0 ||
	     !t->host.has_port))
		return DF_PAYLOAD_UNREADABLE;
	if (t->kind == DF_PAYLOAD_ABSOLUTE &&
	    read_absolute(text, end - target, blank || is_line_whole, &t->host) < 0)
		return DF_PAYLOAD_UNREADABLE;
	f = read_fields(l->p, len, l->next, !is_origin, &host);
	if (f.is_bad)
		return DF_PAYLOAD_UNREADABLE;
	if (!f.is_whole && !is_cut)
		return DF_PAYLOAD_INCOMPLETE;
	if (!f.has_host && (is_origin || (!f.is_whole && t->kind == DF_PAYLOAD_ABSOLUTE)))
		return DF_PAYLOAD_UNREADABLE;
	t->next = f.next;
	if (is_origin) {
		t->host = host;
	} else if ((host.has_name || host.has_addr) && !is_same(&host, &t->host)) {
		t->other = host;
		t->other.has_port |= t->host.has_port;
		t->other.port = host.has_port ? host.port : t->host.port;
	}
	return DF_PAYLOAD_READ;
}

static enum df_payload_state read_request(const uint8_t *data, size_t len, bool is_cut,
					  struct df_payload_target *t)
{
	const enum df_payload_state wait = is_cut ? DF_PAYLOAD_UNREADABLE : DF_PAYLOAD_INCOMPLETE;
	size_t pos = 0, method_len = 0, target;
	bool is_incomplete;
	struct line l;

	while (pos < len && is_one_of(data[pos], "\r\n")) /* 2.2: empty lines before it */
		pos++;
	l = line_at(data, len, pos);
	while (pos + method_len < l.end && is_token(data[pos + method_len]))
		method_len++;
	target = pos + method_len;
	if (method_len > METHOD_MAX || (target < l.end && !is_blank(data[target])) ||
	    (method_len == 0 && target < l.end))
		return DF_PAYLOAD_UNREADABLE;
	while (target < l.end && is_blank(data[target]))
		target++;
	if (target == l.end)
		return l.is_whole ? DF_PAYLOAD_UNREADABLE : wait;
	t->kind = kind_of(&l, method_len, target, &is_incomplete);
	if (t->kind == DF_PAYLOAD_NONE)
		return is_incomplete ? wait : DF_PAYLOAD_UNREADABLE;
	if (!l.is_whole && !is_cut)
		return DF_PAYLOAD_INCOMPLETE;
	return read_target(&l, method_len, target, len, is_cut, t);
}

void df_payload_parse(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret)
{
	struct df_payload_target t = {};

	if (len > 0 && data[0] == RECORD_HANDSHAKE) {
		parse_tls(data, len, is_cut, ret);
		return;
	}
	t.state = read_request(data, len, is_cut, &t);
	if (t.state != DF_PAYLOAD_READ) /* a host that was read in vain is none */
		t = (struct df_payload_target){.kind = t.kind, .state = t.state};
	*ret = t;
}
