/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_limits: what confines a container: capabilities, devices, seccomp, namespaces;
 * and what its environment hands it.
 */
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#include "hook/oci/config_parts.h"
#include "hook/oci/oci_json.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define TUN_MAJOR 10 /* Documentation/admin-guide/devices.txt */
#define TUN_MINOR 200
#define PROXIES_MAX 512 /* octets that are shown of the proxy variables */
#define FDS_MAX 1024    /* more were never passed */

static const struct df_json *get(const struct df_json *doc, const char *a, const char *b)
{
	return df_json_get(df_json_get(doc, a), b);
}

/* Those that lead around a fence; the case as crun takes it. */
static uint64_t cap_bit(const char *name)
{
	static const struct {
		const char *name;
		unsigned number;
	} caps[] = {
		{"CAP_NET_RAW", CAP_NET_RAW},       {"CAP_NET_ADMIN", CAP_NET_ADMIN},
		{"CAP_SYS_ADMIN", CAP_SYS_ADMIN},   {"CAP_BPF", CAP_BPF},
		{"CAP_SYS_MODULE", CAP_SYS_MODULE}, {"CAP_SYS_RAWIO", CAP_SYS_RAWIO},
		{"CAP_SYS_PTRACE", CAP_SYS_PTRACE}, {"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
		{"CAP_MKNOD", CAP_MKNOD},
	};

	for (size_t i = 0; name && i < ARRAY_SIZE(caps); i++)
		if (strcasecmp(name, caps[i].name) == 0)
			return 1ull << caps[i].number;
	return 0;
}

/* Of any set: what is in the bounding set alone a program of the image may have in its file. */
static void read_caps(const struct df_json *doc, struct df_config *c)
{
	const struct df_json *sets = get(doc, "process", "capabilities");

	for (size_t i = 0; i < df_json_len(sets); i++) {
		const struct df_json *set = df_json_at(sets, i);

		for (size_t k = 0; k < df_json_len(set); k++)
			c->caps |= cap_bit(df_json_string(df_json_at(set, k)));
	}
}

/* Absent or -1: any. */
static bool is_number(const struct df_json *v, int64_t want)
{
	int64_t n;

	return df_json_int(v, &n) < 0 || n == -1 || n == want;
}

static bool is_any_number(const struct df_json *v)
{
	int64_t n;

	return df_json_int(v, &n) < 0 || n == -1;
}

static int64_t number_or_any(const struct df_json *v)
{
	int64_t n;

	return df_json_int(v, &n) < 0 ? -1 : n;
}

bool df_config_may_use_device(const struct df_config *c, bool is_block, uint32_t major,
			      uint32_t minor)
{
	for (size_t i = c->n_rules; i-- > 0;) {
		const struct df_config_rule *r = &c->rules[i];

		if ((is_block ? r->is_block : r->is_char) &&
		    (r->major == -1 || r->major == major) && (r->minor == -1 || r->minor == minor))
			return r->is_allowed;
	}
	return c->n_rules == 0;
}

/*
 * Whether a rule is about opening, not only about making nodes: one that allows gives some
 * access, and one that denies leaves none.
 */
static bool is_about_opening(const struct df_json *rule, bool is_allowed)
{
	const char *access = df_json_string(df_json_get(rule, "access"));

	if (!access || !*access)
		return true;
	return is_allowed ? strpbrk(access, "rw") != NULL
			  : strchr(access, 'r') && strchr(access, 'w');
}

/* linux.resources.devices, of which the last rule that fits a device counts. */
static int read_device_rules(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *rules = df_json_get(get(doc, "linux", "resources"), "devices");

	if (df_array_reserve(&c->rules, &c->cap_rules, df_json_len(rules), sizeof(*c->rules)) < 0)
		return df_oci_no_memory(error);
	for (size_t i = 0; i < df_json_len(rules); i++) {
		const struct df_json *rule = df_json_at(rules, i);
		const struct df_json *major = df_json_get(rule, "major");
		const struct df_json *minor = df_json_get(rule, "minor");
		const char *type = df_json_string(df_json_get(rule, "type"));
		const bool is_every = !type || strcmp(type, "a") == 0;
		const bool is_allowed = df_json_is_true(df_json_get(rule, "allow"));

		if (!is_about_opening(rule, is_allowed))
			continue;
		c->rules[c->n_rules++] =
			(struct df_config_rule){.is_block = is_every || strcmp(type, "b") == 0,
						.is_char = is_every || strcmp(type, "c") == 0,
						.is_allowed = is_allowed,
						.major = number_or_any(major),
						.minor = number_or_any(minor)};
		if (is_every && is_any_number(major) && is_any_number(minor))
			c->has_all_devices = is_allowed;
		if ((is_every || strcmp(type, "c") == 0) && is_number(major, TUN_MAJOR) &&
		    is_number(minor, TUN_MINOR))
			c->may_use_tun = is_allowed;
	}
	return 0;
}

static int add_disk(struct df_config *c, int64_t major, int64_t minor, const char *path,
		    char *error)
{
	struct df_config_device d = {.major = (uint32_t)major, .minor = (uint32_t)minor};
	int status = 0;

	if (df_array_reserve(&c->disks, &c->cap_disks, c->n_disks + 1, sizeof(*c->disks)) < 0)
		return df_oci_no_memory(error);
	status = df_oci_copy(path ? path : "", &d.path, error);
	if (status == 0)
		c->disks[c->n_disks++] = d;
	return status;
}

static int read_devices(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *devices = get(doc, "linux", "devices");
	int status = 0;

	for (size_t i = 0; i < df_json_len(devices); i++) {
		const struct df_json *device = df_json_at(devices, i);
		const char *type = df_json_string(df_json_get(device, "type"));
		int64_t major, minor;

		if (!type || df_json_int(df_json_get(device, "major"), &major) < 0 ||
		    df_json_int(df_json_get(device, "minor"), &minor) < 0)
			continue;
		c->has_tun |= (strcmp(type, "c") == 0 || strcmp(type, "u") == 0) &&
			      major == TUN_MAJOR && minor == TUN_MINOR;
		if (status == 0 && strcmp(type, "b") == 0)
			status = add_disk(c, major, minor,
					  df_json_string(df_json_get(device, "path")), error);
	}
	return status;
}

/* A filter that allows everything is none. */
static bool has_seccomp(const struct df_json *doc)
{
	const struct df_json *seccomp = get(doc, "linux", "seccomp");
	const char *action = df_json_string(df_json_get(seccomp, "defaultAction"));

	return df_json_is_object(seccomp) && ((action && strcmp(action, "SCMP_ACT_ALLOW") != 0) ||
					      df_json_len(df_json_get(seccomp, "syscalls")) > 0);
}

static int read_namespaces(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *namespaces = get(doc, "linux", "namespaces");
	int status = 0;

	for (size_t i = 0; status == 0 && i < df_json_len(namespaces); i++) {
		const struct df_json *ns = df_json_at(namespaces, i);
		const char *type = df_json_string(df_json_get(ns, "type"));
		const char *path = df_json_string(df_json_get(ns, "path"));
		const bool is_joined = path && *path;

		if (type && strcmp(type, "cgroup") == 0)
			c->has_own_cgroupns = !is_joined;
		if (type && strcmp(type, "network") == 0 && is_joined && !c->netns_path)
			status = df_oci_copy(path, &c->netns_path, error);
		if (type && strcmp(type, "pid") == 0 && is_joined && !c->pidns_path)
			status = df_oci_copy(path, &c->pidns_path, error);
	}
	return status;
}

/* "https_proxy=http://10.0.0.1:3128": without the password that may stand before an '@'. */
static void append_proxy(char *text, size_t *pos, const char *variable, size_t name_len)
{
	const char *value = variable + name_len + 1, *scheme_end = strstr(value, "://");
	const char *authority = scheme_end ? scheme_end + 3 : value;
	const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));

	df_append(text, PROXIES_MAX, pos, "%s%.*s=%.*s%s", *pos ? ", " : "", (int)name_len,
		  variable, (int)(authority - value), value, at ? "…@" : "");
	df_append(text, PROXIES_MAX, pos, "%s", at ? at + 1 : authority);
}

