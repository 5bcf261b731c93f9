/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state: the state JSON on stdin (OCI runtime-spec, runtime.md "State").
 *
 * It is hostile: bounded, checked, copied out.  No side effects, no logging: errors come back as
 * text for the person who started the container.
 */
#ifndef DF_STATE_H
#define DF_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hook/annotations.h"
#include "hook/oci/json.h"

#define DF_STATE_ID_MAX 128 /* also a directory name below /run/deployfence */

enum df_state_status {
	DF_STATUS_CREATE,  /* "creating" or "created": the createRuntime stage */
	DF_STATUS_STOPPED, /* "stopped": poststop, or createRuntime of a restore; see main.c */
};

/* df_state_done. */
struct df_state {
	struct df_json *doc; /* to which all strings belong */
	const char *id;      /* [A-Za-z0-9_+.-]+, without a dot in front */
	pid_t pid; /* of the container's init, in the hook's pid namespace; with STOPPED, if any */
	const char *bundle; /* absolute path; NULL with STOPPED if it was missing or unusable */
	enum df_state_status status;
	struct df_annotations annotations; /* nothing is read with STOPPED without pid */
};

/*
 * 0, or the positive exit status that the hook should end with (sysexits.h): 64
 * annotation, 65 state or config.json, 71 out of memory.  Then error is filled
 * (no newline at its end, control characters of the input escaped) and *ret is
 * untouched, but with 64: then it is filled (and to be done with), so that the
 * reason can be shown where the container's init writes; and so with DF_STATUS_STOPPED and
 * a pid, as far as it was read: whether that process lives decides what becomes of it.
 *
 * With DF_STATUS_STOPPED and no pid only the id must be right: poststop cleans up whatever
 * the annotations are by now, and runtimes leave out what they no longer know.
 */
int df_state_parse(const char *text, size_t len, struct df_state *ret,
		   char ret_error[static DF_OCI_ERROR_MAX]);
void df_state_done(struct df_state *s);

#endif
