/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report-dir, as the hook needs it: to hand it over, and for the sweep. */
#include <errno.h>
#include <string.h>

#include "hook/hook.h"
#include "lib/base/util.h"

/* Without it the fence is as good, but what it logs ends with /run. */
void df_hook_open_reports(struct df_hook *h)
{
	char line[DF_HOOK_REASON_MAX];

	h->reports_fd = df_reports_open(h->conf.report_dir, true);
	if (h->reports_fd >= 0)
		return;
	(void)snprintf(
		line, sizeof(line), "container=%s: report-dir %s: %s; no report is kept",
		h->state.id, h->conf.report_dir,
		h->reports_fd == -EPERM
			? "others than root own it or a directory above it, or may write there"
			: strerror(-h->reports_fd));
	df_hook_note(h, DF_LOG_WARNING, line);
}

void df_hook_find_reports(struct df_hook *h)
{
	_cleanup_free_ char *messages = NULL;

	if (df_conf_load(DF_CONF_FILE, &h->conf, &messages) == 0)
		h->reports_fd = df_reports_open(h->conf.report_dir, true);
}
