// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>

#include "sample_small.h"

#define LEVEL_2M	0	/* in kvm_arch_memory_slot.lpage_info */
#define TRIES		20	/* for slots_lock, which is kept for the time of a dirty log */

static void add(struct kvm *kvm, struct kvm_lpage_info *info, int n)
{
	/* Under it KVM reads it, and changes it. */
	write_lock(&kvm->mmu_lock);
	info->disallow_lpage += n;
	write_unlock(&kvm->mmu_lock);
}

/* Context: slots_lock. */
static struct kvm_lpage_info *find_info(struct kvm *kvm, unsigned long address)
{
	struct kvm_memslots *slots = kvm_memslots(kvm);
	const unsigned int shift = PMD_SHIFT - PAGE_SHIFT;
	struct kvm_memory_slot *slot;
	int bucket;
	gfn_t gfn;

	kvm_for_each_memslot(slot, bucket, slots) {
		if (address - slot->userspace_addr >= slot->npages << PAGE_SHIFT ||
		    !slot->arch.lpage_info[LEVEL_2M])
			continue;
		gfn = slot->base_gfn + ((address - slot->userspace_addr) >> PAGE_SHIFT);
		return &slot->arch.lpage_info[LEVEL_2M][(gfn >> shift) -
							(slot->base_gfn >> shift)];
	}
	return NULL;
}

/**
 * mrm_small_begin() - have the 2 MiB around an address mapped in 4 KiB from now on
 * @s: what to fill in, but for the serial
 * @kvm: for which struct kvm, with a reference
 * @address: in the process
 * @generation: of the slots when it was called last for this VM; made that of now
 *
 * Mappings that there are stay: whoever calls this drops them next.
 *
 * Context: May sleep.  slots_lock is not waited for: the process may keep it for long.
 * Return: true; false if it cannot be, or slots have changed since the last call.
 */
bool mrm_small_begin(struct mrm_small *s, struct kvm *kvm, unsigned long address, u64 *generation)
{
	u64 now;

	if (!mutex_trylock(&kvm->slots_lock))
		return false;
	now = kvm_memslots(kvm)->generation;
	s->info = now == *generation ? find_info(kvm, address) : NULL;
	if (s->info) {
		add(kvm, s->info, 1);
		s->generation = now;
	}
	mutex_unlock(&kvm->slots_lock);
	*generation = now;
	return s->info;
}

/**
 * mrm_small_end() - they may be mapped as one again
 * @s: from mrm_small_begin()
 * @kvm: the same struct kvm, with a reference
 *
 * slots_lock is waited for some ms, as nobody would lower the count later; not for ever, see
 * mrm_small_begin().
 *
 * Context: May sleep.
 */
void mrm_small_end(struct mrm_small *s, struct kvm *kvm)
{
	unsigned int i;

	for (i = 0; !mutex_trylock(&kvm->slots_lock); i++) {
		if (i == TRIES)
			return;
		usleep_range(50, 200);
	}
	if (kvm_memslots(kvm)->generation == s->generation)
		add(kvm, s->info, -1);
	mutex_unlock(&kvm->slots_lock);
}
