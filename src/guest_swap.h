/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Swapped pages
 *
 * To write a frame it is locked, unmapped and seen to be unpinned; then it is marked as
 * being written, unlocked, and written by a work.  Whoever wants the guest page meanwhile
 * has it, and takes the mark away; if the mark still stands when the write is done, the
 * slot takes the frame's place.
 *
 * To read, a new frame takes the place of the slot, locked until a work has filled it;
 * whoever wants the guest page waits for that lock.  If it cannot be filled the slot takes
 * its place again, marked as failed: that is what the next access gets, once.
 */
#ifndef MRM_GUEST_SWAP_H
#define MRM_GUEST_SWAP_H

struct mrm_vm;
struct page;

/**
 * struct mrm_out - a guest page that is to be swapped
 * @index: the guest page
 * @frame: its frame: private, locked, unmapped, with a reference of the caller's
 */
struct mrm_out {
	unsigned long index;
	struct page *frame;
};

unsigned int mrm_guest_pages_write(struct mrm_vm *vm, const struct mrm_out *out, unsigned int n);
int mrm_guest_page_read(struct mrm_vm *vm, unsigned long index);
int mrm_guest_page_drop_swapped(struct mrm_vm *vm, unsigned long index);
void mrm_guest_swap_throttle(void);

int mrm_guest_swap_init(void);
void mrm_guest_swap_exit(void);

#endif
