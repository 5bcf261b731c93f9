/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events about what answers said and was not learned. */
#include <errno.h>
#include <stdio.h>

#include "lib/base/util.h"
#include "proxy/dns/wire.h"
#include "proxy/learn/teach.h"
#include "proxy/monitor/record_emit.h"

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

/* --- names whose addresses are not (all) refused --- */

#define PIN_MESSAGE_MAX 320

static const struct {
	const char *reason, *message;
} causes[DF_PIN_CAUSES] = {
	[DF_PIN_TIMEOUT] = {"Timeout", "no resolver answered in time"},
	[DF_PIN_UNREACHABLE] = {"Unreachable", "no resolver can be reached"},
	[DF_PIN_SERVFAIL] = {"ServerFailure", "the resolver failed (SERVFAIL)"},
	[DF_PIN_REFUSED] = {"RefusedByResolver", "the resolver answered with an error"},
	[DF_PIN_MALFORMED] = {"Malformed", "the answer is malformed"},
	[DF_PIN_CUT] = {"CutAnswer", "the answer is cut, and the rest could not be had by TCP"},
	[DF_PIN_MANY] = {"TooManyAddresses", NULL},
	[DF_PIN_FULL] = {"TableFull", "no room for its addresses"},
	[DF_PIN_QUEUE_FULL] = {"QueueFull", "too many refused names wait for their addresses"},
};

/* In whole sentences: it is for who wonders what is refused and what is not. */
static void describe_failure(const struct df_msg_note *m, char text[static PIN_MESSAGE_MAX])
{
	size_t n = 0;

	if (m->why == DF_PIN_MANY) {
		df_append(text, PIN_MESSAGE_MAX, &n,
			  "%s%u addresses; connections to %u of them are refused, to the others "
			  "not; an address rule refuses all",
			  m->qtype ? "" : "at least ", m->count, DF_LEARN_STICKY_MAX);
		return;
	}
	if (m->qtype)
		df_append(text, PIN_MESSAGE_MAX, &n,
			  "%s: ", m->qtype == DF_DNS_TYPE_AAAA ? "AAAA" : "A");
	df_append(text, PIN_MESSAGE_MAX, &n,
		  "%s; connections to addresses of the name that are not known are not refused, "
		  "the name itself is; it is tried again",
		  causes[m->why].message);
	if (m->n_others > 0)
		df_append(text, PIN_MESSAGE_MAX, &n, "; so are %u other names", m->n_others);
}

int df_record_pin(struct df_record *r, const struct df_msg_note *m)
{
	const bool is_failure = m->what == DF_NOTE_PIN_FAILED;
	char domain[DF_DNAME_TEXT_MAX], text[PIN_MESSAGE_MAX];
	struct df_event_line e = {
		.event = is_failure ? "pin_failed" : "pin_recovered",
		.is_warning = is_failure,
		.domain = domain,
		.message = text,
		.is_note = true,
	};

	if ((!is_failure && m->what != DF_NOTE_PIN_RECOVERED) || m->count == 0 ||
	    m->why >= DF_PIN_CAUSES || is_failure == (m->why == DF_PIN_NO_CAUSE) ||
	    (m->qtype != 0 && m->qtype != DF_DNS_TYPE_A && m->qtype != DF_DNS_TYPE_AAAA) ||
	    !df_dname_is_sane(&m->name))
		return -EBADMSG;
	(void)df_dname_to_text(&m->name, domain);
	e.reason = causes[m->why].reason;
	e.count = m->why == DF_PIN_MANY ? m->count : 0;
	if (is_failure)
		describe_failure(m, text);
	else
		(void)snprintf(text, sizeof(text),
			       "connections to the addresses of the name are refused again");
	if (!df_record_is_over_rate(r, DF_RATE_ALLOWED))
		df_record_emit(r, &e, true);
	return 0;
}
