/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: What was read from swap, and still is there
 *
 * A guest page that is read from swap keeps its slot until it is written to, as in the kernel's
 * swap cache: taken again it needs no frame, and is not written again.  What a guest only reads,
 * its page cache and its programs, is written once, however often it comes and goes (of the kinds
 * of "silent swap writes" of VSwapper, ASPLOS 2014, the one that a host can tell).
 *
 * Slots are given back when they are needed for others.
 *
 * Its frame is private, and marked MRM_FRAME_CACHED; its slot and checksum are in mrm_vm.cached.
 * It is mapped to be read only, so that the first write is seen (guest_page_mkwrite()), which
 * needs mappings that have page_mkwrite: where a VM's have not it is mapped as others, and its
 * slot is free.
 *
 * The page lock is the owner of all of this.
 */
#ifndef MRM_GUEST_CACHED_H
#define MRM_GUEST_CACHED_H

#include <linux/types.h>

struct mrm_vm;
struct page;

bool mrm_guest_cached_may_take(struct mrm_vm *vm);
void mrm_guest_cached_keep(struct mrm_vm *vm, unsigned long index, struct page *frame, void *entry);
void mrm_guest_cached_drop(struct mrm_vm *vm, unsigned long index, struct page *frame);
unsigned int mrm_guest_cached_take(struct mrm_vm *vm, unsigned long index, struct page *frame);
unsigned int mrm_guest_cached_give(struct mrm_vm *vm, unsigned int n);
int mrm_guest_cached_drop_all(struct mrm_vm *vm);

#endif
