// SPDX-License-Identifier: GPL-2.0
/*
 * The states private and shared of a guest page, and from one to the other: what the
 * scanner does, and what an administrator takes back.  A write that breaks a shared
 * page is in guest_page.c.
 */
#include <linux/err.h>
#include <linux/mm.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "trace.h"
#include "vm.h"

/* The frame is locked and unmapped. */
static void share_unmapped(struct mrm_share_op *op)
{
	/* Asked now: once it is shared others may break it and free it. */
	bool zero = mrm_frame_is_zero(op->shared);

	/* The entry's reference and the caller's.  Both an unmapping and a
	 * lockless pin are full barriers: one of the two sees the other.
	 */
	if (page_count(op->frame) != 2) {
		op->err = -EBUSY;
	} else if (!mrm_frames_equal(op->frame, op->shared)) {
		op->err = -ESTALE;
	} else {
		mrm_hint_remove(op->frame);
		mrm_entry_replace(op->vm, op->index, op->frame,
				  mrm_frame_entry(op->shared));
	}
	mrm_frame_unlock(op->frame);
	if (op->err)
		return;
	mrm_frame_free(op->frame);
	trace_mrm_share(op->vm->pid, op->index, zero);
}

/*
 * Neighbours that are locked and unmapped together.  More would be cheaper still,
 * but who wants one of them meanwhile waits for a thread of low priority.
 */
#define SHARE_RUN	16

/* Share neighbours; returns how many of them were tried. */
static unsigned int share_run(struct mrm_share_op *ops, unsigned int n)
{
	bool mapped = false;
	unsigned int run, i;

	n = min_t(unsigned int, n, SHARE_RUN);
	for (run = 0; run < n; run++) {
		if (ops[run].vm != ops[0].vm || ops[run].index != ops[0].index + run)
			break;
		ops[run].err = mrm_entry_lock_private(ops[run].vm, ops[run].index,
						      ops[run].frame);
		if (ops[run].err)
			break;
		mapped |= folio_mapped(page_folio(ops[run].frame));
	}
	if (mapped)
		mrm_entry_unmap(ops[0].vm, ops[0].index, run);
	for (i = 0; i < run; i++)
		share_unmapped(&ops[i]);
	/* The one that could not be locked ended the run, and is done. */
	return run < n && ops[run].err ? run + 1 : run;
}

/**
 * mrm_guest_pages_share() - private -> shared, for several guest pages
 * @ops: which, and with what; neighbours in guest memory should be neighbours here
 * @n: how many
 *
 * Decide, unmap, check the reference count, then compare: only after the unmap
 * do the contents hold still, and only while no one else holds a pin.  To unmap
 * costs a flush of TLBs, and costs it once for a run of neighbours.
 *
 * A run's page locks are all held at a time.  Only the first lock of many is
 * ever waited for elsewhere, and here none is: no two can wait for each other.
 *
 * Each op's err is set: 0, and then the name of the shared frame is the guest
 * page's; -EBUSY if the frame is locked or pinned; -EAGAIN if the guest page no
 * longer has it; -ESTALE if the two differ.
 *
 * Context: The share lock is held; may sleep.
 */
void mrm_guest_pages_share(struct mrm_share_op *ops, unsigned int n)
{
	unsigned int done, i;

	for (i = 0; i < n; i++)
		ops[i].err = 0;
	for (done = 0; done < n; done += share_run(&ops[done], n - done))
		mrm_cond_resched();
}

/**
 * mrm_guest_page_unshare() - make a guest page private, on an administrator's word
 * @vm: the VM
 * @index: the guest page
 *
 * A zero page becomes nothing at all: it reads the same and needs no memory.
 *
 * Context: May sleep; the share lock is held.
 * Return: 0, also if it was not shared; -ENOMEM; -EINTR.
 */
int mrm_guest_page_unshare(struct mrm_vm *vm, unsigned long index)
{
	struct page *shared, *frame;
	int err = 0;

	shared = mrm_guest_page_get(vm, index);
	if (!shared)
		return 0;
	if (mrm_frame_is_zero(shared)) {
		mrm_frame_lock(shared);
		if (mrm_guest_page_is(vm, index, shared)) {
			/* Nobody maps it again without its lock. */
			mrm_entry_unmap(vm, index, 1);
			mrm_entry_replace(vm, index, shared, NULL);
			mrm_frame_unlock(shared);
			mrm_shared_put(shared);
		} else {
			mrm_frame_unlock(shared);
			err = -EAGAIN;
		}
	} else if (mrm_frame_is_shared(shared)) {
		frame = mrm_guest_page_break(vm, index, shared, MRM_KILL_NOBODY);
		if (IS_ERR(frame)) {
			err = PTR_ERR(frame);
		} else {
			mrm_frame_unlock(frame);
			put_page(frame);
		}
	}
	put_page(shared);
	/* A guest page loses a shared frame by itself, never gets one back
	 * while the share lock is held (but for zero, which asks the salt).
	 */
	return err == -EAGAIN ? 0 : err;
}

/**
 * mrm_guest_page_hint() - enter a private frame into the frame table
 * @vm: the VM
 * @index: the guest page
 * @frame: the private frame it was seen to have, with a reference
 * @hash: of its contents
 *
 * Return: false if the guest page has it no longer, or it is busy.
 */
bool mrm_guest_page_hint(struct mrm_vm *vm, unsigned long index, struct page *frame, u64 hash)
{
	bool mine;

	/* As it is for most, pass after pass.  A hint may be wrong. */
	if (hash && mrm_frame_hash(frame) == hash)
		return true;
	if (!mrm_frame_trylock(frame))
		return false;
	mine = !mrm_frame_is_shared(frame) && mrm_guest_page_is(vm, index, frame);
	if (mine && hash)
		mrm_hint_insert(frame, hash);
	else if (mine)
		mrm_hint_remove(frame);
	mrm_frame_unlock(frame);
	return mine;
}

/**
 * mrm_guest_page_bar() - never share this guest page again: a false match
 * @vm: the VM
 * @index: the guest page
 * @frame: the private frame it was seen to have, with a reference
 *
 * Until it is discarded or broken, that is: what it holds then is new.
 */
void mrm_guest_page_bar(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	XA_STATE(xas, &vm->pages, index);
	bool newly;

	xas_lock(&xas);
	newly = xas_load(&xas) == frame && !xas_get_mark(&xas, MRM_MARK_INELIGIBLE);
	if (newly)
		xas_set_mark(&xas, MRM_MARK_INELIGIBLE);
	xas_unlock(&xas);
	if (newly)
		mrm_count(vm, MRM_INELIGIBLE, 1);
}
