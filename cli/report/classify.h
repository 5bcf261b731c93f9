/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * classify: whether the name that a process asked for is in its command lines.  No I/O.
 *
 * Command lines are those of events (deployfence.events(5)): arguments separated by blanks, so
 * that an argument with a blank inside looks like two.
 */
#ifndef DF_CLASSIFY_H
#define DF_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

/* Of several requests for one name the highest class counts. */
enum df_class {
	DF_CLASS_UNKNOWN, /* not all command lines are known */
	DF_CLASS_HIDDEN,  /* no command line has the name: a tool asks by itself */
	DF_CLASS_DIRECT,  /* a command line has the name, or a parent of two labels or more */
};

/* "unknown", "hidden", "direct". */
const char *df_class_name(enum df_class class);

/*
 * Whether the command line has the name, or a parent of at least two labels, between characters
 * that no name has; in upper or lower case.  "github.com" is in "git clone https://github.com/x",
 * not in "notgithub.com" or "a.github.com".  domain with or without the dot at its end.
 */
bool df_class_stands_in(const char *domain, const char *cmd);

/* The last two labels, "github.com" of "api.github.com."; escapes as in RFC 1035 5.1. */
const char *df_class_parent(const char *domain);

/* Length without the dot at the end; that of the root is 1. */
size_t df_class_len(const char *domain);

/* Whether domain is name or below it, in upper or lower case; dots at the end do not count. */
bool df_class_covers(const char *name, const char *domain);

/*
 * The file that a shell or make runs: "./deploy.sh" of "bash -e ./deploy.sh prod".
 * Its length and *ret, which points into cmd; 0: there is none.
 */
size_t df_class_script(const char *cmd, const char **ret);

#endif
