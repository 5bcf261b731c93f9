/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/event/event.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"

#define ESCAPED_MAX 4200   /* of a value of the line */
#define SAFE_TEXT_MAX 8400 /* of one of JSON */
#define WORD_MAX DF_ADDR_TEXT_MAX

/* --- the fields ----------------------------------------------------------------------- */

/* s NULL: it is not there.  Need not be NUL-terminated. */
struct text {
	const char *s;
	size_t len;
};

struct number {
	bool is_there;
	int64_t value;
};

struct addrs {
	const uint8_t (*list)[16];
	unsigned n;
};

/* An event as the values of its fields.  All zero: it has none; which it has, view_of decides. */
struct view {
	struct text time, event, reason, at, domain, cmd, method, rule, rule_owner, owner, hint;
	struct text transport, comm, exe, cwd, attribution, of, message, socket, finding, seen;
	struct text remedy, id, name, hostname, image, pod, k8s_namespace, policy, mode;
	struct number schema, blocked, would_block, port, pid, txid, qtype, resolver_port, rcode;
	struct number proxy_port, tid, container_pid, uid, count, lost, search;
	const uint8_t *ip, *resolver, *answered_by, *proxy;
	struct addrs answers, addresses;
	const struct df_event_line *chain;
	const struct df_event_totals *totals;
	const struct df_identity *ancestry;
	const struct df_job *job;
};

enum type {
	TEXT,  /* in the line quoted and escaped */
	WORD,  /* in the line as it is: from a closed list, or escaped before */
	ID,    /* the same, of the container: in the line its key is that of the object */
	COUNT, /* of the events that this one stands for: in the line from two on */
	NUMBER,
	BOOL,
	ADDR,
	/* in JSON alone */
	ADDRS,
	CHAIN,
	ANCESTRY,
	ANNOTATIONS,
	TOTALS,
	OPEN,
	CLOSE,
};

/* The parts that are written: a payload can make some too large, and no event may be lost by it. */
enum detail { DETAIL_VERDICT, DETAIL_NO_ANCESTRY, DETAIL_ALL };

/* Fields that an event can do without. */
static enum detail least_detail(enum type type)
{
	if (type == ANCESTRY)
		return DETAIL_ALL;
	return type == CHAIN || type == ANNOTATIONS ? DETAIL_NO_ANCESTRY : DETAIL_VERDICT;
}

#define LINE_FIELDS_MAX 25

