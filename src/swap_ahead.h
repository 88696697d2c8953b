/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Reading neighbours
 *
 * Who wants a swapped guest page gets that page; its neighbours are read with it only while
 * that pays off.  Guest RAM is divided into regions, and a few streams watch them.  When what
 * is wanted next in a stream lies right behind what was read, a reader goes through memory in
 * order: twice as many neighbours are read with it.  When it lies elsewhere: half as many,
 * down to none.
 */
#ifndef MRM_SWAP_AHEAD_H
#define MRM_SWAP_AHEAD_H

struct mrm_vm;

void mrm_swap_ahead_vm(struct mrm_vm *vm);
unsigned int mrm_swap_ahead(struct mrm_vm *vm, unsigned long index);
void mrm_swap_ahead_was(struct mrm_vm *vm, unsigned long index, unsigned int n);

#endif
