// SPDX-License-Identifier: GPL-2.0
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_hot.h"
#include "guest_large.h"
#include "guest_page.h"
#include "trace.h"
#include "vm.h"

#define MISFITS		16	/* frames that are had in vain, at the most */

/**
 * mrm_guest_is_hot() - is it to have a frame that a device reaches?
 * @vm: the VM
 * @index: the guest page
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_guest_is_hot(struct mrm_vm *vm, unsigned long index)
{
	return !xa_empty(&vm->hot) && xa_load(&vm->hot, index);
}

/**
 * mrm_guest_any_hot() - is one of some guest pages?
 * @vm: the VM
 * @first: the first of them
 * @pages: how many
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_guest_any_hot(struct mrm_vm *vm, unsigned long first, unsigned long pages)
{
	return !xa_empty(&vm->hot) &&
	       xa_find(&vm->hot, &first, first + pages - 1, XA_PRESENT);
}

/**
 * mrm_guest_set_hot() - from now on it is, also for this device
 * @vm: the VM
 * @index: the guest page
 * @limit: the last address that the device reaches
 *
 * Context: One thread; may sleep, but not for memory.
 * Return: 0 or -ENOMEM.
 */
int mrm_guest_set_hot(struct mrm_vm *vm, unsigned long index, u64 limit)
{
	void *zone = xa_mk_value((__force unsigned long)mrm_low_zone(limit)), *old;
	struct mem_cgroup *memcg;
	unsigned int flags;

	/* For another device it was the lowest that there is. */
	if (xa_load(&vm->hot, index) == xa_mk_value((__force unsigned long)GFP_DMA))
		return 0;
	memcg = set_active_memcg(vm->memcg);
	/* As in alloc_within(): one thread works for all VMs. */
	flags = memalloc_noreclaim_save();
	old = xa_store(&vm->hot, index, zone, GFP_KERNEL | MRM_SPARE | __GFP_NOMEMALLOC);
	memalloc_noreclaim_restore(flags);
	set_active_memcg(memcg);
	if (xa_is_err(old))
		return xa_err(old);
	if (!old)
		mrm_count(vm, MRM_HOT, 1);
	return 0;
}

/**
 * mrm_guest_set_cold() - it is not any more
 * @vm: the VM
 * @index: the guest page
 *
 * Context: May sleep.
 */
void mrm_guest_set_cold(struct mrm_vm *vm, unsigned long index)
{
	if (xa_erase(&vm->hot, index))
		mrm_count(vm, MRM_HOT, -1);
}

/**
 * mrm_guest_hot_forget() - none of a VM's guest pages is any more
 * @vm: the VM, which nobody else knows
 */
void mrm_guest_hot_forget(struct mrm_vm *vm)
{
	mrm_count(vm, MRM_HOT, -mrm_counter_read(&vm->counters, MRM_HOT));
	xa_destroy(&vm->hot);
}

/* Has the kernel begun to reclaim for it?  Few nodes have any of it. */
static bool is_short(gfp_t zone_flag)
{
	enum zone_type type = gfp_zone(zone_flag);
	bool any = false;
	int node;

	for_each_online_node(node) {
		struct zone *zone = &NODE_DATA(node)->node_zones[type];

		if (!populated_zone(zone))
			continue;
		if (zone_page_state(zone, NR_FREE_PAGES) >= low_wmark_pages(zone))
			return false;
		any = true;
	}
	return any;
}

/**
 * mrm_guest_hot_is_short() - is low memory short?
 *
 * Whatever a device reaches, most of it is in the zone below 4 GiB.
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_guest_hot_is_short(void)
{
	return is_short(GFP_DMA32);
}

/**
 * mrm_guest_hot_alloc() - a private frame for a guest page
 * @vm: the VM
 * @index: the guest page
 * @flags: as for mrm_frame_alloc()
 *
 * Rather one anywhere than none, and rather that than to wait for memory that devices reach, or
 * to take it when it is short.
 *
 * Context: as mrm_frame_alloc().
 * Return: the same.
 */
struct page *mrm_guest_hot_alloc(struct mrm_vm *vm, unsigned long index, gfp_t flags)
{
	void *zone = xa_empty(&vm->hot) ? NULL : xa_load(&vm->hot, index);
	struct page *frame = NULL;

