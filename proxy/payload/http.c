/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The request line and Host: RFC 9112 2.2, 3 and 5. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "proxy/payload/payload.h"

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

/* What lenient readers part words by: RFC 9112 3. */
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

/* What the target begins with.  INCOMPLETE: it could be a scheme. */
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
		return true; /* what is missing is not what names the host */
	if (l->end != target_end + 1 + VERSION_LEN)
		return false;
	version = l->p + target_end + 1;
	return memcmp(version, "HTTP/1.", 7) == 0 && version[7] >= '0' && version[7] <= '9';
}

static uint16_t default_port(const uint8_t *scheme, size_t len)
{
	static const struct {
		const char *scheme;
		uint16_t port;
	} ports[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}, {"ftp", 21}};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (is_equal(scheme, len, ports[i].scheme))
			return ports[i].port;
	return 0;
}

/* One '@' at most: readers disagree on which of two ends the userinfo. */
static int skip_userinfo(const uint8_t *text, size_t len, size_t *ret)
{
	const uint8_t *at = len ? memchr(text, '@', len) : NULL;
	const size_t n = at ? (size_t)(at - text) : 0;

	for (size_t i = 0; i < n; i++) /* RFC 3986 3.2.1 */
		if (!is_alnum(text[i]) && !is_one_of(text[i], "-._~%!$&'()*+,;=:"))
			return -EBADMSG;
	*ret = at ? n + 1 : 0;
	return 0;
}

/* RFC 3986 3.2: the authority ends at '/', '?' or the target's end. */
static int read_absolute(const uint8_t *target, size_t len, bool is_whole,
			 struct df_payload_target *t)
{
	const uint8_t *colon = memchr(target, ':', len), *text = colon + 3;
	const size_t rest = len - (size_t)(text - target);
	size_t n = 0, skipped;

	while (n < rest && text[n] != '/' && text[n] != '?')
		n++;
	if ((n == rest && !is_whole) || skip_userinfo(text, n, &skipped) < 0 ||
	    df_payload_authority(text + skipped, n - skipped, t) < 0)
		return -EBADMSG;
	if (!t->has_port) {
		t->port = default_port(target, (size_t)(colon - target));
		t->has_port = t->port != 0;
	}
	return 0;
}

/* What the header fields say, as far as they are there. */
struct fields {
	bool is_bad, is_whole, has_host;
	bool is_empty_ok; /* a Host that names nobody */
	bool has_body;    /* or something else than a request may follow */
	size_t next;
};

static void read_field(const struct line *l, struct fields *f, struct df_payload_target *t)
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
		     (!(len == 0 && f->is_empty_ok) && df_payload_authority(value, len, t) < 0);
	f->has_host = true;
}

static struct fields read_fields(const uint8_t *data, size_t len, size_t pos, bool is_empty_ok,
				 struct df_payload_target *t)
{
	struct fields f = {.is_empty_ok = is_empty_ok};

	while (!f.is_bad) {
		const struct line l = line_at(data, len, pos);

		if (!l.is_whole)
			break;
		pos = l.next;
		if (l.end == l.pos) {
			f.is_whole = true;
			f.next = pos;
			break;
		}
		read_field(&l, &f, t);
	}
	return f;
}

/* Where the next request may stand, if this one is known to end. */
static size_t next_of(const struct fields *f, size_t len)
{
	return f->is_whole && !f->is_bad && !f->has_body && f->next < len ? f->next : 0;
}

static enum df_payload_state read_origin(const struct line *l, size_t len, bool is_cut,
					 struct df_payload_target *t)
{
	struct fields f = read_fields(l->p, len, l->next, false, t);

	if (f.is_bad || ((f.is_whole || is_cut) && !f.has_host))
		return DF_PAYLOAD_UNREADABLE;
	t->next = next_of(&f, len);
	return f.is_whole || is_cut ? DF_PAYLOAD_READ : DF_PAYLOAD_INCOMPLETE;
}

/* A Host without a port is meant at the target's. */
static bool is_same(const struct df_payload_target *host, const struct df_payload_target *t)
{
	if (host->has_port && host->port != t->port)
		return false;
	if (host->has_name)
		return t->has_name && df_dname_is_equal(&host->name, &t->name);
	return t->has_addr && memcmp(host->addr, t->addr, sizeof(host->addr)) == 0;
}

static void take_host(const struct df_payload_target *host, struct df_payload_target *t)
{
	if ((!host->has_name && !host->has_addr) || is_same(host, t))
		return;
	t->other = (struct df_payload_host){
		.has_name = host->has_name,
		.has_addr = host->has_addr,
		.has_port = host->has_port || t->has_port,
		.name = host->name,
		.port = host->has_port ? host->port : t->port,
	};
	memcpy(t->other.addr, host->addr, sizeof(host->addr));
}

/*
 * The Host field beside a target that names a host.  No server goes by the Host of CONNECT, so one
 * behind a long ticket for the proxy need not be read.
 */
static enum df_payload_state read_host(const struct line *l, size_t len, bool is_cut,
				       struct df_payload_target *t)
{
	struct df_payload_target host = {};
	const struct fields f = read_fields(l->p, len, l->next, true, &host);

	if (f.is_bad)
		return DF_PAYLOAD_UNREADABLE;
	if (!f.is_whole && !is_cut)
		return DF_PAYLOAD_INCOMPLETE;
	if (!f.is_whole && !f.has_host && t->kind == DF_PAYLOAD_ABSOLUTE)
		return DF_PAYLOAD_UNREADABLE;
	take_host(&host, t);
	t->next = next_of(&f, len);
	return DF_PAYLOAD_READ;
}

/* The line is whole, or all that will be seen of it. */
static enum df_payload_state read_target(const struct line *l, size_t method_len, size_t target,
					 size_t len, bool is_cut, struct df_payload_target *t)
{
	const uint8_t *blank = memchr(l->p + target, ' ', l->end - target);
	const size_t end = blank ? (size_t)(blank - l->p) : l->end;

	if (!is_strict(l, method_len, target, end))
		return DF_PAYLOAD_UNREADABLE;
	switch (t->kind) {
	case DF_PAYLOAD_HTTP:
		return l->is_whole ? read_origin(l, len, is_cut, t) : DF_PAYLOAD_UNREADABLE;
	case DF_PAYLOAD_CONNECT:
		if ((!blank && !l->is_whole) ||
		    df_payload_authority(l->p + target, end - target, t) < 0 || !t->has_port)
			return DF_PAYLOAD_UNREADABLE;
		return read_host(l, len, is_cut, t);
	case DF_PAYLOAD_ABSOLUTE:
		if (read_absolute(l->p + target, end - target, blank || l->is_whole, t) < 0)
			return DF_PAYLOAD_UNREADABLE;
		return read_host(l, len, is_cut, t);
	case DF_PAYLOAD_NONE:
	case DF_PAYLOAD_TLS:
		break;
	}
	return DF_PAYLOAD_UNREADABLE;
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

void df_payload_http(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret)
{
	struct df_payload_target t = {};
	const enum df_payload_state state = read_request(data, len, is_cut, &t);

	memset(ret, 0, sizeof(*ret));
	ret->kind = t.kind;
	if (state == DF_PAYLOAD_READ)
		*ret = t;
	ret->state = state;
}
