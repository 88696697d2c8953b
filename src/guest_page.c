// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_page.h"
#include "vm.h"
#include "trace.h"

static void *shared_entry(struct page *frame)
{
	return xa_tag_pointer(frame, MRM_ENTRY_SHARED);
}

static struct page *entry_frame(void *entry)
{
	return xa_untag_pointer(entry);
}

static void *frame_entry(struct page *frame)
{
	return mrm_frame_is_shared(frame) ? shared_entry(frame) : frame;
}

static void count_frame(struct mrm_vm *vm, struct page *frame, long delta)
{
	if (!mrm_frame_is_shared(frame)) {
		mrm_count(vm, MRM_PRIVATE, delta);
		return;
	}
	mrm_count(vm, MRM_SHARED, delta);
	if (mrm_frame_is_zero(frame))
		mrm_count(vm, MRM_ZERO, delta);
}

/*
 * The frame of a guest page with a reference, and the entry it was found by.
 * As in the page cache: take the reference first, then see that the entry is
 * still what it was; the entry itself holds a reference.
 */
static struct page *get_frame(struct mrm_vm *vm, unsigned long index, void **entry)
{
	struct page *frame;

	for (;;) {
		*entry = xa_load(&vm->pages, index);
		if (!*entry)
			return NULL;
		frame = entry_frame(*entry);
		if (get_page_unless_zero(frame)) {
			if (xa_load(&vm->pages, index) == *entry)
				return frame;
			put_page(frame);
		}
		cpu_relax();
	}
}

/**
 * mrm_guest_page_get() - the frame of a guest page
 * @vm: the VM
 * @index: the guest page
 *
 * Return: the frame with a reference, or NULL if it has none.
 */
struct page *mrm_guest_page_get(struct mrm_vm *vm, unsigned long index)
{
	void *entry;

	return get_frame(vm, index, &entry);
}

/**
 * mrm_guest_pages_get_private() - the private frames of neighbouring guest pages
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many
 * @frames: where to: a frame with a reference, or NULL for a guest page that has
 *	none of its own, may not be shared, or is changing just now
 *
 * Context: Atomic inside.
 * Return: how many of the guest pages have a frame, of whatever kind.
 */
unsigned int mrm_guest_pages_get_private(struct mrm_vm *vm, unsigned long first,
					 unsigned int pages, struct page **frames)
{
	XA_STATE(xas, &vm->pages, first);
	unsigned int resident = 0;
	struct page *frame;
	void *entry;

	memset(frames, 0, pages * sizeof(*frames));
	rcu_read_lock();
	xas_for_each(&xas, entry, first + pages - 1) {
		if (xas_retry(&xas, entry))
			continue;
		resident++;
		frame = entry_frame(entry);
		if (entry != frame || xas_get_mark(&xas, MRM_MARK_INELIGIBLE) ||
		    !get_page_unless_zero(frame))
			continue;
		/* As in get_frame(). */
		if (xas_reload(&xas) == entry)
			frames[xas.xa_index - first] = frame;
		else
			put_page(frame);
	}
	rcu_read_unlock();
	return resident;
}

/**
 * mrm_guest_page_is() - is this still the frame of that guest page?
 * @vm: the VM
 * @index: the guest page
 * @frame: a frame with a reference; for a lasting answer, locked
 * Return: true if it is.
 */
bool mrm_guest_page_is(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	return xa_load(&vm->pages, index) == frame_entry(frame);
}

/**
 * mrm_guest_page_lock() - the frame of a guest page, locked
 * @vm: the VM
 * @index: the guest page
 * @killable: give up on a fatal signal
 *
 * While it is locked the guest page keeps it.
 *
 * Context: May sleep, for as long as a fault or a comparison takes.
 * Return: the frame, locked and with a reference; NULL if there is none;
 * ERR_PTR(-EINTR) on a fatal signal.
 */
struct page *mrm_guest_page_lock(struct mrm_vm *vm, unsigned long index, bool killable)
{
	struct page *frame;
	void *entry;

	while ((frame = get_frame(vm, index, &entry))) {
		if (!killable) {
			mrm_frame_lock(frame);
		} else if (mrm_frame_lock_killable(frame)) {
			put_page(frame);
			return ERR_PTR(-EINTR);
		}
		if (xa_load(&vm->pages, index) == entry)
			break;
		mrm_frame_unlock(frame);
		put_page(frame);
	}
	return frame;
}

