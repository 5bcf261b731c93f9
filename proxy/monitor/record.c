/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/addr.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "proxy/monitor/reader.h"
#include "proxy/monitor/record_emit.h"

#define TAG "deployfence"
#define JOURNAL_ENTRY_MAX 32768

static void open_file(struct df_record_file *f)
{
	struct stat st;

	f->fd = openat(DF_FD_RUN, f->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		       0600);
	f->size = f->fd >= 0 && fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* One old file is kept: NAME.1 */
static void rotate(struct df_record_file *f)
{
	char old[64];

	(void)snprintf(old, sizeof(old), "%s.1", f->name);
	(void)renameat(DF_FD_RUN, f->name, DF_FD_RUN, old);
	(void)close(f->fd);
	f->is_rotated = true;
	open_file(f);
}

static void write_line(struct df_record *r, struct df_record_file *f, char *line, size_t len)
{
	if (f->fd < 0 || len == 0) {
		r->n_lost++;
		return;
	}
	if (f->size + len + 1 > DF_RECORD_FILE_MAX)
		rotate(f);
	line[len] = '\n';
	if (df_write_all(f->fd, line, len + 1) == 0) {
		f->size += len + 1;
	} else {
		r->n_lost++; /* disk full: enforcement goes on */
		/* the half of a line would spoil the next one */
		(void)!ftruncate(f->fd, (off_t)f->size);
	}
	line[len] = '\0';
}

/* Where no journald runs, what was meant for it goes to syslog. */
static void log_line(struct df_record *r, const struct df_event_line *e, const char *text)
{
	const int level = e->is_blocked || e->is_warning ? DF_LOG_WARNING : DF_LOG_INFO;
	static char entry[JOURNAL_ENTRY_MAX];
	bool is_logged = false;
	int result = 0;

	if (r->meta->log_to_journal) {
		result = df_log_journal(entry, df_event_journal(e, &r->meta->job, level, text,
								entry, sizeof(entry)));
		is_logged = result != -ENOENT && result != -ECONNREFUSED;
	}
	if (r->meta->log_to_syslog || (r->meta->log_to_journal && !is_logged))
		result = df_log_syslog(TAG, level, text);
	if (result < 0)
		r->n_unlogged++;
}

void df_record_emit(struct df_record *r, const struct df_event_line *e, bool with_text)
{
	static char text[DF_EVENT_TEXT_MAX + 1], json[DF_EVENT_JSON_MAX + 1];
	size_t n = df_event_json(e, &r->meta->job, json, sizeof(json) - 1);

	write_line(r, &r->jsonl, json, n);
	if (!with_text)
		return;
	n = df_event_text(e, &r->meta->job, text, sizeof(text) - 1);
	log_line(r, e, text);
	write_line(r, &r->text, text, n);
	df_record_show(r, e, text); /* last: it may emit an event of its own */
}

void df_record_init(struct df_record *r, const struct df_meta *meta, const struct df_tables *tables)
{
	r->meta = meta;
	r->tables = tables;
	r->jsonl.name = "events.jsonl";
	r->text.name = "events.log";
	open_file(&r->jsonl);
	open_file(&r->text);
	df_record_show_init(r);
}

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

const char *df_record_reason(uint32_t reason)
{
	switch ((enum df_reason)reason) {
	case DF_REASON_QNAME:
		return "FromDNSRequest";
	case DF_REASON_SEARCH:
		return "FromSearchList";
	case DF_REASON_CNAME:
		return "FromCNAME";
	case DF_REASON_UNLISTED:
		return "NotInAllowlist";
	case DF_REASON_TARGET:
		return "FromTargetName";
	case DF_REASON_RESOLVER:
		return "UntrustedResolver";
	case DF_REASON_NO_RESOLVER:
		return "NoTrustedResolver";
	case DF_REASON_SNI:
		return "FromSNI";
	case DF_REASON_HOST:
		return "FromHostHeader";
	case DF_REASON_REQUEST:
		return "FromProxyRequest";
	case DF_REASON_NO_NAME:
		return "NoName";
	case DF_REASON_NOT_LEARNED:
		return "NameNotLearned";
	case DF_REASON_ADDRESS:
		return "AddressRule";
	case DF_REASON_PINNED:
		return "AddressOfName";
	case DF_REASON_SHARED:
		return "SharedAddress";
	case DF_REASON_PORT:
		return "PortNotAllowed";
	case DF_REASON_RAW:
		return "RawAddress";
	case DF_REASON_NONE:
	case DF_REASON_END:
		break;
	}
	return NULL;
}

static bool is_query_sane(const struct df_msg_query *m)
{
	if (m->n_addrs > DF_EVENT_ADDRS_MAX || m->n_chain > DF_EVENT_CHAIN_MAX ||
	    m->reason >= DF_REASON_END || m->rcode > 0xfff)
		return false;
	if (m->at != DF_AT_DNS && m->at != DF_AT_TLS && m->at != DF_AT_HTTP && m->at != DF_AT_PROXY)
		return false;
	if ((m->at == DF_AT_DNS || m->name.len > 0) && !df_dname_is_sane(&m->name))
		return false; /* a payload may have none */
	if ((m->flags & DF_QUERY_REFUSAL)
		    ? m->reason == DF_REASON_NONE
		    : (m->at == DF_AT_TLS || m->at == DF_AT_HTTP) &&
			      (m->name.len == 0 || !(m->flags & DF_QUERY_ADDR)))
		return false;
	if ((m->flags & DF_QUERY_SHADOW) && m->shadow_reason >= DF_REASON_END)
		return false;
	if ((m->flags & DF_QUERY_SEARCH) && (m->at != DF_AT_DNS || !(m->flags & DF_QUERY_REFUSAL)))
		return false;
	for (unsigned i = 0; i < m->n_chain; i++)
		if (!df_dname_is_sane(&m->chain[i]))
			return false;
	return true;
}

/* Of one that is no summary. */
static const char *event_name(const struct df_msg_query *m)
{
	if (m->at == DF_AT_TLS)
		return m->flags & DF_QUERY_REFUSAL ? "tls_blocked" : "tls_connection";
	if (m->at == DF_AT_HTTP)
		return m->flags & DF_QUERY_REFUSAL ? "http_blocked" : "http_request";
	if (m->at == DF_AT_PROXY)
		return m->flags & DF_QUERY_REFUSAL ? "proxy_blocked" : "proxy_request";
	return m->flags & DF_QUERY_REFUSAL ? "dns_blocked" : "query";
}

/* A flood must not rotate the first refusals out of the log. */
bool df_record_is_over_rate(struct df_record *r, enum df_record_sort sort)
{
	const uint64_t per_event_ns = 1000000000ull / DF_RECORD_RATE, now = df_now_ns();
	struct df_record_rate *b = &r->rates[sort];
	const uint64_t earned =
		b->earned_ns ? (now - b->earned_ns) / per_event_ns : DF_RECORD_BURST;
	char text[128];
	const struct df_event_line e = {.event = "suppressed", .message = text, .count = b->untold};

	if (earned > 0) {
		b->earned_ns = b->earned_ns ? b->earned_ns + earned * per_event_ns : now;
		b->tokens =
			b->tokens + earned < DF_RECORD_BURST ? b->tokens + earned : DF_RECORD_BURST;
	}
	if (b->tokens == 0) {
		r->n_suppressed++;
		b->untold++;
		return true;
	}
	b->tokens--;
	if (b->untold > 0 && now - b->told_ns >= DF_RECORD_TELL_NS) {
		(void)snprintf(text, sizeof(text), "%llu events over the rate were counted only",
			       (unsigned long long)b->untold);
		b->untold = 0;
		b->told_ns = now;
		df_record_emit(r, &e, true);
	}
	return false;
}

/* To what a refusal by raw-ip leads: the rule that would permit the address. */
static void append_remedy(const struct df_policy *p, uint8_t proto, const struct df_event_line *e,
			  char *text, size_t size)
{
	const bool is_ipv6 = !IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)e->addr);
	char addr[INET6_ADDRSTRLEN];
	size_t n = 0;

	df_addr_text(e->addr, addr);
	df_append(text, size, &n,
		  "no lookup of the container named this address; to permit it write: allow ");
	if (e->port == 0)
		df_append(text, size, &n, "%s", addr);
	else
		df_append(text, size, &n, is_ipv6 ? "[%s]:%u%s" : "%s:%u%s", addr, e->port,
			  proto == IPPROTO_UDP ? "/udp" : "");
	df_append(text, size, &n, " into %s.policy", df_policy_name(p));
}

