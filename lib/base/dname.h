/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dname: domain names as uncompressed, lower-case wire labels.
 * RFC 1035 sections 2.3.4 and 3.1, RFC 4343 (case).  No I/O, no allocation.
 *
 * Names are compared as labels, never as text: a label may hold any octet.
 * Text is made for logs only, escaped as RFC 1035 section 5.1 (\. \\ \DDD).
 *
 * Refused: labels over 63 octets, names over 255 octets on the wire, pointers
 * that do not point strictly backwards or that point into the 12 octets of the
 * message header, label types other than 00 and 11.
 */
#ifndef DF_DNAME_H
#define DF_DNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DF_DNAME_MAX 255        /* octets on the wire with the root label, RFC 1035 2.3.4 */
#define DF_DNAME_LABELS_MAX 127 /* without the root label */
#define DF_DNAME_TEXT_MAX 1010  /* 4 characters an octet, a dot, a NUL */

struct df_dname {
	uint8_t len;      /* octets used in wire, root label included; 1 is the root; 0 is unset */
	uint8_t n_labels; /* without the root label */
	uint8_t wire[DF_DNAME_MAX];
};

/* Why df_dname_from_text refused a text. */
struct df_dname_error {
	size_t offset;    /* octets from the start of the text */
	const char *what; /* static: "empty label", "label is longer than 63 octets", … */
	const char *hint; /* static: the right form, or NULL */
};

/*
 * Reads a name as a policy or resolv.conf writes it: ASCII letters, digits, '-'
 * and '_', labels parted by dots, one trailing dot allowed.  No escapes.  "."
 * alone is the root.  text need not be NUL-terminated.
 * 0, or -EINVAL with *ret_error filled (NULL allowed); *ret is then untouched.
 */
int df_dname_from_text(const char *text, size_t len, struct df_dname *ret,
		       struct df_dname_error *ret_error);

/*
 * Reads the name at pkt[*pos] and follows compression pointers (RFC 1035
 * 4.1.4).  Moves *pos behind the name as it stands there.  Lower-cases.
 * -EBADMSG: malformed or truncated; *pos and *ret are then untouched.
 */
int df_dname_from_wire(const uint8_t *pkt, size_t len, size_t *pos, struct df_dname *ret);

/* Whether a name from another process has the form that the functions above give it. */
bool df_dname_is_sane(const struct df_dname *name);

/* Presentation form with a trailing dot, escaped, NUL-terminated.  Returns its length. */
size_t df_dname_to_text(const struct df_dname *name, char ret[static DF_DNAME_TEXT_MAX]);

bool df_dname_is_equal(const struct df_dname *a, const struct df_dname *b);

/* True where name is parent or lies below it, at a label boundary. */
bool df_dname_is_below_or_equal(const struct df_dname *name, const struct df_dname *parent);

/*
 * name without its suffix.  -ENOENT: it does not end in suffix, or equals it,
 * or suffix is the root.  The result is absolute (ends in the root label).
 */
int df_dname_strip_suffix(const struct df_dname *name, const struct df_dname *suffix,
			  struct df_dname *ret);

/*
 * Offsets into name->wire of each suffix, longest first: ret[0] is 0, the last
 * is the root label.  Returns their number, n_labels + 1.
 */
unsigned df_dname_suffixes(const struct df_dname *name,
			   uint8_t ret[static DF_DNAME_LABELS_MAX + 1]);

#endif
