/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Swapped pages
 *
 * To write a frame it is locked, unmapped and seen to be unpinned; then it is marked as
 * being written, unlocked, and written by a work, one of a few of its VM's: on some file
 * systems a reader of the file waits for all writers that came before.  Whoever wants the
 * guest page meanwhile has it, and takes the mark away; if the mark still stands when the
 * write is done, the slot takes the frame's place.
 *
 * Slots come first: what is zipped is not unzipped for nothing.
 *
 * To read, a new frame takes the place of the slot, locked until a work has filled it;
 * whoever wants the guest page waits for that lock.  If it cannot be filled the slot takes
 * its place again, marked as failed: that is what the next access gets, once.  Who drops the
 * guest page meanwhile does not wait: the frame is marked as being read, and is the reader's.
 */
#ifndef MRM_GUEST_SWAP_H
#define MRM_GUEST_SWAP_H

#include <linux/types.h>

struct mrm_vm;
struct mrm_write;
struct page;

struct mrm_write *mrm_guest_write_begin(struct mrm_vm *vm, unsigned int n);
bool mrm_guest_write_add(struct mrm_write *w, unsigned long index, struct page *frame,
			 unsigned int frees);
unsigned int mrm_guest_write_room(const struct mrm_write *w);
unsigned int mrm_guest_write_submit(struct mrm_write *w);
int mrm_guest_page_read(struct mrm_vm *vm, unsigned long index, gfp_t flags);
int mrm_guest_page_drop_swapped(struct mrm_vm *vm, unsigned long index);
int mrm_guest_page_drop_reading(struct mrm_vm *vm, unsigned long index);

bool mrm_guest_swap_busy(struct mrm_vm *vm);
bool mrm_guest_swap_hangs(struct mrm_vm *vm);
bool mrm_guest_swap_waits(struct mrm_vm *vm);
bool mrm_guest_swap_throttled(struct mrm_vm *vm);
int mrm_guest_swap_throttle(struct mrm_vm *vm);
void mrm_guest_swap_on_written(void (*fn)(void));

void mrm_guest_swap_vm(struct mrm_vm *vm);
int mrm_guest_swap_init(void);
void mrm_guest_swap_exit(void);

#endif
