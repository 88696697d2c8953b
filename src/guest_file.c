// SPDX-License-Identifier: GPL-2.0
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <linux/wait_bit.h>

#include "compat.h"
#include "guest_fault.h"
#include "guest_file.h"
#include "guest_hot.h"
#include "guest_page.h"
#include "swap.h"
#include "vm.h"

#define REMAP_TRIES	10
#define MRM_MAGIC	0x6d726d67	/* "mrmg" */

static struct kmem_cache *vm_cache;
static struct vfsmount *guest_mnt;

/* What somebody has set for a mapping, and would be lost with it.  Context: mmap_lock held. */
static enum mrm_reason what_is_set(struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_LOCKED)
		return MRM_LOCKED;
	if ((vma->vm_flags & (VM_READ | VM_WRITE)) != (VM_READ | VM_WRITE))
		return MRM_PROTECTED;
	if (userfaultfd_armed(vma))
		return MRM_USERFAULT;
	if (vma_policy(vma))
		return MRM_NUMA;
	return MRM_NR_REASONS;
}

/*
 * May this piece of the current process's memory be replaced by a mapping of
 * ours?  Only if it is one private anonymous mapping to which nothing was ever
 * written: then there is nothing to copy and no pin to break.
 *
 * Context: mmap_lock held.
 */
static enum mrm_reason why_not(struct mrm_vm *vm, struct vm_area_struct *vma, unsigned long start,
			       unsigned long len)
{
	enum mrm_reason reason;

	if (!vma || vma->vm_start > start || vma->vm_end < start + len)
		return MRM_SEVERAL;
	if (vm->file && vma->vm_file == vm->file)
		return MRM_ADOPTED;
	if (is_vm_hugetlb_page(vma))
		return MRM_HUGETLB;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP))
		return MRM_DEVICE;
	if (vma->vm_file || vma->vm_flags & (VM_SHARED | VM_MAYSHARE))
		return MRM_FILE;
	if (vm->late)
		return MRM_LATE;
	if (len < SZ_2M)
		return MRM_TOO_SMALL;
	if (!vma_is_anonymous(vma) || vma->vm_flags & (VM_GROWSDOWN | VM_GROWSUP))
		return MRM_SEVERAL;
	reason = what_is_set(vma);
	if (reason != MRM_NR_REASONS)
		return reason;
	/* Set at the first write fault, so it tells in O(1) (design.md, D1). */
	if (vma->anon_vma)
		return MRM_POPULATED;
	return MRM_NR_REASONS;
}

/*
 * The same of a piece that is ours and is to be mapped anew: only if nothing gets lost that
 * was set for the mapping.
 */
static enum mrm_reason why_not_again(struct mrm_vm *vm, struct vm_area_struct *vma,
				     unsigned long start, unsigned long len)
{
	/* It went in the last try. */
	if (vm->adopting.closed)
		return vma && vma->vm_start < start + len ? MRM_SEVERAL : MRM_NR_REASONS;
	if (!vma || vma->vm_start > start || vma->vm_end < start + len)
		return MRM_SEVERAL;
	if (vma->vm_file != vm->file)
		return MRM_FILE;
	return what_is_set(vma);
}

/*
 * Called by the core inside mmap(MAP_FIXED), with the mmap lock held for
 * writing and before the old mapping goes: what is allowed here is what is
 * replaced.  It is also what refuses mmap() and remap_file_pages() of the file
 * by anybody but us.
 */
