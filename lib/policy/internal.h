/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of lib/policy share. */
#ifndef DF_POLICY_INTERNAL_H
#define DF_POLICY_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/policy/compile.h"
#include "lib/policy/list.h"
#include "lib/policy/ports.h"
#include "lib/policy/table.h"
#include "lib/policy/text.h"
#include "lib/policy/value.h"

/*
 * The bytes of a compiled policy.  All numbers are in the byte order of the host, which the
 * magic shows.
 *
 *   header
 *   slots      u32[n_slots + 1]: slot i's entries are the octets from slots[i] to
 *              slots[i + 1], offsets from the start of the table
 *   entries    one for each name and each of its ancestors but the root, packed, in
 *              the order of their slots; then zeros up to a multiple of 4
 *   rules      struct df_policy_rule[n_rules], in runs: those of a name or a network,
 *              the one to try first in front, the last one with DF_POLICY_RULE_LAST.
 *              Names and networks with the same rules share a run
 *   nets       struct df_policy_net[n_nets], sorted by address, shorter prefixes first
 *   ranges     struct df_policy_range[n_ranges]
 *   resolvers  u8[n_resolvers][16]
 *   pins       names as on the wire, one behind the other
 *   strings    NUL-terminated; the first is the empty one, so offset 0 means none
 *
 * Sections follow each other without gaps.  A slot that is a run of entries, in
 * place of open addressing, needs no free slots (8 octets a name less) and lets
 * df_policy_open check all references in one pass without memory of its own.
 *
 * An entry holds one label and the offset of its parent's entry, so a name is
 * compared label by label on the way down from the root, and ancestors are shared.
 */

/*
 * Entries of one slot.  The compiler tries seeds until none has more, so that
 * no choice of listed names makes lookups slow; at two entries a slot on average
 * the first seed does (Poisson: P(> 24) is 10^-19 a slot).
 */
#define DF_POLICY_CHAIN_MAX 24
#define DF_POLICY_SLOT_LOAD 2 /* entries of a slot on average: a slot costs 4 octets */

#define DF_POLICY_NET_IPV4_LEN 96u /* ::ffff:0:0/96 holds IPv4 */

struct df_policy_header {
	uint32_t magic, version, size, seed;
	uint8_t mode, default_action, refuse_dns;
	uint8_t has_allow;     /* any allow rule: something below the root is allowed */
	uint8_t enforce_share; /* 0 to 100; audit for the others */
	uint8_t raw_ip, pin_blocked, shared_address, is_nested_netns_allowed;
	uint8_t rule_octets; /* of an entry's rule: 2 where they suffice, else 4 */
	uint16_t refuse_errno;
	uint32_t leaks; /* bits 1 << finding: refuse */
	uint32_t keep_learned_s;
	uint32_t classes; /* bits 1 << class: classes of ports that hold one */
	uint32_t name;    /* offset in strings */
	uint32_t n_slots, slots;
	uint32_t entries, entries_size;
	uint32_t rules, n_rules;
	uint32_t nets, n_nets;
	uint32_t ranges, n_ranges;
	uint32_t resolvers, n_resolvers;
	uint32_t pins, n_pins;
	uint32_t strings, strings_size;
	/* offsets in strings of what belongs to `default` and to `raw-ip`; 0: none */
	uint32_t default_owner, default_hint, raw_owner, raw_hint;
};

_Static_assert(sizeof(struct df_policy_header) == 124, "part of the table's format");

/* Behind it: the number of its first rule, plus 1, in rule_octets; the label. */
struct df_policy_entry {
	uint32_t parent;   /* offset of the parent's entry; 0: the root */
	uint8_t label_len; /* and DF_POLICY_ENTRY_… */
} __attribute__((packed));

_Static_assert(sizeof(struct df_policy_entry) == 5, "part of the table's format");

#define DF_POLICY_ENTRY_ALLOW_BELOW 0x80u /* an allow rule names something below */
#define DF_POLICY_ENTRY_LABEL_LEN 0x3fu   /* RFC 1035 2.3.4: at most 63 */

struct df_policy_net {
	uint8_t addr[16];
	uint8_t prefix_len;
	uint8_t pad[3];
	uint32_t rule;   /* number of its first rule, plus 1; 0: none */
	uint32_t parent; /* index, plus 1, of the longest shorter prefix that holds it; 0: none */
};

