// SPDX-License-Identifier: GPL-2.0
/*
 * Guest pages of 4 KiB become parts of a large frame again.
 *
 * All their frames are locked, by trylock, then unmapped together and seen to be unpinned; so
 * is the new one, until it holds what they held.  Who wants one of them meanwhile waits: a fault
 * until that is over, as a reference to a frame whose lock it waits for would look like a pin,
 * and what is rebuilt is what a guest uses all the time.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/wait.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_hot.h"
#include "guest_large.h"
#include "guest_page.h"
#include "trace.h"
#include "vm.h"

#define PARTS		MRM_LARGE_PAGES
#define LEAST_OWN	(PARTS * 3 / 4)	/* guest pages that have a frame already */
#define LEAST_TOUCHED	(PARTS / 4)	/* of these, those that were touched since they got it */
#define LEAST_IN_USE	(PARTS / 32)	/* or since they were unmapped a moment ago */
#define MOST_SHARED	(PARTS / 8)	/* that are made private for it */

/* Of the one thread that rebuilds. */
static struct page *frames[MRM_LARGE_PAGES];

static DECLARE_WAIT_QUEUE_HEAD(over);

/* Those that are locked: the first @n of them. */
static void unlock(unsigned long n)
{
	while (n--) {
		if (!frames[n])
			continue;
		mrm_frame_unlock(frames[n]);
		put_page(frames[n]);
	}
}

/* By their entries alone, as it is for most: nothing but frames of their own, and few shared? */
static bool are_own(struct mrm_vm *vm, unsigned long first)
{
	XA_STATE(xas, &vm->pages, first);
	unsigned long seen = 0, shared = 0;
	bool other = false;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, first + PARTS - 1) {
		if (xas_retry(&xas, entry))
			continue;
		if (xa_pointer_tag(entry) == MRM_ENTRY_SHARED)
			other = ++shared > MOST_SHARED;
		else
			other = entry != mrm_entry_frame(entry) ||
				/* Where the first has a part of a large one, all do, or many do. */
				(!seen && mrm_frame_is_large(entry));
		if (other)
			break;
		seen++;
	}
	rcu_read_unlock();
	return !other && seen - shared >= LEAST_OWN;
}

/*
 * Is it worth it, as far as can be seen without a lock?  @least: those that were touched.  *nid:
 * where they are.
 */
static bool worth_it(struct mrm_vm *vm, unsigned long first, unsigned long least, int *nid)
{
	XA_STATE(xas, &vm->pages, first);
	unsigned long own = 0, touched = 0;
	bool other = false;
	void *entry;

	if (!are_own(vm, first))
		return false;
	rcu_read_lock();
	xas_for_each(&xas, entry, first + PARTS - 1) {
		struct page *frame = mrm_entry_frame(entry);

		if (xas_retry(&xas, entry))
			continue;
		other = !frame || PageHWPoison(frame);
		if (other)
			break;
		if (xa_pointer_tag(entry) == MRM_ENTRY_SHARED)
			continue;
		other = !mrm_frame_tryget(frame);
		if (other)
			break;
		other = mrm_frame_is_large(frame) || mrm_frame_is_writing(frame) ||
			mrm_frame_is_held(frame);
		*nid = page_to_nid(frame);
		own++;
		touched += folio_mapped(page_folio(frame));
		put_page(frame);
		if (other)
			break;
	}
	rcu_read_unlock();
	return !other && own >= LEAST_OWN && touched >= least;
}

/* Context: nothing is reclaimed for it. */
static int break_one(struct mrm_vm *vm, unsigned long index)
{
	struct page *shared = mrm_guest_page_get(vm, index), *frame;
	int err = 0;

	if (!shared)
		return 0;
	if (mrm_frame_is_shared(shared)) {
		frame = mrm_guest_page_break(vm, index, shared, MRM_SPARE | __GFP_NOMEMALLOC);
		err = PTR_ERR_OR_ZERO(frame);
		if (!err) {
			mrm_frame_unlock(frame);
			put_page(frame);
		}
	}
	put_page(shared);
	/* Then it is not shared, or not the same any more: lock_all() looks again. */
	return err == -EAGAIN ? 0 : err;
}

/*
 * Those that are shared get frames of their own first, as by a write, and with the lock that a
 * fault has: see mrm_guest_file_stop_cow().
 */
static int break_shared(struct mrm_vm *vm, unsigned long first)
{
	unsigned int flags = memalloc_noreclaim_save();
	unsigned long i;
	int err = 0;

	for (i = 0; i < PARTS && !err; i++)
		err = break_one(vm, first + i);
	memalloc_noreclaim_restore(flags);
	return err;
}

/*
 * Lock them all.
 *
 * Return: false if that cannot be at once, or so many have been discarded since they were looked
 * at that it is not worth it any more; and then none is.
 */