static unsigned long guest_get_unmapped_area(struct file *file, unsigned long addr,
					     unsigned long len, unsigned long pgoff,
					     unsigned long flags)
{
	struct mrm_vm *vm = mrm_file_vm(file);
	struct mrm_adopting *a = &vm->adopting;
	struct vm_area_struct *vma;

	/* Only the adopting task itself can match, and it holds vm->lock. */
	if (READ_ONCE(a->task) != current || current->mm != vm->mm)
		return -EPERM;
	if (addr != a->start || len != a->len || pgoff != addr >> PAGE_SHIFT)
		return -EPERM;
	vma = find_vma(vm->mm, addr);
	a->reason = a->again ? why_not_again(vm, vma, addr, len) : why_not(vm, vma, addr, len);
	if (a->reason != MRM_NR_REASONS)
		return -EBUSY;
	if (!a->closed)
		a->old_flags = vma->vm_flags;
	return addr;
}

static int guest_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mrm_vm *vm = mrm_file_vm(file);
	unsigned long flags = VM_DONTCOPY | VM_DONTEXPAND;

	if (READ_ONCE(vm->adopting.task) != current)
		return -EPERM;
	/* Guest RAM stays out of QEMU's core dumps if it was to. */
	flags |= vm->adopting.old_flags & (VM_DONTDUMP | VM_HUGEPAGE | VM_NOHUGEPAGE);
	/* Its owner may want a child to see it that it cannot see (MADV_DOFORK). */
	if (vm->adopting.again && !(vm->adopting.old_flags & VM_DONTCOPY))
		flags &= ~VM_DONTCOPY;
	vm_flags_set(vma, flags);
	vma->vm_ops = mrm_guest_vm_ops(vm->cow);
	if (!vm->adopting.again)
		atomic_long_add(vma_pages(vma), &vm->adopted);
	return 0;
}

static const struct file_operations guest_fops = {
	.owner = THIS_MODULE,
	.mmap = guest_mmap,
	.get_unmapped_area = guest_get_unmapped_area,
};

/*
 * Make the pseudo file, if the VM, whose lock is held, has none.  -ENODEV if the
 * module is being removed.
 */
static int open_file(struct mrm_vm *vm)
{
	struct file *file;

	if (vm->file)
		return 0;
	/* alloc_file_pseudo() takes no module reference, the last fput() drops
	 * one.  It is what refuses rmmod while the VM exists; and rmmod that
	 * has begun refuses us.
	 */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	ihold(&vm->inode);
	file = alloc_file_pseudo(&vm->inode, guest_mnt, "mrm-guest-ram", O_RDWR, &guest_fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		mrm_vm_put(vm);
		return PTR_ERR(file);
	}
	vm->file = file;
	return 0;
}

/* Did the old mapping go although ours did not come?  Then there is a hole. */
static void mend(struct mrm_vm *vm, unsigned long start, unsigned long len, unsigned long prot)
{
	struct vm_area_struct *vma;
	bool hole;

	mmap_read_lock(vm->mm);
	vma = find_vma(vm->mm, start);
	hole = !vma || vma->vm_start >= start + len;
	mmap_read_unlock(vm->mm);
	if (!hole)
		return;
	/* Nothing was ever written there, so fresh anonymous memory is the same. */
	if (IS_ERR_VALUE(vm_mmap(NULL, start, len, prot,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
				 MAP_NORESERVE, 0)))
		pr_err("VM %d (%s) lost its memory at %#lx: out of memory\n", vm->pid, vm->name,
		       start);
}

/**
 * mrm_guest_file_adopt() - put a mapping of the pseudo file over guest RAM
 * @vm: the VM of the current process; its lock is held
 * @start: virtual address, page aligned
 * @len: bytes, page aligned
 *
 * KVM needs no telling: its MMU notifier sees the old mapping go.
 *
 * Context: The VM's own process, on its way to user space; may sleep.
 * Return: MRM_ADOPTED, or why it was left alone.
 */
enum mrm_reason mrm_guest_file_adopt(struct mrm_vm *vm, unsigned long start, unsigned long len)
{
	unsigned long prot = PROT_READ | PROT_WRITE, addr;
	struct vm_area_struct *vma;
	enum mrm_reason reason;

