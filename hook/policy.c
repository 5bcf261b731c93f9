/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which policy a container gets, and in which mode. */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "hook/demands.h"
#include "hook/hook.h"
#include "lib/policy_store.h"
#include "lib/util.h"

/* For whoever looks after the policy; the container starts. */
static void note_warnings(const struct df_policy_result *compiled)
{
	char *next;

	for (char *line = strtok_r(compiled->messages, "\n", &next); line;
	     line = strtok_r(NULL, "\n", &next))
		(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
}

/* What cannot be kept is no reason to refuse: it is missed only after an error. */
static void keep_table(struct df_hook *h, const char *name, const struct df_policy_result *compiled)
{
	_cleanup_close_ int dir = df_policy_store_open(DF_POLICY_STORE_DIR, true);
	char line[DF_HOOK_REASON_MAX];
	int r = dir < 0 ? dir
			: df_policy_store_save(dir, name, compiled->table, compiled->table_size);

	if (r >= 0)
		return;
	(void)snprintf(line, sizeof(line),
		       "policy %s: keep its table in " DF_POLICY_STORE_DIR ": %s", name,
		       strerror(-r));
	df_hook_note(h, DF_LOG_WARNING, line);
}

/* The last good table in place of one that could not be made. */
static int use_last_good(struct df_hook *h, const char *name, struct df_policy_result *compiled)
{
	_cleanup_close_ int dir = df_policy_store_open(DF_POLICY_STORE_DIR, false);
	char line[DF_HOOK_REASON_MAX];
	size_t size, pos = 0;
	void *table;
	int r = dir < 0 ? dir : df_policy_store_load(dir, name, &table, &size);

	if (r < 0)
		return r;
	df_append(h->stale, sizeof(h->stale), &pos, "%spolicy %s: %s", *h->stale ? "; " : "", name,
		  compiled->messages ? compiled->messages : "cannot be read");
	df_policy_result_done(compiled);
	compiled->table = table;
	compiled->table_size = size;
	(void)snprintf(line, sizeof(line),
		       "STALE POLICY container=%s, its last good table is used: %s", h->state.id,
		       h->stale);
	df_hook_note(h, DF_LOG_WARNING, line);
	return 0;
}

/* 0 or the hook's exit status. */
static int read_table(struct df_hook *h, const char *name, struct df_policy_result *compiled,
		      struct df_policy *ret)
{
	static const char *const dirs[] = {DF_POLICY_DIR, DF_POLICY_DATA_DIR, NULL};
	int r = df_policy_compile_name(name, dirs, compiled), r2 = -ENOENT;

	if (r == 0)
		keep_table(h, name, compiled);
	else if (r != -ENOMEM && !h->conf.refuse_on_policy_error)
		r2 = use_last_good(h, name, compiled);
	if (r < 0 && r2 < 0)
		return df_hook_fail(h, r == -ENOMEM ? EX_OSERR : EX_CONFIG, "policy %s: %s%s%s",
				    name, compiled->messages ? compiled->messages : strerror(-r),
				    r2 == -ENOENT ? "" : "its last good table: ",
				    r2 == -ENOENT ? "" : strerror(-r2));
	r = df_policy_open(compiled->table, compiled->table_size, ret);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "policy %s: its table is damaged", name);
	if (compiled->messages)
		note_warnings(compiled);
	return 0;
}

int df_hook_read_policy(struct df_hook *h)
{
	const char *name = h->state.policy ? h->state.policy : h->conf.default_policy;
	int r = read_table(h, name, &h->compiled, &h->policy);

	if (r == 0 && df_policy_mode(&h->policy) == DF_POLICY_AUDIT)
		h->mode = DF_MODE_AUDIT;
	return r;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

int df_hook_settle_mode(struct df_hook *h)
{
	enum df_policy_mode mode = df_policy_mode_for(&h->policy, or_empty(h->config.image),
						      or_empty(h->config.name), h->state.id);
	char error[DF_STATE_ERROR_MAX] = "";
	int r = df_demands_check_audit(&h->conf, &h->state, mode == DF_POLICY_ENFORCE, error);

	if (r != 0) {
		h->is_final = true;
		return df_hook_fail(h, r, "%s", error);
	}
	h->mode = mode == DF_POLICY_AUDIT ? DF_MODE_AUDIT : DF_MODE_ENFORCE;
	if (h->state.ask == DF_ASK_ENFORCE)
		h->mode = DF_MODE_ENFORCE;
	if (h->state.ask == DF_ASK_AUDIT)
		h->mode = DF_MODE_AUDIT;
	return 0;
}