/* In the order of JSON, and of the journal. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the order in which a row is read */
static const struct field {
	const char *key;     /* in JSON and in the line */
	const char *journal; /* behind DEPLOYFENCE_; NULL: not there */
	enum type type;
	size_t at;              /* in struct view */
	unsigned char place[2]; /* in the line of a refusal, and of others; 0: not there */
} fields[] = {
#define AT(field) offsetof(struct view, field)
	{"schema", NULL, NUMBER, AT(schema), {0, 0}},
	{"time", NULL, TEXT, AT(time), {0, 0}},
	{"event", "EVENT", TEXT, AT(event), {0, 0}},
	{"reason", "REASON", WORD, AT(reason), {1, 1}},
	{"blocked", "BLOCKED", BOOL, AT(blocked), {2, 0}},
	{"would_block", NULL, BOOL, AT(would_block), {3, 0}},
	{"blockedAt", "BLOCKED_AT", WORD, AT(at), {4, 0}},
	{"domain", "DOMAIN", WORD, AT(domain), {5, 2}},
	{"ip", "IP", ADDR, AT(ip), {6, 6}},
	{"port", "PORT", NUMBER, AT(port), {7, 7}},
	{"pid", "PID", NUMBER, AT(pid), {8, 8}},
	{"cmd", "CMD", TEXT, AT(cmd), {9, 9}},
	{"firewallMethod", "FIREWALL_METHOD", WORD, AT(method), {10, 0}},
	{"rule", "RULE", TEXT, AT(rule), {11, 11}},
	{"rule_owner", "RULE_OWNER", TEXT, AT(rule_owner), {12, 12}},
	{"owner", "OWNER", TEXT, AT(owner), {15, 15}},
	{"hint", "HINT", TEXT, AT(hint), {16, 16}},
	{"txid", NULL, NUMBER, AT(txid), {0, 0}},
	{"qtype", NULL, NUMBER, AT(qtype), {0, 0}},
	{"transport", NULL, TEXT, AT(transport), {0, 0}},
	{"resolver", NULL, ADDR, AT(resolver), {0, 0}},
	{"resolver_port", NULL, NUMBER, AT(resolver_port), {0, 0}},
	{"answered_by", NULL, ADDR, AT(answered_by), {0, 0}},
	{"rcode", NULL, NUMBER, AT(rcode), {0, 0}},
	{"answers", NULL, ADDRS, AT(answers), {0, 0}},
	{"cname_chain", NULL, CHAIN, AT(chain), {0, 0}},
	{"proxy", "PROXY", ADDR, AT(proxy), {20, 20}},
	{"proxy_port", "PROXY_PORT", NUMBER, AT(proxy_port), {21, 21}},
	{"tid", NULL, NUMBER, AT(tid), {0, 0}},
	{"container_pid", NULL, NUMBER, AT(container_pid), {0, 0}},
	{"uid", "UID", NUMBER, AT(uid), {0, 0}},
	{"comm", "COMM", TEXT, AT(comm), {0, 0}},
	{"exe", "EXE", TEXT, AT(exe), {0, 0}},
	{"cwd", NULL, TEXT, AT(cwd), {0, 0}},
	{"attribution", NULL, WORD, AT(attribution), {18, 18}},
	{"ancestry", NULL, ANCESTRY, AT(ancestry), {0, 0}},
	{"count", NULL, COUNT, AT(count), {19, 19}},
	{"of", NULL, TEXT, AT(of), {0, 0}},
	{"lost", NULL, NUMBER, AT(lost), {0, 0}},
	{"totals", NULL, TOTALS, AT(totals), {0, 0}},
	{"message", NULL, TEXT, AT(message), {22, 22}},
	{"addresses", NULL, ADDRS, AT(addresses), {0, 0}},
	{"socket", NULL, TEXT, AT(socket), {17, 17}},
	{"search", NULL, BOOL, AT(search), {24, 24}},
	{"finding", "FINDING", WORD, AT(finding), {0, 3}},
	{"seen", NULL, TEXT, AT(seen), {0, 4}},
	{"remedy", NULL, TEXT, AT(remedy), {23, 5}},
	{"container", NULL, OPEN, 0, {0, 0}},
	{"id", "CONTAINER", ID, AT(id), {13, 13}},
	{"name", "CONTAINER_NAME", TEXT, AT(name), {14, 14}},
	{"hostname", NULL, TEXT, AT(hostname), {0, 0}},
	{"image", "IMAGE", TEXT, AT(image), {0, 0}},
	{"pod", "POD", TEXT, AT(pod), {0, 0}},
	{"namespace", "NAMESPACE", TEXT, AT(k8s_namespace), {0, 0}},
	{NULL, NULL, CLOSE, 0, {0, 0}},
	{"policy", "POLICY", TEXT, AT(policy), {0, 0}},
	{"mode", "MODE", TEXT, AT(mode), {0, 0}},
	{"annotations", NULL, ANNOTATIONS, AT(job), {0, 0}},
#undef AT
};

static struct text text_of(const char *s)
{
	return s && *s ? (struct text){s, strlen(s)} : (struct text){0};
}

static struct text octets_of(const char *s, size_t max)
{
	return s ? (struct text){s, strnlen(s, max)} : (struct text){0};
}

static struct number number_of(uint64_t value)
{
	return (struct number){true, (int64_t)value};
}

static const char *const at_names[DF_AT_END][2] = {
	[DF_AT_DNS] = {"dns", "DNS"},          [DF_AT_CONNECT] = {"connect", "CONNECT"},
	[DF_AT_PACKET] = {"packet", "PACKET"}, [DF_AT_TLS] = {"tls", "TLS"},
	[DF_AT_HTTP] = {"http", "HTTP"},       [DF_AT_PROXY] = {"proxy", "PROXY"},
};

