/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/oci/runtime_annotations.h"

#include <string.h>

#include "hook/oci/oci_json.h"
#include "lib/base/util.h"

#define CRUN "run.oci."
#define SUBGROUP "run.oci.systemd.subgroup"
#define TEXT_MAX 160

/* crun(1), "Extensions to OCI": groups, labels, clocks and a stricter seccomp. */
static const char *const harmless[] = {
	"run.oci.keep_original_groups",
	"run.oci.mount_context_type",
	"run.oci.seccomp_fail_unknown_syscall",
	"run.oci.timens_offset",
};

/*
 * Of crun and runc: a configuration of CRIU, whose action-script is run as root; and properties of
 * the systemd scope, which can move it, hand its cgroup on, put programs on it, and start, stop
 * or even reboot what is the host's (Wants=, Conflicts=, FailureAction=: systemd.unit(5)).
 */
#define CRIU_CONFIG "org.criu.config"
#define PROPERTY "org.systemd.property."

/* Beginnings of properties that concern the processes of the scope alone: limits, times, signals.
 */
static const char *const harmless_properties[] = {
	"After",
	"Allowed",
	"Before",
	"BlockIO",
	"CPU",
	"CollectMode",
	"DefaultDependencies",
	"Description",
	"Documentation",
	"FinalKillSignal",
	"IO",
	"IPAccounting",
	"IPAddress",
	"Kill",
	"ManagedOOM",
	"Memory",
	"OOMPolicy",
	"RestartKillSignal",
	"RuntimeMax",
	"RuntimeRandomizedExtra",
	"SendSIG",
	"Startup",
	"Tasks",
	"TimeoutStop",
	"WatchdogSignal",
};

static bool is_listed(const char *key, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(key, list[i]) == 0)
			return true;
	}
	return false;
}

/* The name that crun takes anyway, and "" for none: CRI-O sets it so for whole hosts. */
static bool is_usual_subgroup(const char *key, const char *value)
{
	return strcmp(key, SUBGROUP) == 0 &&
	       (strcmp(value, "") == 0 || strcmp(value, "container") == 0);
}

static bool is_harmless_property(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless_properties); i++)
		if (strncmp(name, harmless_properties[i], strlen(harmless_properties[i])) == 0)
			return true;
	return false;
}

static bool counts(const char *key, const char *value)
{
	if (strncmp(key, PROPERTY, strlen(PROPERTY)) == 0)
		return !is_harmless_property(key + strlen(PROPERTY));
	if (strncmp(key, CRUN, strlen(CRUN)) != 0)
		return strcmp(key, CRIU_CONFIG) == 0;
	return !is_listed(key, harmless, ARRAY_SIZE(harmless)) && !is_usual_subgroup(key, value);
}

int df_runtime_annotations_read(const struct df_json *annotations,
				struct df_runtime_annotations *ret, char *error)
{
	for (size_t i = 0; i < df_json_len(annotations) && ret->n < ARRAY_SIZE(ret->text); i++) {
		const char *key = df_json_key_at(annotations, i);
		const char *value = df_json_string(df_json_at(annotations, i));
		char text[TEXT_MAX];
		size_t pos = 0;

		if (!value || !counts(key, value))
			continue;
		df_append(text, sizeof(text), &pos, "%s=%s", key, value);
		ret->text[ret->n] = strdup(text);
		if (!ret->text[ret->n])
			return df_oci_no_memory(error);
		ret->n++;
	}
	return 0;
}

void df_runtime_annotations_done(struct df_runtime_annotations *a)
{
	for (unsigned i = 0; i < a->n; i++)
		free(a->text[i]);
	a->n = 0;
}
