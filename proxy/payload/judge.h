/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * judge: what a connection's payload asks for, and whether it may.  No I/O; looks at what
 * was learned, and changes nothing.
 *
 * A connection that is undecided, since a blocked and an unlisted name share its address,
 * must show a name that no rule is against and that an answer gave this address.  What
 * shows none is refused.  Domain fronting passes: what the server makes of the connection
 * is between the two ends.
 *
 * Any other connection is looked at where it begins like a request to an HTTP proxy: the
 * target is judged as a name, or as an address that is not ours to reach.  A Host that
 * names another than the target is judged as well, and the stricter verdict counts.  And at ports
 * 80 and 443, if nobody allows the address by a rule: a name that a rule blocks ends it, one that
 * nobody asked for there is told.  The payload is held for that if no answer named the address;
 * else it has left.
 */
#ifndef DF_JUDGE_H
#define DF_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/event/event.h"
#include "lib/policy/ports.h"
#include "proxy/learn/learn.h"
#include "proxy/payload/payload.h"
#include "proxy/tables.h"

struct df_judge {
	const struct df_tables *tables;
	struct df_learn *learn;
	const struct df_ports *ports; /* classes of df_learned.bits */
};

struct df_judgement {
	enum df_verdict verdict; /* ALLOW, PROXY, BLOCK; NONE: more octets could tell */
	enum df_event_at at;
	bool is_seen; /* worth an event: a refusal, a request to a proxy, a name not asked for */
	struct df_decision decision;
	struct df_payload_target target;
	size_t next; /* where in the data another request stands; 0: no more */
};

/* Why a name that was seen there is refused if a rule is against it. */
enum df_reason df_judge_reason(enum df_event_at at);

/*
 * One request of p, that at offset.  is_last: no more octets will be waited for.  A
 * refusal that is not enforced has the verdict of what passes.
 */
void df_judge_payload(const struct df_judge *j, const struct df_payload *p, size_t offset,
		      bool is_last, uint64_t now_ns, struct df_judgement *ret);

#endif
