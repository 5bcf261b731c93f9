/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36
#define LINE_MAX_LEN (BOOT_ID_LEN + 11 * DF_PROBE_VALUES_MAX + 2)
#define PATH_MAX_LEN 128

/* A dot: what lists and sweeps fences leaves it out. */
static void path_of(const char *name, const char *suffix, char ret[static PATH_MAX_LEN])
{
	(void)snprintf(ret, PATH_MAX_LEN, DF_RUNDIR "/@%s%s", name, suffix);
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

bool df_probe_get(const char *name, uint32_t *values, size_t n)
{
	char path[PATH_MAX_LEN], boot_id[BOOT_ID_LEN + 2], line[LINE_MAX_LEN], *next = NULL;
	uint32_t read[DF_PROBE_VALUES_MAX];
	uint64_t value;

	path_of(name, "", path);
	if (n > ARRAY_SIZE(read) || df_read_small(AT_FDCWD, path, line, sizeof(line)) < 0 ||
	    read_boot_id(boot_id) < 0 || strcmp(strtok_r(line, " ", &next), boot_id) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *word = strtok_r(NULL, " ", &next);

		if (!word || df_parse_u64(word, UINT32_MAX, &value) < 0)
			return false;
		read[i] = (uint32_t)value;
	}
	if (strtok_r(NULL, " ", &next))
		return false; /* of another version */
	memcpy(values, read, n * sizeof(*values));
	return true;
}

void df_probe_set(const char *name, const uint32_t *values, size_t n)
{
	char path[PATH_MAX_LEN], new[PATH_MAX_LEN], suffix[32];
	char boot_id[BOOT_ID_LEN + 2], line[LINE_MAX_LEN];
	_cleanup_close_ int fd = -1;
	size_t len = 0;

	if (read_boot_id(boot_id) < 0)
		return;
	df_append(line, sizeof(line), &len, "%s", boot_id);
	for (size_t i = 0; i < n; i++)
		df_append(line, sizeof(line), &len, " %u", values[i]);
	(void)snprintf(suffix, sizeof(suffix), ".%d", (int)getpid());
	path_of(name, "", path);
	path_of(name, suffix, new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (df_write_all(fd, line, len) < 0 || rename(new, path) < 0)
		(void)unlink(new);
}