static const char *at_name(enum df_event_at at, bool is_head)
{
	return at < DF_AT_END ? at_names[at][is_head] : "?";
}

/* Else the name of the thread is all that is known. */
static bool has_cmd(const struct df_identity *who)
{
	return who->state == DF_IDENTITY_OK || who->cmd_len > 0;
}

static void view_verdict(const struct df_event_line *e, struct view *v)
{
	/* a name that passed was judged, too */
	const bool is_judged = e->is_refusal || e->proxy || (e->domain && !e->is_note);

	v->reason = text_of(e->reason);
	if (e->is_shadow) {
		v->would_block = number_of(e->would_block);
	} else if (is_judged) {
		v->blocked = number_of(e->is_blocked);
		if (e->is_refusal && !e->is_blocked)
			v->would_block = number_of(true);
	}
	if (e->is_refusal)
		v->at = text_of(at_name(e->at, false));
	if (is_judged || e->is_shadow)
		v->method = text_of(e->is_allowlist ? "allowlist" : "blocklist");
	v->domain = text_of(e->domain);
	v->ip = e->addr;
	if ((e->addr || e->port) && !e->is_note)
		v->port = number_of(e->port);
	v->rule = text_of(e->rule);
	v->rule_owner = text_of(e->rule_owner);
	v->hint = text_of(e->hint);
	v->proxy = e->proxy;
	if (e->proxy)
		v->proxy_port = number_of(e->proxy_port);
}

static void view_query(const struct df_event_line *e, struct view *v)
{
	v->txid = number_of(e->txid);
	v->qtype = number_of(e->qtype);
	v->transport = text_of(e->is_tcp ? "tcp" : "udp");
	if (e->resolver) {
		v->resolver = e->resolver;
		v->resolver_port = number_of(e->resolver_port);
		v->answered_by = e->answered_by;
	}
	if (!e->is_refusal)
		v->rcode = number_of(e->rcode);
	v->answers = (struct addrs){e->addrs, e->n_addrs};
	v->chain = e->n_chain ? e : NULL;
}

static void view_identity(const struct df_identity *who, struct view *v)
{
	v->pid = number_of(who->pid);
	v->tid = number_of(who->tid);
	if (who->container_pid)
		v->container_pid = number_of(who->container_pid);
	if (who->uid != DF_UID_UNKNOWN)
		v->uid = number_of(who->uid);
	v->comm = octets_of(who->comm, DF_COMM_LEN);
	v->cmd = has_cmd(who) ? (struct text){who->cmd, who->cmd_len} : v->comm;
	v->exe = text_of(who->exe);
	v->cwd = text_of(who->cwd);
	if (who->state == DF_IDENTITY_GONE)
		v->attribution = text_of("gone");
	if (who->state == DF_IDENTITY_UNAVAILABLE)
		v->attribution = text_of("unavailable");
	v->ancestry = who;
}

static struct view view_of(const struct df_event_line *e, const struct df_job *job,
			   const char *time)
{
	struct view v = {
		.time = text_of(time),
		.event = text_of(e->event),
		.of = text_of(e->of),
		.message = text_of(e->message),
		.socket = text_of(e->socket),
		.finding = text_of(e->finding),
		.seen = text_of(e->seen),
		.remedy = text_of(e->remedy),
		.addresses = {e->own, e->n_own},
		.owner = text_of(job->owner),
		.id = octets_of(job->id, sizeof(job->id)),
		.name = text_of(job->name),
		.hostname = text_of(job->hostname),
		.image = text_of(job->image),
		.pod = text_of(job->pod),
		.k8s_namespace = text_of(job->k8s_namespace),
		.policy = text_of(job->policy),
		.job = *job->owner || job->n_x ? job : NULL,
		.schema = number_of(DF_EVENT_SCHEMA),
		.count = {e->count > 0, (int64_t)e->count},
		.lost = {e->totals && e->totals->lost > 0,
			 e->totals ? (int64_t)e->totals->lost : 0},
		.totals = e->totals,
		.search = {e->is_search, true},
	};

	if (job->mode != 0) /* else there is no fence that could have one */
		v.mode = text_of(job->mode == DF_MODE_AUDIT ? "audit" : "enforce");
	view_verdict(e, &v);
	if (e->has_query)
		view_query(e, &v);
	if (e->who)
		view_identity(e->who, &v);
	return v;
}

