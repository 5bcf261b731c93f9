/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_statement: what policy_parse.c and policy_settings.c share.
 *
 * A statement's parser finds its keyword read, takes the rest of the line, and
 * returns 0, -EINVAL with the error reported, or another -errno, which ends all.
 */
#ifndef DF_POLICY_STATEMENT_H
#define DF_POLICY_STATEMENT_H

#include "lib/policy_parse.h"
#include "lib/policy_value.h"
#include "lib/stmt.h"

#define DF_POLICY_CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct df_policy_parser {
	struct df_policy_source *src;
	struct df_stmt stmt;
	uint32_t owner, hint, first_hint; /* offsets in strings */
	size_t n_before_hint;             /* rules before the first hint */
	bool has_hint;
	unsigned default_line, default_column;
	/* on-leak: by finding, and for all of them; lines, 0 where none has said anything */
	unsigned leak_line[DF_FINDINGS], leak_all_line;
	bool is_leak_refused[DF_FINDINGS], is_all_refused;
};

struct df_policy_statement {
	const char *name;
	int (*parse)(struct df_policy_parser *p);
	bool is_scalar; /* may be set once */
};

/* Those that set something; ended by a NULL name. */
extern const struct df_policy_statement df_policy_settings_statements[];

/* After the last statement: what the settings are that none has made. */
void df_policy_settings_finish(struct df_policy_parser *p);

/* Reports the error at its place in the value that begins at column.  -EINVAL. */
int df_policy_refuse_value(struct df_policy_parser *p, unsigned column,
			   const struct df_value_error *error);

#endif
