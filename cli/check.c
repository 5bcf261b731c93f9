/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deployfence check: lints a policy, and says what it makes of names and addresses. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/internal.h"
#include "cli/judge.h"
#include "cli/text.h"
#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "lib/policy/conf.h"
#include "lib/policy/table.h"

#define SUFFIX ".policy"

struct check {
	bool is_json;
	const char *asked; /* -p */
	char name[DF_POLICY_NAME_MAX + 1];
	struct df_policy_result compiled;
	struct df_policy policy; /* if compiled.table */
	struct df_judgement *answers;
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

/* The default policy of this host.  The configuration is judged too, as the hook would. */
static int default_name(struct check *c)
{
	_cleanup_free_ char *messages = NULL;
	struct df_conf_host conf;
	int r;

	df_conf_init(&conf);
	r = df_conf_load(DF_CONF_FILE, &conf, &messages);
	if (r < 0) {
		c->compiled.messages = TAKE_PTR(messages);
		c->compiled.n_errors = 1;
		return r;
	}
	(void)snprintf(c->name, sizeof(c->name), "%s", conf.default_policy);
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

static int compile(struct check *c)
{
	static const char *const dirs[] = {DF_POLICY_DIR, DF_POLICY_DATA_DIR, NULL};
	int r;

	if (c->asked && is_path(c->asked)) {
		name_of(c->asked, c->name);
		r = df_policy_compile_file_in(c->name, c->asked, DF_POLICY_DATA_DIR,
					      trust_of(c->asked), &c->compiled);
	} else {
		r = c->asked ? 0 : default_name(c);
		if (r < 0)
			return r;
		r = df_policy_compile_name(c->asked ? c->asked : c->name, dirs,
					   DF_POLICY_TRUST_WARN, &c->compiled);
		if (c->asked && r == 0)
			(void)snprintf(c->name, sizeof(c->name), "%s", c->asked);
	}
	if (r == 0)
		r = df_policy_open(c->compiled.table, c->compiled.table_size, &c->policy);
	return r;
}

static void put(const char *text, size_t width)
{
	size_t columns = df_text_put(stdout, text, strlen(text), DF_TEXT_ALL);

	for (; columns < width; columns++)
		(void)fputc(' ', stdout);
}

static void print_answer(const struct check *c, const struct df_judgement *a)
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

static void print_text(const struct check *c, int r)
{
	const struct df_policy_result *made = &c->compiled;

	if (made->messages)
		(void)fputs(made->messages, stderr); /* escaped by who made them */
	else if (r < 0)
		df_cli_error("%s", strerror(-r));
	if (r != 0)
		return;
	if (c->n == 0) {
		(void)printf("policy %s: ok", c->name);
		if (made->n_warnings)
			(void)printf(" with %u warning%s", made->n_warnings,
				     made->n_warnings == 1 ? "" : "s");
		(void)printf(", mode %s, default %s\n",
			     df_policy_mode(&c->policy) == DF_POLICY_AUDIT ? "audit" : "enforce",
			     df_policy_default(&c->policy) == DF_POLICY_BLOCK ? "deny" : "allow");
	}
	for (size_t i = 0; i < c->n; i++)
		print_answer(c, &c->answers[i]);
}

static void put_json_answer(struct df_json_out *j, const struct df_judgement *a)
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
		df_json_out_string(j, "owner", a->owner);
		df_json_out_string(j, "hint", a->hint);
	}
	df_json_out_close(j, '}');
}

static void print_json(const struct check *c, int r)
{
	struct df_json_out j = {.out = stdout};
	char *rest = c->compiled.messages;
	const char *line;

	df_json_out_open(&j, NULL, '{');
	df_json_out_uint(&j, "schema", DF_CLI_SCHEMA);
	df_json_out_string(&j, "policy", *c->name ? c->name : c->asked);
	df_json_out_bool(&j, "usable", r == 0);
	if (r == 0)
		df_json_out_string(&j, "mode",
				   df_policy_mode(&c->policy) == DF_POLICY_AUDIT ? "audit"
										 : "enforce");
	df_json_out_uint(&j, "errors", c->compiled.n_errors);
	df_json_out_uint(&j, "warnings", c->compiled.n_warnings);
	df_json_out_open(&j, "messages", '[');
	while (rest && (line = strsep(&rest, "\n")) && *line)
		df_json_out_string(&j, NULL, line);
	if (!c->compiled.messages && r < 0)
		df_json_out_string(&j, NULL, strerror(-r));
	df_json_out_close(&j, ']');
	df_json_out_open(&j, "names", '[');
	for (size_t i = 0; r == 0 && i < c->n; i++)
		put_json_answer(&j, &c->answers[i]);
	df_json_out_close(&j, ']');
	df_json_out_close(&j, '}');
}

static void judge_all(struct check *c, char **names)
{
	for (size_t i = 0; i < c->n; i++) {
		struct df_judgement *a = &c->answers[i];
		size_t width;

		df_judge(&c->policy, names[i], a);
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
		bool is_audit = df_policy_mode(&c->policy) == DF_POLICY_AUDIT;

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
	df_policy_result_done(&c.compiled);
	free(c.answers);
	return status;
}
