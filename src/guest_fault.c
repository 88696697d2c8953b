// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when a guest, QEMU, vhost or a device touches guest RAM that is
 * not mapped, or is mapped read-only because its frame is shared.
 */
#include <linux/err.h>
#include <linux/file.h>

#include "block.h"
#include "compat.h"
#include "frame.h"
#include "guest_cached.h"
#include "guest_entry.h"
#include "guest_fault.h"
#include "guest_file.h"
#include "guest_large.h"
#include "guest_limit.h"
#include "guest_page.h"
#include "guest_swap.h"
#include "remap.h"
#include "trace.h"
#include "vm.h"

static struct mrm_vm *vmf_vm(struct vm_fault *vmf)
{
	return mrm_file_vm(vmf->vma->vm_file);
}

/*
 * Only the process whose memory it is may map a frame: its mappings alone are
 * given page_mkwrite before the first shared frame.  A child has none of them
 * (VM_DONTCOPY) unless its parent insisted with MADV_DOFORK.
 */
static bool foreign(struct vm_fault *vmf)
{
	return vmf->vma->vm_mm != vmf_vm(vmf)->mm;
}

static vm_fault_t fault_error(struct page *frame)
{
	switch (PTR_ERR(frame)) {
	case -ENOMEM:
		return VM_FAULT_OOM;
	case -EHWPOISON:
		return VM_FAULT_HWPOISON;
	case -EINTR:
		/* A fatal signal; looking again would only spin. */
		return VM_FAULT_SIGBUS;
	default:
		/* Changed under us: the core looks again. */
		return VM_FAULT_NOPAGE;
	}
}

/*
 * Give up the lock of the address space, to wait without it.  The mapping may go, and with it
 * the VM and this code, but for the file that this returns, with a reference.
 */
static struct file *leave_fault(struct vm_fault *vmf)
{
	struct file *file = get_file(vmf->vma->vm_file);

	release_fault_lock(vmf);
	return file;
}

/*
 * Lock a frame, without holding up others if that takes long, as it does while it is read
 * from swap: wait without the lock of the address space, if the core can begin anew, or,
 * if it does not want to wait (KVM, which can let the guest do something else), not at all.
 *
 * Return: 0: it is locked; or what the fault comes to.
 */
static vm_fault_t lock_frame(struct vm_fault *vmf, struct page *frame)
{
	struct file *file;

	if (mrm_frame_trylock(frame))
		return 0;
	if (!fault_flag_allow_retry_first(vmf->flags))
		return mrm_frame_lock_killable(frame) ? VM_FAULT_SIGBUS : 0;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	file = leave_fault(vmf);
	folio_wait_locked_killable(page_folio(frame));
	fput(file);
	return VM_FAULT_RETRY;
}

