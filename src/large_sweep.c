// SPDX-License-Identifier: GPL-2.0
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>

#include "counters.h"
#include "frame.h"
#include "guest_large.h"
#include "guest_page.h"
#include "large_scan.h"
#include "large_sweep.h"
#include "large_walk.h"
#include "share.h"
#include "vm.h"

#define ZEROES_EVERY	(60 * HZ)	/* what is not scanned is looked through */

const unsigned int mrm_large_least_saved[MRM_LARGE_STEPS] = { 384, 256, 128, 32, 1 };

/**
 * mrm_large_may_go_on() - is the thread to go on?
 *
 * Context: The thread of large.c.
 * Return: false if it is to end, or the host is about to sleep.
 */
bool mrm_large_may_go_on(void)
{
	return !kthread_should_stop() && !freezing(current);
}

/* Break the one that a guest page is in. */
static void break_one(struct mrm_vm *vm, unsigned long index, const struct mrm_large_sweep *s)
{
	if (!mrm_share_break_large(vm, index, true, NULL) && s->share)
		mrm_share_scan_large(vm, index);
}

/* Of one that has just been looked at; where the share lock was not to be had zeroes count. */
static unsigned int saves(struct mrm_vm *vm, unsigned long index,
			  const struct mrm_large_look *look)
{
	if (look->scanned)
		return look->saves;
	return max(look->saves,
		   mrm_large_scan_count_zeroes(vm, round_down(index, MRM_LARGE_PAGES)));
}

static void scan_one(struct mrm_vm *vm, unsigned long index, struct mrm_large_look *look,
		     struct mrm_large_sweep *s)
{
	bool is_new = !look->scanned;

	mrm_share_scan_large(vm, index);
	if (!mrm_guest_large_look(vm, index, look)) {
		/* It saved so much that it was broken: now what it held is shared. */
		if (s->share)
			mrm_share_scan_large(vm, index);
		s->found += is_new;
		return;
	}
	/* Where the scanner's lock was not to be had it is not yet. */
	s->found += is_new && look->scanned;
	if (s->at_once && saves(vm, index, look) >= s->saved)
		break_one(vm, index, s);
}

static void sweep_one(struct mrm_vm *vm, unsigned long index, struct mrm_large_sweep *s)
{
	struct mrm_large_look look;

	if (!mrm_guest_large_look(vm, index, &look))
		return;
	/* One that is broken but not empty costs more than what is in it. */
	if (look.broken) {
		break_one(vm, index, s);
		return;
	}
	if (s->scan == MRM_SCAN_NEW && look.scanned && !s->again)
		return;
	if (s->scan) {
		scan_one(vm, index, &look, s);
		return;
	}
	if (!s->saved || look.saves < s->saved)
		return;
	if (s->all || !mrm_guest_page_is_mapped(vm, index)) {
		break_one(vm, index, s);
		return;
	}
	s->found++;
	if (s->unmap)
		mrm_guest_large_unmap(vm, index);
}

static void sweep_fn(struct mrm_vm *vm, unsigned long first, void *sweep)
{
	unsigned long index = first;

	/* Of one that is broken any part may be gone. */
	if (!mrm_counter_read(&vm->counters, MRM_LARGE_HELD) ||
	    mrm_guest_large_find(vm, first, &index))
		sweep_one(vm, index, sweep);
}

static bool look_for_zeroes(struct mrm_vm *vm)
{
	if (mrm_share_scans(vm) || (vm->zeroes_at && time_before(jiffies, vm->zeroes_at)))
		return false;
	/* 0 is for never. */
	vm->zeroes_at = (jiffies + ZEROES_EVERY) | 1;
	return true;
}

/**
 * mrm_large_sweep_vm() - look at all large frames of a VM
 * @vm: the VM; nothing is done if nothing is to be taken of it
 * @s: what to do; counts
 * @go_on: asked before each
 *
 * Context: The thread of large.c; may sleep.
 */
void mrm_large_sweep_vm(struct mrm_vm *vm, struct mrm_large_sweep *s, bool (*go_on)(void))
{
	unsigned long left;

	if ((!mrm_counter_read(&vm->counters, MRM_LARGE) &&
	     !mrm_counter_read(&vm->counters, MRM_LARGE_HELD)) || mrm_vm_not_to_take(vm))
		return;
	mrm_share_prepare(vm);
	s->again = s->scan == MRM_SCAN_NEW && look_for_zeroes(vm);
	if (s->again) {
		/* One that was cut off goes on where it was; nothing may have been looked at. */
		left = mrm_large_walk(vm, vm->zeroes_next, sweep_fn, s, go_on);
		if (left || !go_on()) {
			vm->zeroes_at = 0;
			vm->zeroes_next = left;
			return;
		}
		s->again = false;
		if (!vm->zeroes_next)
			return;
		vm->zeroes_next = 0;
	}
	mrm_large_walk(vm, 0, sweep_fn, s, go_on);
}

/**
 * mrm_large_sweep_all() - look at all large frames of all VMs
 * @s: what to do; counts from 0
 * @go_on: asked before each
 *
 * Context: The thread of large.c; may sleep.
 */
void mrm_large_sweep_all(struct mrm_large_sweep *s, bool (*go_on)(void))
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	s->found = 0;
	while (go_on() && (vm = mrm_vm_next(&id))) {
		mrm_large_sweep_vm(vm, s, go_on);
		mrm_vm_put(vm);
	}
}
