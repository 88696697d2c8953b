// SPDX-License-Identifier: GPL-2.0
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>

#include "frame.h"
#include "guest_page.h"
#include "sample_small.h"
#include "sample_touch.h"
#include "vm.h"

/*
 * The entry of a process's page tables that maps an address, or NULL; *value is what
 * it was, and *large says whether it maps 2 MiB or more.
 *
 * As get_user_pages_fast() finds it, and KVM in host_pfn_mapping_level(): with
 * interrupts off and the mm in use on this processor no page table goes away under
 * us, whether by khugepaged or by munmap(), as that waits for an IPI, or for RCU.  So
 * no mmap lock is needed, which a process may hold for as long as it likes.  Each
 * entry is read once: it may become one of another kind.
 */
static unsigned long *find_entry(struct mm_struct *mm, unsigned long address,
				 unsigned long *value, bool *large)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(mm, address));
	p4d_t p4d;
	pud_t pud, *pudp;
	pmd_t pmd, *pmdp;
	pte_t pte, *ptep;

	*large = true;
	if (pgd_none(pgd))
		return NULL;
	p4d = READ_ONCE(*p4d_offset(&pgd, address));
	if (!p4d_present(p4d))
		return NULL;
	pudp = pud_offset(&p4d, address);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		return NULL;
	*value = pud_val(pud);
	if (pud_leaf(pud))
		return (unsigned long *)pudp;
	pmdp = pmd_offset(&pud, address);
	pmd = READ_ONCE(*pmdp);
	if (!pmd_present(pmd))
		return NULL;
	*value = pmd_val(pmd);
	if (pmd_leaf(pmd))
		return (unsigned long *)pmdp;
	*large = false;
	ptep = pte_offset_kernel(&pmd, address);
	pte = READ_ONCE(*ptep);
	*value = pte_val(pte);
	return pte_present(pte) ? (unsigned long *)ptep : NULL;
}

/*
 * Is the address mapped in the current mm, and the accessed bit set?
 *
 * The bit is cleared as the processor would set it: only if the entry still is what
 * it was, whatever lock others hold.  If it is not, it stays, and the guest page
 * counts as touched.  The TLB is not flushed, as nowhere on x86: at worst a touch
 * soon after goes unseen.
 */
static bool process_touched(unsigned long address, bool clear, bool *mapped, bool *large)
{
	unsigned long *entry, value = 0;

	local_irq_disable();
	entry = find_entry(current->mm, address, &value, large);
	*mapped = entry;
	if (entry && clear && value & _PAGE_ACCESSED)
		cmpxchg(entry, value, value & ~_PAGE_ACCESSED);
	local_irq_enable();
	return entry && value & _PAGE_ACCESSED;
}

/* Shared frames are several VMs', large ones many guest pages': their flags tell nothing of one. */
static bool frame_referenced(struct mrm_vm *vm, unsigned long index, bool clear)
{
	struct page *frame = mrm_guest_page_get(vm, index);
	bool referenced;

	if (!frame)
		return false;
	referenced = !mrm_frame_is_shared(frame) && !mrm_frame_is_large(frame) &&
		     folio_test_referenced(page_folio(frame));
	if (referenced && clear)
		folio_clear_referenced(page_folio(frame));
	put_page(frame);
	return referenced;
}

static bool guest_touched(struct mrm_touch *t, unsigned long address, bool clear)
{
	const struct mmu_notifier_ops *ops;
	struct mmu_notifier *mn;
	bool young = false;
	unsigned int i;

	for (i = 0; i < t->nr_kvms; i++) {
		mn = &t->kvms[i]->mmu_notifier;
		ops = mn->ops;
		if (clear)
			ops->clear_flush_young(mn, t->vm->mm, address, address + PAGE_SIZE);
		else
			young |= ops->test_young(mn, t->vm->mm, address);
	}
	return young;
}