/* The same for guest pages of which a large frame is being made. */
static vm_fault_t wait_rebuilt(struct vm_fault *vmf, struct mrm_vm *vm)
{
	unsigned long index = vmf->pgoff;
	struct file *file;

	if (!fault_flag_allow_retry_first(vmf->flags))
		return mrm_guest_large_wait_rebuilt(vm, index) ? VM_FAULT_SIGBUS : 0;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	file = leave_fault(vmf);
	mrm_guest_large_wait_rebuilt(vm, index);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * Memory is about to be taken: large frames are to be broken before anybody is ended for them.
 * Wait for it where little is left, but once in a fault.  Return: 0, or what the fault comes to.
 */
static vm_fault_t mind_limit(struct vm_fault *vmf, struct mrm_vm *vm)
{
	enum mrm_limit limit = mrm_guest_limit(vm);
	struct file *file;

	if (likely(limit == MRM_LIMIT_FAR))
		return 0;
	if (limit == MRM_LIMIT_NEAR || !fault_flag_allow_retry_first(vmf->flags)) {
		mrm_guest_limit_ask(vm, MRM_ASK_MUCH);
		return 0;
	}
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
		mrm_guest_limit_ask(vm, MRM_ASK_MUCH);
		return VM_FAULT_RETRY;
	}
	file = leave_fault(vmf);
	mrm_guest_limit_wait(vm, MRM_ASK_MUCH);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * The frame of a guest page, locked and with a reference, brought back if it has to be;
 * NULL if it holds nothing.  *allocated: to bring it back took memory.  Without one, *ret is
 * what the fault comes to.
 */
static struct page *find_frame(struct vm_fault *vmf, struct mrm_vm *vm, gfp_t flags,
			       bool *allocated, vm_fault_t *ret)
{
	unsigned long index = vmf->pgoff;
	struct page *frame;
	int err;

	*ret = 0;
	*allocated = false;
	for (;;) {
		if (unlikely(mrm_guest_large_is_rebuilding(vm, index))) {
			*ret = wait_rebuilt(vmf, vm);
			if (*ret)
				return NULL;
		}
		frame = mrm_guest_page_get(vm, index);
		if (frame) {
			/* Locked since it was looked, by who rebuilds: wait without it. */
			if (folio_test_locked(page_folio(frame)) &&
			    mrm_guest_large_is_rebuilding(vm, index)) {
				put_page(frame);
				continue;
			}
			*ret = lock_frame(vmf, frame);
			/* Only with the lock does it stay; without it the VM may be gone. */
			if (!*ret && mrm_guest_page_is(vm, index, frame))
				return frame;
			if (!*ret)
				mrm_frame_unlock(frame);
			put_page(frame);
			if (*ret)
				return NULL;
			continue;
		}
		*ret = mind_limit(vmf, vm);
		if (*ret)
			return NULL;
		frame = mrm_guest_page_unzip(vm, index, flags);
		*allocated |= !IS_ERR_OR_NULL(frame);
		if (!IS_ERR_OR_NULL(frame))
			return frame;
		err = frame ? PTR_ERR(frame) : mrm_guest_page_read(vm, index, flags);
		if (!err)
			return NULL;
		if (err == -EINPROGRESS) {
			/* Counted now: the fault may end before it is read. */
			mrm_block_allocated(vmf, vm);
		} else if (err != -EAGAIN) {
			*ret = fault_error(ERR_PTR(err));
			return NULL;
		}
	}
}

/* What a guest page gets that holds nothing: what user space only reads needs no frame. */
static struct page *populate(struct vm_fault *vmf, struct mrm_vm *vm, gfp_t flags)
{
	/* vm->cow cannot change during a fault; vm->share may, and then
	 * whoever switched it off looks once more.
	 */
	bool zero = !(vmf->flags & FAULT_FLAG_WRITE) && vm->cow && READ_ONCE(vm->share);
	struct page *frame = NULL;

	/* A guest that reads is about to use its memory; who saves or dumps it is not. */
	if (!zero || mrm_vm_runs_on(vm, current))
		frame = mrm_guest_large_populate(vm, vmf);
	if (frame)
		return frame;
	return zero ? mrm_guest_page_populate_zero(vm, vmf->pgoff, flags) :
		      mrm_guest_page_populate(vm, vmf->pgoff, flags);
}

/* A private frame, locked, is about to be mapped.  Return: so that it can only be read. */
static bool keeps_slot(struct mrm_vm *vm, unsigned long index, struct page *frame, bool write)
{
	if (!mrm_frame_is_cached(frame))
		return false;
	/* vm->cow cannot change during a fault. */
	if (!write && vm->cow)
		return true;
	mrm_guest_cached_drop(vm, index, frame);
	return false;
}

/*
 * Returns the frame locked, as an answer to a fault: the core unlocks it when
 * the page table entry stands, so that whoever locks it and unmaps it knows it
 * stays unmapped.  @flags: 0 or MRM_KILL_NOBODY.
 */
static vm_fault_t map_frame(struct vm_fault *vmf, struct mrm_vm *vm, gfp_t flags)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct page *frame, *shared;
	bool populated = false, allocated;
	vm_fault_t ret;

	frame = find_frame(vmf, vm, flags, &allocated, &ret);
	if (ret)
		return ret;
	if (!frame) {
		populated = true;
		allocated = true;
		frame = populate(vmf, vm, flags);
	}
	if (!IS_ERR(frame) && write && mrm_frame_is_shared(frame)) {
		shared = frame;
		mrm_frame_unlock(shared);
		ret = mind_limit(vmf, vm);
		frame = ret ? NULL : mrm_guest_page_break(vm, vmf->pgoff, shared, flags);
		allocated = true;
		put_page(shared);
		if (ret)
			return ret;
	}
	if (!IS_ERR(frame) && PageHWPoison(frame)) {
		/* Not the core's way: it would look for page->mapping. */
		mrm_frame_unlock(frame);
		put_page(frame);
		frame = ERR_PTR(-EHWPOISON);
	}
	if (IS_ERR(frame))
		return fault_error(frame);
	trace_mrm_fault(vm->pid, vmf->pgoff, write, populated);
	if (allocated)
		mrm_block_allocated(vmf, vm);
	/* Another private frame is mapped writable at once: it saves a second fault,
	 * and hints are not write-protected.
	 */
	if (!mrm_frame_is_shared(frame)) {
		/* If it was on its way to swap, it stays. */
		if (!mrm_frame_is_large(frame))
			mrm_frame_set_writing(frame, false);
		if (!keeps_slot(vm, vmf->pgoff, frame, write))
			vmf->flags |= FAULT_FLAG_WRITE;
	}
	vmf->page = frame;
	if (unlikely(atomic_read(&vm->rebuilt)) && mrm_frame_is_large(frame) &&
	    *mrm_large_word(frame, MRM_LARGE_IS_REBUILT))
		mrm_remap_fault(vmf, vm);
	return VM_FAULT_LOCKED;
}

/*
 * There is no memory.  If that is the cgroup's limit, what large frames hold for nothing comes
 * before all else.  Return: 0: to try once more, or what the fault comes to.
 */
