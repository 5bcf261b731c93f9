/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_parse: policy text to settings and rules, in the order of the file.
 *
 * Every statement of deployfence.policy(5) is checked in full.  What this version does not
 * do is then refused.
 *
 * owner and hint apply to the rules that follow, until the next one; "" ends
 * them.  Rules before the first hint get that hint, as policies often end in it.  An
 * included file begins with those of the file that includes it, and changes them for
 * itself alone.
 */
#ifndef DF_POLICY_PARSE_H
#define DF_POLICY_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/strpool.h"
#include "lib/policy/files.h"
#include "lib/policy/messages.h"
#include "lib/policy/ports.h"
#include "lib/policy/table.h"

#define DF_POLICY_KEEP_LEARNED_S 3600u /* unless the policy says otherwise */

#define DF_POLICY_INCLUDE_DEPTH 8       /* files in one another */
#define DF_POLICY_LIST_MAX (128u << 20) /* octets of a list: some 5 million names */
#define DF_POLICY_NAMES_MAX (1u << 30)  /* octets of all names: offsets have 32 bits */

struct df_policy_place {
	uint32_t file; /* index */
	uint32_t line, column;
};

/* What a statement says of all names and networks that it stands for. */
struct df_policy_source_rule {
	struct df_policy_place place;
	uint32_t text, owner, hint;   /* offsets in strings */
	struct df_policy_range ports; /* lo 0: every port */
	uint8_t action, scope;
	uint32_t list;                   /* index plus 1; 0: written in the policy */
	bool is_exception, is_important; /* of a list; see list.h */
	bool has_hint;                   /* or knows that it has none */
	bool is_implied; /* of the list that encrypted-dns stands for; yields to what is written */
};

/* owner and hint of a statement that refuses without being a rule. */
struct df_policy_source_texts {
	uint32_t owner, hint; /* offsets in strings */
	bool has_hint;        /* or knows that it has none */
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

/* Settings that no statement made are 0 until df_policy_parse fills in what they are then. */
struct df_policy_settings {
	enum df_policy_mode mode;
	enum df_policy_action default_action;
	enum df_policy_refuse_dns refuse_dns;
	unsigned enforce_share; /* percent */
	enum df_policy_raw_ip raw_ip;
	enum df_policy_pin pin_blocked; /* 0: as the number of blocked names says */
	enum df_policy_shared shared_address;
	uint32_t keep_learned_s;
	int refuse_errno;
	bool is_nested_netns_allowed;
	uint32_t leaks; /* bits 1 << finding: refuse */
	uint8_t resolvers[DF_POLICY_RESOLVERS_MAX][16];
	unsigned n_resolvers;
	enum df_policy_action encrypted_dns; /* 0: as default says; used here alone */
	struct df_policy_source_texts default_texts, raw_texts;
	struct df_policy_place pin_place; /* of the statement, for what only the builder sees */
};

struct df_policy_source {
	struct df_policy_files *files; /* the first is the policy itself; borrowed */
	struct df_policy_settings settings;
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

struct df_policy_reading {
	bool can_read;        /* other files; else what names them is refused */
	const char *data_dir; /* of the list that encrypted-dns stands for; NULL: there is none */
};

void df_policy_source_done(struct df_policy_source *src);

/* From now on messages are about this file, and at this place. */
void df_policy_set_file(struct df_messages *messages, const struct df_policy_files *files,
			uint32_t file);
/* Where the file that was read last is one that the hook would refuse: says so. */
void df_policy_warn_untrusted(struct df_messages *messages, const struct df_policy_files *files,
			      uint32_t file);
void df_policy_warn(struct df_messages *messages, const struct df_policy_files *files,
		    const struct df_policy_place *place, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Fills *ret, which the caller zeroed but for files, and frees in every case.  text is that
 * of the first file.  0 also with errors: those are in messages.  -ENOMEM, -E2BIG.
 */
int df_policy_parse(const char *text, size_t len, const struct df_policy_reading *reading,
		    struct df_messages *messages, struct df_policy_source *ret);

#endif
