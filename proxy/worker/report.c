/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/report.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/hash.h"
#include "proxy/payload/flows.h"

static int send_message(struct df_worker *w, const struct df_msg_query *m)
{
	/* the last counts wait for room: the monitor takes them in, and ends this process if need
	 * be */
	const int flags = w->is_finishing ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
	const uint64_t count = m->flags & DF_QUERY_SUMMARY ? m->count : 1;

	if (send(w->channel, m, sizeof(*m), flags) == (ssize_t)sizeof(*m))
		return 0;
	w->n_dropped++;
	/* the monitor would have counted these: df_record_query */
	if (!(m->flags & (DF_QUERY_RECORD | DF_QUERY_SUMMARY)))
		return -1;
	if (m->at == DF_AT_DNS)
		w->n_untold_queries += count;
	if (m->flags & DF_QUERY_REFUSAL)
		w->n_untold_refusals += count;
	return -1;
}

static uint32_t rule_number(const struct df_worker *w, const struct df_decision *d)
{
	return df_tables_number(&w->tables, d->table, d->rule);
}

static void send_summary(void *data, const struct df_history_entry *e)
{
	struct df_worker *w = data;
	struct df_msg_query m = {
		.type = DF_MSG_QUERY,
		.seq = e->seq,
		.flags = DF_QUERY_SUMMARY | (e->is_refusal ? DF_QUERY_REFUSAL : 0u) |
			 (e->is_search ? DF_QUERY_SEARCH : 0u) |
			 (e->what.has_addr ? DF_QUERY_ADDR : 0u),
		.rule = e->rule,
		.reason = e->reason,
		.qtype = e->qtype,
		.count = e->repeated,
		.token = e->token,
		.name = e->what.name,
		.at = e->what.at,
		.port = e->what.port,
	};

	if (e->what.has_addr)
		memcpy(m.addr, e->what.addr, sizeof(m.addr));
	(void)send_message(w, &m);
}

/* --- queries --------------------------------------------------------------------------- */

static void add_names(struct df_msg_query *m, const struct df_dname *names, unsigned n)
{
	for (unsigned i = 0; i < n && m->n_chain < DF_EVENT_CHAIN_MAX; i++)
		m->chain[m->n_chain++] = names[i];
}

static void add_shadow(const struct df_worker *w, struct df_decision d, struct df_msg_query *m)
{
	d.table = DF_TABLE_SHADOW;
	m->flags |= DF_QUERY_SHADOW;
	m->shadow_rule = rule_number(w, &d);
	m->shadow_reason = d.reason;
}

/* The parts that the report of a query and that of its outcome have in common. */
static void fill_query(const struct df_worker *w, const struct df_query *q,
		       const struct df_dname *name, enum df_reason reason,
		       const struct df_dns_answer *answer, struct df_msg_query *m)
{
	struct df_decision d, behind;

	memset(m, 0, sizeof(*m));
	m->type = DF_MSG_QUERY;
	m->seq = q->seq;
	m->flags = q->client.connection >= 0 ? DF_QUERY_TCP : 0;
	m->rule = rule_number(w, &q->decision);
	m->reason = reason;
	m->txid = q->msg.id;
	m->qtype = q->msg.type;
	m->token = q->token;
	m->name = *name;
	if (q->is_rerouted && !q->decision.is_enforced) { /* refused: nobody was asked */
		m->flags |= DF_QUERY_REROUTED;
		memcpy(m->answered_by, q->to.addr, sizeof(m->answered_by));
	}
	if (answer) {
		for (unsigned i = 0; i < answer->n_addrs && i < DF_EVENT_ADDRS_MAX; i++)
			memcpy(m->addrs[m->n_addrs++], answer->addrs[i].addr, 16);
		add_names(m, answer->chain, answer->n_chain);
		/* one of these may be the name that the refusal is about */
		if (reason == DF_REASON_CNAME)
			add_names(m, answer->strays, answer->n_strays);
		if (reason == DF_REASON_TARGET)
			add_names(m, answer->targets, answer->n_targets);
	}
	/* the shadow policy's verdict, by the question and the known part of the chain */
	if (!df_tables_has(&w->tables, DF_TABLE_SHADOW))
		return;
	d = df_verdict_question(&w->tables, DF_TABLE_SHADOW_BIT, &w->search, name);
	if (!d.is_refusal && answer) {
		behind = df_decide_answer(&w->tables, DF_TABLE_SHADOW_BIT, answer);
		d = behind.is_refusal ? behind : d;
	}
	add_shadow(w, d, m);
}

