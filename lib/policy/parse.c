/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/util.h"
#include "lib/policy/value.h"

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

/* policy_parse: the statements that set something. */
#define CHOICES DF_POLICY_CHOICES

static struct df_policy_settings *settings(struct df_policy_parser *p)
{
	return &p->src->settings;
}

static int parse_mode(struct df_policy_parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("enforce", "audit"));

	if (choice < 0)
		return choice;
	settings(p)->mode = choice == 0 ? DF_POLICY_ENFORCE : DF_POLICY_AUDIT;
	return 0;
}

/* The owner and the hint in force at the current statement. */
static struct df_policy_source_texts texts_here(const struct df_policy_parser *p)
{
	return (struct df_policy_source_texts){.owner = p->owner,
					       .hint = p->hint,
					       .has_hint = p->has_hint,
					       .is_made = true,
					       .file = p->file};
}

static int parse_default(struct df_policy_parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("allow", "deny"));

	if (choice < 0)
		return choice;
	settings(p)->default_action = choice == 0 ? DF_POLICY_ALLOW : DF_POLICY_BLOCK;
	settings(p)->default_texts = texts_here(p);
	p->default_place = df_policy_here(p);
	return 0;
}

static int parse_refuse_dns(struct df_policy_parser *p)
{
	static const enum df_policy_refuse_dns values[] = {
		DF_POLICY_NXDOMAIN,
		DF_POLICY_REFUSED,
		DF_POLICY_SINKHOLE,
	};
	int choice = df_stmt_choice(&p->stmt, CHOICES("nxdomain", "refused", "sinkhole"));

	if (choice < 0)
		return choice;
	settings(p)->refuse_dns = values[choice];
	return 0;
}

static int parse_raw_ip(struct df_policy_parser *p)
{
	static const enum df_policy_raw_ip values[] = {
		DF_POLICY_RAW_ALLOW,
		DF_POLICY_RAW_BLOCK,
		DF_POLICY_RAW_AUDIT,
	};
	int choice = df_stmt_choice(&p->stmt, CHOICES("allow", "block", "audit"));

	if (choice < 0)
		return choice;
	settings(p)->raw_ip = values[choice];
	settings(p)->raw_texts = texts_here(p);
	return 0;
}

static int parse_pin_blocked(struct df_policy_parser *p)
{
	static const enum df_policy_pin values[] = {
		DF_POLICY_PIN_YES,
		DF_POLICY_PIN_ON_REFUSAL,
		DF_POLICY_PIN_NO,
	};
	int choice = df_stmt_choice(&p->stmt, CHOICES("yes", "on-refusal", "no"));

	if (choice < 0)
		return choice;
	settings(p)->pin_blocked = values[choice];
	settings(p)->pin_place = df_policy_here(p);
	return 0;
}

static int parse_shared_address(struct df_policy_parser *p)
{
	static const enum df_policy_shared values[] = {
		DF_POLICY_SHARED_SNI,
		DF_POLICY_SHARED_ALLOW,
		DF_POLICY_SHARED_BLOCK,
	};
	int choice = df_stmt_choice(&p->stmt, CHOICES("sni", "allow", "block"));

	if (choice < 0)
		return choice;
	settings(p)->shared_address = values[choice];
	return 0;
}

static int parse_refuse_with(struct df_policy_parser *p)
{
	static const int values[] = {EPERM, EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH};
	int choice = df_stmt_choice(&p->stmt, CHOICES("EPERM", "EACCES", "ECONNREFUSED",
						      "EHOSTUNREACH", "ENETUNREACH"));

	if (choice < 0)
		return choice;
	settings(p)->refuse_errno = values[choice];
	return 0;
}

static int parse_nested_netns(struct df_policy_parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("refuse", "allow"));

	if (choice < 0)
		return choice;
	settings(p)->is_nested_netns_allowed = choice == 1;
	return 0;
}

static int parse_enforce_share(struct df_policy_parser *p)
{
	struct df_value_error error;
	struct df_word w;
	unsigned share;
	int r = df_stmt_need(&p->stmt, "a share of containers, as 10%", &w);

	if (r < 0)
		return r;
	if (df_value_share(w.s, w.len, &share, &error) < 0)
		return df_policy_refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one value only");
	if (r == 0)
		settings(p)->enforce_share = share;
	return r;
}

static int parse_encrypted_dns(struct df_policy_parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("block", "allow"));

	if (choice < 0)
		return choice;
	settings(p)->encrypted_dns = choice == 0 ? DF_POLICY_BLOCK : DF_POLICY_ALLOW;
	p->encrypted_dns_place = df_policy_here(p);
	return 0;
}

static int parse_keep_learned(struct df_policy_parser *p)
{
	struct df_value_error error;
	struct df_word w;
	uint64_t seconds;
	int r = df_stmt_need(&p->stmt, "a duration, as 1h", &w);

	if (r < 0)
		return r;
	if (df_value_duration(w.s, w.len, &seconds, &error) < 0)
		return df_policy_refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one value only");
	if (r == 0)
		settings(p)->keep_learned_s = (uint32_t)seconds;
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
	struct df_policy_settings *s = settings(p);
	struct df_value_error error;
	struct df_value_net net;
	uint8_t addr[16];

	if (slash) {
		df_stmt_error(&p->stmt, w->column + (unsigned)(slash - w->s),
			      "a network; a resolver is one address");
		return -EINVAL;
	}
	if (df_value_net(w->s, w->len, &net, &error) < 0)
		return df_policy_refuse_value(p, w->column, &error);
	(void)df_value_net_mapped(&net, addr);
	if (is_no_server(addr)) {
		df_stmt_error(&p->stmt, w->column,
			      "no server has this address; write a resolver's");
		return -EINVAL;
	}
	for (unsigned i = 0; i < s->n_resolvers; i++) {
		if (memcmp(s->resolvers[i], addr, sizeof(addr)) == 0)
			return 0;
	}
	if (s->n_resolvers == DF_POLICY_RESOLVERS_MAX) {
		df_stmt_error(&p->stmt, w->column, "too many resolvers; at most %d",
			      DF_POLICY_RESOLVERS_MAX);
		return -EINVAL;
	}
	memcpy(s->resolvers[s->n_resolvers++], addr, sizeof(addr));
	return 0;
}

