// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "guest_page.h"
#include "swap.h"
#include "swap_ahead.h"
#include "vm.h"

#define REGION_SHIFT	12	/* guest pages of a region: 16 MiB */
#define WINDOW_MAX	(MRM_SWAP_RUN - 1)

/**
 * mrm_swap_ahead_vm() - make a new VM ready
 * @vm: the VM
 */
void mrm_swap_ahead_vm(struct mrm_vm *vm)
{
	spin_lock_init(&vm->ahead_lock);
	memset(vm->ahead, 0, sizeof(vm->ahead));
}

static struct mrm_ahead *stream_of(struct mrm_vm *vm, unsigned long index)
{
	return &vm->ahead[hash_long(index >> REGION_SHIFT, MRM_AHEAD_BITS)];
}

/**
 * mrm_swap_ahead() - how many neighbours to read
 * @vm: the VM
 * @index: the guest page that is wanted
 *
 * Context: Any.
 * Return: how many of those that follow it, 0 if they were of no use of late.
 */
unsigned int mrm_swap_ahead(struct mrm_vm *vm, unsigned long index)
{
	struct mrm_ahead *a = stream_of(vm, index);
	unsigned long next = READ_ONCE(a->next);
	/* The last of the neighbours that were read was touched, or the guest page itself. */
	bool used = next && mrm_guest_page_is_mapped(vm, next - 1);
	unsigned int window;

	spin_lock(&vm->ahead_lock);
	if (used && index - next <= a->window)
		a->window = clamp(2 * a->window, 1U, WINDOW_MAX);
	else
		a->window /= 2;
	window = a->window;
	spin_unlock(&vm->ahead_lock);
	return window;
}

/**
 * mrm_swap_ahead_was() - how many were read
 * @vm: the VM
 * @index: the guest page that is wanted
 * @n: how many of those that follow it could be
 *
 * Context: Any.
 */
void mrm_swap_ahead_was(struct mrm_vm *vm, unsigned long index, unsigned int n)
{
	spin_lock(&vm->ahead_lock);
	WRITE_ONCE(stream_of(vm, index)->next, index + n + 1);
	spin_unlock(&vm->ahead_lock);
}
