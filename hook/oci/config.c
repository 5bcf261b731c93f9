/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config: where name, image, pod and namespace of df_config come from.
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
#include "hook/oci/config.h"

#include <limits.h>
#include <string.h>

#include "hook/oci/config_parts.h"
#include "hook/oci/oci_json.h"
#include "lib/base/util.h"

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
	return df_oci_copy(path, &c->root_path, error);
}

static int read_names(const struct df_json *doc, struct df_config *c, char *error)
{
	const struct df_json *annotations = NULL;
	int status = df_oci_annotations(doc, "config.json", &annotations, error);

	if (!status)
		status = df_runtime_annotations_read(annotations, &c->runtime, error);
	for (size_t i = 0; !status && i < ARRAY_SIZE(sources); i++) {
		char **field = (char **)((char *)c + sources[i].field);
		const char *text = df_json_string(df_json_get(annotations, sources[i].key));

		/* They only label events: what cannot be a name is no reason to refuse. */
		if (*field || !text || text[0] == '\0' || strlen(text) > DF_STATE_TEXT_MAX)
			continue;
		status = df_oci_copy(text, field, error);
	}
	return status;
}

/* A label like those of read_names, and no more. */
static int read_hostname(const struct df_json *doc, struct df_config *c, char *error)
{
	const char *text = df_json_string(df_json_get(doc, "hostname"));

	if (!text || text[0] == '\0' || strlen(text) > DF_STATE_TEXT_MAX)
		return 0;
	return df_oci_copy(text, &c->hostname, error);
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
	_cleanup_df_json_ struct df_json *doc = NULL;
	_cleanup_config_ struct df_config c = {0};
	int status = df_oci_object("config.json", text, len, &doc, ret_error);

	if (!status)
		status = read_root(doc, &c, ret_error);
	if (!status)
		status = df_config_read_mounts(doc, &c, ret_error);
	if (!status)
		status = df_config_read_limits(doc, &c, ret_error);
	if (!status)
		status = read_names(doc, &c, ret_error);
	if (!status)
		status = read_hostname(doc, &c, ret_error);
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
	free(c->hostname);
	free(c->netns_path);
	free(c->delegated_cgroup);
	free(c->pidns_path);
	free(c->proxies);
	df_runtime_annotations_done(&c->runtime);
	free(c->localdomain);
	free(c->res_options);
	for (size_t i = 0; i < c->n_mounts; i++) {
		free(c->mounts[i].source);
		free(c->mounts[i].destination);
	}
	free(c->mounts);
	free(c->rules);
	for (size_t i = 0; i < c->n_disks; i++)
		free(c->disks[i].path);
	free(c->disks);
	*c = (struct df_config){0};
}
