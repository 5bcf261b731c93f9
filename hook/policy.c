/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: the choice of a container's policies, their tables, and the mode. */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "hook/policy.h"
#include "lib/base/util.h"
#include "lib/policy/cache.h"

#define OLD_CACHE_DIR DF_RUNDIR "/.policies" /* of 0.1.0; a container could have this id */
#define COMPILE_TIMEOUT_MS 2000 /* for another start that compiles; then this one does, too */

static const char *const policy_dirs[] = {DF_POLICY_DIR, DF_POLICY_DATA_DIR, NULL};

/* For the administrator; the container starts. */
static void note_warnings(char *messages)
{
	char *next;

	for (char *line = strtok_r(messages, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
}

/* A failure is no reason to refuse: the table is needed only if the policy has an error later. */
static void keep_table(struct df_hook *h, const char *name, const struct df_policy_result *compiled)
{
	_cleanup_close_ int dir = df_policy_cache_open(DF_POLICY_LAST_GOOD_DIR, true);
	int r = dir < 0 ? dir
			: df_policy_cache_keep(dir, name, compiled->table, compiled->table_size);

	if (r >= 0)
		return;
	df_hook_note(h, DF_LOG_WARNING,
		     "policy %s: keep its table in " DF_POLICY_LAST_GOOD_DIR ": %s", name,
		     strerror(-r));
}

/* The last good table in place of one that could not be made. */
static int use_last_good(struct df_hook *h, const char *name, struct df_policy_result *compiled)
{
	_cleanup_close_ int dir = df_policy_cache_open(DF_POLICY_LAST_GOOD_DIR, false);
	size_t size, pos = 0;
	void *table;
	int r = dir < 0 ? dir : df_policy_cache_last_good(dir, name, &table, &size);

	if (r < 0)
		return r;
	df_append(h->stale, sizeof(h->stale), &pos, "%spolicy %s: %s", *h->stale ? "; " : "", name,
		  compiled->messages ? compiled->messages : "cannot be read");
	df_policy_result_done(compiled);
	compiled->table = table;
	compiled->table_size = size;
	df_hook_note(h, DF_LOG_WARNING,
		     "STALE POLICY container=%s, its last good table is used: %s", h->state.id,
		     h->stale);
	return 0;
}

/*
 * The table that all fences of the host share.  If there is none, *ret_lock is the lock (or an
 * error): its holder compiles the policy, and other starts wait for that.
 */
static bool find_shared(int cache, const char *name, int *ret_lock, struct df_policy_mapped *ret)
{
	if (cache < 0)
		return false;
	if (df_policy_cache_find(cache, name, policy_dirs, ret) == 0)
		return true;
	*ret_lock = df_policy_cache_lock(cache, COMPILE_TIMEOUT_MS);
	return df_policy_cache_find(cache, name, policy_dirs, ret) == 0;
}

/* Where the table cannot be shared, the fence has its own. */
static void share(struct df_hook *h, int cache, const char *name, struct df_hook_table *t)
{
	int r = cache < 0 ? cache
			  : df_policy_cache_put(cache, name, &t->compiled,
						DF_POLICY_CACHE_SETTLE_MS, &t->shared);

	if (r == 0) {
		df_policy_result_done(&t->compiled);
		return;
	}
	df_hook_note(h, DF_LOG_WARNING, "policy %s: share its table in " DF_POLICY_CACHE_DIR ": %s",
		     name, strerror(-r));
}

/* 0 or the hook's exit status. */
static int make_table(struct df_hook *h, int cache, const char *name, struct df_hook_table *t)
{
	struct df_policy_result *compiled = &t->compiled;
	int r = df_policy_compile_name(name, policy_dirs, DF_POLICY_TRUST_DEMAND, compiled);
	int r2 = -ENOENT;

	if (r == 0) {
		keep_table(h, name, compiled);
		share(h, cache, name, t);
		return 0;
	}
	if (r != -ENOMEM && !h->conf.refuse_on_policy_error)
		r2 = use_last_good(h, name, compiled);
	if (r2 < 0)
		return df_hook_fail(h, r == -ENOMEM ? EX_OSERR : EX_CONFIG, "policy %s: %s%s%s",
				    name, compiled->messages ? compiled->messages : strerror(-r),
				    r2 == -ENOENT ? "" : "its last good table: ",
				    r2 == -ENOENT ? "" : strerror(-r2));
	return 0;
}

/* 0 or the hook's exit status. */
static int read_table(struct df_hook *h, const char *name, struct df_hook_table *t)
{
	_cleanup_close_ int cache = df_policy_cache_open(DF_POLICY_CACHE_DIR, true), lock = -1;
	char *messages;
	int r = 0;

	t->shared = (struct df_policy_mapped)DF_POLICY_MAPPED_NONE;
	if (!find_shared(cache, name, &lock, &t->shared))
		r = make_table(h, cache, name, t);
	if (r != 0)
		return r;
	if (t->shared.fd >= 0) {
		t->policy = t->shared.policy;
	} else {
		r = df_policy_open(t->compiled.table, t->compiled.table_size, &t->policy);
		if (r < 0)
			return df_hook_fail(h, EX_OSERR, "policy %s: its table is damaged", name);
	}
	messages = t->shared.fd >= 0 ? t->shared.messages : t->compiled.messages;
	if (messages)
		note_warnings(messages);
	return 0;
}

int df_hook_read_policy(struct df_hook *h)
{
	const char *const names[DF_TABLES] = {
		[DF_TABLE_OWN] = h->state.annotations.policy ? h->state.annotations.policy
							     : h->conf.default_policy,
		[DF_TABLE_BASE] = *h->conf.base_policy ? h->conf.base_policy : NULL,
		[DF_TABLE_SHADOW] = h->state.annotations.shadow,
	};
	bool is_audit = true;

	for (int i = 0; i < DF_TABLES; i++) {
		struct df_hook_table *t = &h->tables[i];
		int r = names[i] ? read_table(h, names[i], t) : 0;

		if (r != 0)
			return r;
		t->is_used = names[i] != NULL;
		if (t->is_used && i != DF_TABLE_SHADOW)
			is_audit &= df_policy_mode(&t->policy) == DF_POLICY_AUDIT;
	}
	if (is_audit)
		h->mode = DF_MODE_AUDIT;
	return 0;
}

void df_hook_sweep_policies(void)
{
	_cleanup_close_ int cache = df_policy_cache_open(DF_POLICY_CACHE_DIR, false);

	if (cache >= 0)
		df_policy_cache_sweep(cache, DF_POLICY_CACHE_YOUNG_S);
	df_policy_cache_retire(OLD_CACHE_DIR);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* The mode by the policy, without an annotation. */
static enum df_mode mode_of(const struct df_hook *h, const struct df_policy *p)
{
	enum df_policy_mode mode = df_policy_mode_for(p, or_empty(h->config.image),
						      or_empty(h->config.name), h->state.id);

	return mode == DF_POLICY_AUDIT ? DF_MODE_AUDIT : DF_MODE_ENFORCE;
}

int df_hook_settle_mode(struct df_hook *h)
{
	char error[DF_OCI_ERROR_MAX] = "";
	bool host_enforces = false;
	int r;

	for (int i = 0; i < DF_TABLES; i++) {
		struct df_hook_table *t = &h->tables[i];

		if (!t->is_used)
			continue;
		t->mode = i == DF_TABLE_SHADOW ? DF_MODE_AUDIT : mode_of(h, &t->policy);
		host_enforces |= t->mode == DF_MODE_ENFORCE;
		if (i != DF_TABLE_SHADOW && h->state.annotations.ask == DF_ASK_ENFORCE)
			t->mode = DF_MODE_ENFORCE;
		if (h->state.annotations.ask == DF_ASK_AUDIT)
			t->mode = DF_MODE_AUDIT;
	}
	r = df_annotations_check_audit(&h->conf, &h->state.annotations, host_enforces, error);
	if (r != 0) {
		h->is_final = true;
		return df_hook_fail(h, r, "%s", error);
	}
	h->mode = h->tables[DF_TABLE_BASE].mode == DF_MODE_ENFORCE ? DF_MODE_ENFORCE
								   : h->tables[DF_TABLE_OWN].mode;
	return 0;
}
