// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xxhash.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "swap.h"
#include "trace.h"
#include "vm.h"

#define WRITES_MAX	64	/* runs on their way: 4 MiB */

/**
 * struct write - frames on their way to slots
 * @work: writes them
 * @vm: whose they are, with a reference
 * @slot: the first of as many in a row
 * @n: how many
 * @index: the guest pages
 * @frames: their frames, with references
 * @sums: xxh32 of what they hold
 */
struct write {
	struct work_struct work;
	struct mrm_vm *vm;
	unsigned long slot;
	unsigned int n;
	unsigned long index[MRM_SWAP_RUN];
	struct page *frames[MRM_SWAP_RUN];
	u32 sums[MRM_SWAP_RUN];
};

/**
 * struct read - a frame that is filled from a slot
 * @work: does it
 * @vm: whose it is, with a reference
 * @index: the guest page
 * @frame: its new frame, locked, with a reference
 * @entry: what it had: slot and checksum
 */
struct read {
	struct work_struct work;
	struct mrm_vm *vm;
	unsigned long index;
	struct page *frame;
	void *entry;
};

/* Readers are waited for: they do not queue behind writers. */
static struct workqueue_struct *write_wq, *read_wq;
static atomic_t writes;
static DECLARE_WAIT_QUEUE_HEAD(fewer_writes);

static u32 sum(struct page *frame)
{
	void *p = kmap_local_page(frame);
	u32 s = xxh32(p, PAGE_SIZE, 0);

	kunmap_local(p);
	return s;
}

/* A frame has been written, or not.  Return: its slot is in use. */
static bool written(struct write *w, unsigned int i, bool good)
{
	struct page *frame = w->frames[i];
	bool swapped;

	mrm_count(w->vm, MRM_WRITING, -1);
	/* Waits for faults, comparisons and the like, of which none waits for I/O. */
	mrm_frame_lock(frame);
	/* Dropped meanwhile, or given to another: then it is not ours to mark. */
	if (!mrm_frame_is_writing(frame) || !mrm_guest_page_is(w->vm, w->index[i], frame)) {
		mrm_frame_unlock(frame);
		put_page(frame);
		return false;
	}
	mrm_frame_set_writing(frame, false);
	/* The entry's reference and ours: nobody looks at it. */
	swapped = good && page_count(frame) == 2 && !folio_mapped(page_folio(frame));
	if (swapped) {
		mrm_hint_remove(frame);
		mrm_entry_replace(w->vm, w->index[i], frame,
				  mrm_swapped_entry(w->slot + i, w->sums[i]));
		trace_mrm_swap_out(w->vm->pid, w->index[i], w->slot + i);
	}
	mrm_frame_unlock(frame);
	if (swapped)
		mrm_frame_free(frame);
	put_page(frame);
	return swapped;
}

static void write_work(struct work_struct *work)
{
	struct write *w = container_of(work, struct write, work);
	int err = mrm_swap_write(w->vm, w->slot, w->frames, w->n);
	unsigned int i, swapped = 0;

	for (i = 0; i < w->n; i++) {
		if (written(w, i, !err))
			swapped++;
		else if (err && err != -ENOSPC && err != -EDQUOT)
			mrm_swap_retire(w->vm, w->slot + i);
		else
			mrm_swap_free(w->vm, w->slot + i);
	}
	mrm_count(w->vm, MRM_SWAP_OUTS, swapped);
	mrm_vm_put(w->vm);
	kfree(w);
	if (atomic_dec_return(&writes) < WRITES_MAX)
		wake_up(&fewer_writes);
}

/**
 * mrm_guest_swap_throttle() - wait while very many pages are being written
 *
 * Context: May sleep; no lock is held.
 */
void mrm_guest_swap_throttle(void)
{
	wait_event(fewer_writes, atomic_read(&writes) < WRITES_MAX);
}

/**
 * mrm_guest_pages_write() - begin to swap guest pages
 * @vm: the VM
 * @out: which
 * @n: how many, up to MRM_SWAP_RUN
 *
 * Each frame stays the guest page's until it is written.  The caller unlocks them.
 *
 * Context: May sleep, but not for memory or I/O.
 * Return: how many are being written: all, or none.
 */
unsigned int mrm_guest_pages_write(struct mrm_vm *vm, const struct mrm_out *out, unsigned int n)
{
	struct write *w = kmalloc(sizeof(*w), __GFP_NOWARN | __GFP_KSWAPD_RECLAIM);
	long slot = w ? mrm_swap_alloc(vm, n) : -ENOMEM;
	unsigned int i;

	if (slot < 0 || !mrm_vm_get(vm)) {
		for (i = 0; slot >= 0 && i < n; i++)
			mrm_swap_free(vm, slot + i);
		kfree(w);
		return 0;
	}
	INIT_WORK(&w->work, write_work);
	w->vm = vm;
	w->slot = slot;
	w->n = n;
	for (i = 0; i < n; i++) {
		get_page(out[i].frame);
		w->index[i] = out[i].index;
		w->frames[i] = out[i].frame;
		w->sums[i] = sum(out[i].frame);
		mrm_frame_set_writing(out[i].frame, true);
	}
	mrm_count(vm, MRM_WRITING, n);
	atomic_inc(&writes);
	queue_work(write_wq, &w->work);
	return n;
}

