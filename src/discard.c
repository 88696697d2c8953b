// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: Discards
 *
 * QEMU believes its RAM is private anonymous memory, so inflating the balloon
 * is madvise(MADV_DONTNEED), which on a mapping of ours only drops page table
 * entries.  A discard is two signals together: a probe on do_madvise() notes
 * the task and the range, and our MMU notifier, called in that task before the
 * entries are zapped, gives up the guest pages in both.
 *
 * The notifier alone is no sign: unmap_mapping_pages() and the splitting of a
 * huge mapping send the same event, for more than was asked.  The note is
 * dropped when do_madvise() returns, or a later event in the same thread would
 * be taken for a discard.
 *
 * From 6.13 on a process may also call process_madvise() on itself, and from 6.15
 * on that does not pass through do_madvise().  Its ranges are in user memory and
 * may be many, so the whole of the process's memory is noted: nothing else that
 * the task can do in this call unmaps what is adopted, while it is in 4 KiB pages.
 */
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "discard.h"
#include "guest_page.h"
#include "trace.h"
#include "vm.h"

/* Calls of madvise() under way on the host at one time; more go unseen. */
#define MAX_ACTIVE	4096

/**
 * struct note - a task is in madvise(MADV_DONTNEED)
 * @node: in notes
 * @task: the task
 * @mm: the memory it asked to be discarded
 * @start: virtual address
 * @end: and the first one after
 * @depth: events that have begun in the task, and not ended
 */
struct note {
	struct hlist_node node;
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long start, end;
	unsigned int depth;
};

/* Taken in probes, which may come with interrupts off. */
static DEFINE_RAW_SPINLOCK(notes_lock);
static DEFINE_HASHTABLE(notes, 6);

/* Returns 0 if it is a discard of a VM's memory, and noted; or 1. */
static int add_note(struct kretprobe_instance *ri, struct mm_struct *mm, unsigned long start,
		    unsigned long end, int behavior)
{
	struct note *note = (struct note *)ri->data;
	unsigned long flags;

	if (behavior != MADV_DONTNEED && behavior != MADV_DONTNEED_LOCKED)
		return 1;
	if (!mm || !mrm_vm_has(mm))
		return 1;
	note->task = current;
	note->mm = mm;
	note->start = start;
	note->end = end;
	note->depth = 0;
	raw_spin_lock_irqsave(&notes_lock, flags);
	hash_add(notes, &note->node, (unsigned long)current);
	raw_spin_unlock_irqrestore(&notes_lock, flags);
	return 0;
}

static int madvise_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct mm_struct *mm = (struct mm_struct *)regs_get_kernel_argument(regs, 0);
	unsigned long start = untagged_addr(regs_get_kernel_argument(regs, 1));
	unsigned long len = regs_get_kernel_argument(regs, 2);

	return add_note(ri, mm, start, start + PAGE_ALIGN(len), regs_get_kernel_argument(regs, 3));
}

/* The argument of a system call is the registers of user space. */
static int process_madvise_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct pt_regs *user = (struct pt_regs *)regs_get_kernel_argument(regs, 0);

	return add_note(ri, current->mm, 0, ULONG_MAX, user->r10);
}

static int madvise_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct note *note = (struct note *)ri->data;
	unsigned long flags;

	raw_spin_lock_irqsave(&notes_lock, flags);
	hash_del(&note->node);
	raw_spin_unlock_irqrestore(&notes_lock, flags);
	return 0;
}

static struct kretprobe madvise_probe = {
	.kp.symbol_name = "do_madvise",
	.entry_handler = madvise_enter,
	.handler = madvise_return,
	.data_size = sizeof(struct note),
	.maxactive = MAX_ACTIVE,
};

static struct kretprobe process_madvise_probe = {
	.kp.symbol_name = "__x64_sys_process_madvise",
	.entry_handler = process_madvise_enter,
	.handler = madvise_return,
	.data_size = sizeof(struct note),
	.maxactive = MAX_ACTIVE,
};

/* The current task's.  Context: notes_lock. */
static struct note *find_note(struct mm_struct *mm)
{
	struct note *note;

	hash_for_each_possible(notes, note, node, (unsigned long)current)
		if (note->task == current && note->mm == mm)
			return note;
	return NULL;
}

/*
 * An event begins.  Cut [*start, *end) to what the current task asked to be discarded.  Return:
 * false if that is nothing, or the event is within another.
 */
static bool begin_event(struct mm_struct *mm, unsigned long *start, unsigned long *end)
{
	struct note *note;
	bool found = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&notes_lock, flags);
	note = find_note(mm);
	if (note && !note->depth++) {
		*start = max(*start, note->start);
		*end = min(*end, note->end);
		found = *start < *end;
	}
	raw_spin_unlock_irqrestore(&notes_lock, flags);
	return found;
}

/**
 * mrm_discard_invalidate() - page table entries of a VM are going to be zapped
 * @vm: the VM
 * @range: where, and on what occasion
 *
 * Context: An MMU notifier.  A discard comes with the mmap lock (or the VMA's)
 * held for reading and may sleep; anything else is let pass at once.
 */
void mrm_discard_invalidate(struct mrm_vm *vm, const struct mmu_notifier_range *range)
{
	unsigned long start = range->start, end = range->end, first, pages, freed;

	if (!begin_event(vm->mm, &start, &end) || range->event != MMU_NOTIFY_CLEAR)
		return;
	if (WARN_ON_ONCE(!mmu_notifier_range_blockable(range)))
		return;
	first = start >> PAGE_SHIFT;
	pages = (end - start) >> PAGE_SHIFT;
	freed = mrm_guest_pages_drop(vm, first, first + pages - 1);
	mrm_count(vm, MRM_DISCARDED, freed);
	trace_mrm_discard(vm->pid, first, pages, freed);
}

/**
 * mrm_discard_invalidated() - the page table entries have been zapped
 * @vm: the VM
 *
 * Context: An MMU notifier.
 */
void mrm_discard_invalidated(struct mrm_vm *vm)
{
	struct note *note;
	unsigned long flags;

	raw_spin_lock_irqsave(&notes_lock, flags);
	note = find_note(vm->mm);
	if (note && note->depth)
		note->depth--;
	raw_spin_unlock_irqrestore(&notes_lock, flags);
}

/**
 * mrm_discard_missed() - discards that may have gone unseen
 *
 * Their guest pages keep their frames and contents until they are discarded
 * again or the VM ends.
 *
 * Return: how many calls of madvise() the probe missed.
 */
unsigned long mrm_discard_missed(void)
{
	return madvise_probe.nmissed + madvise_probe.kp.nmissed +
	       process_madvise_probe.nmissed + process_madvise_probe.kp.nmissed;
}

static int put_probe(struct kretprobe *probe)
{
	int err = register_kretprobe(probe);

	if (err)
		pr_err("cannot place a probe on %s (%d): discards would go unseen\n",
		       probe->kp.symbol_name, err);
	return err;
}

/**
 * mrm_discard_init() - place the probes
 * Return: 0, or an error, and then nothing may be adopted.
 */
int mrm_discard_init(void)
{
	int err = put_probe(&madvise_probe);

	if (err)
		return err;
	err = put_probe(&process_madvise_probe);
	if (err)
		unregister_kretprobe(&madvise_probe);
	return err;
}

/**
 * mrm_discard_exit() - remove the probes
 */
void mrm_discard_exit(void)
{
	unregister_kretprobe(&process_madvise_probe);
	unregister_kretprobe(&madvise_probe);
}
