/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Reclaim without the guest (Waldspurger 2002, 3.3)
 *
 * What ballooning cannot take, or not fast enough, the host takes itself: from VMs that
 * are told to give, random guest pages, so that no guest's own choice of pages is
 * met by the same choice here.  In order, for each: it is shared if it can be; a
 * zero page then needs nothing; else it is zipped if it fits, or goes to swap.
 *
 * Guest pages are drawn in runs of neighbours, which are unmapped together.  To how many
 * frames a VM is to be brought is the balance's to say (balance.h), so what it gives by itself
 * meanwhile counts; one kernel thread does it.
 */
#ifndef MRM_RECLAIM_H
#define MRM_RECLAIM_H

struct mrm_vm;

void mrm_reclaim_to(struct mrm_vm *vm, unsigned long frames);
void mrm_reclaim_wake(void);
unsigned long mrm_reclaim_emergency(long timeout, bool from_all);
long mrm_reclaim_now(struct mrm_vm *vm, unsigned long bytes);

int mrm_reclaim_init(void);
void mrm_reclaim_exit(void);

#endif
