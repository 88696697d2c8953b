/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_DISCARD_H
#define MRM_DISCARD_H

struct mmu_notifier_range;
struct mrm_vm;

void mrm_discard_invalidate(struct mrm_vm *vm, const struct mmu_notifier_range *range);
void mrm_discard_invalidated(struct mrm_vm *vm);
int mrm_discard_init(void);
void mrm_discard_exit(void);
unsigned long mrm_discard_missed(void);

#endif