static bool is_proxy(const char *variable, size_t name_len)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == name_len && strncasecmp(variable, names[i], name_len) == 0)
			return true;
	return false;
}

/* All of a variable that is there more than once: which of them counts is the client's choice. */
static int add_words(const char *variable, const char *key, char **field, char *error)
{
	const size_t len = strlen(key), before = *field ? strlen(*field) : 0;
	char *text;

	if (strncmp(variable, key, len) != 0)
		return 0;
	if (!*field)
		return df_oci_copy(variable + len, field, error);
	text = realloc(*field, before + 1 + strlen(variable + len) + 1);
	if (!text)
		return df_oci_no_memory(error);
	text[before] = ' ';
	memcpy(text + before + 1, variable + len, strlen(variable + len) + 1);
	*field = text;
	return 0;
}

static int read_environment(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *env = get(doc, "process", "env");
	char proxies[PROXIES_MAX] = "";
	size_t pos = 0;
	int status = 0;

	for (size_t i = 0; i < df_json_len(env) && status == 0; i++) {
		const char *variable = df_json_string(df_json_at(env, i));
		const char *equals = variable ? strchr(variable, '=') : NULL;
		uint64_t n;

		if (!equals || !equals[1])
			continue;
		if (is_proxy(variable, (size_t)(equals - variable)))
			append_proxy(proxies, &pos, variable, (size_t)(equals - variable));
		if (strncmp(variable, "LISTEN_FDS=", 11) == 0 &&
		    df_parse_u64(equals + 1, FDS_MAX, &n) == 0)
			c->listen_fds = (unsigned)n;
		status = add_words(variable, "LOCALDOMAIN=", &c->localdomain, error);
		if (status == 0)
			status = add_words(variable, "RES_OPTIONS=", &c->res_options, error);
	}
	if (status)
		return status;
	return pos ? df_oci_copy(proxies, &c->proxies, error) : 0;
}

static int read_delegated_cgroup(const struct df_json *doc, struct df_config *c, char *error)
{
	const char *path = df_json_string(get(doc, "annotations", "run.oci.delegate-cgroup"));

	return path && *path ? df_oci_copy(path, &c->delegated_cgroup, error) : 0;
}

/* Those of pods join a sandbox: containerd's annotation, and CRI-O's, which podman sets as well. */
static bool is_in_pod(const struct df_json *doc)
{
	static const char *const types[] = {"io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const char *type = df_json_string(get(doc, "annotations", types[i]));

		if (type && strcmp(type, "container") == 0)
			return true;
	}
	return false;
}

int df_config_read_limits(const struct df_json *doc, struct df_config *c, char *error)
{
	int status = read_namespaces(doc, c, error);

	if (status == 0)
		status = read_environment(doc, c, error);
	if (status == 0)
		status = read_device_rules(doc, c, error);
	if (status == 0)
		status = read_devices(doc, c, error);
	if (status == 0)
		status = read_delegated_cgroup(doc, c, error);
	read_caps(doc, c);
	c->has_seccomp = has_seccomp(doc);
	c->has_masked_paths = df_json_len(get(doc, "linux", "maskedPaths")) > 0;
	c->is_in_pod = is_in_pod(doc);
	return status;
}
