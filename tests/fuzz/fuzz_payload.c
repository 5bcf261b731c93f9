/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input: the start of a TCP stream.  Shown in prefixes, as TCP shows it to the worker: a
 * decision must not change with more octets, nor must a cut make another name of it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/payload/payload.h"

#define SIZE_MAX_OF_INPUT 4096
#define PREFIXES_ALL 300 /* of longer inputs only some prefixes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so, const char *what, size_t len)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "%s, at %zu octets\n", what, len);
	abort();
}

/* In a copy of exactly this size, so that ASan sees an over-read of one octet. */
static struct df_payload_target parse(const uint8_t *data, size_t len, bool is_cut)
{
	struct df_payload_target t;
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	memset(&t, 0xa5, sizeof(t)); /* what is not set shows */
	df_payload_parse(copy, len, is_cut, &t);
	free(copy);
	return t;
}

static bool is_same_host(const struct df_payload_host *a, const struct df_payload_host *b)
{
	return a->has_name == b->has_name && a->has_addr == b->has_addr &&
	       a->has_port == b->has_port && a->port == b->port &&
	       (!a->has_name || df_dname_is_equal(&a->name, &b->name)) &&
	       (!a->has_addr || memcmp(a->addr, b->addr, sizeof(a->addr)) == 0);
}

static bool is_same(const struct df_payload_target *a, const struct df_payload_target *b)
{
	return a->kind == b->kind && is_same_host(&a->host, &b->host) &&
	       is_same_host(&a->other, &b->other);
}

static void check_sense(const struct df_payload_target *t, bool is_cut, size_t len)
{
	if (t->state == DF_PAYLOAD_READ) {
		require(t->kind != DF_PAYLOAD_NONE, "a name of nothing", len);
		require(t->host.has_name != t->host.has_addr, "not one target", len);
		require(!t->host.has_name || t->host.name.n_labels > 0, "the root", len);
		require(t->kind != DF_PAYLOAD_CONNECT || t->host.has_port, "no port", len);
		require(!t->other.has_name || !t->other.has_addr, "two other hosts", len);
		require((!t->other.has_name && !t->other.has_addr) ||
				t->kind == DF_PAYLOAD_CONNECT || t->kind == DF_PAYLOAD_ABSOLUTE,
			"a Host beside the Host", len);
	} else {
		require(!t->host.has_name && !t->host.has_addr && !t->host.has_port,
			"a name too early", len);
	}
	require(!is_cut || t->state != DF_PAYLOAD_INCOMPLETE, "waits for nothing", len);
	require(t->next < (len ? len : 1), "next is outside", len);
}

/* A name that is read stands there; in a ClientHello a record's header may part it. */
static void check_is_there(const struct df_payload_target *t, const uint8_t *data, size_t len)
{
	char text[DF_DNAME_TEXT_MAX];
	size_t n;

	if (t->state != DF_PAYLOAD_READ || !t->host.has_name || t->kind == DF_PAYLOAD_TLS)
		return;
	n = df_dname_to_text(&t->host.name, text) - 1;
	for (size_t i = 0; i + n <= len; i++) {
		size_t k = 0;

		while (k < n && tolower(data[i + k]) == text[k])
			k++;
		if (k == n)
			return;
	}
	require(false, "a name that is not there", len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t step = size > PREFIXES_ALL ? 37 : 1;
	struct df_payload_target whole, lone;

	if (size > SIZE_MAX_OF_INPUT)
		return 0;
	whole = parse(data, size, false);
	check_sense(&whole, false, size);
	check_is_there(&whole, data, size);
	lone = whole; /* a cut may keep the Host of CONNECT from being seen */
	lone.other = (struct df_payload_host){0};
	for (size_t len = 0; len <= size; len += step) {
		const struct df_payload_target t = parse(data, len, false);
		const struct df_payload_target cut = parse(data, len, true);

		check_sense(&t, false, len);
		check_sense(&cut, true, len);
		if (t.state != DF_PAYLOAD_INCOMPLETE)
			require(t.state == whole.state && is_same(&t, &whole), "not final", len);
		if (t.kind != DF_PAYLOAD_NONE)
			require(t.kind == whole.kind, "another kind", len);
		if (cut.state == DF_PAYLOAD_READ && whole.state == DF_PAYLOAD_READ)
			require(is_same(&cut, &whole) ||
					(cut.kind == DF_PAYLOAD_CONNECT && is_same(&cut, &lone)),
				"another name", len);
	}
	return 0;
}