/* Sends a message with DF_QUERY_IDENTIFY.  If it is lost, no DF_MSG_IDENTIFIED will come. */
static bool send_to_identify(struct df_worker *w, const struct df_msg_query *m)
{
	if (send_message(w, m) == 0)
		return true;
	w->identified[m->seq % DF_QUERIES_MAX] = m->seq; /* do not wait */
	return false;
}

void df_report_query(struct df_worker *w, struct df_query *q, const struct df_dname *name,
		     const struct df_dns_answer *answer)
{
	const struct df_decision *d = &q->decision;
	const struct df_history_what what = {.at = DF_AT_DNS, .name = *name};
	const enum df_search_kind kind = df_history_search(&w->history, &w->search, w->meta->ndots,
							   &q->token, name, d, w->now_ns);
	struct df_history_entry *e;
	struct df_msg_query m;

	e = df_history_note(&w->history, &q->token, &what, df_verdict_strictness(d), w->now_ns,
			    &q->is_first, send_summary, w);
	q->seq = e->seq;
	if (!q->is_first)
		return;
	e->rule = rule_number(w, d);
	e->reason = d->reason;
	e->qtype = q->msg.type;
	e->is_search = kind == DF_SEARCH_ATTEMPT;
	fill_query(w, q, name, d->reason, answer, &m);
	m.flags |= DF_QUERY_IDENTIFY | (d->is_refusal ? DF_QUERY_RECORD | DF_QUERY_REFUSAL : 0u) |
		   (e->is_search ? DF_QUERY_SEARCH : 0u);
	if (kind == DF_SEARCH_MAYBE && df_history_hold(&w->history, &m, e, w->now_ns))
		m.flags &= ~(uint32_t)DF_QUERY_RECORD; /* the asker may be gone by then */
	(void)send_to_identify(w, &m);
}

bool df_report_is_pending(const struct df_worker *w, uint32_t seq)
{
	return w->identified[seq % DF_QUERIES_MAX] < seq;
}

void df_report_outcome(struct df_worker *w, const struct df_query *q,
		       const struct df_dns_answer *answer, uint8_t rcode)
{
	struct df_msg_query m;

	if (!q->is_first || q->is_refusal)
		return;
	fill_query(w, q, &q->msg.name, DF_REASON_NONE, answer, &m);
	m.flags |= DF_QUERY_RECORD;
	m.rcode = rcode;
	(void)send_message(w, &m);
}

static void send_held(void *data, const struct df_msg_query *m)
{
	struct df_msg_query record = *m;

	record.flags &= ~(uint32_t)DF_QUERY_IDENTIFY;
	(void)send_message(data, &record);
}

void df_report_summaries(struct df_worker *w, bool all)
{
	df_history_summaries(&w->history, w->now_ns, all, send_summary, w);
}

int df_report_release(struct df_worker *w, bool all)
{
	return df_history_release(&w->history, w->now_ns, all, send_held, w);
}

/* --- payloads -------------------------------------------------------------------------- */

/* The request of a proxy names a target; else the connection's own end counts. */
static struct df_history_what what_of(const struct df_payload *p,
				      const struct df_payload_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	const bool is_target = g->at == DF_AT_PROXY && t->state == DF_PAYLOAD_READ;
	struct df_history_what what = {.at = g->at,
				       .port = is_target ? t->host.port : ntohs(p->port),
				       .has_addr = !is_target || t->host.has_addr};

	if (t->host.has_name)
		what.name = t->host.name;
	if (what.has_addr)
		memcpy(what.addr, is_target ? t->host.addr : p->addr, sizeof(what.addr));
	return what;
}

