/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/payload/judge.h"

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
	const uint8_t *modes = j->tables->modes;
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
	if (j->tables->modes[table] == j->tables->modes[d->table] && table != DF_TABLE_SHADOW) {
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
	g->decision = df_verdict_request(j->tables, DF_TABLES_FENCE, &t->name, IPPROTO_TCP,
					 ntohs(p->port), df_judge_reason(g->at));
	if (df_verdict_strictness(&g->decision) >= df_verdict_strictness(&unlearned) ||
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
		g->decision = df_verdict_request(j->tables, DF_TABLES_FENCE, &t->name, IPPROTO_TCP,
						 t->port, df_judge_reason(g->at));
		return;
	}
	class = df_ports_class(j->ports, IPPROTO_TCP, t->port);
	g->decision = df_verdict_addr(j->tables, DF_TABLES_FENCE, t->addr, IPPROTO_TCP, t->port,
				      df_learn_bits(j->learn, t->addr, class, now_ns));
	if (g->decision.reason == DF_REASON_PINNED || g->decision.reason == DF_REASON_SHARED)
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

static bool is_to_proxy(const struct df_payload_target *t)
{
	return t->kind == DF_PAYLOAD_CONNECT || t->kind == DF_PAYLOAD_ABSOLUTE;
}

/* A request to a proxy, or so much of one that nothing else begins so. */
static bool is_request(const struct df_payload_target *t, size_t len)
{
	return is_to_proxy(t) ||
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
 * unless an answer said so, and refused if a rule blocks it.  An address that a proxy is
 * asked for is refused as at any other port.
 */
static void judge_seen(const struct df_judge *j, const struct df_payload *p, uint64_t now_ns,
		       struct df_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	const enum df_reason reason = df_judge_reason(g->at);

	if (t->state == DF_PAYLOAD_READ && t->has_addr && is_to_proxy(t)) {
		g->at = DF_AT_PROXY;
		judge_request(j, now_ns, g);
		g->decision.is_enforced &= p->is_enforced;
		g->is_seen = g->decision.is_refusal;
		return;
	}
	if (t->state != DF_PAYLOAD_READ || !t->has_name)
		return;
	g->decision = df_verdict_request(j->tables, DF_TABLES_FENCE, &t->name, IPPROTO_TCP,
					 ntohs(p->port), reason);
	if (g->decision.reason != reason || !p->is_enforced)
		g->decision.is_enforced = false; /* that no rule names it is raw-ip's matter */
	g->is_seen = g->decision.is_refusal || !df_learn_has(j->learn, p->addr, &t->name);
}

/* One of the two hosts that a request may name. */
static void judge_host(const struct df_judge *j, const struct df_payload *p, size_t offset,
		       uint64_t now_ns, struct df_judgement *g)
{
	if (p->verdict == DF_VERDICT_SEEN) {
		judge_seen(j, p, now_ns, g);
	} else if (p->verdict == DF_VERDICT_UNDECIDED) {
		judge_undecided(j, p, g);
		g->is_seen = g->decision.is_refusal;
	} else {
		judge_proxied(j, p, offset, now_ns, g);
	}
}

/* The stricter verdict counts, and whom it is about is what is told. */
static void judge_other(const struct df_judge *j, const struct df_payload *p, size_t offset,
			uint64_t now_ns, struct df_judgement *g)
{
	const struct df_payload_host *other = &g->target.other;
	struct df_judgement h = *g;

	h.is_seen = false;
	h.decision = (struct df_decision){};
	h.target.has_name = other->has_name;
	h.target.has_addr = other->has_addr;
	h.target.has_port = other->has_port;
	h.target.name = other->name;
	h.target.port = other->port;
	memcpy(h.target.addr, other->addr, sizeof(other->addr));
	judge_host(j, p, offset, now_ns, &h);
	if (df_verdict_strictness(&h.decision) > df_verdict_strictness(&g->decision))
		*g = h;
}

/*
 * Where nothing is held the rest of a request will not be shown: of one whose fields are not
 * whole the first line says whom it is for.
 */
static void parse_line(const struct df_payload *p, size_t offset, struct df_payload_target *t)
{
	static uint8_t copy[DF_PAYLOAD_MAX + 2];
	const uint8_t *lf;
	size_t len;

	while (offset < p->len && (p->data[offset] == '\r' || p->data[offset] == '\n'))
		offset++; /* RFC 9112 2.2 */
	lf = offset < p->len ? memchr(p->data + offset, '\n', p->len - offset) : NULL;
	if (!lf)
		return;
	len = (size_t)(lf - (p->data + offset)) + 1;
	memcpy(copy, p->data + offset, len);
	memcpy(copy + len, "\r\n", 2);
	df_payload_parse(copy, len + 2, false, t);
}

/* More octets could tell, and are worth waiting for. */
static bool is_waiting(const struct df_payload *p, size_t offset, const struct df_payload_target *t)
{
	if (t->state != DF_PAYLOAD_INCOMPLETE)
		return false;
	if (p->verdict == DF_VERDICT_UNDECIDED || p->verdict == DF_VERDICT_SEEN)
		return true;
	if (p->is_later)
		return is_to_proxy(t) && has_version(p, offset);
	return t->kind != DF_PAYLOAD_HTTP && !is_empty_lines(p);
}

void df_judge_payload(const struct df_judge *j, const struct df_payload *p, size_t offset,
		      bool is_last, uint64_t now_ns, struct df_judgement *ret)
{
	const bool is_undecided = p->verdict == DF_VERDICT_UNDECIDED;
	struct df_judgement g = {};

	df_payload_parse(p->data + offset, p->len - offset, p->total_len > p->len, &g.target);
	if (!p->is_held && g.target.state == DF_PAYLOAD_INCOMPLETE && is_to_proxy(&g.target))
		parse_line(p, offset, &g.target);
	g.at = place_of(&g.target, p);
	/* behind a request to a server one to a proxy may follow */
	g.verdict = g.target.kind == DF_PAYLOAD_ABSOLUTE ||
				    (g.target.kind == DF_PAYLOAD_HTTP && !is_undecided)
			    ? DF_VERDICT_PROXY
			    : DF_VERDICT_ALLOW;
	if (!is_last && is_waiting(p, offset, &g.target)) {
		g.verdict = DF_VERDICT_NONE;
		*ret = g;
		return;
	}
	judge_host(j, p, offset, now_ns, &g);
	if (g.target.state == DF_PAYLOAD_READ &&
	    (g.target.other.has_name || g.target.other.has_addr))
		judge_other(j, p, offset, now_ns, &g);
	if (g.decision.is_enforced)
		g.verdict = DF_VERDICT_BLOCK;
	*ret = g;
}