	mmap_read_lock(vm->mm);
	vma = find_vma(vm->mm, start);
	reason = why_not(vm, vma, start, len);
	if (reason == MRM_NR_REASONS && vma->vm_flags & VM_EXEC)
		prot |= PROT_EXEC;
	mmap_read_unlock(vm->mm);
	if (reason != MRM_NR_REASONS)
		return reason;
	if (open_file(vm))
		return MRM_NO_MEMORY;

	vm->adopting.start = start;
	vm->adopting.len = len;
	vm->adopting.reason = MRM_NO_MEMORY;
	WRITE_ONCE(vm->adopting.task, current);
	addr = vm_mmap(vm->file, start, len, prot, MAP_SHARED | MAP_FIXED, start);
	WRITE_ONCE(vm->adopting.task, NULL);
	if (!IS_ERR_VALUE(addr))
		return MRM_ADOPTED;
	reason = vm->adopting.reason;
	if (reason != MRM_NR_REASONS)
		return reason;
	mend(vm, start, len, prot);
	return MRM_NO_MEMORY;
}

/**
 * mrm_guest_file_keeps() - is a mapping that goes mapped anew?
 * @vm: the VM
 * @vma: the mapping
 *
 * Context: The mmap lock is held for writing, or the process is ending.
 * Return: true if so; then nothing of it is given back.
 */
bool mrm_guest_file_keeps(struct mrm_vm *vm, const struct vm_area_struct *vma)
{
	struct mrm_adopting *a = &vm->adopting;

	if (READ_ONCE(a->task) != current || !a->again || vma->vm_start != a->start ||
	    vma->vm_end != a->start + a->len)
		return false;
	a->closed = true;
	return true;
}

/**
 * mrm_guest_file_remap() - map a piece of adopted guest RAM anew
 * @vm: the VM of the current process
 * @start: virtual address, a multiple of 2 MiB
 * @len: bytes, a multiple of 2 MiB
 *
 * The page tables go, and no guest page changes.  Where a page table is the core maps no more
 * than 4 KiB, whatever the frames; and only to unmap a range takes it away.
 *
 * Context: The VM's own process, on its way to user space or into the guest; may sleep.
 * Return: 0; -EBUSY if something was set for the mapping that would be lost; -ENOMEM; -EINTR.
 */
int mrm_guest_file_remap(struct mrm_vm *vm, unsigned long start, unsigned long len)
{
	unsigned long prot = PROT_READ | PROT_WRITE, addr;
	struct vm_area_struct *vma;
	int tries = 0;
	bool closed;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (!vm->file) {
		mutex_unlock(&vm->lock);
		return -EBUSY;
	}
	mmap_read_lock(vm->mm);
	vma = find_vma(vm->mm, start);
	if (vma && vma->vm_flags & VM_EXEC)
		prot |= PROT_EXEC;
	mmap_read_unlock(vm->mm);
	vm->adopting.start = start;
	vm->adopting.len = len;
	vm->adopting.again = true;
	vm->adopting.reason = MRM_NR_REASONS;
	WRITE_ONCE(vm->adopting.task, current);
	do {
		addr = vm_mmap(vm->file, start, len, prot, MAP_SHARED | MAP_FIXED, start);
		/* The old mapping may have gone without the new one coming: it has to. */
	} while (IS_ERR_VALUE(addr) && vm->adopting.closed && ++tries < REMAP_TRIES);
	WRITE_ONCE(vm->adopting.task, NULL);
	vm->adopting.again = false;
	closed = vm->adopting.closed;
	vm->adopting.closed = false;
	if (IS_ERR_VALUE(addr) && closed) {
		pr_err("VM %d (%s) lost its memory at %#lx: out of memory\n", vm->pid, vm->name,
		       start);
		mrm_guest_pages_drop(vm, start >> PAGE_SHIFT, ((start + len) >> PAGE_SHIFT) - 1);
		atomic_long_sub(len >> PAGE_SHIFT, &vm->adopted);
	}
	mutex_unlock(&vm->lock);
	if (!IS_ERR_VALUE(addr))
		return 0;
	return vm->adopting.reason == MRM_NR_REASONS ? -ENOMEM : -EBUSY;
}

