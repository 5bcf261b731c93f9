/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event as an entry of the journal's native protocol (systemd's
 * JOURNAL_NATIVE_PROTOCOL): FIELD=value lines, or for a value with a newline in it
 * FIELD, newline, its length as 64 bits little-endian, the value, newline.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/event/event.h"

struct entry {
	char *buf;
	size_t size, len;
};

static void put(struct entry *j, const void *data, size_t len)
{
	if (len > j->size - j->len)
		len = j->size - j->len;
	memcpy(j->buf + j->len, data, len);
	j->len += len;
}

/* A field that does not fit is left out whole: journald drops an entry that is cut. */
static void field(struct entry *j, const char *name, const char *value, size_t len)
{
	const uint64_t le = htole64(len);
	const bool is_binary = memchr(value, '\n', len) != NULL;

	if (len == 0 || j->size - j->len < strlen(name) + len + sizeof(le) + 3)
		return;
	put(j, name, strlen(name));
	if (is_binary) {
		put(j, "\n", 1);
		put(j, &le, sizeof(le));
	} else {
		put(j, "=", 1);
	}
	put(j, value, len);
	put(j, "\n", 1);
}

static void text_field(struct entry *j, const char *name, const char *value)
{
	if (value)
		field(j, name, value, strlen(value));
}

static void number_field(struct entry *j, const char *name, unsigned long long value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", value);
	text_field(j, name, text);
}

static void who_fields(struct entry *j, const struct df_identity *who)
{
	number_field(j, "DEPLOYFENCE_PID", who->pid);
	if (who->uid != DF_UID_UNKNOWN)
		number_field(j, "DEPLOYFENCE_UID", who->uid);
	field(j, "DEPLOYFENCE_COMM", who->comm, strnlen(who->comm, sizeof(who->comm)));
	if (!df_event_has_cmd(who))
		return;
	field(j, "DEPLOYFENCE_CMD", who->cmd, who->cmd_len);
	text_field(j, "DEPLOYFENCE_EXE", who->exe);
}

static void verdict_fields(struct entry *j, const struct df_event_line *e)
{
	char addr[46];

	text_field(j, "DEPLOYFENCE_REASON", e->reason);
	if (e->is_refusal) {
		text_field(j, "DEPLOYFENCE_BLOCKED", e->is_blocked ? "true" : "false");
		text_field(j, "DEPLOYFENCE_BLOCKED_AT", df_event_at_name(e->at));
		text_field(j, "DEPLOYFENCE_FIREWALL_METHOD", df_event_method(e));
	}
	text_field(j, "DEPLOYFENCE_DOMAIN", e->domain);
	if (e->addr) {
		df_event_addr_text(e->addr, addr);
		text_field(j, "DEPLOYFENCE_IP", addr);
	}
	if ((e->addr || e->port) && !e->is_note)
		number_field(j, "DEPLOYFENCE_PORT", e->port);
	if (e->proxy) {
		df_event_addr_text(e->proxy, addr);
		text_field(j, "DEPLOYFENCE_PROXY", addr);
		number_field(j, "DEPLOYFENCE_PROXY_PORT", e->proxy_port);
	}
	text_field(j, "DEPLOYFENCE_RULE", e->rule);
	text_field(j, "DEPLOYFENCE_RULE_OWNER", e->rule_owner);
	text_field(j, "DEPLOYFENCE_HINT", e->hint);
	text_field(j, "DEPLOYFENCE_FINDING", e->finding);
}

size_t df_event_journal(const struct df_event_line *e, const struct df_meta *m, int priority,
			const char *text, char *buf, size_t size)
{
	struct entry j = {.buf = buf, .size = size};

	text_field(&j, "MESSAGE", text);
	number_field(&j, "PRIORITY", (unsigned)priority);
	text_field(&j, "SYSLOG_IDENTIFIER", "deployfence");
	text_field(&j, "DEPLOYFENCE_EVENT", e->event);
	verdict_fields(&j, e);
	if (e->who)
		who_fields(&j, e->who);
	text_field(&j, "DEPLOYFENCE_CONTAINER", m->id);
	text_field(&j, "DEPLOYFENCE_CONTAINER_NAME", m->name);
	text_field(&j, "DEPLOYFENCE_IMAGE", m->image);
	text_field(&j, "DEPLOYFENCE_POD", m->pod);
	text_field(&j, "DEPLOYFENCE_NAMESPACE", m->k8s_namespace);
	text_field(&j, "DEPLOYFENCE_POLICY", m->policy);
	text_field(&j, "DEPLOYFENCE_MODE", m->mode == DF_MODE_AUDIT ? "audit" : "enforce");
	text_field(&j, "DEPLOYFENCE_OWNER", m->owner);
	return j.len;
}
