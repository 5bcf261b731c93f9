/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config: what the bundle's config.json (OCI runtime-spec, config.md) adds to the state:
 * where the container's files are, what managers call it, and what confines it.
 *
 * Hostile: bounded, checked, copied out.  A fault that the runtime itself refuses is not refused
 * here a second time: a part of a wrong type counts as missing, except where a guess would fence
 * the wrong thing.  No side effects, no logging.
 */
#ifndef DF_CONFIG_H
#define DF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hook/annotations.h"
#include "hook/oci/json.h"

struct df_config_mount {
	char *source;            /* as written; relative to the bundle */
	const char *destination; /* as written */
	bool is_cgroup;          /* a cgroup file system of its own, without a source */
	bool is_recursive;       /* with what is mounted below the source … */
	bool is_readonly;        /* … which this does not cover, … */
	bool is_all_readonly;    /* … but this does */
};

/* Of linux.resources.devices; of those that fit a device the last one counts. */
struct df_config_rule {
	bool is_block, is_char; /* both: every type */
	bool is_allowed;
	int64_t major, minor; /* -1: any */
};

/* A block device of linux.devices. */
struct df_config_device {
	uint32_t major, minor;
	const char *path; /* in the container */
};

/* df_config_done.  Missing parts are NULL. */
struct df_config {
	struct df_json *doc;     /* to which all strings that are const belong */
	const char *resolv_conf; /* source of the mount at /etc/resolv.conf */
	const char *root_path;   /* as written; relative to the bundle */
	const char *name;        /* container name where the manager tells one; see config.c */
	const char *image;
	const char *pod;
	const char *k8s_namespace;
	struct df_annotations_runtime runtime;
	const char *hostname;  /* of its own UTS namespace: whoever starts it chooses */
	bool is_ipv6_disabled; /* by linux.sysctl; runc sets those after the hooks */

	/* what confines it */
	uint64_t caps;         /* of any set, by CAP_… of <linux/capability.h>; see config.c */
	bool has_seccomp;      /* a filter that refuses something */
	bool has_masked_paths; /* parts of /proc and /sys are hidden */
	bool has_all_devices;  /* every device is allowed … */
	bool may_use_tun;      /* … or /dev/net/tun at least … */
	bool has_tun;          /* … which is made for it */
	bool has_own_cgroupns; /* a new one */
	const char
		*delegated_cgroup; /* crun's run.oci.delegate-cgroup: below its cgroup, with init */
	bool is_in_pod;            /* managers say that it shares namespaces */
	const char *netns_path;    /* of the network namespace that it joins */
	bool has_writable_sysfs;
	bool has_writable_proc; /* and of it nothing made read-only that must be */
	const char *pidns_path; /* the same of the pid namespace */
	char *proxies;          /* "http_proxy=http://10.0.0.1:3128, …" of its environment */
	char *localdomain;      /* LOCALDOMAIN of its environment, */
	char *res_options;      /* and RES_OPTIONS: resolv.conf(5) */
	unsigned listen_fds;    /* LISTEN_FDS of its environment */
	struct df_config_mount *mounts; /* what shows it files of the host, the root last */
	size_t n_mounts, cap_mounts;
	struct df_config_rule *rules;
	size_t n_rules, cap_rules;
	struct df_config_device *disks;
	size_t n_disks, cap_disks;
};

/* 0, or 65 or 71 with error filled and *ret untouched. */
int df_config_parse(const char *text, size_t len, struct df_config *ret,
		    char ret_error[static DF_OCI_ERROR_MAX]);
void df_config_done(struct df_config *c);

/* Whether its rules let it open a device; without any rule runtimes differ: then yes. */
bool df_config_may_use_device(const struct df_config *c, bool is_block, uint32_t major,
			      uint32_t minor);

#endif
