/* SPDX-License-Identifier: GPL-2.0-or-later */
/* answer: from an answer to the table of learn, by the rules of teach. */
#ifndef DF_LEARN_ANSWER_H
#define DF_LEARN_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/dname.h"
#include "proxy/dns/wire.h"

struct df_worker;

/* The tables that may learn from an answer, and the sort of bits that they learn. */
struct df_learn_scope {
	uint8_t tables;  /* a set */
	bool is_refusal; /* of our own question for a refused name: it permits nothing */
	bool is_pinned;  /* that the policy has us ask */
};

/*
 * Called before the client gets the answer: the kernel's map has its addresses then.  Returns the
 * number of addresses that found no room.
 */
unsigned df_learn_answer(struct df_worker *w, const struct df_dname *qname,
			 const struct df_dns_answer *answer, const struct df_learn_scope *scope);

#endif