	if (zone && !is_short((__force gfp_t)xa_to_value(zone)))
		frame = mrm_frame_alloc(vm, (flags & ~MRM_KILL_NOBODY) |
					(__force gfp_t)xa_to_value(zone));
	return frame ?: mrm_frame_alloc(vm, flags);
}

/* The frame of a guest page, locked and unmapped, gives way to another. */
static int replace(struct mrm_vm *vm, unsigned long index, struct page *old, struct page *new)
{
	if (folio_mapped(page_folio(old)))
		mrm_entry_unmap(vm, index, 1);
	/* The entry's reference and the caller's, as in share_unmapped() of guest_share.c. */
	if (page_count(old) != 2 || mrm_frame_is_writing(old) || mrm_frame_is_reading(old))
		return -EBUSY;
	copy_highpage(new, old);
	mrm_hint_remove(old);
	mrm_frame_own(new, vm, index);
	/* The entry's. */
	get_page(new);
	mrm_entry_replace(vm, index, old, new);
	return 0;
}

/* @old: what it has, with a reference, which the caller keeps. */
static int move(struct mrm_vm *vm, unsigned long index, struct page *old, struct page *new)
{
	int err = mrm_entry_lock_private(vm, index, old);

	if (err)
		return err;
	err = PageHWPoison(old) ? -EHWPOISON : replace(vm, index, old, new);
	mrm_frame_unlock(old);
	if (err)
		return err;
	trace_mrm_move(vm->pid, index, page_to_pfn(old), page_to_pfn(new));
	mrm_frame_free(old);
	return 0;
}

static bool is_within(struct page *frame, u64 first, u64 last)
{
	u64 at = page_to_phys(frame);

	return at >= first && (at | ~PAGE_MASK) <= last;
}

/* The frame that it has and that is to be moved, with a reference; ERR_PTR(). */
static struct page *get_outside(struct mrm_vm *vm, unsigned long index, u64 first, u64 last)
{
	struct page *old = mrm_guest_page_get(vm, index);
	int err;

	if (!old)
		return ERR_PTR(-ENOENT);
	err = mrm_frame_is_shared(old) ? -EXDEV :
	      is_within(old, first, last) ? -EALREADY :
	      folio_maybe_dma_pinned(page_folio(old)) ||
	      (!mrm_frame_is_large(old) && mrm_frame_is_held(old)) ? -EBUSY : 0;
	if (!err)
		return old;
	put_page(old);
	return ERR_PTR(err);
}

/* The same, and it is no part of a large frame, or is not any more. */
static struct page *get_small_outside(struct mrm_vm *vm, unsigned long index, u64 first, u64 last)
{
	struct page *old = get_outside(vm, index, first, last);
	int err;

	if (IS_ERR(old) || !mrm_frame_is_large(old))
		return old;
	put_page(old);
	err = mrm_guest_large_break(vm, index, NULL, false, NULL);
	if (err)
		return ERR_PTR(err);
	old = get_outside(vm, index, first, last);
	if (IS_ERR(old) || !mrm_frame_is_large(old))
		return old;
	put_page(old);
	return ERR_PTR(-EBUSY);
}

static void free_unused(struct page *frame)
{
	mrm_frame_unlock(frame);
	mrm_frame_free(frame);
}

/*
 * A limit may be no zone's, and a zone that is empty is helped out by the next.  What does not
 * fit is kept until one does, or it would be had again.  A cgroup's limit is exceeded for this
 * moment only: another one is given up for it.
 */
static struct page *alloc_within(struct mrm_vm *vm, gfp_t zone, u64 first, u64 last,
				 int node)
{
	unsigned int flags = memalloc_noreclaim_save(), n = 0, most = zone ? MISFITS : 1;
	struct page *misfits[MISFITS], *new;

	do {
		new = mrm_frame_alloc_node(vm, zone | MRM_SPARE | __GFP_NOMEMALLOC, node);
		if (!new || is_within(new, first, last))
			break;
		misfits[n++] = new;
		new = NULL;
	} while (n < most);
	memalloc_noreclaim_restore(flags);
	while (n)
		free_unused(misfits[--n]);
	return new;
}

/*
 * Its frame gives way to one of a zone whose address is from @first to @last, and of *@node if
 * that can be; where it was before is *@node then.  Nothing is broken or unmapped before there
 * is one.
 */
