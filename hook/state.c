/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state: where the parts of df_config come from.
 *
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
 */
#include "hook/state.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "hook/annotations.h"
#include "lib/json.h"
#include "lib/util.h"

/* Text of the input is shown up to here in messages. */
#define SHOWN_MAX 128
/* PID_MAX_LIMIT of include/linux/threads.h on 64 bit: no pid reaches it. */
#define PID_LIMIT (1 << 22)

#define RESOLV_CONF "/etc/resolv.conf"

#define _cleanup_json_ __attribute__((cleanup(free_json)))
#define _cleanup_state_ __attribute__((cleanup(df_state_done)))
#define _cleanup_config_ __attribute__((cleanup(df_config_done)))

struct source {
	const char *key;
	size_t field; /* offset of a char * in struct df_config */
};

/* The first that is there wins. */
static const struct source sources[] = {
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

static void free_json(struct df_json **doc)
{
	df_json_free(*doc);
}

__attribute__((format(printf, 2, 3))) static int refuse(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error, DF_STATE_ERROR_MAX, format, args);
	va_end(args);
	return EX_DATAERR;
}

static int copy_string(const char *text, char **ret, char *error)
{
	*ret = strdup(text);
	if (*ret)
		return 0;
	(void)refuse(error, "out of memory");
	return EX_OSERR;
}

static int parse_object(const char *what, const char *text, size_t len, struct df_json **ret,
			char *error)
{
	_cleanup_json_ struct df_json *doc = NULL;
	char why[DF_JSON_ERROR_MAX];
	int r = df_json_parse(text, len, DF_STATE_JSON_MAX, &doc, why);

	if (r < 0) {
		int status = refuse(error, "%s: %s", what, why);

		return r == -ENOMEM ? EX_OSERR : status;
	}
	if (!df_json_is_object(doc))
		return refuse(error, "%s: not a JSON object", what);
	*ret = TAKE_PTR(doc);
	return 0;
}

/* Missing: 0 and NULL. */
static int get_string(const struct df_json *obj, const char *what, const char *key,
		      const char **ret, char *error)
{
	const struct df_json *v = df_json_get(obj, key);
	const char *text = df_json_string(v);

	if (v && !text)
		return refuse(error, "%s: %s is not a string", what, key);
	*ret = text;
	return 0;
}

static bool is_absolute_path(const char *path)
{
	return path && path[0] == '/' && strlen(path) < PATH_MAX;
}

/* It becomes a directory name and a part of log lines. */
static bool is_id(const char *id)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			      "0123456789_+.-");

	return n > 0 && n <= DF_STATE_ID_MAX && id[n] == '\0' && strcmp(id, ".") != 0 &&
	       strcmp(id, "..") != 0;
}

static int read_id(const struct df_json *doc, struct df_state *s, char *error)
{
	const char *id = NULL;
	char shown[SHOWN_MAX];
	int status = get_string(doc, "state", "id", &id, error);

	if (status)
		return status;
	if (!id)
		return refuse(error, "state: id is missing");
	_Static_assert(DF_STATE_ID_MAX == 128, "the message names it");
	(void)df_escape(id, strlen(id), shown, sizeof(shown));
	if (!is_id(id))
		return refuse(error,
			      "state: bad id \"%s\"; accepted: 1 to 128 of A-Z a-z 0-9 _ + . -",
			      shown);
	return copy_string(id, &s->id, error);
}

static int read_status(const struct df_json *doc, enum df_state_status *ret, char *error)
{
	const char *text = NULL;
	char shown[SHOWN_MAX];
	int status = get_string(doc, "state", "status", &text, error);

	if (status)
		return status;
	if (!text)
		return refuse(error, "state: status is missing");
	if (strcmp(text, "creating") == 0 || strcmp(text, "created") == 0) {
		*ret = DF_STATUS_CREATE;
		return 0;
	}
	if (strcmp(text, "stopped") == 0) {
		*ret = DF_STATUS_STOPPED;
		return 0;
	}
	(void)df_escape(text, strlen(text), shown, sizeof(shown));
	return refuse(error,
		      "state: status \"%s\" belongs to no stage of this hook; accepted: creating, "
		      "created (createRuntime), stopped (poststop)",
		      shown);
}

