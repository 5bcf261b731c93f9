/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence check: lints a policy, and says what it makes of names and addresses. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/internal.h"
#include "cli/judge.h"
#include "cli/text.h"
#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "lib/policy/conf.h"
#include "lib/policy/verdict.h"

#define SUFFIX ".policy"

struct check {
	bool is_json;
	const char *asked;                             /* -p */
	char names[DF_TABLES][DF_POLICY_NAME_MAX + 1]; /* of own and base policy; "": none */
	struct df_policy_result compiled[DF_TABLES];
	struct df_tables tables;
	char disabled[DF_CONF_SWITCH_TEXT_MAX]; /* the reason of the kill switch; "": not thrown */
	char note[DF_CONF_SWITCH_TEXT_MAX + 128]; /* about the host's configuration; "": none */
	struct df_judge_answer *answers;
	size_t n, width_argument, width_verdict, width_rule;
};

static bool is_path(const char *s)
{
	size_t len = strlen(s);

	return strchr(s, '/') ||
	       (len > strlen(SUFFIX) && strcmp(s + len - strlen(SUFFIX), SUFFIX) == 0);
}

/* The name that a file has as a policy: its base name without ".policy". */
static void name_of(const char *path, char ret[static DF_POLICY_NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t len = strlen(base);

	if (len > strlen(SUFFIX) && strcmp(base + len - strlen(SUFFIX), SUFFIX) == 0)
		len -= strlen(SUFFIX);
	if (df_policy_is_name(base, len))
		(void)snprintf(ret, DF_POLICY_NAME_MAX + 1, "%.*s", (int)len, base);
	else
		(void)snprintf(ret, DF_POLICY_NAME_MAX + 1, "policy");
}

/*
 * The host's part: its default policy, its base policy and its kill switch.  A policy that
 * is named can be checked where the configuration has errors.
 */
static int read_host(struct check *c)
{
	_cleanup_free_ char *messages = NULL;
	char text[DF_CONF_SWITCH_TEXT_MAX];
	struct df_conf_host conf;
	int r;

	switch (df_conf_switch(DF_DISABLED_FILE, time(NULL), text)) {
	case DF_CONF_SWITCH_NONE:
		break;
	case DF_CONF_SWITCH_THROWN:
		memcpy(c->disabled, text, sizeof(text));
		break;
	case DF_CONF_SWITCH_VOID:
		(void)snprintf(c->note, sizeof(c->note), "%s does not count: %s", DF_DISABLED_FILE,
			       text);
		break;
	}
	df_conf_init(&conf);
	r = df_conf_load(DF_CONF_FILE, &conf, &messages);
	if (r < 0 && c->asked) {
		(void)snprintf(c->note, sizeof(c->note),
			       "%s cannot be used: a base policy that it names is not judged",
			       DF_CONF_FILE);
		return 0;
	}
	if (r < 0) {
		c->compiled[DF_TABLE_OWN].messages = TAKE_PTR(messages);
		c->compiled[DF_TABLE_OWN].n_errors = 1;
		return r;
	}
	if (!c->asked)
		(void)snprintf(c->names[DF_TABLE_OWN], sizeof(c->names[0]), "%s",
			       conf.default_policy);
	(void)snprintf(c->names[DF_TABLE_BASE], sizeof(c->names[0]), "%s", conf.base_policy);
	return 0;
}

/* Where the hook reads policies it refuses those that others could have written. */
static enum df_policy_trust trust_of(const char *path)
{
	static const char *const dirs[] = {DF_POLICY_DIR "/", DF_POLICY_DATA_DIR "/"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (strncmp(path, dirs[i], strlen(dirs[i])) == 0)
			return DF_POLICY_TRUST_WARN;
	}
	return DF_POLICY_TRUST_ANY;
}

/* The modes are those of a container that asks for none, and is among the enforce-share. */
static int open_table(struct check *c, enum df_table_id table)
{
	const struct df_policy_result *made = &c->compiled[table];
	struct df_policy *p = &c->tables.tables[table];
	int r = df_policy_open(made->table, made->table_size, p);

	if (r == 0)
		c->tables.modes[table] =
			df_policy_mode(p) == DF_POLICY_AUDIT ? DF_MODE_AUDIT : DF_MODE_ENFORCE;
	return r;
}

static int compile(struct check *c)
{
	static const char *const dirs[] = {DF_POLICY_DIR, DF_POLICY_DATA_DIR, NULL};
	char *own = c->names[DF_TABLE_OWN];
	const char *base = c->names[DF_TABLE_BASE];
	int r = read_host(c);

	if (r < 0)
		return r;
	if (c->asked && is_path(c->asked)) {
		name_of(c->asked, own);
		r = df_policy_compile_file_in(own, c->asked, DF_POLICY_DATA_DIR, trust_of(c->asked),
					      &c->compiled[DF_TABLE_OWN]);
	} else {
		r = df_policy_compile_name(c->asked ? c->asked : own, dirs, DF_POLICY_TRUST_WARN,
					   &c->compiled[DF_TABLE_OWN]);
		if (c->asked && r == 0)
			(void)snprintf(own, sizeof(c->names[0]), "%s", c->asked);
	}
	if (r == 0)
		r = open_table(c, DF_TABLE_OWN);
	if (r < 0 || !*base || (!(c->asked && is_path(c->asked)) && strcmp(own, base) == 0))
		return r;
	r = df_policy_compile_name(base, dirs, DF_POLICY_TRUST_WARN, &c->compiled[DF_TABLE_BASE]);
	return r == 0 ? open_table(c, DF_TABLE_BASE) : r;
}

static void put(const char *text, size_t width)
{
	size_t columns = df_text_put(stdout, text, strlen(text), DF_TEXT_ALL);

	for (; columns < width; columns++)
		(void)fputc(' ', stdout);
}

static void print_answer(const struct check *c, const struct df_judge_answer *a)
{
	if (*a->error) {
		df_cli_error("%s: %s", a->argument, a->error);
		return;
	}
	put(a->argument, c->width_argument);
	(void)printf("  %-*s  ", (int)c->width_verdict, a->verdict);
	put(a->rule, a->hint ? c->width_rule : 0);
	if (a->hint) {
		(void)fputs("  hint: ", stdout);
		put(a->hint, 0);
	}
	(void)fputc('\n', stdout);
}

static const char *mode_name(const struct check *c)
{
	return c->tables.modes[DF_TABLE_OWN] == DF_MODE_AUDIT ? "audit" : "enforce";
}

static unsigned n_warnings(const struct check *c)
{
	return c->compiled[DF_TABLE_OWN].n_warnings + c->compiled[DF_TABLE_BASE].n_warnings;
}

static void print_lint(const struct check *c)
{
	const struct df_policy *p = &c->tables.tables[DF_TABLE_OWN];

	(void)printf("policy %s: ok", c->names[DF_TABLE_OWN]);
	if (n_warnings(c))
		(void)printf(" with %u warning%s", n_warnings(c), n_warnings(c) == 1 ? "" : "s");
	(void)printf(", mode %s, default %s", mode_name(c),
		     df_policy_default(p) == DF_POLICY_BLOCK ? "deny" : "allow");
	if (*c->names[DF_TABLE_BASE])
		(void)printf(", base policy %s", c->names[DF_TABLE_BASE]);
	(void)fputc('\n', stdout);
}

static void print_text(const struct check *c, int r)
{
	bool is_told = false;

	for (unsigned i = 0; i < DF_TABLES; i++) {
		if (!c->compiled[i].messages)
			continue;
		(void)fputs(c->compiled[i].messages, stderr); /* escaped by who made them */
		is_told = true;
	}
	if (r < 0 && !is_told)
		df_cli_error("%s", strerror(-r));
	if (*c->note)
		df_cli_error("%s", c->note);
	if (r != 0)
		return;
	if (c->n == 0)
		print_lint(c);
	for (size_t i = 0; i < c->n; i++)
		print_answer(c, &c->answers[i]);
	if (*c->disabled)
		(void)printf("the kill switch is in force, and nothing is refused: %s\n",
			     c->disabled);
}

static void put_json_answer(struct df_json_out *j, const struct df_judge_answer *a)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "argument", a->argument);
	if (*a->error) {
		df_json_out_string(j, "error", a->error);
	} else {
		df_json_out_string(j, "domain", *a->domain ? a->domain : NULL);
		df_json_out_string(j, "ip", *a->address ? a->address : NULL);
		if (a->port) {
			df_json_out_uint(j, "port", a->port);
			df_json_out_string(j, "protocol", a->proto == IPPROTO_UDP ? "udp" : "tcp");
		}
		df_json_out_string(j, "verdict", a->verdict);
		df_json_out_string(j, "rule", a->rule);
		df_json_out_string(j, "rule_owner", a->rule_owner);
		df_json_out_string(j, "hint", a->hint);
	}
	df_json_out_close(j, '}');
}

