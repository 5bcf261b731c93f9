/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the worker tells the monitor.  The monitor reads /proc and writes the events. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker/worker.h"

static int send_message(struct df_worker *w, const struct df_msg_query *m)
{
	/* the last counts wait for room: the monitor takes them in, and ends this process if need
	 * be */
	const int flags = w->is_finishing ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
	ssize_t n = send(w->channel, m, sizeof(*m), flags);

	const uint64_t count = m->flags & DF_QUERY_SUMMARY ? m->count : 1;

	if (n == (ssize_t)sizeof(*m))
		return 0;
	w->n_dropped++;
	/* what the monitor would have counted: df_record_query */
	if (!(m->flags & (DF_QUERY_RECORD | DF_QUERY_SUMMARY)))
		return -1;
	if (m->at == DF_AT_DNS)
		w->n_untold_queries += count;
	if (m->flags & DF_QUERY_REFUSAL)
		w->n_untold_refusals += count;
	return -1;
}

static uint32_t number_of(const struct df_worker *w, const struct df_decision *d)
{
	return df_tables_number(&w->tables, d->table, d->rule);
}

static void send_summary(void *data, const struct df_seen_entry *e)
{
	struct df_worker *w = data;
	struct df_msg_query m = {
		.type = DF_MSG_QUERY,
		.seq = e->seq,
		.flags = DF_QUERY_SUMMARY | (e->is_refusal ? DF_QUERY_REFUSAL : 0u) |
			 (e->is_search ? DF_QUERY_SEARCH : 0u),
		.rule = e->rule,
		.reason = e->reason,
		.qtype = e->qtype,
		.count = e->repeated,
		.token = e->token,
		.name = e->what.name,
		.at = e->what.at,
		.port = e->what.port,
	};

	if (e->what.has_addr) {
		m.flags |= DF_QUERY_ADDR;
		memcpy(m.addr, e->what.addr, sizeof(m.addr));
	}
	(void)send_message(w, &m);
}

static void add_answer(struct df_msg_query *m, const struct df_dns_answer *answer)
{
	for (unsigned i = 0; answer && i < answer->n_addrs && i < DF_EVENT_ADDRS_MAX; i++)
		memcpy(m->addrs[m->n_addrs++], answer->addrs[i].addr, 16);
	for (unsigned i = 0; answer && i < answer->n_chain && i < DF_EVENT_CHAIN_MAX; i++)
		m->chain[m->n_chain++] = answer->chain[i];
	if (answer && m->reason == DF_REASON_CNAME) /* a stray may be what the refusal is about */
		for (unsigned i = 0; i < answer->n_strays && m->n_chain < DF_EVENT_CHAIN_MAX; i++)
			m->chain[m->n_chain++] = answer->strays[i];
	if (m->reason != DF_REASON_TARGET) /* else one of these is what the refusal is about */
		return;
	for (unsigned i = 0; i < answer->n_targets && m->n_chain < DF_EVENT_CHAIN_MAX; i++)
		m->chain[m->n_chain++] = answer->targets[i];
}

static void add_route(struct df_msg_query *m, const struct df_asked *a)
{
	if (!a->is_rerouted || a->decision.is_enforced) /* refused: nobody was asked */
		return;
	m->flags |= DF_QUERY_REROUTED;
	memcpy(m->answered_by, a->to.addr, sizeof(m->answered_by));
}

/* What the shadow policy says, by the question and what is known of the chain. */
static void add_shadow(const struct df_worker *w, const struct df_asked *a, struct df_msg_query *m,
		       const struct df_dns_answer *answer)
{
	const struct df_policy *p = &w->tables.tables[DF_TABLE_SHADOW];
	struct df_decision d;

	if (!df_tables_has(&w->tables, DF_TABLE_SHADOW))
		return;
	d = df_decide_question(p, &w->search, &a->q.name);
	if (!d.is_refusal && answer) {
		struct df_decision behind = df_decide_answer(p, answer);

		d = behind.is_refusal ? behind : d;
	}
	d.table = DF_TABLE_SHADOW;
	m->flags |= DF_QUERY_SHADOW;
	m->shadow_rule = number_of(w, &d);
	m->shadow_reason = d.reason;
}

