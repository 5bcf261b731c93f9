/* SPDX-License-Identifier: GPL-2.0-or-later */
/* parse: the statements of deployfence.policy(5), but for those that name other files. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/internal.h"

/* "block", a name, ports: a target that df_policy_target_parse accepts is not longer. */
#define RULE_TEXT_MAX 400

int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret)
{
	size_t start = pool->len ? pool->len : 1;
	uint64_t hash = df_hash_bytes(DF_HASH_START, s, len);
	struct df_hash_slot *slot;

	if (len >= DF_STRPOOL_MAX - start)
		return -E2BIG;
	if (df_array_reserve(&pool->data, &pool->cap, start + len + 1, 1) < 0 ||
	    df_hash_reserve(&pool->index, pool->index.n + 1) < 0)
		return -ENOMEM;
	if (pool->len == 0) {
		pool->data[0] = '\0';
		pool->len = 1;
	}
	if (len == 0) {
		*ret = 0;
		return 0;
	}
	slot = df_hash_first(&pool->index, hash);
	/* strncmp, as the other string may be the shorter one. */
	while (slot->value && !(strncmp(pool->data + slot->value, s, len) == 0 &&
				pool->data[slot->value + len] == '\0'))
		slot = df_hash_next(&pool->index, slot, hash);
	if (!slot->value) {
		memcpy(pool->data + start, s, len);
		pool->data[start + len] = '\0';
		pool->len = start + len + 1;
		df_hash_put(&pool->index, slot, hash, (uint32_t)start);
	}
	*ret = slot->value;
	return 0;
}

void df_policy_source_done(struct df_policy_source *src)
{
	free(src->lists);
	free(src->rules);
	free(src->named);
	free(src->nets);
	free(src->names);
	free(src->strings.data);
	df_hash_done(&src->strings.index);
	*src = (struct df_policy_source){0};
}

/* Messages. */

void df_policy_set_file(struct df_messages *messages, const struct df_policy_files *files,
			uint32_t file)
{
	messages->file = files->list[file].path;
	messages->file_number = file;
}

void df_policy_warn(struct df_messages *messages, const struct df_policy_files *files,
		    const struct df_policy_place *place, const char *format, ...)
{
	va_list args;

	df_policy_set_file(messages, files, place->file);
	va_start(args, format);
	df_messages_add(messages, false, place->line, place->column, format, args);
	va_end(args);
}

void df_policy_warn_untrusted(struct df_messages *messages, const struct df_policy_files *files,
			      uint32_t file)
{
	const struct df_policy_place place = {.file = file};

	if (*files->why)
		df_policy_warn(messages, files, &place, "the hook refuses this file: %s",
			       files->why);
}

/* Where the current statement stands. */
static struct df_policy_place here(const struct df_policy_parser *p)
{
	return (struct df_policy_place){p->file, p->stmt.line, p->stmt.keyword.column};
}

/* Reports the error at its place in the value that begins at column.  -EINVAL. */
static int refuse_value(struct df_policy_parser *p, unsigned column,
			const struct df_value_error *error)
{
	return df_stmt_error(&p->stmt, column + (unsigned)error->offset, "%s", error->text);
}

/* Refuses a word that was set before, and notes its place if it was not. */
static int set_once(struct df_policy_parser *p, const struct df_word *w,
		    struct df_policy_place *place)
{
	const char *path = p->src->files->list[place->file].path;
	char quote[DF_MESSAGES_QUOTE];

	if (place->line == 0) {
		*place = here(p);
		return 0;
	}
	if (place->file == p->file)
		return df_stmt_error(&p->stmt, w->column, "'%.*s' is set twice; line %u has set it",
				     (int)w->len, w->s, place->line);
	return df_stmt_error(&p->stmt, w->column, "'%.*s' is set twice; %s:%u has set it",
			     (int)w->len, w->s, df_messages_quote(path, strlen(path), quote),
			     place->line);
}

/* Rules. */

