/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/payload_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/util.h"

static const char *target_text(const struct df_payload_target *t)
{
	static char text[2 * DF_DNAME_TEXT_MAX + 64];
	const struct df_payload_host *o = &t->other;
	size_t n = 0;

	text[0] = '\0';
	if (t->host.has_name) {
		n = df_dname_to_text(&t->host.name, text) - 1;
		text[n] = '\0';
	}
	for (unsigned i = 0; t->host.has_addr && i < 16; i++)
		df_append(text, sizeof(text), &n, "%02x", t->host.addr[i]);
	if (t->host.has_port)
		df_append(text, sizeof(text), &n, ":%u", t->host.port);
	if (o->has_name || o->has_addr)
		df_append(text, sizeof(text), &n, " Host ");
	if (o->has_name)
		n += df_dname_to_text(&o->name, text + n) - 1;
	text[n] = '\0';
	for (unsigned i = 0; o->has_addr && i < 16; i++)
		df_append(text, sizeof(text), &n, "%02x", o->addr[i]);
	if (o->has_port)
		df_append(text, sizeof(text), &n, ":%u", o->port);
	return text;
}

static const char *const kinds[] = {"none", "tls", "http", "connect", "absolute"};
static const char *const states[] = {"unreadable", "incomplete", "read"};

struct df_payload_target parse(const void *data, size_t len, bool is_cut)
{
	struct df_payload_target t;
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	df_payload_parse(copy, len, is_cut, &t);
	free(copy);
	return t;
}

void expect(const char *why, const struct df_payload_target *t, enum df_payload_kind kind,
	    enum df_payload_state state, const char *target)
{
	if (t->kind != kind || t->state != state || strcmp(target_text(t), target) != 0)
		fail_msg("%s: %s, %s, \"%s\"; expected %s, %s, \"%s\"", why, kinds[t->kind],
			 states[t->state], target_text(t), kinds[kind], states[state], target);
}
