// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "block.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "swap.h"
#include "swap_ahead.h"
#include "trace.h"
#include "vm.h"

#define WRITES_MAX	64	/* runs of a VM on their way: 4 MiB */

/**
 * struct mrm_write - frames on their way to slots
 * @node: in mrm_vm.writes
 * @vm: whose they are
 * @slot: the first of as many in a row
 * @room: how many slots
 * @n: how many frames
 * @index: the guest pages
 * @frames: their frames, with references
 * @sums: checksums of what they hold
 * @frees: bytes that each will have freed
 */
struct mrm_write {
	struct list_head node;
	struct mrm_vm *vm;
	unsigned long slot;
	unsigned int room;
	unsigned int n;
	unsigned long index[MRM_SWAP_RUN];
	struct page *frames[MRM_SWAP_RUN];
	u32 sums[MRM_SWAP_RUN];
	u16 frees[MRM_SWAP_RUN];
};

/**
 * struct read - frames that are filled from slots
 * @node: in mrm_vm.reads
 * @vm: whose they are
 * @index: the first guest page, which is wanted; the others are its neighbours
 * @n: how many, in slots in a row
 * @frames: their new frames, locked, with references
 * @entries: what they had: slot and checksum
 */
struct read {
	struct list_head node;
	struct mrm_vm *vm;
	unsigned long index;
	unsigned int n;
	struct page *frames[MRM_SWAP_RUN];
	void *entries[MRM_SWAP_RUN];
};

/* Readers are waited for: they do not queue behind writers. */
static struct workqueue_struct *write_wq, *read_wq;
static DECLARE_WAIT_QUEUE_HEAD(fewer_writes);
static void (*written_fn)(void);

/* A frame has been written, or not.  Return: its slot is in use. */
static bool written(struct mrm_write *w, unsigned int i, bool good)
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
	if (swapped) {
		mrm_frame_free(frame);
		mrm_count(w->vm, MRM_RECLAIMED_BYTES, w->frees[i]);
	}
	put_page(frame);
	return swapped;
}

/* A run has been written: those of its frames that @good has a bit for. */
static void end_write(struct mrm_write *w, unsigned long good)
{
	unsigned int i, swapped = 0;

	for (i = 0; i < w->n; i++) {
		if (written(w, i, good & BIT(i)))
			swapped++;
		else if (good & BIT(i))
			mrm_swap_free(w->vm, w->slot + i);
	}
	mrm_count(w->vm, MRM_SWAP_OUTS, swapped);
	WRITE_ONCE(w->vm->wrote, jiffies);
	atomic_dec(&w->vm->nr_writes);
	kfree(w);
}

/*
 * The first run that is to be written, and those behind it that continue it: runs are of
 * neighbouring guest pages, drawn at random, but their slots follow each other, and a request
 * to a disk costs as much as several pages.  Return: false if there are none.
 */
static bool take_writes(struct mrm_vm *vm, struct list_head *batch)
{
	struct mrm_write *w, *next;
	unsigned long end = 0;
	unsigned int n = 0;

	spin_lock(&vm->swap_lock);
	list_for_each_entry_safe(w, next, &vm->writes, node) {
		if (n && (w->slot != end || n + w->n > MRM_SWAP_WRITE))
			break;
		n += w->n;
		end = w->slot + w->n;
		list_move_tail(&w->node, batch);
	}
	spin_unlock(&vm->swap_lock);
	return n;
}

/* Several runs in one request.  Return: all of them have been written. */
static bool write_together(struct mrm_vm *vm, struct list_head *batch)
{
	unsigned long slot = list_first_entry(batch, struct mrm_write, node)->slot;
	struct page *frames[MRM_SWAP_WRITE];
	struct mrm_write *w;
	unsigned int n = 0;

	list_for_each_entry(w, batch, node) {
		memcpy(frames + n, w->frames, w->n * sizeof(*frames));
		n += w->n;
	}
	return !mrm_swap_write_all(vm, slot, frames, n);
}

static void write_out(struct mrm_vm *vm, struct list_head *batch)
{
	bool all = !list_is_singular(batch) && write_together(vm, batch);
	struct mrm_write *w, *next;

	/* What could not be written is found, and costs slots, run by run. */
	list_for_each_entry_safe(w, next, batch, node)
		end_write(w, all ? GENMASK(w->n - 1, 0) :
				   mrm_swap_write(vm, w->slot, w->frames, w->n));
}

