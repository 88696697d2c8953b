// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/math64.h>
#include <linux/mm.h>

#include "counters.h"
#include "frame_table.h"
#include "vm.h"
#include "vm_memory.h"
#include "zip.h"

#define MOST_GROWN	1024

/*
 * What a process has of memory that is not in our care.  Guest RAM cannot be told
 * from the rest of QEMU here: the caller knows how much guest RAM there is at most.
 */
static unsigned long foreign_pages(struct mm_struct *mm)
{
	unsigned long pages = get_mm_counter(mm, MM_ANONPAGES) + get_mm_counter(mm, MM_SHMEMPAGES);

#ifdef CONFIG_HUGETLB_PAGE
	pages += atomic_long_read(&mm->hugetlb_usage);
#endif
	return pages;
}

/* Frames for @pages of a VM's guest pages, where all VMs' @names are backed by @frames. */
static unsigned long part(long pages, long frames, long names)
{
	/* They change as they are read. */
	if (pages <= 0 || frames <= 0)
		return 0;
	return frames < names ? mul_u64_u64_div_u64(min(pages, names), frames, names) : pages;
}

/**
 * struct parts - what a VM has in frames of ours, in guest pages and in frames
 * @private: guest pages with a frame of their own
 * @shared: with a shared frame, but for zero pages
 * @zero: zero pages
 * @held: frames of nobody, in large frames that are broken
 * @shared_frames: the VM's part of the shared frames
 * @zero_frames: the VM's part of the zero frames
 * @zip_frames: the VM's part of the frames for zipped pages
 */
struct parts {
	long private, shared, zero, held;
	unsigned long shared_frames, zero_frames, zip_frames;
};

static struct parts parts_of(struct mrm_vm *vm)
{
	long zeroes = mrm_counter_read(&mrm_host_counters, MRM_ZERO);
	long names = mrm_counter_read(&mrm_host_counters, MRM_SHARED) - zeroes;
	long zipped = mrm_counter_read(&vm->counters, MRM_ZIPPED_BYTES);
	long all_zipped = mrm_counter_read(&mrm_host_counters, MRM_ZIPPED_BYTES);
	struct parts p = {};

	p.private = max(mrm_counter_read(&vm->counters, MRM_PRIVATE), 0L);
	p.held = max(mrm_counter_read(&vm->counters, MRM_LARGE_HELD), 0L);
	p.zero = max(mrm_counter_read(&vm->counters, MRM_ZERO), 0L);
	p.shared = max(mrm_counter_read(&vm->counters, MRM_SHARED) - p.zero, 0L);
	p.shared_frames = part(p.shared, mrm_shared_frames() - mrm_zero_frames(), names);
	p.zero_frames = part(p.zero, mrm_zero_frames(), zeroes);
	/* They change as they are read. */
	if (zipped > 0 && all_zipped >= zipped)
		p.zip_frames = mul_u64_u64_div_u64(zipped, mrm_zip_frames(), all_zipped);
	return p;
}

static unsigned long frames_of(const struct parts *p)
{
	return p->private + p->held + p->shared_frames + p->zero_frames + p->zip_frames;
}

/**
 * mrm_vm_owned() - a VM alone has frames now of which others were taken to have their parts
 * @vm: the VM
 * @pages: guest pages whose shared frames became their own
 *
 * It has more by that, and has taken nothing.  It would have to give more than its target wants,
 * or be blocked, until targets are set anew.  As the others have less until then, and may take more
 * without being blocked, this is for MOST_GROWN pages.
 *
 * Context: Any.
 */
void mrm_vm_owned(struct mrm_vm *vm, unsigned int pages)
{
	long zeroes = mrm_counter_read(&mrm_host_counters, MRM_ZERO);
	long names = mrm_counter_read(&mrm_host_counters, MRM_SHARED) - zeroes;
	long frames = mrm_shared_frames() - mrm_zero_frames();
	long shared = mrm_counter_read(&vm->counters, MRM_SHARED) -
		      mrm_counter_read(&vm->counters, MRM_ZERO);
	long had = part(shared + pages, frames + pages, names + pages);
	long has = part(shared, frames, names) + pages;

	if (has > had && atomic_long_read(&vm->grown) < MOST_GROWN)
		atomic_long_add(has - had, &vm->grown);
}

/**
 * mrm_vm_frames() - what a VM has in frames of ours, but for mrm_vm_owned()
 * @vm: the VM
 *
 * Each shared guest page is taken to cost as much as any other in the host,
 * frames / names, zero pages apart; so what the VMs consume adds up to the frames
 * there are, and nothing has to be walked.  So do zipped pages, by their bytes.  What one
 * VM really saves is saved_pages (sharing.c).
 *
 * Context: Any.
 * Return: pages.
 */
unsigned long mrm_vm_frames(struct mrm_vm *vm)
{
	struct parts p = parts_of(vm);
	long frames = frames_of(&p);

	return max(frames - atomic_long_read(&vm->grown), 0L);
}

/**
 * mrm_vm_memory() - what a VM has
 * @vm: the VM
 * @m: the answer
 *
 * Of memory that was not adopted, what the process has of memory is taken, up
 * to the size of those ranges.
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int mrm_vm_memory(struct mrm_vm *vm, struct mrm_vm_memory *m)
{
	long size = mrm_vm_size_pages(vm), not_adopted;
	struct parts p = parts_of(vm);
	unsigned long foreign, taken;

	if (size < 0)
		return size;
	not_adopted = max(size - atomic_long_read(&vm->adopted), 0L);
	foreign = min_t(unsigned long, not_adopted, foreign_pages(vm->mm));
	taken = mrm_counter_read(&vm->counters, MRM_ZIPPED) +
		mrm_counter_read(&vm->counters, MRM_SWAPPED);
	m->size = size;
	m->granted = p.private + p.shared + p.zero + foreign;
	m->frames = frames_of(&p);
	m->consumed = m->frames + foreign;
	m->saved = p.shared - p.shared_frames;
	m->taken = taken > p.zip_frames ? taken - p.zip_frames : 0;
	return 0;
}
