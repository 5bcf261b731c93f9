/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_mounts: which files of the host a container sees, its resolv.conf among them. */
#include <limits.h>
#include <string.h>

#include "hook/oci/config_parts.h"
#include "hook/oci/oci_json.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* Equal but for double and trailing slashes and "." between them. */
static bool is_same_path(const char *a, const char *b)
{
	for (;;) {
		size_t n, m;

		a += strspn(a, "/");
		b += strspn(b, "/");
		n = strcspn(a, "/");
		m = strcspn(b, "/");
		if (n == 1 && a[0] == '.') {
			a++;
			continue;
		}
		if (n != m || memcmp(a, b, n) != 0)
			return false;
		if (n == 0)
			return true;
		a += n;
		b += m;
	}
}

/* The source of the mount if it is the one at /etc/resolv.conf, else *ret is as before. */
static int read_resolv_conf(const struct df_json *mount, size_t i, const char **ret, char *error)
{
	const char *destination = df_json_string(df_json_get(mount, "destination"));
	const char *source = NULL;
	int status;

	if (!destination)
		return df_oci_refuse(error, "config.json: mounts[%zu] has no destination", i);
	if (!is_same_path(destination, RESOLV_CONF))
		return 0;
	/* Runtimes differ in what a relative one means: no guess about the resolver. */
	if (destination[0] != '/')
		return df_oci_refuse(error,
				     "config.json: destination of mounts[%zu] is not absolute", i);
	status = df_oci_string(mount, "config.json: mount at " RESOLV_CONF, "source", &source,
			       error);
	if (status)
		return status;
	if (!df_oci_is_path(source))
		return df_oci_refuse(error, "config.json: source of the mount at " RESOLV_CONF
					    " is no absolute path");
	*ret = source;
	return 0;
}

/* Copies the strings of m.  source of len octets. */
static int add_mount(struct df_config *c, struct df_config_mount m, const char *source, size_t len,
		     const char *destination, char *error)
{
	int status;

	if (df_array_reserve(&c->mounts, &c->cap_mounts, c->n_mounts + 1, sizeof(*c->mounts)) < 0)
		return df_oci_no_memory(error);
	m.source = strndup(source, len);
	if (!m.source)
		return df_oci_no_memory(error);
	status = df_oci_copy(destination, &m.destination, error);
	if (status)
		free(m.source);
	else
		c->mounts[c->n_mounts++] = m;
	return status;
}

/* "lowerdir=A:B,upperdir=C": what lies below is seen through it, sockets included. */
static int add_layers(struct df_config *c, const char *option, const char *destination, char *error)
{
	struct df_config_mount m = {.is_readonly = true, .is_all_readonly = true};
	int status = 0;

	while (status == 0 && *option) {
		size_t len = strcspn(option, ",");
		const char *dirs = option, *end = option + len;

		option = end + (*end == ',');
		if (strncmp(dirs, "lowerdir=", 9) != 0 && strncmp(dirs, "upperdir=", 9) != 0)
			continue;
		m.is_readonly = m.is_all_readonly = *dirs == 'l';
		for (dirs += 9; status == 0 && dirs < end; dirs += len + 1) {
			len = strcspn(dirs, ":,");
			status = add_mount(c, m, dirs, len, destination, error);
		}
	}
	return status;
}

/* What the runtime makes of type and options: mount(8); "rro" is crun's and runc's. */
static void read_option(const char *option, struct df_config_mount *m, bool *ret_is_bind)
{
	if (strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0) {
		*ret_is_bind = true;
		m->is_recursive = option[0] == 'r';
	} else if (strcmp(option, "ro") == 0 || strcmp(option, "rro") == 0) {
		m->is_readonly = true;
		m->is_all_readonly |= option[1] == 'r';
	} else if (strcmp(option, "rw") == 0 || strcmp(option, "rrw") == 0) {
		m->is_readonly = false;
		m->is_all_readonly &= option[1] == 'w';
	}
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Their sources are words. */
static bool is_virtual(const char *type)
{
	static const char *const types[] = {"proc",   "sysfs",   "tmpfs", "devpts",  "mqueue",
					    "cgroup", "cgroup2", "bpf",   "overlay", "devtmpfs"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* Whether the runtime makes /proc/sys read-only, or hides it: podman's unmask leaves that out. */
static bool is_proc_sys_kept(const struct df_json *doc)
{
	static const char *const keys[] = {"readonlyPaths", "maskedPaths"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct df_json *paths = df_json_get(df_json_get(doc, "linux"), keys[i]);

		for (size_t k = 0; k < df_json_len(paths); k++) {
			const char *path = df_json_string(df_json_at(paths, k));

			if (path &&
			    (is_same_path(path, "/proc/sys") || is_same_path(path, "/proc")))
				return true;
		}
	}
	return false;
}

static int read_mount(const struct df_json *mount, struct df_config *c, char *error)
{
	const char *type = or_empty(df_json_string(df_json_get(mount, "type")));
	const char *source = or_empty(df_json_string(df_json_get(mount, "source")));
	const char *destination = or_empty(df_json_string(df_json_get(mount, "destination")));
	const struct df_json *options = df_json_get(mount, "options");
	bool is_bind = strcmp(type, "bind") == 0;
	struct df_config_mount m = {.is_recursive = is_bind};
	int status = 0;

	for (size_t i = 0; status == 0 && i < df_json_len(options); i++) {
		const char *option = or_empty(df_json_string(df_json_at(options, i)));

		read_option(option, &m, &is_bind);
		if (strcmp(type, "overlay") == 0)
			status = add_layers(c, option, destination, error);
	}
	c->has_writable_sysfs |= !is_bind && strcmp(type, "sysfs") == 0 && !m.is_readonly;
	c->has_writable_proc |= !is_bind && strcmp(type, "proc") == 0 && !m.is_readonly;
	/* a device with a file system is as good as its files */
	if (!is_bind && *source == '/' && !is_virtual(type))
		is_bind = true;
	m.is_cgroup = !is_bind && (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0);
	if (!m.is_recursive)
		m.is_all_readonly |= m.is_readonly;
	if (status || !(m.is_cgroup || (is_bind && *source)))
		return status;
	return add_mount(c, m, source, strlen(source), destination, error);
}

int df_config_read_mounts(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_config_mount root = {.is_recursive = true};
	const struct df_json *mounts = df_json_get(doc, "mounts");
	const char *source = NULL;
	int status = 0;

	if (mounts && !df_json_is_array(mounts))
		return df_oci_refuse(error, "config.json: mounts is not an array");
	for (size_t i = 0; status == 0 && i < df_json_len(mounts); i++) {
		status = read_resolv_conf(df_json_at(mounts, i), i, &source, error);
		if (status == 0)
			status = read_mount(df_json_at(mounts, i), c, error);
	}
	if (is_proc_sys_kept(doc))
		c->has_writable_proc = false;
	if (status == 0 && c->root_path)
		status = add_mount(c, root, c->root_path, strlen(c->root_path), "/", error);
	return status || !source ? status : df_oci_copy(source, &c->resolv_conf, error);
}
