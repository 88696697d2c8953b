// SPDX-License-Identifier: GPL-2.0
/*
 * Taking private frames from a VM: whatever becomes of them, they are locked, unmapped and
 * seen to be unpinned first.
 */
#include <linux/mm.h>

#include "frame.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "swap.h"
#include "vm.h"
#include "zip.h"

/**
 * mrm_guest_pages_may_take() - may guest pages that hold anything be taken?
 * @vm: the VM
 *
 * Return: false if there is no room for what they hold, or no way to get it there now.
 */
bool mrm_guest_pages_may_take(struct mrm_vm *vm)
{
	return mrm_zip_may(vm) || (mrm_swap_has_room(vm) && !mrm_guest_swap_waits(vm));
}

/*
 * The private frames of a run that nobody else has locked, locked.  If there is no room for
 * any, those alone that look like nothing but zeroes, or are in swap, too.  *resident: guest pages
 * that have a frame.  Return: some are mapped.
 */
static bool lock_run(struct mrm_vm *vm, unsigned long first, unsigned int pages,
		     struct page **frames, unsigned int *resident)
{
	bool mapped = false, all = mrm_guest_pages_may_take(vm);
	bool cached = mrm_guest_cached_may_take(vm);
	unsigned int i;

	*resident = mrm_guest_pages_get_private(vm, first, pages, true, frames);
	for (i = 0; i < pages; i++) {
		struct page *frame = frames[i];

		if (!frame)
			continue;
		/* Large ones are broken first. */
		if (mrm_frame_is_large(frame) || PageHWPoison(frame) ||
		    (!all && !(cached && mrm_frame_is_cached(frame)) &&
		     !mrm_frame_contents_zero(frame)) ||
		    folio_maybe_dma_pinned(page_folio(frame)) ||
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
 * struct out - a guest page that is to be swapped
 * @index: the guest page
 * @frame: its frame: private, locked, unmapped, with a reference of ours
 */
struct out {
	unsigned long index;
	struct page *frame;
};

/* Begin to write them, as far as there is room.  Return: how many. */
static unsigned int write_out(struct mrm_vm *vm, const struct out *out, unsigned int n)
{
	unsigned int i = 0, writing = 0;
	struct mrm_write *w;

	while (i < n && (w = mrm_guest_write_begin(vm, n - i))) {
		while (i < n && mrm_guest_write_add(w, out[i].index, out[i].frame, PAGE_SIZE))
			i++;
		writing += mrm_guest_write_submit(w);
	}
	return writing;
}

/**
 * mrm_guest_pages_take() - take the private frames of neighbouring guest pages
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many, up to MRM_TAKE_RUN
 * @taken: where to add what that brought
 *
 * A zero page becomes nothing; another is zipped; one that does not fit is swapped, if its slot
 * still holds the same, or begins to be written to swap, if there is any.  Those that are shared,
 * pinned, being written, locked by others or parts of a large frame are left alone.
 *
 * Decide, unmap, check the reference count, then read: as in mrm_guest_pages_share().
 *
 * Context: May sleep, but not for memory or I/O.
 * Return: how many of them have, or had, frames.
 */
unsigned int mrm_guest_pages_take(struct mrm_vm *vm, unsigned long first, unsigned int pages,
				  struct mrm_taken *taken)
{
	unsigned int i, bytes, n = 0, resident;
	struct page *frames[MRM_TAKE_RUN];
	struct out out[MRM_TAKE_RUN];

	if (lock_run(vm, first, pages, frames, &resident))
		mrm_entry_unmap(vm, first, pages);
	for (i = 0; i < pages; i++) {
		struct page *frame = frames[i];

		if (!frame)
			continue;
		/* The entry's reference and ours, as in share_unmapped(). */
		if (page_count(frame) == 2) {
			bytes = mrm_guest_page_zip(vm, first + i, frame);
			if (!bytes && mrm_guest_cached_may_take(vm))
				bytes = mrm_guest_cached_take(vm, first + i, frame);
			if (!bytes) {
				out[n++] = (struct out){ first + i, frame };
				continue;
			}
			taken->bytes += bytes;
			mrm_frame_unlock(frame);
			mrm_frame_free(frame);
		} else {
			mrm_frame_unlock(frame);
		}
		put_page(frame);
	}
	taken->writing += (unsigned long)write_out(vm, out, n) * PAGE_SIZE;
	for (i = 0; i < n; i++) {
		/* Before it is unlocked: a write that ends at once is to find it unused. */
		put_page(out[i].frame);
		mrm_frame_unlock(out[i].frame);
	}
	return resident;
}
