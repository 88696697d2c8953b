// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>

#include "table.h"
#include "tap.h"

static const struct mrm_column columns[] = {
	{ .heading = "NAME", .max = 8 },
	{ .heading = "MiB", .right = true },
	{ .heading = "STATE" },
};

static char *print(const struct mrm_table *table)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	mrm_table_print(table, file);
	fclose(file);
	return text;
}

/**
 * test_table() - tables for people
 */
void test_table(void)
{
	struct mrm_table table;
	char *text;
	int i;

	mrm_table_init(&table, columns, 3);
	text = print(&table);
	tap_text(text, "NAME  MiB  STATE\n", "table without rows");
	free(text);

	mrm_table_add(&table, "gr\303\274n");
	mrm_table_add(&table, "1024.5");
	mrm_table_add(&table, "on");
	mrm_table_add(&table, "a name that is too long");
	mrm_table_add(&table, "1.0");
	mrm_table_add(&table, "");
	mrm_table_add(&table, "\033c");
	mrm_table_add(&table, "-");
	mrm_table_add(&table, "off");
	tap_ok(mrm_table_rows(&table) == 3, "rows are counted");
	text = print(&table);
	tap_text(text,
		 "NAME         MiB  STATE\n"
		 "gr\303\274n      1024.5  on\n"
		 "a name +     1.0\n"
		 "\\x1bc          -  off\n",
		 "table is aligned, cut and escaped");
	free(text);
	tap_ok(mrm_table_start(&table, 0) == 0, "first column starts at the left");
	tap_ok(mrm_table_start(&table, 1) == 13, "heading of a column of numbers");
	tap_ok(mrm_table_start(&table, 2) == 18, "heading of the last column");
	mrm_table_free(&table);

	mrm_table_init(&table, columns, 3);
	for (i = 0; i < 3000; i++)
		mrm_table_add(&table, "x");
	tap_ok(!table.error && mrm_table_rows(&table) == 1000, "a table of a thousand rows");
	mrm_table_free(&table);
}