/*
 * One that is idle, if there is: what is in the list now is not to wait for what takes another one
 * long.  Context: swap_lock.
 */
static struct mrm_swapper *choose(struct mrm_swapper *all, unsigned int n, unsigned int *next)
{
	struct mrm_swapper *swapper;
	unsigned int tries = n;

	do
		swapper = &all[(*next)++ % n];
	while (work_busy(&swapper->work) && --tries);
	return swapper;
}

/* The end of a work; perhaps it was the last to know the VM, and then the work is gone, too. */
static void put_swapper(struct mrm_vm *vm)
{
	mrm_vm_put(vm);
	/* Who unloads the module waits for works, but not for a disk that hangs. */
	module_put(THIS_MODULE);
}

/* One that is queued already does what is in the list now as well. */
static void wake_swapper(struct workqueue_struct *wq, struct mrm_swapper *swapper)
{
	ihold(&swapper->vm->inode);
	__module_get(THIS_MODULE);
	if (!queue_work(wq, &swapper->work))
		put_swapper(swapper->vm);
}

static void writer_work(struct work_struct *work)
{
	struct mrm_vm *vm = container_of(work, struct mrm_swapper, work)->vm;
	void (*fn)(void);
	LIST_HEAD(batch);

	for (; take_writes(vm, &batch); INIT_LIST_HEAD(&batch)) {
		write_out(vm, &batch);
		wake_up_all(&fewer_writes);
		fn = READ_ONCE(written_fn);
		if (fn)
			fn();
	}
	put_swapper(vm);
}

/**
 * mrm_guest_swap_on_written() - be told when something was written
 * @fn: called from the works that write; may sleep.  NULL: no more, once they are idle
 */
void mrm_guest_swap_on_written(void (*fn)(void))
{
	WRITE_ONCE(written_fn, fn);
	if (!fn)
		flush_workqueue(write_wq);
}

/**
 * mrm_guest_swap_busy() - are so many pages of a VM being written that more are to wait?
 * @vm: the VM
 * Return: true if so.
 */
bool mrm_guest_swap_busy(struct mrm_vm *vm)
{
	return atomic_read(&vm->nr_writes) >= WRITES_MAX;
}

/* How long it may still take until something has been written, jiffies; 0: the disk hangs. */
static long patience(struct mrm_vm *vm)
{
	return max_t(long, READ_ONCE(vm->wrote) + MRM_SWAP_HUNG - jiffies, 0);
}

/**
 * mrm_guest_swap_hangs() - does its disk keep a VM waiting for what is to be written?
 * @vm: the VM
 *
 * Then what can be freed, shared or zipped does not wait for it.
 *
 * Return: true if it has written nothing for MRM_SWAP_HUNG.
 */
bool mrm_guest_swap_hangs(struct mrm_vm *vm)
{
	if (!atomic_read(&vm->nr_writes))
		return false;
	/* Pairs with mrm_guest_write_submit(). */
	smp_rmb();
	return !patience(vm);
}

/**
 * mrm_guest_swap_waits() - does nothing more of a VM begin to be written for now?
 * @vm: the VM
 * Return: true if so: very many pages are being written, or the disk hangs.
 */
bool mrm_guest_swap_waits(struct mrm_vm *vm)
{
	return mrm_guest_swap_busy(vm) || mrm_guest_swap_hangs(vm);
}

/**
 * mrm_guest_swap_throttled() - is it worth it to wait until fewer pages are being written?
 * @vm: the VM
 * Return: true if so: they are many, and the disk does not hang.
 */
bool mrm_guest_swap_throttled(struct mrm_vm *vm)
{
	return mrm_guest_swap_busy(vm) && !mrm_guest_swap_hangs(vm);
}

/**
 * mrm_guest_swap_throttle() - wait until it is not
 * @vm: the VM
 *
 * Context: May sleep; no lock is held.
 * Return: 0 or -ERESTARTSYS.
 */
int mrm_guest_swap_throttle(struct mrm_vm *vm)
{
	long left;

	while (mrm_guest_swap_throttled(vm)) {
		left = wait_event_interruptible_timeout(fewer_writes, !mrm_guest_swap_busy(vm),
							patience(vm));
		if (left < 0)
			return left;
	}
	return 0;
}