/* False: with the range, the policy would have more classes of ports than it may. */
static bool has_room_for(const struct df_policy_parser *p, struct df_policy_range range,
			 struct df_ports *ret)
{
	*ret = p->src->ports;
	return range.lo == 0 || (df_ports_add_range(ret, range) == 0 &&
				 ret->n_classes <= DF_PORT_CLASSES - DF_PORTS_SPARE);
}

int df_policy_add_rule(struct df_policy_parser *p, unsigned column,
		       const struct df_policy_source_rule *rule, uint32_t *ret)
{
	struct df_policy_source *src = p->src;
	struct df_policy_source_rule *added;
	struct df_ports ports;

	if (!has_room_for(p, rule->ports, &ports))
		return df_stmt_error(
			&p->stmt, column,
			"the policy tells too many ports apart; at most %u groups of ports "
			"that its rules treat alike, so name fewer or wider ranges",
			DF_PORT_CLASSES - DF_PORTS_SPARE - DF_PORTS_FIRST_NAMED);
	if (df_array_reserve(&src->rules, &src->rules_cap, src->n_rules + 1, sizeof(*added)) < 0)
		return -ENOMEM;
	src->ports = ports;
	added = &src->rules[src->n_rules];
	*added = *rule;
	added->place = here(p);
	added->owner = p->owner;
	added->hint = p->hint;
	added->has_hint = p->has_hint;
	added->is_implied = p->is_implied;
	*ret = (uint32_t)src->n_rules++;
	return 0;
}

int df_policy_add_target(struct df_policy_source *src, const struct df_policy_target *t,
			 uint32_t rule)
{
	struct df_policy_source_net *n;

	if (!t->is_name) {
		if (df_array_reserve(&src->nets, &src->nets_cap, src->n_nets + 1, sizeof(*n)) < 0)
			return -ENOMEM;
		n = &src->nets[src->n_nets++];
		n->rule = rule;
		n->prefix_len = (uint8_t)df_value_net_mapped(&t->net, n->addr);
		return 0;
	}
	if (src->names_len + t->name.len > DF_POLICY_NAMES_MAX)
		return -E2BIG;
	if (df_array_reserve(&src->named, &src->named_cap, src->n_named + 1, sizeof(*src->named)) <
		    0 ||
	    df_array_reserve(&src->names, &src->names_cap, src->names_len + t->name.len, 1) < 0)
		return -ENOMEM;
	src->named[src->n_named++] = (struct df_policy_source_name){
		.name = (uint32_t)src->names_len,
		.rule = rule,
	};
	memcpy(src->names + src->names_len, t->name.wire, t->name.len);
	src->names_len += t->name.len;
	return 0;
}

/*
 * Of the list that encrypted-dns stands for.  Rules of addresses are final: one for port 853 of
 * all addresses would undo `allow dns.example:853`.  And that the policy tells as many ports
 * apart as it may is no error of its author's.
 */
static bool is_left_out(const struct df_policy_parser *p, struct df_policy_range ports)
{
	struct df_ports all;

	if (!p->is_implied || ports.lo == 0)
		return false;
	for (size_t i = 0; i < p->src->n_rules; i++) {
		const struct df_policy_source_rule *rule = &p->src->rules[i];

		if (rule->action == DF_POLICY_ALLOW && rule->ports.lo &&
		    rule->ports.lo <= ports.hi && ports.lo <= rule->ports.hi)
			return true;
	}
	return !has_room_for(p, ports, &all);
}

static int parse_rule(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	struct df_policy_source_rule rule = {.action = s->value};
	struct df_value_error error;
	struct df_policy_target t;
	char text[RULE_TEXT_MAX];
	struct df_word w;
	uint32_t index;
	int r = df_stmt_need(&p->stmt, "a name, an address or a network", &w);

	if (r < 0)
		return r;
	if (df_policy_target_parse(w.s, w.len, &t, &error) < 0)
		return refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one name a statement");
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%s %.*s", s->name, (int)w.len, w.s);
	r = df_strpool_add(&p->src->strings, text, strlen(text), &rule.text);
	if (r < 0)
		return r;
	rule.scope = (uint8_t)(t.is_name ? t.scope : DF_POLICY_NET);
	rule.ports = t.ports;
	if (is_left_out(p, rule.ports))
		return 0;
	r = df_policy_add_rule(p, w.column, &rule, &index);
	return r < 0 ? r : df_policy_add_target(p->src, &t, index);
}

