/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files that compile a policy:
 *   parse.c        statements and settings, to the source of a table
 *   include.c      the statements that name other files
 *   build_names.c  the tree of names, with the exceptions of lists
 *   build.c        runs of rules, networks, the table
 * (list_rpz.c is a part of list.h.)
 */
#ifndef DF_POLICY_INTERNAL_H
#define DF_POLICY_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/policy/files.h"
#include "lib/policy/list.h"
#include "lib/policy/ports.h"
#include "lib/policy/table.h"
#include "lib/policy/text.h"
#include "lib/policy/value.h"

/*
 * Strings of a compiled policy, NUL-terminated in one block, each kept once.  Offset 0 is the
 * empty string.
 */
#define DF_STRPOOL_MAX (128u << 20) /* half of DF_POLICY_SIZE_MAX; offsets stay far below 2^32 */

struct df_strpool {
	char *data;
	size_t len, cap;
	struct df_hash_index index; /* values: offsets */
};

/* *ret is 0 for the empty string only.  -ENOMEM, -E2BIG (pool full).  s must not hold a NUL. */
int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret);

/* The source of a table: the parsed policy. */

#define DF_POLICY_KEEP_LEARNED_S 3600u  /* the default */
#define DF_POLICY_INCLUDE_DEPTH 8       /* files in one another */
#define DF_POLICY_LIST_MAX (128u << 20) /* octets of a list: some 5 million names */
#define DF_POLICY_NAMES_MAX (1u << 30)  /* octets of all names: offsets have 32 bits */

struct df_policy_place {
	uint32_t file; /* index */
	uint32_t line, column;
};

/* One statement, or one kind of entry of a list; names and networks refer to it. */
struct df_policy_source_rule {
	struct df_policy_place place;
	uint32_t text, owner, hint;   /* offsets in strings */
	struct df_policy_range ports; /* lo 0: every port */
	uint8_t action, scope;
	uint32_t list;                   /* index plus 1; 0: written in the policy */
	bool is_exception, is_important; /* of a list; see list.h */
	bool has_hint;                   /* or it is certain that there is none */
	bool is_implied; /* of the list that encrypted-dns stands for; yields to written rules */
};

/* Owner and hint of `default` and `raw-ip`, which refuse without being rules. */
struct df_policy_source_texts {
	uint32_t owner, hint; /* offsets in strings */
	bool has_hint;        /* or it is certain that there is none */
	bool is_made;         /* there is such a statement … */
	uint32_t file;        /* … in this file */
};

struct df_policy_source_list {
	uint32_t file;
	unsigned n_left_out; /* exceptions that would undo other rules */
};

struct df_policy_source_name {
	uint32_t name; /* offset in names */
	uint32_t rule; /* index */
};

struct df_policy_source_net {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix_len;
	uint32_t rule; /* index */
};

struct df_policy_source {
	struct df_policy_files *files; /* the first is the policy itself; borrowed */
	/* The settings; pin_blocked 0: decided by the number of blocked names.  The builder fills
	 * in the rest. */
	struct df_policy_header header;
	uint8_t resolvers[DF_POLICY_RESOLVERS_MAX][16]; /* header.n_resolvers of them */
	uint8_t encrypted_dns; /* enum df_policy_action; for the parser only */
	struct df_policy_source_texts default_texts, raw_texts;
	struct df_policy_place pin_place; /* of pin-blocked, for a warning of the builder */
	struct df_policy_source_list *lists;
	size_t n_lists, lists_cap;
	struct df_policy_source_rule *rules;
	size_t n_rules, rules_cap;
	struct df_policy_source_name *named;
	size_t n_named, named_cap;
	struct df_policy_source_net *nets;
	size_t n_nets, nets_cap;
	uint8_t *names; /* wire names, one after the other */
	size_t names_len, names_cap;
	struct df_strpool strings;
	struct df_ports ports; /* of all rules */
	unsigned n_statements; /* of the policy itself */
};

/* can_read: other files; else statements that name them are refused. */
struct df_policy_reading {
	bool can_read;
	const char *data_dir; /* of the list that encrypted-dns stands for; NULL: there is none */
};

void df_policy_source_done(struct df_policy_source *src);

/* The messages that follow are about this file. */
void df_policy_set_file(struct df_messages *messages, const struct df_policy_files *files,
			uint32_t file);
/* A warning if the file that was read last is one that the hook would refuse. */
void df_policy_warn_untrusted(struct df_messages *messages, const struct df_policy_files *files,
			      uint32_t file);
void df_policy_warn(struct df_messages *messages, const struct df_policy_files *files,
		    const struct df_policy_place *place, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Fills *ret, which the caller zeroed but for files, and frees in every case.  text is that
 * of the first file.  0 also with errors: those are in messages.  -ENOMEM, -E2BIG.
 *
 * owner and hint apply to the rules that follow, until the next one; "" ends them.  Rules
 * before the first hint get that hint, as policies often end in it.  An included file begins
 * with those of the file that includes it, and changes them for itself alone.
 */
int df_policy_parse(const char *text, size_t len, const struct df_policy_reading *reading,
		    struct df_messages *messages, struct df_policy_source *ret);

/* The parser, for parse.c and include.c. */

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
	/* the place of the last one of each statement, in whichever file; line 0: none yet */
	struct df_policy_place seen[DF_POLICY_STATEMENTS_MAX];
	/* on-leak: by finding, and for all of them; line 0 where no statement names it */
	struct df_policy_place leak_place[DF_FINDINGS], leak_all_place;
	bool is_leak_refused[DF_FINDINGS], is_all_refused;
};

