/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/parse.h"

#include <errno.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/statement.h"
#include "lib/policy/table_format.h"
#include "lib/policy/target.h"

/* "block", a name, ports: what df_policy_target_parse lets through is not longer. */
#define RULE_TEXT_MAX 400

void df_policy_source_done(struct df_policy_source *src)
{
	free(src->lists);
	free(src->rules);
	free(src->named);
	free(src->nets);
	free(src->names);
	df_strpool_done(&src->strings);
	*src = (struct df_policy_source){0};
}

void df_policy_set_file(struct df_messages *messages, const struct df_policy_files *files,
			uint32_t file)
{
	messages->file = files->list[file].path;
	messages->file_number = file;
}

void df_policy_warn(struct df_messages *messages, const struct df_policy_files *files,
		    const struct df_policy_place *place, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0) {
		messages->is_out_of_memory = true;
		return;
	}
	df_policy_set_file(messages, files, place->file);
	df_messages_warning(messages, place->line, place->column, "%s", text);
	free(text);
}

void df_policy_warn_untrusted(struct df_messages *messages, const struct df_policy_files *files,
			      uint32_t file)
{
	const struct df_policy_place place = {.file = file};

	if (*files->why)
		df_policy_warn(messages, files, &place, "the hook refuses this file: %s",
			       files->why);
}

struct df_policy_place df_policy_here(const struct df_policy_parser *p)
{
	return (struct df_policy_place){p->file, p->stmt.line, p->stmt.keyword.column};
}

int df_policy_refuse_value(struct df_policy_parser *p, unsigned column,
			   const struct df_value_error *error)
{
	df_stmt_error(&p->stmt, column + (unsigned)error->offset, "%s", error->text);
	return -EINVAL;
}

int df_policy_refuse_twice(struct df_policy_parser *p, unsigned column, const struct df_word *what,
			   const struct df_policy_place *before)
{
	const char *path = p->src->files->list[before->file].path;
	char quote[DF_MESSAGES_QUOTE];

	if (before->file == p->file)
		df_stmt_error(&p->stmt, column, "'%.*s' is set twice; line %u has set it",
			      (int)what->len, what->s, before->line);
	else
		df_stmt_error(&p->stmt, column, "'%.*s' is set twice; %s:%u has set it",
			      (int)what->len, what->s, df_messages_quote(path, strlen(path), quote),
			      before->line);
	return -EINVAL;
}

/* Legal, and hardly what anybody means. */
static void warn_of_nothing_allowed(const struct df_policy_parser *p)
{
	const struct df_policy_source *src = p->src;

	if (src->settings.default_action != DF_POLICY_BLOCK)
		return;
	for (size_t i = 0; i < src->n_rules; i++) {
		if (src->rules[i].action == DF_POLICY_ALLOW && !src->rules[i].is_exception)
			return;
	}
	df_policy_warn(p->stmt.messages, src->files, &p->default_place,
		       "'default deny' without an allow rule blocks everything; add one");
}

static int parse_text(struct df_policy_parser *p, const char *what, uint32_t *ret)
{
	char text[DF_STMT_STRING_MAX + 1];
	unsigned column;
	int r = df_stmt_string(&p->stmt, what, text, &column);

	if (r < 0)
		return r;
	r = df_stmt_end(&p->stmt, "put text with blanks in double quotes");
	if (r < 0)
		return r;
	return df_strpool_add(&p->src->strings, text, strlen(text), ret);
}

static int parse_owner(struct df_policy_parser *p)
{
	return parse_text(p, "a text", &p->owner);
}

/* As a rule before the first hint of its file. */
static void give_hint(const struct df_policy_parser *p, struct df_policy_source_texts *t)
{
	if (!t->is_made || t->has_hint || t->file != p->file)
		return;
	t->hint = p->hint;
	t->has_hint = true;
}

