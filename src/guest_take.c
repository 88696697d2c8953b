// SPDX-License-Identifier: GPL-2.0
/*
 * Taking private frames from a VM: whatever becomes of them, they are locked, unmapped and
 * seen to be unpinned first.
 */
#include <linux/mm.h>

#include "frame.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "swap.h"
#include "vm.h"
#include "zip.h"

/* May it become anything but nothing? */
static bool may_keep(struct mrm_vm *vm)
{
	return mrm_zip_may(vm) || mrm_swap_free_slots(vm);
}

/*
 * The private frames of a run that nobody else has locked, locked.  If there is no room for
 * any, those alone that look like nothing but zeroes.  Return: some are mapped.
 */
static bool lock_run(struct mrm_vm *vm, unsigned long first, unsigned int pages,
		     struct page **frames)
{
	bool mapped = false, all = may_keep(vm);
	unsigned int i;

	mrm_guest_pages_get_private(vm, first, pages, true, frames);
	for (i = 0; i < pages; i++) {
		struct page *frame = frames[i];

		if (!frame)
			continue;
		if (PageHWPoison(frame) || (!all && !mrm_frame_contents_zero(frame)) || folio_maybe_dma_pinned(page_folio(frame)) ||
		    mrm_entry_lock_private(vm, first + i, frame)) {
			put_page(frame);
			frames[i] = NULL;
			continue;
		}
		mapped |= folio_mapped(page_folio(frame));
	}
	return mapped;
}

/**
 * mrm_guest_pages_take() - take the private frames of neighbouring guest pages
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many, up to MRM_TAKE_RUN
 * @looked: where to add how many were looked at
 *
 * A zero page becomes nothing; another is zipped, or, if it does not fit, begins to be
 * written to swap, if there is any.  Those that are shared, pinned, being written or locked
 * by others are left alone.
 *
 * Decide, unmap, check the reference count, then read: as in mrm_guest_pages_share().
 *
 * Context: May sleep, but not for memory or I/O.
 * Return: bytes that were freed, or will be when they are written.
 */
unsigned long mrm_guest_pages_take(struct mrm_vm *vm, unsigned long first, unsigned int pages,
				   unsigned int *looked)
{
	struct page *frames[MRM_TAKE_RUN];
	struct mrm_out out[MRM_TAKE_RUN];
	unsigned int i, bytes, n = 0;
	unsigned long freed = 0;

	if (lock_run(vm, first, pages, frames))
		mrm_entry_unmap(vm, first, pages);
	for (i = 0; i < pages; i++) {
		struct page *frame = frames[i];

		if (!frame)
			continue;
		++*looked;
		/* The entry's reference and ours, as in share_unmapped(). */
		if (page_count(frame) == 2) {
			bytes = mrm_guest_page_zip(vm, first + i, frame);
			if (!bytes) {
				out[n++] = (struct mrm_out){ first + i, frame };
				continue;
			}
			freed += bytes;
			mrm_frame_unlock(frame);
			mrm_frame_free(frame);
		} else {
			mrm_frame_unlock(frame);
		}
		put_page(frame);
	}
	if (n)
		freed += mrm_guest_pages_write(vm, out, n) * PAGE_SIZE;
	for (i = 0; i < n; i++) {
		mrm_frame_unlock(out[i].frame);
		put_page(out[i].frame);
	}
	return freed;
}
