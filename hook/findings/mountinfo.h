/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mountinfo: where in which file system a path really leads: /proc/self/mountinfo (proc(5)).
 *
 * A place is a file system and a path in it, which is the same by whatever bind mount, link or
 * second mount somebody comes there.  Names of mount points say nothing of that.
 */
#ifndef DF_MOUNTINFO_H
#define DF_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct df_place {
	unsigned major, minor; /* of the superblock, as mountinfo has it; btrfs: not stat's */
	char path[PATH_MAX];   /* in the file system; "/" its root */
};

/* Strings belong to the text that was read. */
struct df_mount {
	int id;
	unsigned major, minor;
	const char *root;  /* what of the file system it shows */
	const char *point; /* where */
	const char *type, *super;
	bool is_readonly;
};

/* Begins as { 0 }; df_mountinfo_done. */
struct df_mountinfo {
	char *text;
	struct df_mount *mounts;
	size_t n_mounts, cap_mounts;
};

/* Of this process.  0 or -errno. */
int df_mountinfo_read(struct df_mountinfo *ret);
/* The same of a text, which is taken over and changed. */
int df_mountinfo_parse(char *text, struct df_mountinfo *ret);
void df_mountinfo_done(struct df_mountinfo *m);

/* Equal, or above it. */
bool df_mountinfo_is_above(const char *dir, const char *path);

/*
 * The place that an O_PATH descriptor leads to.  *ret_mount is the mount it was reached by.  0;
 * -ENOENT: it is in no mount of this process's namespace.
 */
int df_mountinfo_place(const struct df_mountinfo *m, int fd, struct df_place *ret,
		       const struct df_mount **ret_mount);

#endif