static void set_cow(struct mrm_vm *vm, bool cow)
{
	VMA_ITERATOR(vmi, vm->mm, 0);
	struct vm_area_struct *vma;

	mmap_assert_write_locked(vm->mm);
	for_each_vma(vmi, vma) {
		if (!vma->vm_file || vma->vm_file->f_mapping != vm->inode.i_mapping)
			continue;
		vma_start_write(vma);
		vma->vm_ops = mrm_guest_vm_ops(cow);
		/* As the core computes it for a mapping with (or without)
		 * page_mkwrite: a new page table entry is writable only if the
		 * fault was.
		 */
		WRITE_ONCE(vma->vm_page_prot,
			   vm_get_page_prot(cow ? vma->vm_flags & ~VM_SHARED : vma->vm_flags));
	}
	WRITE_ONCE(vm->cow, cow);
}

/**
 * mrm_guest_file_start_cow() - from now on shared frames may be mapped
 * @vm: the VM
 *
 * Gives all mappings page_mkwrite.  From 6.5 on such a mapping refuses
 * long-term pins for writing (VFIO, io_uring buffers).  A guest with an
 * assigned device pins all its RAM when it starts, so mappings begin without,
 * and get it before the first shared frame.
 *
 * Context: A work of the VM's own, as it waits for the mmap lock of a process
 * that may never let go.  With that held for writing no fault is under way.
 */
void mrm_guest_file_start_cow(struct mrm_vm *vm)
{
	if (!mmget_not_zero(vm->mm))
		return;
	mmap_write_lock(vm->mm);
	/* While this waited a device may have been assigned. */
	if (!vm->cow && !mrm_vm_not_to_share(vm))
		set_cow(vm, true);
	mmap_write_unlock(vm->mm);
	wake_up_var(&vm->cow);
	mmput(vm->mm);
}

/**
 * mrm_guest_file_stop_cow() - shared frames may be mapped no more
 * @vm: the VM, whose share is off
 *
 * Takes page_mkwrite away again, unless share was switched on meanwhile.  A guest page is private
 * a moment before its shared frame is unmapped (mrm_guest_page_break()), and a write would make
 * that writable then.  So who breaks one has the mmap lock for reading, or the share lock, which
 * the caller has had since share is off: what faults may have mapped after that is zero, which
 * mrm_guest_page_unshare() unmaps first.  What is read from swap meanwhile, and keeps its slot, is
 * counted before it can be mapped (guest_cached.c).  Faults never have a lock of the mapping alone,
 * as the core asks for map_pages for that; a discard may, and set_cow() waits for it.
 *
 * Context: May sleep; waits for the mmap lock.
 * Return: 0; -EBUSY if a guest page still is shared, or keeps a slot; -ESRCH if the process has
 * ended; -EINTR.
 */
int mrm_guest_file_stop_cow(struct mrm_vm *vm)
{
	int err;

	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	err = mmap_write_lock_killable(vm->mm);
	if (!err) {
		if (!READ_ONCE(vm->share)) {
			if (xa_marked(&vm->pages, MRM_MARK_SHARED) ||
			    mrm_counter_read(&vm->counters, MRM_SWAP_CACHED))
				err = -EBUSY;
			else if (vm->cow)
				set_cow(vm, false);
		}
		mmap_write_unlock(vm->mm);
	}
	mmput(vm->mm);
	return err;
}

/**
 * mrm_guest_file_alloc_vm() - a VM, as an inode on the hidden mount
 * Return: it, with one reference, or NULL.
 */
