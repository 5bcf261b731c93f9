/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hook: the state that the stages of the hook hand to each other, and its messages.
 *
 * main reads state, configuration and policy; start makes the fence and starts the proxy.  A stage
 * returns 0 or the hook's exit status, with h->reason set.
 *
 * A message goes to syslog and to hook.log.  The person who started the container sees it too where
 * its caller says so: runc prints the hook's stderr; crun sends that to /dev/null, and the line
 * goes to descriptor 2 of the container's init, which podman reads from conmon.
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
	struct df_layout layout;  /* of the kernel; lib/fence/fence.h */
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

/* To syslog and hook.log.  Newlines become blanks. */
void df_hook_note(struct df_hook *h, enum df_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, and to the person who started the container. */
void df_hook_say(struct df_hook *h, enum df_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