uint32_t df_report_payload(struct df_worker *w, const struct df_payload *p,
			   const struct df_payload_judgement *g)
{
	const struct df_history_what what = what_of(p, g);
	const unsigned strictness =
		p->is_enforced ? df_verdict_strictness(&g->decision) : g->decision.is_refusal;
	/* the connection's process, as far as the kernel recorded it */
	struct df_token token = {
		.port = p->port,
		.proto = IPPROTO_TCP,
		.tgid = p->tgid,
		.tid = p->tid,
		.uid = DF_UID_UNKNOWN,
		.time = p->connect_time,
	};
	struct df_history_entry *e;
	struct df_msg_query m;
	bool is_first;

	memcpy(token.addr, p->addr, sizeof(token.addr));
	e = df_history_note(&w->history, &token, &what, strictness, w->now_ns, &is_first,
			    send_summary, w);
	if (!is_first)
		return df_report_is_pending(w, e->seq) ? e->seq : 0;
	e->rule = rule_number(w, &g->decision);
	e->reason = g->decision.reason;
	memset(&m, 0, sizeof(m));
	m.type = DF_MSG_QUERY;
	m.seq = e->seq;
	m.flags = DF_QUERY_IDENTIFY | DF_QUERY_RECORD | DF_QUERY_TCP |
		  (g->decision.is_refusal ? DF_QUERY_REFUSAL : 0u) |
		  (p->is_enforced && g->decision.is_enforced ? 0u : DF_QUERY_PASSED) |
		  (what.has_addr ? DF_QUERY_ADDR : 0u);
	m.rule = e->rule;
	m.reason = e->reason;
	m.at = what.at;
	m.port = what.port;
	m.token = token;
	m.name = what.name;
	memcpy(m.addr, what.addr, sizeof(m.addr));
	if (df_tables_has(&w->tables, DF_TABLE_SHADOW) && what.name.len > 0)
		add_shadow(w,
			   df_verdict_request(&w->tables, DF_TABLE_SHADOW_BIT, &what.name,
					      IPPROTO_TCP, what.port, df_flows_reason(g->at)),
			   &m);
	return send_to_identify(w, &m) ? e->seq : 0;
}

/* --- notes ----------------------------------------------------------------------------- */

/* false: it was given before.  One that shares its slot may be given again. */
static bool is_note_new(struct df_worker *w, const struct df_msg_note *m)
{
	uint64_t h = w->history.seed ^ m->what ^ (uint64_t)m->why << 32;

	h = df_hash_bytes(h, m->addr, sizeof(m->addr));
	h = df_hash_bytes(h, m->name.wire, m->name.len);
	if (w->noted[df_hash_fold(h) % DF_NOTED_SLOTS] == h)
		return false;
	w->noted[df_hash_fold(h) % DF_NOTED_SLOTS] = h;
	return true;
}

void df_report_note(struct df_worker *w, enum df_note what, uint32_t why,
		    const uint8_t addr[static 16], const struct df_dname *name)
{
	struct df_msg_note m = {
		.type = DF_MSG_NOTE, .what = what, .why = why, .count = 1, .name = *name};

	memcpy(m.addr, addr, sizeof(m.addr));
	if (what == DF_NOTE_UNLEARNED) {
		w->n_unlearned++;
		if (w->now_ns < w->next_unlearned_note_ns)
			return;
		m.count = w->n_unlearned;
		w->n_unlearned = 0;
		w->next_unlearned_note_ns = w->now_ns + DF_HISTORY_SUMMARY_NS;
	} else if (!is_note_new(w, &m)) {
		return;
	}
	df_report_send_note(w, &m);
}

void df_report_many(struct df_worker *w, const struct df_dname *name, uint32_t n)
{
	const struct df_msg_note m = {.type = DF_MSG_NOTE,
				      .what = DF_NOTE_PIN_FAILED,
				      .why = DF_PIN_MANY,
				      .count = n,
				      .name = *name};

	if (is_note_new(w, &m))
		df_report_send_note(w, &m);
}

void df_report_unread(struct df_worker *w, const struct df_query *q, bool is_query)
{
	static const enum df_note notes[2][2] = {
		/* enforced, inert */
		{DF_NOTE_REFUSED_ANSWER, DF_NOTE_UNREAD_ANSWER},
		{DF_NOTE_REFUSED_QUERY, DF_NOTE_UNREAD_QUERY},
	};
	struct df_msg_note m = {.type = DF_MSG_NOTE,
				.what = notes[is_query][df_worker_is_inert(w)]};

	w->n_malformed++;
	m.count = ++w->unread[is_query].n;
	if (w->now_ns < w->unread[is_query].next_note_ns)
		return;
	memcpy(m.addr, q->token.addr, sizeof(m.addr));
	if (!q->is_raw)
		m.name = q->msg.name;
	w->unread[is_query].n = 0;
	w->unread[is_query].next_note_ns = w->now_ns + DF_HISTORY_SUMMARY_NS;
	df_report_send_note(w, &m);
}

void df_report_send_note(struct df_worker *w, const struct df_msg_note *m)
{
	if (send(w->channel, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++;
}