static int parse_hint(struct df_policy_parser *p)
{
	struct df_policy_source *src = p->src;
	int r = parse_text(p, "a text", &p->hint);

	if (r < 0 || p->has_hint)
		return r;
	p->has_hint = true;
	give_hint(p, &src->settings.default_texts);
	give_hint(p, &src->settings.raw_texts);
	for (size_t i = p->first_rule; i < src->n_rules; i++) {
		if (src->rules[i].has_hint)
			continue;
		src->rules[i].hint = p->hint;
		src->rules[i].has_hint = true;
	}
	return 0;
}

static int add_ports(struct df_policy_parser *p, unsigned column, struct df_policy_range ports)
{
	struct df_ports all = p->src->ports;

	if (ports.lo == 0)
		return 0;
	if (df_ports_add_range(&all, ports) < 0 || all.n_classes > DF_POLICY_CLASSES_MAX) {
		df_stmt_error(&p->stmt, column,
			      "the policy tells too many ports apart; at most %u groups of ports "
			      "that its rules treat alike, so name fewer or wider ranges",
			      DF_POLICY_CLASSES_MAX - DF_PORTS_FIRST_NAMED);
		return -EINVAL;
	}
	p->src->ports = all;
	return 0;
}

int df_policy_add_rule(struct df_policy_parser *p, unsigned column,
		       const struct df_policy_source_rule *rule, uint32_t *ret)
{
	struct df_policy_source *src = p->src;
	struct df_policy_source_rule *added;
	int r = add_ports(p, column, rule->ports);

	if (r < 0)
		return r;
	if (df_array_reserve(&src->rules, &src->rules_cap, src->n_rules + 1, sizeof(*added)) < 0)
		return -ENOMEM;
	added = &src->rules[src->n_rules];
	*added = *rule;
	added->place = df_policy_here(p);
	added->owner = p->owner;
	added->hint = p->hint;
	added->has_hint = p->has_hint;
	added->is_implied = p->is_implied;
	*ret = (uint32_t)src->n_rules++;
	return 0;
}

static int add_name(struct df_policy_source *src, const struct df_dname *name, uint32_t rule)
{
	if (src->names_len + name->len > DF_POLICY_NAMES_MAX)
		return -E2BIG;
	if (df_array_reserve(&src->named, &src->named_cap, src->n_named + 1, sizeof(*src->named)) <
		    0 ||
	    df_array_reserve(&src->names, &src->names_cap, src->names_len + name->len, 1) < 0)
		return -ENOMEM;
	src->named[src->n_named++] = (struct df_policy_source_name){
		.name = (uint32_t)src->names_len,
		.rule = rule,
	};
	memcpy(src->names + src->names_len, name->wire, name->len);
	src->names_len += name->len;
	return 0;
}

int df_policy_add_target(struct df_policy_source *src, const struct df_policy_target *t,
			 uint32_t rule)
{
	struct df_policy_source_net *n;

	if (t->is_name)
		return add_name(src, &t->name, rule);
	if (df_array_reserve(&src->nets, &src->nets_cap, src->n_nets + 1, sizeof(*n)) < 0)
		return -ENOMEM;
	n = &src->nets[src->n_nets++];
	n->rule = rule;
	n->prefix_len = (uint8_t)df_value_net_mapped(&t->net, n->addr);
	return 0;
}

/*
 * Rules of addresses are final: one for port 853 of all would undo `allow dns.example:853`.
 * And a policy that tells as many ports apart as there may be is no error of its author's.
 */
static bool is_left_out(const struct df_policy_parser *p, struct df_policy_range ports)
{
	struct df_ports all = p->src->ports;

	if (!p->is_implied || ports.lo == 0)
		return false;
	for (size_t i = 0; i < p->src->n_rules; i++) {
		const struct df_policy_source_rule *rule = &p->src->rules[i];

		if (rule->action == DF_POLICY_ALLOW && rule->ports.lo &&
		    rule->ports.lo <= ports.hi && ports.lo <= rule->ports.hi)
			return true;
	}
	return df_ports_add_range(&all, ports) < 0 || all.n_classes > DF_POLICY_CLASSES_MAX;
}

