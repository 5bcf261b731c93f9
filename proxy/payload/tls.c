/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ClientHello: RFC 8446 4.1.2 and 5.1, RFC 6066 3. */
#include <string.h>

#include "bpf/abi.h"
#include "proxy/payload/payload.h"

#define RECORD_HANDSHAKE 22
#define RECORD_HEADER 5
#define RECORD_MAX (1u << 14) /* RFC 8446 5.1 */
#define HANDSHAKE_CLIENT_HELLO 1
#define RANDOM_LEN 32
#define SESSION_ID_MAX 32
#define U16_VECTOR_MAX 0xffff
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0

/*
 * Octets up to end are claimed, those up to have are there.  An error sticks, and what is
 * read behind it is zero.
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

/* The length of a vector, RFC 8446 3.4; what it holds comes next, and is claimed. */
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
static void read_server_name(struct reader *r, size_t len, struct df_payload_target *t)
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
		r->is_bad |= df_payload_host(name, name_len, t) < 0;
}

static void read_extensions(struct reader *r, struct df_payload_target *t)
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
		read_server_name(r, extension_len, t);
	}
}

static void read_hello(struct reader *r, struct df_payload_target *t)
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
		read_extensions(r, t);
}

void df_payload_tls(const uint8_t *data, size_t len, bool is_cut, struct df_payload_target *ret)
{
	struct df_payload_target t = {};
	uint8_t handshake[DF_PAYLOAD_MAX];
	struct reader r = {.data = handshake, .end = SIZE_MAX};
	bool is_over;

	memset(ret, 0, sizeof(*ret));
	if (len > sizeof(handshake)) {
		len = sizeof(handshake);
		is_cut = true;
	}
	if (len == 0 || data[0] != RECORD_HANDSHAKE || (len > 1 && data[1] != 3))
		return;
	if (len == 1) {
		ret->state = is_cut ? DF_PAYLOAD_UNREADABLE : DF_PAYLOAD_INCOMPLETE;
		return;
	}
	r.have = join_records(data, len, handshake, &is_over);
	read_hello(&r, &t);
	t.kind = DF_PAYLOAD_TLS;
	r.is_bad |= r.is_short && is_over;
	if (!r.is_bad && r.is_short && !is_cut)
		t = (struct df_payload_target){.kind = t.kind, .state = DF_PAYLOAD_INCOMPLETE};
	else if (!r.is_bad && (t.has_name || t.has_addr))
		t.state = DF_PAYLOAD_READ;
	else
		t = (struct df_payload_target){.kind = t.kind};
	*ret = t;
}
