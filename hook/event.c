/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/event.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/util.h"
#include "lib/event/event.h"
#include "lib/event/reports.h"

/* As much as a fence lets it grow: a container that is restarted for ever is unfenced as often. */
#define FILE_MAX ((off_t)4 << 20)

void df_hook_event(int run_fd, const struct df_meta *m, const char *event, const char *message)
{
	static char text[DF_EVENT_JSON_MAX + 1];
	const struct df_event_line e = {.event = event, .message = message, .is_warning = true};
	_cleanup_close_ int fd =
		openat(run_fd, "events.jsonl",
		       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	size_t n = df_event_json(&e, &m->job, text, sizeof(text) - 1);
	struct stat st;

	if (fd < 0 || n == 0 || fstat(fd, &st) < 0 || st.st_size + (off_t)n >= FILE_MAX)
		return;
	text[n++] = '\n';
	if (df_write_all(fd, text, n) == 0)
		df_reports_note_unkept(run_fd); /* a poststop takes it to report-dir */
}
