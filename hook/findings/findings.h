/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings: parts of a container's set-up that lead around its fence, as they are at
 * createRuntime: the mounts are done, the payload does not run yet.
 *
 * Whatever is given to a container later, or joins it later, is not seen.  A thing that cannot be
 * looked at is no finding, except where the runtime must have been able to: then it is one.
 */
#ifndef DF_FINDINGS_H
#define DF_FINDINGS_H

#include "hook/container.h"
#include "hook/oci/config.h"
#include "hook/oci/state.h"
#include "lib/policy/finding.h"

/* Begins as { 0 }. */
struct df_findings {
	char seen[DF_FINDINGS]
		 [DF_META_SEEN_MAX]; /* by enum df_finding, printable; "": no finding */
};

/* Adds to what was seen of a finding; escapes, cuts, and says nothing twice. */
void df_findings_add(struct df_findings *f, enum df_finding finding, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * All findings, those of the runtime's annotations and of a restore among them.  is_docker:
 * 127.0.0.11 is the engine's resolver.
 */
void df_findings_collect(const struct df_state *state, const struct df_config *config,
			 const struct df_container *container, bool is_docker,
			 struct df_findings *f);

#endif