void df_report_asked(struct df_worker *w, struct df_asked *a, const struct df_decision *d,
		     const struct df_dns_answer *answer)
{
	const struct df_seen_what what = {.at = DF_AT_DNS, .name = a->q.name};
	const enum df_search_kind kind = df_search_note(w, a);
	struct df_seen_entry *e;
	struct df_msg_query m;

	e = df_seen_note(&w->seen, &a->token, &what, df_tables_strictness(d), w->now_ns,
			 &a->is_first, send_summary, w);
	a->seen_seq = e->seq;
	if (!a->is_first)
		return;
	e->rule = number_of(w, d);
	e->reason = d->reason;
	e->qtype = a->q.type;
	e->is_search = kind == DF_SEARCH_ATTEMPT;

	memset(&m, 0, sizeof(m));
	m.type = DF_MSG_QUERY;
	m.seq = e->seq;
	m.flags = DF_QUERY_IDENTIFY | (d->is_refusal ? DF_QUERY_RECORD | DF_QUERY_REFUSAL : 0u) |
		  (a->client.connection >= 0 ? DF_QUERY_TCP : 0u) |
		  (e->is_search ? DF_QUERY_SEARCH : 0u);
	m.rule = e->rule;
	m.reason = d->reason;
	m.txid = a->q.id;
	m.qtype = a->q.type;
	m.token = a->token;
	m.name = a->q.name;
	add_route(&m, a);
	add_answer(&m, answer);
	add_shadow(w, a, &m, answer);
	if (kind == DF_SEARCH_MAYBE && df_search_hold(w, &m, e))
		m.flags &= ~(uint32_t)DF_QUERY_RECORD; /* who asked may be gone by then */
	if (send_message(w, &m) < 0)
		w->identified[e->seq % DF_QUERIES_MAX] =
			e->seq; /* nobody will say so: do not wait */
}

void df_report_held(struct df_worker *w, const struct df_msg_query *m)
{
	struct df_msg_query record = *m;

	record.flags &= ~(uint32_t)DF_QUERY_IDENTIFY;
	(void)send_message(w, &record);
}

bool df_report_is_pending(const struct df_worker *w, const struct df_asked *a)
{
	return w->identified[a->seen_seq % DF_QUERIES_MAX] < a->seen_seq;
}

void df_report_outcome(struct df_worker *w, const struct df_asked *a,
		       const struct df_dns_answer *answer, uint8_t rcode)
{
	struct df_msg_query m;

	if (!a->is_first || a->is_refusal)
		return;
	memset(&m, 0, sizeof(m));
	m.type = DF_MSG_QUERY;
	m.seq = a->seen_seq;
	m.flags = DF_QUERY_RECORD | (a->client.connection >= 0 ? DF_QUERY_TCP : 0u);
	m.rule = number_of(w, &a->decision);
	m.txid = a->q.id;
	m.qtype = a->q.type;
	m.rcode = rcode;
	m.token = a->token;
	m.name = a->q.name;
	add_route(&m, a);
	add_answer(&m, answer);
	add_shadow(w, a, &m, answer);
	(void)send_message(w, &m);
}

/* The connection's process, as far as the kernel recorded it. */
static struct df_token token_of(const struct df_payload *p)
{
	struct df_token t = {
		.port = p->port,
		.proto = IPPROTO_TCP,
		.tgid = p->tgid,
		.tid = p->tid,
		.uid = DF_UID_UNKNOWN,
		.time = p->connect_time,
	};

	memcpy(t.addr, p->addr, sizeof(t.addr));
	return t;
}