/**
 * mrm_guest_write_begin() - slots for guest pages that are to be swapped
 * @vm: the VM
 * @n: how many
 *
 * Context: May sleep, but not for memory or I/O.
 * Return: what mrm_guest_write_submit() is to be given, with room for some of them; NULL if
 * there is none, very many are being written, or the disk hangs.
 */
struct mrm_write *mrm_guest_write_begin(struct mrm_vm *vm, unsigned int n)
{
	struct mrm_write *w;

	if (mrm_guest_swap_waits(vm))
		return NULL;
	w = kmalloc(sizeof(*w), __GFP_NOWARN | __GFP_KSWAPD_RECLAIM);
	if (!w)
		return NULL;
	w->vm = vm;
	w->n = 0;
	n = min(n, MRM_SWAP_RUN);
	w->room = mrm_swap_alloc(vm, n, &w->slot);
	if (!w->room && mrm_swap_has_room(vm) && mrm_guest_cached_give(vm, n))
		w->room = mrm_swap_alloc(vm, n, &w->slot);
	if (w->room)
		return w;
	kfree(w);
	return NULL;
}

/**
 * mrm_guest_write_add() - a guest page is to be swapped
 * @w: from mrm_guest_write_begin()
 * @index: the guest page
 * @frame: its frame: private, locked, unmapped, with a reference of the caller's; unlocked
 *	by him after this
 * @frees: bytes that this frees
 *
 * The frame stays the guest page's until it is written.
 *
 * Return: false if there is no room.
 */
bool mrm_guest_write_add(struct mrm_write *w, unsigned long index, struct page *frame,
			 unsigned int frees)
{
	unsigned int i = w->n;

	if (i == w->room)
		return false;
	get_page(frame);
	w->index[i] = index;
	w->frames[i] = frame;
	w->sums[i] = mrm_frame_checksum(frame);
	w->frees[i] = frees;
	w->n++;
	/* Of two slots the one that it had may be no good. */
	mrm_guest_cached_drop(w->vm, index, frame);
	mrm_frame_set_writing(frame, true);
	return true;
}

/**
 * mrm_guest_write_room() - how many guest pages can be added
 * @w: from mrm_guest_write_begin()
 * Return: how many.
 */
unsigned int mrm_guest_write_room(const struct mrm_write *w)
{
	return w->room - w->n;
}

/**
 * mrm_guest_write_submit() - begin to write
 * @w: from mrm_guest_write_begin(); the caller's no more
 *
 * Context: May sleep, but not for memory or I/O; the caller has a reference to the VM.
 * Return: how many guest pages are being written.
 */
unsigned int mrm_guest_write_submit(struct mrm_write *w)
{
	struct mrm_vm *vm = w->vm;
	unsigned int i, n = w->n;
	struct mrm_swapper *writer;

	for (i = n; i < w->room; i++)
		mrm_swap_free(vm, w->slot + i);
	if (!n) {
		kfree(w);
		return 0;
	}
	mrm_count(vm, MRM_WRITING, n);
	spin_lock(&vm->swap_lock);
	list_add_tail(&w->node, &vm->writes);
	/* None is being written: it is waited for from now on. */
	if (!atomic_read(&vm->nr_writes))
		WRITE_ONCE(vm->wrote, jiffies);
	/* Pairs with mrm_guest_swap_hangs(): who sees it waits for it from then on, too. */
	smp_wmb();
	atomic_inc(&vm->nr_writes);
	writer = choose(vm->writers, MRM_SWAP_WRITERS, &vm->next_writer);
	spin_unlock(&vm->swap_lock);
	wake_swapper(write_wq, writer);
	return n;
}

static bool holds(const struct read *r, unsigned int i)
{
	return mrm_frame_checksum(r->frames[i]) == mrm_entry_sum(r->entries[i]);
}

/* Is the data lost, as far as an error says?  Else who wants it tries again. */
static bool is_lost(int err)
{
	return err != -ENOMEM && err != -EAGAIN && err != -EINTR;
}

/* From here on who drops the guest page waits for the lock.  Return: nobody has dropped it. */
static bool end_reading(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	bool mine;

	xa_lock(&vm->pages);
	mine = xa_load(&vm->pages, index) == frame;
	mrm_frame_set_reading(frame, false);
	xa_unlock(&vm->pages);
	return mine;
}

