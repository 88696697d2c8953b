// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "block.h"
#include "compat.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "reclaim.h"
#include "share.h"
#include "swap.h"
#include "vm.h"
#include "vm_memory.h"
#include "zip.h"

#define RUN		MRM_TAKE_RUN
#define TURN		32	/* runs, before it is another VM's turn */
#define WINDOW		4096	/* guest pages, over which it is seen whether it is worth it */
#define EMERGENCY_PART	32	/* of its frames, that a VM gives in an emergency */
#define WORTH_IT	32	/* of so many bytes looked at, one must have been freed */

static struct task_struct *reclaimer;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static DECLARE_WAIT_QUEUE_HEAD(relieved);
static bool kicked;
static atomic_t emergencies;	/* asked for, less those that were dealt with */

/**
 * mrm_reclaim_to() - say to how many frames a VM is to be brought
 * @vm: the VM
 * @frames: pages, as mrm_vm_frames() counts them; ULONG_MAX: nothing is to be taken
 *
 * Context: Any.  mrm_reclaim_wake() is to follow.
 */
void mrm_reclaim_to(struct mrm_vm *vm, unsigned long frames)
{
	WRITE_ONCE(vm->reclaim_to, frames);
}

/**
 * mrm_reclaim_wake() - something is to be taken from VMs
 *
 * Context: Any.
 */
