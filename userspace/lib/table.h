/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_TABLE_H
#define MRM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * struct mrm_column - how a column of a table looks
 * @heading: its first line
 * @right: push its cells to the right, as numbers are
 * @max: columns of the terminal it takes at most, 0 for what it needs
 */
struct mrm_column {
	const char *heading;
	bool right;
	size_t max;
};

/**
 * struct mrm_table - a table of text, as wide as its cells need
 * @column: how its columns look
 * @columns: number of columns
 * @width: of each column, in columns of the terminal
 * @cell: escaped text, row after row
 * @cells: cells filled so far
 * @room: cells there is memory for
 * @error: 0 or the first error met while it was filled
 */
struct mrm_table {
	const struct mrm_column *column;
	size_t columns;
	size_t *width;
	char **cell;
	size_t cells;
	size_t room;
	int error;
};

void mrm_table_init(struct mrm_table *table, const struct mrm_column *column, size_t columns);
void mrm_table_free(struct mrm_table *table);
void mrm_table_add(struct mrm_table *table, const char *text);
size_t mrm_table_rows(const struct mrm_table *table);
char *mrm_table_heading(const struct mrm_table *table);
char *mrm_table_row(const struct mrm_table *table, size_t row);
size_t mrm_table_start(const struct mrm_table *table, size_t column);
int mrm_table_print(const struct mrm_table *table, FILE *file);

#endif
