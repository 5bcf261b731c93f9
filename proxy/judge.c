/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/judge.h"

#include <arpa/inet.h>
#include <string.h>

#define HTTPS_PORT 443
#define WORD_LEN 8 /* what the kernel knows requests by; fewer octets may be anything */

static enum df_event_at place_of(const struct df_payload_target *t, const struct df_payload *p)
{
	if (p->verdict != DF_VERDICT_UNDECIDED && p->verdict != DF_VERDICT_SEEN)
		return DF_AT_PROXY;
	switch (t->kind) {
	case DF_PAYLOAD_TLS:
		return DF_AT_TLS;
	case DF_PAYLOAD_HTTP:
	case DF_PAYLOAD_CONNECT:
	case DF_PAYLOAD_ABSOLUTE:
		return DF_AT_HTTP;
	case DF_PAYLOAD_NONE:
		break;
	}
	/* neither: what the port is for */
	return ntohs(p->port) == HTTPS_PORT ? DF_AT_TLS : DF_AT_HTTP;
}

enum df_reason df_judge_reason(enum df_event_at at)
{
	switch (at) {
	case DF_AT_TLS:
		return DF_REASON_SNI;
	case DF_AT_HTTP:
		return DF_REASON_HOST;
	case DF_AT_PROXY:
		return DF_REASON_REQUEST;
	case DF_AT_DNS:
	case DF_AT_CONNECT:
	case DF_AT_PACKET:
	case DF_AT_END:
		break;
	}
	return DF_REASON_NO_NAME;
}

/* No table says it, but that nothing else can be said. */
static struct df_decision refusal(const struct df_judge *j, enum df_reason reason)
{
	const uint8_t *modes = j->tables->meta->table_modes;
	const bool is_base =
		modes[DF_TABLE_OWN] != DF_MODE_ENFORCE && modes[DF_TABLE_BASE] == DF_MODE_ENFORCE;

	return (struct df_decision){
		.is_refusal = true,
		.is_enforced = is_base || modes[DF_TABLE_OWN] == DF_MODE_ENFORCE,
		.table = is_base ? DF_TABLE_BASE : DF_TABLE_OWN,
		.reason = reason,
	};
}

/* The rule of the blocked name that has this address, if its table is who refuses. */
static void name_rule(const struct df_judge *j, const uint8_t *addr, struct df_decision *d)
{
	const struct df_policy_rule *rule;
	struct df_learned learned;
	enum df_table table;

	if (!d->is_refusal || d->rule || df_learn_blocker(j->learn->map->get, addr, &learned) < 0 ||
	    df_tables_rule(j->tables, learned.rule, &table, &rule) < 0)
		return;
	if (j->tables->meta->table_modes[table] == j->tables->meta->table_modes[d->table] &&
	    table != DF_TABLE_SHADOW) {
		d->table = table;
		d->rule = rule;
	}
}

static void judge_undecided(const struct df_judge *j, const struct df_payload *p,
			    struct df_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	struct df_decision unlearned = refusal(j, DF_REASON_NOT_LEARNED);

	if (t->state != DF_PAYLOAD_READ || !t->has_name) {
		g->decision = refusal(j, DF_REASON_NO_NAME);
		name_rule(j, p->addr, &g->decision);
		return;
	}
	g->decision = df_tables_name(j->tables, &t->name, IPPROTO_TCP, ntohs(p->port),
				     df_judge_reason(g->at));
	if (df_tables_strictness(&g->decision) >= df_tables_strictness(&unlearned) ||
	    df_learn_has(j->learn, p->addr, &t->name))
		return;
	name_rule(j, p->addr, &unlearned);
	g->decision = unlearned;
}

static void judge_request(const struct df_judge *j, uint64_t now_ns, struct df_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	unsigned class;

	if (t->state != DF_PAYLOAD_READ) {
		g->decision = refusal(j, DF_REASON_NO_NAME);
		return;
	}
	if (t->has_name) {
		g->decision = df_tables_name(j->tables, &t->name, IPPROTO_TCP, t->port,
					     df_judge_reason(g->at));
		return;
	}
	class = df_ports_class(j->ports, IPPROTO_TCP, t->port);
	g->decision = df_tables_addr(j->tables, t->addr, IPPROTO_TCP, t->port,
				     df_learn_bits(j->learn, t->addr, class, now_ns));
	if (g->decision.reason == DF_REASON_PINNED)
		name_rule(j, t->addr, &g->decision);
}