/* One of them is, or is not, what it was; @again: it was read a second time. */
static void have_read(struct read *r, unsigned int i, int err, bool again)
{
	unsigned long index = r->index + i, slot = mrm_entry_slot(r->entries[i]);
	struct page *frame = r->frames[i];
	bool lost;

	if (!end_reading(r->vm, index, frame)) {
		mrm_swap_free(r->vm, slot);
		mrm_frame_unlock(frame);
		mrm_hint_remove(frame);
		mrm_frame_free(frame);
		put_page(frame);
		return;
	}
	if (!err) {
		/* That is no place for the only copy. */
		if (again)
			mrm_swap_free(r->vm, slot);
		else
			mrm_guest_cached_keep(r->vm, index, frame, r->entries[i]);
		mrm_count(r->vm, MRM_SWAP_INS, 1);
		trace_mrm_swap_in(r->vm->pid, index, slot);
		mrm_frame_unlock(frame);
		put_page(frame);
		return;
	}
	/* A neighbour was not asked for: who wants it hears of it. */
	lost = !i && is_lost(err);
	if (lost) {
		mrm_count(r->vm, MRM_READ_ERRORS, 1);
		mrm_swap_doubt(r->vm);
		pr_err_ratelimited("VM %d (%s): slot %lu of %pD %s (%d): the page at %#lx is lost\n",
				   r->vm->pid, r->vm->name, slot, mrm_swap_file(r->vm),
				   err == -EUCLEAN ? "does not hold what was written" :
				   "cannot be read", err, index << PAGE_SHIFT);
	}
	mrm_entry_cancel_return(r->vm, index, frame,
				lost ? mrm_failed_entry(r->entries[i]) : r->entries[i]);
}

static void read_in(struct read *r)
{
	unsigned long slot = mrm_entry_slot(r->entries[0]);
	int all = mrm_swap_read(r->vm, slot, r->frames, r->n), err;
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		/* Once more by itself, also if it was alone. */
		err = all ? mrm_swap_read(r->vm, slot + i, &r->frames[i], 1) : 0;
		if (!err && !holds(r, i))
			err = -EUCLEAN;
		have_read(r, i, err, all);
	}
	kfree(r);
}

static struct read *take_read(struct mrm_vm *vm)
{
	struct read *r;

	spin_lock(&vm->swap_lock);
	r = list_first_entry_or_null(&vm->reads, struct read, node);
	if (r)
		list_del(&r->node);
	spin_unlock(&vm->swap_lock);
	return r;
}

static void reader_work(struct work_struct *work)
{
	struct mrm_vm *vm = container_of(work, struct mrm_swapper, work)->vm;
	struct read *r;

	while ((r = take_read(vm)))
		read_in(r);
	put_swapper(vm);
}

static void submit_read(struct read *r)
{
	struct mrm_vm *vm = r->vm;
	struct mrm_swapper *reader;

	spin_lock(&vm->swap_lock);
	list_add_tail(&r->node, &vm->reads);
	reader = choose(vm->readers, MRM_SWAP_READERS, &vm->next_reader);
	spin_unlock(&vm->swap_lock);
	wake_swapper(read_wq, reader);
}

/* A new frame in place of a slot, locked.  Return: 0, -ENOMEM, or -EAGAIN if it changed. */
static int begin_read(struct read *r, struct mrm_vm *vm, void *entry, gfp_t flags)
{
	struct page *frame = mrm_entry_begin_return(vm, r->index + r->n, entry, flags,
						    true);

	if (IS_ERR(frame))
		return PTR_ERR(frame);
	r->frames[r->n] = frame;
	r->entries[r->n++] = entry;
	return 0;
}

/* Neighbours that are in the slots that follow, while that has been paying off. */
static void begin_neighbours(struct read *r, struct mrm_vm *vm)
{
	unsigned int window = mrm_block_is_low() ? 0 : mrm_swap_ahead(vm, r->index);
	unsigned long slot = mrm_entry_slot(r->entries[0]);
	void *entry;

	while (r->n <= window) {
		entry = xa_load(&vm->pages, r->index + r->n);
		if (!mrm_entry_is_swapped(entry) || mrm_entry_has_failed(entry) ||
		    mrm_entry_slot(entry) != slot + r->n ||
		    begin_read(r, vm, entry, MRM_SPARE))
			break;
	}
	mrm_swap_ahead_was(vm, r->index, r->n - 1);
	mrm_count(vm, MRM_SWAP_AHEADS, r->n - 1);
}

