/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/dns_msg.h"

#include <stdlib.h>
#include <string.h>

static void put_u16(struct df_msg *m, unsigned value)
{
	df_msg_put(m, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

void df_msg_put(struct df_msg *m, const void *data, size_t n)
{
	if (n > sizeof(m->b) - m->len)
		abort();
	if (n > 0)
		memcpy(m->b + m->len, data, n);
	m->len += n;
}

void df_msg_name(struct df_msg *m, const char *name)
{
	while (*name != '\0' && *name != '@') {
		uint8_t n = (uint8_t)strcspn(name, ".@");

		if (n > 0) {
			df_msg_put(m, &n, 1);
			df_msg_put(m, name, n);
		}
		name += n;
		if (*name == '.')
			name++;
	}
	if (*name == '@')
		put_u16(m, 0xc000 | (unsigned)atoi(name + 1));
	else
		df_msg_put(m, "", 1);
}

void df_msg_init(struct df_msg *m, uint16_t id, uint16_t flags, const char *qname, uint16_t type)
{
	m->len = 0;
	put_u16(m, id);
	put_u16(m, flags);
	df_msg_put(m, "\0\1\0\0\0\0\0", 8);
	df_msg_name(m, qname);
	put_u16(m, type);
	put_u16(m, 1);
}

/* Where the RDATA of the open record begins; tests have one thread. */
static size_t rdata_start;

void df_msg_begin(struct df_msg *m, unsigned section, const char *owner, uint16_t type)
{
	uint8_t *count = m->b + 4 + 2 * section;

	if (++count[1] == 0)
		count[0]++;
	df_msg_name(m, owner);
	put_u16(m, type);
	df_msg_put(m, "\0\1\0\0\1\x2c\0", 8);
	rdata_start = m->len;
}

void df_msg_end(struct df_msg *m)
{
	size_t n = m->len - rdata_start;

	m->b[rdata_start - 2] = (uint8_t)(n >> 8);
	m->b[rdata_start - 1] = (uint8_t)n;
}

void df_msg_rr(struct df_msg *m, unsigned section, const char *owner, uint16_t type,
	       const void *rdata, size_t n)
{
	df_msg_begin(m, section, owner, type);
	df_msg_put(m, rdata, n);
	df_msg_end(m);
}

void df_msg_rr_name(struct df_msg *m, unsigned section, const char *owner, uint16_t type,
		    const char *target)
{
	df_msg_begin(m, section, owner, type);
	df_msg_name(m, target);
	df_msg_end(m);
}

void df_msg_soa(struct df_msg *m, const char *owner, const char *mname, const char *rname)
{
	df_msg_begin(m, DF_MSG_NS, owner, 6);
	df_msg_name(m, mname);
	df_msg_name(m, rname);
	df_msg_put(m, "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0", 20);
	df_msg_end(m);
}

void df_msg_rrsig(struct df_msg *m, unsigned section, const char *owner, uint16_t covered)
{
	df_msg_begin(m, section, owner, 46);
	put_u16(m, covered);
	df_msg_put(m, "\x0d\2\0\0\1\x2c\x65\0\0\0\x64\0\0\0\x12\x34", 16);
	df_msg_name(m, "example.com");
	df_msg_put(m, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
	df_msg_end(m);
}

void df_msg_opt(struct df_msg *m, uint16_t udp_size, uint32_t ttl, const void *options, size_t n)
{
	df_msg_begin(m, DF_MSG_AR, "", 41);
	m->len -= 8;
	put_u16(m, udp_size);
	put_u16(m, ttl >> 16);
	put_u16(m, ttl);
	put_u16(m, 0);
	df_msg_put(m, options, n);
	df_msg_end(m);
}
