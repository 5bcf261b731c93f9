/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record_emit: what the files of record share. */
#ifndef DF_RECORD_EMIT_H
#define DF_RECORD_EMIT_H

#include "proxy/monitor/record.h"

#define DF_RECORD_RULE_MAX 512

/* Writes e as JSON, and as text where it belongs if with_text. */
void df_record_emit(struct df_record *r, const struct df_event_line *e, bool with_text);

/* On the container's stderr, once for each (command, name), or later: df_record_retry. */
void df_record_show(struct df_record *r, const struct df_event_line *e, const char *text);
/* At the start, while the container's init is there. */
void df_record_show_init(struct df_record *r);

/* A flood must not rotate the first refusals out of the log.  True: counted only. */
bool df_record_is_over_rate(struct df_record *r, enum df_record_sort sort);

/* The reason of an event: deployfence.events(5).  NULL: none. */
const char *df_record_reason(uint32_t reason);

/* Storage of what is said of a verdict. */
struct df_record_texts {
	char rule[DF_RECORD_RULE_MAX], remedy[DF_RECORD_RULE_MAX];
};

/* Sets what e says of a verdict: its rule, who answers for it, and what would permit it. */
void df_record_verdict(const struct df_record *r, const struct df_decision *d, uint8_t proto,
		       struct df_event_line *e, struct df_record_texts *texts);

#endif
