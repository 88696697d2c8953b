// SPDX-License-Identifier: GPL-2.0
/*
 * Tables for people.  Cells are escaped as they come in, so nothing that is
 * shown in a table can reach the terminal as a command.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "text.h"

/* Blanks between two columns. */
#define GAP 2

/**
 * mrm_table_init() - start a table without rows
 * @table: to be freed with mrm_table_free()
 * @column: how its columns look; kept, not copied
 * @columns: number of columns, at least 1
 */
void mrm_table_init(struct mrm_table *table, const struct mrm_column *column, size_t columns)
{
	size_t i;

	memset(table, 0, sizeof(*table));
	table->column = column;
	table->columns = columns;
	table->width = calloc(columns, sizeof(*table->width));
	if (!table->width) {
		table->error = -ENOMEM;
		return;
	}
	for (i = 0; i < columns; i++)
		table->width[i] = mrm_text_width(column[i].heading);
}

/**
 * mrm_table_free() - free what a table holds
 * @table: from mrm_table_init()
 */
void mrm_table_free(struct mrm_table *table)
{
	size_t i;

	for (i = 0; i < table->cells; i++)
		free(table->cell[i]);
	free(table->cell);
	free(table->width);
	memset(table, 0, sizeof(*table));
}

/* Cut escaped text to @columns, with a mark in the last one. */
static void cut(char *text, size_t columns)
{
	size_t keep;

	if (mrm_text_width(text) <= columns)
		return;
	keep = mrm_text_clip(text, columns - 1);
	text[keep] = '+';
	text[keep + 1] = '\0';
}

/**
 * mrm_table_add() - fill the next cell, row after row
 * @table: from mrm_table_init(); an error is kept in it until it is printed
 * @text: any bytes, escaped here
 */
void mrm_table_add(struct mrm_table *table, const char *text)
{
	size_t column = table->cells % table->columns;
	size_t width;
	char **larger;
	char *cell;

	if (table->error)
		return;
	if (table->cells == table->room) {
		size_t room = table->room ? 2 * table->room : 16 * table->columns;

		larger = realloc(table->cell, room * sizeof(*larger));
		if (!larger) {
			table->error = -ENOMEM;
			return;
		}
		table->cell = larger;
		table->room = room;
	}
	cell = mrm_escape_dup(text);
	if (!cell) {
		table->error = -ENOMEM;
		return;
	}
	if (table->column[column].max)
		cut(cell, table->column[column].max);
	width = mrm_text_width(cell);
	if (width > table->width[column])
		table->width[column] = width;
	table->cell[table->cells++] = cell;
}

/**
 * mrm_table_rows() - how many rows are complete
 * @table: from mrm_table_init()
 *
 * Return: rows, without the heading.
 */
size_t mrm_table_rows(const struct mrm_table *table)
{
	return table->cells / table->columns;
}

/* Append a cell to a line; returns the new end.  No blanks at a line's end. */
static char *put_cell(const struct mrm_table *table, size_t column, const char *text, char *end)
{
	size_t blanks = table->width[column] - mrm_text_width(text);
	size_t length = strlen(text);

	if (table->column[column].right) {
		memset(end, ' ', blanks);
		end += blanks;
	}
	memcpy(end, text, length);
	end += length;
	if (column + 1 == table->columns)
		return end;
	if (table->column[column].right)
		blanks = 0;
	memset(end, ' ', blanks + GAP);
	return end + blanks + GAP;
}

/**
 * mrm_table_row() - a row as a line of text
 * @table: from mrm_table_init()
 * @row: which, from 0; below mrm_table_rows()
 *
 * Return: the line without a newline, to be freed, or NULL without memory.
 */
char *mrm_table_row(const struct mrm_table *table, size_t row)
{
	char **cell = table->cell + row * table->columns;
	size_t size = 1, i;
	char *line, *end;

	if (table->error)
		return NULL;
	for (i = 0; i < table->columns; i++)
		size += table->width[i] + strlen(cell[i]) + GAP;
	line = malloc(size);
	if (!line)
		return NULL;
	end = line;
	for (i = 0; i < table->columns; i++)
		end = put_cell(table, i, cell[i], end);
	while (end > line && end[-1] == ' ')
		end--;
	*end = '\0';
	return line;
}

/**
 * mrm_table_heading() - the headings as a line of text
 * @table: from mrm_table_init(), when all its rows are filled in
 *
 * Return: the line without a newline, to be freed, or NULL without memory.
 */
char *mrm_table_heading(const struct mrm_table *table)
{
	size_t size = 1, i;
	char *line, *end;

	if (table->error)
		return NULL;
	for (i = 0; i < table->columns; i++)
		size += table->width[i] + strlen(table->column[i].heading) + GAP;
	line = malloc(size);
	if (!line)
		return NULL;
	end = line;
	for (i = 0; i < table->columns; i++)
		end = put_cell(table, i, table->column[i].heading, end);
	*end = '\0';
	return line;
}

/**
 * mrm_table_start() - where the heading of a column begins
 * @table: from mrm_table_init(), when all its rows are filled in
 * @column: which, from 0
 *
 * Return: columns of the terminal to the left of the heading's first character.
 */
size_t mrm_table_start(const struct mrm_table *table, size_t column)
{
	size_t start = 0, i;

	if (table->error)
		return 0;
	for (i = 0; i < column; i++)
		start += table->width[i] + GAP;
	if (table->column[column].right)
		start += table->width[column] - mrm_text_width(table->column[column].heading);
	return start;
}

/**
 * mrm_table_print() - print the headings and all rows
 * @table: from mrm_table_init()
 * @file: where to
 *
 * Return: 0, or -ENOMEM when memory was short here or while it was filled.
 */
int mrm_table_print(const struct mrm_table *table, FILE *file)
{
	size_t row, rows = mrm_table_rows(table);
	char *line;

	for (row = 0; row <= rows; row++) {
		line = row ? mrm_table_row(table, row - 1) : mrm_table_heading(table);
		if (!line)
			return -ENOMEM;
		fprintf(file, "%s\n", line);
		free(line);
	}
	return 0;
}
