// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_hot.h"
#include "guest_large.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "trace.h"
#include "vm.h"
#include "zip.h"

/**
 * mrm_entry_count() - count what an entry is
 * @vm: the VM
 * @entry: of one of its guest pages; what it points to must stay meanwhile
 * @delta: 1: it is there now; -1: no more
 */
void mrm_entry_count(struct mrm_vm *vm, void *entry, long delta)
{
	struct mrm_zipped *zipped = mrm_entry_zipped(entry);
	struct page *frame = mrm_entry_frame(entry);

	if (mrm_entry_is_swapped(entry)) {
		mrm_count(vm, MRM_SWAPPED, delta);
	} else if (zipped) {
		mrm_count(vm, MRM_ZIPPED, delta);
		mrm_count(vm, MRM_ZIPPED_BYTES, delta * mrm_zipped_bytes(zipped));
	} else if (!mrm_frame_is_shared(frame)) {
		mrm_count(vm, MRM_PRIVATE, delta);
	} else {
		mrm_count(vm, MRM_SHARED, delta);
		if (mrm_frame_is_zero(frame))
			mrm_count(vm, MRM_ZERO, delta);
	}
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
		frame = mrm_entry_frame(*entry);
		if (!frame)
			return NULL;
		if (mrm_frame_tryget(frame)) {
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
 * mrm_guest_page_is_mapped() - has a guest page been touched since it was unmapped last?
 * @vm: the VM
 * @index: the guest page
 *
 * Return: true if it has a frame that is mapped; of a large frame, if any part of it is.
 */
bool mrm_guest_page_is_mapped(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = mrm_guest_page_get(vm, index);
	bool mapped = frame && folio_mapped(page_folio(frame));

	if (frame)
		put_page(frame);
	return mapped;
}

/**
 * mrm_guest_pages_get_private() - the private frames of neighbouring guest pages
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many
 * @barred: those that may not be shared, too
 * @frames: where to: a frame with a reference, perhaps a part of a large one; or NULL for a
 *	guest page that has none of its own, is not wanted, or is changing just now
 *
 * Context: Atomic inside.
 * Return: how many of the guest pages have a frame, of whatever kind.
 */
unsigned int mrm_guest_pages_get_private(struct mrm_vm *vm, unsigned long first,
					 unsigned int pages, bool barred, struct page **frames)
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
		frame = mrm_entry_frame(entry);
		resident += !!frame;
		if (!frame || entry != frame ||
		    (!barred && xas_get_mark(&xas, MRM_MARK_INELIGIBLE)) ||
		    !mrm_frame_tryget(frame))
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
	return xa_load(&vm->pages, index) == mrm_frame_entry(frame);
}

/**
 * mrm_guest_page_is_taken() - is it zipped or swapped?
 * @vm: the VM
 * @index: the guest page
 * Return: true if it is.
 */
bool mrm_guest_page_is_taken(struct mrm_vm *vm, unsigned long index)
{
	return xa_pointer_tag(xa_load(&vm->pages, index)) == MRM_ENTRY_ZIPPED;
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

/*
 * Nothing -> frame, if the entry's node is there.  The frame is locked; it gets the entry's
 * reference.  Return: 0, -EEXIST, -EAGAIN, or -ENOMEM: see room_for().
 */
static int try_install(struct xa_state *xas, struct mrm_vm *vm, struct page *frame)
{
	bool shared = mrm_frame_is_shared(frame);

	get_page(frame);
	xas_lock(xas);
	if (xas_load(xas)) {
		xas_set_err(xas, -EEXIST);
	} else if (shared && mrm_frame_salt(frame) != vm->salt) {
		/* The salt was changed after the frame was chosen. */
		xas_set_err(xas, -EAGAIN);
	} else {
		xas_store(xas, mrm_frame_entry(frame));
		if (!xas_error(xas))
			xas_set_mark(xas, shared ? MRM_MARK_SHARED : MRM_MARK_PRIVATE);
	}
	xas_unlock(xas);
	if (xas_error(xas))
		put_page(frame);
	else
		mrm_entry_count(vm, mrm_frame_entry(frame), 1);
	return xas_error(xas);
}

/* Return: there was no node, and now there is memory for one: to try again. */
static bool room_for(struct xa_state *xas, struct mrm_vm *vm, gfp_t flags)
{
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	bool again = xas_nomem(xas, GFP_KERNEL | flags);

	set_active_memcg(old);
	return again;
}

/* Nothing -> a frame that nobody else knows. */
static int install(struct mrm_vm *vm, unsigned long index, struct page *frame, gfp_t flags)
{
	XA_STATE(xas, &vm->pages, index);
	int err;

	do
		err = try_install(&xas, vm, frame);
	while (room_for(&xas, vm, flags));
	return err;
}

/*
 * Nothing -> the zero frame, which is locked then.  While its node is waited for it is not:
 * others' faults and discards take that lock, and a cgroup at its limit waits long.
 */
static int install_zero(struct mrm_vm *vm, unsigned long index, struct page *zero, gfp_t flags)
{
	XA_STATE(xas, &vm->pages, index);
	int err;

	do {
		err = mrm_frame_lock_killable(zero);
		if (err) {
			/* What it may have got so far is given back. */
			xas_set_err(&xas, err);
			continue;
		}
		err = try_install(&xas, vm, zero);
		if (err)
			mrm_frame_unlock(zero);
	} while (room_for(&xas, vm, flags));
	return err;
}

/* To nothing, marks go by themselves. */
static void set_marks(struct xa_state *xas, void *entry)
{
	if (!entry)
		return;
	if (xa_pointer_tag(entry) == MRM_ENTRY_SHARED)
		xas_set_mark(xas, MRM_MARK_SHARED);
	else
		xas_clear_mark(xas, MRM_MARK_SHARED);
	if (xa_pointer_tag(entry))
		xas_clear_mark(xas, MRM_MARK_PRIVATE);
	else
		xas_set_mark(xas, MRM_MARK_PRIVATE);
}

/**
 * mrm_entry_replace() - a guest page gets something else in place of its frame
 * @vm: the VM
 * @index: the guest page
 * @old: its frame, locked by the caller
 * @new: its new entry, or NULL for nothing
 *
 * Context: Atomic inside.
 */
void mrm_entry_replace(struct mrm_vm *vm, unsigned long index, struct page *old, void *new)
{
	XA_STATE(xas, &vm->pages, index);
	bool barred;

	/* What @new has is not what the slot holds, or mrm_guest_cached_take() has seen to it. */
	mrm_guest_cached_drop(vm, index, old);
	/* Counted here: once the entry stands in the open, a fault may end it. */
	mrm_entry_count(vm, mrm_frame_entry(old), -1);
	if (new)
		mrm_entry_count(vm, new, 1);
	xas_lock(&xas);
	xas_load(&xas);
	barred = xas_get_mark(&xas, MRM_MARK_INELIGIBLE);
	if (barred)
		xas_clear_mark(&xas, MRM_MARK_INELIGIBLE);
	/* The slot exists: nothing to allocate. */
	xas_store(&xas, new);
	set_marks(&xas, new);
	xas_unlock(&xas);
	if (barred)
		mrm_count(vm, MRM_INELIGIBLE, -1);
}

/**
 * mrm_entry_exchange() - a guest page without a frame gets something else
 * @vm: the VM
 * @index: the guest page
 * @old: the entry it was seen to have; not a frame's
 * @new: its new entry: a private frame, locked by the caller, the like of @old, or NULL for
 *	nothing
 *
 * Who exchanges an entry owns what it pointed to.
 *
 * Context: Atomic inside.
 * Return: false if it has @old no more.
 */
bool mrm_entry_exchange(struct mrm_vm *vm, unsigned long index, void *old, void *new)
{
	XA_STATE(xas, &vm->pages, index);
	bool same;

	xas_lock(&xas);
	same = xas_load(&xas) == old;
	if (same) {
		/* The slot exists: nothing to allocate. */
		xas_store(&xas, new);
		set_marks(&xas, new);
	}
	xas_unlock(&xas);
	if (!same)
		return false;
	mrm_entry_count(vm, old, -1);
	if (new)
		mrm_entry_count(vm, new, 1);
	return true;
}

/**
 * mrm_entry_lock_private() - lock a private frame if the guest page still has it
 * @vm: the VM
 * @index: the guest page
 * @frame: the frame, with a reference
 *
 * Context: Waits for nothing, so it may be called with other frames locked.
 * Return: 0: it is locked; -EBUSY if somebody else has it locked; -EAGAIN if it is not
 * the guest page's, or shared.
 */
int mrm_entry_lock_private(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	if (!mrm_frame_trylock(frame))
		return -EBUSY;
	if (!mrm_frame_is_shared(frame) && mrm_guest_page_is(vm, index, frame))
		return 0;
	mrm_frame_unlock(frame);
	return -EAGAIN;
}

/**
 * mrm_entry_unmap() - take neighbouring guest pages out of all page tables
 * @vm: the VM
 * @first: the first guest page
 * @pages: how many
 *
 * Those whose frame is locked stay unmapped until it is unlocked.
 *
 * Context: May sleep; takes i_mmap_rwsem.
 */
void mrm_entry_unmap(struct mrm_vm *vm, unsigned long first, unsigned long pages)
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
 * mrm_entry_begin_return() - a new frame for a guest page that is zipped or swapped
 * @vm: the VM
 * @index: the guest page
 * @entry: what it was seen to have
 * @flags: how hard to try for a frame: 0 in a fault, else MRM_SPARE and the like
 * @reading: it is to be read from swap: see mrm_guest_page_drop_reading()
 *
 * Who wants the guest page waits for the lock, until the frame holds what it should.
 *
 * Context: May sleep.
 * Return: the frame, private, locked and with a reference; ERR_PTR(-EAGAIN) if the guest page
 * has @entry no more, ERR_PTR(-ENOMEM).
 */
struct page *mrm_entry_begin_return(struct mrm_vm *vm, unsigned long index, void *entry,
				    gfp_t flags, bool reading)
{
	struct page *frame = mrm_guest_hot_alloc(vm, index, flags);

	if (!frame)
		return ERR_PTR(-ENOMEM);
	mrm_frame_own(frame, vm, index);
	mrm_frame_set_reading(frame, reading);
	/* The entry's. */
	get_page(frame);
	if (mrm_entry_exchange(vm, index, entry, frame))
		return frame;
	put_page(frame);
	discard_new(frame);
	return ERR_PTR(-EAGAIN);
}

/**
 * mrm_entry_cancel_return() - it could not be brought back
 * @vm: the VM
 * @index: the guest page
 * @frame: from mrm_entry_begin_return(); the caller's no more
 * @entry: what the guest page has again
 */
void mrm_entry_cancel_return(struct mrm_vm *vm, unsigned long index, struct page *frame,
			     void *entry)
{
	mrm_entry_replace(vm, index, frame, entry);
	/* The entry's. */
	put_page(frame);
	discard_new(frame);
}

/**
 * mrm_guest_page_populate() - first touch: nothing -> private
 * @vm: the VM
 * @index: the guest page
 * @flags: 0 or MRM_KILL_NOBODY
 *
 * Context: In a fault; may sleep.
 * Return: the new frame, zeroed, locked and with a reference; ERR_PTR(-EEXIST)
 * if the guest page got a frame meanwhile, ERR_PTR(-ENOMEM).
 */
struct page *mrm_guest_page_populate(struct mrm_vm *vm, unsigned long index, gfp_t flags)
{
	struct page *frame = mrm_guest_hot_alloc(vm, index, __GFP_ZERO | flags);
	int err;

	if (!frame)
		return ERR_PTR(-ENOMEM);
	mrm_frame_own(frame, vm, index);
	err = install(vm, index, frame, flags);
	if (!err)
		return frame;
	discard_new(frame);
	return ERR_PTR(err);
}

/**
 * mrm_guest_page_populate_zero() - first touch, by a read: nothing -> shared
 * @vm: the VM; its mappings have page_mkwrite
 * @index: the guest page
 * @flags: 0 or MRM_KILL_NOBODY
 *
 * QEMU reads every page to save, dump or migrate a guest; that must not cost
 * a frame for what the guest has never used.
 *
 * Context: In a fault; may sleep.
 * Return: the zero frame, locked and with a reference; ERR_PTR(-EEXIST or
 * -EAGAIN) to look again, ERR_PTR(-ENOMEM), ERR_PTR(-EINTR).
 */
struct page *mrm_guest_page_populate_zero(struct mrm_vm *vm, unsigned long index, gfp_t flags)
{
	struct page *zero = mrm_shared_zero(vm, READ_ONCE(vm->salt), flags);
	int err;

	if (!zero)
		return ERR_PTR(-ENOMEM);
	get_page(zero);
	err = install_zero(vm, index, zero, flags);
	if (err)
		mrm_shared_put(zero);
	/* If not, the entry's reference is that of the count. */
	put_page(zero);
	return err ? ERR_PTR(err) : zero;
}

/*
 * A pin for long that is only to read is not refused, and stays with the shared frame, which has
 * other names: whoever pinned it goes on reading what it held.  Whose pin it is, and of which of
 * its names, is not known.
 */
static void warn_if_pinned(struct mrm_vm *vm, unsigned long index, struct page *shared)
{
	int count = page_count(shared);

	/* Unmapped by a moment ago, it may still have references of who unmaps many at once. */
	if (likely(!atomic64_read(&vm->mm->pinned_vm) && !READ_ONCE(vm->mm->locked_vm)) ||
	    count - atomic_read(&page_folio(shared)->_mapcount) - 1 < (int)GUP_PIN_COUNTING_BIAS)
		return;
	pr_warn_ratelimited("VM %d (%s): the page at %#lx got a frame of its own, and the one that it shared may be pinned to be read: then whoever pinned it reads what it held; a VM should not share while it is pinned\n",
			    vm->pid, vm->name, index << PAGE_SHIFT);
}

/**
 * mrm_guest_page_break() - copy on write: shared -> private
 * @vm: the VM
 * @index: the guest page
 * @shared: the shared frame it was seen to have, with a reference, not locked
 * @flags: 0 in a fault, else MRM_KILL_NOBODY or MRM_SPARE and the like
 *
 * The contents of a shared frame never change, so they are copied before any
 * lock is taken.
 *
 * Context: The mmap lock, for reading, or the share lock: see mrm_guest_file_stop_cow().
 * May sleep.
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

	/* As it is for who comes second. */
	if (!mrm_guest_page_is(vm, index, shared))
		return ERR_PTR(-EAGAIN);
	if (PageHWPoison(shared))
		return ERR_PTR(-EHWPOISON);
	frame = mrm_guest_hot_alloc(vm, index, flags | (zero ? __GFP_ZERO : 0));
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
	mrm_entry_replace(vm, index, shared, frame);
	/*
	 * Others want the shared frame's lock, and to unmap may take as long as the process likes.
	 * Nobody maps it here any more: who faults finds the new frame, which stays locked.
	 */
	mrm_frame_unlock(shared);
	mrm_entry_unmap(vm, index, 1);
	warn_if_pinned(vm, index, shared);
	mrm_shared_put(shared);
	mrm_count(vm, MRM_BROKEN, 1);
	trace_mrm_break(vm->pid, index);
	return frame;
discard:
	discard_new(frame);
	return ERR_PTR(err);
}

/* Any state -> nothing, for one guest page.  Return: it was something. */
static bool drop(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame;
	bool shared, large;

	/* What is zipped or swapped may get a frame meanwhile. */
	for (;;) {
		if (!mrm_guest_page_drop_reading(vm, index))
			return true;
		frame = mrm_guest_page_lock(vm, index, false);
		if (frame)
			break;
		if (!mrm_guest_page_drop_zipped(vm, index) ||
		    !mrm_guest_page_drop_swapped(vm, index))
			return true;
		if (!xa_load(&vm->pages, index))
			return false;
	}
	large = mrm_frame_is_large(frame);
	shared = mrm_frame_is_shared(frame);
	if (!shared)
		mrm_hint_remove(frame);
	mrm_entry_replace(vm, index, frame, NULL);
	if (large)
		mrm_guest_large_leave(vm, frame);
	mrm_frame_unlock(frame);
	if (shared)
		mrm_shared_put(frame);
	else if (!large)
		mrm_frame_free(frame);
	put_page(frame);
	if (large)
		mrm_frame_ring();
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
 * Return: how many guest pages held something.
 */
unsigned long mrm_guest_pages_drop(struct mrm_vm *vm, unsigned long first, unsigned long last)
{
	unsigned long index = first, dropped = 0, n;

	while (xa_find(&vm->pages, &index, last, XA_PRESENT)) {
		n = 0;
		if (!(index % MRM_LARGE_PAGES) && last - index >= MRM_LARGE_PAGES - 1)
			n = mrm_guest_large_drop(vm, index);
		/* Of more than one, all are gone. */
		dropped += n ?: drop(vm, index);
		index += n ?: 1;
		if (!index || index > last)
			break;
		cond_resched();
	}
	return dropped;
}