static const void *value_at(const struct view *v, const struct field *f)
{
	return (const char *)v + f->at;
}

/* The value as text, in word if it must be formatted; none for the types of JSON alone. */
static struct text text_at(const struct view *v, const struct field *f, char word[static WORD_MAX])
{
	const struct text *text = value_at(v, f);
	const struct number *number = value_at(v, f);
	const uint8_t *const *addr = value_at(v, f);

	switch (f->type) {
	case TEXT:
	case WORD:
	case ID:
		return *text;
	case COUNT:
	case NUMBER:
		(void)snprintf(word, WORD_MAX, "%lld", (long long)number->value);
		return number->is_there ? text_of(word) : (struct text){0};
	case BOOL:
		return number->is_there ? text_of(number->value ? "true" : "false")
					: (struct text){0};
	case ADDR:
		if (!*addr)
			break;
		df_addr_text(*addr, word);
		return text_of(word);
	case ADDRS:
	case CHAIN:
	case ANCESTRY:
	case ANNOTATIONS:
	case TOTALS:
	case OPEN:
	case CLOSE:
		break;
	}
	return (struct text){0};
}

/* --- the line ---------------------------------------------------------------------------- */

static void append_field(char *buf, size_t size, size_t *pos, const struct field *f,
			 const struct view *v)
{
	const char *key = f->type == ID ? "container" : f->key;
	char word[WORD_MAX], escaped[ESCAPED_MAX];
	const struct text text = text_at(v, f, word);

	if (!text.s || (f->type == COUNT && v->count.value < 2))
		return;
	if (f->type != TEXT) {
		df_append(buf, size, pos, " %s=%.*s", key, (int)text.len, text.s);
		return;
	}
	(void)df_escape(text.s, text.len, escaped, sizeof(escaped));
	df_append(buf, size, pos, " %s=\"%s\"", key, escaped);
}

/*
 * "WARN DNS BLOCKED reason=… blocked=true blockedAt=dns domain=… pid=… cmd=… firewallMethod=…"
 * and "WARN unobserved reason=NoHeartbeat ip=… port=53 pid=… cmd=…"
 */
size_t df_event_text(const struct df_event_line *e, const struct df_job *job, char *buf,
		     size_t size)
{
	const struct field *order[LINE_FIELDS_MAX] = {NULL};
	const struct view v = view_of(e, job, "");
	size_t pos = 0;

	if (e->is_refusal)
		df_append(buf, size, &pos, "%s %s BLOCKED", e->is_blocked ? "WARN" : "INFO",
			  at_name(e->at, true));
	else
		df_append(buf, size, &pos, "%s %s", e->is_warning ? "WARN" : "INFO", e->event);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		order[fields[i].place[e->is_refusal ? 0 : 1]] = &fields[i];
	for (size_t i = 1; i < LINE_FIELDS_MAX; i++)
		if (order[i])
			append_field(buf, size, &pos, order[i], &v);
	return pos;
}

/* --- JSON --------------------------------------------------------------------------------- */

static void put_key(yajl_gen g, const char *key)
{
	yajl_gen_string(g, (const unsigned char *)key, strlen(key));
}

/* yajl escapes what is below 0x20 only; df_escape knows the other characters that a terminal obeys.
 */
static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x7f)
			return !df_is_printable(text, len);
	return false;
}

