/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_parse: the statements that set something. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/statement.h"

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