static int parse_resolver(struct df_policy_parser *p)
{
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "an address, as 10.0.0.2", &w);

	if (r < 0)
		return r;
	do
		r = add_resolver(p, &w);
	while (r == 0 && df_stmt_word(&p->stmt, &w));
	return r;
}

/* A finding said twice is as wrong as any other value that is; `all` is not the same as one. */
static int check_leak_once(struct df_policy_parser *p, const struct df_word *w,
			   struct df_policy_place *place)
{
	if (place->line)
		return df_policy_refuse_twice(p, w->column, w, place);
	*place = df_policy_here(p);
	return 0;
}

static int parse_finding(struct df_policy_parser *p, const struct df_word *w, uint32_t *set,
			 bool *is_all)
{
	char quote[DF_MESSAGES_QUOTE];
	int finding = df_finding_from_name(w->s, w->len);

	if (df_word_is(w, "all")) {
		*is_all = true;
		return check_leak_once(p, w, &p->leak_all_place);
	}
	if (finding < 0) {
		df_stmt_error(&p->stmt, w->column,
			      "unknown finding '%s'; write all, or names of "
			      "deployfence-hook(8), as cap-net-raw",
			      df_messages_quote(w->s, w->len, quote));
		return -EINVAL;
	}
	*set |= UINT32_C(1) << finding;
	return check_leak_once(p, w, &p->leak_place[finding]);
}

/* FINDING… warn|refuse: the last word is the action, all before it are findings. */
static int parse_on_leak(struct df_policy_parser *p)
{
	bool is_all = false, is_refuse = false, has_action = false;
	struct df_word w;
	uint32_t set = 0;
	int r;

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

static uint32_t finish_leaks(const struct df_policy_parser *p, bool is_deny)
{
	uint32_t leaks = 0;

	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		bool is_refused = is_deny && !df_finding_is_circumstance(i);

		if (p->leak_place[i].line)
			is_refused = p->is_leak_refused[i];
		else if (p->leak_all_place.line)
			is_refused = p->is_all_refused;
		leaks |= is_refused ? UINT32_C(1) << i : 0;
	}
	return leaks;
}

void df_policy_settings_finish(struct df_policy_parser *p)
{
	struct df_policy_settings *s = settings(p);
	bool is_deny = s->default_action == DF_POLICY_BLOCK;

	s->leaks = finish_leaks(p, is_deny);
	if (!s->raw_texts.is_made)
		s->raw_texts = s->default_texts;
	if (!s->raw_ip)
		s->raw_ip = is_deny ? DF_POLICY_RAW_BLOCK : DF_POLICY_RAW_ALLOW;
}

const struct df_policy_statement df_policy_settings_statements[] = {
	{"mode", parse_mode, true},
	{"enforce-share", parse_enforce_share, true},
	{"default", parse_default, true},
	{"raw-ip", parse_raw_ip, true},
	{"pin-blocked", parse_pin_blocked, true},
	{"shared-address", parse_shared_address, true},
	{"keep-learned", parse_keep_learned, true},
	{"encrypted-dns", parse_encrypted_dns, true},
	{"refuse-dns", parse_refuse_dns, true},
	{"refuse-with", parse_refuse_with, true},
	{"resolver", parse_resolver, false},
	{"on-leak", parse_on_leak, false},
	{"nested-netns", parse_nested_netns, true},
	{NULL, NULL, false},
};

void df_strpool_done(struct df_strpool *pool)
{
	free(pool->data);
	df_hash_done(&pool->index);
	*pool = (struct df_strpool){0};
}

/* strncmp, as the other string may be the shorter one. */
static bool is_string_at(const struct df_strpool *pool, uint32_t at, const char *s, size_t len)
{
	return strncmp(pool->data + at, s, len) == 0 && pool->data[at + len] == '\0';
}

int df_strpool_add(struct df_strpool *pool, const char *s, size_t len, uint32_t *ret)
{
	size_t start = pool->len ? pool->len : 1;
	struct df_hash_slot *slot;
	uint64_t hash;
	int r;

	if (len >= DF_STRPOOL_MAX - start)
		return -E2BIG;
	r = df_array_reserve(&pool->data, &pool->cap, start + len + 1, 1);
	if (r < 0)
		return r;
	if (pool->len == 0) {
		pool->data[0] = '\0';
		pool->len = 1;
	}
	if (len == 0) {
		*ret = 0;
		return 0;
	}
	r = df_hash_reserve(&pool->index, pool->index.n + 1);
	if (r < 0)
		return r;
	/* Only the administrator's own text comes here, so no seed is needed. */
	hash = df_hash_bytes(DF_HASH_START, s, len);
	slot = df_hash_first(&pool->index, hash);
	while (slot->value && !is_string_at(pool, slot->value, s, len))
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
