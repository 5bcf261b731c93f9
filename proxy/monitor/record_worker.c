/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of the worker: deployfence.events(5).  The worker is not trusted. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/util.h"
#include "proxy/dns/wire.h"
#include "proxy/learn/teach.h"
#include "proxy/monitor/record.h"

/* --- names of learned addresses ----------------------------------------------------- */

static uint32_t number_of_slot(uint32_t slot)
{
	return slot & ((1u << DF_LEARN_SLOT_SHIFT) - 1);
}

int df_record_name(struct df_record *r, const struct df_msg_name *m)
{
	const uint32_t i = number_of_slot(m->slot);
	const uint16_t generation = (uint16_t)(m->slot >> DF_LEARN_SLOT_SHIFT);

	if (i == 0 || i >= DF_LEARN_NAMES || !df_dname_is_sane(&m->name))
		return -EBADMSG;
	if (r->learned[i].name.len > 0 && r->learned[i].generation == generation)
		return df_dname_is_equal(&r->learned[i].name, &m->name) ? 0 : -EBADMSG;
	r->learned[i].generation = generation;
	r->learned[i].name = m->name;
	return 0;
}

int df_record_name_of(const struct df_record *r, uint32_t slot, struct df_dname *ret)
{
	const uint32_t i = number_of_slot(slot);

	if (i == 0 || i >= DF_LEARN_NAMES || r->learned[i].name.len == 0 ||
	    r->learned[i].generation != slot >> DF_LEARN_SLOT_SHIFT)
		return -ENOENT;
	*ret = r->learned[i].name;
	return 0;
}

/* --- queries and payloads ------------------------------------------------------------ */

static const char *const reasons[DF_REASON_END] = {
	[DF_REASON_QNAME] = "FromDNSRequest",
	[DF_REASON_SEARCH] = "FromSearchList",
	[DF_REASON_CNAME] = "FromCNAME",
	[DF_REASON_UNLISTED] = "NotInAllowlist",
	[DF_REASON_TARGET] = "FromTargetName",
	[DF_REASON_RESOLVER] = "UntrustedResolver",
	[DF_REASON_NO_RESOLVER] = "NoTrustedResolver",
	[DF_REASON_SNI] = "FromSNI",
	[DF_REASON_HOST] = "FromHostHeader",
	[DF_REASON_REQUEST] = "FromProxyRequest",
	[DF_REASON_NO_NAME] = "NoName",
	[DF_REASON_NOT_LEARNED] = "NameNotLearned",
	[DF_REASON_ADDRESS] = "AddressRule",
	[DF_REASON_PINNED] = "AddressOfName",
	[DF_REASON_SHARED] = "SharedAddress",
	[DF_REASON_PORT] = "PortNotAllowed",
	[DF_REASON_RAW] = "RawAddress",
};

const char *df_record_reason(uint32_t reason)
{
	return reason < DF_REASON_END ? reasons[reason] : NULL;
}

/* By the place: the event of one that passes, and of a refusal. */
static const char *const events[DF_AT_END][2] = {
	[DF_AT_DNS] = {"query", "dns_blocked"},
	[DF_AT_TLS] = {"tls_connection", "tls_blocked"},
	[DF_AT_HTTP] = {"http_request", "http_blocked"},
	[DF_AT_PROXY] = {"proxy_request", "proxy_blocked"},
};

void df_record_forget(struct df_record *r)
{
	for (int i = 0; i < DF_RECORD_WHO_MAX; i++)
		r->who[i].seq = 0;
}

void df_record_identity(struct df_record *r, uint32_t seq, const struct df_identity *who)
{
	r->who[seq % DF_RECORD_WHO_MAX].seq = seq;
	r->who[seq % DF_RECORD_WHO_MAX].who = *who;
}