static int read_pid(const struct df_json *doc, pid_t *ret, char *error)
{
	const struct df_json *v = df_json_get(doc, "pid");
	int64_t pid;

	if (!v)
		return refuse(error, "state: pid is missing");
	if (df_json_int(v, &pid) < 0)
		return refuse(error, "state: pid is not an integer");
	/* 1 is what createContainer hooks of runc see: the fence would be put on the host's init.
	 */
	if (pid <= 1 || pid >= PID_LIMIT)
		return refuse(error, "state: pid %lld is out of range; accepted: 2 to %d",
			      (long long)pid, PID_LIMIT - 1);
	*ret = (pid_t)pid;
	return 0;
}

static int read_bundle(const struct df_json *doc, struct df_state *s, char *error)
{
	const char *bundle = NULL;
	char shown[SHOWN_MAX];
	int status = get_string(doc, "state", "bundle", &bundle, error);

	if (status)
		return status;
	if (!bundle)
		return refuse(error, "state: bundle is missing");
	(void)df_escape(bundle, strlen(bundle), shown, sizeof(shown));
	if (!is_absolute_path(bundle))
		return refuse(error, "state: bundle \"%s\" is no absolute path", shown);
	return copy_string(bundle, &s->bundle, error);
}

/* *ret is NULL if there are none. */
static int get_annotations(const struct df_json *doc, const char *what, const struct df_json **ret,
			   char *error)
{
	const struct df_json *a = df_json_get(doc, "annotations");
	char shown[SHOWN_MAX];

	if (a && !df_json_is_object(a))
		return refuse(error, "%s: annotations is not an object", what);
	for (size_t i = 0; i < df_json_len(a); i++) {
		const char *key = df_json_key_at(a, i);

		if (df_json_string(df_json_at(a, i)))
			continue;
		(void)df_escape(key, strlen(key), shown, sizeof(shown));
		return refuse(error, "%s: annotation \"%s\" is not a string", what, shown);
	}
	*ret = a;
	return 0;
}

static int read_created(const struct df_json *doc, struct df_state *s, char *error)
{
	const struct df_json *annotations = NULL;
	const char *version = NULL;
	int status = get_string(doc, "state", "ociVersion", &version, error);

	if (!status)
		status = read_pid(doc, &s->pid, error);
	if (!status)
		status = read_bundle(doc, s, error);
	if (!status)
		status = get_annotations(doc, "state", &annotations, error);
	return status ? status : df_annotations_read(annotations, s, error);
}

int df_state_parse(const char *text, size_t len, struct df_state *ret,
		   char ret_error[static DF_STATE_ERROR_MAX])
{
	_cleanup_json_ struct df_json *doc = NULL;
	_cleanup_state_ struct df_state s = {0};
	int status = parse_object("state", text, len, &doc, ret_error);

	if (!status)
		status = read_id(doc, &s, ret_error);
	if (!status)
		status = read_status(doc, &s.status, ret_error);
	if (status)
		return status;
	if (s.status == DF_STATUS_CREATE) {
		status = read_created(doc, &s, ret_error);
	} else {
		const char *bundle = df_json_string(df_json_get(doc, "bundle"));

		if (is_absolute_path(bundle))
			status = copy_string(bundle, &s.bundle, ret_error);
	}
	if (status && status != EX_USAGE)
		return status;
	/* a refused annotation too: the person who wrote it is to see why, by way of the pid */
	*ret = s;
	s = (struct df_state){0};
	return status;
}

