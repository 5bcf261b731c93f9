/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/dot.h"

#include <string.h>

#include "cli/text.h"

#define LABEL_MAX 60 /* columns */

void df_dot_begin(FILE *out, const char *title)
{
	(void)fputs("digraph ", out);
	df_dot_text(out, title, NULL);
	(void)fputs(" {\n"
		    "\trankdir=LR;\n"
		    "\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
		    "\tedge [fontname=\"sans-serif\", fontsize=10];\n",
		    out);
}

void df_dot_end(FILE *out)
{
	(void)fputs("}\n", out);
}

/* In a label \N, \G, \n and the like mean something: each backslash is doubled. */
static void put_escaped(FILE *out, const char *text)
{
	struct df_text_reader r = df_text_begin(text, strlen(text), LABEL_MAX);
	size_t len;
	const char *piece;

	while ((piece = df_text_next(&r, &len))) {
		for (size_t i = 0; i < len; i++) {
			if (piece[i] == '"' || piece[i] == '\\')
				(void)fputc('\\', out);
			(void)fputc(piece[i], out);
		}
	}
}

void df_dot_text(FILE *out, const char *text, const char *suffix)
{
	(void)fputc('"', out);
	put_escaped(out, text);
	if (suffix)
		put_escaped(out, suffix);
	(void)fputc('"', out);
}

const char *df_dot_colour(enum df_row_verdict verdict)
{
	switch (verdict) {
	case DF_ROW_BLOCKED:
		return "\"#c62828\"";
	case DF_ROW_WOULD_BLOCK:
		return "\"#b26a00\"";
	case DF_ROW_UNOBSERVED:
		return "\"#6a1b9a\"";
	case DF_ROW_ALLOWED:
	case DF_ROW_VERDICTS:
		break;
	}
	return "\"#37474f\"";
}
