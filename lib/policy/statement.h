/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_statement: what policy_parse.c, policy_settings.c and policy_include.c share.
 *
 * A statement's parser finds its keyword read, takes the rest of the line, and
 * returns 0, -EINVAL with the error reported, or another -errno, which ends all.
 */
#ifndef DF_POLICY_STATEMENT_H
#define DF_POLICY_STATEMENT_H

#include "lib/policy/parse.h"
#include "lib/policy/stmt.h"
#include "lib/policy/target.h"
#include "lib/policy/value.h"

#define DF_POLICY_CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DF_POLICY_STATEMENTS_MAX 32 /* more than there are */

struct df_policy_parser {
	struct df_policy_source *src;
	struct df_stmt stmt;
	bool can_read;   /* other files */
	bool is_implied; /* the current file is the list that encrypted-dns stands for */
	uint32_t file;   /* index of the current one */
	unsigned depth;
	bool is_open[DF_POLICY_FILES_MAX];   /* the current file, and those that include it */
	bool is_policy[DF_POLICY_FILES_MAX]; /* not a list */
	uint32_t owner, hint;                /* offsets in strings */
	bool has_hint;                       /* of the current file, or of one that includes it */
	size_t first_rule;                   /* of the current file */
	/* of those that may be made once, in whichever file; line 0: not yet */
	struct df_policy_place first[DF_POLICY_STATEMENTS_MAX];
	struct df_policy_place default_place, encrypted_dns_place;
	/* on-leak: by finding, and for all of them; line 0 where none has said anything */
	struct df_policy_place leak_place[DF_FINDINGS], leak_all_place;
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

/* Where the current statement stands. */
struct df_policy_place df_policy_here(const struct df_policy_parser *p);

/* Reports the error at its place in the value that begins at column.  -EINVAL. */
int df_policy_refuse_value(struct df_policy_parser *p, unsigned column,
			   const struct df_value_error *error);
/* Reports that what is set twice, at column; before says where else.  -EINVAL. */
int df_policy_refuse_twice(struct df_policy_parser *p, unsigned column, const struct df_word *what,
			   const struct df_policy_place *before);

/* Parses text as file, the statements of which then stand in place of the current one. */
int df_policy_parse_file(struct df_policy_parser *p, uint32_t file, const char *text, size_t len);

/*
 * A new rule, of the current statement, with owner and hint as they are now; what it names
 * comes by df_policy_add_target.  An error in its ports is reported at column.  *ret: its index.
 */
int df_policy_add_rule(struct df_policy_parser *p, unsigned column,
		       const struct df_policy_source_rule *rule, uint32_t *ret);
int df_policy_add_target(struct df_policy_source *src, const struct df_policy_target *t,
			 uint32_t rule);

/* policy_include.c */
int df_policy_parse_include(struct df_policy_parser *p);
/*
 * The shipped list of encrypted resolvers, as if it were included at the end, but that its
 * rules yield to those that are written.  Missing: a warning.
 */
int df_policy_parse_implied(struct df_policy_parser *p, const char *data_dir);
int df_policy_parse_block_list(struct df_policy_parser *p);
int df_policy_parse_allow_list(struct df_policy_parser *p);

#endif