static bool lock_all(struct mrm_vm *vm, unsigned long first)
{
	unsigned long i, own = 0;

	for (i = 0; i < PARTS; i++) {
		frames[i] = mrm_guest_page_get(vm, first + i);
		if (!frames[i])
			continue;
		if (mrm_frame_is_large(frames[i]) ||
		    mrm_entry_lock_private(vm, first + i, frames[i])) {
			put_page(frames[i]);
			unlock(i);
			return false;
		}
		own++;
	}
	if (own >= LEAST_OWN)
		return true;
	unlock(PARTS);
	return false;
}

/* Nobody but the guest pages has them, and nobody has them by way of the page tables. */
static bool unused(void)
{
	unsigned long i;

	for (i = 0; i < PARTS; i++)
		if (frames[i] && (page_count(frames[i]) != 2 || PageHWPoison(frames[i]) ||
				  mrm_frame_is_writing(frames[i]) ||
				  mrm_frame_is_reading(frames[i])))
			return false;
	return true;
}

/*
 * The guest pages get their parts.  One that held nothing and got something since is in the way.
 *
 * Return: 0, -EAGAIN, -ENOMEM; then they have what they had.
 */
static int replace_all(struct mrm_vm *vm, unsigned long first, struct page *large)
{
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	XA_STATE(xas, &vm->pages, first);
	unsigned long i = 0;
	long barred = 0;
	int err;

	do {
		xas_lock(&xas);
		while (i < PARTS) {
			xas_set(&xas, first + i);
			if (xas_load(&xas) != frames[i])
				xas_set_err(&xas, -EAGAIN);
			xas_store(&xas, large + i);
			if (xas_error(&xas))
				break;
			xas_set_mark(&xas, MRM_MARK_PRIVATE);
			barred += xas_get_mark(&xas, MRM_MARK_INELIGIBLE);
			xas_clear_mark(&xas, MRM_MARK_INELIGIBLE);
			i++;
		}
		xas_unlock(&xas);
		/* Not for memory, nor for the cgroup to be below its limit: so much is locked. */
	} while (xas_nomem(&xas, GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC));
	set_active_memcg(old);
	/* A part is never barred from sharing: when it is private again that is seen anew. */
	mrm_count(vm, MRM_INELIGIBLE, -barred);
	err = xas_error(&xas);
	if (!err)
		return 0;
	xas_lock(&xas);
	while (i--) {
		xas_set(&xas, first + i);
		/* The slots exist. */
		xas_store(&xas, frames[i]);
	}
	xas_unlock(&xas);
	return err;
}

/* What they had is nobody's any more. */
static void free_all(struct mrm_vm *vm, unsigned long first)
{
	unsigned long i;

	for (i = 0; i < PARTS; i++) {
		if (!frames[i]) {
			mrm_count(vm, MRM_PRIVATE, 1);
			continue;
		}
		mrm_hint_remove(frames[i]);
		mrm_guest_cached_drop(vm, first + i, frames[i]);
		mrm_frame_unlock(frames[i]);
		mrm_frame_free(frames[i]);
		put_page(frames[i]);
	}
}

/* Before page table entries go, under their locks: whoever faults for want of one sees it. */
static void begin(struct mrm_vm *vm, unsigned long first)
{
	WRITE_ONCE(vm->rebuilding, first | MRM_REBUILDING);
}

static void end(struct mrm_vm *vm)
{
	WRITE_ONCE(vm->rebuilding, 0);
	wake_up_all(&over);
}

/**
 * mrm_guest_large_wait_rebuilt() - wait until a guest page is not being rebuilt any more
 * @vm: the VM
 * @index: the guest page
 *
 * Context: Sleeps for some ms at the most; no frame is locked.
 * Return: 0, or -ERESTARTSYS on a fatal signal.
 */
int mrm_guest_large_wait_rebuilt(struct mrm_vm *vm, unsigned long index)
{
	return wait_event_killable(over, !mrm_guest_large_is_rebuilding(vm, index));
}

/* @large: to become theirs, and unlocked then.  If not, it is still the caller's to free. */
static int rebuild(struct mrm_vm *vm, unsigned long first, struct page *large)
{
	unsigned long i;
	int err = -EBUSY;

	if (!lock_all(vm, first))
		return -EBUSY;
	/* To move one that gets hot later is tried again until they are unlocked. */
	if (mrm_guest_any_hot(vm, first, PARTS)) {
		unlock(PARTS);
		return -EINVAL;
	}
	mrm_entry_unmap(vm, first, PARTS);
	if (unused()) {
		for (i = 0; i < PARTS; i++)
			if (frames[i])
				copy_highpage(large + i, frames[i]);
		page_ref_add(large, PARTS);
		err = replace_all(vm, first, large);
		/* Not before: the scanner may have met parts that were taken back. */
		if (err)
			page_ref_sub(large, PARTS);
		else
			WRITE_ONCE(*mrm_large_word(large, MRM_LARGE_LEFT), PARTS);
	}
	if (err) {
		unlock(PARTS);
	} else {
		free_all(vm, first);
		*mrm_large_word(large, MRM_LARGE_IS_REBUILT) = 1;
		atomic_inc(&vm->rebuilt);
		mrm_count(vm, MRM_LARGE, 1);
		mrm_count(vm, MRM_LARGE_REBUILT, 1);
		trace_mrm_large(vm->pid, first, MRM_LARGE_WAS_REBUILT, PARTS);
		/* Before those who wait for it are woken. */
		mrm_frame_unlock(large);
	}
	return err;
}

