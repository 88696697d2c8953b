/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMTABLE_H
#define VMTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table.h"
#include "vm.h"

/* Columns of a table of VMs, from left to right. */
enum vm_key {
	VM_KEY_NAME,
	VM_KEY_PID,
	VM_KEY_SIZE,
	VM_KEY_GRANTED,
	VM_KEY_CONSUMED,
	VM_KEY_TARGET,
	VM_KEY_ACTIVE,
	VM_KEY_BALLOON,
	VM_KEY_BALLOON_TARGET,
	VM_KEY_ADOPTED,
	VM_KEY_NOT_ADOPTED,
	VM_KEY_RESIDENT,
	VM_KEY_SHARED,
	VM_KEY_ZERO,
	VM_KEY_SAVED,
	VM_KEY_LARGE,
	VM_KEY_LARGE_HELD,
	VM_KEY_LARGE_UNTOUCHED,
	VM_KEY_ZIPPED,
	VM_KEY_ZIP_USED,
	VM_KEY_SWAPPED,
	VM_KEY_SWAP_CACHED,
	VM_KEY_SWAP_FREE,
	VM_KEY_SCAN_RATE,
	VM_KEY_BREAK_RATE,
	VM_KEY_OWN_RATE,
	VM_KEY_ZIP_RATE,
	VM_KEY_UNZIP_RATE,
	VM_KEY_MISFIT_RATE,
	VM_KEY_SWAP_OUT_RATE,
	VM_KEY_SWAP_KEPT_RATE,
	VM_KEY_SWAP_IN_RATE,
	VM_KEY_SWAP_AHEAD_RATE,
	VM_KEY_RECLAIM_RATE,
	VM_KEY_BLOCK_RATE,
	VM_KEY_SWAP_BAD,
	VM_KEY_LOST,
	VM_KEY_OVERHEAD,
	VM_KEY_ACTIVE_SLOW,
	VM_KEY_ACTIVE_FAST,
	VM_KEY_SHARES,
	VM_KEY_MIN,
	VM_KEY_MAX,
	VM_KEY_STATE,
	VM_KEY_NR,
};

/* A set of columns. */
#define VM_KEY_BIT(key) (1ull << (key))
_Static_assert(VM_KEY_NR <= 64, "a bit for each");

/**
 * enum vm_table_kind - which table of VMs
 * @VM_TABLE_LIST: what is adopted, and shared
 * @VM_TABLE_TOP: who has how much, and should have (as esxtop's page of memory)
 */
enum vm_table_kind {
	VM_TABLE_LIST,
	VM_TABLE_TOP,
};

/* What each is made from. */
#define VM_LIST_WANT                                                                               \
	(MRM_WANT(MRM_VM_ADOPTED_BYTES) | MRM_WANT(MRM_VM_NOT_ADOPTED_BYTES) |                     \
	 MRM_WANT(MRM_VM_RESIDENT_PAGES) | MRM_WANT(MRM_VM_SHARED_PAGES) |                         \
	 MRM_WANT(MRM_VM_ZERO_PAGES) | MRM_WANT(MRM_VM_SAVED_PAGES) | MRM_WANT_TEXT(MRM_VM_NAME) | \
	 MRM_WANT_TEXT(MRM_VM_REASON) | MRM_WANT_TEXT(MRM_VM_STATE))
#define VM_TOP_WANT                                                                                \
	(VM_LIST_WANT | MRM_WANT(MRM_VM_SIZE_BYTES) | MRM_WANT(MRM_VM_GRANTED_BYTES) |             \
	 MRM_WANT(MRM_VM_CONSUMED_BYTES) | MRM_WANT(MRM_VM_TARGET_BYTES) |                         \
	 MRM_WANT(MRM_VM_ACTIVE_BYTES) | MRM_WANT(MRM_VM_BALLOON_BYTES) |                          \
	 MRM_WANT(MRM_VM_BALLOON_TARGET_BYTES) | MRM_WANT_TEXT(MRM_VM_BALLOON_STATE) |             \
	 MRM_WANT(MRM_VM_SCANNED_PAGES) | MRM_WANT(MRM_VM_BROKEN_PAGES) |                          \
	 MRM_WANT(MRM_VM_ZIPPED_PAGES) | MRM_WANT(MRM_VM_SWAPPED_PAGES) | MRM_WANT(MRM_VM_ZIPS) |  \
	 MRM_WANT(MRM_VM_UNZIPS) | MRM_WANT(MRM_VM_SWAP_OUTS) | MRM_WANT(MRM_VM_SWAP_INS) |        \
	 MRM_WANT(MRM_VM_BLOCKED_VCPUS) | MRM_WANT(MRM_VM_LARGE_PAGES) |                           \
	 MRM_WANT(MRM_VM_LARGE_HELD) | MRM_WANT(MRM_VM_BLOCKS) | MRM_WANT(MRM_VM_SWAP_BAD_PAGES) | \
	 MRM_WANT(MRM_VM_READ_ERRORS) | MRM_WANT(MRM_VM_ZIPPED_BYTES) |                            \
	 MRM_WANT(MRM_VM_LARGE_UNTOUCHED) | MRM_WANT(MRM_VM_SWAP_CACHED_PAGES) |                   \
	 MRM_WANT(MRM_VM_SWAP_FREE_PAGES) | MRM_WANT(MRM_VM_ZIP_MISFITS) |                         \
	 MRM_WANT(MRM_VM_SWAP_KEPT) | MRM_WANT(MRM_VM_SWAP_AHEADS) |                               \
	 MRM_WANT(MRM_VM_RECLAIMED_BYTES) | MRM_WANT(MRM_VM_OVERHEAD_BYTES) |                      \
	 MRM_WANT(MRM_VM_ACTIVE_SLOW_BYTES) | MRM_WANT(MRM_VM_ACTIVE_FAST_BYTES) |                 \
	 MRM_WANT(MRM_VM_OWNED_PAGES) | MRM_WANT(MRM_VM_SHARES) | MRM_WANT(MRM_VM_MIN_BYTES) |     \
	 MRM_WANT(MRM_VM_MAX_BYTES))

/**
 * struct vm_row - a row of a table of VMs
 * @vm: the VM as read
 * @rated: a bit for each column whose rate is known
 * @rate: of those, growth in a second
 */
struct vm_row {
	const struct mrm_vm *vm;
	uint64_t rated;
	double rate[VM_KEY_NR];
};

/**
 * struct vm_view - the columns of a table of VMs
 * @key: which, from left to right
 * @count: number of columns
 * @column: how they look
 */
struct vm_view {
	enum vm_key key[VM_KEY_NR];
	size_t count;
	struct mrm_column column[VM_KEY_NR];
};

bool vm_key_parse(const char *name, enum vm_key *key);
const char *vm_key_name(enum vm_key key);
int vm_key_rate(enum vm_key key);
void vm_view_init(struct vm_view *view, enum vm_table_kind kind, size_t name_max);
void vm_sort(struct vm_row *rows, size_t count, enum vm_key key, bool reverse);
void vm_table_fill(struct mrm_table *table, const struct vm_view *view, const struct vm_row *rows,
		   size_t count);
int vm_sort_option(const struct vm_view *view, const char *name, enum vm_key *key);

#endif
