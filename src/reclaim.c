// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "block.h"
#include "compat.h"
#include "counters.h"
#include "guest_large.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "reclaim.h"
#include "share.h"
#include "swap.h"
#include "vm.h"
#include "vm_memory.h"
#include "zip.h"

#define RUN		MRM_TAKE_RUN
#define DRAWS		32	/* tries to draw a run in which there is something to take */
#define TURN		32	/* runs, before it is another VM's turn */
#define WINDOW		4096	/* guest pages, over which it is seen whether it is worth it */
#define WORTH_IT	32	/* of so many bytes looked at, one must have been freed */
#define VAIN		HZ	/* jiffies, after which it is seen whether it still is in vain */
#define EMERGENCY_BYTES	(16UL << 20)	/* that are taken in one */
#define EMERGENCY_PART	32	/* of its frames, that a VM gives in one at the most */

static struct task_struct *reclaimer;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static DECLARE_WAIT_QUEUE_HEAD(relieved);
static bool kicked;
static bool throttled;		/* a VM had no turn, as too much of it is being written */
static atomic_t emergencies;	/* asked for, less those that were dealt with */
static atomic_t asking;		/* who waits for one */
static bool last_resort;	/* one of them is */

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

static unsigned long reclaimed(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_RECLAIMED_BYTES);
}

static bool writing(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_WRITING) > 0;
}

/**
 * mrm_reclaim_emergency() - take some memory from VMs at once
 * @timeout: jiffies, how long to wait for it
 * @from_all: the kernel would end a process instead
 *
 * From those above their targets; if that brings nothing, and @from_all, from all above their
 * min.
 *
 * Context: May sleep; with any lock held: what those who hold it may wait for is not waited
 * for longer than @timeout.
 * Return: bytes that were freed.
 */
unsigned long mrm_reclaim_emergency(long timeout, bool from_all)
{
	unsigned long before = reclaimed();

	/* It would wait for itself. */
	if (current == reclaimer)
		return 0;
	if (from_all)
		WRITE_ONCE(last_resort, true);
	atomic_inc(&asking);
	/* Whoever counts it sees which it is. */
	smp_mb__before_atomic();
	atomic_inc(&emergencies);
	mrm_reclaim_wake();
	timeout = wait_event_timeout(relieved, !atomic_read(&emergencies), timeout);
	/* It may all be on its way to swap. */
	if (timeout)
		wait_event_timeout(relieved, reclaimed() > before || !writing(), timeout);
	atomic_dec(&asking);
	return reclaimed() - before;
}

/* Something was written to swap. */
static void written(void)
{
	if (wq_has_sleeper(&relieved))
		wake_up_all(&relieved);
	mrm_block_wake();
	/* Some may not have had their turn, as too much was being written. */
	smp_mb();
	if (READ_ONCE(throttled))
		mrm_reclaim_wake();
}

/* Is there something among them that can be taken?  *index: the first. */
static bool find(struct mrm_vm *vm, unsigned long *index, unsigned long last, bool alone)
{
	return xa_find(&vm->pages, index, last, MRM_MARK_PRIVATE) ||
	       (alone && mrm_guest_pages_find_alone(vm, index, last));
}

/*
 * A guest page that has a frame of its own, or could have, from a run drawn from all that was
 * adopted.  Where most have none it is drawn again: the next one behind any other would nearly
 * always be the same.
 */
static bool draw(struct mrm_vm *vm, unsigned long *index)
{
	/* Those are zipped or swapped, or nothing comes of it. */
	bool alone = mrm_guest_pages_may_take(vm);
	unsigned long pages;
	unsigned int i;

	for (i = 0; i < DRAWS; i++) {
		if (!mrm_vm_draw_adopted(vm, get_random_u64(), RUN, index, &pages))
			return false;
		if (find(vm, index, *index + pages - 1, alone))
			return true;
	}
	if (find(vm, index, ULONG_MAX, alone))
		return true;
	*index = 0;
	return find(vm, index, ULONG_MAX, alone);
}

/*
 * Does breaking a large frame save nothing?  Of what was not scanned it is found out; *brought:
 * pages that this saved at once.
 */
