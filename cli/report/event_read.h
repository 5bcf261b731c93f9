/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_read: lines of events (deployfence.events(5)) into an aggregate.
 *
 * Lines may come in any order and from many containers.  A line that is no JSON, has another
 * schema, or lacks a key that its event needs is counted and left out.  An event of an unknown
 * kind counts if it has the keys of a verdict: blockedAt, domain, ip.  No I/O.
 */
#ifndef DF_EVENT_READ_H
#define DF_EVENT_READ_H

#include <stddef.h>

#include "cli/report/aggregate.h"

/*
 * Takes one line of len octets.  host: of the file; NULL: unknown.  0, also where the
 * line is over a bound or too old; -EBADMSG: damaged, and counted; -ENOMEM.
 */
int df_event_read(struct df_aggregate *a, const char *line, size_t len, const char *host);

/* For lines that could not be read as a whole. */
void df_event_read_damaged(struct df_aggregate *a);

#endif
