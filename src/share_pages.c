// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_page.h"
#include "large_scan.h"
#include "share_pages.h"
#include "vm.h"

/**
 * struct block - the block that is being shared
 * @frames: of its guest pages
 * @own: those that may become shared
 * @nr_own: how many
 * @hash: of each in @own; 0: of zeroes
 * @alone: of each in @own: its hint failed
 * @hint: what is to be shared with them: other private pages
 * @nr_hint: how many
 * @partner: of each in @hint, in @own
 */
struct block {
	struct page *frames[MRM_SHARE_BLOCK];
	struct mrm_share_op own[MRM_SHARE_BLOCK];
	unsigned int nr_own;
	u64 hash[MRM_SHARE_BLOCK];
	bool alone[MRM_SHARE_BLOCK];
	struct mrm_share_op hint[MRM_SHARE_BLOCK];
	unsigned int nr_hint;
	unsigned int partner[MRM_SHARE_BLOCK];
};

/* Under the share lock; too large for a stack. */
static struct block block;

/*
 * A page differs from the shared frame that it had the same hash as.  A false
 * match?  Or has it changed since it was hashed?
 */
static bool changed(const struct mrm_share_op *op, u64 hash)
{
	return mrm_frame_compute_hash(op->frame, op->vm->salt) != hash;
}

/*
 * Another private page had this hash: have a shared frame made for both, and put
 * it on the list.  It is filled from this one: is the hint stale, nothing of this
 * one has been unmapped for it.
 */
static struct page *find_hint(struct mrm_vm *vm, struct page *frame, u64 hash)
{
	struct mrm_share_op *hint = &block.hint[block.nr_hint];
	struct page *shared = NULL;

	hint->frame = mrm_hint_get(hash, vm->salt, frame, &hint->vm, &hint->index);
	if (!hint->frame)
		return NULL;
	if (READ_ONCE(hint->vm->cow) && READ_ONCE(hint->vm->share))
		shared = mrm_shared_create(vm, hash, vm->salt, frame, MRM_SPARE);
	/* The guest may have written since it was hashed.  A shared frame that is not
	 * what its hash says would turn away all that are.
	 */
	if (shared && mrm_frame_compute_hash(shared, vm->salt) != hash) {
		mrm_shared_put(shared);
		shared = NULL;
	}
	if (!shared) {
		put_page(hint->frame);
		mrm_vm_put(hint->vm);
		return NULL;
	}
	/* A name for each of the two. */
	atomic_long_inc(mrm_frame_refs(shared));
	hint->shared = shared;
	block.partner[block.nr_hint++] = block.nr_own;
	return shared;
}

/* Find what a page may share; false if there is nothing. */
static bool look_up(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	struct page *shared;
	u64 hash = 0;

	if (mrm_frame_contents_zero(frame)) {
		shared = mrm_shared_zero(vm, vm->salt, MRM_SPARE);
	} else {
		hash = mrm_frame_compute_hash(frame, vm->salt);
		mrm_frame_table_make_room(hash);
		shared = mrm_shared_get(hash, vm->salt, false) ?: find_hint(vm, frame, hash);
		/* At once: it may have an equal in this very block. */
		if (!shared)
			mrm_guest_page_hint(vm, index, frame, hash);
	}
	if (!shared)
		return false;
	block.hash[block.nr_own] = hash;
	block.alone[block.nr_own] = false;
	block.own[block.nr_own++] = (struct mrm_share_op){
		.vm = vm, .index = index, .frame = frame, .shared = shared,
	};
	return true;
}

/* A hint was not what it had been: drop it, or the page that it was hit by. */
static void hint_failed(struct mrm_share_op *hint, unsigned int partner)
{
	struct mrm_share_op *own = &block.own[partner];
	u64 hash = block.hash[partner];

	mrm_shared_put(hint->shared);
	block.alone[partner] = true;
	if (hint->err != -ESTALE)
		return;
	if (!changed(hint, hash)) {
		if (!changed(own, hash))
			mrm_guest_page_bar(own->vm, own->index, own->frame);
	} else if (mrm_frame_hash(hint->frame) == hash) {
		/* It may have been looked up since, and be a hint for what it is now. */
		mrm_guest_page_hint(hint->vm, hint->index, hint->frame, 0);
	}
}

static void share_hints(void)
{
	unsigned int i;

	mrm_guest_pages_share(block.hint, block.nr_hint);
	for (i = 0; i < block.nr_hint; i++) {
		struct mrm_share_op *hint = &block.hint[i];

		if (hint->err)
			hint_failed(hint, block.partner[i]);
		put_page(hint->frame);
		mrm_vm_put(hint->vm);
	}
}

/* Done with a page that could not be shared: it may serve as a hint. */
static void give_up(const struct mrm_share_op *op, u64 hash)
{
	if (op->err == -ESTALE && hash && !changed(op, hash))
		mrm_guest_page_bar(op->vm, op->index, op->frame);
	mrm_shared_put(op->shared);
	if (hash)
		mrm_guest_page_hint(op->vm, op->index, op->frame, hash);
	put_page(op->frame);
}

/* Those whose hint failed, unless others in the block found the same frame. */
static void leave_out_alone(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < block.nr_own; i++) {
		struct mrm_share_op *op = &block.own[i];

		if (block.alone[i] && atomic_long_read(mrm_frame_refs(op->shared)) == 1) {
			give_up(op, block.hash[i]);
			continue;
		}
		block.own[n] = *op;
		block.hash[n++] = block.hash[i];
	}
	block.nr_own = n;
}

static unsigned int share_own(void)
{
	unsigned int i, shared = 0;

	mrm_guest_pages_share(block.own, block.nr_own);
	for (i = 0; i < block.nr_own; i++) {
		if (block.own[i].err) {
			give_up(&block.own[i], block.hash[i]);
		} else {
			put_page(block.own[i].frame);
			shared++;
		}
	}
	return shared;
}

/**
 * mrm_share_pages() - try to share neighbouring guest pages
 * @vm: the VM, which may share
 * @first: the first guest page
 * @pages: how many, up to MRM_SHARE_BLOCK
 * @note: what breaking large frames would save is noted
 * @scanned: where to add how many have a frame
 *
 * Context: The share lock is held; may sleep.
 * Return: how many of the guest pages, private before, are shared now, and what breaking a large
 * frame brought.
 */
unsigned int mrm_share_pages(struct mrm_vm *vm, unsigned long first, unsigned int pages,
			     bool note, unsigned long *scanned)
{
	unsigned long large = 0;
	unsigned int i, resident, freed = 0;

	resident = mrm_guest_pages_get_private(vm, first, pages, false, block.frames);
	mrm_count(vm, MRM_SCANNED, resident);
	*scanned += resident;
	block.nr_own = 0;
	block.nr_hint = 0;
	for (i = 0; i < pages; i++) {
		struct page *frame = block.frames[i];

		if (!frame)
			continue;
		if (mrm_frame_is_large(frame)) {
			large = first + i;
			/* What is known of less than that would be half of one pass. */
			if (note)
				mrm_large_scan_part(vm, frame);
			put_page(frame);
		} else if (PageHWPoison(frame) || folio_maybe_dma_pinned(page_folio(frame)) ||
			   !look_up(vm, first + i, frame)) {
			put_page(frame);
		}
		mrm_cond_resched();
	}
	if (large)
		freed = mrm_large_scanned(vm, large);
	share_hints();
	leave_out_alone();
	return freed + share_own();
}
