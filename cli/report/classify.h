/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * classify: what command lines say about a name that a process asked for.  No I/O.
 *
 * Command lines are those of events (deployfence.events(5)): arguments parted by
 * blanks, so that one with a blank inside looks like two.
 */
#ifndef DF_CLASSIFY_H
#define DF_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

/* Of several askings the highest counts. */
enum df_class {
	DF_CLASS_UNKNOWN, /* not all command lines are known */
	DF_CLASS_HIDDEN,  /* the name stands in none of them: a tool calls home */
	DF_CLASS_DIRECT,  /* the name, or a parent of two labels or more, stands in one */
};

/* "unknown", "hidden", "direct". */
const char *df_class_name(enum df_class class);

/*
 * Whether the name or a parent of at least two labels stands in the command line as
 * a name of its own: between characters that no name has, in any case.  "github.com"
 * stands in "git clone https://github.com/x", not in "notgithub.com" or
 * "a.github.com".  domain with or without the dot at its end.
 */
bool df_class_stands_in(const char *domain, const char *cmd);

/* The last two labels, "github.com" of "api.github.com."; escapes of RFC 1035 are known. */
const char *df_class_parent(const char *domain);

/* Length without the dot at the end; that of the root is 1. */
size_t df_class_len(const char *domain);

/* domain is name or below it, at label boundaries, in any case; dots at the end do not count. */
bool df_class_covers(const char *name, const char *domain);

/*
 * The file that a shell or make runs: "./deploy.sh" of "bash -e ./deploy.sh prod".
 * Its length and *ret, which points into cmd; 0: there is none.
 */
size_t df_class_script(const char *cmd, const char **ret);

#endif
