/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy_parse.h"

#include <errno.h>
#include <string.h>

#include "lib/array.h"
#include "lib/policy_format.h"
#include "lib/policy_statement.h"
#include "lib/policy_target.h"
#include "lib/util.h"

#define STATEMENTS_MAX 32 /* more than there are */
/* "block", a name, ports: what df_policy_target_parse lets through is not longer. */
#define RULE_TEXT_MAX 400

void df_policy_source_done(struct df_policy_source *src)
{
	free(src->rules);
	free(src->named);
	free(src->nets);
	free(src->names);
	df_strpool_done(&src->strings);
	*src = (struct df_policy_source){0};
}

int df_policy_refuse_value(struct df_policy_parser *p, unsigned column,
			   const struct df_value_error *error)
{
	df_stmt_error(&p->stmt, column + (unsigned)error->offset, "%s", error->text);
	return -EINVAL;
}

static int refuse_statement(struct df_policy_parser *p)
{
	const struct df_word *keyword = &p->stmt.keyword;

	df_stmt_error(&p->stmt, keyword->column,
		      "'%.*s' is not supported yet; remove the statement", (int)keyword->len,
		      keyword->s);
	return -EINVAL;
}

/* Legal, and hardly what anybody means. */
static void warn_of_nothing_allowed(const struct df_policy_parser *p, struct df_messages *messages)
{
	if (p->src->settings.default_action != DF_POLICY_BLOCK)
		return;
	for (size_t i = 0; i < p->src->n_rules; i++) {
		if (p->src->rules[i].action == DF_POLICY_ALLOW)
			return;
	}
	df_messages_warning(messages, p->default_line, p->default_column,
			    "'default deny' without an allow rule blocks everything; add one");
}

/* A path as a value.  What it may be is for the version that opens it to say. */
static int parse_path(struct df_policy_parser *p)
{
	char path[DF_STMT_STRING_MAX + 1];
	unsigned column;
	int r = df_stmt_string(&p->stmt, "a file", path, &column);

	if (r < 0)
		return r;
	if (path[0] == '\0') {
		df_stmt_error(&p->stmt, column, "empty file name; write a path");
		return -EINVAL;
	}
	return 0;
}

static int parse_include(struct df_policy_parser *p)
{
	int r = parse_path(p);

	if (r < 0)
		return r;
	r = df_stmt_end(&p->stmt, "one file a statement");
	return r < 0 ? r : refuse_statement(p);
}