/* Owner and hint. */

static int parse_text(struct df_policy_parser *p, uint32_t *ret)
{
	char text[DF_STMT_STRING_MAX + 1];
	unsigned column;
	int r = df_stmt_string(&p->stmt, "a text", text, &column);

	if (r == 0)
		r = df_stmt_end(&p->stmt, "put text with blanks in double quotes");
	return r < 0 ? r : df_strpool_add(&p->src->strings, text, strlen(text), ret);
}

static int parse_owner(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	(void)s;
	return parse_text(p, &p->owner);
}

static int parse_hint(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	struct df_policy_source *src = p->src;
	struct df_policy_source_texts *texts[] = {&src->default_texts, &src->raw_texts};
	int r = parse_text(p, &p->hint);

	(void)s;
	if (r < 0 || p->has_hint)
		return r;
	/* The first hint of the file: for all that stands before it, too. */
	p->has_hint = true;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!texts[i]->is_made || texts[i]->has_hint || texts[i]->file != p->file)
			continue;
		texts[i]->hint = p->hint;
		texts[i]->has_hint = true;
	}
	for (size_t i = p->first_rule; i < src->n_rules; i++) {
		if (src->rules[i].has_hint)
			continue;
		src->rules[i].hint = p->hint;
		src->rules[i].has_hint = true;
	}
	return 0;
}

/* Settings. */

static int parse_choice(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	int choice = df_stmt_choice(&p->stmt, s->words);

	if (choice < 0)
		return choice;
	((uint8_t *)&p->src->header)[s->offset] = (uint8_t)(s->value + choice);
	return 0;
}

/* A choice that refuses without being a rule, so that it has an owner and a hint. */
static int parse_refusing(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	struct df_policy_source *src = p->src;
	bool is_default = s->offset == offsetof(struct df_policy_header, default_action);
	int r = parse_choice(p, s);

	if (r == 0)
		*(is_default ? &src->default_texts : &src->raw_texts) =
			(struct df_policy_source_texts){.owner = p->owner,
							.hint = p->hint,
							.has_hint = p->has_hint,
							.is_made = true,
							.file = p->file};
	return r;
}

static int parse_encrypted_dns(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	static const char *const words[] = {"block", "allow", NULL};
	int choice = df_stmt_choice(&p->stmt, words);

	(void)s;
	if (choice < 0)
		return choice;
	p->src->encrypted_dns = choice == 0 ? DF_POLICY_BLOCK : DF_POLICY_ALLOW;
	return 0;
}

static int parse_refuse_with(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	static const char *const words[] = {"EPERM",        "EACCES",      "ECONNREFUSED",
					    "EHOSTUNREACH", "ENETUNREACH", NULL};
	static const uint16_t values[] = {EPERM, EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH};
	int choice = df_stmt_choice(&p->stmt, words);

	(void)s;
	if (choice < 0)
		return choice;
	p->src->header.refuse_errno = values[choice];
	return 0;
}

/* The one value of a statement, as value makes a number of it. */
static int parse_number(struct df_policy_parser *p, const char *need,
			int (*value)(const char *s, size_t len, uint64_t *ret,
				     struct df_value_error *ret_error),
			uint64_t *ret)
{
	struct df_value_error error;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, need, &w);

	if (r < 0)
		return r;
	if (value(w.s, w.len, ret, &error) < 0)
		return refuse_value(p, w.column, &error);
	return df_stmt_end(&p->stmt, "one value only");
}

