/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * annotations: the annotations of a container, deployfence-hook(8), and what the host permits of
 * them, deployfence.conf(5).  The table of keys is lib/policy/annotation_keys.
 *
 * Every key that begins with "deployfence" in any case is ours, as the hooks.d file matches it.
 * Refused: keys that are not exactly one of ours, values that are not exactly one of the accepted
 * ones; a typing error must not mean "unfenced".  All other keys are skipped, except those of
 * runtimes that lead around a fence.
 *
 * Pure.  Functions that return a status return 0 or the hook's exit status with error filled.
 */
#ifndef DF_ANNOTATIONS_H
#define DF_ANNOTATIONS_H

#include <stdbool.h>

#include "hook/oci/json.h"
#include "lib/policy/annotation_keys.h"
#include "lib/policy/conf.h"

#define DF_ANNOTATIONS_POLICY_MAX 128
#define DF_ANNOTATIONS_TEXT_MAX DF_OCI_TEXT_MAX /* of owner, containers and each x-… */
#define DF_ANNOTATIONS_X_MAX 32                 /* x-… annotations */
#define DF_ANNOTATIONS_RUNTIME_MAX 8            /* kept; one alone is a finding */

/* Beside NONE and UNSET, which mean that there is no such annotation, the words of the table. */
enum df_ask {
	DF_ASK_NONE, /* no deployfence annotation at all */
	DF_ASK_ON,   /* the policy's mode; also if only other deployfence.… keys are there */
	DF_ASK_ENFORCE,
	DF_ASK_AUDIT,
	DF_ASK_OFF,
};
enum df_ask_fail { DF_ASK_FAIL_UNSET, DF_ASK_FAIL_CLOSED, DF_ASK_FAIL_OPEN };
enum df_ask_log { DF_ASK_LOG_UNSET, DF_ASK_LOG_STDERR, DF_ASK_LOG_NONE };

struct df_annotations_pair {
	const char *key; /* of x: without "deployfence." */
	const char *value;
};

/*
 * Annotations by which a runtime writes files, moves the container or calls something as root,
 * outside of the fence and before it stands.  They come with the state and with config.json, and
 * from images too: podman before 4.6 copies an image's annotations.
 */
struct df_annotations_runtime {
	unsigned n;
	struct df_annotations_pair pairs[DF_ANNOTATIONS_RUNTIME_MAX]; /* not escaped */
};

/* Begins as { 0 }.  All strings belong to the JSON document that was read. */
struct df_annotations {
	unsigned present; /* set of enum df_annotation */
	enum df_ask ask;
	enum df_ask_fail fail;
	enum df_ask_log log;
	const char *policy;     /* NULL: the host's default */
	const char *shadow;     /* NULL: none */
	const char *owner;      /* NULL: none */
	const char *containers; /* names of a pod's containers, as written; NULL: all */
	const char *name; /* of this one, as CRI tells; NULL: unknown, or containers is NULL */
	bool is_left_out; /* by containers: not fenced */
	size_t n_x;
	struct df_annotations_pair x[DF_ANNOTATIONS_X_MAX]; /* in order of appearance */
	struct df_annotations_runtime runtime;
};

/*
 * annotations: an object whose values are strings, or NULL.  0 or 64; then *ret holds a part.
 */
int df_annotations_read(const struct df_json *annotations, struct df_annotations *ret,
			char ret_error[static DF_OCI_ERROR_MAX]);

/*
 * The name in the list containers that may have meant the name of a container that the list leaves
 * out: *ret_len octets in a->containers.  NULL: no name is close to it.
 */
const char *df_annotations_near_name(const struct df_annotations *a, size_t *ret_len);

/*
 * The demands of the host, as far as they can be judged without the policy: the keys it honours,
 * and with `annotations-may-weaken no` that none asks for less than the host: off < audit <
 * enforce, fail open < closed, log none < stderr, and a policy that is neither the default one nor
 * selectable.  0 or 78, whatever fail says: an annotation must not open what another one was
 * refused for.
 */
int df_annotations_check(const struct df_conf_host *conf, const struct df_annotations *a,
			 char ret_error[static DF_OCI_ERROR_MAX]);

/*
 * The same of audit alone.  host_enforces: without the annotation this container would be
 * enforced, or nobody can tell, since its policy has an error.
 */
int df_annotations_check_audit(const struct df_conf_host *conf, const struct df_annotations *a,
			       bool host_enforces, char ret_error[static DF_OCI_ERROR_MAX]);

/* Adds the runtime's annotations of one document.  annotations as above. */
void df_annotations_read_runtime(const struct df_json *annotations,
				 struct df_annotations_runtime *ret);

#endif
