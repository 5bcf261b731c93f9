/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/dns/svcb.h"

#include <string.h>

struct param {
	uint16_t key, len;
	const uint8_t *value;
};

/* TargetName: uncompressed, RFC 9460 2.2.  A pointer is shorter than what it stands for. */
static void get_target(struct df_dns_cursor *c, struct df_dname *ret)
{
	const size_t start = c->pos;

	df_dns_get_name(c, ret);
	if (!c->error && c->pos - start != ret->len)
		c->error = -EBADMSG;
}

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
	uint16_t last = DF_SVCB_MANDATORY;

	while (c.pos < c.len) {
		uint16_t key = df_dns_get_u16(&c);

		if (c.error || key <= last)
			return false;
		last = key;
	}
	return p->len > 0;
}

/* RFC 9460 7.1.1: at least one id, none of them empty. */
static bool is_alpn_ok(const struct param *p)
{
	size_t pos = 0;

	while (pos < p->len && p->value[pos] > 0)
		pos += 1u + p->value[pos];
	return p->len > 0 && pos == p->len;
}

static bool is_value_ok(const struct param *p)
{
	switch (p->key) {
	case DF_SVCB_MANDATORY:
		return is_mandatory_ok(p);
	case DF_SVCB_ALPN:
		return is_alpn_ok(p);
	case DF_SVCB_NO_DEFAULT_ALPN:
		return p->len == 0;
	case DF_SVCB_PORT:
		return p->len == 2;
	case DF_SVCB_IPV4HINT:
		return p->len > 0 && p->len % 4 == 0;
	case DF_SVCB_ECH:
		return p->len > 0;
	case DF_SVCB_IPV6HINT:
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
	get_target(&c, &ret->target);
	while (!c.error && c.pos < c.len) {
		const struct param p = get_param(&c);

		if (c.error || p.key <= last || !is_value_ok(&p))
			return -EBADMSG;
		last = p.key;
		if (p.key == DF_SVCB_IPV4HINT) {
			ret->hint4 = p.value;
			ret->n_hint4 = p.len / 4;
		} else if (p.key == DF_SVCB_IPV6HINT) {
			ret->hint6 = p.value;
			ret->n_hint6 = p.len / 16;
		}
	}
	return c.error;
}

static bool is_stripped(uint16_t key)
{
	return key == DF_SVCB_IPV4HINT || key == DF_SVCB_ECH || key == DF_SVCB_IPV6HINT;
}

static void put_param(struct df_dns_out *o, const struct param *p)
{
	df_dns_put_u16(o, p->key);
	df_dns_put_u16(o, p->len);
	df_dns_put_bytes(o, p->value, p->len);
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

	get_target(&c, &target);
	if (c.error)
		return true;
	df_dns_put_u16(o, priority);
	df_dns_put_bytes(o, target.wire, target.len);
	while (c.pos < c.len) {
		const struct param p = get_param(&c);

		if (c.error)
			return true;
		if (priority == 0 || is_stripped(p.key))
			is_changed = true;
		else if (p.key == DF_SVCB_MANDATORY)
			is_changed |= put_mandatory(o, &p);
		else
			put_param(o, &p);
	}
	return is_changed;
}