static int parse_enforce_share(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	uint64_t share;
	int r = parse_number(p, "a share of containers, as 10%", df_value_share, &share);

	(void)s;
	if (r == 0)
		p->src->header.enforce_share = (uint8_t)share;
	return r;
}

static int parse_keep_learned(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	uint64_t seconds;
	int r = parse_number(p, "a duration, as 1h", df_value_duration, &seconds);

	(void)s;
	if (r == 0)
		p->src->header.keep_learned_s = (uint32_t)seconds;
	return r;
}

/* No host answers there. */
static bool is_no_server(const uint8_t addr[static 16])
{
	static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t none[16] = {0};

	if (memcmp(addr, ipv4, sizeof(ipv4)) == 0)
		return addr[12] == 0 || addr[12] >= 224;
	return memcmp(addr, none, sizeof(none)) == 0 || addr[0] == 0xff;
}

static int add_resolver(struct df_policy_parser *p, const struct df_word *w)
{
	const char *slash = memchr(w->s, '/', w->len);
	struct df_policy_source *src = p->src;
	struct df_value_error error;
	struct df_value_net net;
	uint8_t addr[16];

	if (slash)
		return df_stmt_error(&p->stmt, w->column + (unsigned)(slash - w->s),
				     "a network; a resolver is one address");
	if (df_value_net(w->s, w->len, &net, &error) < 0)
		return refuse_value(p, w->column, &error);
	(void)df_value_net_mapped(&net, addr);
	if (is_no_server(addr))
		return df_stmt_error(&p->stmt, w->column,
				     "no server has this address; write a resolver's");
	for (unsigned i = 0; i < src->header.n_resolvers; i++) {
		if (memcmp(src->resolvers[i], addr, sizeof(addr)) == 0)
			return 0;
	}
	if (src->header.n_resolvers == DF_POLICY_RESOLVERS_MAX)
		return df_stmt_error(&p->stmt, w->column, "too many resolvers; at most %d",
				     DF_POLICY_RESOLVERS_MAX);
	memcpy(src->resolvers[src->header.n_resolvers++], addr, sizeof(addr));
	return 0;
}

static int parse_resolver(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "an address, as 10.0.0.2", &w);

	(void)s;
	if (r < 0)
		return r;
	do
		r = add_resolver(p, &w);
	while (r == 0 && df_stmt_word(&p->stmt, &w));
	return r;
}

/* A finding may be named once in a policy; `all` is not the same as one of them. */
static int parse_finding(struct df_policy_parser *p, const struct df_word *w, uint32_t *set,
			 bool *is_all)
{
	char quote[DF_MESSAGES_QUOTE];
	int finding = df_finding_from_name(w->s, w->len);

	if (df_word_is(w, "all")) {
		*is_all = true;
		return set_once(p, w, &p->leak_all_place);
	}
	if (finding < 0)
		return df_stmt_error(&p->stmt, w->column,
				     "unknown finding '%s'; write all, or names of "
				     "deployfence-hook(8), as cap-net-raw",
				     df_messages_quote(w->s, w->len, quote));
	*set |= UINT32_C(1) << finding;
	return set_once(p, w, &p->leak_place[finding]);
}

/* FINDING… warn|refuse: the last word is the action, all before it are findings. */
static int parse_on_leak(struct df_policy_parser *p, const struct df_policy_statement *s)
{
	bool is_all = false, is_refuse = false, has_action = false;
	struct df_word w;
	uint32_t set = 0;
	int r;

	(void)s;
	while (!has_action && df_stmt_word(&p->stmt, &w)) {
		is_refuse = df_word_is(&w, "refuse");
		has_action = (set || is_all) && (is_refuse || df_word_is(&w, "warn"));
		r = has_action ? df_stmt_end(&p->stmt, "warn | refuse stands last")
			       : parse_finding(p, &w, &set, &is_all);
		if (r < 0)
			return r;
	}
	if (!has_action)
		return df_stmt_need(
			&p->stmt,
			set || is_all ? "warn | refuse at its end" : "FINDING… warn | refuse", &w);
	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		if (set >> i & 1)
			p->is_leak_refused[i] = is_refuse;
	}
	if (is_all)
		p->is_all_refused = is_refuse;
	return 0;
}