static bool is_query_sane(const struct df_msg_query *m)
{
	const bool is_refusal = m->flags & DF_QUERY_REFUSAL;
	const bool has_name = m->name.len > 0;

	if (m->n_addrs > DF_EVENT_ADDRS_MAX || m->n_chain > DF_EVENT_CHAIN_MAX ||
	    m->reason >= DF_REASON_END || m->rcode > 0xfff)
		return false;
	if (m->at >= DF_AT_END || !events[m->at][is_refusal])
		return false; /* a place that only the kernel sees */
	if ((m->at == DF_AT_DNS || has_name) && !df_dname_is_sane(&m->name))
		return false; /* a payload may have none */
	if (is_refusal && m->reason == DF_REASON_NONE)
		return false;
	if (!is_refusal && (m->at == DF_AT_TLS || m->at == DF_AT_HTTP) &&
	    !(has_name && m->flags & DF_QUERY_ADDR))
		return false;
	if ((m->flags & DF_QUERY_SHADOW) && m->shadow_reason >= DF_REASON_END)
		return false;
	if ((m->flags & DF_QUERY_SEARCH) && (m->at != DF_AT_DNS || !is_refusal))
		return false;
	for (unsigned i = 0; i < m->n_chain; i++)
		if (!df_dname_is_sane(&m->chain[i]))
			return false;
	return true;
}

/* Where the shadow policy is against a name, or for one that was refused. */
static int record_shadow(struct df_record *r, const struct df_msg_query *m,
			 const struct df_event_line *judged)
{
	struct df_event_line e = {
		.event = "shadow",
		.reason = reasons[m->shadow_reason],
		.is_shadow = true,
		.would_block = m->shadow_reason != DF_REASON_NONE,
		.domain = judged->domain,
		.who = judged->who,
		.is_search = judged->is_search,
	};
	struct df_decision d = {.is_refusal = e.would_block, .reason = m->shadow_reason};
	struct df_record_texts texts;

	if (df_tables_rule(r->tables, m->shadow_rule, &d.table, &d.rule) < 0 ||
	    d.table != DF_TABLE_SHADOW)
		return -EBADMSG;
	if (!e.would_block && !judged->is_refusal)
		return 0;
	df_record_verdict(r, &d, IPPROTO_TCP, &e, &texts);
	if (!df_record_is_over_rate(r, DF_RATE_ALLOWED))
		df_record_emit(r, &e, false);
	return 0;
}

/* A payload's: the name that it asked for, and where it went. */
static void describe_payload(const struct df_msg_query *m, struct df_event_line *e)
{
	e->has_query = false;
	e->resolver = NULL;
	e->port = m->port;
	if (m->name.len == 0)
		e->domain = NULL;
	if (m->flags & DF_QUERY_ADDR)
		e->addr = m->addr;
	if (m->at == DF_AT_PROXY) {
		e->proxy = m->token.addr;
		e->proxy_port = ntohs(m->token.port);
	}
	if ((m->flags & DF_QUERY_SUMMARY) && !e->is_refusal && m->at != DF_AT_PROXY)
		e->of = events[m->at][false];
}

static void count_query(struct df_record *r, const struct df_msg_query *m)
{
	const uint64_t n = m->flags & DF_QUERY_SUMMARY ? m->count : 1;

	if (m->flags & DF_QUERY_SEARCH) {
		r->n_search += n;
		return;
	}
	if (m->at == DF_AT_DNS)
		r->n_queries += n;
	if (m->flags & DF_QUERY_REFUSAL)
		r->n_refusals += n;
}

