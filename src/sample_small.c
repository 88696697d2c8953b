// SPDX-License-Identifier: GPL-2.0
#include <linux/bits.h>
#include <linux/delay.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>

#include "sample_small.h"

#define LEVEL_2M	0	/* in kvm_arch_memory_slot.lpage_info */
#define TRIES		20	/* for slots_lock, which is kept for the time of a dirty log */

/*
 * In kvm_lpage_info.disallow_lpage: far more than KVM counts there itself, the ends of slots and
 * page tables that it shadows, so that ours are known by their size.
 */
#define MARK		BIT(20)
#define MARKS		GENMASK(29, 20)
#define MOST_MARKS	(512 * MARK)	/* a guest page is sampled once at a time */

static struct kvm_lpage_info *info_of(const struct kvm_memory_slot *slot, unsigned long page)
{
	const unsigned int shift = PMD_SHIFT - PAGE_SHIFT;

	if (!slot->arch.lpage_info[LEVEL_2M])
		return NULL;
	return &slot->arch.lpage_info[LEVEL_2M][((slot->base_gfn + page) >> shift) -
						(slot->base_gfn >> shift)];
}

static unsigned int marks_of(const struct kvm_lpage_info *info)
{
	return info->disallow_lpage & MARKS;
}

/* Several slots may have the address; @marked: of one that is marked.  Context: slots_lock. */
static struct kvm_lpage_info *find_info(struct kvm *kvm, unsigned long address, bool marked)
{
	struct kvm_memslots *slots = kvm_memslots(kvm);
	struct kvm_memory_slot *slot;
	struct kvm_lpage_info *info;
	int bucket;

	kvm_for_each_memslot(slot, bucket, slots) {
		if (address - slot->userspace_addr >= slot->npages << PAGE_SHIFT)
			continue;
		info = info_of(slot, (address - slot->userspace_addr) >> PAGE_SHIFT);
		if (info && (!marked || marks_of(info)))
			return info;
	}
	return NULL;
}

/**
 * mrm_small_begin() - have the 2 MiB around an address mapped in 4 KiB from now on
 * @kvm: for which struct kvm, with a reference
 * @address: in the process
 *
 * Mappings that there are stay: whoever calls this drops them next.
 *
 * Context: May sleep.  slots_lock is not waited for: the process may keep it for long.
 * Return: true; false if it cannot be.
 */
bool mrm_small_begin(struct kvm *kvm, unsigned long address)
{
	struct kvm_lpage_info *info;
	bool begun = false;

	if (!mutex_trylock(&kvm->slots_lock))
		return false;
	info = find_info(kvm, address, false);
	/* Under it KVM reads it, and changes it. */
	write_lock(&kvm->mmu_lock);
	if (info && marks_of(info) < MOST_MARKS) {
		info->disallow_lpage += MARK;
		begun = true;
	}
	write_unlock(&kvm->mmu_lock);
	mutex_unlock(&kvm->slots_lock);
	return begun;
}

static bool lock_slots(struct kvm *kvm)
{
	unsigned int i;

	for (i = 0; !mutex_trylock(&kvm->slots_lock); i++) {
		if (i == TRIES)
			return false;
		usleep_range(50, 200);
	}
	return true;
}

/**
 * mrm_small_end() - they may be mapped as one again
 * @kvm: the same struct kvm, with a reference
 * @address: as it was
 *
 * Where the slot is another one by now there is no mark, and nothing to do.
 *
 * Context: May sleep.  slots_lock is waited for some ms; not for ever, see mrm_small_begin().
 * Return: true; false if it is for mrm_small_end_left() to do.
 */
bool mrm_small_end(struct kvm *kvm, unsigned long address)
{
	struct kvm_lpage_info *info;

	if (!lock_slots(kvm))
		return false;
	info = find_info(kvm, address, true);
	write_lock(&kvm->mmu_lock);
	if (info)
		info->disallow_lpage -= MARK;
	write_unlock(&kvm->mmu_lock);
	mutex_unlock(&kvm->slots_lock);
	return true;
}

/* Those of one slot; their addresses, if there is room for them. */
static size_t end_slot(const struct kvm_memory_slot *slot, unsigned long *addresses, size_t max)
{
	const unsigned long parts = PMD_SIZE >> PAGE_SHIFT;
	struct kvm_lpage_info *info;
	unsigned long page;
	size_t n = 0;

	for (page = 0; page < slot->npages && n < max;
	     page += parts - (slot->base_gfn + page) % parts) {
		info = info_of(slot, page);
		if (!info || !marks_of(info))
			continue;
		info->disallow_lpage &= ~MARKS;
		addresses[n++] = slot->userspace_addr + (page << PAGE_SHIFT);
	}
	return n;
}

/**
 * mrm_small_end_left() - the same of what is left, while nothing is sampled
 * @kvm: the struct kvm, with a reference
 * @addresses: in the process, of some of them
 * @max: how many there is room for: if there are as many, there may be more
 *
 * Context: May sleep.  slots_lock is waited for some ms.
 * Return: how many; -EBUSY if it had not come.
 */
ssize_t mrm_small_end_left(struct kvm *kvm, unsigned long *addresses, size_t max)
{
	struct kvm_memory_slot *slot;
	size_t n = 0;
	int bucket;

	if (!lock_slots(kvm))
		return -EBUSY;
	kvm_for_each_memslot(slot, bucket, kvm_memslots(kvm)) {
		write_lock(&kvm->mmu_lock);
		n += end_slot(slot, addresses + n, max - n);
		write_unlock(&kvm->mmu_lock);
	}
	mutex_unlock(&kvm->slots_lock);
	return n;
}
