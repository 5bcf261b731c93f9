/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/oci/config.h"

#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#include "hook/oci/json.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define TUN_MAJOR 10 /* Documentation/admin-guide/devices.txt */
#define TUN_MINOR 200
#define PROXIES_MAX 512 /* octets that are shown of the proxy variables */
#define FDS_MAX 1024    /* more were never passed */

#define _cleanup_config_ __attribute__((cleanup(df_config_done)))

static const struct df_json *get(const struct df_json *doc, const char *a, const char *b)
{
	return df_json_get(df_json_get(doc, a), b);
}

static const char *get_text(const struct df_json *obj, const char *key)
{
	return df_json_string(df_json_get(obj, key));
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* --- names --- */

/*
 * config.json holds no field for the container's name or image; managers tell
 * them by annotations, if at all:
 *  - containerd CRI (pkg/cri/annotations): io.kubernetes.cri.container-name,
 *    .image-name (1.5 and later), .sandbox-name, .sandbox-namespace.
 *  - CRI-O: the kubelet's labels io.kubernetes.container.name, .pod.name and
 *    .pod.namespace, copied to annotations; io.kubernetes.cri-o.ImageName, or
 *    .Image as the kubelet asked for it.  Its .ContainerName is the long form
 *    k8s_NAME_POD_NAMESPACE_UID_ATTEMPT, so it comes last.
 *  - nerdctl: its labels are annotations too; nerdctl/name, no image.
 *  - podman (4.3 to 5.x), Docker, bare runtimes: nothing.  podman's
 *    io.podman.annotations.* hold no name; its hostname is what the user chose.
 * org.opencontainers.image.ref.name is not read: it is the image's own claim
 * (podman before 4.6 copies it out of images), not the reference it was pulled by.
 * Of the keys of one field the first that is there wins.
 */
static const struct source {
	const char *key;
	size_t field; /* offset of a const char * in struct df_config */
} sources[] = {
	{"io.kubernetes.cri.container-name", offsetof(struct df_config, name)},
	{"io.kubernetes.container.name", offsetof(struct df_config, name)},
	{"nerdctl/name", offsetof(struct df_config, name)},
	{"io.kubernetes.cri-o.ContainerName", offsetof(struct df_config, name)},
	{"io.kubernetes.cri.image-name", offsetof(struct df_config, image)},
	{"io.kubernetes.cri-o.ImageName", offsetof(struct df_config, image)},
	{"io.kubernetes.cri-o.Image", offsetof(struct df_config, image)},
	{"io.kubernetes.cri.sandbox-name", offsetof(struct df_config, pod)},
	{"io.kubernetes.pod.name", offsetof(struct df_config, pod)},
	{"io.kubernetes.cri.sandbox-namespace", offsetof(struct df_config, k8s_namespace)},
	{"io.kubernetes.pod.namespace", offsetof(struct df_config, k8s_namespace)},
};

/* They only label events: a text that cannot be a name is no reason to refuse. */
static bool is_name(const char *text)
{
	return text && *text && strlen(text) <= DF_OCI_TEXT_MAX;
}

static int read_names(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *annotations = NULL;
	const char *hostname = get_text(doc, "hostname");
	int status = df_oci_annotations(doc, "config.json", &annotations, error);

	if (status)
		return status;
	df_annotations_read_runtime(annotations, &c->runtime);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const char **field = (const char **)((char *)c + sources[i].field);
		const char *text = get_text(annotations, sources[i].key);

		if (!*field && is_name(text))
			*field = text;
	}
	c->hostname = is_name(hostname) ? hostname : NULL;
	c->delegated_cgroup = get_text(annotations, "run.oci.delegate-cgroup");
	if (c->delegated_cgroup && !*c->delegated_cgroup)
		c->delegated_cgroup = NULL;
	c->is_in_pod = df_oci_is_cri_type(annotations, "container"); /* it joins a sandbox */
	return 0;
}

/* --- files of the host that the container sees, its resolv.conf among them --- */

static int read_root(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *root = df_json_get(doc, "root");
	const char *path = NULL;
	int status;

	if (root && !df_json_is_object(root))
		return df_oci_refuse(error, "config.json: root is not an object");
	status = df_oci_string(root, "config.json: root", "path", &path, error);
	if (status || !path)
		return status;
	if (path[0] == '\0' || strlen(path) >= PATH_MAX)
		return df_oci_refuse(error, "config.json: root.path is empty or too long");
	c->root_path = path;
	return 0;
}

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
	const char *destination = get_text(mount, "destination");
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

