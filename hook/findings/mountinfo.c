/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/findings/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/array.h"
#include "lib/base/util.h"

#define TEXT_MAX (8u << 20) /* a host with thousands of containers */

/* Blanks, tabs, newlines and backslashes are written as \\ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (;;) {
		if (strncmp(options, name, len) == 0 && (!options[len] || options[len] == ','))
			return true;
		options += strcspn(options, ",");
		if (!*options++)
			return false;
	}
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static int parse_line(char *line, struct df_mount *ret)
{
	char *fields[6], *next = line, *rest = strstr(line, " - "), *type, *super;

	if (!rest)
		return -EBADMSG;
	*rest = '\0';
	rest += 3;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&next, " ");
		if (!fields[i])
			return -EBADMSG;
	}
	type = strsep(&rest, " ");
	if (!rest || !strsep(&rest, " ") ||
	    sscanf(fields[2], "%u:%u", &ret->major, &ret->minor) != 2)
		return -EBADMSG;
	super = rest ? rest : (char *)"";
	unescape(fields[3]);
	unescape(fields[4]);
	ret->id = atoi(fields[0]);
	ret->root = fields[3];
	ret->point = fields[4];
	ret->type = type;
	ret->super = super; /* as it is: a directory's name may hold a comma */
	ret->is_readonly = has_option(fields[5], "ro") || has_option(super, "ro");
	return 0;
}

int df_mountinfo_parse(char *text, struct df_mountinfo *ret)
{
	struct df_mountinfo m = {.text = text};
	char *next = text;

	for (char *line; (line = strsep(&next, "\n")) != NULL;) {
		int r;

		if (!*line)
			continue;
		r = df_array_reserve(&m.mounts, &m.cap_mounts, m.n_mounts + 1, sizeof(*m.mounts));
		if (r < 0) {
			df_mountinfo_done(&m);
			return r;
		}
		if (parse_line(line, &m.mounts[m.n_mounts]) == 0)
			m.n_mounts++;
	}
	*ret = m;
	return 0;
}

int df_mountinfo_read(struct df_mountinfo *ret)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t len;
	int r = fd < 0 ? -errno : df_read_all(fd, TEXT_MAX, &text, &len);

	return r < 0 ? r : df_mountinfo_parse(text, ret);
}

void df_mountinfo_done(struct df_mountinfo *m)
{
	free(m->text);
	free(m->mounts);
	*m = (struct df_mountinfo){0};
}

bool df_mountinfo_is_above(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return len > 0 && strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The number of the mount that a descriptor was opened through (Linux 3.15). */
static int mount_id(int fd)
{
	char path[64], text[1024], *line;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (df_read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	line = strstr(text, "mnt_id:");
	return line ? atoi(line + strlen("mnt_id:")) : -1;
}

static const struct df_mount *find(const struct df_mountinfo *m, int id)
{
	for (size_t i = m->n_mounts; i-- > 0;)
		if (m->mounts[i].id == id)
			return &m->mounts[i];
	return NULL;
}

int df_mountinfo_place(const struct df_mountinfo *m, int fd, struct df_place *ret,
		       const struct df_mount **ret_mount)
{
	const struct df_mount *mount = find(m, mount_id(fd));
	char link[64], path[PATH_MAX];
	const char *rest;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (!mount || n <= 0)
		return -ENOENT;
	path[n] = '\0';
	if (!df_mountinfo_is_above(mount->point, path))
		return -ENOENT;
	rest = path + (strcmp(mount->point, "/") == 0 ? 0 : strlen(mount->point));
	if (strcmp(rest, "/") == 0)
		rest = "";
	ret->major = mount->major;
	ret->minor = mount->minor;
	if (snprintf(ret->path, sizeof(ret->path), "%s%s",
		     strcmp(mount->root, "/") == 0 && *rest ? "" : mount->root,
		     rest) >= (int)sizeof(ret->path))
		return -ENAMETOOLONG;
	*ret_mount = mount;
	return 0;
}
