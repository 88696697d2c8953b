// SPDX-License-Identifier: GPL-2.0
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/wait.h>

#include "block.h"
#include "guest_swap.h"
#include "trace.h"
#include "vm.h"
#include "vm_memory.h"

/**
 * struct block - a vCPU is to sleep
 * @work: run by its thread on its way back into the guest
 * @file: of the VM, with a reference, which holds the VM and this module
 */
struct block {
	struct callback_head work;
	struct file *file;
};

/*
 * The longest that a vCPU is blocked for a page, whatever comes of it, and if nothing can be
 * taken or written: it goes on slowly rather than stand still for good.
 */
#define WAITS		10
#define WAIT		HZ

/* If nothing can be taken, but it may give by its balloon: who stands still gives nothing. */
#define WAIT_TO_GIVE	(HZ / 50)

/*
 * Guest pages that such a VM may take before it gives any: a balloon driver allocates so many,
 * and touches them by that, and gives them up together.
 */
#define TAKE_TO_GIVE	256

static bool state_is_low;
static unsigned int times_low;	/* that it became so */
static void (*wait_fn)(void);
static DECLARE_WAIT_QUEUE_HEAD(wake);

/**
 * mrm_block_set_low() - say whether the state is low
 * @low: it is; mrm_block_wake() is to follow
 *
 * Context: One at a time; any.
 */
void mrm_block_set_low(bool low)
{
	if (low && !state_is_low)
		WRITE_ONCE(times_low, times_low + 1);
	WRITE_ONCE(state_is_low, low);
}

/**
 * mrm_block_is_low() - is the state low?
 *
 * Context: Any.
 * Return: true if it is.
 */
bool mrm_block_is_low(void)
{
	return READ_ONCE(state_is_low);
}

/**
 * mrm_block_on_wait() - be told when a vCPU waits
 * @fn: called before it sleeps; NULL: no more, when there are no VMs
 */
void mrm_block_on_wait(void (*fn)(void))
{
	WRITE_ONCE(wait_fn, fn);
}

/**
 * mrm_block_grown() - from now on a VM has so much more by mrm_vm_frames(), and has not taken it
 * @vm: the VM
 * @pages: how much
 *
 * Context: The balance lock.
 */
void mrm_block_grown(struct mrm_vm *vm, long pages)
{
	if (pages)
		WRITE_ONCE(vm->block_fewest, READ_ONCE(vm->block_fewest) + pages);
}

/**
 * mrm_block_above() - say above what a VM is blocked while the state is low
 * @vm: the VM
 * @frames: pages, as mrm_vm_frames() counts them; mrm_block_wake() is to follow
 * @gives: it has a balloon that may give more
 *
 * Context: One at a time; any.
 */
void mrm_block_above(struct mrm_vm *vm, unsigned long frames, bool gives)
{
	WRITE_ONCE(vm->block_above, frames);
	WRITE_ONCE(vm->block_gives, gives);
}

/**
 * mrm_block_wake() - VMs may be blocked no more
 *
 * Context: Any.
 */
void mrm_block_wake(void)
{
	/* Pairs with the barrier of who goes to sleep. */
	if (wq_has_sleeper(&wake))
		wake_up_all(&wake);
}

static bool is_blocked(struct mrm_vm *vm)
{
	return READ_ONCE(state_is_low) && mrm_vm_frames(vm) > READ_ONCE(vm->block_above);
}

/* Is its own balloon all that can help? */
static bool must_give(struct mrm_vm *vm)
{
	return READ_ONCE(vm->reclaim.vain) && READ_ONCE(vm->block_gives);
}

/*
 * Such a VM takes no more than it has given: its driver is not to be held up for what it
 * allocates to give it.  Two vCPUs at a time may see the fewest it had a little too large.
 */
static bool takes_to_give(struct mrm_vm *vm, unsigned long frames)
{
	unsigned int now = READ_ONCE(times_low);

	if (!must_give(vm))
		return false;
	if (READ_ONCE(vm->block_time) != now || frames < READ_ONCE(vm->block_fewest))
		WRITE_ONCE(vm->block_fewest, frames);
	WRITE_ONCE(vm->block_time, now);
	return frames <= READ_ONCE(vm->block_fewest) + TAKE_TO_GIVE;
}

/* Context: no lock of the process is held but the vCPU's mutex. */
static void block(struct mrm_vm *vm)
{
	unsigned int waits = 0;
	void (*fn)(void);
	long left;

	fn = READ_ONCE(wait_fn);
	atomic_inc(&vm->blocked);
	mrm_count(vm, MRM_BLOCKS, 1);
	trace_mrm_block(vm->pid, true);
	do {
		if (fn)
			fn();
		left = wait_event_interruptible_timeout(wake, !is_blocked(vm) || must_give(vm),
							WAIT);
	} while (!left && ++waits < WAITS && !READ_ONCE(vm->reclaim.vain) &&
		 !mrm_guest_swap_busy(vm));
	if (left > 0 && must_give(vm))
		wait_event_interruptible_timeout(wake, !is_blocked(vm), WAIT_TO_GIVE);
	trace_mrm_block(vm->pid, false);
	atomic_dec(&vm->blocked);
}

static void block_work(struct callback_head *work)
{
	struct block *b = container_of(work, struct block, work);
	struct mrm_vm *vm = mrm_file_vm(b->file);

	/* On its way out of KVM_RUN instead, QEMU may need it. */
	if (is_blocked(vm) && !(current->flags & PF_EXITING) && mrm_vm_runs_on(vm, current))
		block(vm);
	fput(b->file);
	kfree(b);
}

/**
 * mrm_block_allocated() - a fault has taken memory
 * @vmf: the fault
 * @vm: whose
 *
 * One in KVM_RUN is followed by a return to the guest; there are few before that.
 *
 * Context: In a fault.
 */
void mrm_block_allocated(struct vm_fault *vmf, struct mrm_vm *vm)
{
	unsigned long frames;
	struct block *b;

	if (likely(!READ_ONCE(state_is_low)))
		return;
	frames = mrm_vm_frames(vm);
	if (frames <= READ_ONCE(vm->block_above) || takes_to_give(vm, frames) ||
	    !mrm_vm_runs_on(vm, current))
		return;
	/* One that cannot be made sleep goes on: there will be another fault. */
	b = kmalloc(sizeof(*b), GFP_NOWAIT | __GFP_NOWARN);
	if (!b)
		return;
	init_task_work(&b->work, block_work);
	b->file = get_file(vmf->vma->vm_file);
	if (task_work_add(current, &b->work, TWA_RESUME)) {
		fput(b->file);
		kfree(b);
	}
}
