/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Guest pages in large frames
 *
 * A large frame backs MRM_LARGE_PAGES guest pages that begin at a multiple of 2 MiB: each of
 * them has one of its parts, by an entry and a reference of its own, as if that were a private
 * frame.  The part's lock is that of the whole.  While all of its parts are guest pages' the
 * core maps it as one, and so does KVM.
 *
 * As soon as one is not, it is broken: it is marked so that the core maps no more than single
 * parts of it (which it does not do, either, where a page table is in the way).  So a guest page
 * that lost its part is never reached through the frame.  What is left in a broken frame moves
 * out, part by part: what is zero becomes nothing, all else gets a frame of its own.  The memory
 * comes back with the last part; until then those that are nobody's are held for nothing.
 *
 * A frame that is pinned in one of its parts cannot be moved out of, but broken it can be.
 */
#ifndef MRM_GUEST_LARGE_H
#define MRM_GUEST_LARGE_H

#include <linux/math.h>
#include <linux/types.h>

#include "frame.h"
#include "vm.h"

struct page;
struct vm_area_struct;
struct vm_fault;

#define MRM_REBUILDING	1UL	/* in mrm_vm.rebuilding */

/* What became of a large frame, in the trace. */
enum mrm_large_event { MRM_LARGE_WAS_POPULATED, MRM_LARGE_WAS_BROKEN, MRM_LARGE_WAS_REBUILT };

/**
 * struct mrm_large_look - what a large frame is like
 * @broken: it is
 * @rebuilt: it was, and has not been mapped as a whole since
 * @scanned: all of it has been
 * @saves: parts that breaking it would save
 */
struct mrm_large_look {
	bool broken, rebuilt, scanned;
	unsigned int saves;
};

/* Is what a part of a VM's holds, of this hash, likely to have an equal? */
typedef bool mrm_expects_fn(struct mrm_vm *vm, u64 hash, struct page *part);

/* Is a large frame being made of guest pages that this one is of? */
static inline bool mrm_guest_large_is_rebuilding(const struct mrm_vm *vm, unsigned long index)
{
	return READ_ONCE(vm->rebuilding) == (round_down(index, MRM_LARGE_PAGES) | MRM_REBUILDING);
}

void mrm_guest_large_allow(bool allow);
bool mrm_guest_large_is_wanted(const struct vm_area_struct *vma);
struct page *mrm_guest_large_populate(struct mrm_vm *vm, struct vm_fault *vmf);
void mrm_guest_large_is_mapped(struct mrm_vm *vm, struct page *frame);
void mrm_guest_large_leave(struct mrm_vm *vm, struct page *frame);
unsigned long mrm_guest_large_drop(struct mrm_vm *vm, unsigned long first);
int mrm_guest_large_break(struct mrm_vm *vm, unsigned long index, mrm_expects_fn *expects,
			  bool wait, unsigned int *freed);
void mrm_guest_large_fill_reserve(void);
bool mrm_guest_large_find(struct mrm_vm *vm, unsigned long first, unsigned long *index);
void mrm_guest_large_unmap(struct mrm_vm *vm, unsigned long index);
int mrm_guest_large_may_rebuild(struct mrm_vm *vm, unsigned long first);
int mrm_guest_large_rebuild(struct mrm_vm *vm, unsigned long first);
int mrm_guest_large_wait_rebuilt(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_large_look(struct mrm_vm *vm, unsigned long index, struct mrm_large_look *look);
void mrm_guest_large_scanned(struct mrm_vm *vm, struct page *frame, bool saved, bool zero);
unsigned int mrm_guest_large_untouched(struct page *frame);

#endif
