/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hook: what the stages of the hook hand to each other.
 *
 * main reads state, configuration and policy; build makes the fence and starts
 * the proxy.  A stage returns 0 or the hook's exit status, with h->reason set.
 */
#ifndef DF_HOOK_H
#define DF_HOOK_H

#include <stdbool.h>

#include "hook/container.h"
#include "hook/findings/findings.h"
#include "hook/oci/config.h"
#include "hook/oci/state.h"
#include "lib/base/log.h"
#include "lib/fence/fence.h"
#include "lib/fence/launch.h"
#include "lib/fence/listen.h"
#include "lib/fence/lsm.h"
#include "lib/policy/cache.h"
#include "lib/policy/compile.h"
#include "lib/policy/conf.h"
#include "lib/policy/table.h"

#define DF_HOOK_REASON_MAX 8192

struct df_hook {
	bool needs_annotation; /* --require-annotation */
	bool is_docker;        /* --engine=docker */
	bool fences_builds;    /* --build */
	struct df_state state;
	struct df_config config;
	struct df_conf_host conf;
	struct df_container container;
	struct df_findings findings;
	struct df_hook_table {
		bool is_used;
		struct df_policy_result compiled; /* empty if all is in shared */
		struct df_policy_mapped shared;   /* fd -1: it is this fence's alone */
		struct df_policy policy;          /* of the one or the other */
		enum df_mode mode;
	} tables[DF_TABLES];
	enum df_mode mode;            /* the stricter of own and base */
	char stale[DF_META_TEXT_MAX]; /* why a last good table is used; "": none is */
	struct df_listen listen;
	struct df_fence *fence;
	struct df_fence_lsm *lsm; /* NULL: not attached */
	struct df_layout layout;  /* of the kernel; lib/layout */
	bool is_attached, is_switched_off, is_void_switch_said;
	bool sees_others; /* their processes, by its pid namespace: see df_hook_is_fail_open */
	bool is_final;    /* the refusal stands, whatever fail says */
	int run_fd, lock_fd, reports_fd;
	char proxy_cgroup[DF_META_PATH_MAX];
	int proxy_cgroup_fd;
	char reason[DF_HOOK_REASON_MAX]; /* of a failure */
};

/* Sets h->reason and returns status. */
int df_hook_fail(struct df_hook *h, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * fail=open, by annotation or host configuration; always in audit.  Elsewhere not for a container
 * that sees processes of others: it could stop the proxy by a signal, and so open the fence.
 */
bool df_hook_is_fail_open(const struct df_hook *h);

/* Whether annotation or host configuration say so, whatever becomes of it. */
bool df_hook_asks_fail_open(const struct df_hook *h);

/* Journal and hook.log; newlines in line become blanks. */
void df_hook_note(struct df_hook *h, enum df_log_level level, char *line);

/* Finds, compiles and opens the policies, or their last good tables. */
int df_hook_read_policy(struct df_hook *h);

/* Removes the tables that no policy and no fence needs any more. */
void df_hook_sweep_policies(void);

/* With the configuration read: the mode by enforce-share and annotation. */
int df_hook_settle_mode(struct df_hook *h);

/* /run/deployfence/ID and its lock, the kernel programs, their attachment. */
int df_hook_build(struct df_hook *h);

/*
 * Looks at the programs of others on the container's cgroup and on those above it, as far as they
 * can be seen.  0, with what filters there as findings; or 69: a fence would switch one of them
 * off, is not admitted by one, or is one too many.
 */
int df_hook_look_above(struct df_hook *h);

/* Who the container is, as far as state and config.json were read. */
void df_hook_describe(const struct df_hook *h, struct df_meta *m);

/* A sealed memfd with struct df_meta.  fd or -errno. */
int df_hook_make_meta(const struct df_hook *h);

/* Closes what can be closed, then on-leak: 0, or 78 if a policy refuses a finding. */
int df_hook_judge_leaks(struct df_hook *h);

/* Opens report-dir of the configuration that was read; a failure is logged, and is none of h. */
void df_hook_open_reports(struct df_hook *h);

/*
 * The same at poststop, where nothing was read yet, and silently: with a configuration
 * that has errors, events wait where they are.
 */
void df_hook_find_reports(struct df_hook *h);

/* The proxy; when this returns 0 it answers queries. */
int df_hook_start_proxy(struct df_hook *h);

/* Nothing of a fence that was not finished stays. */
void df_hook_undo(struct df_hook *h);

#endif
