/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as SARIF 2.1.0 (OASIS), for tools that show results of analyses beside code.
 *
 * Results are: refusals, or would-be refusals, also of a shadow policy; unobserved connections;
 * hidden dependencies; findings and events; with a baseline, new dependencies.  The location of a
 * result is its script if it is known, else the rule's place in its policy.
 */
#include <ctype.h>
#include <string.h>

#include "cli/report/internal.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"

#define FINGERPRINT "deployfence/v1"
#define MESSAGE_MAX 4096

enum kind {
	KIND_BLOCKED_NAME,
	KIND_BLOCKED_CONNECTION,
	KIND_WOULD_BLOCK,
	KIND_UNOBSERVED,
	KIND_SHADOW,
	KIND_HIDDEN,
	KIND_NEW,
	KIND_FINDING,
	KINDS,
};

static const struct {
	const char *id, *name, *level, *text;
} kinds[KINDS] = {
	[KIND_BLOCKED_NAME] = {"blocked-name", "BlockedName", "error",
			       "A name was asked for that the policy blocks, and was refused."},
	[KIND_BLOCKED_CONNECTION] = {"blocked-connection", "BlockedConnection", "error",
				     "A connection, a socket or a packet was refused."},
	[KIND_WOULD_BLOCK] = {"would-block", "WouldBlock", "warning",
			      "The policy is against it; in audit mode it was not refused."},
	[KIND_UNOBSERVED] = {"unobserved", "Unobserved", "warning",
			     "It passed without being judged."},
	[KIND_SHADOW] = {"shadow-would-block", "ShadowWouldBlock", "note",
			 "The shadow policy, which is not enforced, is against it."},
	[KIND_HIDDEN] = {"hidden-dependency", "HiddenDependency", "note",
			 "The name stands in no command line: a tool reached for it by itself."},
	[KIND_NEW] = {"new-dependency", "NewDependency", "warning",
		      "The baseline has no such name or address."},
	[KIND_FINDING] = {"finding", "Finding", "warning",
			  "Something about the container or its fence needs a look."},
};

/* KINDS: no result. */
static enum kind kind_of(const struct df_row *row)
{
	if (row->kind == DF_ROW_SHADOW)
		return row->verdict == DF_ROW_WOULD_BLOCK ? KIND_SHADOW : KINDS;
	switch (row->verdict) {
	case DF_ROW_BLOCKED:
		return row->domain ? KIND_BLOCKED_NAME : KIND_BLOCKED_CONNECTION;
	case DF_ROW_WOULD_BLOCK:
		return KIND_WOULD_BLOCK;
	case DF_ROW_UNOBSERVED:
		return KIND_UNOBSERVED;
	case DF_ROW_ALLOWED:
	case DF_ROW_VERDICTS:
		break;
	}
	if (row->is_new)
		return KIND_NEW;
	return row->kind == DF_ROW_NAME && row->class == DF_CLASS_HIDDEN ? KIND_HIDDEN : KINDS;
}

/*
 * In a message [x](y) is a link and {0} a placeholder (SARIF 2.1.0, 3.11.5 and 3.11.6); a command
 * line must become neither.
 */
static void put_message(struct df_json_out *j, const char *key, const char *text)
{
	struct df_text_reader r = df_text_begin(text, strlen(text), DF_TEXT_ALL);
	char escaped[MESSAGE_MAX];
	const char *piece;
	size_t pos = 0, len;

	while ((piece = df_text_next(&r, &len)) && pos + 2 * len < sizeof(escaped)) {
		for (size_t i = 0; i < len; i++) {
			if (strchr("[]\\", piece[i]))
				escaped[pos++] = '\\';
			else if (strchr("{}", piece[i]))
				escaped[pos++] = piece[i];
			escaped[pos++] = piece[i];
		}
	}
	escaped[pos] = '\0';
	df_json_out_object(j, key, DF_MEMBER("text", escaped));
}

/* RFC 3986: a path as a reference; an absolute one has the file scheme. */
static void put_uri(struct df_json_out *j, const char *path, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	char uri[MESSAGE_MAX];
	size_t pos = 0;

	if (len > 2 && memcmp(path, "./", 2) == 0) {
		path += 2;
		len -= 2;
	}
	if (len > 0 && path[0] == '/')
		df_append(uri, sizeof(uri), &pos, "file://");
	for (size_t i = 0; i < len && pos + 4 < sizeof(uri); i++) {
		unsigned char c = (unsigned char)path[i];

		if (c < 0x80 && (isalnum(c) || strchr("-._~/", c))) {
			uri[pos++] = (char)c;
		} else {
			uri[pos++] = '%';
			uri[pos++] = hex[c >> 4];
			uri[pos++] = hex[c & 15];
		}
	}
	uri[pos] = '\0';
	df_json_out_string(j, "uri", uri);
}

