// SPDX-License-Identifier: GPL-2.0
#include <linux/math.h>

#include "compat.h"
#include "frame.h"
#include "guest_page.h"
#include "large_walk.h"
#include "vm.h"

/**
 * mrm_large_walk() - look at each multiple of 2 MiB at which a VM has frames of its own
 * @vm: the VM
 * @index: the guest page to begin at
 * @fn: called with the first guest page of each, and @arg; may sleep
 * @arg: see there
 * @go_on: asked before each
 *
 * Context: May sleep.
 * Return: the guest page to go on at; 0 if there are no more.
 */
unsigned long mrm_large_walk(struct mrm_vm *vm, unsigned long index, mrm_large_walk_fn fn,
			     void *arg, bool (*go_on)(void))
{
	while (go_on()) {
		if (!xa_find(&vm->pages, &index, ULONG_MAX, MRM_MARK_PRIVATE))
			return 0;
		index = round_down(index, MRM_LARGE_PAGES);
		fn(vm, index, arg);
		index += MRM_LARGE_PAGES;
		if (!index)
			return 0;
		mrm_cond_resched();
	}
	return index;
}
