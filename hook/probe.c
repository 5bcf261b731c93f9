/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/util.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36
#define LINE_MAX_LEN 64
#define PATH_MAX_LEN 128

/* A dot: what lists and sweeps fences leaves it out. */
static void path_of(const char *name, const char *suffix, char ret[static PATH_MAX_LEN])
{
	(void)snprintf(ret, PATH_MAX_LEN, DF_RUNDIR "/.%s%s", name, suffix);
}

/* -errno */
static int read_boot_id(char ret[static BOOT_ID_LEN + 2])
{
	ssize_t n = df_read_small(AT_FDCWD, BOOT_ID, ret, BOOT_ID_LEN + 2);

	if (n < BOOT_ID_LEN)
		return n < 0 ? (int)n : -EBADMSG;
	ret[BOOT_ID_LEN] = '\0';
	return 0;
}

uint32_t df_probe_get(const char *name)
{
	char path[PATH_MAX_LEN], boot_id[BOOT_ID_LEN + 2], line[LINE_MAX_LEN];
	uint64_t value;
	ssize_t n;

	path_of(name, "", path);
	n = df_read_small(AT_FDCWD, path, line, sizeof(line));
	if (n <= BOOT_ID_LEN || read_boot_id(boot_id) < 0 ||
	    strncmp(line, boot_id, BOOT_ID_LEN) != 0 || line[BOOT_ID_LEN] != ' ')
		return 0;
	return df_parse_u64(line + BOOT_ID_LEN + 1, UINT32_MAX, &value) == 0 ? (uint32_t)value : 0;
}

void df_probe_set(const char *name, uint32_t value)
{
	char path[PATH_MAX_LEN], new[PATH_MAX_LEN], suffix[32];
	char boot_id[BOOT_ID_LEN + 2], line[LINE_MAX_LEN];
	_cleanup_close_ int fd = -1;
	int len;

	if (read_boot_id(boot_id) < 0)
		return;
	(void)snprintf(suffix, sizeof(suffix), ".%d", (int)getpid());
	path_of(name, "", path);
	path_of(name, suffix, new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	len = snprintf(line, sizeof(line), "%s %u", boot_id, value);
	if (fd < 0)
		return;
	if (df_write_all(fd, line, (size_t)len) < 0 || rename(new, path) < 0)
		(void)unlink(new);
}
