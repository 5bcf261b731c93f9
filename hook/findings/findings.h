/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings: what of a container's set-up lets it around its fence, as it is
 * at createRuntime: the mounts are done, the payload does not run yet.
 *
 * What a container may be given later, or what joins it later, is not seen.  Where a
 * thing cannot be looked at it is no finding, but where the runtime must have been able
 * to: then it is one.
 */
#ifndef DF_FINDINGS_H
#define DF_FINDINGS_H

#include "hook/container.h"
#include "hook/oci/config.h"
#include "lib/policy/finding.h"

/* Begins as { 0 }. */
struct df_findings {
	char seen[DF_FINDINGS]
		 [DF_META_SEEN_MAX]; /* by enum df_finding, printable; "": no finding */
};

/* Adds to what was seen of a finding; escapes, cuts, and says nothing twice. */
void df_findings_add(struct df_findings *f, enum df_finding finding, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* All of those below.  bundle: absolute path. */
void df_findings_collect(const char *bundle, const struct df_config *config,
			 const struct df_container *container, bool is_docker,
			 struct df_findings *f);

/* By config.json alone, and by two facts of the container: no I/O. */
void df_findings_of_config(const struct df_config *config, const struct df_container *container,
			   struct df_findings *f);

/* Files of the host that mounts and the root show. */
void df_findings_of_mounts(const char *bundle, const struct df_config *config,
			   const struct df_container *container, struct df_findings *f);

/* Descriptors that the payload gets from outside. */
void df_findings_of_fds(const struct df_config *config, pid_t init, struct df_findings *f);

/* Sockets that the init of a restored container has already. */
void df_findings_of_restored(pid_t init, struct df_findings *f);

/*
 * Neighbours in the network namespace, and resolvers that the container could be itself.
 * is_docker: 127.0.0.11 is the engine's.
 */
void df_findings_of_network(const struct df_config *config, const struct df_container *container,
			    bool is_docker, struct df_findings *f);

/* Processes of others that it sees. */
void df_findings_of_processes(const struct df_config *config, const struct df_container *container,
			      struct df_findings *f);

#endif