void df_state_done(struct df_state *s)
{
	free(s->id);
	free(s->bundle);
	free(s->policy);
	free(s->shadow);
	free(s->owner);
	free(s->containers);
	free(s->name);
	for (size_t i = 0; i < s->n_x; i++) {
		free(s->x[i].key);
		free(s->x[i].value);
	}
	*s = (struct df_state){0};
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
static int read_mount(const struct df_json *mount, size_t i, const char **ret, char *error)
{
	const char *destination = df_json_string(df_json_get(mount, "destination"));
	const char *source = NULL;
	int status;

	if (!destination)
		return refuse(error, "config.json: mounts[%zu] has no destination", i);
	if (!is_same_path(destination, RESOLV_CONF))
		return 0;
	/* Runtimes differ in what a relative one means: no guess about the resolver. */
	if (destination[0] != '/')
		return refuse(error, "config.json: destination of mounts[%zu] is not absolute", i);
	status = get_string(mount, "config.json: mount at " RESOLV_CONF, "source", &source, error);
	if (status)
		return status;
	if (!is_absolute_path(source))
		return refuse(error, "config.json: source of the mount at " RESOLV_CONF
				     " is no absolute path");
	*ret = source;
	return 0;
}

static int read_mounts(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *mounts = df_json_get(doc, "mounts");
	const char *source = NULL;

	if (mounts && !df_json_is_array(mounts))
		return refuse(error, "config.json: mounts is not an array");
	for (size_t i = 0; i < df_json_len(mounts); i++) {
		int status = read_mount(df_json_at(mounts, i), i, &source, error);

		if (status)
			return status;
	}
	return source ? copy_string(source, &c->resolv_conf, error) : 0;
}

static int read_root(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *root = df_json_get(doc, "root");
	const char *path = NULL;
	int status;

	if (root && !df_json_is_object(root))
		return refuse(error, "config.json: root is not an object");
	status = get_string(root, "config.json: root", "path", &path, error);
	if (status || !path)
		return status;
	if (path[0] == '\0' || strlen(path) >= PATH_MAX)
		return refuse(error, "config.json: root.path is empty or too long");
	return copy_string(path, &c->root_path, error);
}

static int read_names(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *annotations = NULL;
	int status = get_annotations(doc, "config.json", &annotations, error);

	for (size_t i = 0; !status && i < ARRAY_SIZE(sources); i++) {
		char **field = (char **)((char *)c + sources[i].field);
		const char *text = df_json_string(df_json_get(annotations, sources[i].key));

		/* They only label events: what cannot be a name is no reason to refuse. */
		if (*field || !text || text[0] == '\0' || strlen(text) > DF_STATE_TEXT_MAX)
			continue;
		status = copy_string(text, field, error);
	}
	return status;
}

/* On lo, which the token route needs; "all" includes it. */
static bool is_ipv6_disabled(const struct df_json *doc)
{
	static const char *const keys[] = {
		"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6",
		"net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/lo/disable_ipv6"};
	const struct df_json *sysctl = df_json_get(df_json_get(doc, "linux"), "sysctl");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = df_json_string(df_json_get(sysctl, keys[i]));

		if (value && strcmp(value, "0") != 0)
			return true;
	}
	return false;
}

int df_config_parse(const char *text, size_t len, struct df_config *ret,
		    char ret_error[static DF_STATE_ERROR_MAX])
{
	_cleanup_json_ struct df_json *doc = NULL;
	_cleanup_config_ struct df_config c = {0};
	int status = parse_object("config.json", text, len, &doc, ret_error);

	if (!status)
		status = read_mounts(doc, &c, ret_error);
	if (!status)
		status = read_root(doc, &c, ret_error);
	if (!status)
		status = read_names(doc, &c, ret_error);
	c.is_ipv6_disabled = is_ipv6_disabled(doc);
	if (status)
		return status;
	*ret = c;
	c = (struct df_config){0};
	return 0;
}

void df_config_done(struct df_config *c)
{
	free(c->resolv_conf);
	free(c->root_path);
	free(c->name);
	free(c->image);
	free(c->pod);
	free(c->k8s_namespace);
	*c = (struct df_config){0};
}