static void put_physical(struct df_json_out *j, const char *path, size_t len, uint64_t line)
{
	df_json_out_open(j, "physicalLocation", '{');
	df_json_out_open(j, "artifactLocation", '{');
	put_uri(j, path, len);
	df_json_out_close(j, '}');
	if (line > 0)
		df_json_out_object(j, "region", DF_MEMBER("startLine", line));
	df_json_out_close(j, '}');
}

/* "default.policy" and 3 of "default.policy:3 block github.com"; 0: the rule has no place. */
static size_t rule_place(const char *rule, uint64_t *ret_line)
{
	const char *colon = rule ? strchr(rule, ':') : NULL;
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
	char number[16];

	if (digits == 0 || digits >= sizeof(number) || colon == rule)
		return 0;
	(void)snprintf(number, sizeof(number), "%.*s", (int)digits, colon + 1);
	if (df_parse_u64(number, INT32_MAX, ret_line) < 0 || *ret_line == 0)
		return 0;
	return (size_t)(colon - rule);
}

/* row NULL: a finding or an event. */
static void put_locations(struct df_json_out *j, const struct df_report_container *c,
			  const struct df_row *row)
{
	uint64_t line = 0;
	size_t place = row ? rule_place(row->rule, &line) : 0;

	df_json_out_open(j, "locations", '[');
	df_json_out_open(j, NULL, '{');
	if (row && row->script)
		put_physical(j, row->script, strlen(row->script), 0);
	else if (place)
		put_physical(j, row->rule, place, line);
	df_json_out_open(j, "logicalLocations", '[');
	df_json_out_object(j, NULL, DF_MEMBER("name", c->name ? c->name : c->id),
			   DF_MEMBER("kind", "container"));
	if (row && row->cmd)
		df_json_out_object(j, NULL, DF_MEMBER("name", row->cmd),
				   DF_MEMBER("kind", "process"));
	df_json_out_close(j, ']');
	df_json_out_close(j, '}');
	df_json_out_close(j, ']');
	if (!row || !row->script || !place)
		return;
	df_json_out_open(j, "relatedLocations", '[');
	df_json_out_open(j, NULL, '{');
	put_physical(j, row->rule, place, line);
	put_message(j, "message", row->rule);
	df_json_out_close(j, '}');
	df_json_out_close(j, ']');
}

/* Lets a tool recognize the results of two runs; no security depends on it. */
static void put_fingerprint(struct df_json_out *j, const char *const parts[static 4])
{
	uint64_t h = DF_HASH_START;
	char text[20];

	for (size_t i = 0; i < 4; i++)
		h = df_hash_bytes(df_hash_text(h, parts[i]), "\xff", 1);
	(void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)h);
	df_json_out_object(j, "partialFingerprints", DF_MEMBER(FINGERPRINT, text));
}

static void begin_result(struct df_json_out *j, enum kind kind, const char *text)
{
	df_json_out_open(j, NULL, '{');
	df_json_out_members(j, DF_MEMBER("ruleId", kinds[kind].id), DF_MEMBER("ruleIndex", kind),
			    DF_MEMBER("level", kinds[kind].level));
	put_message(j, "message", text);
}

/* "curl http://github.com: github.com blocked by default.policy:3 block github.com (hint)" */
static void describe(const struct df_row *row, char text[static MESSAGE_MAX])
{
	const char *why = row->rule ? row->rule : row->reason;
	char target[DF_ROW_TARGET_MAX];
	size_t pos = 0;

	df_row_target(row, target, sizeof(target));
	*text = '\0';
	if (row->cmd)
		df_append(text, MESSAGE_MAX, &pos, "%.2000s: ", row->cmd);
	if (*target)
		df_append(text, MESSAGE_MAX, &pos, "%s ", target);
	if (row->kind == DF_ROW_SHADOW)
		df_append(text, MESSAGE_MAX, &pos, "%s by the shadow policy",
			  df_row_verdict_name(row->verdict));
	else
		df_append(text, MESSAGE_MAX, &pos, "%s", df_row_verdict_name(row->verdict));
	if (why)
		df_append(text, MESSAGE_MAX, &pos, ", %.500s", why);
	if (row->hint)
		df_append(text, MESSAGE_MAX, &pos, " (%.500s)", row->hint);
}

