/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The states of a guest page
 *
 * The XArray mrm_vm.pages maps a guest page (virtual address >> PAGE_SHIFT) to
 *
 *   nothing           never touched, or discarded
 *   a struct page     a private frame, which is its alone; or a part of a large one, see
 *                     guest_large.h.  It may be in swap, too, see guest_cached.h
 *   the same, tag 1   a shared frame
 *   tag 3             a struct mrm_zipped: what it held, compressed
 *   tag 3, and bit 2  a swap slot, and the checksum of what it held
 *
 * Value entries cannot stand beside these: they look like tags 1 and 3.
 *
 * One rule covers every change: the entry of a guest page that has a frame
 * changes only while that frame's page lock is held, and under xa_lock.
 * ->fault returns the frame locked, and the core unlocks it when the page table
 * entry is in place; so a frame that is locked and unmapped stays unmapped.
 * Without a frame, xa_lock decides: whoever exchanges the entry owns what it pointed to,
 * and if that is to be seen again the new frame is locked until it can be.
 * Nothing sleeps under xa_lock, and memory is never allocated under it.
 *
 * Order of locks: mmap_lock, page lock, i_mmap_rwsem (in unmap_mapping_pages()),
 * xa_lock, a stripe lock of the frame table.
 */
#ifndef MRM_GUEST_PAGE_H
#define MRM_GUEST_PAGE_H

#include <linux/types.h>
#include <linux/xarray.h>

struct page;
struct mrm_vm;

#define MRM_TAKE_RUN		16U	/* guest pages that are taken together */
#define MRM_MARK_SHARED		XA_MARK_0	/* those that have a shared frame */
#define MRM_MARK_PRIVATE	XA_MARK_2	/* those that have a frame of their own */
#define MRM_MARK_INELIGIBLE	XA_MARK_1	/* never shared: a false match */

/**
 * struct mrm_share_op - a private guest page that is to name a shared frame
 * @vm: the VM
 * @index: the guest page
 * @frame: the private frame it was seen to have, with a reference
 * @shared: a shared frame of the VM's salt, named once on the caller's behalf
 * @err: what became of it, see mrm_guest_pages_share()
 */
struct mrm_share_op {
	struct mrm_vm *vm;
	unsigned long index;
	struct page *frame;
	struct page *shared;
	int err;
};

/**
 * struct mrm_taken - what taking guest pages brought
 * @bytes: freed
 * @writing: that will be, when they are written
 */
struct mrm_taken {
	unsigned long bytes;
	unsigned long writing;
};

struct page *mrm_guest_page_get(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_page_is_mapped(struct mrm_vm *vm, unsigned long index);
struct page *mrm_guest_page_lock(struct mrm_vm *vm, unsigned long index, bool killable);
struct page *mrm_guest_page_populate(struct mrm_vm *vm, unsigned long index, gfp_t flags);
struct page *mrm_guest_page_populate_zero(struct mrm_vm *vm, unsigned long index,
					  gfp_t flags);
struct page *mrm_guest_page_break(struct mrm_vm *vm, unsigned long index, struct page *shared,
				  gfp_t flags);
unsigned int mrm_guest_pages_get_private(struct mrm_vm *vm, unsigned long first,
					 unsigned int pages, bool barred, struct page **frames);
void mrm_guest_pages_share(struct mrm_share_op *ops, unsigned int n);
int mrm_guest_page_unshare(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_page_hint(struct mrm_vm *vm, unsigned long index, struct page *frame, u64 hash);
void mrm_guest_page_bar(struct mrm_vm *vm, unsigned long index, struct page *frame);
bool mrm_guest_pages_find_alone(struct mrm_vm *vm, unsigned long *index, unsigned long last);
unsigned int mrm_guest_pages_own(struct mrm_vm *vm, unsigned long first, unsigned int pages);
bool mrm_guest_pages_may_take(struct mrm_vm *vm);
unsigned int mrm_guest_pages_take(struct mrm_vm *vm, unsigned long first, unsigned int pages,
				  struct mrm_taken *taken);
unsigned int mrm_guest_page_zip(struct mrm_vm *vm, unsigned long index, struct page *frame);
struct page *mrm_guest_page_unzip(struct mrm_vm *vm, unsigned long index, gfp_t flags);
unsigned int mrm_guest_pages_zip_out(struct mrm_vm *vm);
int mrm_guest_page_drop_zipped(struct mrm_vm *vm, unsigned long index);
unsigned int mrm_guest_page_zipped_bytes(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_page_is_taken(struct mrm_vm *vm, unsigned long index);
bool mrm_guest_page_is(struct mrm_vm *vm, unsigned long index, struct page *frame);
unsigned long mrm_guest_pages_drop(struct mrm_vm *vm, unsigned long first, unsigned long last);

#endif
