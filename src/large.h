/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: When guest pages have large frames
 *
 * They get them on first touch while memory is plentiful.  When it gets short, in the state
 * before ballooning (clear), large frames are broken of which that saves something: those that
 * would save most first, and of these the ones that nobody touches (Guo et al., VEE 2015).  What
 * would be saved the scanner finds out, part by part, without breaking anything
 * (large_scan.c).  One that holds next to nothing is broken in any state.
 */
#ifndef MRM_LARGE_H
#define MRM_LARGE_H

#include <linux/types.h>

#include "policy.h"

#define MRM_LARGE_REBUILD_MAX	1024	/* a second: 2 GiB */

/**
 * struct mrm_large_tunables - what an administrator sets
 * @enabled: guest pages may get large frames (ESX: Mem.AllocGuestLargePage)
 * @break_pct: a large frame is broken in any state if that saves so much of it, per cent
 * @rebuild_rate: large frames that may be rebuilt in a second; 0: none
 */
struct mrm_large_tunables {
	unsigned long enabled;
	unsigned long break_pct;
	unsigned long rebuild_rate;
};

extern struct mrm_large_tunables mrm_large_tunables;

void mrm_large_set_state(enum mrm_state now);
void mrm_large_changed(void);
int mrm_large_init(void);
void mrm_large_exit(void);

#endif