_Static_assert(sizeof(struct df_policy_net) == 28, "part of the table's format");
_Static_assert(sizeof(struct df_policy_range) == 6, "part of the table's format");

#define DF_POLICY_RULE_LAST 0x01u      /* of its run */
#define DF_POLICY_RULE_LISTED 0x02u    /* from a list */
#define DF_POLICY_RULE_EXCEPTION 0x04u /* of that list: it says not to block */
#define DF_POLICY_RULE_IMPLIED 0x08u   /* no statement of the policy's, but encrypted-dns */

static inline uint64_t df_policy_hash_root(uint32_t seed)
{
	return DF_HASH_START ^ (seed * UINT64_C(0x9e3779b97f4a7c15));
}

/* Hash of a name from that of its parent: FNV-1a over the label with its length octet. */
static inline uint64_t df_policy_hash(uint64_t parent, const uint8_t *label)
{
	return df_hash_bytes(parent, label, label[0] + 1u);
}

static inline uint32_t df_policy_slot(uint64_t hash, uint32_t n_slots)
{
	/* Scaled, not masked: any number of slots will do. */
	return (uint32_t)(((df_hash_mix(hash) >> 32) * n_slots) >> 32);
}

/* Position of a rule in its run: EXACT, BELOW, TREE; with ports first; block first. */
static inline unsigned df_policy_rank(uint8_t scope, bool has_ports, uint8_t action)
{
	unsigned scope_rank = scope == DF_POLICY_NET ? 0 : 3u - scope;

	return scope_rank * 4 + (has_ports ? 0 : 2) + (2u - action);
}

/* The first bits of a and b are equal. */
static inline bool df_policy_has_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned octets = bits / 8, rest = bits % 8;

	return memcmp(a, b, octets) == 0 &&
	       (rest == 0 || (uint8_t)(a[octets] ^ b[octets]) >> (8 - rest) == 0);
}

/* df_policy_open has seen that base is aligned, and that all of these lie in the table. */
static inline const struct df_policy_header *df_policy_header(const struct df_policy *p)
{
	return (const struct df_policy_header *)(const void *)p->base;
}

static inline const uint32_t *df_policy_slots(const struct df_policy *p)
{
	return (const uint32_t *)(const void *)(p->base + df_policy_header(p)->slots);
}

static inline const struct df_policy_rule *df_policy_rules(const struct df_policy *p)
{
	return (const struct df_policy_rule *)(const void *)(p->base + df_policy_header(p)->rules);
}

static inline const struct df_policy_net *df_policy_nets(const struct df_policy *p)
{
	return (const struct df_policy_net *)(const void *)(p->base + df_policy_header(p)->nets);
}

static inline const struct df_policy_range *df_policy_ranges(const struct df_policy *p)
{
	return (const struct df_policy_range *)(const void *)(p->base +
							      df_policy_header(p)->ranges);
}

static inline const char *df_policy_string(const struct df_policy *p, uint32_t offset)
{
	return (const char *)p->base + df_policy_header(p)->strings + offset;
}

/* Of a packet; port counts for TCP and UDP only. */
bool df_policy_rule_has_port(const struct df_policy_rule *r, uint8_t proto, uint16_t port);

/* An entry, read out. */
struct df_policy_found_entry {
	uint32_t parent, rule, size; /* rule: its number plus 1, 0: none; size: of the entry */
	uint8_t label_len, flags;
	const uint8_t *label; /* without its length */
};

static inline uint32_t df_policy_entry_head(const struct df_policy *p)
{
	return (uint32_t)sizeof(struct df_policy_entry) + df_policy_header(p)->rule_octets;
}

/* The head must lie in the table; the label is not looked at. */
static inline void df_policy_read_entry(const struct df_policy *p, uint32_t at,
					struct df_policy_found_entry *ret)
{
	const uint8_t *rule = p->base + at + sizeof(struct df_policy_entry);
	struct df_policy_entry e;
	uint16_t rule16;

