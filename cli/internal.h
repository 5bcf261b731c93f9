/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The subcommands of deployfence, in check.c, logs.c and report.c, and their common part: exit
 * statuses and the form of an error.
 *
 * Each is called with argv[0] "deployfence NAME" and returns the exit status.  Results go to
 * stdout, errors to stderr.
 */
#ifndef DF_CLI_INTERNAL_H
#define DF_CLI_INTERNAL_H

#include <sysexits.h>

/* Beside those of sysexits.h; part of the contract: deployfence(1). */
enum df_cli_status {
	DF_CLI_OK = 0,
	DF_CLI_BLOCKED = 1, /* check: a rule is against a name */
	DF_CLI_NEW = 1,     /* report: a dependency is not in the baseline */
	DF_CLI_POLICY = 2,  /* check: the policy cannot be used */
};

#define DF_CLI_SCHEMA 1 /* of every listing in JSON */

int df_cli_check(int argc, char **argv);
int df_cli_logs(int argc, char **argv);
int df_cli_report(int argc, char **argv);

/* "deployfence: …" and a newline to stderr; control characters are escaped. */
void df_cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
