/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/row.h"

#include <stdio.h>
#include <string.h>

static const char *const verdict_names[DF_VERDICTS] = {
	[DF_VERDICT_BLOCKED] = "blocked",
	[DF_VERDICT_WOULD_BLOCK] = "would-block",
	[DF_VERDICT_UNOBSERVED] = "unobserved",
	[DF_VERDICT_ALLOWED] = "allowed",
};

const char *df_verdict_name(enum df_verdict verdict)
{
	return verdict < DF_VERDICTS ? verdict_names[verdict] : "?";
}

enum df_verdict df_verdict_from_name(const char *name)
{
	enum df_verdict v = 0;

	while (v < DF_VERDICTS && strcmp(verdict_names[v], name) != 0)
		v++;
	return v;
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

/* Names before connections; by name, and for what is the same to the eye by the rest. */
int df_row_compare(const struct df_row *x, const struct df_row *y)
{
	int r = (int)x->kind - (int)y->kind;

	if (r == 0)
		r = (int)x->verdict - (int)y->verdict;
	if (r == 0)
		r = compare_text(x->domain, y->domain);
	if (r == 0)
		r = compare_text(x->ip, y->ip);
	if (r == 0)
		r = (int)x->port - (int)y->port;
	if (r == 0)
		r = compare_text(x->socket, y->socket);
	if (r == 0)
		r = compare_text(x->cmd, y->cmd);
	if (r == 0)
		r = compare_text(x->script, y->script);
	if (r == 0)
		r = compare_text(x->at, y->at);
	if (r == 0)
		r = compare_text(x->rule, y->rule);
	if (r == 0)
		r = compare_text(x->reason, y->reason);
	if (r == 0)
		r = compare_text(x->rule_owner, y->rule_owner);
	return r ? r : compare_text(x->owner, y->owner);
}

void df_row_target(const struct df_row *row, char *buf, size_t size)
{
	const int len = row->domain ? (int)df_class_len(row->domain) : 0;
	const char *name = row->domain ? row->domain : "", *blank = row->domain ? " " : "";

	if (row->ip)
		(void)snprintf(buf, size, strchr(row->ip, ':') ? "%.*s%s[%s]:%u" : "%.*s%s%s:%u",
			       len, name, blank, row->ip, row->port);
	else if (row->domain && row->port)
		(void)snprintf(buf, size, "%.*s:%u", len, name, row->port);
	else if (row->domain)
		(void)snprintf(buf, size, "%.*s", len, name);
	else
		(void)snprintf(buf, size, "%s", row->socket ? row->socket : "");
}