static int parse_list(struct df_policy_parser *p)
{
	int r = parse_path(p);

	if (r < 0)
		return r;
	r = df_stmt_choice(&p->stmt,
			   DF_POLICY_CHOICES("plain", "hosts", "adblock", "rpz", "dnsmasq"));
	return r < 0 ? r : refuse_statement(p);
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

static int parse_hint(struct df_policy_parser *p)
{
	int r = parse_text(p, "a text", &p->hint);

	if (r < 0 || p->has_hint)
		return r;
	p->has_hint = true;
	p->first_hint = p->hint;
	p->n_before_hint = p->src->n_rules;
	return 0;
}

static int add_ports(struct df_policy_parser *p, const struct df_word *w,
		     struct df_policy_range ports)
{
	struct df_ports all = p->src->ports;

	if (ports.lo == 0)
		return 0;
	if (df_ports_add_range(&all, ports) < 0 || all.n_classes > DF_POLICY_CLASSES_MAX) {
		df_stmt_error(&p->stmt, w->column,
			      "the policy tells too many ports apart; at most %u groups of ports "
			      "that its rules treat alike, so name fewer or wider ranges",
			      DF_POLICY_CLASSES_MAX - DF_PORTS_FIRST_NAMED);
		return -EINVAL;
	}
	p->src->ports = all;
	return 0;
}

static int add_name(struct df_policy_source *src, const struct df_dname *name, uint32_t rule)
{
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

static int add_net(struct df_policy_source *src, const struct df_value_net *net, uint32_t rule)
{
	struct df_policy_source_net *n;

	if (df_array_reserve(&src->nets, &src->nets_cap, src->n_nets + 1, sizeof(*n)) < 0)
		return -ENOMEM;
	n = &src->nets[src->n_nets++];
	n->rule = rule;
	n->prefix_len = (uint8_t)df_value_net_mapped(net, n->addr);
	return 0;
}

static int add_rule(struct df_policy_parser *p, enum df_policy_action action,
		    const struct df_word *w, const struct df_policy_target *t)
{
	struct df_policy_source *src = p->src;
	struct df_policy_source_rule rule = {
		.line = p->stmt.line,
		.column = p->stmt.keyword.column,
		.owner = p->owner,
		.hint = p->hint,
		.ports = {t->ports.proto, t->ports.lo, t->ports.hi},
		.action = (uint8_t)action,
		.scope = (uint8_t)(t->is_name ? t->scope : DF_POLICY_NET),
	};
	uint32_t i = (uint32_t)src->n_rules;
	char text[RULE_TEXT_MAX];
	int r = add_ports(p, w, rule.ports);

	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%s %.*s", action == DF_POLICY_BLOCK ? "block" : "allow",
		       (int)w->len, w->s);
	r = df_strpool_add(&src->strings, text, strlen(text), &rule.text);
	if (r < 0)
		return r;
	if (df_array_reserve(&src->rules, &src->rules_cap, src->n_rules + 1, sizeof(rule)) < 0)
		return -ENOMEM;
	src->rules[src->n_rules++] = rule;
	return t->is_name ? add_name(src, &t->name, i) : add_net(src, &t->net, i);
}

static int parse_rule(struct df_policy_parser *p, enum df_policy_action action)
{
	struct df_value_error error;
	struct df_policy_target t;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "a name, an address or a network", &w);

	if (r < 0)
		return r;
	if (df_policy_target_parse(w.s, w.len, &t, &error) < 0)
		return df_policy_refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one name a statement");
	return r < 0 ? r : add_rule(p, action, &w, &t);
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
	{"block", parse_block, false},     {"allow", parse_allow, false},
	{"block-list", parse_list, false}, {"allow-list", parse_list, false},
	{"include", parse_include, false}, {"owner", parse_owner, false},
	{"hint", parse_hint, false},       {NULL, NULL, false},
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

/* first_lines: by statement, of those that may be made once; 0: not yet. */
static int parse_statement(struct df_policy_parser *p, unsigned first_lines[static STATEMENTS_MAX])
{
	const struct df_word *keyword = &p->stmt.keyword;
	const char *names[STATEMENTS_MAX + 1] = {NULL};
	const struct df_policy_statement *s;

	for (size_t i = 0; i < STATEMENTS_MAX && (s = statement_at(i))->name; i++) {
		names[i] = s->name;
		if (!df_word_is(keyword, s->name))
			continue;
		if (s->is_scalar && first_lines[i]) {
			df_stmt_error(&p->stmt, keyword->column,
				      "'%s' is set twice; line %u has set it", s->name,
				      first_lines[i]);
			return -EINVAL;
		}
		first_lines[i] = p->stmt.line;
		return s->parse(p);
	}
	df_stmt_unknown(&p->stmt, names);
	return -EINVAL;
}

int df_policy_parse(const char *text, size_t len, struct df_messages *messages,
		    struct df_policy_source *ret)
{
	unsigned first_lines[STATEMENTS_MAX] = {0};
	struct df_policy_parser p = {.src = ret};

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
	df_stmt_init(&p.stmt, text, len, messages);
	while (df_stmt_next(&p.stmt)) {
		int r = parse_statement(&p, first_lines);

		/* -EINVAL is in the messages; the other errors of the file are wanted too. */
		if (r < 0 && r != -EINVAL)
			return r;
	}
	for (size_t i = 0; p.has_hint && i < p.n_before_hint; i++)
		ret->rules[i].hint = p.first_hint;
	df_policy_settings_finish(&p);
	warn_of_nothing_allowed(&p, messages);
	return messages->is_out_of_memory ? -ENOMEM : 0;
}
