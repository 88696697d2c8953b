/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows kernel versions.  Each entry names the release and
 * the change; everything else in src/ is written for the newest kernel.
 */
#ifndef MRM_COMPAT_H
#define MRM_COMPAT_H

#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/version.h>
#include <linux/zsmalloc.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "kvm-mrm supports Linux 6.1 and newer"
#endif

#ifndef CONFIG_X86_64
#error "kvm-mrm supports x86-64 only"
#endif

/*
 * 6.3, "mm: introduce vma->vm_flags wrapper functions": vm_flags became
 * read-only.  Before, the mmap lock held for writing was all it took.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

/*
 * 6.4, "mm: introduce per-VMA locks": faults may run without the mmap lock,
 * so a change of a VMA must lock it.  Before, the mmap lock excludes them.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline void vma_start_write(struct vm_area_struct *vma)
{
	mmap_assert_write_locked(vma->vm_mm);
}
#endif

/*
 * 6.18, "prctl: extend PR_SET_THP_DISABLE to optionally exclude VM_HUGEPAGE": there are two ways
 * to have none, and mm's flags have functions of their own.  Before, it is one bit.
 */
static inline bool mrm_thp_disabled(const struct vm_area_struct *vma)
{
#ifdef MMF_DISABLE_THP
	return test_bit(MMF_DISABLE_THP, &vma->vm_mm->flags);
#else
	return mm_flags_test(MMF_DISABLE_THP_COMPLETELY, vma->vm_mm) ||
	       (!(vma->vm_flags & VM_HUGEPAGE) &&
		mm_flags_test(MMF_DISABLE_THP_EXCEPT_ADVISED, vma->vm_mm));
#endif
}

/* 6.3, "mm: memcontrol: rename memcg_kmem_enabled()". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define memcg_kmem_online memcg_kmem_enabled
#endif

/* 6.4, "mm: vmscan: refactor updating current->reclaim_state". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline void mm_account_reclaimed_pages(unsigned long pages)
{
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
}
#endif

/* 6.8, "KVM: x86: rename KVM_ADDRESS_SPACE_NUM to KVM_MAX_NR_ADDRESS_SPACES". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define KVM_MAX_NR_ADDRESS_SPACES KVM_ADDRESS_SPACE_NUM
#endif

/*
 * 6.13, "sched: Add Lazy preemption model": where the kernel is built so, cond_resched() does
 * nothing, and a thread in the kernel goes on until the next tick, 4 ms, whoever wakes up.
 * What works in the background gives way to a vCPU at once, as before.
 */
static inline void mrm_cond_resched(void)
{
	cond_resched();
#ifdef CONFIG_PREEMPT_LAZY
	if (test_thread_flag(TIF_NEED_RESCHED_LAZY))
		schedule();
#endif
}