void mrm_reclaim_wake(void)
{
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/**
 * mrm_reclaim_emergency() - have all VMs give a part of what they have above their min
 * @timeout: jiffies, how long to wait until each has had a turn
 *
 * Context: May sleep; with any lock held: what those who hold it may wait for is not waited
 * for longer than @timeout.
 */
void mrm_reclaim_emergency(long timeout)
{
	atomic_inc(&emergencies);
	mrm_reclaim_wake();
	wait_event_timeout(relieved, !atomic_read(&emergencies), timeout);
}

/* Drawn from all that was adopted; the next that has a frame of its own. */
static bool draw(struct mrm_vm *vm, unsigned long *index)
{
	unsigned long pages;

	if (!mrm_vm_draw_adopted(vm, get_random_u64(), RUN, index, &pages))
		return false;
	if (xa_find(&vm->pages, index, ULONG_MAX, MRM_MARK_PRIVATE))
		return true;
	*index = 0;
	return xa_find(&vm->pages, index, ULONG_MAX, MRM_MARK_PRIVATE);
}

/*
 * From one run of a VM's guest pages.  Return: guest pages that were looked at, 0 if there are
 * none; *freed: bytes, where to add what that brought.
 */
static unsigned int reclaim_run(struct mrm_vm *vm, unsigned long *freed)
{
	unsigned long index, first, got;
	unsigned int shared, looked = 0, flags;

	if (!draw(vm, &index))
		return 0;
	mrm_guest_swap_throttle();
	first = round_down(index, RUN);
	shared = mrm_share_try_block(vm, first, RUN);
	/* This frees more than it takes, and there may be nothing else to take. */
	flags = memalloc_noreclaim_save();
	if (READ_ONCE(mrm_zip_max) && !mrm_zip_may(vm) && mrm_swap_free_slots(vm) >= RUN)
		mrm_guest_pages_zip_out(vm);
	got = mrm_guest_pages_take(vm, first, RUN, &looked);
	memalloc_noreclaim_restore(flags);
	got += shared * PAGE_SIZE;
	mrm_count(vm, MRM_RECLAIMED_BYTES, got);
	*freed += got;
	/* Those that others have locked were looked at, too. */
	return max(looked + shared, 1U);
}

/* Is it worth it to go on, after so many guest pages? */
static bool worth_it(struct mrm_reclaim *r)
{
	bool worth = r->freed >= r->looked * PAGE_SIZE / WORTH_IT;

	if (r->looked < WINDOW)
		return true;
	r->looked = 0;
	r->freed = 0;
	return worth;
}

/* Frames it will have when those on their way to swap are gone. */
static unsigned long frames_left(struct mrm_vm *vm)
{
	unsigned long frames = mrm_vm_frames(vm);
	long writing = mrm_counter_read(&vm->counters, MRM_WRITING);

	return writing > 0 && writing < frames ? frames - writing : frames;
}

/**
 * mrm_reclaim_now() - take memory from a VM at once
 * @vm: the VM
 * @bytes: how much; it may be up to a run more
 *
 * Context: May sleep.
 * Return: bytes that were freed, or will be when they are written; fewer if it was not worth
 * it to go on; -EINTR.
 */
long mrm_reclaim_now(struct mrm_vm *vm, unsigned long bytes)
{
	struct mrm_reclaim r = {};
	unsigned long freed = 0, got;
	unsigned int looked;

	if (mrm_vm_not_to_take(vm))
		return 0;
	mrm_share_prepare(vm);
	while (freed < bytes && worth_it(&r)) {
		got = 0;
		looked = reclaim_run(vm, &got);
		if (!looked)
			break;
		r.looked += looked;
		r.freed += got;
		freed += got;
		if (signal_pending(current))
			return -EINTR;
		mrm_cond_resched();
	}
	return freed;
}

/* A VM's turn.  Return: there is more to be taken from it. */
static bool take_turn(struct mrm_vm *vm, unsigned long order)
{
	struct mrm_reclaim *r = &vm->reclaim;
	unsigned int i, looked;

	/* What was not worth it may be now. */
	if (r->order != order)
		*r = (struct mrm_reclaim){ .order = order };
	if (mrm_vm_not_to_take(vm))
		return false;
	mrm_share_prepare(vm);
	for (i = 0; i < TURN; i++) {
		if (frames_left(vm) <= order)
			return false;
		looked = reclaim_run(vm, &r->freed);
		r->looked += looked;
		if (!looked || !worth_it(r))
			return false;
		mrm_cond_resched();
	}
	return true;
}

/* Down to its min at the most, a part of it at a time. */
static void order_emergency(struct mrm_vm *vm)
{
	unsigned long frames = mrm_vm_frames(vm), order = READ_ONCE(vm->reclaim_to);
	unsigned long to = max(frames - frames / EMERGENCY_PART, READ_ONCE(vm->balance.min));

	if (to < frames && to < order)
		cmpxchg(&vm->reclaim_to, order, to);
}

/* Each VM's turn.  Return: there is more to be taken. */
static bool take_turns(void)
{
	int pending = atomic_read(&emergencies);
	unsigned long id = 0, order;
	bool more = false;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		if (pending)
			order_emergency(vm);
		order = READ_ONCE(vm->reclaim_to);
		if (order == ULONG_MAX)
			;
		else if (take_turn(vm, order))
			more = true;
		else
			/* Done, or in vain; unless it was told something else meanwhile. */
			cmpxchg(&vm->reclaim_to, order, ULONG_MAX);
		mrm_vm_put(vm);
	}
	if (pending) {
		atomic_sub(pending, &emergencies);
		wake_up_all(&relieved);
	}
	/* Some may be at their targets. */
	mrm_block_wake();
	return more;
}

static int reclaim_thread(void *unused)
{
	bool more = false;

	/* Nothing is taken while processes are frozen for a suspend. */
	set_freezable();
	while (!kthread_should_stop()) {
		if (!more)
			wait_event_freezable(wake, READ_ONCE(kicked) || kthread_should_stop());
		else
			try_to_freeze();
		WRITE_ONCE(kicked, false);
		more = take_turns();
		mrm_zip_compact();
	}
	return 0;
}

/**
 * mrm_reclaim_init() - start the thread
 * Return: 0 or an error.
 */
int mrm_reclaim_init(void)
{
	struct task_struct *task = kthread_run(reclaim_thread, NULL, "mrm_reclaim");

	if (IS_ERR(task))
		return PTR_ERR(task);
	reclaimer = task;
	return 0;
}

/**
 * mrm_reclaim_exit() - stop it
 */
void mrm_reclaim_exit(void)
{
	kthread_stop(reclaimer);
}
