/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"

#define ARG_START_FIELD 48 /* of /proc/PID/stat, proc(5); the state is field 3 */

int df_process_image(pid_t pid, struct df_process_image *ret)
{
	struct df_process_image image = {};
	char path[64], text[1024], *word, *next = NULL;
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = df_read_small(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	word = strrchr(text, ')'); /* the name before it may hold anything */
	word = word ? strtok_r(word + 1, " \n", &next) : NULL;
	for (int field = 3; word && field < ARG_START_FIELD; field++)
		word = strtok_r(NULL, " \n", &next);
	if (!word || df_parse_u64(word, UINT64_MAX, &image.arg_start) < 0)
		return -EBADMSG;
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st) < 0)
		return -errno;
	image.exe_dev = st.st_dev;
	image.exe_ino = st.st_ino;
	*ret = image;
	return 0;
}
