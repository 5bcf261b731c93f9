/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * annotation_keys: the one table of the annotations of deployfence-hook(8): their keys, the words
 * that they accept, and which word asks for less than the host.  The hook reads annotations by it,
 * `annotations` of deployfence.conf(5) lists keys of it.
 */
#ifndef DF_ANNOTATION_KEYS_H
#define DF_ANNOTATION_KEYS_H

#include <stddef.h>

#define DF_ANNOTATION_PREFIX "deployfence" /* of every key, in any case */

/* The index of a row; refusals list the keys in this order. */
enum df_annotation {
	DF_ANNOTATION_FENCE, /* "deployfence" itself */
	DF_ANNOTATION_POLICY,
	DF_ANNOTATION_SHADOW,
	DF_ANNOTATION_FAIL,
	DF_ANNOTATION_LOG,
	DF_ANNOTATION_CONTAINERS,
	DF_ANNOTATION_OWNER,
	DF_ANNOTATION_X, /* "deployfence.x-NAME", any number of them */
	DF_ANNOTATIONS,
};

struct df_annotation_key {
	const char *key;      /* whole; of X the part before NAME */
	const char *words[5]; /* all accepted values, up to NULL; none: a text */
	const char *demand;   /* what the host demands with annotations-may-weaken no; or NULL */
	unsigned weak;        /* the word, counted from 1, that asks for less than that; 0: none */
	unsigned slips;       /* so many wrong characters may make this key of another one */
};

extern const struct df_annotation_key df_annotation_keys[DF_ANNOTATIONS];

/* The row of a key of len octets, an enum df_annotation.  -ENOENT: none; X needs a NAME. */
int df_annotation_from_key(const char *key, size_t len);

#endif