/* source: len octets, which are copied. */
static int add_mount(struct df_config *c, struct df_config_mount m, const char *source, size_t len,
		     const char *destination, char *error)
{
	if (df_array_reserve(&c->mounts, &c->cap_mounts, c->n_mounts + 1, sizeof(*c->mounts)) < 0)
		return df_oci_no_memory(error);
	m.source = strndup(source, len);
	m.destination = destination;
	if (!m.source)
		return df_oci_no_memory(error);
	c->mounts[c->n_mounts++] = m;
	return 0;
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

/* The effect of type and options of a mount: mount(8); "rro" is crun's and runc's. */
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
	const char *type = or_empty(get_text(mount, "type"));
	const char *source = or_empty(get_text(mount, "source"));
	const char *destination = or_empty(get_text(mount, "destination"));
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

static int read_mounts(const struct df_json *doc, struct df_config *c, char *error)
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
	c->resolv_conf = source;
	return status;
}

/* --- what confines the container, and what its environment hands it --- */

/*
 * Those that lead around a fence; the case as crun takes it.  Of any set: one of the bounding set
 * alone a program of the image may have in its file.
 */
static uint64_t read_caps(const struct df_json *doc)
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
	const struct df_json *sets = get(doc, "process", "capabilities");
	uint64_t ret = 0;

	for (size_t i = 0; i < df_json_len(sets); i++) {
		const struct df_json *set = df_json_at(sets, i);

		for (size_t k = 0; k < df_json_len(set); k++) {
			const char *name = or_empty(df_json_string(df_json_at(set, k)));

			for (size_t n = 0; n < ARRAY_SIZE(caps); n++)
				if (strcasecmp(name, caps[n].name) == 0)
					ret |= 1ull << caps[n].number;
		}
	}
	return ret;
}

/* Absent: -1, which means any. */
static int64_t number_or_any(const struct df_json *v)
{
	int64_t n;

	return df_json_int(v, &n) < 0 ? -1 : n;
}

static bool fits(int64_t number, int64_t want)
{
	return number == -1 || number == want;
}

bool df_config_may_use_device(const struct df_config *c, bool is_block, uint32_t major,
			      uint32_t minor)
{
	for (size_t i = c->n_rules; i-- > 0;) {
		const struct df_config_rule *r = &c->rules[i];

		if ((is_block ? r->is_block : r->is_char) && fits(r->major, major) &&
		    fits(r->minor, minor))
			return r->is_allowed;
	}
	return c->n_rules == 0;
}

/* linux.resources.devices, of which the last rule that fits a device counts. */
static int read_device_rules(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *rules = df_json_get(get(doc, "linux", "resources"), "devices");

	if (df_array_reserve(&c->rules, &c->cap_rules, df_json_len(rules), sizeof(*c->rules)) < 0)
		return df_oci_no_memory(error);
	for (size_t i = 0; i < df_json_len(rules); i++) {
		const struct df_json *rule = df_json_at(rules, i);
		const char *access = get_text(rule, "access");
		const char *type = get_text(rule, "type");
		const bool is_every = !type || strcmp(type, "a") == 0;
		const struct df_config_rule r = {
			.is_block = is_every || strcmp(type, "b") == 0,
			.is_char = is_every || strcmp(type, "c") == 0,
			.is_allowed = df_json_is_true(df_json_get(rule, "allow")),
			.major = number_or_any(df_json_get(rule, "major")),
			.minor = number_or_any(df_json_get(rule, "minor"))};

		/* about making nodes alone: to allow gives no access, to deny leaves some */
		if (access && *access &&
		    !(r.is_allowed ? strpbrk(access, "rw") != NULL
				   : strchr(access, 'r') && strchr(access, 'w')))
			continue;
		c->rules[c->n_rules++] = r;
		if (is_every && r.major == -1 && r.minor == -1)
			c->has_all_devices = r.is_allowed;
		if (r.is_char && fits(r.major, TUN_MAJOR) && fits(r.minor, TUN_MINOR))
			c->may_use_tun = r.is_allowed;
	}
	return 0;
}

static int read_devices(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *devices = get(doc, "linux", "devices");

	for (size_t i = 0; i < df_json_len(devices); i++) {
		const struct df_json *device = df_json_at(devices, i);
		const char *type = get_text(device, "type");
		struct df_config_device d = {};
		int64_t major, minor;

		if (!type || df_json_int(df_json_get(device, "major"), &major) < 0 ||
		    df_json_int(df_json_get(device, "minor"), &minor) < 0)
			continue;
		c->has_tun |= (strcmp(type, "c") == 0 || strcmp(type, "u") == 0) &&
			      major == TUN_MAJOR && minor == TUN_MINOR;
		if (strcmp(type, "b") != 0)
			continue;
		d.major = (uint32_t)major;
		d.minor = (uint32_t)minor;
		if (df_array_reserve(&c->disks, &c->cap_disks, c->n_disks + 1, sizeof(d)) < 0)
			return df_oci_no_memory(error);
		d.path = or_empty(get_text(device, "path"));
		c->disks[c->n_disks++] = d;
	}
	return 0;
}

