/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A VM that is busy
 *
 * It does one thing again and again in its own process, so that something can
 * happen to it in the middle of that.  When in the middle is random, but follows
 * from a seed that is printed; MRM_SEED repeats it.
 */
#ifndef BUSY_H
#define BUSY_H

#include "vm_process.h"

#define BUSY_PAGES	512	/* of RAM */
#define BUSY_KEYS	64	/* different contents in it, of 8 pages each */

/**
 * enum busy_with - what a VM does all the time
 * @BUSY_ADOPTING: has four more slots of fresh memory, and gives them up again
 * @BUSY_SHARING: writes equal pages, and lets the scanner share them
 * @BUSY_BREAKING: writes to pages that are shared
 * @BUSY_DISCARDING: gives pages back, a few at a time, and fills them again
 */
enum busy_with {
	BUSY_ADOPTING,
	BUSY_SHARING,
	BUSY_BREAKING,
	BUSY_DISCARDING,
	NR_BUSY,
};

extern const char * const busy_words[NR_BUSY];

void busy_begin(void);
void busy_scan(bool on);
void busy_fill(struct vm_process *p);
void busy_start(struct vm_process *p, enum busy_with what);
void busy_moment(enum busy_with what, uint64_t *seed);
void busy_stop(void);
void busy_end(struct vm_process *p);
void busy_delay(uint64_t *seed, uint32_t us);

#endif