/*
 * Take the guest's mapping away, and leave the process's.  KVM hears what it would
 * hear from the core; begin and end of it come in one place, and KVM keeps its slots
 * as they are in between.
 */
static void drop_guest_mapping(struct mrm_touch *t, unsigned long address, unsigned long bytes)
{
	const struct mmu_notifier_range range = {
		.mm = t->vm->mm,
		.start = address,
		.end = address + bytes,
		.flags = MMU_NOTIFIER_RANGE_BLOCKABLE,
		.event = MMU_NOTIFY_CLEAR,
	};
	struct mmu_notifier *mn;
	unsigned int i;

	for (i = 0; i < t->nr_kvms; i++) {
		mn = &t->kvms[i]->mmu_notifier;
		mn->ops->invalidate_range_start(mn, &range);
		mn->ops->invalidate_range_end(mn, &range);
	}
}

/*
 * KVM's 2 MiB around an address are in 4 KiB from now on, and the guest's next touch of any of
 * them is a fault.  The newest struct kvm's, that is: a VM has one, as a rule.
 */
static bool make_small(struct mrm_touch *t, unsigned long address)
{
	if (!t->nr_kvms || !mrm_small_begin(t->kvms[0], address))
		return false;
	drop_guest_mapping(t, address & PMD_MASK, PMD_SIZE);
	return true;
}

/*
 * What is mapped in 4 KiB is dropped twice for it.  Of an SEV guest KVM flushes all caches then;
 * and such a guest's memory is pinned.
 */
static bool may_make_small(struct mrm_touch *t, unsigned long index, unsigned int method)
{
	return method == MRM_TOUCH_DROPPED ||
	       (xa_load(&t->vm->pages, index) && !mrm_vm_not_to_take(t->vm));
}

/**
 * mrm_touch_clear() - from now on it counts whether a guest page is touched
 * @t: the VM, between mrm_touch_begin() and mrm_touch_end()
 * @index: the guest page
 * @method: MRM_TOUCH_ACCESSED or MRM_TOUCH_DROPPED
 *
 * The flag comes last: to drop a mapping that was accessed sets it.
 *
 * Context: May sleep.
 * Return: MRM_TOUCH_FAULTS: the next touch costs a fault that it would not have cost;
 * MRM_TOUCH_SMALL: mrm_touch_end_small() is to be called.
 */
unsigned int mrm_touch_clear(struct mrm_touch *t, unsigned long index, unsigned int method)
{
	unsigned long address = index << PAGE_SHIFT;
	bool mapped, large, faults = false, small = false;

	process_touched(address, true, &mapped, &large);
	/* What the process has not mapped the guest has not either. */
	if (mapped && large && may_make_small(t, index, method))
		small = make_small(t, address);
	if (small) {
		faults = true;
	} else if (mapped && method == MRM_TOUCH_ACCESSED) {
		guest_touched(t, address, true);
		faults = t->ad_disabled;
	} else if (mapped) {
		if (xa_load(&t->vm->pages, index))
			unmap_mapping_pages(t->vm->inode.i_mapping, index, 1, false);
		else
			drop_guest_mapping(t, address, PAGE_SIZE);
		faults = true;
	}
	frame_referenced(t->vm, index, true);
	return (faults ? MRM_TOUCH_FAULTS : 0) | (small ? MRM_TOUCH_SMALL : 0);
}

/**
 * mrm_touch_test() - was a guest page touched since mrm_touch_clear()?
 * @t: the VM, between mrm_touch_begin() and mrm_touch_end()
 * @index: the guest page
 *
 * Context: May sleep.
 * Return: true if it was.
 */
bool mrm_touch_test(struct mrm_touch *t, unsigned long index)
{
	unsigned long address = index << PAGE_SHIFT;
	bool unused, large;

	return guest_touched(t, address, false) ||
	       process_touched(address, false, &unused, &large) ||
	       frame_referenced(t->vm, index, false);
}

