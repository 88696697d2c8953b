/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The guests of a benchmark
 *
 * VMs of equal size whose contents are known page by page, and so is what can
 * be saved.  A guest's pages are, in 1/32 of its RAM:
 *
 *   12  equal: the same in each guest, like a common kernel and libraries
 *    4  duplicates: each of their contents four times, in this guest alone
 *    4  zero
 *   10  unique, and never written again
 *    2  volatile: unique, and written anew by the guest once a second
 *
 * All but the volatile ones are mixed, in runs of 16 pages.
 */
#ifndef GUESTS_H
#define GUESTS_H

#include <stdbool.h>

#include "vm_process.h"

#define MAX_GUESTS	8
#define PARTS		32
#define EQUAL_PARTS	12
#define DUPLICATE_PARTS	4
#define ZERO_PARTS	4
#define VOLATILE_PARTS	2
#define DUPLICATES	4	/* pages of each such content */
#define BATCH		32	/* pages the guest writes at a time */
#define REWRITE_MS	1000	/* to write all volatile pages once */

/**
 * enum writer_phase - when the guest wrote
 * @BEFORE: nobody was scanning
 * @DURING: somebody was
 * @PHASES: how many phases there are
 */
enum writer_phase {
	BEFORE,
	DURING,
	PHASES,
};

/**
 * struct guests - the guests
 * @count: how many
 * @pages: guest pages of each, a multiple of 32 * 32
 * @vm: their processes
 * @wrong: pages were found not to hold what was written
 */
struct guests {
	unsigned int count;
	size_t pages;
	struct vm_process vm[MAX_GUESTS];
	bool wrong;
};

/**
 * struct write_time - how long the guests took to write a volatile page
 * @median: of all batches, ns for a page
 * @p99: the slowest in a hundred, ns for a page
 */
struct write_time {
	double median, p99;
};

void guests_start(struct guests *g, unsigned int count, size_t pages);
void guests_stop(struct guests *g);
long guests_possible(const struct guests *g);
long guests_total(const struct guests *g);
long guests_shareable(const struct guests *g);
void guests_write(struct guests *g);
void guests_phase(struct guests *g, enum writer_phase phase);
void guests_write_end(struct guests *g);
struct write_time guests_write_time(const struct guests *g, enum writer_phase phase);
double guests_time(struct guests *g, enum guest_command command);
void guests_verify(struct guests *g);

#endif
