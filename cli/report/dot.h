/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dot: what two graphs share in the language of Graphviz (dot(1)).  Every text goes
 * through df_dot_text: between quotes, and without what DOT or a terminal would obey.
 */
#ifndef DF_DOT_H
#define DF_DOT_H

#include <stdio.h>

#include "cli/report/aggregate.h"

void df_dot_begin(FILE *out, const char *title);
void df_dot_end(FILE *out);

/* A quoted string, cut to what fits into a node; suffix NULL: none. */
void df_dot_text(FILE *out, const char *text, const char *suffix);

const char *df_dot_colour(enum df_row_verdict verdict);

#endif
