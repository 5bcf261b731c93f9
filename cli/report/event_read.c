/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/event_read.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/line_reader.h"
#include "lib/base/json.h"
#include "lib/base/util.h"

#define SCHEMA 1 /* of events */

/* Octets of the command lines in events (lib/event/event.h), without a blank at the end. */
#define CMD_MAX 1022
#define ANCESTOR_CMD_MAX 158
/* Text of a note; the errors of a policy may be longer, and are cut. */
#define TEXT_MAX 4096

static const char *get_text(const struct df_json *object, const char *key)
{
	return df_json_string(df_json_get(object, key));
}

/* The texts of an array, each once.  No array: nothing. */
static int add_texts(struct df_aggregate *a, struct df_texts *t, const struct df_json *list,
		     size_t max)
{
	int r = 0;

	for (size_t i = 0; r == 0 && df_json_is_array(list) && i < df_json_len(list); i++)
		r = df_texts_add(t, &a->pool, df_json_string(df_json_at(list, i)), max);
	return r;
}

/* --- the container */

static int replace(struct df_aggregate *a, const char **old, const char *text)
{
	return text && *text ? df_pool_add(&a->pool, text, old) : 0;
}

/* Names, and the annotations of the start, which are in every event. */
static int note_names(struct df_aggregate *a, struct df_report_container *c,
		      const struct df_json *e)
{
	const struct df_json *box = df_json_get(e, "container");
	const struct df_json *annotations = df_json_get(e, "annotations");
	const struct {
		const struct df_json *from;
		const char *key, **field;
	} names[] = {
		{box, "name", &c->name},   {box, "hostname", &c->hostname},
		{box, "image", &c->image}, {box, "pod", &c->pod},
		{e, "policy", &c->policy}, {box, "namespace", &c->k8s_namespace},
		{e, "mode", &c->mode},     {annotations, "owner", &c->owner},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
		r = replace(a, names[i].field, get_text(names[i].from, names[i].key));
	for (size_t i = 0; r == 0 && df_json_is_object(annotations) && i < df_json_len(annotations);
	     i++) {
		const char *value = df_json_string(df_json_at(annotations, i));

		if (value)
			r = df_aggregate_annotate(a, c, df_json_key_at(annotations, i), value);
	}
	return r;
}

/* Times in one format compare as text: RFC 3339 5.1. */
static int note_container(struct df_aggregate *a, struct df_report_container *c,
			  const struct df_json *e, const char *host)
{
	const char *time = get_text(e, "time"), *event = get_text(e, "event");
	int r = 0;

	if (!*c->first || strcmp(time, c->first) < 0) {
		(void)snprintf(c->first, sizeof(c->first), "%s", time);
		c->is_whole = strcmp(event, "start") == 0 || strcmp(event, "unfenced") == 0;
	}
	if (strcmp(time, c->last) >= 0) {
		(void)snprintf(c->last, sizeof(c->last), "%s", time);
		c->is_ended = strcmp(event, "stop") == 0;
		r = replace(a, &c->host, host) ?: note_names(a, c, e);
	}
	return r ?: add_texts(a, &c->addresses, df_json_get(e, "addresses"), DF_ADDRESSES_MAX);
}

/* --- events that are no verdict */

/* The totals that the fence itself counted; a container that is restarted has several. */
static void read_totals(struct df_report_container *c, const struct df_json *totals)
{
	const struct {
		const char *key;
		uint64_t *sum;
	} counts[] = {
		{"queries", &c->stop_queries},
		{"refused", &c->stop_refused},
		{"lost", &c->lost[DF_LOSS_EVENTS]},
		{"dropped", &c->lost[DF_LOSS_DROPPED]},
		{"malformed", &c->lost[DF_LOSS_MALFORMED]},
		{"mismatched", &c->lost[DF_LOSS_MISMATCHED]},
		{"stray", &c->lost[DF_LOSS_STRAY]},
		{"unlogged", &c->lost[DF_LOSS_UNLOGGED]},
		{"unshown", &c->lost[DF_LOSS_UNSHOWN]},
	};
	int64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (df_json_int(df_json_get(totals, counts[i].key), &value) == 0 && value > 0)
			df_aggregate_add(counts[i].sum, (uint64_t)value);
}

/* Names without pins; events come in the order of their time. */
static int note_pin(struct df_aggregate *a, struct df_report_container *c, const struct df_json *e)
{
	const char *event = get_text(e, "event"), *domain = get_text(e, "domain");

	if (domain && strcmp(event, "pin_failed") == 0)
		return df_texts_add(&c->unpinned, &a->pool, domain, DF_UNPINNED_MAX);
	if (domain && strcmp(event, "pin_recovered") == 0)
		df_texts_remove(&c->unpinned, domain);
	return 0;
}

static int read_life(struct df_aggregate *a, struct df_report_container *c, const struct df_json *e,
		     uint64_t count)
{
	const char *event = get_text(e, "event"), *message = get_text(e, "message");
	struct df_report_note note = {.event = event, .count = count};
	char text[TEXT_MAX];

	if (strcmp(event, "stop") == 0) {
		/* versions without totals had the lost events alone, in the event itself */
		read_totals(c, df_json_get(e, "totals") ?: e);
		return 0;
	}
	if (strcmp(event, "suppressed") == 0) {
		/* a line of a rotated log may be read twice, so the sum is an estimate */
		c->has_gaps = true;
		if (df_json_get(e, "count"))
			df_aggregate_add(&c->n_suppressed, count);
		return 0;
	}
	if (strcmp(event, "start") == 0 || strcmp(event, "addresses") == 0)
		return 0;
	if (strcmp(event, "connect_probe") == 0) {
		df_aggregate_add(&c->n_probes, count);
		return 0;
	}
	if (strcmp(event, "finding") == 0) { /* of other events the keys mean nothing */
		note.what = get_text(e, "finding");
		note.text = get_text(e, "seen");
		note.remedy = get_text(e, "remedy");
	} else if (message) {
		const char *domain = get_text(e, "domain"), *ip = get_text(e, "ip");

		(void)snprintf(text, sizeof(text), "%s%s%s%s%s", domain ? domain : "",
			       domain && ip ? " " : "", ip ? ip : "", domain || ip ? ": " : "",
			       message);
		note.text = text;
	}
	if (note_pin(a, c, e) == -ENOMEM)
		return -ENOMEM;
	return note.what || note.text ? df_aggregate_note(a, c, &note) : 0;
}

/* --- verdicts */

static enum df_row_verdict verdict_of(const struct df_json *e, const char *event)
{
	if (strcmp(event, "shadow") == 0)
		return df_json_is_true(df_json_get(e, "would_block")) ? DF_ROW_WOULD_BLOCK
								      : DF_ROW_ALLOWED;
	if (strcmp(event, "unobserved") == 0)
		return DF_ROW_UNOBSERVED;
	if (!df_json_get(e, "blockedAt"))
		return DF_ROW_ALLOWED;
	/* docs/events.schema.json: such an event has the key if and only if "blocked" is false */
	return df_json_get(e, "would_block") ? DF_ROW_WOULD_BLOCK : DF_ROW_BLOCKED;
}

/*
 * Without the blank at its end; NULL: none.  It is cut in the document itself, which is ours
 * and freed right after.
 */
static const char *get_cmd(const struct df_json *object)
{
	char *cmd = (char *)get_text(object, "cmd");
	size_t len = cmd ? strlen(cmd) : 0;

	if (len > 0 && cmd[len - 1] == ' ')
		cmd[--len] = '\0';
	return len > 0 ? cmd : NULL;
}

/* The known part of the ancestry; *ret_is_whole: it is all, with whole command lines. */
static size_t get_ancestry(const struct df_json *e, const char *cmd,
			   const char *ret[static DF_ROW_ANCESTORS_MAX], bool *ret_is_whole)
{
	const struct df_json *list = df_json_get(e, "ancestry");
	size_t n = 0;

	*ret_is_whole = cmd && strlen(cmd) < CMD_MAX && !df_json_get(e, "attribution") &&
			df_json_is_array(list) && df_json_len(list) < DF_ROW_ANCESTORS_MAX;
	for (size_t i = 0; i < df_json_len(list) && n < DF_ROW_ANCESTORS_MAX; i++) {
		const char *text = get_cmd(df_json_at(list, i));

		if (!text) /* a kernel thread, or gone meanwhile */
			text = get_text(df_json_at(list, i), "comm");
		if (!text)
			continue;
		*ret_is_whole &= strlen(text) < ANCESTOR_CMD_MAX;
		ret[n++] = text;
	}
	return n;
}

static enum df_class classify(const char *domain, const char *cmd, const char *const *ancestry,
			      size_t n, bool is_whole)
{
	if (cmd && df_class_stands_in(domain, cmd))
		return DF_CLASS_DIRECT;
	for (size_t i = 0; i < n; i++)
		if (df_class_stands_in(domain, ancestry[i]))
			return DF_CLASS_DIRECT;
	return is_whole ? DF_CLASS_HIDDEN : DF_CLASS_UNKNOWN;
}

/* Of an event without "blockedAt". */
static const char *place_of(const struct df_json *e, const char *event)
{
	const char *of = get_text(e, "of");

	if (df_json_get(e, "proxy"))
		return "proxy";
	if (strcmp(of ? of : event, "tls_connection") == 0)
		return "tls";
	if (strcmp(of ? of : event, "http_request") == 0)
		return "http";
	return get_text(e, "ip") ? "connect" : "dns";
}

/* 1: a row to be counted; 0: the event is no verdict; -EBADMSG. */
static int read_row(const struct df_json *e, const char *event, struct df_row *ret)
{
	static const char *const plain[] = {"query",         "dns_blocked",    "summary",
					    "unobserved",    "shadow",         "shared_address",
					    "proxy_request", "tls_connection", "http_request"};
	const char *at = get_text(e, "blockedAt");
	int64_t port = 0;

	bool is_plain = false;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		is_plain |= strcmp(event, plain[i]) == 0;
	if (!at && !is_plain)
		return 0;
	*ret = (struct df_row){
		.verdict = verdict_of(e, event),
		.domain = get_text(e, "domain"),
		.ip = get_text(e, "ip"),
		.rule = get_text(e, "rule"),
		.rule_owner = get_text(e, "rule_owner"),
		.owner = get_text(e, "owner"),
		.reason = get_text(e, "reason"),
		.hint = get_text(e, "hint"),
		.socket = get_text(e, "socket"),
	};
	/* the domain there is of another rule, and was not asked for */
	if (strcmp(event, "shared_address") == 0)
		ret->domain = NULL;
	ret->at = at ? at : place_of(e, event);
	ret->kind = strcmp(event, "shadow") == 0 ? DF_ROW_SHADOW
		    : ret->domain                ? DF_ROW_NAME
						 : DF_ROW_CONNECTION;
	/* a raw socket is refused before it has an address */
	if (!ret->domain && !ret->ip && strcmp(event, "socket_blocked") != 0)
		return -EBADMSG;
	if ((ret->ip || df_json_get(e, "port")) &&
	    (df_json_int(df_json_get(e, "port"), &port) < 0 || port < 0 || port > UINT16_MAX))
		return -EBADMSG;
	ret->port = (uint16_t)port;
	return 1;
}

static int count_row(struct df_aggregate *a, struct df_report_container *c, const struct df_json *e,
		     struct df_row *probe, uint64_t count)
{
	const char *ancestry[DF_ROW_ANCESTORS_MAX], *script = NULL;
	char copy[CMD_MAX * 4 + 1];
	size_t n, len;
	struct df_row *row;
	bool is_whole;
	int r;

	probe->cmd = get_cmd(e);
	n = get_ancestry(e, probe->cmd, ancestry, &is_whole);
	/* the script of the nearest command line that has one */
	len = probe->cmd ? df_class_script(probe->cmd, &script) : 0;
	for (size_t i = 0; len == 0 && i < n; i++)
		len = df_class_script(ancestry[i], &script);
	(void)snprintf(copy, sizeof(copy), "%.*s", (int)len, len ? script : "");
	probe->script = len ? copy : NULL;
	if (!probe->owner) /* events of versions without rule_owner */
		probe->owner = get_text(df_json_get(e, "annotations"), "owner");
	if (probe->domain)
		probe->class = classify(probe->domain, probe->cmd, ancestry, n, is_whole);
	(void)snprintf(probe->first, sizeof(probe->first), "%s", get_text(e, "time"));
	memcpy(probe->last, probe->first, sizeof(probe->last));
	r = df_aggregate_count(a, c, probe, count, &row);
	if (r == 0 && row->ancestry.n == 0)
		for (size_t i = 0; i < n && r == 0; i++)
			r = df_texts_append(&row->ancestry, &a->pool, ancestry[i],
					    DF_ROW_ANCESTORS_MAX);
	return r ?: add_texts(a, &row->answers, df_json_get(e, "answers"), DF_ROW_ANSWERS_MAX)
		?: add_texts(a, &row->aliases, df_json_get(e, "cname_chain"), DF_ROW_ALIASES_MAX);
}

static int take_event(struct df_aggregate *a, const struct df_json *e, const char *host)
{
	const char *event = get_text(e, "event"), *time = get_text(e, "time");
	const char *id = get_text(df_json_get(e, "container"), "id");
	const struct df_json *count_json = df_json_get(e, "count");
	struct df_report_container *c;
	struct df_row probe;
	int64_t schema, count = 1;
	int r, kind;

	if (df_json_int(df_json_get(e, "schema"), &schema) < 0 || schema != SCHEMA || !event ||
	    !id || !*id || !time || !df_time_is_plain(time) ||
	    (count_json && (df_json_int(count_json, &count) < 0 || count < 1)))
		return -EBADMSG;
	if (strcmp(event, "finding") == 0 && (!get_text(e, "finding") || !get_text(e, "seen")))
		return -EBADMSG;
	kind = read_row(e, event, &probe);
	if (kind < 0)
		return kind;
	/* the start has the names of the container, however old it is */
	if (strcmp(time, a->since) < 0 && strcmp(event, "start") != 0)
		return 0;
	r = df_aggregate_container(a, id, &c);
	if (r == 0)
		r = note_container(a, c, e, host);
	/* a name with a suffix of the search list, which a client tried on its way to another */
	if (r == 0 && df_json_is_true(df_json_get(e, "search"))) {
		if (strcmp(event, "shadow") != 0)
			df_aggregate_add(&c->n_search, (uint64_t)count);
		return 0;
	}
	if (r == 0)
		r = kind ? count_row(a, c, e, &probe, (uint64_t)count)
			 : read_life(a, c, e, (uint64_t)count);
	return r;
}

int df_event_read(struct df_aggregate *a, const char *line, size_t len, const char *host)
{
	char error[DF_JSON_ERROR_MAX] = "";
	struct df_json *e = NULL;
	int r = df_json_parse(line, len, DF_LINE_MAX, &e, error);

	if (r == 0)
		r = take_event(a, e, host);
	else if (r != -ENOMEM)
		r = -EBADMSG;
	df_json_free(e);
	if (r == -EBADMSG)
		df_event_read_damaged(a);
	if (r != -ENOSPC)
		return r;
	df_aggregate_add(&a->n_left_out, 1);
	return 0;
}

void df_event_read_damaged(struct df_aggregate *a)
{
	df_aggregate_add(&a->n_damaged, 1);
}