static void put_json_messages(struct df_json_out *j, const struct check *c, int r)
{
	bool is_told = false;

	df_json_out_open(j, "messages", '[');
	for (unsigned i = 0; i < DF_TABLES; i++) {
		char *rest = c->compiled[i].messages;
		const char *line;

		is_told |= rest != NULL;
		while (rest && (line = strsep(&rest, "\n")) && *line)
			df_json_out_string(j, NULL, line);
	}
	if (r < 0 && !is_told)
		df_json_out_string(j, NULL, strerror(-r));
	if (*c->note)
		df_json_out_string(j, NULL, c->note);
	df_json_out_close(j, ']');
}

static void print_json(const struct check *c, int r)
{
	struct df_json_out j = {.out = stdout};
	const char *own = c->names[DF_TABLE_OWN], *base = c->names[DF_TABLE_BASE];

	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(&j, "policy", *own ? own : c->asked);
	df_json_out_string(&j, "base_policy", *base ? base : NULL);
	df_json_out_bool(&j, "usable", r == 0);
	if (r == 0)
		df_json_out_string(&j, "mode", mode_name(c));
	df_json_out_string(&j, "disabled", *c->disabled ? c->disabled : NULL);
	df_json_out_uint(&j, "errors",
			 c->compiled[DF_TABLE_OWN].n_errors + c->compiled[DF_TABLE_BASE].n_errors);
	df_json_out_uint(&j, "warnings", n_warnings(c));
	put_json_messages(&j, c, r);
	df_json_out_open(&j, "names", '[');
	for (size_t i = 0; r == 0 && i < c->n; i++)
		put_json_answer(&j, &c->answers[i]);
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
}

