/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_VM_H
#define MRM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host.h"
#include "sysfs.h"

/* Longer names and reasons are cut. */
#define MRM_TEXT_MAX 256

/* What the kernel takes as a salt, in bytes. */
#define MRM_SALT_MAX 63

/* Counters of a VM, in the order shown; mrm_vm_counters[] explains them. */
enum mrm_vm_counter {
	MRM_VM_ADOPTED_BYTES,
	MRM_VM_NOT_ADOPTED_BYTES,
	MRM_VM_RESIDENT_PAGES,
	MRM_VM_PRIVATE_PAGES,
	MRM_VM_SHARED_PAGES,
	MRM_VM_ZERO_PAGES,
	MRM_VM_SAVED_PAGES,
	MRM_VM_SAVED_WITHIN_PAGES,
	MRM_VM_HINTED_PAGES,
	MRM_VM_INELIGIBLE_PAGES,
	MRM_VM_SCANNED_PAGES,
	MRM_VM_BROKEN_PAGES,
	MRM_VM_OWNED_PAGES,
	MRM_VM_DISCARDED_PAGES,
	MRM_VM_FULL_SCANS,
	MRM_VM_SCAN_CPU_NS,
	MRM_VM_OVERHEAD_BYTES,
	MRM_VM_SHARE,
	MRM_VM_SHARES,
	MRM_VM_MIN_BYTES,
	MRM_VM_MAX_BYTES,
	MRM_VM_SIZE_BYTES,
	MRM_VM_GRANTED_BYTES,
	MRM_VM_CONSUMED_BYTES,
	MRM_VM_TARGET_BYTES,
	MRM_VM_BALLOON_TARGET_BYTES,
	MRM_VM_BALLOON_BYTES,
	MRM_VM_ACTIVE_BYTES,
	MRM_VM_ACTIVE_SLOW_BYTES,
	MRM_VM_ACTIVE_FAST_BYTES,
	MRM_VM_TOUCHED_BYTES,
	MRM_VM_SAMPLES,
	MRM_VM_SAMPLE_FAULTS,
	MRM_VM_RUNNING_NS,
	MRM_VM_ZIPPED_PAGES,
	MRM_VM_ZIPPED_BYTES,
	MRM_VM_ZIPS,
	MRM_VM_UNZIPS,
	MRM_VM_ZIP_MISFITS,
	MRM_VM_SWAPPED_PAGES,
	MRM_VM_SWAP_CACHED_PAGES,
	MRM_VM_SWAP_FREE_PAGES,
	MRM_VM_SWAP_BAD_PAGES,
	MRM_VM_SWAP_OUTS,
	MRM_VM_SWAP_KEPT,
	MRM_VM_SWAP_INS,
	MRM_VM_SWAP_AHEADS,
	MRM_VM_READ_ERRORS,
	MRM_VM_RECLAIMED_BYTES,
	MRM_VM_BLOCKED_VCPUS,
	MRM_VM_BLOCKS,
	MRM_VM_LARGE,
	MRM_VM_LARGE_PAGES,
	MRM_VM_LARGE_HELD,
	MRM_VM_LARGE_UNTOUCHED,
	MRM_VM_LARGE_BROKEN,
	MRM_VM_LARGE_REBUILT,
	MRM_VM_LARGE_FAILED,
	MRM_VM_IO_BOUNCES,
	MRM_VM_IO_BOUNCED_BYTES,
	MRM_VM_IO_REMAPPED,
	MRM_VM_IO_RETURNED,
	MRM_VM_IO_LOW_BYTES,
	MRM_VM_NR,
};

/**
 * enum mrm_vm_text - what is said about a VM in words
 * @MRM_VM_NAME: chosen by the VM's owner: escape before showing
 * @MRM_VM_REASON: why its largest range that was not adopted was not
 * @MRM_VM_STATE: whether its memory is being shared
 * @MRM_VM_SALT: VMs share with equal salt only; readable by root only
 * @MRM_VM_BALLOON_STATE: what mrmd says of its balloon
 * @MRM_VM_SWAP_FILE: where it is swapped to; readable by root only
 * @MRM_VM_TEXT_NR: how many there are
 */
enum mrm_vm_text {
	MRM_VM_NAME,
	MRM_VM_REASON,
	MRM_VM_STATE,
	MRM_VM_SALT,
	MRM_VM_BALLOON_STATE,
	MRM_VM_SWAP_FILE,
	MRM_VM_TEXT_NR,
};

/* A set of counters and texts that a reader asks for. */
typedef unsigned __int128 mrm_want;
#define MRM_WANT(counter) ((mrm_want)1 << (counter))
#define MRM_WANT_TEXT(text) MRM_WANT(MRM_VM_NR + (text))
_Static_assert(MRM_VM_NR + MRM_VM_TEXT_NR < 128, "a bit for each");
#define MRM_WANT_ALL (MRM_WANT(MRM_VM_NR + MRM_VM_TEXT_NR) - 1)

/**
 * struct mrm_vm - a VM as last read
 * @pid: of its QEMU process
 * @node: tells it from a later VM whose process got the same pid
 * @value: counters, each in its file's unit
 * @text: words, empty when there are none
 * @have: set of those that were asked for and could be read
 */
struct mrm_vm {
	pid_t pid;
	uint64_t node;
	uint64_t value[MRM_VM_NR];
	char text[MRM_VM_TEXT_NR][MRM_TEXT_MAX];
	mrm_want have;
};

/**
 * struct mrm_vms - all VMs as last read
 * @vm: ordered by pid
 * @count: number of VMs
 */
struct mrm_vms {
	struct mrm_vm *vm;
	size_t count;
};

extern const struct mrm_counter mrm_vm_counters[MRM_VM_NR];
extern const char *const mrm_vm_texts[MRM_VM_TEXT_NR];

int mrm_vms_read(const struct mrm_root *root, struct mrm_vms *vms, mrm_want want);
void mrm_vms_free(struct mrm_vms *vms);

bool mrm_vm_matches(const struct mrm_vm *vm, const char *who);
int mrm_vm_reread(const struct mrm_root *root, struct mrm_vm *vm, mrm_want want);
int mrm_vm_read_text(const struct mrm_root *root, pid_t pid, const char *file, char *text,
		     size_t size);
int mrm_vm_read_u64(const struct mrm_root *root, pid_t pid, const char *file, uint64_t *value);
uint64_t mrm_vm_u64_or_0(const struct mrm_root *root, pid_t pid, const char *file);
int mrm_vm_write(const struct mrm_root *root, const struct mrm_vm *vm, const char *file,
		 const char *value);

#endif