static vm_fault_t make_room(struct vm_fault *vmf, struct mrm_vm *vm)
{
	if (!mrm_guest_limit_flags(vm))
		return 0;
	if (fault_flag_allow_retry_first(vmf->flags) && vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	return mrm_guest_limit_wait(vm, MRM_ASK_ALL) ? VM_FAULT_SIGBUS : 0;
}

static vm_fault_t guest_fault(struct vm_fault *vmf)
{
	struct mrm_vm *vm = vmf_vm(vmf);
	gfp_t flags = mrm_guest_limit_flags(vm);
	vm_fault_t ret;

	if (foreign(vmf))
		return VM_FAULT_SIGBUS;
	ret = map_frame(vmf, vm, flags);
	if (likely(ret != VM_FAULT_OOM) || !flags)
		return ret;
	return make_room(vmf, vm) ?: map_frame(vmf, vm, 0);
}

/*
 * Somebody else has made it private, and it is mapped as it was until he is done: to look again
 * at once would only spin.
 */
static vm_fault_t wait_broken(struct vm_fault *vmf, struct mrm_vm *vm)
{
	struct page *frame;
	int err = 0;

	/* A reference would look like a pin. */
	if (mrm_guest_large_is_rebuilding(vm, vmf->pgoff))
		return mrm_guest_large_wait_rebuilt(vm, vmf->pgoff) ? VM_FAULT_SIGBUS :
								      VM_FAULT_NOPAGE;
	frame = mrm_guest_page_get(vm, vmf->pgoff);
	if (!frame) {
		/* Who discards it unmaps it, but may have others to discard first. */
		mrm_entry_unmap(vm, vmf->pgoff, 1);
		return VM_FAULT_NOPAGE;
	}
	/* What is read from swap was unmapped long ago: who wants it waits without mmap lock. */
	if (!mrm_frame_is_reading(frame))
		err = folio_wait_locked_killable(page_folio(frame));
	put_page(frame);
	return err ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

/* As guest_fault(), but that the core begins nothing anew. */
static struct page *break_shared(struct mrm_vm *vm, unsigned long index, struct page *shared)
{
	gfp_t flags = mrm_guest_limit_flags(vm);
	struct page *frame;

	if (mrm_guest_limit(vm) != MRM_LIMIT_FAR)
		mrm_guest_limit_ask(vm, MRM_ASK_MUCH);
	frame = mrm_guest_page_break(vm, index, shared, flags);
	if (frame != ERR_PTR(-ENOMEM) || !flags)
		return frame;
	if (mrm_guest_limit_wait(vm, MRM_ASK_ALL))
		return ERR_PTR(-EINTR);
	return mrm_guest_page_break(vm, index, shared, 0);
}

/*
 * A write to a page mapped read-only.  Must return VM_FAULT_LOCKED, or the
 * core, which finds no page->mapping, retries for ever.
 */
static vm_fault_t guest_page_mkwrite(struct vm_fault *vmf)
{
	struct mrm_vm *vm = vmf_vm(vmf);
	struct page *frame = vmf->page;

	if (foreign(vmf))
		return VM_FAULT_SIGBUS;
	if (mrm_frame_is_shared(frame)) {
		frame = break_shared(vm, vmf->pgoff, frame);
		if (frame == ERR_PTR(-EAGAIN))
			return wait_broken(vmf, vm);
		if (IS_ERR(frame))
			return fault_error(frame);
		mrm_frame_unlock(frame);
		put_page(frame);
		mrm_block_allocated(vmf, vm);
		return VM_FAULT_NOPAGE;
	}
	if (mrm_frame_lock_killable(frame))
		return VM_FAULT_SIGBUS;
	if (!mrm_guest_page_is(vm, vmf->pgoff, frame)) {
		mrm_frame_unlock(frame);
		return wait_broken(vmf, vm);
	}
	mrm_guest_cached_drop(vm, vmf->pgoff, frame);
	return VM_FAULT_LOCKED;
}

/* Part of a mapping goes for good: by munmap(), another mmap() or exit. */
static void guest_close(struct vm_area_struct *vma)
{
	struct mrm_vm *vm = mrm_file_vm(vma->vm_file);

	/* A child's, or the copy of a refused mremap(), owns nothing. */
	if (vma->vm_mm != vm->mm || vma->vm_pgoff != vma->vm_start >> PAGE_SHIFT ||
	    mrm_guest_file_keeps(vm, vma))
		return;
	mrm_guest_pages_drop(vm, vma->vm_pgoff, vma->vm_pgoff + vma_pages(vma) - 1);
	atomic_long_sub(vma_pages(vma), &vm->adopted);
}

/* The page offset is the address, so a mapping cannot move. */
static int guest_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const struct vm_operations_struct plain_ops = {
	.fault = guest_fault,
	.close = guest_close,
	.mremap = guest_mremap,
};

static const struct vm_operations_struct cow_ops = {
	.fault = guest_fault,
	.page_mkwrite = guest_page_mkwrite,
	.close = guest_close,
	.mremap = guest_mremap,
};

/**
 * mrm_guest_vm_ops() - what a mapping of the pseudo file answers to
 * @cow: it may map shared frames
 * Return: the operations.
 */
const struct vm_operations_struct *mrm_guest_vm_ops(bool cow)
{
	return cow ? &cow_ops : &plain_ops;
}
