/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_parse: policy text to settings and rules, in the order of the file.
 *
 * Every statement of DESIGN 2.2 is checked in full.  What this version does not
 * enforce is then refused, except where a value only says what it does anyway
 * (raw-ip allow, pin-blocked no, on-leak … warn, refuse-with EPERM, nested-netns
 * refuse).
 *
 * owner and hint apply to the rules that follow, until the next one; "" ends
 * them.  Rules before the first hint get that hint, as policies often end in it.
 */
#ifndef DF_POLICY_PARSE_H
#define DF_POLICY_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/messages.h"
#include "lib/policy.h"
#include "lib/strpool.h"

struct df_policy_source_rule {
	uint32_t name; /* offset in names */
	uint32_t line, column;
	uint32_t text, owner, hint; /* offsets in strings */
	uint8_t action, scope;
};

struct df_policy_source {
	enum df_policy_mode mode;
	enum df_policy_action default_action;
	enum df_policy_refuse_dns refuse_dns;
	unsigned enforce_share; /* percent */
	struct df_policy_source_rule *rules;
	size_t n_rules, rules_cap;
	uint8_t *names; /* wire names, one after the other */
	size_t names_len, names_cap;
	struct df_strpool strings;
};

void df_policy_source_done(struct df_policy_source *src);

/*
 * Fills *ret, which the caller zeroed and frees in every case.  0 also with
 * errors: those are in messages.  -ENOMEM, -E2BIG.
 */
int df_policy_parse(const char *text, size_t len, struct df_messages *messages,
		    struct df_policy_source *ret);

#endif
