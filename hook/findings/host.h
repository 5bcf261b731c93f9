/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings_host: files of the host that fences stand on, and whether a mount leads to one.
 * Internal to findings_mounts.
 */
#ifndef DF_FINDINGS_HOST_H
#define DF_FINDINGS_HOST_H

#include "hook/findings/mountinfo.h"
#include "hook/oci/config.h"

/* Begins as { 0 }: nothing is read before the first question. */
struct df_host_files {
	bool is_read;
	struct df_mountinfo mounts;
	struct df_host_place *places;
	size_t n_places, cap_places;
};
void df_host_files_done(struct df_host_files *h);

/*
 * Why what the open source fd of a mount shows is a lever: a path or a few words, copied to ret;
 * or false.  ret begins with "" where the source itself is it.
 */
bool df_host_files_are_shown(struct df_host_files *h, const struct df_config *config,
			     const struct df_config_mount *mount, int fd, char *ret, size_t size);

/* The same question for a block device that is made for the container. */
bool df_host_files_is_used_device(uint32_t major, uint32_t minor);

#endif
