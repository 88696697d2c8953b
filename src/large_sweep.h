/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: One look at all large frames
 *
 * They are walked through, of one VM or of all, and each is scanned, unmapped or broken as is
 * asked for.  The thread of large.c does it, which reclaims: it waits for nobody's lock for long.
 */
#ifndef MRM_LARGE_SWEEP_H
#define MRM_LARGE_SWEEP_H

#include <linux/types.h>

struct mrm_vm;

/* What a sweep does but for breaking: find out what that would save. */
enum mrm_scan_which { MRM_SCAN_NONE, MRM_SCAN_NEW, MRM_SCAN_ALL };

/**
 * struct mrm_large_sweep - what is to be done
 * @scan: those that were not, or all, are scanned, and that is all
 * @saved: those count of which breaking saves so many parts
 * @unmap: those that are mapped are unmapped, to see whether they are touched
 * @all: those that are mapped are broken, too
 * @again: those of this VM are scanned again, as the scanner never does; the sweep's own
 * @at_once: those that are scanned, and save so much, are broken then
 * @share: what has been broken is shared, not left to the scanner
 * @found: how many were scanned, or unmapped, or are mapped and were left
 */
struct mrm_large_sweep {
	enum mrm_scan_which scan;
	unsigned int saved;
	bool unmap, all, again, at_once, share;
	unsigned long found;
};

/* What breaking is to save, parts: those that save most come first. */
#define MRM_LARGE_STEPS	5
extern const unsigned int mrm_large_least_saved[MRM_LARGE_STEPS];

bool mrm_large_may_go_on(void);
void mrm_large_sweep_vm(struct mrm_vm *vm, struct mrm_large_sweep *s, bool (*go_on)(void));
void mrm_large_sweep_all(struct mrm_large_sweep *s, bool (*go_on)(void));

#endif