/*
 * 6.16, "mm: rename page->index to page->__folio_index".  The word is ours on
 * a frame: only page cache and anonymous folios give it a meaning.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define mrm_page_index_word(page) (&(page)->index)
#else
#define mrm_page_index_word(page) (&(page)->__folio_index)
#endif

/* 6.18, "fs: rename generic_delete_inode() to inode_just_drop()". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define inode_just_drop generic_delete_inode
#endif

/*
 * 6.18, "KVM: Export KVM-internal symbols for sub-modules only": file_is_kvm()
 * is closed to us.  What is left is the name of the file.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
static inline bool mrm_file_is_kvm(struct file *file)
{
	struct module *owner = file->f_op->owner;

	return owner && !strncmp(owner->name, "kvm", 3) &&
	       !strcmp(file->f_path.dentry->d_name.name, "kvm-vm");
}
#else
#define mrm_file_is_kvm file_is_kvm
#endif

/*
 * 6.17, "VFIO: KVM: x86: Drop kvm_arch_{start,end}_assignment()": devices are not
 * counted any more, but interrupts that may reach a guest directly.  Before a guest
 * has any, what its devices pin tells.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define mrm_kvm_has_device(kvm) (atomic_read(&(kvm)->arch.assigned_device_count) != 0)
#else
#define mrm_kvm_has_device(kvm) (READ_ONCE((kvm)->arch.nr_possible_bypass_irqs) != 0)
#endif

/*
 * 6.6, "mm: add fault lock helpers": until 6.4 it was always the mmap lock.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define release_fault_lock(vmf) mmap_read_unlock((vmf)->vma->vm_mm)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	if (vmf->flags & FAULT_FLAG_VMA_LOCK)
		vma_end_read(vmf->vma);
	else
		mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* 6.7, "mm: shrinker: add infrastructure for dynamically allocating shrinker". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define mrm_shrinker_register(count, scan, name) ({			\
	static struct shrinker __shrinker = {				\
		.count_objects = count,					\
		.scan_objects = scan,					\
		.seeks = DEFAULT_SEEKS,					\
	};								\
	register_shrinker(&__shrinker, name) ? NULL : &__shrinker;	\
})
#define mrm_shrinker_free(shrinker) unregister_shrinker(shrinker)
#else
#define mrm_shrinker_register(count, scan, name) ({			\
	struct shrinker *__shrinker = shrinker_alloc(0, name);		\
									\
	if (__shrinker) {						\
		__shrinker->count_objects = count;			\
		__shrinker->scan_objects = scan;			\
		shrinker_register(__shrinker);				\
	}								\
	__shrinker;							\
})
#define mrm_shrinker_free(shrinker) shrinker_free(shrinker)
#endif

/* 6.8, "fs: move file_start_write() into vfs_iter_write()". */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
static inline ssize_t mrm_vfs_iter_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
	ssize_t bytes;

	file_start_write(file);
	bytes = vfs_iter_write(file, iter, pos, 0);
	file_end_write(file);
	return bytes;
}
#else
#define mrm_vfs_iter_write(file, iter, pos) vfs_iter_write(file, iter, pos, 0)
#endif

/*
 * 6.15, "zsmalloc: introduce new object mapping API": objects are copied in, and read in
 * place or from a copy.  Before, they were mapped, with preemption off.
 * 6.16, "zsmalloc: prefer the original page's node for compressed data": a node.
 * 7.0, "zsmalloc: simplify read begin/end logic": the reader says how long an object is.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define mrm_zs_malloc(pool, size, gfp) zs_malloc(pool, size, gfp)
#else
#define mrm_zs_malloc(pool, size, gfp) zs_malloc(pool, size, gfp, numa_node_id())
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
static inline void mrm_zs_write(struct zs_pool *pool, unsigned long handle, void *from,
				size_t len)
{
	memcpy(zs_map_object(pool, handle, ZS_MM_WO), from, len);
	zs_unmap_object(pool, handle);
}

static inline const void *mrm_zs_read_begin(struct zs_pool *pool, unsigned long handle,
					    size_t len, void *copy)
{
	return zs_map_object(pool, handle, ZS_MM_RO);
}

static inline void mrm_zs_read_end(struct zs_pool *pool, unsigned long handle, size_t len,
				   const void *from)
{
	zs_unmap_object(pool, handle);
}
#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define mrm_zs_write zs_obj_write

static inline const void *mrm_zs_read_begin(struct zs_pool *pool, unsigned long handle,
					    size_t len, void *copy)
{
	return zs_obj_read_begin(pool, handle, copy);
}

static inline void mrm_zs_read_end(struct zs_pool *pool, unsigned long handle, size_t len,
				   const void *from)
{
	zs_obj_read_end(pool, handle, (void *)from);
}
#else
#define mrm_zs_write zs_obj_write
#define mrm_zs_read_begin zs_obj_read_begin
#define mrm_zs_read_end(pool, handle, len, from) zs_obj_read_end(pool, handle, len, (void *)(from))
#endif

/*
 * The function of kvm.ko that every new memory slot passes through.  7.x
 * folded __kvm_set_memory_region() into kvm_set_memory_region(); before, the
 * outer one may have been inlined into the ioctl and would not be hit.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define MRM_KVM_SET_MEMORY_REGION "__kvm_set_memory_region"
#else
#define MRM_KVM_SET_MEMORY_REGION "kvm_set_memory_region"
#endif

#endif
