/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events about DNS that nobody here can read: passed on where nothing is enforced, else answered
 * with an error.
 */
#include <errno.h>
#include <stdio.h>

#include "proxy/monitor/record_emit.h"

int df_record_unread(struct df_record *r, const struct df_msg_note *m)
{
	const bool is_query = m->what == DF_NOTE_UNREAD_QUERY || m->what == DF_NOTE_REFUSED_QUERY;
	const bool is_passed = m->what == DF_NOTE_UNREAD_QUERY || m->what == DF_NOTE_UNREAD_ANSWER;
	char domain[DF_DNAME_TEXT_MAX] = "", message[DF_DNAME_TEXT_MAX + 64];
	struct df_event_line e = {
		.event = is_passed ? "unobserved" : "unreadable",
		.reason = is_query ? "UnreadableQuery" : "UnreadableAnswer",
		.is_warning = true,
		.addr = m->addr,
		.port = DF_DNS_PORT,
		.count = m->count,
	};

	if ((!is_query && m->what != DF_NOTE_UNREAD_ANSWER && m->what != DF_NOTE_REFUSED_ANSWER) ||
	    m->count == 0 || m->why != 0)
		return -EBADMSG;
	if (m->name.len > 0) {
		if (!df_dname_is_sane(&m->name))
			return -EBADMSG;
		(void)df_dname_to_text(&m->name, domain);
	}
	/* no domain: that stands for names that were judged */
	(void)snprintf(message, sizeof(message), "%s: %s%s",
		       is_passed ? "passed on unread" : "not to be read, answered with an error",
		       is_query ? "a query" : "the answer about ", domain);
	e.message = message;
	if (!df_record_is_over_rate(r, DF_RATE_ALLOWED))
		df_record_emit(r, &e, true);
	return 0;
}