static bool is_in_vain(struct mrm_vm *vm, unsigned long index, unsigned int *brought)
{
	struct mrm_large_look look;

	if (!mrm_guest_large_look(vm, index, &look) || look.broken)
		return false;
	if (!look.scanned || !mrm_share_scans(vm)) {
		*brought = mrm_share_scan_large(vm, index);
		if (!mrm_guest_large_look(vm, index, &look))
			return false;
	}
	return look.scanned && !look.saves;
}

/*
 * Break the large frame that a guest page is in, unless that were in vain: there is no way to
 * take its parts, and as far as is known none of them can be shared.  Return: those that became
 * nothing.
 */
static unsigned int break_large(struct mrm_vm *vm, unsigned long index)
{
	unsigned int parts, brought = 0;

	if (!mrm_guest_pages_may_take(vm) && is_in_vain(vm, index, &brought))
		return brought;
	mrm_share_break_large(vm, index, false, &parts);
	return brought + parts;
}

/*
 * From one run of a VM's guest pages.  Return: guest pages that were looked at, 0 if there are
 * none; *freed: bytes, where to add what that brought, or will when it is written.
 */
static unsigned int reclaim_run(struct mrm_vm *vm, unsigned long *freed)
{
	unsigned int resident, flags, parts, owned;
	struct mrm_taken taken = {};
	unsigned long index, first;

	if (!draw(vm, &index))
		return 0;
	first = round_down(index, RUN);
	/* This frees more than it takes, and there may be nothing else to take. */
	flags = memalloc_noreclaim_save();
	parts = break_large(vm, index);
	taken.bytes = (parts + mrm_share_try_block(vm, first, RUN)) * PAGE_SIZE;
	/* Before what is taken now finds none: what was zipped last is wanted soonest. */
	if (READ_ONCE(mrm_zip_max) && !mrm_zip_has_room(vm, RUN))
		mrm_guest_pages_zip_out(vm);
	owned = mrm_guest_pages_may_take(vm) ? mrm_guest_pages_own(vm, first, RUN) : 0;
	if (owned)
		mrm_vm_owned(vm, owned);
	resident = mrm_guest_pages_take(vm, first, RUN, &taken);
	memalloc_noreclaim_restore(flags);
	/* What is written counts when it has been. */
	mrm_count(vm, MRM_RECLAIMED_BYTES, taken.bytes);
	*freed += taken.bytes + taken.writing;
	return max(resident, 1U);
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

	if (mrm_guest_swap_hangs(vm))
		return frames;
	return writing > 0 && writing < frames ? frames - writing : frames;
}

/**
 * mrm_reclaim_now() - take memory from a VM at once
 * @vm: the VM
 * @bytes: how much; it may be up to a run more
 *
 * Context: May sleep.
 * Return: bytes that were freed, or will be when they are written; fewer if it was not worth
 * it to go on; -ERESTARTSYS.
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
		if (mrm_guest_swap_throttle(vm) || signal_pending(current))
			return -ERESTARTSYS;
		got = 0;
		looked = reclaim_run(vm, &got);
		if (!looked)
			break;
		r.looked += looked;
		r.freed += got;
		freed += got;
		mrm_cond_resched();
	}
	return freed;
}

/* What became of an order to take from a VM. */
enum turn { DONE, IN_VAIN, THROTTLED, MORE };

/* A VM's turn. */
static enum turn take_turn(struct mrm_vm *vm, unsigned long order)
{
	struct mrm_reclaim *r = &vm->reclaim;
	unsigned int i, looked;

	/* What was not worth it may be now. */
	if (r->order != order)
		*r = (struct mrm_reclaim){ .order = order };
	if (mrm_vm_not_to_take(vm))
		return IN_VAIN;
	mrm_share_prepare(vm);
	for (i = 0; i < TURN && !freezing(current); i++) {
		if (frames_left(vm) <= order)
			return DONE;
		/* Others' turns do not wait for its disk. */
		if (mrm_guest_swap_throttled(vm))
			return THROTTLED;
		looked = reclaim_run(vm, &r->freed);
		r->looked += looked;
		/* A disk that hangs may go on, and then there is more. */
		if (!looked || !worth_it(r))
			return mrm_guest_swap_waits(vm) ? THROTTLED : IN_VAIN;
		mrm_cond_resched();
	}
	return MORE;
}