void df_record_verdict(const struct df_record *r, const struct df_decision *d, uint8_t proto,
		       struct df_event_line *e, struct df_record_texts *texts)
{
	const struct df_policy *p = &r->tables->tables[d->table];
	/* a connect_probe is no refusal in the event, but has a rule that would refuse */
	const bool is_told = d->rule || d->is_refusal || e->is_refusal || e->is_shadow;

	e->is_allowlist = df_policy_default(p) == DF_POLICY_BLOCK;
	e->rule = e->rule_owner = e->hint = NULL;
	if (!is_told || df_verdict_rule(r->tables, d, texts->rule, sizeof(texts->rule)) == 0)
		return;
	e->rule = texts->rule;
	e->rule_owner = df_verdict_owner(r->tables, d);
	if (!e->is_refusal)
		return;
	e->hint = df_verdict_hint(r->tables, d);
	if (d->reason == DF_REASON_RAW && !d->rule && e->addr) {
		append_remedy(p, proto, e, texts->remedy, sizeof(texts->remedy));
		e->remedy = texts->remedy;
	}
}

/* Where the shadow policy is against a name, or for one that was refused. */
static int record_shadow(struct df_record *r, const struct df_msg_query *m,
			 const struct df_event_line *judged)
{
	struct df_event_line e = {
		.event = "shadow",
		.reason = df_record_reason(m->shadow_reason),
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

/* What a payload asked for, and where it went. */
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
	struct df_decision d = {.is_refusal = m->flags & DF_QUERY_REFUSAL, .reason = m->reason};
	char domain[DF_DNAME_TEXT_MAX];
	struct df_record_texts texts;
	struct df_identity unknown;
	struct df_event_line e = {
		.event = m->flags & DF_QUERY_SUMMARY ? "summary" : event_name(m),
		.reason = df_record_reason(m->reason),
		.is_refusal = m->flags & DF_QUERY_REFUSAL,
		.at = m->at < DF_AT_END ? m->at : DF_AT_DNS,
		.domain = domain,
		.has_query = !(m->flags & DF_QUERY_SUMMARY),
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
		.is_search = m->flags & DF_QUERY_SEARCH,
	};

	if (!is_query_sane(m) || df_tables_rule(r->tables, m->rule, &d.table, &d.rule) < 0 ||
	    d.table == DF_TABLE_SHADOW)
		return -EBADMSG;
	if (m->name.len > 0)
		(void)df_dname_to_text(&m->name, domain);
	if (m->at != DF_AT_DNS)
		describe_payload(m, &e);
	if ((m->flags & DF_QUERY_SUMMARY) && !e.is_refusal &&
	    (m->at == DF_AT_TLS || m->at == DF_AT_HTTP))
		e.of = event_name(m);
	e.is_blocked = e.is_refusal && !(m->flags & DF_QUERY_PASSED) &&
		       r->tables->modes[d.table] == DF_MODE_ENFORCE;
	df_record_verdict(r, &d, IPPROTO_TCP, &e, &texts);
	if (r->who[m->seq % DF_RECORD_WHO_MAX].seq == m->seq) {
		e.who = &r->who[m->seq % DF_RECORD_WHO_MAX].who;
	} else {
		df_reader_from_token(&m->token, DF_IDENTITY_UNAVAILABLE, &unknown);
		e.who = &unknown;
	}
	count_query(r, m);
	if (!df_record_is_over_rate(r, e.is_refusal ? DF_RATE_REFUSED : DF_RATE_ALLOWED))
		df_record_emit(r, &e, e.is_refusal && !(m->flags & DF_QUERY_SUMMARY));
	return m->flags & DF_QUERY_SHADOW ? record_shadow(r, m, &e) : 0;
}

void df_record_life(struct df_record *r, const char *event, const char *message)
{
	const struct df_event_line e = {.event = event, .message = message};

	df_record_emit(r, &e, true);
}

void df_record_addresses(struct df_record *r, const char *event, const char *message,
			 const uint8_t (*addrs)[16], unsigned n)
{
	const struct df_event_line e = {
		.event = event, .message = message, .own = addrs, .n_own = n};

	df_record_emit(r, &e, true);
}

void df_record_findings(struct df_record *r)
{
	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		const struct df_event_line e = {
			.event = "finding",
			.is_warning = true,
			.finding = df_finding_name(i),
			.seen = r->meta->findings[i],
			.remedy = df_finding_remedy(i),
		};

		if (*e.seen)
			df_record_emit(r, &e, true);
	}
}

void df_record_stop(struct df_record *r, const char *message, const struct df_event_totals *totals)
{
	const struct df_event_line e = {.event = "stop", .message = message, .totals = totals};

	df_record_emit(r, &e, true);
}

void df_record_counted(struct df_record *r, const char *event, const char *message, uint64_t n)
{
	const struct df_event_line e = {
		.event = event, .message = message, .is_warning = true, .count = n};

	df_record_emit(r, &e, true);
}

void df_record_warning(struct df_record *r, const char *event, const char *message)
{
	const struct df_event_line e = {.event = event, .message = message, .is_warning = true};

	df_record_emit(r, &e, true);
}
