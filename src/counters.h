/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_COUNTERS_H
#define MRM_COUNTERS_H

#include <linux/atomic.h>

struct mrm_vm;

/**
 * enum mrm_counter - what is counted for each VM and for the host
 * @MRM_PRIVATE: guest pages with a frame of their own now
 * @MRM_SHARED: guest pages backed by a shared frame now, zero pages included
 * @MRM_ZERO: guest pages backed by a zero frame now
 * @MRM_HINTED: private frames in the frame table now
 * @MRM_INELIGIBLE: guest pages barred from sharing by a false match now
 * @MRM_ZIPPED: guest pages that are zipped now
 * @MRM_ZIPPED_BYTES: what they need now, bytes
 * @MRM_SWAPPED: guest pages in swap now
 * @MRM_SWAP_CACHED: guest pages with a frame, and a slot that holds the same, now
 * @MRM_WRITING: private frames on their way to swap now
 * @MRM_LARGE: large frames that are whole now
 * @MRM_LARGE_HELD: parts of broken ones that are no guest page's now
 * @MRM_LARGE_UNTOUCHED: parts of whole ones that held zeroes when they were scanned last
 * @MRM_LARGE_FAILED: times that there was no large frame to be had so far
 * @MRM_LARGE_BROKEN: large frames broken so far
 * @MRM_LARGE_REBUILT: large frames made of frames of 4 KiB so far
 * @MRM_HOT: guest pages that are kept where devices reach them now
 * @MRM_BOUNCES: copies of its private frames by bounce buffers so far
 * @MRM_BOUNCED_BYTES: how much was copied so far
 * @MRM_REMAPPED: guest pages moved to where a device reaches them so far
 * @MRM_RETURNED: guest pages moved back so far
 * @MRM_SCANNED: guest pages the scanner looked at so far
 * @MRM_BROKEN: shared guest pages that became private again so far
 * @MRM_OWNED: shared guest pages whose frame had no other name any more, and became their own, so
 *	far
 * @MRM_DISCARDED: guest pages given back by MADV_DONTNEED so far
 * @MRM_SCAN_NS: time the scanner worked for it, ns (a VM's part)
 * @MRM_SAMPLES: periods of sampling completed so far
 * @MRM_SAMPLE_FAULTS: faults that sampling has cost so far
 * @MRM_ZIPS: guest pages zipped so far
 * @MRM_UNZIPS: guest pages unzipped so far
 * @MRM_MISFITS: guest pages that were not zipped so far, for they need too many bytes
 * @MRM_SWAP_OUTS: guest pages written to swap so far
 * @MRM_SWAP_KEPT: guest pages swapped so far that did not have to be written, as their slots held
 *	the same
 * @MRM_SWAP_INS: guest pages read from swap so far
 * @MRM_SWAP_AHEADS: those of them that were read as neighbours of one that was wanted
 * @MRM_READ_ERRORS: times that a guest page was lost so far, as it could not be read, or was not
 *	what had been written
 * @MRM_BLOCKS: times that a vCPU was blocked so far
 * @MRM_RECLAIMED_BYTES: memory taken from it so far without the guest's help
 * @MRM_NR_COUNTERS: how many there are
 */
enum mrm_counter {
	MRM_PRIVATE,
	MRM_SHARED,
	MRM_ZERO,
	MRM_HINTED,
	MRM_INELIGIBLE,
	MRM_ZIPPED,
	MRM_ZIPPED_BYTES,
	MRM_SWAPPED,
	MRM_SWAP_CACHED,
	MRM_WRITING,
	MRM_LARGE,
	MRM_LARGE_HELD,
	MRM_LARGE_UNTOUCHED,
	MRM_LARGE_FAILED,
	MRM_LARGE_BROKEN,
	MRM_LARGE_REBUILT,
	MRM_HOT,
	MRM_BOUNCES,
	MRM_BOUNCED_BYTES,
	MRM_REMAPPED,
	MRM_RETURNED,
	MRM_SCANNED,
	MRM_BROKEN,
	MRM_OWNED,
	MRM_DISCARDED,
	MRM_SCAN_NS,
	MRM_SAMPLES,
	MRM_SAMPLE_FAULTS,
	MRM_ZIPS,
	MRM_UNZIPS,
	MRM_MISFITS,
	MRM_SWAP_OUTS,
	MRM_SWAP_KEPT,
	MRM_SWAP_INS,
	MRM_SWAP_AHEADS,
	MRM_READ_ERRORS,
	MRM_BLOCKS,
	MRM_RECLAIMED_BYTES,
	MRM_NR_COUNTERS
};

/**
 * struct mrm_counters - one set of counters
 * @n: indexed by enum mrm_counter
 */
struct mrm_counters {
	atomic_long_t n[MRM_NR_COUNTERS];
};

extern struct mrm_counters mrm_host_counters;

void mrm_count(struct mrm_vm *vm, enum mrm_counter c, long delta);

static inline long mrm_counter_read(const struct mrm_counters *cs, enum mrm_counter c)
{
	return atomic_long_read(&cs->n[c]);
}

#endif
