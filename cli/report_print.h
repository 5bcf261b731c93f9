/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_print: a sorted aggregate as text for people, and as JSON for programs. */
#ifndef DF_REPORT_PRINT_H
#define DF_REPORT_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/aggregate.h"

void df_report_text(FILE *out, const struct df_aggregate *a, bool has_colour);
void df_report_json(FILE *out, const struct df_aggregate *a);

#endif
