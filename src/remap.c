// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#include "guest_file.h"
#include "guest_large.h"
#include "remap.h"
#include "vm.h"

#define EVERY		(2 * HZ)	/* jiffies, between two of a VM */
#define AFTER_ERROR	(60 * HZ)

/**
 * struct remap - a piece of guest RAM that is to be mapped anew
 * @work: run by a vCPU's thread on its way back into the guest
 * @file: of the VM, with a reference, which holds the VM and this module
 * @start: virtual address
 * @len: bytes
 */
struct remap {
	struct callback_head work;
	struct file *file;
	unsigned long start, len;
};

static void remap_work(struct callback_head *work)
{
	struct remap *r = container_of(work, struct remap, work);
	struct mrm_vm *vm = mrm_file_vm(r->file);
	int err = -ESRCH;

	if (current->mm == vm->mm && !(current->flags & PF_EXITING))
		err = mrm_guest_file_remap(vm, r->start, r->len);
	WRITE_ONCE(vm->remap_at, jiffies + (err ? AFTER_ERROR : EVERY));
	atomic_set(&vm->remapping, 0);
	fput(r->file);
	kfree(r);
}

/* What of a mapping lies in the GiB around an address, in whole 2 MiB; that of the address does. */
static unsigned long piece(const struct vm_area_struct *vma, unsigned long address,
			   unsigned long *start)
{
	unsigned long end = ALIGN_DOWN(address, SZ_1G) + SZ_1G;

	*start = max(ALIGN_DOWN(address, SZ_1G), ALIGN(vma->vm_start, PMD_SIZE));
	end = min(end, ALIGN_DOWN(vma->vm_end, PMD_SIZE));
	return end - *start;
}

/* A mapping that ends in the middle of 2 MiB cannot have them as a whole. */
static bool covers(const struct vm_area_struct *vma, unsigned long address)
{
	unsigned long start = ALIGN_DOWN(address, PMD_SIZE);

	return vma->vm_start <= start && start + PMD_SIZE <= vma->vm_end;
}

/**
 * mrm_remap_fault() - a fault has met a large frame that was rebuilt
 * @vmf: the fault, with the page that answers it, which is locked
 * @vm: whose
 *
 * Context: In a fault.
 */
void mrm_remap_fault(struct vm_fault *vmf, struct mrm_vm *vm)
{
	struct remap *r;

	/* The mapping may have been told since that it is to have none, or have been split. */
	if (pmd_none(READ_ONCE(*vmf->pmd)) || !mrm_guest_large_is_wanted(vmf->vma) ||
	    !covers(vmf->vma, vmf->address)) {
		mrm_guest_large_is_mapped(vm, vmf->page);
		return;
	}
	/* One at a time: what is not mapped anew now is met again. */
	if (time_before(jiffies, READ_ONCE(vm->remap_at)) ||
	    !mrm_vm_runs_on(vm, current) ||
	    atomic_cmpxchg(&vm->remapping, 0, 1))
		return;
	r = kmalloc(sizeof(*r), GFP_NOWAIT | __GFP_NOWARN);
	if (!r)
		goto later;
	r->len = piece(vmf->vma, vmf->address, &r->start);
	init_task_work(&r->work, remap_work);
	r->file = get_file(vmf->vma->vm_file);
	if (!task_work_add(current, &r->work, TWA_RESUME))
		return;
	fput(r->file);
	kfree(r);
later:
	atomic_set(&vm->remapping, 0);
}