/* Statements in the order in which a policy has them. */
enum { DEFAULT = 2, PIN_BLOCKED = 4, ENCRYPTED_DNS = 7 };

#define FIELD(name) offsetof(struct df_policy_header, name)

static const struct df_policy_statement statements[] = {
	{"mode", parse_choice, true, DF_POLICY_ENFORCE, FIELD(mode), {"enforce", "audit"}},
	{"enforce-share", parse_enforce_share, true, 0, 0, {NULL}},
	[DEFAULT] = {"default",
		     parse_refusing,
		     true,
		     DF_POLICY_ALLOW,
		     FIELD(default_action),
		     {"allow", "deny"}},
	{"raw-ip",
	 parse_refusing,
	 true,
	 DF_POLICY_RAW_ALLOW,
	 FIELD(raw_ip),
	 {"allow", "block", "audit"}},
	[PIN_BLOCKED] = {"pin-blocked",
			 parse_choice,
			 true,
			 DF_POLICY_PIN_YES,
			 FIELD(pin_blocked),
			 {"yes", "on-refusal", "no"}},
	{"shared-address",
	 parse_choice,
	 true,
	 DF_POLICY_SHARED_SNI,
	 FIELD(shared_address),
	 {"sni", "allow", "block"}},
	{"keep-learned", parse_keep_learned, true, 0, 0, {NULL}},
	[ENCRYPTED_DNS] = {"encrypted-dns", parse_encrypted_dns, true, 0, 0, {NULL}},
	{"refuse-dns",
	 parse_choice,
	 true,
	 DF_POLICY_NXDOMAIN,
	 FIELD(refuse_dns),
	 {"nxdomain", "refused", "sinkhole"}},
	{"refuse-with", parse_refuse_with, true, 0, 0, {NULL}},
	{"resolver", parse_resolver, false, 0, 0, {NULL}},
	{"on-leak", parse_on_leak, false, 0, 0, {NULL}},
	{"nested-netns",
	 parse_choice,
	 true,
	 false,
	 FIELD(is_nested_netns_allowed),
	 {"refuse", "allow"}},
	{"block", parse_rule, false, DF_POLICY_BLOCK, 0, {NULL}},
	{"allow", parse_rule, false, DF_POLICY_ALLOW, 0, {NULL}},
	{"block-list", df_policy_parse_list, false, DF_POLICY_BLOCK, 0, {NULL}},
	{"allow-list", df_policy_parse_list, false, DF_POLICY_ALLOW, 0, {NULL}},
	{"include", df_policy_parse_include, false, 0, 0, {NULL}},
	{"owner", parse_owner, false, 0, 0, {NULL}},
	{"hint", parse_hint, false, 0, 0, {NULL}},
};

_Static_assert(ARRAY_SIZE(statements) <= DF_POLICY_STATEMENTS_MAX, "seen has an entry for each");

static int parse_statement(struct df_policy_parser *p)
{
	const char *names[ARRAY_SIZE(statements) + 1] = {NULL};
	const struct df_word *keyword = &p->stmt.keyword;

	for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
		const struct df_policy_statement *s = &statements[i];
		int r = 0;

		names[i] = s->name;
		if (!df_word_is(keyword, s->name))
			continue;
		if (s->is_scalar)
			r = set_once(p, keyword, &p->seen[i]);
		return r < 0 ? r : s->parse(p, s);
	}
	return df_stmt_unknown(&p->stmt, names);
}

