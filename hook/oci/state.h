/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state: the state JSON on stdin (OCI runtime-spec, runtime.md "State").
 *
 * It is hostile: bounded, checked, copied out.  Its annotations are judged here: an
 * unknown deployfence key or value is refused, so that a typo never means "unfenced"
 * (deployfence-hook(8)).
 *
 * No side effects, no logging: errors come back as text for the person who
 * started the container.
 */
#ifndef DF_STATE_H
#define DF_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hook/oci/runtime_annotations.h"

#define DF_STATE_JSON_MAX (1u << 20) /* state JSON and config.json, each */
#define DF_STATE_ID_MAX 128          /* also a directory name below /run/deployfence */
#define DF_STATE_POLICY_MAX 128
#define DF_STATE_TEXT_MAX 1024 /* value of owner, containers and of each x-… annotation */
#define DF_STATE_X_MAX 32      /* x-… annotations */
#define DF_STATE_SEARCH_MAX 32
#define DF_STATE_ERROR_MAX 1024

enum df_state_status {
	DF_STATUS_CREATE,  /* "creating" or "created": the createRuntime stage */
	DF_STATUS_STOPPED, /* "stopped": poststop, or createRuntime of a restore; hook/stage */
};

enum df_state_ask {
	DF_ASK_NONE, /* no deployfence annotation at all */
	DF_ASK_ON,   /* the policy's mode; also if only other deployfence.… keys are there */
	DF_ASK_ENFORCE,
	DF_ASK_AUDIT,
	DF_ASK_OFF,
};

enum df_state_choice { DF_CHOICE_UNSET, DF_CHOICE_CLOSED, DF_CHOICE_OPEN };
enum df_state_log { DF_LOG_UNSET, DF_LOG_STDERR, DF_LOG_NONE };

struct df_state_pair {
	char *key; /* without "deployfence." */
	char *value;
};

/* All strings are owned.  Free with df_state_done. */
struct df_state {
	char *id;  /* [A-Za-z0-9_+.-]+, without a dot in front */
	pid_t pid; /* of the container's init, in the hook's pid namespace; with STOPPED, if any */
	char *bundle; /* absolute path; NULL with STOPPED if it was missing or unusable */
	enum df_state_status status;
	enum df_state_ask ask; /* NONE with STOPPED without pid, and nothing below is read then */
	bool is_ask_written;   /* the key "deployfence" itself is there */
	char *policy;          /* NULL: the host's default */
	char *shadow;          /* NULL: none */
	enum df_state_choice fail;
	enum df_state_log log;
	char *owner;      /* NULL: none */
	char *containers; /* names of a pod's containers, as written; NULL: all */
	char *name;       /* of this one as CRI tells; NULL: unknown, or nobody asks */
	bool is_left_out; /* by containers: not fenced */
	size_t n_x;
	struct df_state_pair x[DF_STATE_X_MAX]; /* deployfence.x-…, in order of appearance */
	struct df_runtime_annotations runtime;
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
		   char ret_error[static DF_STATE_ERROR_MAX]);
void df_state_done(struct df_state *s);

#endif
