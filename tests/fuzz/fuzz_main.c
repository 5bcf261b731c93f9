/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays a corpus without libFuzzer, for `make check`: each argument is a file
 * or a directory of files.  Exit 1 if there was no input or one cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/util.h"

#define INPUT_MAX (1u << 20) /* far beyond a DNS message; an input larger is a mistake */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dirfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint8_t *exact = NULL;
	size_t len;
	int r;

	r = df_read_file(dirfd, name, INPUT_MAX, &text, &len);
	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
		return r;
	}
	/* Without the NUL of df_read_file, so that ASan sees an over-read of one. */
	exact = malloc(len ? len : 1);
	if (!exact)
		return -ENOMEM;
	memcpy(exact, text, len);
	(void)LLVMFuzzerTestOneInput(exact, len);
	return 1;
}

static int replay_dir(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *entry;
	int n = 0, r;

	if (!dir) {
		r = -errno;
		(void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	while ((entry = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		r = replay_file(dirfd(dir), entry->d_name);
		if (r < 0)
			return r;
		n += r;
	}
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		bool is_dir = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
		int r = is_dir ? replay_dir(argv[i]) : replay_file(AT_FDCWD, argv[i]);

		if (r < 0)
			return EXIT_FAILURE;
		n += r;
	}
	(void)printf("%d inputs\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
