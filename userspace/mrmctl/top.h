/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TOP_H
#define TOP_H

#include "mrmctl.h"
#include "sample.h"
#include "vmtable.h"

/* Lines of the summary above the table of VMs. */
#define SUMMARY_LINES 9

/* Columns of the terminal that a name may take. */
#define TOP_NAME_MAX 24

/**
 * struct top - what top keeps between refreshes
 * @options: from the command line
 * @root: the open tree
 * @now: what is shown
 * @before: what was shown before it, empty at first
 * @rows: of the table, sorted; point into @now
 * @view: columns of the table
 * @key: sorted by this column
 * @reverse: the other way round
 * @delay_ms: between two refreshes, in milliseconds
 */
struct top {
	const struct options *options;
	struct mrm_root root;
	struct sample now;
	struct sample before;
	struct vm_row *rows;
	struct vm_view view;
	enum vm_key key;
	bool reverse;
	uint64_t delay_ms;
};

int top_refresh(struct top *top);
void top_summary(const struct top *top, unsigned int line, char *text, size_t size);
int top_batch(struct top *top);
int top_screen(struct top *top);

#endif
