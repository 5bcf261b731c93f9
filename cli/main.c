/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command deployfence and its table of subcommands; deployfence(1). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/internal.h"
#include "cli/text.h"
#include "lib/base/util.h"

#define ERROR_MAX 8192 /* a path and a few words */

static const struct command {
	const char *name;
	const char *what;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"check", "lint a policy, and say what it makes of a name", df_cli_check},
	{"logs", "what fences wrote into their logs", df_cli_logs},
	{"report", "every domain contacted, by which command, how often", df_cli_report},
};

/* Documented for a later version. */
static const char *const planned[] = {"bypass", "disable", "doctor", "enable",  "init", "inspect",
				      "list",   "metrics", "policy", "restart", "run",  "reload"};

void df_cli_error(const char *format, ...)
{
	char line[ERROR_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	(void)fflush(stdout); /* where both go to one place, in the order they were written */
	(void)fputs("deployfence: ", stderr);
	(void)df_text_puts(stderr, line);
	(void)fputc('\n', stderr);
}

static void usage(FILE *to)
{
	(void)fputs("usage: deployfence COMMAND [ARGUMENT]…\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)fprintf(to, "  %-9s  %s\n", commands[i].name, commands[i].what);
	(void)fputs("\n"
		    "  --help     this text; after a command, that command's\n"
		    "  --version  the version\n"
		    "\n"
		    "The manual: deployfence(1).\n",
		    to);
}

static int run(int argc, char **argv)
{
	static char
		program[32]; /* argv[0] of the command, which getopt(3) puts before its messages */

	if (argc < 2) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("deployfence " PACKAGE_VERSION);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		(void)snprintf(program, sizeof(program), "deployfence %s", commands[i].name);
		argv[1] = program;
		return commands[i].run(argc - 1, argv + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(planned); i++) {
		if (strcmp(argv[1], planned[i]) == 0) {
			df_cli_error("%s: not in this version", planned[i]);
			return EX_USAGE;
		}
	}
	df_cli_error("unknown command '%s'; see deployfence --help", argv[1]);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	if (fflush(stdout) != 0 || ferror(stdout)) {
		df_cli_error("write to standard output: %s", strerror(errno));
		return EX_IOERR;
	}
	return status;
}