static void put_text(yajl_gen g, const char *key, const char *text, size_t len)
{
	char safe[SAFE_TEXT_MAX];

	put_key(g, key);
	if (!has_control(text, len) &&
	    yajl_gen_string(g, (const unsigned char *)text, len) != yajl_gen_invalid_string)
		return;
	/* not UTF-8: control octets and the invalid ones as \xHH */
	len = df_escape(text, len, safe, sizeof(safe));
	yajl_gen_string(g, (const unsigned char *)safe, len);
}

static void put_number(yajl_gen g, const char *key, uint64_t value)
{
	put_key(g, key);
	yajl_gen_integer(g, (long long)value);
}

static void put_addr(yajl_gen g, const uint8_t addr[static 16])
{
	char text[DF_ADDR_TEXT_MAX];

	df_addr_text(addr, text);
	put_key(g, text);
}

static void put_chain(yajl_gen g, const struct df_event_line *e)
{
	char name[DF_DNAME_TEXT_MAX];

	yajl_gen_array_open(g);
	for (unsigned i = 0; i < e->n_chain; i++) {
		(void)df_dname_to_text(&e->chain[i], name);
		put_key(g, name);
	}
	yajl_gen_array_close(g);
}

static void put_ancestry(yajl_gen g, const struct df_identity *who)
{
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < who->n_ancestors; i++) {
		const struct df_ancestor *a = &who->ancestors[i];

		yajl_gen_map_open(g);
		put_number(g, "pid", a->pid);
		put_text(g, "comm", a->comm, strnlen(a->comm, DF_COMM_LEN));
		put_text(g, "cmd", a->cmd, strnlen(a->cmd, sizeof(a->cmd)));
		yajl_gen_map_close(g);
	}
	yajl_gen_array_close(g);
}

static void put_annotations(yajl_gen g, const struct df_job *job)
{
	yajl_gen_map_open(g);
	if (*job->owner)
		put_text(g, "owner", job->owner, strlen(job->owner));
	for (unsigned i = 0; i < job->n_x && i < DF_JOB_X_MAX; i++)
		put_text(g, job->x[i].key, job->x[i].value, strlen(job->x[i].value));
	yajl_gen_map_close(g);
}

static void put_totals(yajl_gen g, const struct df_event_totals *totals)
{
	const struct {
		const char *key;
		uint64_t count;
	} counts[] = {
		{"queries", totals->queries},
		{"refused", totals->refused},
		{"search_attempts", totals->search_attempts},
		{"lost", totals->lost},
		{"dropped", totals->dropped},
		{"malformed", totals->malformed},
		{"mismatched", totals->mismatched},
		{"stray", totals->stray},
		{"unlogged", totals->unlogged},
		{"unshown", totals->unshown},
		{"pin_failures", totals->pin_failures},
		{"sinkhole_probes", totals->sinkhole_probes},
	};

	yajl_gen_map_open(g);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		put_number(g, counts[i].key, counts[i].count);
	yajl_gen_map_close(g);
}

static void put_field(yajl_gen g, const struct field *f, const struct view *v)
{
	const void *value = value_at(v, f);
	const void *const *pointer = value;
	const struct text *text = value;
	const struct number *number = value;
	const struct addrs *addrs = value;

	switch (f->type) {
	case TEXT:
	case WORD:
	case ID:
		if (text->s)
			put_text(g, f->key, text->s, text->len);
		return;
	case COUNT:
	case NUMBER:
		if (number->is_there)
			put_number(g, f->key, (uint64_t)number->value);
		return;
	case BOOL:
		if (!number->is_there)
			return;
		put_key(g, f->key);
		yajl_gen_bool(g, number->value != 0);
		return;
	case ADDRS:
		if (addrs->n == 0)
			return;
		put_key(g, f->key);
		yajl_gen_array_open(g);
		for (unsigned i = 0; i < addrs->n; i++)
			put_addr(g, addrs->list[i]);
		yajl_gen_array_close(g);
		return;
	case OPEN:
		put_key(g, f->key);
		yajl_gen_map_open(g);
		return;
	case CLOSE:
		yajl_gen_map_close(g);
		return;
	case ADDR:
	case CHAIN:
	case ANCESTRY:
	case ANNOTATIONS:
	case TOTALS:
		break;
	}
	if (!*pointer)
		return;
	put_key(g, f->key);
	if (f->type == ADDR)
		put_addr(g, *pointer);
	else if (f->type == CHAIN)
		put_chain(g, *pointer);
	else if (f->type == ANCESTRY)
		put_ancestry(g, *pointer);
	else if (f->type == TOTALS)
		put_totals(g, *pointer);
	else
		put_annotations(g, *pointer);
}

