/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include <yajl/yajl_gen.h>

#include "lib/base/util.h"
#include "lib/event/event.h"

#define ADDR_TEXT_MAX 46
#define SAFE_TEXT_MAX 8400

/* yajl escapes what is below 0x20 only; df_escape knows the rest that a terminal obeys. */
static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x7f)
			return !df_is_printable(text, len);
	return false;
}

/* The name alone decides the type of the value; order is that of the text line. */
static void put_string_len(yajl_gen g, const char *key, const char *text, size_t len)
{
	yajl_gen_string(g, (const unsigned char *)key, strlen(key));
	if (has_control(text, len) ||
	    yajl_gen_string(g, (const unsigned char *)text, len) == yajl_gen_invalid_string) {
		/* not UTF-8: control octets and the invalid ones as \xHH */
		char safe[SAFE_TEXT_MAX];
		size_t n = df_escape(text, len, safe, sizeof(safe));

		yajl_gen_string(g, (const unsigned char *)safe, n);
	}
}

static void put_string(yajl_gen g, const char *key, const char *text)
{
	if (text && *text)
		put_string_len(g, key, text, strlen(text));
}

static void put_int(yajl_gen g, const char *key, long long value)
{
	yajl_gen_string(g, (const unsigned char *)key, strlen(key));
	yajl_gen_integer(g, value);
}

static void put_bool(yajl_gen g, const char *key, bool value)
{
	yajl_gen_string(g, (const unsigned char *)key, strlen(key));
	yajl_gen_bool(g, value);
}

static void put_key(yajl_gen g, const char *key)
{
	yajl_gen_string(g, (const unsigned char *)key, strlen(key));
}

static void put_addr(yajl_gen g, const char *key, const uint8_t *addr)
{
	char text[ADDR_TEXT_MAX];

	df_event_addr_text(addr, text);
	if (key)
		put_string(g, key, text);
	else
		yajl_gen_string(g, (const unsigned char *)text, strlen(text));
}

static void put_addrs(yajl_gen g, const char *key, const uint8_t (*addrs)[16], unsigned n)
{
	if (n == 0)
		return;
	put_key(g, key);
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < n; i++)
		put_addr(g, NULL, addrs[i]);
	yajl_gen_array_close(g);
}

static void put_comm(yajl_gen g, const char *comm)
{
	put_string_len(g, "comm", comm, strnlen(comm, DF_COMM_LEN));
}

static void put_identity(yajl_gen g, const struct df_identity *who)
{
	put_int(g, "pid", who->pid);
	if (df_event_has_cmd(who))
		put_string_len(g, "cmd", who->cmd, who->cmd_len);
	else
		put_string_len(g, "cmd", who->comm, strnlen(who->comm, DF_COMM_LEN));
}

static void put_ancestry(yajl_gen g, const struct df_identity *who, bool with_ancestors)
{
	put_int(g, "tid", who->tid);
	if (who->container_pid)
		put_int(g, "container_pid", who->container_pid);
	if (who->uid != DF_UID_UNKNOWN)
		put_int(g, "uid", who->uid);
	put_comm(g, who->comm);
	put_string(g, "exe", who->exe);
	put_string(g, "cwd", who->cwd);
	if (who->state == DF_IDENTITY_GONE)
		put_string(g, "attribution", "gone");
	if (who->state == DF_IDENTITY_UNAVAILABLE)
		put_string(g, "attribution", "unavailable");
	if (!with_ancestors)
		return;
	put_key(g, "ancestry");
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < who->n_ancestors; i++) {
		const struct df_ancestor *a = &who->ancestors[i];

		yajl_gen_map_open(g);
		put_int(g, "pid", a->pid);
		put_comm(g, a->comm);
		put_string_len(g, "cmd", a->cmd, strnlen(a->cmd, sizeof(a->cmd)));
		yajl_gen_map_close(g);
	}
	yajl_gen_array_close(g);
}

/* What was let through by its name is judged, too. */
static bool is_judged(const struct df_event_line *e)
{
	return e->is_refusal || e->proxy || (e->domain && !e->is_note);
}

static void put_verdict(yajl_gen g, const struct df_event_line *e, const struct df_meta *m)
{
	if (e->reason)
		put_string(g, "reason", e->reason);
	if (e->is_shadow)
		put_bool(g, "would_block", e->would_block);
	else if (is_judged(e)) {
		put_bool(g, "blocked", e->is_blocked);
		if (e->is_refusal && !e->is_blocked)
			put_bool(g, "would_block", true);
	}
	if (e->is_refusal)
		put_string(g, "blockedAt", df_event_at_name(e->at));
	put_string(g, "domain", e->domain);
	if (e->addr)
		put_addr(g, "ip", e->addr);
	if ((e->addr || e->port) && !e->is_note)
		put_int(g, "port", e->port);
	if (e->who)
		put_identity(g, e->who);
	if (is_judged(e) || e->is_shadow)
		put_string(g, "firewallMethod", df_event_method(e));
	put_string(g, "rule", e->rule);
	put_string(g, "rule_owner", e->rule_owner);
	put_string(g, "owner", m->owner);
	put_string(g, "hint", e->hint);
}

