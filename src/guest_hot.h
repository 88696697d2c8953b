/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Hot guest pages
 *
 * A guest page that is copied again and again for a device that does not reach it is hot: its
 * frame is exchanged for one that the device reaches, without the guest noticing, and while the
 * guest page is hot, each frame it gets anew is such a one, if there is one at once.  Which guest
 * pages are hot is for io.c to say.
 *
 *   private       moved: locked, unmapped, seen to be unpinned, copied
 *   pinned        not now: the DMA that made it hot is still under way; tried again
 *   shared        not moved: its frame is others', too.  Who writes to it gets a frame of its
 *                 own, and that is a low one.  The zero frame is low from the beginning
 *   large         the large frame is broken, then its part is moved; there is none again as
 *                 long as one of its guest pages is hot
 *   zipped, swapped, or nothing
 *                 there is nothing to move; it gets a low frame when it gets one
 */
#ifndef MRM_GUEST_HOT_H
#define MRM_GUEST_HOT_H

#include <linux/gfp.h>
#include <linux/types.h>

struct mrm_vm;
struct page;

#define MRM_LOW_END	BIT_ULL(32)	/* low memory is below it */

/* The zone whose pages are below a device's last address, or some of them. */
static inline gfp_t mrm_low_zone(u64 limit)
{
	return limit >= MRM_LOW_END - 1 ? GFP_DMA32 : GFP_DMA;
}

int mrm_guest_hot_move(struct mrm_vm *vm, unsigned long index, u64 limit, int *node);
int mrm_guest_hot_return(struct mrm_vm *vm, unsigned long index, int node);
bool mrm_guest_hot_is_short(void);
bool mrm_guest_hot_was_used(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_hot_is_needless(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_is_hot(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_any_hot(struct mrm_vm *vm, unsigned long first, unsigned long pages);
int mrm_guest_set_hot(struct mrm_vm *vm, unsigned long index, u64 limit);
void mrm_guest_set_cold(struct mrm_vm *vm, unsigned long index);
void mrm_guest_hot_forget(struct mrm_vm *vm);
struct page *mrm_guest_hot_alloc(struct mrm_vm *vm, unsigned long index, gfp_t flags);

#endif
