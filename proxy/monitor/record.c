/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/record.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/addr.h"
#include "lib/base/log.h"
#include "lib/base/util.h"

#define TAG "deployfence"
#define JOURNAL_ENTRY_MAX 32768

static void open_file(struct df_record_file *f)
{
	struct stat st;

	f->fd = openat(DF_FD_RUN, f->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		       0600);
	f->size = f->fd >= 0 && fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* One old file is kept: NAME.1 */
static void rotate(struct df_record_file *f)
{
	char old[64];

	(void)snprintf(old, sizeof(old), "%s.1", f->name);
	(void)renameat(DF_FD_RUN, f->name, DF_FD_RUN, old);
	(void)close(f->fd);
	f->is_rotated = true;
	open_file(f);
}

static void write_line(struct df_record *r, struct df_record_file *f, char *line, size_t len)
{
	if (f->fd < 0 || len == 0) {
		r->n_lost++;
		return;
	}
	if (f->size + len + 1 > DF_RECORD_FILE_MAX)
		rotate(f);
	line[len] = '\n';
	if (df_write_all(f->fd, line, len + 1) == 0) {
		f->size += len + 1;
	} else {
		r->n_lost++; /* disk full: enforcement goes on */
		/* the half of a line would spoil the next one */
		(void)!ftruncate(f->fd, (off_t)f->size);
	}
	line[len] = '\0';
}

/* Where no journald runs, what was meant for it goes to syslog. */
static void log_line(struct df_record *r, const struct df_event_line *e, const char *text)
{
	const int level = e->is_blocked || e->is_warning ? DF_LOG_WARNING : DF_LOG_INFO;
	static char entry[JOURNAL_ENTRY_MAX];
	bool is_logged = false;
	int result = 0;

	if (r->meta->log_to_journal) {
		result = df_log_journal(entry, df_event_journal(e, &r->meta->job, level, text,
								entry, sizeof(entry)));
		is_logged = result != -ENOENT && result != -ECONNREFUSED;
	}
	if (r->meta->log_to_syslog || (r->meta->log_to_journal && !is_logged))
		result = df_log_syslog(TAG, level, text);
	if (result < 0)
		r->n_unlogged++;
}

void df_record_emit(struct df_record *r, const struct df_event_line *e, bool with_text)
{
	static char text[DF_EVENT_TEXT_MAX + 1], json[DF_EVENT_JSON_MAX + 1];
	size_t n = df_event_json(e, &r->meta->job, json, sizeof(json) - 1);

	write_line(r, &r->jsonl, json, n);
	if (!with_text)
		return;
	n = df_event_text(e, &r->meta->job, text, sizeof(text) - 1);
	log_line(r, e, text);
	write_line(r, &r->text, text, n);
	df_record_show(r, e, text); /* last: it may emit an event of its own */
}

void df_record_init(struct df_record *r, const struct df_meta *meta, const struct df_tables *tables)
{
	r->meta = meta;
	r->tables = tables;
	r->jsonl.name = "events.jsonl";
	r->text.name = "events.log";
	open_file(&r->jsonl);
	open_file(&r->text);
	df_record_show_init(r);
}

/* A flood must not rotate the first refusals out of the log. */
bool df_record_is_over_rate(struct df_record *r, enum df_record_sort sort)
{
	const uint64_t per_event_ns = 1000000000ull / DF_RECORD_RATE, now = df_now_ns();
	struct df_record_rate *b = &r->rates[sort];
	const uint64_t earned =
		b->earned_ns ? (now - b->earned_ns) / per_event_ns : DF_RECORD_BURST;
	char text[128];
	const struct df_event_line e = {.event = "suppressed", .message = text, .count = b->untold};

	if (earned > 0) {
		b->earned_ns = b->earned_ns ? b->earned_ns + earned * per_event_ns : now;
		b->tokens =
			b->tokens + earned < DF_RECORD_BURST ? b->tokens + earned : DF_RECORD_BURST;
	}
	if (b->tokens == 0) {
		r->n_suppressed++;
		b->untold++;
		return true;
	}
	b->tokens--;
	if (b->untold > 0 && now - b->told_ns >= DF_RECORD_TELL_NS) {
		(void)snprintf(text, sizeof(text), "%llu events over the rate were counted only",
			       (unsigned long long)b->untold);
		b->untold = 0;
		b->told_ns = now;
		df_record_emit(r, &e, true);
	}
	return false;
}

/* The rule that would permit an address which raw-ip refuses. */
static void append_remedy(const struct df_policy *p, uint8_t proto, const struct df_event_line *e,
			  char *text, size_t size)
{
	const bool is_ipv6 = !IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)e->addr);
	char addr[INET6_ADDRSTRLEN];
	size_t n = 0;

	df_addr_text(e->addr, addr);
	df_append(text, size, &n,
		  "no lookup of the container named this address; to permit it write: allow ");
	if (e->port == 0)
		df_append(text, size, &n, "%s", addr);
	else
		df_append(text, size, &n, is_ipv6 ? "[%s]:%u%s" : "%s:%u%s", addr, e->port,
			  proto == IPPROTO_UDP ? "/udp" : "");
	df_append(text, size, &n, " into %s.policy", df_policy_name(p));
}

void df_record_verdict(const struct df_record *r, const struct df_decision *d, uint8_t proto,
		       struct df_event_line *e, struct df_record_texts *texts)
{
	const struct df_policy *p = &r->tables->tables[d->table];
	/* a connect_probe is no refusal in the event, but has a rule that would refuse */
	const bool is_told = d->rule || d->is_refusal || e->is_refusal || e->is_shadow;

	e->is_allowlist = df_policy_default(p) == DF_POLICY_BLOCK;
	e->rule = e->rule_owner = e->hint = NULL;
	if (!is_told || df_verdict_rule(r->tables, d, texts->rule, sizeof(texts->rule)) == 0)
		return;
	e->rule = texts->rule;
	e->rule_owner = df_verdict_owner(r->tables, d);
	if (!e->is_refusal)
		return;
	e->hint = df_verdict_hint(r->tables, d);
	if (d->reason == DF_REASON_RAW && !d->rule && e->addr) {
		append_remedy(p, proto, e, texts->remedy, sizeof(texts->remedy));
		e->remedy = texts->remedy;
	}
}

void df_record_info(struct df_record *r, const char *event, const char *message)
{
	const struct df_event_line e = {.event = event, .message = message};

	df_record_emit(r, &e, true);
}

void df_record_warning(struct df_record *r, const char *event, const char *message)
{
	const struct df_event_line e = {.event = event, .message = message, .is_warning = true};

	df_record_emit(r, &e, true);
}

void df_record_from_token(const struct df_token *t, enum df_identity_state state,
			  struct df_identity *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->state = state;
	ret->pid = t->tgid;
	ret->tid = t->tid;
	ret->uid = t->uid;
	memcpy(ret->comm, t->comm, sizeof(ret->comm));
	ret->comm[DF_COMM_LEN - 1] = '\0';
}