static void judge_all(struct check *c, char **names)
{
	for (size_t i = 0; i < c->n; i++) {
		struct df_judge_answer *a = &c->answers[i];
		size_t width;

		df_judge(&c->tables, names[i], a);
		if (*a->error)
			continue;
		width = df_text_put(NULL, a->argument, strlen(a->argument), DF_TEXT_ALL);
		if (width > c->width_argument)
			c->width_argument = width;
		if (strlen(a->verdict) > c->width_verdict)
			c->width_verdict = strlen(a->verdict);
		width = df_text_put(NULL, a->rule, strlen(a->rule), DF_TEXT_ALL);
		if (a->hint && width > c->width_rule)
			c->width_rule = width;
	}
}

static int run(struct check *c, int n, char **names)
{
	int r = compile(c), status = DF_CLI_OK;

	c->answers = calloc((size_t)n + 1, sizeof(*c->answers));
	if (!c->answers) {
		df_cli_error("out of memory");
		return EX_OSERR;
	}
	c->n = (size_t)n;
	if (r == 0) {
		bool is_audit = c->tables.modes[DF_TABLE_OWN] == DF_MODE_AUDIT;

		c->width_verdict = strlen(is_audit ? "would-block" : "blocked");
		judge_all(c, names);
	}
	if (c->is_json)
		print_json(c, r);
	else
		print_text(c, r);
	if (r < 0)
		return DF_CLI_POLICY;
	for (size_t i = 0; i < c->n; i++) {
		if (*c->answers[i].error)
			return EX_USAGE;
		if (c->answers[i].is_refusal)
			status = DF_CLI_BLOCKED;
	}
	return status;
}

static void usage(FILE *to)
{
	(void)fputs(
		"usage: deployfence check [-p POLICY] [--json] [NAME|ADDRESS[:PORT]]…\n"
		"\n"
		"Lints a policy and says for each name or address whether it is refused, and by\n"
		"which rule.  A PORT may end in /tcp or /udp; an IPv6 address with a port stands\n"
		"in brackets.\n"
		"\n"
		"  -p, --policy POLICY  the name of a policy, or a file: it has a slash, or ends "
		"in\n"
		"                       .policy; without it, the default policy of this host\n"
		"      --json           one JSON object\n"
		"      --help           this text\n"
		"\n"
		"Exit status: 0 all allowed, 1 something is blocked, 2 the policy cannot be "
		"used.\n",
		to);
}

int df_cli_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"policy", required_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	struct check c = {0};
	int option, status;

	while ((option = getopt_long(argc, argv, "hp:", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			c.is_json = true;
			break;
		case 'p':
			c.asked = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	status = run(&c, argc - optind, argv + optind);
	for (unsigned i = 0; i < DF_TABLES; i++)
		df_policy_result_done(&c.compiled[i]);
	free(c.answers);
	return status;
}