/**
 * mrm_guest_page_read() - begin to bring a swapped guest page back
 * @vm: the VM
 * @index: the guest page
 * @flags: 0 or MRM_KILL_NOBODY
 *
 * Context: In a fault; may sleep, but not for I/O.
 * Return: 0 if it is not swapped, or is no more; -EINPROGRESS: it has a frame, which is
 * locked until it is filled; -EHWPOISON if it could not be read the last time;
 * -ENOMEM.
 */
int mrm_guest_page_read(struct mrm_vm *vm, unsigned long index, gfp_t flags)
{
	void *entry = xa_load(&vm->pages, index);
	struct read *r;
	int err;

	if (!mrm_entry_is_swapped(entry))
		return 0;
	if (mrm_entry_has_failed(entry))
		return mrm_entry_exchange(vm, index, entry, mrm_swapped_entry(mrm_entry_slot(entry),
					  mrm_entry_sum(entry))) ? -EHWPOISON : 0;
	r = kmalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->vm = vm;
	r->index = index;
	r->n = 0;
	err = begin_read(r, vm, entry, flags);
	if (err) {
		kfree(r);
		return err == -EAGAIN ? 0 : err;
	}
	begin_neighbours(r, vm);
	submit_read(r);
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
 * mrm_guest_page_drop_reading() - being read -> nothing
 * @vm: the VM
 * @index: the guest page
 *
 * Who gives a guest page up does not wait for a disk: whoever reads it finds it gone, and
 * frees slot and frame.
 *
 * Context: Takes xa_lock, which is the owner of this change instead of the page lock: the
 * reader, who has that, asks under it whether the guest page is still there.
 * Return: 0; -ENOENT if the guest page is not being read.
 */
int mrm_guest_page_drop_reading(struct mrm_vm *vm, unsigned long index)
{
	XA_STATE(xas, &vm->pages, index);
	struct page *frame = mrm_entry_frame(xa_load(&vm->pages, index));
	void *entry;
	int err = -ENOENT;

	/* Most are not. */
	if (!frame || !mrm_frame_is_reading(frame))
		return err;
	xas_lock(&xas);
	entry = xas_load(&xas);
	frame = mrm_entry_frame(entry);
	if (frame && mrm_frame_is_reading(frame)) {
		/* Before it stands in the open that it is the reader's alone. */
		mrm_entry_count(vm, entry, -1);
		xas_store(&xas, NULL);
		err = 0;
	}
	xas_unlock(&xas);
	return err;
}

/**
 * mrm_guest_swap_vm() - make a new VM ready for swap
 * @vm: the VM
 */
void mrm_guest_swap_vm(struct mrm_vm *vm)
{
	unsigned int i;

	INIT_LIST_HEAD(&vm->writes);
	INIT_LIST_HEAD(&vm->reads);
	spin_lock_init(&vm->swap_lock);
	mrm_swap_ahead_vm(vm);
	for (i = 0; i < MRM_SWAP_WRITERS; i++) {
		INIT_WORK(&vm->writers[i].work, writer_work);
		vm->writers[i].vm = vm;
	}
	for (i = 0; i < MRM_SWAP_READERS; i++) {
		INIT_WORK(&vm->readers[i].work, reader_work);
		vm->readers[i].vm = vm;
	}
}

/**
 * mrm_guest_swap_init() - make ready to read and write
 * Return: 0 or -ENOMEM.
 */
int mrm_guest_swap_init(void)
{
	/* Nothing is written while processes are frozen for a suspend. */
	write_wq = alloc_workqueue("mrm_swap_out", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_FREEZABLE,
				   WQ_MAX_ACTIVE);
	read_wq = alloc_workqueue("mrm_swap_in", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI,
				  WQ_MAX_ACTIVE);
	if (write_wq && read_wq)
		return 0;
	if (write_wq)
		destroy_workqueue(write_wq);
	if (read_wq)
		destroy_workqueue(read_wq);
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