int df_policy_parse_file(struct df_policy_parser *p, uint32_t file, const char *text, size_t len)
{
	struct df_policy_file *f = &p->src->files->list[file];
	const char *slash = strrchr(f->path, '/');
	const char *name = slash && slash[1] ? slash + 1 : *f->path ? f->path : "policy";
	struct df_messages *messages = p->stmt.messages;
	int r = df_strpool_add(&p->src->strings, name, strlen(name), &f->name);

	p->file = file;
	p->is_open[file] = p->is_policy[file] = true;
	p->first_rule = p->src->n_rules;
	df_policy_set_file(messages, p->src->files, file);
	df_stmt_init(&p->stmt, text, len, messages);
	while (r == 0 && df_stmt_next(&p->stmt)) {
		if (file == 0)
			p->src->n_statements++;
		r = parse_statement(p);
		/* -EINVAL is in the messages; the other errors of the file are reported too. */
		if (r == -EINVAL)
			r = 0;
	}
	p->is_open[file] = false;
	return r;
}

/* Sets the defaults that depend on other statements. */
static void finish_settings(const struct df_policy_parser *p)
{
	struct df_policy_source *src = p->src;
	struct df_policy_header *h = &src->header;
	bool is_deny = h->default_action == DF_POLICY_BLOCK;

	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		bool is_refused = is_deny && !df_finding_is_circumstance(i);

		if (p->leak_place[i].line)
			is_refused = p->is_leak_refused[i];
		else if (p->leak_all_place.line)
			is_refused = p->is_all_refused;
		h->leaks |= is_refused ? UINT32_C(1) << i : 0;
	}
	if (!src->raw_texts.is_made)
		src->raw_texts = src->default_texts;
	h->default_owner = src->default_texts.owner;
	h->default_hint = src->default_texts.hint;
	h->raw_owner = src->raw_texts.owner;
	h->raw_hint = src->raw_texts.hint;
	if (!h->raw_ip)
		h->raw_ip = is_deny ? DF_POLICY_RAW_BLOCK : DF_POLICY_RAW_ALLOW;
	src->pin_place = p->seen[PIN_BLOCKED];
	if (!src->encrypted_dns)
		src->encrypted_dns = h->default_action;
}

/* Legal, and hardly intended. */
static void warn_of_nothing_allowed(const struct df_policy_parser *p)
{
	const struct df_policy_source *src = p->src;

	if (src->header.default_action != DF_POLICY_BLOCK)
		return;
	for (size_t i = 0; i < src->n_rules; i++) {
		if (src->rules[i].action == DF_POLICY_ALLOW && !src->rules[i].is_exception)
			return;
	}
	df_policy_warn(p->stmt.messages, src->files, &p->seen[DEFAULT],
		       "'default deny' without an allow rule blocks everything; add one");
}

int df_policy_parse(const char *text, size_t len, const struct df_policy_reading *reading,
		    struct df_messages *messages, struct df_policy_source *ret)
{
	struct df_policy_parser p = {
		.src = ret,
		.can_read = reading->can_read,
		.stmt = {.messages = messages},
	};
	int r;

	ret->header = (struct df_policy_header){
		.mode = DF_POLICY_ENFORCE,
		.default_action = DF_POLICY_ALLOW,
		.refuse_dns = DF_POLICY_NXDOMAIN,
		.enforce_share = 100,
		.shared_address = DF_POLICY_SHARED_SNI,
		.keep_learned_s = DF_POLICY_KEEP_LEARNED_S,
		.refuse_errno = EPERM,
	};
	df_ports_init(&ret->ports);
	r = df_policy_parse_file(&p, 0, text, len);
	if (r < 0)
		return r;
	/* A file that was cut or never written must not allow everything. */
	if (ret->n_statements == 0 && messages->n_errors == 0)
		df_messages_error(messages, 0, 0,
				  "the policy is empty; write at least one statement, as "
				  "'default allow'");
	finish_settings(&p);
	warn_of_nothing_allowed(&p);
	if (reading->data_dir && ret->encrypted_dns == DF_POLICY_BLOCK)
		r = df_policy_parse_implied(
			&p, reading->data_dir,
			&p.seen[p.seen[ENCRYPTED_DNS].line ? ENCRYPTED_DNS : DEFAULT]);
	if (r < 0)
		return r;
	return messages->is_out_of_memory ? -ENOMEM : 0;
}