/* Nothing -> frame.  The frame is locked; it gets the entry's reference. */
static int install(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	XA_STATE(xas, &vm->pages, index);
	bool shared = mrm_frame_is_shared(frame);
	struct mem_cgroup *old;

	get_page(frame);
	old = set_active_memcg(vm->memcg);
	do {
		xas_lock(&xas);
		if (xas_load(&xas)) {
			xas_set_err(&xas, -EEXIST);
		} else if (shared && mrm_frame_salt(frame) != vm->salt) {
			/* The salt was changed after the frame was chosen. */
			xas_set_err(&xas, -EAGAIN);
		} else {
			xas_store(&xas, frame_entry(frame));
			if (shared && !xas_error(&xas))
				xas_set_mark(&xas, MRM_MARK_SHARED);
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL));
	set_active_memcg(old);
	if (xas_error(&xas))
		put_page(frame);
	else
		count_frame(vm, frame, 1);
	return xas_error(&xas);
}

/* Frame -> another, or nothing.  The old one is locked. */
static void replace(struct mrm_vm *vm, unsigned long index, struct page *old, struct page *new)
{
	XA_STATE(xas, &vm->pages, index);
	bool barred;

	/* Counted here: once the entry stands in the open, a fault may break it and
	 * free @new.
	 */
	count_frame(vm, old, -1);
	if (new)
		count_frame(vm, new, 1);
	xas_lock(&xas);
	xas_load(&xas);
	barred = xas_get_mark(&xas, MRM_MARK_INELIGIBLE);
	if (barred)
		xas_clear_mark(&xas, MRM_MARK_INELIGIBLE);
	/* The slot exists: nothing to allocate. */
	xas_store(&xas, new ? frame_entry(new) : NULL);
	if (new && mrm_frame_is_shared(new))
		xas_set_mark(&xas, MRM_MARK_SHARED);
	else if (new)
		xas_clear_mark(&xas, MRM_MARK_SHARED);
	xas_unlock(&xas);
	if (barred)
		mrm_count(vm, MRM_INELIGIBLE, -1);
}

static void unmap(struct mrm_vm *vm, unsigned long first, unsigned long pages)
{
	unmap_mapping_pages(vm->inode.i_mapping, first, pages, false);
}

/* Give up a frame that was installed for nobody to see. */
static void discard_new(struct page *frame)
{
	mrm_frame_unlock(frame);
	mrm_frame_free(frame);
}

/**
 * mrm_guest_page_populate() - first touch: nothing -> private
 * @vm: the VM
 * @index: the guest page
 *
 * Context: In a fault; may sleep.
 * Return: the new frame, zeroed, locked and with a reference; ERR_PTR(-EEXIST)
 * if the guest page got a frame meanwhile, ERR_PTR(-ENOMEM).
 */
struct page *mrm_guest_page_populate(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = mrm_frame_alloc(vm, __GFP_ZERO);
	int err;

	if (!frame)
		return ERR_PTR(-ENOMEM);
	mrm_frame_own(frame, vm, index);
	err = install(vm, index, frame);
	if (!err)
		return frame;
	discard_new(frame);
	return ERR_PTR(err);
}

/**
 * mrm_guest_page_populate_zero() - first touch, by a read: nothing -> shared
 * @vm: the VM; its mappings have page_mkwrite
 * @index: the guest page
 *
 * QEMU reads every page to save, dump or migrate a guest; that must not cost
 * a frame for what the guest has never used.
 *
 * Context: In a fault; may sleep.
 * Return: the zero frame, locked and with a reference; ERR_PTR(-EEXIST or
 * -EAGAIN) to look again, ERR_PTR(-ENOMEM), ERR_PTR(-EINTR).
 */
struct page *mrm_guest_page_populate_zero(struct mrm_vm *vm, unsigned long index)
{
	struct page *zero = mrm_shared_zero(vm, READ_ONCE(vm->salt), 0);
	int err;

	if (!zero)
		return ERR_PTR(-ENOMEM);
	get_page(zero);
	err = mrm_frame_lock_killable(zero);
	if (!err) {
		err = install(vm, index, zero);
		if (!err) {
			/* The entry's reference is that of the count. */
			put_page(zero);
			return zero;
		}
		mrm_frame_unlock(zero);
	}
	mrm_shared_put(zero);
	put_page(zero);
	return ERR_PTR(err);
}

