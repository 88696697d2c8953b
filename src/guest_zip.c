// SPDX-License-Identifier: GPL-2.0
/*
 * The states private and zipped of a guest page, and from one to the other.
 *
 * What is zipped has no frame, so no page lock either.  Who exchanges the entry owns the
 * object; if that is to bring the page back, the new frame stands in its place, locked
 * until it holds what it should, and whoever wants the guest page waits for that lock.
 */
#include <linux/err.h>
#include <linux/mm.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "trace.h"
#include "vm.h"
#include "zip.h"

/**
 * mrm_guest_page_zip() - private -> zipped, or nothing if it is zero
 * @vm: the VM
 * @index: the guest page
 * @frame: its frame: private, locked, unmapped, and with no reference but the entry's and
 *	the caller's
 *
 * Context: May sleep, but not for memory.
 * Return: bytes that were freed, and then the caller has the entry's reference, too; 0: it
 * is what it was.
 */
unsigned int mrm_guest_page_zip(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	struct mrm_zipped *zipped = NULL;
	unsigned int bytes = 0;

	/* A zero page needs nothing at all to be what it is. */
	if (!mrm_frame_contents_zero(frame)) {
		zipped = mrm_zip(vm, index, frame);
		if (PTR_ERR(zipped) == -E2BIG)
			mrm_count(vm, MRM_MISFITS, 1);
		if (IS_ERR(zipped))
			return 0;
		bytes = mrm_zipped_bytes(zipped);
		mrm_count(vm, MRM_ZIPS, 1);
	}
	mrm_hint_remove(frame);
	mrm_entry_replace(vm, index, frame, zipped ? mrm_zipped_entry(zipped) : NULL);
	trace_mrm_zip(vm->pid, index, bytes);
	return PAGE_SIZE - bytes;
}

/**
 * mrm_guest_page_unzip() - zipped -> private
 * @vm: the VM
 * @index: the guest page
 * @flags: how hard to try for a frame: 0 or MRM_KILL_NOBODY in a fault, else MRM_SPARE
 *
 * Context: May sleep.
 * Return: the frame, locked and with a reference; NULL if the guest page is not zipped;
 * ERR_PTR(-EAGAIN) if it changed meanwhile, ERR_PTR(-ENOMEM), ERR_PTR(-EHWPOISON) if what
 * was kept is damaged.
 */
struct page *mrm_guest_page_unzip(struct mrm_vm *vm, unsigned long index, gfp_t flags)
{
	void *entry = xa_load(&vm->pages, index);
	struct mrm_zipped *zipped = mrm_entry_zipped(entry);
	bool wanted = (flags & MRM_SPARE) != MRM_SPARE;
	struct page *frame;

	if (!zipped)
		return NULL;
	frame = mrm_entry_begin_return(vm, index, entry, flags, false);
	if (IS_ERR(frame))
		return frame;
	if (mrm_unzip(zipped, frame)) {
		/* Somebody wants it, and will not get it.  Or it was to be written, and stays. */
		if (wanted)
			mrm_count(vm, MRM_READ_ERRORS, 1);
		pr_err_ratelimited("VM %d (%s): the zipped page at %#lx is damaged\n", vm->pid,
				   vm->name, index << PAGE_SHIFT);
		mrm_zip_keep(vm, zipped);
		mrm_entry_cancel_return(vm, index, frame, entry);
		return ERR_PTR(-EHWPOISON);
	}
	mrm_zip_free(vm, zipped);
	/* What is only to be written instead was not wanted. */
	if (wanted) {
		mrm_count(vm, MRM_UNZIPS, 1);
		trace_mrm_unzip(vm->pid, index);
	}
	return frame;
}

/* The oldest zipped page of a VM, unzipped, to be written.  Return: false if that is to end. */
static bool zip_out(struct mrm_vm *vm, struct mrm_write *w)
{
	unsigned long index;
	unsigned int bytes;
	struct page *frame;
	bool room;

	if (!mrm_zip_oldest(vm, &index))
		return false;
	bytes = mrm_guest_page_zipped_bytes(vm, index);
	/* It is freed only when it is written: not from the kernel's reserves, which that needs. */
	frame = mrm_guest_page_unzip(vm, index, MRM_SPARE | __GFP_NOMEMALLOC);
	/* Wanted just now, or damaged, and then the next one's turn has come. */
	if (IS_ERR_OR_NULL(frame))
		return PTR_ERR(frame) != -ENOMEM;
	room = mrm_guest_write_add(w, index, frame, bytes);
	mrm_frame_unlock(frame);
	put_page(frame);
	return room;
}

/**
 * mrm_guest_pages_zip_out() - zipped -> on the way to swap, for the oldest of a VM
 * @vm: the VM
 *
 * What is zipped longest is wanted least, and its room is for what is taken now.
 *
 * Context: May sleep.
 * Return: how many are on their way.
 */
unsigned int mrm_guest_pages_zip_out(struct mrm_vm *vm)
{
	struct mrm_write *w = mrm_guest_write_begin(vm, MRM_TAKE_RUN);
	unsigned int i;

	if (!w)
		return 0;
	for (i = mrm_guest_write_room(w); i; i--)
		if (!zip_out(vm, w))
			break;
	return mrm_guest_write_submit(w);
}

/**
 * mrm_guest_page_drop_zipped() - zipped -> nothing
 * @vm: the VM
 * @index: the guest page
 *
 * Return: 0; -ENOENT if the guest page is not zipped; -EAGAIN if it changed meanwhile.
 */
int mrm_guest_page_drop_zipped(struct mrm_vm *vm, unsigned long index)
{
	void *entry = xa_load(&vm->pages, index);
	struct mrm_zipped *zipped = mrm_entry_zipped(entry);

	if (!zipped)
		return -ENOENT;
	if (!mrm_entry_exchange(vm, index, entry, NULL))
		return -EAGAIN;
	mrm_zip_free(vm, zipped);
	return 0;
}

/**
 * mrm_guest_page_zipped_bytes() - what a guest page needs if it is zipped
 * @vm: the VM
 * @index: the guest page
 *
 * Context: Takes xa_lock, under which an object that has an entry stays.
 * Return: bytes, or 0 if it is not.
 */
unsigned int mrm_guest_page_zipped_bytes(struct mrm_vm *vm, unsigned long index)
{
	struct mrm_zipped *zipped;
	unsigned int bytes;

	xa_lock(&vm->pages);
	zipped = mrm_entry_zipped(xa_load(&vm->pages, index));
	bytes = zipped ? mrm_zipped_bytes(zipped) : 0;
	xa_unlock(&vm->pages);
	return bytes;
}