/* Take from a VM in an emergency, down to so many frames, and not more bytes than *left. */
static void take_at_once(struct mrm_vm *vm, unsigned long to, long *left)
{
	unsigned long frames = frames_left(vm), freed;
	struct mrm_reclaim r = {};
	unsigned int looked;

	to = max(frames - frames / EMERGENCY_PART, to);
	if (mrm_vm_not_to_take(vm))
		return;
	mrm_share_prepare(vm);
	while (*left > 0 && frames_left(vm) > to && worth_it(&r)) {
		/* What cannot be written is not unmapped for nothing; a suspend waits for us. */
		if (mrm_guest_swap_throttled(vm) || freezing(current))
			return;
		freed = 0;
		looked = reclaim_run(vm, &freed);
		/* All it has may be shared or zipped. */
		if (!looked)
			return;
		r.looked += looked;
		r.freed += freed;
		*left -= freed;
		mrm_cond_resched();
	}
}

/*
 * From all VMs in turn, beginning behind the one that gave last, until it is enough: from what
 * they have above their targets, or above their min.
 */
static void take_from_all(bool above_target, long *left)
{
	static unsigned long last;	/* id; the reclaimer's alone */
	unsigned long vms = mrm_nr_vms(), id = last;
	struct mrm_vm *vm;

	while (*left > 0 && vms--) {
		vm = mrm_vm_next_in_turn(&id);
		if (!vm)
			return;
		take_at_once(vm, above_target ? READ_ONCE(vm->block_above) :
			     READ_ONCE(vm->balance.min), left);
		last = id;
		mrm_vm_put(vm);
	}
}

static void relieve(int pending)
{
	bool from_all = xchg(&last_resort, false);
	long left = EMERGENCY_BYTES;

	/* While there was a suspend all may have given up. */
	if (atomic_read(&asking))
		take_from_all(true, &left);
	if (from_all && left == EMERGENCY_BYTES && atomic_read(&asking))
		take_from_all(false, &left);
	atomic_sub(pending, &emergencies);
	wake_up_all(&relieved);
}

/* A VM's turn, if it was told to give.  Return: it is to have another at once. */
static bool obey(struct mrm_vm *vm)
{
	unsigned long told = READ_ONCE(vm->reclaim_to), order = told;
	enum turn turn;

	/* One that waits for memory has taken some since it was at its target. */
	if (atomic_read(&vm->blocked))
		order = min(order, READ_ONCE(vm->block_above));
	if (order == ULONG_MAX)
		return false;
	/* One that waits asks again and again. */
	if (told == ULONG_MAX && vm->reclaim.vain && time_before(jiffies, vm->reclaim.retry))
		return false;
	turn = take_turn(vm, order);
	WRITE_ONCE(vm->reclaim.vain, turn == IN_VAIN);
	if (turn == IN_VAIN)
		vm->reclaim.retry = jiffies + VAIN;
	if (turn == THROTTLED) {
		WRITE_ONCE(throttled, true);
		/* Pairs with written(): one of the two sees the other. */
		smp_mb();
		return !mrm_guest_swap_waits(vm);
	}
	/* Unless it was told something else meanwhile. */
	if (turn == DONE || turn == IN_VAIN)
		cmpxchg(&vm->reclaim_to, told, ULONG_MAX);
	return turn == MORE;
}

/* Each VM's turn.  Return: there is more to be taken at once. */
static bool take_turns(void)
{
	int pending = atomic_read(&emergencies);
	unsigned long id = 0;
	bool more = false;
	struct mrm_vm *vm;

	if (pending)
		relieve(pending);
	WRITE_ONCE(throttled, false);
	while ((vm = mrm_vm_next(&id))) {
		more |= obey(vm);
		mrm_vm_put(vm);
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
		/* Of a disk that hangs nothing is heard. */
		if (!more)
			wait_event_freezable_timeout(wake,
						     READ_ONCE(kicked) || kthread_should_stop(),
						     READ_ONCE(throttled) ? MRM_SWAP_HUNG :
						     MAX_SCHEDULE_TIMEOUT);
		else
			try_to_freeze();
		/* Before it is looked what there is to do: who comes later kicks again. */
		smp_store_mb(kicked, false);
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
	mrm_guest_swap_on_written(written);
	mrm_block_on_wait(mrm_reclaim_wake);
	return 0;
}

/**
 * mrm_reclaim_exit() - stop it
 */
void mrm_reclaim_exit(void)
{
	mrm_block_on_wait(NULL);
	mrm_guest_swap_on_written(NULL);
	kthread_stop(reclaimer);
}
