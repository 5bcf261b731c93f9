/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal: the parts of findings beside findings.c.
 *
 * mounts.c: sockets, devices, cgroups and files of the host that mounts show.
 * host_files.c: which files of the host fences stand on, and whether a mount leads to one.
 *
 * A place is a file system and a path in it, which is the same by whatever bind mount, link or
 * second mount somebody comes there.  Names of mount points say nothing of that.
 */
#ifndef DF_FINDINGS_INTERNAL_H
#define DF_FINDINGS_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hook/container.h"
#include "hook/oci/config.h"

struct df_findings; /* of findings.h, which findings.c shares with this header's modules */

#define DF_TUN_DEVICE makedev(10, 200) /* Documentation/admin-guide/devices.txt */

/* Each kind alone; df_findings_collect calls them all. */

/* By config.json alone, and by two facts of the container: no I/O. */
void df_findings_of_config(const struct df_config *config, const struct df_container *container,
			   struct df_findings *f);

/* Descriptors that the payload gets from outside. */
void df_findings_of_fds(const struct df_config *config, pid_t init, struct df_findings *f);

/*
 * Neighbours in the network namespace, and resolvers that the container could be itself.
 * is_docker: 127.0.0.11 is the engine's.
 */
void df_findings_of_network(const struct df_config *config, const struct df_container *container,
			    bool is_docker, struct df_findings *f);

/* Processes of others that it sees. */
void df_findings_of_processes(const struct df_config *config, const struct df_container *container,
			      struct df_findings *f);

/* Sockets, devices, cgroups and files of the host that mounts, the root and disks show. */
void df_findings_of_mounts(const char *bundle, const struct df_config *config,
			   const struct df_container *container, struct df_findings *f);

/* A line of /proc/self/mountinfo (proc(5)).  Strings belong to the text that was read. */
struct df_mount {
	int id;
	unsigned major, minor; /* of the superblock; btrfs: not stat's */
	const char *root;      /* what of the file system it shows */
	const char *point;     /* where */
	const char *type, *super;
	bool is_readonly;
};

/* Begins as { 0 }; df_mountinfo_done. */
struct df_mountinfo {
	char *text;
	struct df_mount *mounts;
	size_t n_mounts, cap_mounts;
};

/* A text of mountinfo, which is taken over and changed.  0 or -errno. */
int df_mountinfo_parse(char *text, struct df_mountinfo *ret);
void df_mountinfo_done(struct df_mountinfo *m);

/* Begins as { 0 }: nothing is read before the first question.  df_host_files_done. */
struct df_host_files {
	bool is_read;
	struct df_mountinfo mounts;
	struct df_host_place *places;
	size_t n_places, cap_places;
};
void df_host_files_done(struct df_host_files *h);

/*
 * Whether what a mount shows, its source open as fd, lets the container change the host.  Then the
 * cause is copied to ret, of PATH_MAX octets: a path or a few words.
 */
bool df_host_files_are_shown(struct df_host_files *h, const struct df_config *config,
			     const struct df_config_mount *mount, int fd, char *ret);

/* The same question for a block device that is made for the container. */
bool df_host_files_is_used_device(uint32_t major, uint32_t minor);

#endif
