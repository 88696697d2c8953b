// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "swap.h"
#include "trace.h"
#include "vm.h"

#define KEEP_PER_FREE	4	/* slots that are kept for each that is free */
#define GIVE_LOOKS	256	/* guest pages that are looked at for slots that are given back */

/*
 * Is a slot worth more as the copy of a page that has a frame than to write another to it?  As long
 * as so many are free that runs of pages are written to slots in a row.
 */
static bool has_room(const struct mrm_vm *vm)
{
	return mrm_swap_free_slots(vm) * KEEP_PER_FREE >
	       mrm_counter_read(&vm->counters, MRM_SWAP_CACHED) && !mrm_swap_is_doubtful(vm);
}

/**
 * mrm_guest_cached_may_take() - may what is in swap, too, be given up in memory?
 * @vm: the VM
 *
 * Return: false while its disk fails or hangs, and what is in memory may be all there is.
 */
bool mrm_guest_cached_may_take(struct mrm_vm *vm)
{
	return mrm_counter_read(&vm->counters, MRM_SWAP_CACHED) && mrm_swap_has_room(vm) &&
	       !mrm_swap_is_doubtful(vm) && !mrm_guest_swap_hangs(vm);
}

/**
 * mrm_guest_cached_keep() - a guest page was read from swap: keep its slot, or free it
 * @vm: the VM
 * @index: the guest page
 * @frame: its frame: private, locked, not mapped yet
 * @entry: what it had: slot and checksum
 *
 * Where there is no memory to remember it, the slot is free.
 *
 * Context: Does not wait for memory or I/O.
 */
void mrm_guest_cached_keep(struct mrm_vm *vm, unsigned long index, struct page *frame, void *entry)
{
	void *old;

	/* Who switches sharing off looks again until there is none: see drop_all(). */
	if (!READ_ONCE(vm->cow) || !READ_ONCE(vm->share) || !has_room(vm)) {
		mrm_swap_free(vm, mrm_entry_slot(entry));
		return;
	}
	old = xa_store(&vm->cached, index, entry,
		       GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC);
	if (xa_is_err(old)) {
		mrm_swap_free(vm, mrm_entry_slot(entry));
		return;
	}
	WARN_ON_ONCE(old);
	/* Counted before it can be mapped: see mrm_guest_file_stop_cow(). */
	mrm_count(vm, MRM_SWAP_CACHED, 1);
	mrm_frame_set_cached(frame, true);
}

/* Return: what it had, which is the caller's. */
static void *forget(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	void *entry = xa_erase(&vm->cached, index);

	WARN_ON_ONCE(!entry);
	mrm_frame_set_cached(frame, false);
	mrm_count(vm, MRM_SWAP_CACHED, -1);
	return entry;
}

/**
 * mrm_guest_cached_drop() - it is not any more what its slot holds, or is about to be
 * @vm: the VM
 * @index: the guest page
 * @frame: its frame, locked; nothing is done if it has no slot, as a shared or large one never has
 *
 * Context: Atomic inside.
 */
void mrm_guest_cached_drop(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	if (mrm_frame_is_cached(frame))
		mrm_swap_free(vm, mrm_entry_slot(forget(vm, index, frame)));
}

/**
 * mrm_guest_cached_take() - frame -> the slot that still holds the same
 * @vm: the VM
 * @index: the guest page
 * @frame: its frame: private, locked, unmapped, and nobody else has a reference; the caller's to
 *	free when it is taken
 *
 * That it does is looked at once more: somebody who had written to it unseen would cost a write
 * then, and not what he wrote.
 *
 * Context: Atomic inside.
 * Return: bytes that this frees; 0 if it has no such slot.
 */
unsigned int mrm_guest_cached_take(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	void *entry;

	if (!mrm_frame_is_cached(frame))
		return 0;
	entry = forget(vm, index, frame);
	if (WARN_ON_ONCE(mrm_frame_checksum(frame) != mrm_entry_sum(entry))) {
		mrm_swap_free(vm, mrm_entry_slot(entry));
		return 0;
	}
	mrm_hint_remove(frame);
	mrm_entry_replace(vm, index, frame, entry);
	mrm_count(vm, MRM_SWAP_KEPT, 1);
	trace_mrm_swap_out(vm->pid, index, mrm_entry_slot(entry));
	return PAGE_SIZE;
}

/**
 * mrm_guest_cached_give() - slots are needed for pages that are in memory alone
 * @vm: the VM
 * @n: how many
 *
 * Else what has a slot already could be taken, but the others could not, and it would be in vain
 * to draw them.
 *
 * Context: Waits for nothing, so it may be called with frames locked.
 * Return: how many were given back.
 */
unsigned int mrm_guest_cached_give(struct mrm_vm *vm, unsigned int n)
{
	unsigned long index = READ_ONCE(vm->next_cached);
	unsigned int looks, given = 0;
	struct page *frame;

	for (looks = 0; given < n && looks < GIVE_LOOKS; looks++, index++) {
		if (!xa_find(&vm->cached, &index, ULONG_MAX, XA_PRESENT)) {
			if (!index)
				break;
			/* Around, to 0. */
			index = ULONG_MAX;
			continue;
		}
		frame = mrm_guest_page_get(vm, index);
		if (!frame)
			continue;
		if (!mrm_entry_lock_private(vm, index, frame)) {
			given += mrm_frame_is_cached(frame);
			mrm_guest_cached_drop(vm, index, frame);
			mrm_frame_unlock(frame);
		}
		put_page(frame);
	}
	WRITE_ONCE(vm->next_cached, index);
	return given;
}

/**
 * mrm_guest_cached_drop_all() - no guest page keeps a slot any more
 * @vm: the VM, whose share is off: none that is read after that keeps its own
 *
 * Context: May sleep, for as long as a fault or a comparison takes.
 * Return: 0 or -EINTR.
 */
int mrm_guest_cached_drop_all(struct mrm_vm *vm)
{
	unsigned long index;
	struct page *frame;
	void *entry;

	xa_for_each(&vm->cached, index, entry) {
		if (signal_pending(current))
			return -EINTR;
		frame = mrm_guest_page_get(vm, index);
		if (!frame)
			continue;
		/* One that is locked while it is read from a disk is not. */
		if (mrm_frame_is_cached(frame)) {
			mrm_frame_lock(frame);
			if (mrm_guest_page_is(vm, index, frame))
				mrm_guest_cached_drop(vm, index, frame);
			mrm_frame_unlock(frame);
		}
		put_page(frame);
		cond_resched();
	}
	return 0;
}
