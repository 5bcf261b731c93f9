/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/demands.h"

#include <string.h>
#include <sysexits.h>

#include "lib/base/util.h"

#define PREFIX "deployfence"

static int refuse(char *error, const char *key, const char *value, const char *demand)
{
	size_t pos = 0;

	df_append(error, DF_STATE_ERROR_MAX, &pos, "annotation \"%s%s%s\": %s (deployfence.conf)",
		  key, value ? "=" : "", value ? value : "", demand);
	return EX_CONFIG;
}

/* key: without "deployfence", as ".policy". */
static int check_key(const struct df_conf_host *conf, const char *key, char *error)
{
	char full[sizeof(PREFIX) + 80];
	size_t pos = 0;

	df_append(full, sizeof(full), &pos, PREFIX "%s", key);
	if (df_conf_has_name(&conf->annotations, full))
		return 0;
	return refuse(error, full, NULL, "this host does not honour it; see `annotations`");
}

static int check_keys(const struct df_conf_host *conf, const struct df_state *s, char *error)
{
	const struct {
		const char *key;
		bool is_there;
	} keys[] = {
		{"", s->is_ask_written},          {".policy", s->policy != NULL},
		{".shadow", s->shadow != NULL},   {".fail", s->fail != DF_CHOICE_UNSET},
		{".log", s->log != DF_LOG_UNSET}, {".owner", s->owner != NULL},
		{".containers", s->containers},
	};
	int status = 0;

	for (size_t i = 0; status == 0 && i < ARRAY_SIZE(keys); i++) {
		if (keys[i].is_there)
			status = check_key(conf, keys[i].key, error);
	}
	for (size_t i = 0; status == 0 && i < s->n_x; i++) {
		char key[80];
		size_t pos = 0;

		df_append(key, sizeof(key), &pos, ".%s", s->x[i].key);
		status = check_key(conf, key, error);
	}
	return status;
}

static int check_policy(const struct df_conf_host *conf, const char *name, char *error)
{
	char demand[DF_STATE_ERROR_MAX];
	size_t pos = 0;

	if (!name || strcmp(name, conf->default_policy) == 0 ||
	    df_conf_has_name(&conf->selectable, name))
		return 0;
	df_append(demand, sizeof(demand), &pos,
		  "this host demands its default policy '%s'%s; annotations may not weaken",
		  conf->default_policy,
		  conf->selectable.n ? " or one of `selectable-policies`" : "");
	return refuse(error, PREFIX ".policy", name, demand);
}

int df_demands_check(const struct df_conf_host *conf, const struct df_state *s,
		     char ret_error[static DF_STATE_ERROR_MAX])
{
	int status = conf->has_annotations ? check_keys(conf, s, ret_error) : 0;

	if (status || conf->may_weaken)
		return status;
	if (s->ask == DF_ASK_OFF)
		return refuse(ret_error, PREFIX, "off",
			      "this host demands a fence; annotations may not weaken");
	if (s->is_left_out)
		return refuse(ret_error, PREFIX ".containers", s->containers,
			      "leaves this container out, and this host demands a fence; "
			      "annotations may not weaken");
	if (s->fail == DF_CHOICE_OPEN && conf->fail == DF_HOST_FAIL_CLOSED)
		return refuse(ret_error, PREFIX ".fail", "open",
			      "this host demands fail closed; annotations may not weaken");
	if (s->log == DF_LOG_NONE)
		return refuse(ret_error, PREFIX ".log", "none",
			      "this host demands log stderr; annotations may not weaken");
	return check_policy(conf, s->policy, ret_error);
}

int df_demands_check_audit(const struct df_conf_host *conf, const struct df_state *s,
			   bool host_enforces, char ret_error[static DF_STATE_ERROR_MAX])
{
	if (conf->may_weaken || s->ask != DF_ASK_AUDIT || !host_enforces)
		return 0;
	return refuse(ret_error, PREFIX, "audit",
		      "this host demands mode enforce; annotations may not weaken");
}
