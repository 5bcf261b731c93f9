/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/event/event.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/util.h"

#define ESCAPED_MAX 4200

static const char *head_of(enum df_event_at at)
{
	switch (at) {
	case DF_AT_DNS:
		return "DNS";
	case DF_AT_CONNECT:
		return "CONNECT";
	case DF_AT_PACKET:
		return "PACKET";
	case DF_AT_TLS:
		return "TLS";
	case DF_AT_HTTP:
		return "HTTP";
	case DF_AT_PROXY:
		return "PROXY";
	case DF_AT_END:
		break;
	}
	return "?";
}

const char *df_event_at_name(enum df_event_at at)
{
	switch (at) {
	case DF_AT_DNS:
		return "dns";
	case DF_AT_CONNECT:
		return "connect";
	case DF_AT_PACKET:
		return "packet";
	case DF_AT_TLS:
		return "tls";
	case DF_AT_HTTP:
		return "http";
	case DF_AT_PROXY:
		return "proxy";
	case DF_AT_END:
		break;
	}
	return "?";
}

const char *df_event_method(const struct df_event_line *e)
{
	return e->is_allowlist ? "allowlist" : "blocklist";
}

void df_event_addr_text(const uint8_t addr[static 16], char ret[static INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr))
		(void)inet_ntop(AF_INET, addr + 12, ret, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, addr, ret, INET6_ADDRSTRLEN);
}

static void append_quoted(char *buf, size_t size, size_t *pos, const char *key, const char *text,
			  size_t len)
{
	char escaped[ESCAPED_MAX];

	(void)df_escape(text, len, escaped, sizeof(escaped));
	df_append(buf, size, pos, " %s=\"%s\"", key, escaped);
}

static void append_text(char *buf, size_t size, size_t *pos, const char *key, const char *text)
{
	if (text && *text)
		append_quoted(buf, size, pos, key, text, strlen(text));
}

static void append_identity(char *buf, size_t size, size_t *pos, const struct df_identity *who)
{
	df_append(buf, size, pos, " pid=%u", who->pid);
	if (df_event_has_cmd(who))
		append_quoted(buf, size, pos, "cmd", who->cmd, who->cmd_len);
	else /* the kernel's record of the thread's name is all that is known */
		append_quoted(buf, size, pos, "cmd", who->comm, strnlen(who->comm, DF_COMM_LEN));
}

static void append_addr(const struct df_event_line *e, char *buf, size_t size, size_t *pos)
{
	char addr[INET6_ADDRSTRLEN];

	if (e->addr) {
		df_event_addr_text(e->addr, addr);
		df_append(buf, size, pos, " ip=%s", addr);
	}
	if ((e->addr || e->port) && !e->is_note)
		df_append(buf, size, pos, " port=%u", e->port);
}

static void append_proxy(const struct df_event_line *e, char *buf, size_t size, size_t *pos)
{
	char addr[INET6_ADDRSTRLEN];

	if (!e->proxy)
		return;
	df_event_addr_text(e->proxy, addr);
	df_append(buf, size, pos, " proxy=%s proxy_port=%u", addr, e->proxy_port);
}

/* "WARN DNS BLOCKED reason=… blocked=true blockedAt=dns domain=… pid=… cmd=… firewallMethod=…" */
static void append_verdict(const struct df_event_line *e, char *buf, size_t size, size_t *pos)
{
	df_append(buf, size, pos, "%s %s BLOCKED reason=%s blocked=%s%s blockedAt=%s",
		  e->is_blocked ? "WARN" : "INFO", head_of(e->at), e->reason,
		  e->is_blocked ? "true" : "false", e->is_blocked ? "" : " would_block=true",
		  df_event_at_name(e->at));
	if (e->domain)
		df_append(buf, size, pos, " domain=%s", e->domain);
	append_addr(e, buf, size, pos);
	if (e->who)
		append_identity(buf, size, pos, e->who);
	df_append(buf, size, pos, " firewallMethod=%s", df_event_method(e));
}

/* "WARN unobserved reason=NoHeartbeat ip=… port=53 pid=… cmd=…" */
static void append_other(const struct df_event_line *e, char *buf, size_t size, size_t *pos)
{
	df_append(buf, size, pos, "%s %s", e->is_warning ? "WARN" : "INFO", e->event);
	if (e->reason)
		df_append(buf, size, pos, " reason=%s", e->reason);
	if (e->domain)
		df_append(buf, size, pos, " domain=%s", e->domain);
	if (e->finding)
		df_append(buf, size, pos, " finding=%s", e->finding);
	append_text(buf, size, pos, "seen", e->seen);
	append_text(buf, size, pos, "remedy", e->remedy);
	append_addr(e, buf, size, pos);
	if (e->who)
		append_identity(buf, size, pos, e->who);
}

size_t df_event_text(const struct df_event_line *e, const struct df_meta *m, char *buf, size_t size)
{
	size_t pos = 0;

	if (e->is_refusal)
		append_verdict(e, buf, size, &pos);
	else
		append_other(e, buf, size, &pos);
	append_text(buf, size, &pos, "rule", e->rule);
	append_text(buf, size, &pos, "rule_owner", e->rule_owner);
	df_append(buf, size, &pos, " container=%s", m->id);
	append_text(buf, size, &pos, "name", m->name);
	append_text(buf, size, &pos, "owner", m->owner);
	append_text(buf, size, &pos, "hint", e->hint);
	append_text(buf, size, &pos, "socket", e->socket);
	if (e->who && e->who->state == DF_IDENTITY_GONE)
		df_append(buf, size, &pos, " attribution=gone");
	if (e->who && e->who->state == DF_IDENTITY_UNAVAILABLE)
		df_append(buf, size, &pos, " attribution=unavailable");
	if (e->count > 1)
		df_append(buf, size, &pos, " count=%llu", (unsigned long long)e->count);
	append_proxy(e, buf, size, &pos);
	append_text(buf, size, &pos, "message", e->message);
	if (e->is_refusal)
		append_text(buf, size, &pos, "remedy", e->remedy);
	if (e->is_search)
		df_append(buf, size, &pos, " search=true");
	return pos;
}