/* A filter that allows everything is none. */
static bool has_seccomp(const struct df_json *doc)
{
	const struct df_json *seccomp = get(doc, "linux", "seccomp");
	const char *action = get_text(seccomp, "defaultAction");

	return df_json_is_object(seccomp) && ((action && strcmp(action, "SCMP_ACT_ALLOW") != 0) ||
					      df_json_len(df_json_get(seccomp, "syscalls")) > 0);
}

static void read_namespaces(const struct df_json *doc, struct df_config *c)
{
	const struct df_json *namespaces = get(doc, "linux", "namespaces");

	for (size_t i = 0; i < df_json_len(namespaces); i++) {
		const struct df_json *ns = df_json_at(namespaces, i);
		const char *type = or_empty(get_text(ns, "type")), *path = get_text(ns, "path");
		const bool is_joined = path && *path;

		if (strcmp(type, "cgroup") == 0)
			c->has_own_cgroupns = !is_joined;
		if (strcmp(type, "network") == 0 && is_joined && !c->netns_path)
			c->netns_path = path;
		if (strcmp(type, "pid") == 0 && is_joined && !c->pidns_path)
			c->pidns_path = path;
	}
}

/*
 * Adds the variable if it is a proxy's, "https_proxy=http://10.0.0.1:3128", without the password
 * that may stand before an '@'.
 */
static void add_proxy(char *text, size_t *pos, const char *variable, size_t name_len)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy"};
	const char *value = variable + name_len + 1, *scheme_end = strstr(value, "://");
	const char *authority = scheme_end ? scheme_end + 3 : value;
	const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));
	bool is_proxy = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		is_proxy |= strlen(names[i]) == name_len &&
			    strncasecmp(variable, names[i], name_len) == 0;
	if (!is_proxy)
		return;
	df_append(text, PROXIES_MAX, pos, "%s%.*s=%.*s%s", *pos ? ", " : "", (int)name_len,
		  variable, (int)(authority - value), value, at ? "…@" : "");
	df_append(text, PROXIES_MAX, pos, "%s", at ? at + 1 : authority);
}

/* All of a variable that is there more than once: which of them counts is the client's choice. */
static int add_words(const char *variable, const char *key, char **field, char *error)
{
	const size_t len = strlen(key);
	char *text;

	if (strncmp(variable, key, len) != 0)
		return 0;
	if (!*field)
		return df_oci_copy(variable + len, field, error);
	if (asprintf(&text, "%s %s", *field, variable + len) < 0)
		return df_oci_no_memory(error);
	free(*field);
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
		add_proxy(proxies, &pos, variable, (size_t)(equals - variable));
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

/* On lo, which the token route needs; "all" includes it. */
static bool is_ipv6_disabled(const struct df_json *doc)
{
	static const char *const keys[] = {
		"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6",
		"net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/lo/disable_ipv6"};
	const struct df_json *sysctl = df_json_get(df_json_get(doc, "linux"), "sysctl");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = get_text(sysctl, keys[i]);

		if (value && strcmp(value, "0") != 0)
			return true;
	}
	return false;
}

int df_config_parse(const char *text, size_t len, struct df_config *ret,
		    char ret_error[static DF_OCI_ERROR_MAX])
{
	static int (*const readers[])(const struct df_json *, struct df_config *,
				      char *) = {read_root,         read_mounts,  read_environment,
						 read_device_rules, read_devices, read_names};
	_cleanup_config_ struct df_config c = {0};
	int status = df_oci_object("config.json", text, len, &c.doc, ret_error);

	for (size_t i = 0; !status && i < ARRAY_SIZE(readers); i++)
		status = readers[i](c.doc, &c, ret_error);
	if (status)
		return status;
	read_namespaces(c.doc, &c);
	c.caps = read_caps(c.doc);
	c.has_seccomp = has_seccomp(c.doc);
	c.has_masked_paths = df_json_len(get(c.doc, "linux", "maskedPaths")) > 0;
	c.is_ipv6_disabled = is_ipv6_disabled(c.doc);
	*ret = c;
	c = (struct df_config){0};
	return 0;
}

void df_config_done(struct df_config *c)
{
	df_json_free(c->doc);
	for (size_t i = 0; i < c->n_mounts; i++)
		free(c->mounts[i].source);
	free(c->mounts);
	free(c->rules);
	free(c->disks);
	free(c->proxies);
	free(c->localdomain);
	free(c->res_options);
	*c = (struct df_config){0};
}
