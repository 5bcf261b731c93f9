/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state_case: states around the part that a case is about, and what becomes of
 * them.  Texts are parsed from copies of the exact size: ASan sees over-reads.
 */
#ifndef DF_STATE_CASE_H
#define DF_STATE_CASE_H

#include <stddef.h>

#include "hook/oci/state.h"

#define STATE(id, status, pid, bundle, annotations)                                                \
	"{\"ociVersion\":\"1.0.2-dev\",\"id\":" id ",\"status\":" status ",\"pid\":" pid           \
	",\"bundle\":" bundle ",\"annotations\":" annotations "}"
#define WITH_ID(id) STATE(id, "\"created\"", "4242", "\"/b\"", "{}")
#define WITH_STATUS(status) STATE("\"c1\"", status, "4242", "\"/b\"", "{}")
#define WITH_PID(pid) STATE("\"c1\"", "\"created\"", pid, "\"/b\"", "{}")
#define WITH_BUNDLE(bundle) STATE("\"c1\"", "\"created\"", "4242", bundle, "{}")
#define WITH(annotations) STATE("\"c1\"", "\"created\"", "4242", "\"/b\"", annotations)
#define STOPPED(annotations) STATE("\"c1\"", "\"stopped\"", "0", "\"/b\"", annotations)

#define TEN(s) s s s s s s s s s s
#define A128 TEN("aaaaaaaaaaaa") "aaaaaaaa"
#define A1024 A128 A128 A128 A128 A128 A128 A128 A128

struct df_case {
	const char *text;
	int status;
	const char *needle;
};

/*
 * Fails the test unless text ends in this status, needle is part of the message,
 * and ret is as state.h says: filled with 64, untouched with others.
 */
void df_case_refused(const char *text, size_t len, int status, const char *needle);
void df_case_check(const struct df_case *cases, size_t n);

/* Fails the test if it is refused.  Free with df_state_done. */
struct df_state df_case_accepted(const char *text);

#endif
