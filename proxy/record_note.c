/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events about what answers said and was not learned. */
#include <errno.h>

#include "proxy/record_emit.h"
#include "proxy/teach.h"

static const char *lever_text(uint32_t why)
{
	switch ((enum df_lever)why) {
	case DF_LEVER_LOOPBACK:
		return "Loopback";
	case DF_LEVER_LINK_LOCAL:
		return "LinkLocal";
	case DF_LEVER_PRIVATE:
		return "Private";
	case DF_LEVER_MULTICAST:
		return "Multicast";
	case DF_LEVER_UNSPECIFIED:
		return "Unspecified";
	case DF_LEVER_RESOLVER:
		return "Resolver";
	case DF_LEVER_OWN:
		return "OwnAddress";
	case DF_LEVER_RULE:
		return "AllowedByRule";
	case DF_LEVER_NONE:
	case DF_LEVER_END:
		break;
	}
	return NULL;
}

/* Event and, for people, what it means and what can be done. */
static const struct {
	const char *event, *message;
} kinds[] = {
	[DF_NOTE_PIN_IGNORED] = {"pin_ignored",
				 "a refused name has this address; that refuses no such address"},
	[DF_NOTE_REBINDING_IGNORED] =
		{"rebinding_ignored",
		 "an allowed name has this address; that opens no such address"},
	[DF_NOTE_UNLEARNED] = {"table_full", "no room to learn addresses; the last is named"},
};

int df_record_note(struct df_record *r, const struct df_msg_note *m)
{
	char domain[DF_DNAME_TEXT_MAX];
	struct df_event_line e = {
		.reason = lever_text(m->why),
		.is_warning = true,
		.domain = domain,
		.addr = m->addr,
		.is_note = true,
	};

	if (m->what < DF_NOTE_PIN_IGNORED || m->what > DF_NOTE_UNLEARNED ||
	    m->why >= DF_LEVER_END || (m->what == DF_NOTE_UNLEARNED) != (m->why == DF_LEVER_NONE) ||
	    m->count == 0 || !df_dname_is_sane(&m->name))
		return -EBADMSG;
	(void)df_dname_to_text(&m->name, domain);
	e.event = kinds[m->what].event;
	e.message = kinds[m->what].message;
	e.count = m->what == DF_NOTE_UNLEARNED ? m->count : 0;
	if (!df_record_is_over_rate(r, DF_RATE_ALLOWED))
		df_record_emit(r, &e, true);
	return 0;
}
