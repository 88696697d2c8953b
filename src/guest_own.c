// SPDX-License-Identifier: GPL-2.0
/*
 * Shared -> private, in place: a shared frame that one guest page alone names, as the others were
 * written to or discarded, saves nothing, and only private frames are zipped or swapped.
 *
 * Who finds a frame shared asks that once and goes by it, without a lock.  So it may end only
 * while nobody can have found it: the frame's references, the entry's and ours, are frozen
 * meanwhile.  Whoever maps it, has it pinned, or is about to unmap it under another name that
 * is gone already (a discard drops first) has one more, and then it stays shared.
 */
#include <linux/mm.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "vm.h"

/* Shared guest pages that are looked at, at the most, to find one. */
#define LOOKS	1024U

/*
 * A guess, without a lock.  What another cgroup pays for stays what it is: nothing can charge it
 * to this one.
 */
static bool is_alone(struct mrm_vm *vm, struct page *frame)
{
	return mrm_frame_is_shared(frame) && !mrm_frame_is_zero(frame) &&
	       atomic_long_read(mrm_frame_refs(frame)) == 1 && !PageHWPoison(frame) &&
	       !folio_maybe_dma_pinned(page_folio(frame)) && !mrm_frame_is_held(frame) &&
	       mrm_frame_is_charged_to(frame, vm);
}

/* The frame of an entry, with a reference, if it has no other name.  Context: RCU. */
static struct page *get_alone(struct mrm_vm *vm, struct xa_state *xas, void *entry)
{
	struct page *frame = xas_retry(xas, entry) ? NULL : mrm_entry_frame(entry);

	/* A guess before there is one: many VMs take references of what many share. */
	if (!frame || atomic_long_read(mrm_frame_refs(frame)) != 1 || !mrm_frame_tryget(frame))
		return NULL;
	/* As in mrm_guest_page_get(). */
	if (xas_reload(xas) == entry && is_alone(vm, frame))
		return frame;
	put_page(frame);
	return NULL;
}

/**
 * mrm_guest_pages_find_alone() - find a guest page that shares its frame with no other
 * @vm: the VM
 * @index: the first guest page to look at; receives the one that was found
 * @last: the last one; not very many of those that are shared are looked at, however
 *
 * Context: Atomic inside.
 * Return: false if there was none.
 */
bool mrm_guest_pages_find_alone(struct mrm_vm *vm, unsigned long *index, unsigned long last)
{
	XA_STATE(xas, &vm->pages, *index);
	unsigned int looks = 0;
	struct page *frame;
	void *entry;

	rcu_read_lock();
	xas_for_each_marked(&xas, entry, last, MRM_MARK_SHARED) {
		frame = get_alone(vm, &xas, entry);
		if (frame) {
			*index = xas.xa_index;
			put_page(frame);
			break;
		}
		if (++looks == LOOKS) {
			entry = NULL;
			break;
		}
	}
	rcu_read_unlock();
	return entry;
}

/*
 * Those of a run, with references.  *mapped: some are.  What was in use since it was looked at
 * last, or was made when its equal was expected, gets another chance.  Return: there are any.
 */
static bool get_run(struct mrm_vm *vm, unsigned long first, unsigned int pages,
		    struct page **frames, bool *mapped)
{
	XA_STATE(xas, &vm->pages, first);
	struct page *frame;
	bool any = false;
	void *entry;

	memset(frames, 0, pages * sizeof(*frames));
	rcu_read_lock();
	xas_for_each_marked(&xas, entry, first + pages - 1, MRM_MARK_SHARED) {
		frame = get_alone(vm, &xas, entry);
		if (!frame)
			continue;
		if (folio_test_referenced(page_folio(frame))) {
			folio_clear_referenced(page_folio(frame));
			put_page(frame);
			continue;
		}
		frames[xas.xa_index - first] = frame;
		*mapped |= folio_mapped(page_folio(frame));
		any = true;
	}
	rcu_read_unlock();
	return any;
}

/*
 * The frame is locked, unmapped, and has a reference of the caller's.  Return: what its contents
 * hash to; 0: it stays shared.
 */
static u64 own(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	XA_STATE(xas, &vm->pages, index);
	struct folio *folio = page_folio(frame);
	u64 hash = 0;

	/* xa_lock, and under it a stripe lock.  Others spin until it has references again. */
	xas_lock(&xas);
	if (xas_load(&xas) == xa_tag_pointer(frame, MRM_ENTRY_SHARED) &&
	    folio_ref_freeze(folio, 2)) {
		hash = mrm_shared_end(frame);
		if (hash) {
			mrm_frame_own(frame, vm, index);
			/* The slot exists: nothing to allocate. */
			xas_store(&xas, frame);
			xas_clear_mark(&xas, MRM_MARK_SHARED);
			xas_set_mark(&xas, MRM_MARK_PRIVATE);
		}
		folio_ref_unfreeze(folio, 2);
	}
	xas_unlock(&xas);
	return hash;
}

/* Return: it is the guest page's own. */
static bool try_own(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	u64 hash = 0;

	if (!mrm_frame_trylock(frame))
		return false;
	if (!PageHWPoison(frame))
		hash = own(vm, index, frame);
	if (hash) {
		mrm_count(vm, MRM_SHARED, -1);
		mrm_count(vm, MRM_PRIVATE, 1);
		mrm_count(vm, MRM_OWNED, 1);
		/* Who equals it still finds it, and may get it: not before it has references. */
		mrm_hint_insert(frame, hash);
	}
	mrm_frame_unlock(frame);
	return hash;
}

/**
 * mrm_guest_pages_own() - make shared frames their guest pages' own, where nobody else names them
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many, up to MRM_TAKE_RUN
 *
 * Those that are pinned, locked by others, mapped again meanwhile, or charged to another memory
 * cgroup stay shared.  If there are any, all of the run is unmapped.
 *
 * Context: May sleep, but not for memory or I/O.
 * Return: how many are their own now.
 */
unsigned int mrm_guest_pages_own(struct mrm_vm *vm, unsigned long first, unsigned int pages)
{
	struct page *frames[MRM_TAKE_RUN];
	unsigned int i, owned = 0;
	bool mapped = false;

	if (!get_run(vm, first, pages, frames, &mapped))
		return 0;
	/* With none of them locked: others who want to name one would wait for this process. */
	if (mapped)
		mrm_entry_unmap(vm, first, pages);
	for (i = 0; i < pages; i++) {
		if (!frames[i])
			continue;
		owned += try_own(vm, first + i, frames[i]);
		put_page(frames[i]);
	}
	return owned;
}
