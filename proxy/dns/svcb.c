/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/dns/internal.h"

/* Numbers of the IANA registry "Service Parameter Keys (SvcParamKeys)". */
enum {
	KEY_MANDATORY = 0,
	KEY_ALPN = 1,
	KEY_NO_DEFAULT_ALPN = 2,
	KEY_PORT = 3,
	KEY_IPV4HINT = 4,
	KEY_ECH = 5, /* RFC 9848 */
	KEY_IPV6HINT = 6,
};

struct param {
	uint16_t key, len;
	const uint8_t *value;
};

static struct param get_param(struct df_dns_cursor *c)
{
	struct param p = {};

	p.key = df_dns_get_u16(c);
	p.len = df_dns_get_u16(c);
	p.value = df_dns_get(c, p.len);
	return p;
}

/* RFC 9460 8: at least one key, ascending, mandatory itself not among them. */
static bool is_mandatory_ok(const struct param *p)
{
	struct df_dns_cursor c = {p->value, p->len, 0, 0};
	uint16_t last = KEY_MANDATORY;

	while (c.pos < c.len) {
		uint16_t key = df_dns_get_u16(&c);

		if (c.error || key <= last)
			return false;
		last = key;
	}
	return p->len > 0;
}

static bool is_value_ok(const struct param *p)
{
	size_t pos = 0;

	switch (p->key) {
	case KEY_MANDATORY:
		return is_mandatory_ok(p);
	case KEY_ALPN: /* RFC 9460 7.1.1: at least one id, none of them empty */
		while (pos < p->len && p->value[pos] > 0)
			pos += 1u + p->value[pos];
		return p->len > 0 && pos == p->len;
	case KEY_NO_DEFAULT_ALPN:
		return p->len == 0;
	case KEY_PORT:
		return p->len == 2;
	case KEY_IPV4HINT:
		return p->len > 0 && p->len % 4 == 0;
	case KEY_ECH:
		return p->len > 0;
	case KEY_IPV6HINT:
		return p->len > 0 && p->len % 16 == 0;
	default:
		return true;
	}
}

int df_dns_svcb_parse(const uint8_t *rdata, size_t len, struct df_dns_svcb *ret)
{
	struct df_dns_cursor c = {rdata, len, 0, 0};
	int last = -1;

	ret->priority = df_dns_get_u16(&c);
	ret->hint4 = ret->hint6 = NULL;
	ret->n_hint4 = ret->n_hint6 = 0;
	df_dns_get_plain_name(&c, &ret->target); /* RFC 9460 2.2 */
	while (!c.error && c.pos < c.len) {
		const struct param p = get_param(&c);

		if (c.error || p.key <= last || !is_value_ok(&p))
			return -EBADMSG;
		last = p.key;
		if (p.key == KEY_IPV4HINT) {
			ret->hint4 = p.value;
			ret->n_hint4 = p.len / 4;
		} else if (p.key == KEY_IPV6HINT) {
			ret->hint6 = p.value;
			ret->n_hint6 = p.len / 16;
		}
	}
	return c.error;
}

static bool is_stripped(uint16_t key)
{
	return key == KEY_IPV4HINT || key == KEY_ECH || key == KEY_IPV6HINT;
}

/* The keys that are left; an empty list is none.  True: there were others. */
static bool put_mandatory(struct df_dns_out *o, const struct param *p)
{
	struct df_dns_cursor c = {p->value, p->len, 0, 0};
	const size_t start = o->pos;
	uint16_t n = 0;

	df_dns_put_u16(o, p->key);
	df_dns_put_u16(o, 0);
	while (c.pos < c.len) {
		const uint16_t key = df_dns_get_u16(&c);

		if (c.error)
			break;
		if (is_stripped(key))
			continue;
		df_dns_put_u16(o, key);
		n += 2;
	}
	if (o->is_full)
		return true;
	if (n > 0)
		df_dns_set_u16(o->buf + start + 2, n);
	else
		o->pos = start;
	return n != p->len;
}

bool df_dns_svcb_put(struct df_dns_out *o, const uint8_t *rdata, size_t len)
{
	struct df_dns_cursor c = {rdata, len, 0, 0};
	const uint16_t priority = df_dns_get_u16(&c);
	struct df_dname target;
	bool is_changed = false;

	df_dns_get_plain_name(&c, &target);
	if (c.error)
		return true;
	df_dns_put_u16(o, priority);
	df_dns_put_bytes(o, target.wire, target.len);
	while (c.pos < c.len) {
		const struct param p = get_param(&c);

		if (c.error)
			return true;
		if (priority == 0 || is_stripped(p.key)) {
			is_changed = true;
		} else if (p.key == KEY_MANDATORY) {
			is_changed |= put_mandatory(o, &p);
		} else {
			df_dns_put_u16(o, p.key);
			df_dns_put_u16(o, p.len);
			df_dns_put_bytes(o, p.value, p.len);
		}
	}
	return is_changed;
}