/* 0: it does not fit. */
static size_t generate(const struct view *v, enum detail detail, char *buf, size_t size)
{
	yajl_gen g = yajl_gen_alloc(NULL);
	const unsigned char *text = (const unsigned char *)"";
	size_t len = 0;

	if (!g)
		return 0;
	(void)yajl_gen_config(g, yajl_gen_validate_utf8, 1);
	yajl_gen_map_open(g);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (least_detail(fields[i].type) <= detail)
			put_field(g, &fields[i], v);
	yajl_gen_map_close(g);
	if (yajl_gen_get_buf(g, &text, &len) != yajl_gen_status_ok || len >= size)
		len = 0;
	memcpy(buf, text, len);
	buf[len] = '\0';
	yajl_gen_free(g);
	return len;
}

size_t df_event_json(const struct df_event_line *e, const struct df_job *job, char *buf,
		     size_t size)
{
	struct view v;
	char now[32];
	size_t len = 0;

	df_time_text(now);
	v = view_of(e, job, now);
	for (int detail = DETAIL_ALL; len == 0 && detail >= DETAIL_VERDICT; detail--)
		len = generate(&v, (enum detail)detail, buf, size);
	return len;
}

/* --- the journal -------------------------------------------------------------------------- */

/*
 * systemd's JOURNAL_NATIVE_PROTOCOL: FIELD=value lines, or for a value with a newline in it
 * FIELD, newline, its length as 64 bits little-endian, the value, newline.
 */
struct entry {
	char *buf;
	size_t size, len;
};

static void put(struct entry *j, const void *data, size_t len)
{
	memcpy(j->buf + j->len, data, len);
	j->len += len;
}

/* A field that does not fit is left out whole: journald drops an entry that is cut. */
static void put_journal(struct entry *j, const char *prefix, const char *name, const char *value,
			size_t len)
{
	const uint64_t le = htole64(len);

	if (len == 0 || j->size - j->len < strlen(prefix) + strlen(name) + len + sizeof(le) + 3)
		return;
	put(j, prefix, strlen(prefix));
	put(j, name, strlen(name));
	if (memchr(value, '\n', len)) {
		put(j, "\n", 1);
		put(j, &le, sizeof(le));
	} else {
		put(j, "=", 1);
	}
	put(j, value, len);
	put(j, "\n", 1);
}

size_t df_event_journal(const struct df_event_line *e, const struct df_job *job, int priority,
			const char *text, char *buf, size_t size)
{
	struct entry j = {.buf = buf, .size = size};
	struct view v = view_of(e, job, "");
	char word[WORD_MAX];

	/* whether something passed is told of refusals only, and no command for another one */
	if (!e->is_refusal) {
		v.blocked.is_there = false;
		v.method.s = NULL;
	}
	if (e->who && !has_cmd(e->who))
		v.cmd.s = NULL;
	(void)snprintf(word, sizeof(word), "%d", priority);
	put_journal(&j, "", "MESSAGE", text, strlen(text));
	put_journal(&j, "", "PRIORITY", word, strlen(word));
	put_journal(&j, "", "SYSLOG_IDENTIFIER", "deployfence", strlen("deployfence"));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct text value =
			fields[i].journal ? text_at(&v, &fields[i], word) : (struct text){0};

		if (value.s)
			put_journal(&j, "DEPLOYFENCE_", fields[i].journal, value.s, value.len);
	}
	return j.len;
}
