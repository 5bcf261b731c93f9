/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report: the messages of the worker to the monitor, which reads /proc and writes the events.
 *
 * Nothing here waits: a message that finds no room is lost and counted.
 */
#ifndef DF_REPORT_H
#define DF_REPORT_H

#include "proxy/worker/state.h"

struct df_payload_judgement;

/*
 * First sight or repetition of a query with the verdict q->decision on name: sets q->seq and
 * q->is_first.  answer: that the verdict is about, or NULL.
 */
void df_report_query(struct df_worker *w, struct df_query *q, const struct df_dname *name,
		     const struct df_dns_answer *answer);

/* The monitor does not know the asker of seq yet: the answer should wait a little. */
bool df_report_is_pending(const struct df_worker *w, uint32_t seq);

/* The outcome of one that was let through; answer NULL: there was none. */
void df_report_outcome(struct df_worker *w, const struct df_query *q,
		       const struct df_dns_answer *answer, uint8_t rcode);

/* A payload's request.  The number of the report if its process is looked up now, else 0. */
uint32_t df_report_payload(struct df_worker *w, const struct df_payload *p,
			   const struct df_payload_judgement *g);

/* Counts of repetitions that are due (all: at the end). */
void df_report_summaries(struct df_worker *w, bool all);
/* Events that wait for the next name of a search list.  Milliseconds to the next, or -1. */
int df_report_release(struct df_worker *w, bool all);

/*
 * Something was not learned; why: as in struct df_msg_note.  Each once; for want of room every ten
 * seconds at most.
 */
void df_report_note(struct df_worker *w, enum df_note what, uint32_t why,
		    const uint8_t addr[static 16], const struct df_dname *name);
/* A name has at least n addresses, which is more than are refused; told once. */
void df_report_many(struct df_worker *w, const struct df_dname *name, uint32_t n);
/*
 * A message that cannot be read: the query, or an answer to it.  The first at once, then one
 * every ten seconds, with how many it stands for.
 */
void df_report_unread(struct df_worker *w, const struct df_query *q, bool is_query);
/* As it is. */
void df_report_send_note(struct df_worker *w, const struct df_msg_note *m);

#endif