/*
 * parse finds the keyword read and takes the rest of the line.  0; -EINVAL with the error
 * reported; another -errno ends all.
 */
struct df_policy_statement {
	const char *name;
	int (*parse)(struct df_policy_parser *p, const struct df_policy_statement *s);
	bool is_scalar; /* may be made once */
	uint8_t value; /* the action of a rule or a list; the value of a setting's first word, … */
	uint16_t offset;      /* … which is kept there in the header */
	const char *words[4]; /* of a setting, in the order of their values; NULL-terminated */
};

/* Parses text as file, in place of the current one. */
int df_policy_parse_file(struct df_policy_parser *p, uint32_t file, const char *text, size_t len);

/*
 * A new rule of the current statement, with the current owner and hint; its names and networks
 * follow by df_policy_add_target.  An error in its ports is reported at column.  *ret: its index.
 */
int df_policy_add_rule(struct df_policy_parser *p, unsigned column,
		       const struct df_policy_source_rule *rule, uint32_t *ret);
int df_policy_add_target(struct df_policy_source *src, const struct df_policy_target *t,
			 uint32_t rule);

/* include.c */
int df_policy_parse_include(struct df_policy_parser *p, const struct df_policy_statement *s);
int df_policy_parse_list(struct df_policy_parser *p, const struct df_policy_statement *s);
/*
 * The shipped list of encrypted resolvers, as if it were included at the end, but that its
 * rules yield to written ones.  If it is missing, a warning about the statement at place.
 */
int df_policy_parse_implied(struct df_policy_parser *p, const char *data_dir,
			    const struct df_policy_place *place);

/*
 * The builder: build.c and build_names.c.
 *
 * An item is a name or a network of the source with the rule that it is listed under.
 * Items of the same name (or network) form a list, in the order in which lookups try
 * their rules; lists of the same rules become one run of rules in the table.
 */

#define DF_BUILD_NONE UINT32_MAX /* no item */
/*
 * With a million names, each step to a place that a hash names would miss the cache and wait.
 * So such places are prefetched this many steps ahead.
 */
#define DF_BUILD_AHEAD 16

/* A name, or an ancestor of one, as the label that it adds to its parent. */
struct df_build_node {
	uint64_t hash;
	uint32_t parent; /* index; the root (0) is its own */
	uint32_t label;  /* offset in the source's names */
	uint32_t items;  /* its list; later the number of its first rule, plus 1 */
	uint32_t offset; /* of its entry in the table */
	uint8_t label_len;
	bool has_allow_below;
};

struct df_build_runs {
	uint32_t *rules; /* of the source, in runs, by the rule's number in the table */
	size_t n_rules, rules_cap;
	struct df_hash_index index; /* over runs: number of the first rule, plus 1 */
	uint8_t *lasts;             /* by number: whether it ends its run */
	size_t lasts_cap;
};

struct df_builder {
	struct df_policy_source *src;
	struct df_messages *messages;
	struct df_build_node *nodes;
	size_t n_nodes, nodes_cap;
	struct df_hash_index index; /* over nodes but the root */
	uint32_t *next;             /* of each item, names first: the next one of its list */
	struct df_build_runs runs;
	struct df_policy_net *nets; /* as in the table */
	size_t n_nets;
	uint8_t pins[DF_POLICY_PINS_MAX * DF_DNAME_MAX];
	size_t pins_size;
	uint32_t n_pins;
	bool has_more_pins;     /* than there is room for */
	bool has_more_own_pins; /* of rules in the policy's own file */
};

/* The rule of an item. */
static inline const struct df_policy_source_rule *df_build_rule_of(const struct df_builder *b,
								   uint32_t item)
{
	const struct df_policy_source *src = b->src;

	return &src->rules[item < src->n_named ? src->named[item].rule
					       : src->nets[item - src->n_named].rule];
}

static inline const uint8_t *df_build_label(const struct df_builder *b,
					    const struct df_build_node *n)
{
	return b->src->names + n->label;
}

/* Puts an item into a list by the rank of its rule.  Of equal ones the first stays. */
void df_build_add_item(struct df_builder *b, uint32_t *list, uint32_t item);

/* nodes, with their lists and has_allow_below, exceptions of lists included.  -ENOMEM. */
int df_build_names(struct df_builder *b);
/*
 * pins: the first names that block rules refuse, those of the policy's own file in front.
 * To be called before the lists become runs.
 */
void df_build_pins(struct df_builder *b);
/* Changes the hashes of all nodes.  The index is of no use after this. */
void df_build_rehash(struct df_builder *b, uint32_t seed);

/*
 * Warns of rules that are written twice and of contradictions, then, if messages has no
 * error, makes the table, the same for the same source: *ret is malloc'd, or NULL with errors
 * in messages.  name is the policy's; src's strings grow.  0, -ENOMEM, -E2BIG.
 */
int df_policy_build(struct df_policy_source *src, const char *name, struct df_messages *messages,
		    void **ret, size_t *ret_size);

#endif
