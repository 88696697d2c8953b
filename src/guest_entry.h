/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The entry of a guest page in mrm_vm.pages, for the files that change it: guest_page.c,
 * guest_share.c, guest_zip.c, guest_swap.c, guest_cached.c, guest_large.c, guest_rebuild.c and
 * guest_hot.c.  What the entries are is said in guest_page.h.
 */
#ifndef MRM_GUEST_ENTRY_H
#define MRM_GUEST_ENTRY_H

#include <linux/types.h>
#include <linux/xarray.h>

#include "frame.h"

struct mrm_vm;
struct mrm_zipped;

#define MRM_ENTRY_SHARED	1
#define MRM_ENTRY_ZIPPED	3
#define MRM_ENTRY_SWAPPED	7UL		/* in the three lowest bits */
#define MRM_ENTRY_FAILED	8UL		/* it could not be read */
#define MRM_ENTRY_SUM_SHIFT	4
#define MRM_ENTRY_SLOT_SHIFT	36

static inline void *mrm_frame_entry(struct page *frame)
{
	return mrm_frame_is_shared(frame) ? xa_tag_pointer(frame, MRM_ENTRY_SHARED) : frame;
}

static inline void *mrm_zipped_entry(struct mrm_zipped *zipped)
{
	return xa_tag_pointer(zipped, MRM_ENTRY_ZIPPED);
}

/* @sum: mrm_checksum() of what the slot holds. */
static inline void *mrm_swapped_entry(unsigned long slot, u32 sum)
{
	return (void *)(slot << MRM_ENTRY_SLOT_SHIFT |
			(unsigned long)sum << MRM_ENTRY_SUM_SHIFT | MRM_ENTRY_SWAPPED);
}

/* An object's address is a multiple of 8, so bit 2 tells it from a slot. */
static inline bool mrm_entry_is_swapped(const void *entry)
{
	return ((unsigned long)entry & MRM_ENTRY_SWAPPED) == MRM_ENTRY_SWAPPED;
}

static inline unsigned long mrm_entry_slot(const void *entry)
{
	return (unsigned long)entry >> MRM_ENTRY_SLOT_SHIFT;
}

static inline u32 mrm_entry_sum(const void *entry)
{
	return (unsigned long)entry >> MRM_ENTRY_SUM_SHIFT;
}

static inline void *mrm_failed_entry(void *entry)
{
	return (void *)((unsigned long)entry | MRM_ENTRY_FAILED);
}

static inline bool mrm_entry_has_failed(const void *entry)
{
	return (unsigned long)entry & MRM_ENTRY_FAILED;
}

/* What is zipped, or NULL if the entry is something else. */
static inline struct mrm_zipped *mrm_entry_zipped(void *entry)
{
	if (xa_pointer_tag(entry) != MRM_ENTRY_ZIPPED || mrm_entry_is_swapped(entry))
		return NULL;
	return xa_untag_pointer(entry);
}

/* The frame, or NULL if there is none. */
static inline struct page *mrm_entry_frame(void *entry)
{
	return xa_pointer_tag(entry) == MRM_ENTRY_ZIPPED ? NULL : xa_untag_pointer(entry);
}

void mrm_entry_count(struct mrm_vm *vm, void *entry, long delta);
void mrm_entry_replace(struct mrm_vm *vm, unsigned long index, struct page *old, void *new);
bool mrm_entry_exchange(struct mrm_vm *vm, unsigned long index, void *old, void *new);
struct page *mrm_entry_begin_return(struct mrm_vm *vm, unsigned long index, void *entry,
				    gfp_t flags, bool reading);
void mrm_entry_cancel_return(struct mrm_vm *vm, unsigned long index, struct page *frame,
			     void *entry);
int mrm_entry_lock_private(struct mrm_vm *vm, unsigned long index, struct page *frame);
void mrm_entry_unmap(struct mrm_vm *vm, unsigned long first, unsigned long pages);

#endif