static void read_work(struct work_struct *work)
{
	struct read *r = container_of(work, struct read, work);
	unsigned long slot = mrm_entry_slot(r->entry);
	int err = mrm_swap_read(r->vm, slot, &r->frame, 1);

	if (!err && sum(r->frame) != mrm_entry_sum(r->entry)) {
		pr_err_ratelimited("VM %d (%s): slot %lu does not hold what was written: the page at %#lx is lost\n",
				   r->vm->pid, r->vm->name, slot, r->index << PAGE_SHIFT);
		err = -EIO;
	}
	if (err) {
		mrm_entry_replace(r->vm, r->index, r->frame, mrm_failed_entry(r->entry));
		/* The entry's reference. */
		put_page(r->frame);
		mrm_frame_unlock(r->frame);
		mrm_frame_free(r->frame);
	} else {
		mrm_swap_free(r->vm, slot);
		mrm_count(r->vm, MRM_SWAP_INS, 1);
		trace_mrm_swap_in(r->vm->pid, r->index, slot);
		mrm_frame_unlock(r->frame);
		put_page(r->frame);
	}
	mrm_vm_put(r->vm);
	kfree(r);
}

/**
 * mrm_guest_page_read() - begin to bring a swapped guest page back
 * @vm: the VM
 * @index: the guest page
 *
 * Context: In a fault; may sleep, but not for I/O.
 * Return: 0 if it is not swapped, or is no more; -EINPROGRESS: it has a frame, which is
 * locked until it is filled; -EHWPOISON if it could not be read the last time;
 * -ENOMEM.
 */
int mrm_guest_page_read(struct mrm_vm *vm, unsigned long index)
{
	void *entry = xa_load(&vm->pages, index);
	struct read *r;

	if (!mrm_entry_is_swapped(entry))
		return 0;
	if (mrm_entry_has_failed(entry))
		return mrm_entry_exchange(vm, index, entry, mrm_swapped_entry(mrm_entry_slot(entry),
					  mrm_entry_sum(entry))) ? -EHWPOISON : 0;
	r = kmalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->frame = mrm_frame_alloc(vm, 0);
	if (!r->frame || !mrm_vm_get(vm)) {
		if (r->frame) {
			mrm_frame_unlock(r->frame);
			put_page(r->frame);
		}
		kfree(r);
		return -ENOMEM;
	}
	mrm_frame_own(r->frame, vm, index);
	/* The entry's. */
	get_page(r->frame);
	if (!mrm_entry_exchange(vm, index, entry, r->frame)) {
		put_page(r->frame);
		mrm_frame_unlock(r->frame);
		mrm_frame_free(r->frame);
		mrm_vm_put(vm);
		kfree(r);
		return 0;
	}
	INIT_WORK(&r->work, read_work);
	r->vm = vm;
	r->index = index;
	r->entry = entry;
	queue_work(read_wq, &r->work);
	return -EINPROGRESS;
}

/**
 * mrm_guest_page_drop_swapped() - swapped -> nothing
 * @vm: the VM
 * @index: the guest page
 *
 * Return: 0; -ENOENT if the guest page is not swapped; -EAGAIN if it changed meanwhile.
 */
int mrm_guest_page_drop_swapped(struct mrm_vm *vm, unsigned long index)
{
	void *entry = xa_load(&vm->pages, index);

	if (!mrm_entry_is_swapped(entry))
		return -ENOENT;
	if (!mrm_entry_exchange(vm, index, entry, NULL))
		return -EAGAIN;
	mrm_swap_free(vm, mrm_entry_slot(entry));
	return 0;
}

/**
 * mrm_guest_swap_init() - make ready to read and write
 * Return: 0 or -ENOMEM.
 */
int mrm_guest_swap_init(void)
{
	/* Nothing is written while processes are frozen for a suspend. */
	write_wq = alloc_workqueue("mrm_swap_out", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_FREEZABLE, 0);
	read_wq = alloc_workqueue("mrm_swap_in", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (write_wq && read_wq)
		return 0;
	if (write_wq)
		destroy_workqueue(write_wq);
	return -ENOMEM;
}

/**
 * mrm_guest_swap_exit() - wait for what is under way
 */
void mrm_guest_swap_exit(void)
{
	destroy_workqueue(read_wq);
	destroy_workqueue(write_wq);
}
