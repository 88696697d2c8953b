/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_HOST_H
#define MRM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"
#include "units.h"

/* Counters of the whole host, in the order shown; mrm_host_counters[] explains them. */
enum mrm_host_counter {
	MRM_HOST_VMS,
	MRM_HOST_ADOPTED_BYTES,
	MRM_HOST_RESIDENT_PAGES,
	MRM_HOST_PRIVATE_PAGES,
	MRM_HOST_SHARED_PAGES,
	MRM_HOST_SHARED_FRAMES,
	MRM_HOST_ZERO_PAGES,
	MRM_HOST_ZERO_FRAMES,
	MRM_HOST_SAVED_PAGES,
	MRM_HOST_HINTED_PAGES,
	MRM_HOST_INELIGIBLE_PAGES,
	MRM_HOST_SCANNED_PAGES,
	MRM_HOST_BROKEN_PAGES,
	MRM_HOST_OWNED_PAGES,
	MRM_HOST_DISCARDED_PAGES,
	MRM_HOST_FULL_SCANS,
	MRM_HOST_SCAN_CPU_NS,
	MRM_HOST_OVERHEAD_BYTES,
	MRM_HOST_BUDGET_BYTES,
	MRM_HOST_FREE_BYTES,
	MRM_HOST_MIN_FREE_BYTES,
	MRM_HOST_UNRESERVED_BYTES,
	MRM_HOST_OVERCOMMIT_PERCENT,
	MRM_HOST_BALANCES,
	MRM_HOST_SAMPLE_CPU_NS,
	MRM_HOST_ZIPPED_PAGES,
	MRM_HOST_ZIPPED_BYTES,
	MRM_HOST_ZIP_FRAMES,
	MRM_HOST_ZIPS,
	MRM_HOST_UNZIPS,
	MRM_HOST_ZIP_MISFITS,
	MRM_HOST_SWAPPED_PAGES,
	MRM_HOST_SWAP_CACHED_PAGES,
	MRM_HOST_SWAP_OUTS,
	MRM_HOST_SWAP_KEPT,
	MRM_HOST_SWAP_INS,
	MRM_HOST_SWAP_AHEADS,
	MRM_HOST_READ_ERRORS,
	MRM_HOST_RECLAIMED_BYTES,
	MRM_HOST_LARGE_PAGES,
	MRM_HOST_LARGE_HELD,
	MRM_HOST_LARGE_UNTOUCHED,
	MRM_HOST_LARGE_BROKEN,
	MRM_HOST_LARGE_REBUILT,
	MRM_HOST_LARGE_FAILED,
	MRM_HOST_IO_BOUNCES,
	MRM_HOST_IO_BOUNCED_BYTES,
	MRM_HOST_IO_REMAPPED,
	MRM_HOST_IO_RETURNED,
	MRM_HOST_IO_LOW_BYTES,
	MRM_HOST_IO_BUSY,
	MRM_HOST_IO_REFUSED,
	MRM_HOST_IO_LEFT,
	MRM_HOST_IO_MISSED,
	MRM_HOST_NR,
};

/**
 * struct mrm_counter - what is known about a counter
 * @name: of its file
 * @unit: what it counts
 * @words: what it means, for people
 * @grows: it is a sum since the start, and never shrinks
 */
struct mrm_counter {
	const char *name;
	enum mrm_unit unit;
	const char *words;
	bool grows;
};

/**
 * struct mrm_host - the counters of the whole host
 * @value: each in its file's unit
 * @have: it could be read; another version of the module may not have it
 * @state: how short of memory it is, in a word; empty when it could not be read
 */
struct mrm_host {
	uint64_t value[MRM_HOST_NR];
	bool have[MRM_HOST_NR];
	char state[16];
};

extern const struct mrm_counter mrm_host_counters[MRM_HOST_NR];

int mrm_host_read(const struct mrm_root *root, struct mrm_host *host);

#endif
