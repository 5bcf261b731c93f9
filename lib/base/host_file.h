/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_file: files that count as the host's word.
 *
 * A file counts if it is a regular file that belongs to root and that nobody else may
 * write; the same holds for every directory and every symbolic link on the way to it, or
 * somebody else could put another file there.  A directory that others may write is
 * accepted if it is sticky, as /tmp: nobody but their owner can exchange root's files in it.
 *
 * The way is walked one component at a time, and each is looked at through its descriptor:
 * there is no moment between the look and the use.
 */
#ifndef DF_HOST_FILE_H
#define DF_HOST_FILE_H

#include <sys/types.h>

#define DF_HOST_FILE_WHY_MAX 640

/*
 * Opens a file for reading.  owner: files may belong to this user beside root; the hook and
 * all that root runs have 0 here.  -EPERM: it does not count, and ret_why says why and what
 * to do; -EINVAL: not a regular file; -ENOENT: it, or what a link leads to, is missing; other
 * -errno.  ret_why is "" with all but -EPERM, and escaped for a message.
 */
int df_host_file_open(const char *path, uid_t owner, char ret_why[static DF_HOST_FILE_WHY_MAX]);

/* The same for a directory, itself included.  -ENOTDIR: it is none. */
int df_host_dir_open(const char *path, uid_t owner, char ret_why[static DF_HOST_FILE_WHY_MAX]);

#endif
