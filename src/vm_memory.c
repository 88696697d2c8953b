// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/math64.h>
#include <linux/mm.h>

#include "counters.h"
#include "frame_table.h"
#include "vm.h"
#include "vm_memory.h"

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
	return frames < names && pages < names ? mul_u64_u64_div_u64(pages, frames, names) : pages;
}

/**
 * mrm_vm_memory() - what a VM has
 * @vm: the VM
 * @m: the answer
 *
 * Each shared guest page is taken to cost as much as any other in the host,
 * frames / names, zero pages apart; so what the VMs consume adds up to the frames
 * there are, and nothing has to be walked.  What one VM really saves is
 * saved_pages (sharing.c).
 *
 * Of memory that was not adopted, what the process has of memory is taken, up
 * to the size of those ranges.
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int mrm_vm_memory(struct mrm_vm *vm, struct mrm_vm_memory *m)
{
	long private = max(mrm_counter_read(&vm->counters, MRM_PRIVATE), 0L);
	long zero = max(mrm_counter_read(&vm->counters, MRM_ZERO), 0L);
	long shared = max(mrm_counter_read(&vm->counters, MRM_SHARED) - zero, 0L);
	long zeroes = mrm_counter_read(&mrm_host_counters, MRM_ZERO);
	long names = mrm_counter_read(&mrm_host_counters, MRM_SHARED) - zeroes;
	long size = mrm_vm_size_pages(vm), not_adopted;
	unsigned long foreign, frames;

	if (size < 0)
		return size;
	not_adopted = max(size - atomic_long_read(&vm->adopted), 0L);
	foreign = min_t(unsigned long, not_adopted, foreign_pages(vm->mm));
	frames = part(shared, mrm_shared_frames() - mrm_zero_frames(), names);
	m->size = size;
	m->granted = private + shared + zero + foreign;
	m->consumed = private + frames + part(zero, mrm_zero_frames(), zeroes) + foreign;
	m->saved = shared - frames;
	return 0;
}