	memcpy(&e, p->base + at, sizeof(e));
	if (df_policy_header(p)->rule_octets == sizeof(rule16)) {
		memcpy(&rule16, rule, sizeof(rule16));
		ret->rule = rule16;
	} else {
		memcpy(&ret->rule, rule, sizeof(ret->rule));
	}
	ret->parent = e.parent;
	ret->label_len = e.label_len & DF_POLICY_ENTRY_LABEL_LEN;
	ret->flags = e.label_len & (uint8_t)~DF_POLICY_ENTRY_LABEL_LEN;
	ret->size = df_policy_entry_head(p) + ret->label_len;
	ret->label = p->base + at + df_policy_entry_head(p);
}

/* The order of the nets. */
static inline bool df_policy_is_net_before(const struct df_policy_net *net, const uint8_t *addr,
					   unsigned prefix_len)
{
	int d = memcmp(net->addr, addr, sizeof(net->addr));

	return d < 0 || (d == 0 && net->prefix_len < prefix_len);
}

/* True if all of the other net lies in this one. */
static inline bool df_policy_holds(const struct df_policy_net *net, const uint8_t *addr,
				   unsigned prefix_len)
{
	return net->prefix_len <= prefix_len &&
	       df_policy_has_prefix(net->addr, addr, net->prefix_len);
}

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

/* What the parser makes of a policy: the source of a table. */

#define DF_POLICY_KEEP_LEARNED_S 3600u  /* unless the policy says otherwise */
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
	/* The settings; pin_blocked 0: as the number of blocked names says.  The builder fills in
	 * the rest. */
	struct df_policy_header header;
	uint8_t resolvers[DF_POLICY_RESOLVERS_MAX][16]; /* header.n_resolvers of them */
	uint8_t encrypted_dns; /* enum df_policy_action; 0: as default says; for the parser */
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

/* Puts an item into a list, where the rank of its rule says.  Of equal ones the first stays. */
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

/* Lists: list.c and list_rpz.c. */

/* A run of octets in the text of a list. */
struct df_span {
	const char *s;
	size_t len;
};

/* The result for a line, or for one thing in it. */
enum df_list_line {
	DF_LIST_NOTHING, /* blank, a comment, or without a meaning here */
	DF_LIST_READ,
	DF_LIST_UNUSED,  /* of the format, but no rule can be made of it */
	DF_LIST_UNKNOWN, /* not of the format */
};

struct df_list_reader {
	struct df_list_file *list;
	struct df_list_entry entry;
	size_t next;   /* offset of the next line */
	unsigned line; /* number of the current one, from 1 */
	int r;         /* of take; not 0: the end */
	bool is_trial; /* take nothing yet: a line is read as a whole or not at all */
};

/* The next line without its end; false behind the last. */
bool df_list_next_line(struct df_list_reader *r, struct df_span *ret);
bool df_span_is(struct df_span s, const char *text);
/* ASCII letters alike. */
bool df_span_is_nocase(struct df_span s, const char *text);
bool df_span_is_one_of(struct df_span s, const char *const *texts, size_t n); /* no case */
bool df_span_begins(struct df_span s, const char *text);
/* s without its first n octets. */
struct df_span df_span_behind(struct df_span s, size_t n);

/* Both hand out r->entry.target.name, or net; DF_LIST_UNKNOWN if such a name may not be listed. */
enum df_list_line df_list_take_dname(struct df_list_reader *r, enum df_policy_scope scope,
				     bool is_exception);
enum df_list_line df_list_take_net(struct df_list_reader *r, const struct df_value_net *net,
				   bool is_exception);

/* Reads all of it: records may take several lines. */
void df_list_rpz(struct df_list_reader *r);

/* Counts the result for a line. */
void df_list_count(struct df_list_reader *r, enum df_list_line what, unsigned line);

/* NAME.index of cache.h as octets. */

#define DF_POLICY_INDEX_MAX (1u << 20) /* octets: 64 paths, and warnings */
#define DF_POLICY_TABLE_NAME 40        /* 32 hexadecimal digits, ".table", NUL */

struct df_policy_index {
	char table[DF_POLICY_TABLE_NAME];
	struct df_policy_stamp table_stamp;
	struct df_policy_files files;
	char *messages; /* malloc'd; NULL: none */
};

void df_policy_index_done(struct df_policy_index *index);

/* *ret is malloc'd.  -ENOMEM. */
int df_policy_index_write(const struct df_policy_index *index, char **ret, size_t *ret_len);

/* -EBADMSG: not an index, or of another version.  *ret is to be freed on success only. */
int df_policy_index_read(const char *data, size_t len, struct df_policy_index *ret);

#endif
