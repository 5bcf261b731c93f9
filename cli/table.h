/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table: aligned columns for people.  Cells go through df_text_put, whatever they hold.
 * A column in which every cell is what is usual there is left out.
 */
#ifndef DF_TABLE_H
#define DF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DF_TABLE_COLUMNS_MAX 12

struct df_column {
	const char *title;
	bool is_right;
	size_t max;        /* columns on screen; longer cells are cut; 0: never */
	const char *usual; /* not worth a column; NULL: always shown */
};

/* Begins as { .columns = …, .n_columns = … }. */
struct df_table {
	const struct df_column *columns;
	size_t n_columns;
	struct df_table_row {
		const char *colour; /* of the first cell, an escape sequence; NULL: none */
		char *cells[DF_TABLE_COLUMNS_MAX];
	} * rows;
	size_t n, cap;
	bool is_failed; /* no memory: what is shown is not all */
};

/* A new row of empty cells. */
void df_table_row(struct df_table *t, const char *colour);
/* A cell of the last row; text NULL or "": it shows "-". */
void df_table_cell(struct df_table *t, size_t column, const char *text);
void df_table_cellf(struct df_table *t, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* With titles; a table without rows prints nothing.  It is empty afterwards. */
void df_table_print(FILE *out, struct df_table *t);

#endif