int df_record_query(struct df_record *r, const struct df_msg_query *m)
{
	const bool is_summary = m->flags & DF_QUERY_SUMMARY,
		   is_refusal = m->flags & DF_QUERY_REFUSAL;
	struct df_decision d = {.is_refusal = is_refusal, .reason = m->reason};
	char domain[DF_DNAME_TEXT_MAX];
	struct df_record_texts texts;
	struct df_identity unknown;
	struct df_event_line e;

	if (!is_query_sane(m) || df_tables_rule(r->tables, m->rule, &d.table, &d.rule) < 0 ||
	    d.table == DF_TABLE_SHADOW)
		return -EBADMSG;
	e = (struct df_event_line){
		.event = is_summary ? "summary" : events[m->at][is_refusal],
		.reason = reasons[m->reason],
		.is_refusal = is_refusal,
		.is_blocked = is_refusal && !(m->flags & DF_QUERY_PASSED) &&
			      r->tables->modes[d.table] == DF_MODE_ENFORCE,
		.is_search = m->flags & DF_QUERY_SEARCH,
		.at = m->at,
		.domain = domain,
		.has_query = !is_summary,
		.txid = m->txid,
		.qtype = m->qtype,
		.rcode = (uint8_t)m->rcode,
		.resolver = m->token.addr,
		.resolver_port = ntohs(m->token.port),
		.answered_by = m->flags & DF_QUERY_REROUTED ? m->answered_by : NULL,
		.is_tcp = m->flags & DF_QUERY_TCP,
		.n_addrs = m->n_addrs,
		.addrs = m->addrs,
		.n_chain = m->n_chain,
		.chain = m->chain,
		.count = m->count,
	};
	if (m->name.len > 0)
		(void)df_dname_to_text(&m->name, domain);
	if (m->at != DF_AT_DNS)
		describe_payload(m, &e);
	df_record_verdict(r, &d, IPPROTO_TCP, &e, &texts);
	if (r->who[m->seq % DF_RECORD_WHO_MAX].seq == m->seq) {
		e.who = &r->who[m->seq % DF_RECORD_WHO_MAX].who;
	} else {
		df_record_from_token(&m->token, DF_IDENTITY_UNAVAILABLE, &unknown);
		e.who = &unknown;
	}
	count_query(r, m);
	if (!df_record_is_over_rate(r, is_refusal ? DF_RATE_REFUSED : DF_RATE_ALLOWED))
		df_record_emit(r, &e, is_refusal && !is_summary);
	return m->flags & DF_QUERY_SHADOW ? record_shadow(r, m, &e) : 0;
}

/* --- notes ---------------------------------------------------------------------------- */

#define NOTE_TEXT_MAX (DF_DNAME_TEXT_MAX + 64)

static const char *const levers[DF_LEVER_END] = {
	[DF_LEVER_LOOPBACK] = "Loopback",       [DF_LEVER_LINK_LOCAL] = "LinkLocal",
	[DF_LEVER_PRIVATE] = "Private",         [DF_LEVER_MULTICAST] = "Multicast",
	[DF_LEVER_UNSPECIFIED] = "Unspecified", [DF_LEVER_RESOLVER] = "Resolver",
	[DF_LEVER_OWN] = "OwnAddress",          [DF_LEVER_RULE] = "AllowedByRule",
};

/* Addresses that were not learned: the event, its meaning, and what can be done. */
static bool describe_unlearned(const struct df_msg_note *m, struct df_event_line *e)
{
	static const struct {
		const char *event, *message;
	} kinds[] = {
		[DF_NOTE_PIN_IGNORED] = {"pin_ignored", "a refused name has this address; that "
							"refuses no such address"},
		[DF_NOTE_REBINDING_IGNORED] = {"rebinding_ignored",
					       "an allowed name has this address; that opens no "
					       "such address"},
		[DF_NOTE_UNLEARNED] = {"table_full",
				       "no room to learn addresses; the last is named"},
	};
	const bool is_full = m->what == DF_NOTE_UNLEARNED;

	if (m->why >= DF_LEVER_END || is_full != (m->why == DF_LEVER_NONE))
		return false;
	e->event = kinds[m->what].event;
	e->message = kinds[m->what].message;
	e->reason = levers[m->why];
	e->addr = m->addr;
	e->count = is_full ? m->count : 0;
	e->is_note = true;
	return true;
}

/* DNS that cannot be read: passed on where nothing is enforced, else answered with an error. */
static bool describe_unread(const struct df_msg_note *m, struct df_event_line *e, char *text)
{
	const bool is_query = m->what == DF_NOTE_UNREAD_QUERY || m->what == DF_NOTE_REFUSED_QUERY;
	const bool is_passed = m->what == DF_NOTE_UNREAD_QUERY || m->what == DF_NOTE_UNREAD_ANSWER;

	if (m->why != 0)
		return false;
	(void)snprintf(text, NOTE_TEXT_MAX, "%s: %s%s",
		       is_passed ? "passed on unread" : "not to be read, answered with an error",
		       is_query ? "a query" : "the answer about ", e->domain ? e->domain : "");
	e->event = is_passed ? "unobserved" : "unreadable";
	e->reason = is_query ? "UnreadableQuery" : "UnreadableAnswer";
	e->addr = m->addr;
	e->port = DF_DNS_PORT;
	e->count = m->count;
	e->domain = NULL; /* that key stands for names that were judged */
	return true;
}