static void put_query(yajl_gen g, const struct df_event_line *e, bool with_chain)
{
	char name[DF_DNAME_TEXT_MAX];

	put_int(g, "txid", e->txid);
	put_int(g, "qtype", e->qtype);
	put_string(g, "transport", e->is_tcp ? "tcp" : "udp");
	if (e->resolver) {
		put_addr(g, "resolver", e->resolver);
		put_int(g, "resolver_port", e->resolver_port);
		if (e->answered_by)
			put_addr(g, "answered_by", e->answered_by);
	}
	if (!e->is_refusal)
		put_int(g, "rcode", e->rcode);
	put_addrs(g, "answers", e->addrs, e->n_addrs);
	if (!e->n_chain || !with_chain)
		return;
	put_key(g, "cname_chain");
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < e->n_chain; i++) {
		size_t n = df_dname_to_text(&e->chain[i], name);

		yajl_gen_string(g, (const unsigned char *)name, n);
	}
	yajl_gen_array_close(g);
}

static void put_container(yajl_gen g, const struct df_meta *m, bool with_annotations)
{
	put_key(g, "container");
	yajl_gen_map_open(g);
	put_string(g, "id", m->id);
	put_string(g, "name", m->name);
	put_string(g, "hostname", m->hostname);
	put_string(g, "image", m->image);
	put_string(g, "pod", m->pod);
	put_string(g, "namespace", m->k8s_namespace);
	yajl_gen_map_close(g);
	put_string(g, "policy", m->policy);
	if (m->mode != 0) /* else there is no fence that could have one */
		put_string(g, "mode", m->mode == DF_MODE_AUDIT ? "audit" : "enforce");
	if (!with_annotations || (!*m->owner && m->n_x == 0))
		return;
	put_key(g, "annotations");
	yajl_gen_map_open(g);
	put_string(g, "owner", m->owner);
	for (unsigned i = 0; i < m->n_x && i < DF_META_X_MAX; i++)
		put_string_len(g, m->x[i].key, m->x[i].value, strlen(m->x[i].value));
	yajl_gen_map_close(g);
}

/* How much of an event is told: it must never be lost for what a payload adds to it. */
enum detail { DETAIL_VERDICT, DETAIL_NO_ANCESTRY, DETAIL_ALL };

static size_t generate(const struct df_event_line *e, const struct df_meta *m, enum detail detail,
		       char *buf, size_t size)
{
	yajl_gen g = yajl_gen_alloc(NULL);
	const unsigned char *text = (const unsigned char *)"";
	size_t len = 0;
	char now[32];

	if (!g)
		return 0;
	(void)yajl_gen_config(g, yajl_gen_validate_utf8, 1);
	df_time_text(now);
	yajl_gen_map_open(g);
	put_int(g, "schema", DF_EVENT_SCHEMA);
	put_string(g, "time", now);
	put_string(g, "event", e->event);
	put_verdict(g, e, m);
	if (e->has_query)
		put_query(g, e, detail >= DETAIL_NO_ANCESTRY);
	if (e->proxy) {
		put_addr(g, "proxy", e->proxy);
		put_int(g, "proxy_port", e->proxy_port);
	}
	if (e->who)
		put_ancestry(g, e->who, detail == DETAIL_ALL);
	if (e->count)
		put_int(g, "count", (long long)e->count);
	if (e->of)
		put_string(g, "of", e->of);
	if (e->n_lost)
		put_int(g, "lost", (long long)e->n_lost);
	put_string(g, "message", e->message);
	put_addrs(g, "addresses", e->own, e->n_own);
	put_string(g, "socket", e->socket);
	if (e->is_search)
		put_bool(g, "search", true);
	put_string(g, "finding", e->finding);
	put_string(g, "seen", e->seen);
	put_string(g, "remedy", e->remedy);
	put_container(g, m, detail >= DETAIL_NO_ANCESTRY);
	yajl_gen_map_close(g);
	if (yajl_gen_get_buf(g, &text, &len) != yajl_gen_status_ok || len >= size)
		len = 0;
	memcpy(buf, text, len);
	buf[len] = '\0';
	yajl_gen_free(g);
	return len;
}

size_t df_event_json(const struct df_event_line *e, const struct df_meta *m, char *buf, size_t size)
{
	size_t len = generate(e, m, DETAIL_ALL, buf, size);

	if (len == 0)
		len = generate(e, m, DETAIL_NO_ANCESTRY, buf, size);
	return len ? len : generate(e, m, DETAIL_VERDICT, buf, size);
}