/* An empty line in front of a request, and nothing else yet. */
static bool is_empty_lines(const struct df_payload *p)
{
	for (uint32_t i = 0; i < p->len; i++)
		if (p->data[i] != '\r' && p->data[i] != '\n')
			return false;
	return true;
}

/* A request to a proxy, or so much of one that nothing else begins so. */
static bool is_request(const struct df_payload_target *t, size_t len)
{
	return t->kind == DF_PAYLOAD_CONNECT || t->kind == DF_PAYLOAD_ABSOLUTE ||
	       (t->state == DF_PAYLOAD_INCOMPLETE && t->kind == DF_PAYLOAD_NONE && len >= WORD_LEN);
}

/* Its first line ends as a request's does; the text of an upload hardly has one. */
static bool has_version(const struct df_payload *p, size_t offset)
{
	static const char version[] = " HTTP/";
	const uint8_t *line = p->data + offset, *lf = memchr(line, '\n', p->len - offset);

	return memmem(line, lf ? (size_t)(lf - line) : p->len - offset, version,
		      sizeof(version) - 1) != NULL;
}

/* One of a connection that is not undecided. */
static void judge_proxied(const struct df_judge *j, const struct df_payload *p, size_t offset,
			  uint64_t now_ns, struct df_judgement *g)
{
	if (is_empty_lines(p)) {
		g->verdict = DF_VERDICT_PROXY; /* it may go, and is looked at further */
		return;
	}
	if (!is_request(&g->target, p->len - offset))
		return;
	if (p->is_later && g->target.state != DF_PAYLOAD_READ && !has_version(p, offset)) {
		g->verdict = DF_VERDICT_PROXY;
		return;
	}
	judge_request(j, now_ns, g);
	g->is_seen = true;
	if (g->target.next)
		g->next = offset + g->target.next;
}

/*
 * To an address that no rule allows, nor a name that a rule allows: what it names is told,
 * unless an answer said so, and refused if a rule blocks it.
 */
static void judge_seen(const struct df_judge *j, const struct df_payload *p, struct df_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	const enum df_reason reason = df_judge_reason(g->at);

	if (t->state != DF_PAYLOAD_READ || !t->has_name)
		return;
	g->decision = df_tables_name(j->tables, &t->name, IPPROTO_TCP, ntohs(p->port), reason);
	if (g->decision.reason != reason || !p->is_enforced)
		g->decision.is_enforced = false; /* that no rule names it is raw-ip's matter */
	g->is_seen = g->decision.is_refusal || !df_learn_has(j->learn, p->addr, &t->name);
}

void df_judge_payload(const struct df_judge *j, const struct df_payload *p, size_t offset,
		      bool is_last, uint64_t now_ns, struct df_judgement *ret)
{
	const bool is_undecided = p->verdict == DF_VERDICT_UNDECIDED;
	const bool is_seen = p->verdict == DF_VERDICT_SEEN;
	struct df_judgement g = {};

	df_payload_parse(p->data + offset, p->len - offset, p->total_len > p->len, &g.target);
	g.at = place_of(&g.target, p);
	/* behind a request to a server one to a proxy may follow */
	g.verdict = g.target.kind == DF_PAYLOAD_ABSOLUTE ||
				    (g.target.kind == DF_PAYLOAD_HTTP && !is_undecided)
			    ? DF_VERDICT_PROXY
			    : DF_VERDICT_ALLOW;
	if (g.target.state == DF_PAYLOAD_INCOMPLETE && !is_last &&
	    (is_undecided || is_seen ||
	     (!p->is_later && g.target.kind != DF_PAYLOAD_HTTP && !is_empty_lines(p)))) {
		g.verdict = DF_VERDICT_NONE;
		*ret = g;
		return;
	}
	if (is_seen) {
		judge_seen(j, p, &g);
	} else if (is_undecided) {
		judge_undecided(j, p, &g);
		g.is_seen = g.decision.is_refusal;
	} else {
		judge_proxied(j, p, offset, now_ns, &g);
	}
	if (g.decision.is_enforced)
		g.verdict = DF_VERDICT_BLOCK;
	*ret = g;
}