/* A name whose addresses are not (all) refused; or are again. */
static bool describe_pin(const struct df_msg_note *m, struct df_event_line *e, char *text)
{
	static const struct {
		const char *reason, *message;
	} causes[DF_PIN_CAUSES] = {
		[DF_PIN_TIMEOUT] = {"Timeout", "no resolver answered in time"},
		[DF_PIN_UNREACHABLE] = {"Unreachable", "no resolver can be reached"},
		[DF_PIN_SERVFAIL] = {"ServerFailure", "the resolver failed (SERVFAIL)"},
		[DF_PIN_REFUSED] = {"RefusedByResolver", "the resolver answered with an error"},
		[DF_PIN_MALFORMED] = {"Malformed", "the answer is malformed"},
		[DF_PIN_CUT] = {"CutAnswer",
				"the answer is cut, and the rest could not be had by TCP"},
		[DF_PIN_MANY] = {"TooManyAddresses", NULL},
		[DF_PIN_FULL] = {"TableFull", "no room for its addresses"},
		[DF_PIN_QUEUE_FULL] = {"QueueFull",
				       "too many refused names wait for their addresses"},
	};
	const bool is_failure = m->what == DF_NOTE_PIN_FAILED;
	size_t n = 0;

	if (m->why >= DF_PIN_CAUSES || is_failure == (m->why == DF_PIN_NO_CAUSE) ||
	    (m->qtype != 0 && m->qtype != DF_DNS_TYPE_A && m->qtype != DF_DNS_TYPE_AAAA))
		return false;
	e->event = is_failure ? "pin_failed" : "pin_recovered";
	e->reason = causes[m->why].reason;
	e->is_warning = is_failure;
	e->is_note = true;
	if (!is_failure) {
		df_append(text, NOTE_TEXT_MAX, &n,
			  "connections to the addresses of the name are refused again");
	} else if (m->why == DF_PIN_MANY) {
		e->count = m->count;
		df_append(text, NOTE_TEXT_MAX, &n,
			  "%s%u addresses; connections to %u of them are refused, to the others "
			  "not; an address rule refuses all",
			  m->qtype ? "" : "at least ", m->count, DF_LEARN_STICKY_MAX);
	} else {
		if (m->qtype)
			df_append(text, NOTE_TEXT_MAX, &n,
				  "%s: ", m->qtype == DF_DNS_TYPE_AAAA ? "AAAA" : "A");
		df_append(text, NOTE_TEXT_MAX, &n,
			  "%s; connections to addresses of the name that are not known are not "
			  "refused, the name itself is; it is tried again",
			  causes[m->why].message);
		if (m->n_others > 0)
			df_append(text, NOTE_TEXT_MAX, &n, "; so are %u other names", m->n_others);
	}
	return true;
}

int df_record_note(struct df_record *r, const struct df_msg_note *m)
{
	char domain[DF_DNAME_TEXT_MAX], text[NOTE_TEXT_MAX] = "";
	struct df_event_line e = {.is_warning = true, .message = text};
	bool may_lack_name = false, is_sane = false;

	if (m->count == 0 || (m->name.len > 0 && !df_dname_is_sane(&m->name)))
		return -EBADMSG;
	if (m->name.len > 0) {
		(void)df_dname_to_text(&m->name, domain);
		e.domain = domain;
	}
	switch ((enum df_note)m->what) {
	case DF_NOTE_PIN_IGNORED:
	case DF_NOTE_REBINDING_IGNORED:
	case DF_NOTE_UNLEARNED:
		is_sane = describe_unlearned(m, &e);
		break;
	case DF_NOTE_UNREAD_QUERY:
	case DF_NOTE_UNREAD_ANSWER:
	case DF_NOTE_REFUSED_QUERY:
	case DF_NOTE_REFUSED_ANSWER:
		may_lack_name = true;
		is_sane = describe_unread(m, &e, text);
		break;
	case DF_NOTE_PIN_FAILED:
	case DF_NOTE_PIN_RECOVERED:
		is_sane = describe_pin(m, &e, text);
		break;
	case DF_NOTE_END: /* and whatever else a worker may say */
		break;
	}
	if (!is_sane || (m->name.len == 0 && !may_lack_name))
		return -EBADMSG;
	if (!df_record_is_over_rate(r, DF_RATE_ALLOWED))
		df_record_emit(r, &e, true);
	return 0;
}