static int parse_rule(struct df_policy_parser *p, enum df_policy_action action)
{
	struct df_policy_source_rule rule = {.action = (uint8_t)action};
	struct df_value_error error;
	struct df_policy_target t;
	char text[RULE_TEXT_MAX];
	struct df_word w;
	uint32_t index;
	int r = df_stmt_need(&p->stmt, "a name, an address or a network", &w);

	if (r < 0)
		return r;
	if (df_policy_target_parse(w.s, w.len, &t, &error) < 0)
		return df_policy_refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one name a statement");
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%s %.*s", action == DF_POLICY_BLOCK ? "block" : "allow",
		       (int)w.len, w.s);
	r = df_strpool_add(&p->src->strings, text, strlen(text), &rule.text);
	if (r < 0)
		return r;
	rule.scope = (uint8_t)(t.is_name ? t.scope : DF_POLICY_NET);
	rule.ports = (struct df_policy_range){t.ports.proto, t.ports.lo, t.ports.hi};
	if (is_left_out(p, rule.ports))
		return 0;
	r = df_policy_add_rule(p, w.column, &rule, &index);
	return r < 0 ? r : df_policy_add_target(p->src, &t, index);
}

static int parse_block(struct df_policy_parser *p)
{
	return parse_rule(p, DF_POLICY_BLOCK);
}

static int parse_allow(struct df_policy_parser *p)
{
	return parse_rule(p, DF_POLICY_ALLOW);
}

static const struct df_policy_statement statements[] = {
	{"block", parse_block, false},
	{"allow", parse_allow, false},
	{"block-list", df_policy_parse_block_list, false},
	{"allow-list", df_policy_parse_allow_list, false},
	{"include", df_policy_parse_include, false},
	{"owner", parse_owner, false},
	{"hint", parse_hint, false},
	{NULL, NULL, false},
};

/* Settings first, as a policy has them. */
static const struct df_policy_statement *statement_at(size_t i)
{
	const struct df_policy_statement *s = df_policy_settings_statements;

	while (s->name && i > 0) {
		s++;
		i--;
	}
	return s->name ? s : &statements[i];
}

static int parse_statement(struct df_policy_parser *p)
{
	const struct df_word *keyword = &p->stmt.keyword;
	const char *names[DF_POLICY_STATEMENTS_MAX + 1] = {NULL};
	const struct df_policy_statement *s;

	for (size_t i = 0; i < DF_POLICY_STATEMENTS_MAX && (s = statement_at(i))->name; i++) {
		names[i] = s->name;
		if (!df_word_is(keyword, s->name))
			continue;
		if (s->is_scalar && p->first[i].line)
			return df_policy_refuse_twice(p, keyword->column, keyword, &p->first[i]);
		p->first[i] = df_policy_here(p);
		return s->parse(p);
	}
	df_stmt_unknown(&p->stmt, names);
	return -EINVAL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

int df_policy_parse_file(struct df_policy_parser *p, uint32_t file, const char *text, size_t len)
{
	struct df_policy_file *f = &p->src->files->list[file];
	const char *name = *f->path ? base_name(f->path) : "policy";
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
		/* -EINVAL is in the messages; the other errors of the file are wanted too. */
		if (r == -EINVAL)
			r = 0;
	}
	p->is_open[file] = false;
	return r;
}

static bool wants_list(const struct df_policy_settings *s)
{
	if (s->encrypted_dns)
		return s->encrypted_dns == DF_POLICY_BLOCK;
	return s->default_action == DF_POLICY_BLOCK;
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

	ret->settings = (struct df_policy_settings){
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
	/* a file that was cut or never written must not allow everything */
	if (ret->n_statements == 0 && messages->n_errors == 0)
		df_messages_error(messages, 0, 0,
				  "the policy is empty; write at least one statement, as "
				  "'default allow'");
	df_policy_settings_finish(&p);
	warn_of_nothing_allowed(&p);
	if (reading->data_dir && wants_list(&ret->settings))
		r = df_policy_parse_implied(&p, reading->data_dir);
	if (r < 0)
		return r;
	return messages->is_out_of_memory ? -ENOMEM : 0;
}