/* Are they all in one mapping of ours, which may have large pages?  Context: mmap lock. */
static bool in_one_mapping(struct mrm_vm *vm, unsigned long first)
{
	struct vm_area_struct *vma = find_vma(vm->mm, first << PAGE_SHIFT);

	return vma && vma->vm_file && vma->vm_file == vm->file &&
	       mrm_guest_large_is_wanted(vma) &&
	       vma->vm_start <= first << PAGE_SHIFT &&
	       vma->vm_end >= (first + PARTS) << PAGE_SHIFT;
}

/* @large: as in rebuild().  Context: mmap lock. */
static int rebuild_mapped(struct mrm_vm *vm, unsigned long first, struct page *large)
{
	int err = break_shared(vm, first);

	if (err)
		return err;
	begin(vm, first);
	err = rebuild(vm, first, large);
	end(vm);
	return err;
}

/* Context: mmap lock. */
static int rebuild_in_mapping(struct mrm_vm *vm, unsigned long first, int nid)
{
	struct page *large;
	int err;

	/* Before anything is unshared for it. */
	large = mrm_frame_alloc_large(vm, first, nid);
	if (!large) {
		mrm_count(vm, MRM_LARGE_FAILED, 1);
		return -ENOMEM;
	}
	err = rebuild_mapped(vm, first, large);
	if (err) {
		mrm_frame_forget_large(large);
		mrm_frame_unlock(large);
	}
	put_page(large);
	return err;
}

/*
 * Do it while they are in one mapping, which is kept as it is: guest pages outside of one would
 * never be given back.  The mmap lock is not waited for.
 */
static int with_mapping(struct mrm_vm *vm, unsigned long first, int nid,
			int (*fn)(struct mrm_vm *vm, unsigned long first, int nid))
{
	int err = -EBUSY;

	if (!mmget_not_zero(vm->mm))
		return -EBUSY;
	if (mmap_read_trylock(vm->mm)) {
		err = in_one_mapping(vm, first) ? fn(vm, first, nid) : -EINVAL;
		mmap_read_unlock(vm->mm);
	}
	mmput_async(vm->mm);
	return err;
}

static int is_frame_to_be_had(struct mrm_vm *vm, unsigned long first, int nid)
{
	return mrm_frame_large_is_free(vm, nid) ? 0 : -ENOMEM;
}

/**
 * mrm_guest_large_may_rebuild() - may guest pages get a large frame, if they are in use?
 * @vm: the VM
 * @first: the first of them, a multiple of MRM_LARGE_PAGES
 *
 * If three quarters of them have a frame, and of the rest an eighth is shared at most and the
 * others hold nothing, and a quarter were touched since they got it or were unmapped; and their
 * mapping may have large pages, and there is a frame just now.
 *
 * Context: May sleep, but neither for memory nor for the mmap lock.
 * Return: 0 if so: mrm_guest_large_unmap() shows whether they are; -ENOMEM if there is no frame;
 * -EINVAL or -EBUSY if not.
 */
int mrm_guest_large_may_rebuild(struct mrm_vm *vm, unsigned long first)
{
	int nid;

	if (!READ_ONCE(vm->large) || mrm_guest_any_hot(vm, first, PARTS) ||
	    !worth_it(vm, first, LEAST_TOUCHED, &nid))
		return -EINVAL;
	return with_mapping(vm, first, nid, is_frame_to_be_had);
}

/**
 * mrm_guest_large_rebuild() - private frames of 4 KiB -> a large one
 * @vm: the VM
 * @first: the first of the guest pages, a multiple of MRM_LARGE_PAGES
 *
 * If it still is as mrm_guest_large_may_rebuild() says, but that a few were touched is enough, as
 * they were unmapped a moment ago.  None of them may be hot (guest_hot.h).  The page table is
 * left in place: see mrm_guest_file_remap().
 *
 * Context: One thread; may sleep, but not for memory, nor for the mmap lock.
 * Return: 0; -EINVAL if it is not worth it, or some are hot; -EBUSY if some are locked, pinned or
 * changing, or the mapping is; -EAGAIN; -ENOMEM; -EINTR or -EHWPOISON of a shared one.
 */
int mrm_guest_large_rebuild(struct mrm_vm *vm, unsigned long first)
{
	int nid = NUMA_NO_NODE;

	if (!READ_ONCE(vm->large) || mrm_guest_any_hot(vm, first, PARTS) ||
	    !worth_it(vm, first, LEAST_IN_USE, &nid))
		return -EINVAL;
	return with_mapping(vm, first, nid, rebuild_in_mapping);
}