/**
 * mrm_guest_page_break() - copy on write: shared -> private
 * @vm: the VM
 * @index: the guest page
 * @shared: the shared frame it was seen to have, with a reference, not locked
 * @flags: 0, or MRM_KILL_NOBODY
 *
 * The contents of a shared frame never change, so they are copied before any
 * lock is taken.
 *
 * Context: In a fault, or from the scanner; may sleep.
 * Return: the private frame, locked and with a reference; ERR_PTR(-EAGAIN) if
 * the guest page no longer has @shared, ERR_PTR(-ENOMEM), ERR_PTR(-EINTR),
 * ERR_PTR(-EHWPOISON).
 */
struct page *mrm_guest_page_break(struct mrm_vm *vm, unsigned long index, struct page *shared,
				  gfp_t flags)
{
	bool zero = mrm_frame_is_zero(shared);
	struct page *frame;
	int err;

	if (PageHWPoison(shared))
		return ERR_PTR(-EHWPOISON);
	frame = mrm_frame_alloc(vm, flags | (zero ? __GFP_ZERO : 0));
	if (!frame)
		return ERR_PTR(-ENOMEM);
	if (!zero)
		copy_highpage(frame, shared);
	mrm_frame_own(frame, vm, index);
	/* The shared frame's lock keeps faults from mapping it here again. */
	err = mrm_frame_lock_killable(shared);
	if (err)
		goto discard;
	if (!mrm_frame_is_shared(shared) || !mrm_guest_page_is(vm, index, shared)) {
		mrm_frame_unlock(shared);
		err = -EAGAIN;
		goto discard;
	}
	get_page(frame);
	replace(vm, index, shared, frame);
	unmap(vm, index, 1);
	mrm_frame_unlock(shared);
	mrm_shared_put(shared);
	mrm_count(vm, MRM_BROKEN, 1);
	trace_mrm_break(vm->pid, index);
	return frame;
discard:
	discard_new(frame);
	return ERR_PTR(err);
}

/* Lock the frame if the guest page still has it. */
static int share_lock_frame(struct mrm_share_op *op)
{
	if (!mrm_frame_trylock(op->frame))
		return -EBUSY;
	if (!mrm_frame_is_shared(op->frame) &&
	    mrm_guest_page_is(op->vm, op->index, op->frame))
		return 0;
	mrm_frame_unlock(op->frame);
	return -EAGAIN;
}

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
		replace(op->vm, op->index, op->frame, op->shared);
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
		ops[run].err = share_lock_frame(&ops[run]);
		if (ops[run].err)
			break;
		mapped |= folio_mapped(page_folio(ops[run].frame));
	}
	if (mapped)
		unmap(ops[0].vm, ops[0].index, run);
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
 * Context: The scanner, with the share lock held; may sleep.
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
			replace(vm, index, shared, NULL);
			unmap(vm, index, 1);
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

/* Any state -> nothing, for one guest page. */
static bool drop(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = mrm_guest_page_lock(vm, index, false);
	bool shared;

	if (!frame)
		return false;
	shared = mrm_frame_is_shared(frame);
	if (!shared)
		mrm_hint_remove(frame);
	replace(vm, index, frame, NULL);
	mrm_frame_unlock(frame);
	if (shared)
		mrm_shared_put(frame);
	else
		mrm_frame_free(frame);
	put_page(frame);
	return true;
}

/**
 * mrm_guest_pages_drop() - give the frames of a range back
 * @vm: the VM
 * @first: first guest page
 * @last: last guest page
 *
 * The caller has unmapped the range or is about to.  In between, a fault finds
 * either the old page table entry or nothing here, and gets a new frame.
 *
 * Context: May sleep.  Waits for page locks, so never under i_mmap_rwsem.
 * Return: how many guest pages had a frame.
 */
unsigned long mrm_guest_pages_drop(struct mrm_vm *vm, unsigned long first, unsigned long last)
{
	unsigned long index = first, dropped = 0;

	while (xa_find(&vm->pages, &index, last, XA_PRESENT)) {
		dropped += drop(vm, index);
		if (index++ == last)
			break;
		cond_resched();
	}
	return dropped;
}