struct mrm_vm *mrm_guest_file_alloc_vm(void)
{
	struct inode *inode = new_inode(guest_mnt->mnt_sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	/* S_PRIVATE: security modules have no label for it and must not ask. */
	inode->i_flags |= S_PRIVATE | S_NOCMTIME;
	/* What is behind the end of a file is not mapped in 2 MiB. */
	i_size_write(inode, MAX_LFS_FILESIZE);
	clear_nlink(inode);
	return mrm_inode_vm(inode);
}

static struct inode *guest_alloc_inode(struct super_block *sb)
{
	struct mrm_vm *vm = alloc_inode_sb(sb, vm_cache, GFP_KERNEL);

	if (!vm)
		return NULL;
	memset((char *)vm + sizeof(vm->inode), 0, sizeof(*vm) - sizeof(vm->inode));
	/* The nodes, too, are charged to the VM's memory cgroup. */
	xa_init_flags(&vm->pages, XA_FLAGS_ACCOUNT);
	xa_init_flags(&vm->hot, XA_FLAGS_ACCOUNT);
	/* These are not: who stores in it is a work that does not wait, and serves others, too. */
	xa_init(&vm->cached);
	return &vm->inode;
}

static void guest_free_inode(struct inode *inode)
{
	kmem_cache_free(vm_cache, mrm_inode_vm(inode));
}

static void guest_evict_inode(struct inode *inode)
{
	struct mrm_vm *vm = mrm_inode_vm(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	/* Every mapping has been closed, and closing gives the frames back. */
	if (WARN_ON_ONCE(!xa_empty(&vm->pages)))
		mrm_guest_pages_drop(vm, 0, ULONG_MAX);
	mrm_guest_hot_forget(vm);
	WARN_ON_ONCE(mrm_counter_read(&vm->counters, MRM_SWAP_CACHED));
	/* Nodes without an entry, for want of memory for others. */
	xa_destroy(&vm->cached);
	kfree(vm->scan.spans);
	kvfree(vm->sample.picks);
	mrm_swap_close(vm);
	if (vm->memcg)
		mem_cgroup_put(vm->memcg);
	if (vm->mm)
		mmdrop(vm->mm);
	mrm_vm_ended(vm);
}

static const struct super_operations guest_sops = {
	.alloc_inode = guest_alloc_inode,
	.free_inode = guest_free_inode,
	.evict_inode = guest_evict_inode,
	.drop_inode = inode_just_drop,
	.statfs = simple_statfs,
};

static int guest_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, MRM_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &guest_sops;
	return 0;
}

static DECLARE_COMPLETION(sb_killed);

static void guest_kill_sb(struct super_block *sb)
{
	kill_anon_super(sb);
	complete(&sb_killed);
}

/* No owner: our own mount must not keep us from being unloaded. */
static struct file_system_type guest_fs = {
	.name = "mrm",
	.init_fs_context = guest_init_fs_context,
	.kill_sb = guest_kill_sb,
};

static void vm_init_once(void *p)
{
	inode_init_once(&((struct mrm_vm *)p)->inode);
}

/**
 * mrm_guest_file_init() - the hidden mount
 * Return: 0 or an error.
 */
int mrm_guest_file_init(void)
{
	/* Aligned: frames have bits of their own in the address of their VM. */
	vm_cache = kmem_cache_create("mrm_vm", sizeof(struct mrm_vm), SMP_CACHE_BYTES,
				     SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, vm_init_once);
	if (!vm_cache)
		return -ENOMEM;
	guest_mnt = kern_mount(&guest_fs);
	if (IS_ERR(guest_mnt)) {
		kmem_cache_destroy(vm_cache);
		return PTR_ERR(guest_mnt);
	}
	return 0;
}

/**
 * mrm_guest_file_exit() - unmount; no VM is left
 */
void mrm_guest_file_exit(void)
{
	kern_unmount(guest_mnt);
	/* A last fput() drops its module reference before its mount: wait until
	 * it is through with ours, and out of our code.
	 */
	wait_for_completion(&sb_killed);
	synchronize_rcu_tasks();
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(vm_cache);
}