static int exchange(struct mrm_vm *vm, unsigned long index, gfp_t zone, u64 first, u64 last,
		    int *node)
{
	struct page *old = get_outside(vm, index, first, last), *new;
	int err, here;

	if (IS_ERR(old))
		return PTR_ERR(old);
	here = page_to_nid(old);
	put_page(old);
	if (*node == NUMA_NO_NODE || !node_online(*node))
		*node = here;
	new = alloc_within(vm, zone, first, last, *node);
	if (!new)
		return -ENOMEM;
	old = get_small_outside(vm, index, first, last);
	err = PTR_ERR_OR_ZERO(old);
	if (!err) {
		err = move(vm, index, old, new);
		put_page(old);
	}
	if (err) {
		free_unused(new);
		return err;
	}
	*node = here;
	mrm_frame_unlock(new);
	put_page(new);
	return 0;
}

/**
 * mrm_guest_hot_move() - have a guest page where a device reaches it
 * @vm: the VM
 * @index: the guest page
 * @limit: the last address that the device reaches
 * @node: receives the one where it was before, if it is moved
 *
 * Context: May sleep, but waits neither for memory nor for a lock.
 * Return: 0; -EALREADY if it is there; -ENOENT if it has no frame; -EXDEV if that is shared;
 * -EBUSY or -EAGAIN if it is pinned or changing; -ENOMEM; -EHWPOISON.
 */
int mrm_guest_hot_move(struct mrm_vm *vm, unsigned long index, u64 limit, int *node)
{
	int err;

	*node = NUMA_NO_NODE;
	err = exchange(vm, index, GFP_DMA32, 0, limit, node);

	/* Of the larger zone some pages may be low enough, for a device that wants 31 bits, say. */
	return err == -ENOMEM && mrm_low_zone(limit) != GFP_DMA32 && !is_short(GFP_DMA) ?
	       exchange(vm, index, GFP_DMA, 0, limit, node) : err;
}

/**
 * mrm_guest_hot_return() - have a guest page anywhere but in low memory
 * @vm: the VM
 * @index: the guest page
 * @node: where it was before, or NUMA_NO_NODE
 *
 * Context: as mrm_guest_hot_move().
 * Return: the same; -EALREADY if it is not in low memory.
 */
int mrm_guest_hot_return(struct mrm_vm *vm, unsigned long index, int node)
{
	return exchange(vm, index, 0, MRM_LOW_END, U64_MAX, &node);
}

/*
 * Was a frame used for DMA since this was asked last?
 *
 * Whoever finds it for that flags it as referenced.  So does who unmaps one that was touched, and
 * may clear the flag where it was set; sampling (sample_touch.h) reads and clears it, too.  What
 * is wrong for one round is borne: it costs a copy.  That a vCPU uses it is not asked: a guest
 * does not notice where its memory is.
 */
static bool was_used(struct page *frame)
{
	return folio_test_clear_referenced(page_folio(frame));
}

/* A guest page's frame, with a reference; NULL, also if that is shared, or large. */
static struct page *get_small_private(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = mrm_guest_page_get(vm, index);

	if (!frame || (!mrm_frame_is_shared(frame) && !mrm_frame_is_large(frame)))
		return frame;
	put_page(frame);
	return NULL;
}

/**
 * mrm_guest_hot_was_used() - was a guest page's frame used since this was asked last?
 * @vm: the VM
 * @index: the guest page
 *
 * Context: May sleep.
 * Return: true if it was; false also if it has no private frame of 4 KiB.
 */
bool mrm_guest_hot_was_used(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = get_small_private(vm, index);
	bool used;

	if (!frame)
		return false;
	used = was_used(frame);
	put_page(frame);
	return used;
}

/**
 * mrm_guest_hot_is_needless() - has a guest page a low frame that no device has asked for?
 * @vm: the VM
 * @index: the guest page
 *
 * Context: May sleep.
 * Return: true if so, and it was not used since this was asked last.
 */
bool mrm_guest_hot_is_needless(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = get_small_private(vm, index);
	bool needless;

	if (!frame)
		return false;
	needless = page_to_phys(frame) < MRM_LOW_END && !mrm_guest_is_hot(vm, index) &&
		   !was_used(frame);
	put_page(frame);
	return needless;
}