/**
 * mrm_touch_end_small() - a guest page is looked at no more
 * @t: the VM, between mrm_touch_begin() and mrm_touch_end()
 * @index: the guest page
 *
 * Of which struct kvm it was one is not asked: of another there is no mark.
 *
 * Context: May sleep.
 * Return: true; false if some of its 2 MiB may be left in 4 KiB until the end of
 * mrm_touch_end_small_left().
 */
bool mrm_touch_end_small(struct mrm_touch *t, unsigned long index)
{
	unsigned long address = index << PAGE_SHIFT;
	bool ended = true;
	unsigned int i;

	for (i = 0; i < t->nr_kvms; i++)
		ended &= mrm_small_end(t->kvms[i], address);
	/* So that it is mapped as one at the next touch. */
	drop_guest_mapping(t, address & PMD_MASK, PMD_SIZE);
	return ended;
}

/**
 * mrm_touch_end_small_left() - no guest page is looked at
 * @t: the VM, between mrm_touch_begin() and mrm_touch_end()
 *
 * Context: May sleep.
 * Return: true if nothing is left in 4 KiB that was for mrm_touch_clear().
 */
bool mrm_touch_end_small_left(struct mrm_touch *t)
{
	unsigned long addresses[16];
	bool ended = true;
	ssize_t n, j;
	unsigned int i;

	for (i = 0; i < t->nr_kvms; i++) {
		do {
			n = mrm_small_end_left(t->kvms[i], addresses, ARRAY_SIZE(addresses));
			ended &= n >= 0;
			for (j = 0; j < n; j++)
				drop_guest_mapping(t, addresses[j] & PMD_MASK, PMD_SIZE);
		} while (n == ARRAY_SIZE(addresses));
	}
	return ended;
}

/* Has it no accessed bits?  Context: kvms_lock held, @kvm not dead. */
static bool ad_disabled(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		/* It may be written just now, with what it was. */
		return data_race((bool)vcpu->arch.root_mmu.root_role.ad_disabled);
	return false;
}

static void get_kvms(struct mrm_touch *t)
{
	struct mrm_vm *vm = t->vm;
	struct mrm_kvm *k;

	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry(k, &vm->kvms, node) {
		if (t->nr_kvms == MRM_TOUCH_KVMS)
			break;
		if (k->dead || !kvm_get_kvm_safe(k->kvm))
			continue;
		t->kvms[t->nr_kvms++] = k->kvm;
		t->ad_disabled |= ad_disabled(k->kvm);
	}
	spin_unlock_irq(&vm->kvms_lock);
}

/**
 * mrm_touch_begin() - begin to look at guest pages of a VM
 * @t: what to fill in
 * @vm: the VM
 *
 * Until mrm_touch_end() the process's memory and its struct kvm stay, even if it is
 * killed: that should not be long.
 *
 * Context: A kernel thread; it uses the process's mm.
 * Return: true; false if the process is ending.
 */
bool mrm_touch_begin(struct mrm_touch *t, struct mrm_vm *vm)
{
	if (!mmget_not_zero(vm->mm))
		return false;
	t->vm = vm;
	t->nr_kvms = 0;
	t->ad_disabled = false;
	get_kvms(t);
	kthread_use_mm(vm->mm);
	return true;
}

/**
 * mrm_touch_end() - end it
 * @t: from mrm_touch_begin()
 *
 * References may be the last ones.  The mm is then taken down by a work.  KVM destroys
 * a struct kvm here and now, as it may in a work of its own; and not while the mm is in
 * use, or it would wait for the process's mmap lock.
 *
 * Context: May sleep.
 */
void mrm_touch_end(struct mrm_touch *t)
{
	struct mm_struct *mm = t->vm->mm;

	kthread_unuse_mm(mm);
	mmput_async(mm);
	while (t->nr_kvms)
		kvm_put_kvm(t->kvms[--t->nr_kvms]);
}
