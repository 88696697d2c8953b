/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Pins
 *
 * Pages of a VM's RAM that the kernel holds for long, as an AF_XDP area; or by reference
 * alone, in a pipe.
 */
#ifndef PIN_H
#define PIN_H

#include "vm.h"

#define PIN_LENT	16	/* pages that a pipe has room for */

/**
 * struct lent_pages - what is lent to a pipe
 * @first: the first page
 * @count: how many
 * @states: what each is to hold when it comes back
 */
struct lent_pages {
	size_t first, count;
	uint64_t states[PIN_LENT];
};

long pin_pages(struct vm *vm, void *pages);
long unpin_pages(struct vm *vm, void *unused);
long lend_pages(struct vm *vm, void *lent);
long take_back_pages(struct vm *vm, void *lent);

#endif