/* A proxy is asked for a target; elsewhere the connection's own end is what counts. */
static struct df_seen_what what_of(const struct df_payload *p, const struct df_payload_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	struct df_seen_what what = {.at = g->at, .port = ntohs(p->port)};
	const bool is_target = g->at == DF_AT_PROXY && t->state == DF_PAYLOAD_READ;

	if (t->host.has_name)
		what.name = t->host.name;
	if (is_target)
		what.port = t->host.port;
	what.has_addr = !is_target || t->host.has_addr;
	if (what.has_addr)
		memcpy(what.addr, is_target ? t->host.addr : p->addr, sizeof(what.addr));
	return what;
}

/* What the shadow policy says of a name. */
static void add_shadow_name(const struct df_worker *w, const struct df_seen_what *what,
			    enum df_reason reason, struct df_msg_query *m)
{
	struct df_decision d;

	if (!df_tables_has(&w->tables, DF_TABLE_SHADOW) || what->name.len == 0)
		return;
	d = df_decide_name(&w->tables.tables[DF_TABLE_SHADOW], &what->name, IPPROTO_TCP, what->port,
			   reason);
	d.table = DF_TABLE_SHADOW;
	m->flags |= DF_QUERY_SHADOW;
	m->shadow_rule = number_of(w, &d);
	m->shadow_reason = d.reason;
}

uint32_t df_report_payload(struct df_worker *w, const struct df_payload *p,
			   const struct df_payload_judgement *g)
{
	const struct df_token token = token_of(p);
	const struct df_seen_what what = what_of(p, g);
	const unsigned strictness =
		p->is_enforced ? df_tables_strictness(&g->decision) : g->decision.is_refusal;
	struct df_seen_entry *e;
	struct df_msg_query m;
	bool is_first;

	e = df_seen_note(&w->seen, &token, &what, strictness, w->now_ns, &is_first, send_summary,
			 w);
	if (!is_first)
		return w->identified[e->seq % DF_QUERIES_MAX] < e->seq ? e->seq : 0;
	e->rule = number_of(w, &g->decision);
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
	add_shadow_name(w, &what, df_flows_reason(g->at), &m);
	if (send_message(w, &m) == 0)
		return e->seq;
	w->identified[e->seq % DF_QUERIES_MAX] = e->seq; /* nobody will say so: do not wait */
	return 0;
}

void df_report_summaries(struct df_worker *w, bool all)
{
	df_seen_summaries(&w->seen, w->now_ns, all, send_summary, w);
}

/* false: it was given before.  One that shares its slot may be given again. */
static bool is_note_new(struct df_worker *w, const struct df_msg_note *m)
{
	uint64_t h = w->seen.seed ^ m->what ^ (uint64_t)m->why << 32;

	for (size_t i = 0; i < sizeof(m->addr); i++)
		h = (h ^ m->addr[i]) * 0x100000001b3ull;
	for (size_t i = 0; i < m->name.len; i++)
		h = (h ^ m->name.wire[i]) * 0x100000001b3ull;
	if (w->noted[(h ^ h >> 32) % DF_NOTED_SLOTS] == h)
		return false;
	w->noted[(h ^ h >> 32) % DF_NOTED_SLOTS] = h;
	return true;
}

void df_report_note(struct df_worker *w, enum df_note what, enum df_lever why,
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
		w->next_unlearned_note_ns = w->now_ns + DF_SEEN_SUMMARY_NS;
	} else if (!is_note_new(w, &m)) {
		return;
	}
	df_report_send_note(w, &m);
}

void df_report_many(struct df_worker *w, const struct df_dname *name)
{
	const struct df_msg_note m = {.type = DF_MSG_NOTE,
				      .what = DF_NOTE_PIN_FAILED,
				      .why = DF_PIN_MANY,
				      .count = DF_LEARN_STICKY_MAX + 1,
				      .name = *name};

	if (is_note_new(w, &m))
		df_report_send_note(w, &m);
}

void df_report_send_note(struct df_worker *w, const struct df_msg_note *m)
{
	if (send(w->channel, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		w->n_dropped++;
}