static void put_row(struct df_writer *w, const struct df_row *row)
{
	const enum kind kind = kind_of(row);
	const char *fingerprint[] = {kinds[kind < KINDS ? kind : 0].id,
				     row->domain ? row->domain : row->ip, row->script, row->rule};
	struct df_json_out *j = &w->json;
	char text[MESSAGE_MAX];

	if (kind == KINDS)
		return;
	describe(row, text);
	begin_result(j, kind, text);
	if (w->report->baseline)
		df_json_out_string(j, "baselineState", row->is_new ? "new" : "unchanged");
	df_json_out_uint(j, "occurrenceCount",
			 row->count < INT32_MAX ? row->count : (uint64_t)INT32_MAX);
	put_locations(j, w->container, row);
	put_fingerprint(j, fingerprint);
	df_json_out_open(j, "properties", '{');
	df_json_out_members(j, DF_MEMBER("domain", row->domain), DF_MEMBER("ip", row->ip));
	if (row->ip || row->port)
		df_json_out_uint(j, "port", row->port);
	df_json_out_members(j, DF_MEMBER("at", row->at),
			    DF_MEMBER("class", row->domain ? df_class_name(row->class) : NULL),
			    DF_MEMBER("rule", row->rule), DF_MEMBER("rule_owner", row->rule_owner),
			    DF_MEMBER("owner", row->owner),
			    DF_MEMBER("container", w->container->id));
	df_json_out_close(j, '}');
	df_json_out_close(j, '}');
}

static void put_note(struct df_writer *w, const struct df_report_note *n)
{
	const char *fingerprint[] = {kinds[KIND_FINDING].id, n->event, n->what, n->text};
	char text[MESSAGE_MAX];
	size_t pos = 0;

	df_append(text, sizeof(text), &pos, "%s", n->what ? n->what : n->event);
	if (n->text)
		df_append(text, sizeof(text), &pos, ": %.2000s", n->text);
	if (n->remedy)
		df_append(text, sizeof(text), &pos, "; %.1000s", n->remedy);
	begin_result(&w->json, KIND_FINDING, text);
	put_locations(&w->json, w->container, NULL);
	put_fingerprint(&w->json, fingerprint);
	df_json_out_close(&w->json, '}');
}

static void begin(struct df_writer *w)
{
	struct df_json_out *j = &w->json;

	df_json_out_open(j, NULL, '{');
	df_json_out_string(j, "version", "2.1.0");
	df_json_out_string(j, "$schema",
			   "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
			   "sarif-schema-2.1.0.json");
	df_json_out_open(j, "runs", '[');
	df_json_out_open(j, NULL, '{');
	df_json_out_open(j, "tool", '{');
	df_json_out_open(j, "driver", '{');
	df_json_out_members(j, DF_MEMBER("name", "deployfence"),
			    DF_MEMBER("version", PACKAGE_VERSION));
	df_json_out_open(j, "rules", '[');
	for (int i = 0; i < KINDS; i++) {
		df_json_out_open(j, NULL, '{');
		df_json_out_members(j, DF_MEMBER("id", kinds[i].id),
				    DF_MEMBER("name", kinds[i].name));
		put_message(j, "shortDescription", kinds[i].text);
		df_json_out_object(j, "defaultConfiguration", DF_MEMBER("level", kinds[i].level));
		df_json_out_close(j, '}');
	}
	df_json_out_close(j, ']');
	df_json_out_close(j, '}');
	df_json_out_close(j, '}');
	df_json_out_open(j, "results", '[');
}

static void end(struct df_writer *w)
{
	static const char open[] = "]}]}"; /* results, run, runs, document */

	for (const char *kind = open; *kind; kind++)
		df_json_out_close(&w->json, *kind);
}

const struct df_form df_form_sarif = {
	.sections[DF_VIEW_REPORT] = DF_SECTION_LIST(DF_SECTION_CONTAINERS),
	.container_sections = DF_SECTION_LIST(DF_SECTION_NAMES_AND_CONNECTIONS, DF_SECTION_SHADOW,
					      DF_SECTION_FINDINGS_AND_EVENTS),
	.begin = begin,
	.end = end,
	.row = put_row,
	.note = put_note,
};
