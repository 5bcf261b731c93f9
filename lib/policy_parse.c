/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy_parse.h"

#include <errno.h>
#include <string.h>

#include "lib/array.h"
#include "lib/policy_target.h"
#include "lib/policy_value.h"
#include "lib/stmt.h"
#include "lib/util.h"

#define STATEMENTS_MAX 32 /* more than there are; first_line has one entry each */

#define CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct parser {
	struct df_policy_source *src;
	struct df_stmt stmt;
	uint32_t owner, hint, first_hint; /* offsets in strings */
	size_t n_before_hint;             /* rules before the first hint */
	bool has_hint;
	unsigned default_line, default_column;
	unsigned first_line[STATEMENTS_MAX]; /* by statement; 0: not set yet */
};

void df_policy_source_done(struct df_policy_source *src)
{
	free(src->rules);
	free(src->names);
	df_strpool_done(&src->strings);
	*src = (struct df_policy_source){0};
}

static int refuse_unsupported(struct parser *p, unsigned column, const char *what)
{
	df_stmt_error(&p->stmt, column, "%s is not supported yet; remove the statement", what);
	return -EINVAL;
}

static int refuse_statement(struct parser *p)
{
	const struct df_word *keyword = &p->stmt.keyword;

	df_stmt_error(&p->stmt, keyword->column,
		      "'%.*s' is not supported yet; remove the statement", (int)keyword->len,
		      keyword->s);
	return -EINVAL;
}

static int refuse_value(struct parser *p, unsigned column, const struct df_value_error *error)
{
	df_stmt_error(&p->stmt, column + (unsigned)error->offset, "%s", error->text);
	return -EINVAL;
}

/*
 * Scalars of which only one value is what this version does.  choices[0] is that
 * value; the others are refused.
 */
static int parse_only_first(struct parser *p, const char *const *choices)
{
	const struct df_word *keyword = &p->stmt.keyword;
	struct df_word w;
	int choice = df_stmt_choice_next(&p->stmt, choices, &w);
	int r = choice < 0 ? choice : df_stmt_end(&p->stmt, "one value only");

	if (r < 0 || choice == 0)
		return r;
	df_stmt_error(&p->stmt, w.column, "'%.*s %s' is not supported yet; this version does %s",
		      (int)keyword->len, keyword->s, choices[choice], choices[0]);
	return -EINVAL;
}

static int parse_mode(struct parser *p)
{
	int choice = df_stmt_choice(&p->stmt, CHOICES("enforce", "audit"));

	if (choice < 0)
		return choice;
	p->src->mode = choice == 0 ? DF_POLICY_ENFORCE : DF_POLICY_AUDIT;
	return 0;
}

static int parse_default(struct parser *p)
{
	unsigned column = p->stmt.keyword.column;
	int choice = df_stmt_choice(&p->stmt, CHOICES("allow", "deny"));

	if (choice < 0)
		return choice;
	p->src->default_action = choice == 0 ? DF_POLICY_ALLOW : DF_POLICY_BLOCK;
	p->default_line = p->stmt.line;
	p->default_column = column;
	return 0;
}

/* Legal, and hardly what anybody means. */
static void warn_of_nothing_allowed(const struct parser *p, struct df_messages *messages)
{
	if (p->src->default_action != DF_POLICY_BLOCK)
		return;
	for (size_t i = 0; i < p->src->n_rules; i++) {
		if (p->src->rules[i].action == DF_POLICY_ALLOW)
			return;
	}
	df_messages_warning(messages, p->default_line, p->default_column,
			    "'default deny' without an allow rule blocks every name; add one");
}

static int parse_refuse_dns(struct parser *p)
{
	static const enum df_policy_refuse_dns values[] = {
		DF_POLICY_NXDOMAIN,
		DF_POLICY_REFUSED,
		DF_POLICY_SINKHOLE,
	};
	int choice = df_stmt_choice(&p->stmt, CHOICES("nxdomain", "refused", "sinkhole"));

	if (choice < 0)
		return choice;
	p->src->refuse_dns = values[choice];
	return 0;
}

static int parse_raw_ip(struct parser *p)
{
	return parse_only_first(p, CHOICES("allow", "block", "audit"));
}

static int parse_pin_blocked(struct parser *p)
{
	return parse_only_first(p, CHOICES("no", "yes", "on-refusal"));
}

