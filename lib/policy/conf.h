/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf: the host's configuration, deployfence.conf(5), and its kill switch.
 *
 * Same syntax and same messages as a policy.  Every statement of the manual is
 * checked in full.
 *
 * A configuration with an error is not used at all: the caller refuses.
 */
#ifndef DF_CONF_H
#define DF_CONF_H

#include <time.h>

#include "lib/base/host_file.h"
#include "lib/policy/compile.h"
#include "lib/policy/text.h"

#define DF_CONF_FILE_MAX (64u << 10) /* a dozen statements with their comments */
#define DF_CONF_REASON_MAX 256       /* octets of a reason, escaped */
#define DF_CONF_SWITCH_TEXT_MAX DF_HOST_FILE_WHY_MAX

enum df_conf_fail { DF_HOST_FAIL_CLOSED = 1, DF_HOST_FAIL_OPEN = 2 };

/* Where events go beside the fence's own files: a set. */
enum df_conf_log {
	DF_CONF_LOG_JOURNAL = 1 << 0,
	DF_CONF_LOG_SYSLOG = 1 << 1,
	DF_CONF_LOG_FILE = 1 << 2,
};

#define DF_CONF_REPORTS_AGE_S (30ull * 86400) /* the defaults of report-keep */
#define DF_CONF_REPORTS_OCTETS (1ull << 30)
#define DF_CONF_REPORTS_OCTETS_MIN (16ull << 20) /* the files of one fence have 8 MiB */

#define DF_CONF_NAMES_MAX 64 /* policies, and annotations, that a file may list */

/* Names of policies, or keys of annotations. */
struct df_conf_names {
	unsigned n;
	char names[DF_CONF_NAMES_MAX][DF_POLICY_NAME_MAX + 1];
};

struct df_conf_host {
	char default_policy[DF_POLICY_NAME_MAX + 1];
	char base_policy[DF_POLICY_NAME_MAX + 1]; /* "": none */
	bool has_annotations;                     /* the statement is there: only these keys */
	struct df_conf_names annotations;         /* with "deployfence" in front */
	bool may_weaken;                          /* annotations may ask for less than the host */
	struct df_conf_names selectable; /* policies that are no weakening, with the default one */
	bool refuse_on_policy_error;     /* else the last good table */
	enum df_conf_fail fail;
	unsigned log; /* set of enum df_conf_log; 0: none */
	char report_dir[DF_STMT_STRING_MAX + 1];
	uint64_t report_age_s, report_octets; /* limits of report-dir */
};

/*
 * The defaults: default-policy default, fail closed, log journal, all
 * annotations, which may weaken, on-policy-error last-good, report-dir
 * DF_REPORT_DIR, and report-keep 30d 1GiB.
 */
void df_conf_init(struct df_conf_host *ret);

bool df_conf_has_name(const struct df_conf_names *list, const char *name);

/*
 * Reads path; a file that does not exist yields the defaults.  0; -EINVAL: errors
 * in the messages; -EPERM: others than root could have written it (lib/base/host_file.h); -ENOMEM;
 * other -errno of open or read, also with a message.
 * *ret only on success; *ret_messages always (malloc'd, lines with '\n', or NULL).
 */
int df_conf_load(const char *path, struct df_conf_host *ret, char **ret_messages);

/* As above for text of len octets; file is its name in messages. */
int df_conf_parse(const char *file, const char *text, size_t len, struct df_conf_host *ret,
		  char **ret_messages);

/* The state of the host's kill switch, by its file. */
enum df_conf_switch {
	DF_CONF_SWITCH_NONE,   /* there is none, or its time is over */
	DF_CONF_SWITCH_THROWN, /* the host is switched off */
	DF_CONF_SWITCH_VOID,   /* there is a file, and it does not count */
};

/*
 * The host's kill switch.  Its file counts only if it is root's alone (lib/base/host_file.h) and if
 * every line of it is "reason TEXT", "until RFC3339", a comment or blank, with exactly one
 * reason and at most one end: a runtime can be told to leave a file there (crun's
 * run.oci.hooks.stderr), which is empty or holds the output of programs.
 *
 * ret_text: with THROWN the reason, with VOID why it does not count; escaped for a log line.
 */
enum df_conf_switch df_conf_switch(const char *path, time_t now,
				   char ret_text[static DF_CONF_SWITCH_TEXT_MAX]);

/* The remedy for DF_CONF_SWITCH_VOID. */
#define DF_CONF_SWITCH_REMEDY "to switch the host off, write as root: echo 'reason TEXT' >"

/* RFC 3339 5.6 date-time, whole text: "2026-01-31T12:00:00Z", "…T13:00:00.5+01:00".  -EINVAL. */
int df_conf_parse_time(const char *s, size_t len, time_t *ret);

#endif