static int parse_refuse_with(struct parser *p)
{
	return parse_only_first(
		p, CHOICES("EPERM", "EACCES", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"));
}

static int parse_nested_netns(struct parser *p)
{
	return parse_only_first(p, CHOICES("refuse", "allow"));
}

static int parse_shared_address(struct parser *p)
{
	int r = df_stmt_choice(&p->stmt, CHOICES("sni", "allow", "block"));

	return r < 0 ? r : refuse_statement(p);
}

static int parse_enforce_share(struct parser *p)
{
	struct df_value_error error;
	struct df_word w;
	unsigned share;
	int r = df_stmt_need(&p->stmt, "a share of containers, as 10%", &w);

	if (r < 0)
		return r;
	if (df_value_share(w.s, w.len, &share, &error) < 0)
		return refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one value only");
	if (r == 0)
		p->src->enforce_share = share;
	return r;
}

static int parse_keep_learned(struct parser *p)
{
	struct df_value_error error;
	struct df_word w;
	uint64_t seconds;
	int r = df_stmt_need(&p->stmt, "a duration, as 1h", &w);

	if (r < 0)
		return r;
	if (df_value_duration(w.s, w.len, &seconds, &error) < 0)
		return refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one value only");
	return r < 0 ? r : refuse_statement(p);
}

static int parse_resolver(struct parser *p)
{
	struct df_value_error error;
	struct df_value_net net;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "an address, as 10.0.0.2", &w);

	if (r < 0)
		return r;
	do {
		const char *slash = memchr(w.s, '/', w.len);

		if (slash) {
			df_stmt_error(&p->stmt, w.column + (unsigned)(slash - w.s),
				      "a network; a resolver is one address");
			return -EINVAL;
		}
		if (df_value_net(w.s, w.len, &net, &error) < 0)
			return refuse_value(p, w.column, &error);
	} while (df_stmt_word(&p->stmt, &w));
	return refuse_statement(p);
}

/* FINDING… warn|refuse: the last word is the action, all before it are findings. */
static int parse_on_leak(struct parser *p)
{
	const char *const *findings = CHOICES(
		"all", "cap-net-raw", "cap-net-admin", "cap-sys-admin", "cap-bpf", "privileged",
		"host-cgroup", "engine-socket", "resolver-socket", "tun-device", "passed-fds",
		"http-proxy", "loopback-resolver", "shared-netns", "host-network");
	struct df_word w;
	unsigned n = 0;

	while (df_stmt_word(&p->stmt, &w)) {
		bool is_refuse = df_word_is(&w, "refuse"), is_known = false;
		char quote[DF_MESSAGES_QUOTE];

		if (n > 0 && (is_refuse || df_word_is(&w, "warn"))) {
			int r = df_stmt_end(&p->stmt, "warn | refuse stands last");

			if (r < 0 || !is_refuse)
				return r;
			return refuse_unsupported(p, w.column, "'on-leak … refuse'");
		}
		for (size_t i = 0; findings[i] && !is_known; i++)
			is_known = df_word_is(&w, findings[i]);
		if (!is_known) {
			df_stmt_error(&p->stmt, w.column,
				      "unknown finding '%s'; write all, or names that "
				      "'deployfence doctor' lists, as cap-net-raw",
				      df_messages_quote(w.s, w.len, quote));
			return -EINVAL;
		}
		n++;
	}
	return df_stmt_need(&p->stmt, n ? "warn | refuse at its end" : "FINDING… warn | refuse",
			    &w);
}

/* A path as a value.  What it may be is for the version that opens it to say. */
static int parse_path(struct parser *p)
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

static int parse_include(struct parser *p)
{
	int r = parse_path(p);

	if (r < 0)
		return r;
	r = df_stmt_end(&p->stmt, "one file a statement");
	return r < 0 ? r : refuse_statement(p);
}

static int parse_list(struct parser *p)
{
	int r = parse_path(p);

	if (r < 0)
		return r;
	r = df_stmt_choice(&p->stmt, CHOICES("plain", "hosts", "adblock", "rpz", "dnsmasq"));
	return r < 0 ? r : refuse_statement(p);
}

static int parse_text(struct parser *p, const char *what, uint32_t *ret)
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

static int parse_owner(struct parser *p)
{
	return parse_text(p, "a text", &p->owner);
}

static int parse_hint(struct parser *p)
{
	int r = parse_text(p, "a text", &p->hint);

	if (r < 0 || p->has_hint)
		return r;
	p->has_hint = true;
	p->first_hint = p->hint;
	p->n_before_hint = p->src->n_rules;
	return 0;
}

static int add_rule(struct parser *p, enum df_policy_action action, const struct df_word *w,
		    const struct df_policy_target *t)
{
	struct df_policy_source *src = p->src;
	struct df_policy_source_rule rule = {
		.name = (uint32_t)src->names_len,
		.line = p->stmt.line,
		.column = p->stmt.keyword.column,
		.owner = p->owner,
		.hint = p->hint,
		.action = (uint8_t)action,
		.scope = (uint8_t)t->scope,
	};
	char text[sizeof("block *.") + DF_DNAME_MAX]; /* a refused name is no longer here */
	int r, len = snprintf(text, sizeof(text), "%s %.*s",
			      action == DF_POLICY_BLOCK ? "block" : "allow", (int)w->len, w->s);

	r = df_strpool_add(&src->strings, text, (size_t)len, &rule.text);
	if (r < 0)
		return r;
	if (df_array_reserve(&src->rules, &src->rules_cap, src->n_rules + 1, sizeof(rule)) < 0 ||
	    df_array_reserve(&src->names, &src->names_cap, src->names_len + t->name.len, 1) < 0)
		return -ENOMEM;
	src->rules[src->n_rules++] = rule;
	memcpy(src->names + src->names_len, t->name.wire, t->name.len);
	src->names_len += t->name.len;
	return 0;
}

static int parse_rule(struct parser *p, enum df_policy_action action)
{
	struct df_value_error error;
	struct df_policy_target t;
	struct df_word w;
	int r = df_stmt_need(&p->stmt, "a name, an address or a network", &w);

	if (r < 0)
		return r;
	if (df_policy_target_parse(w.s, w.len, &t, &error) < 0)
		return refuse_value(p, w.column, &error);
	r = df_stmt_end(&p->stmt, "one name a statement");
	if (r < 0)
		return r;
	if (!t.is_name)
		return refuse_unsupported(p, w.column, "a rule for addresses");
	if (t.ports.lo)
		return refuse_unsupported(p, w.column, "a rule with ports");
	return add_rule(p, action, &w, &t);
}

static int parse_block(struct parser *p)
{
	return parse_rule(p, DF_POLICY_BLOCK);
}

static int parse_allow(struct parser *p)
{
	return parse_rule(p, DF_POLICY_ALLOW);
}

static const struct statement {
	const char *name;
	int (*parse)(struct parser *p);
	bool is_scalar; /* may be set once */
} statements[] = {
	{"mode", parse_mode, true},
	{"enforce-share", parse_enforce_share, true},
	{"default", parse_default, true},
	{"block", parse_block, false},
	{"allow", parse_allow, false},
	{"block-list", parse_list, false},
	{"allow-list", parse_list, false},
	{"include", parse_include, false},
	{"raw-ip", parse_raw_ip, true},
	{"pin-blocked", parse_pin_blocked, true},
	{"shared-address", parse_shared_address, true},
	{"keep-learned", parse_keep_learned, true},
	{"refuse-dns", parse_refuse_dns, true},
	{"refuse-with", parse_refuse_with, true},
	{"resolver", parse_resolver, false},
	{"on-leak", parse_on_leak, false},
	{"nested-netns", parse_nested_netns, true},
	{"owner", parse_owner, false},
	{"hint", parse_hint, false},
};

_Static_assert(ARRAY_SIZE(statements) < STATEMENTS_MAX, "first_line has an entry for each");

static int parse_statement(struct parser *p)
{
	const struct df_word *keyword = &p->stmt.keyword;
	const char *names[STATEMENTS_MAX] = {NULL};

	for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
		const struct statement *st = &statements[i];

		names[i] = st->name;
		if (!df_word_is(keyword, st->name))
			continue;
		if (st->is_scalar && p->first_line[i]) {
			df_stmt_error(&p->stmt, keyword->column,
				      "'%s' is set twice; line %u has set it", st->name,
				      p->first_line[i]);
			return -EINVAL;
		}
		p->first_line[i] = p->stmt.line;
		return st->parse(p);
	}
	df_stmt_unknown(&p->stmt, names);
	return -EINVAL;
}

int df_policy_parse(const char *text, size_t len, struct df_messages *messages,
		    struct df_policy_source *ret)
{
	struct parser p = {.src = ret};

	ret->mode = DF_POLICY_ENFORCE;
	ret->default_action = DF_POLICY_ALLOW;
	ret->refuse_dns = DF_POLICY_NXDOMAIN;
	ret->enforce_share = 100;
	df_stmt_init(&p.stmt, text, len, messages);
	while (df_stmt_next(&p.stmt)) {
		int r = parse_statement(&p);

		/* -EINVAL is in the messages; the other errors of the file are wanted too. */
		if (r < 0 && r != -EINVAL)
			return r;
	}
	for (size_t i = 0; p.has_hint && i < p.n_before_hint; i++)
		ret->rules[i].hint = p.first_hint;
	warn_of_nothing_allowed(&p, messages);
	return messages->is_out_of_memory ? -ENOMEM : 0;
}
