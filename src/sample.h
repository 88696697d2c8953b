/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The working set
 *
 * What fraction of a VM's guest pages is in use is found by sampling (Waldspurger
 * 2002, 5.3).  In each period of the VM's own running time some guest pages, adopted or
 * not, are picked at random, and at its end it is counted how many of them were
 * touched by the guest, by QEMU, by vhost or by DMA: sample_touch.h.  They are looked
 * at four times a period, so that a VM that grows is noticed before its end.  Slow and
 * fast averages over the periods give the estimate: estimate.h.
 *
 * Running time is wall time in which a vCPU is inside KVM_RUN, as seen at ticks of a
 * second, or an eighth of the period if that is shorter; a tick that comes late
 * counts for two at the most.  A halted guest runs: that
 * it is idle is what is to be seen.  One that is suspended or stopped does not: its
 * period and its estimate stand still.
 *
 * One kernel thread does it for all VMs, and nobody waits for it, nor it for any
 * process.
 *
 * A change of the tunables begins the period anew.  Guest pages that are no longer in a
 * memory slot when the period ends are not counted, and new ones are picked in the next.
 */
#ifndef MRM_SAMPLE_H
#define MRM_SAMPLE_H

#include <linux/types.h>

#include "estimate.h"

struct mrm_vm;

/**
 * struct mrm_sample_tunables - what an administrator may set
 * @period: seconds of a VM's running time; 0 stops, and every VM counts as active
 * @pages: guest pages to pick in a period
 * @method: MRM_TOUCH_ACCESSED or MRM_TOUCH_DROPPED
 */
struct mrm_sample_tunables {
	unsigned long period;
	unsigned long pages;
	unsigned long method;
};

#define MRM_SAMPLE_PERIOD_MAX	3600
#define MRM_SAMPLE_PAGES_MAX	10000

extern struct mrm_sample_tunables mrm_sample_tunables;

/**
 * struct mrm_sample - the samples of a VM; the sampler's, who alone writes it
 * @picks: guest pages that were picked for this period
 * @n: how many; 0: no period is running
 * @tunables: as it began with
 * @begun_ns: running time at which it began
 * @looks: how often its pages were looked at
 * @averages: over the periods
 * @small_left: so may be those of others that are picked no more
 * @running_ns: running time of the VM; read by others, as all that follows
 * @active: the estimate, as a fraction of the VM's pages, see estimate.h
 * @slow: its slow average
 * @fast: its fast average
 * @touched: fraction that was touched so far in this period
 * @known: something was sampled: before, all is taken to be active
 */
struct mrm_sample {
	struct mrm_sample_pick {
		unsigned long index : 59;
		unsigned long touched : 1;
		unsigned long kept : 1;		/* it was not taken when the period began */
		unsigned long taken : 1;	/* but since */
		unsigned long faults : 1;	/* to touch it will cost a fault */
		unsigned long small : 1;	/* its 2 MiB are mapped in 4 KiB for it */
	} *picks;
	unsigned int n;
	struct mrm_sample_tunables tunables;
	u64 begun_ns;
	unsigned int looks;
	struct mrm_estimate averages;
	bool small_left;
	u64 running_ns;
	u32 active, slow, fast, touched;
	bool known;
};

long mrm_sample_active_pages(struct mrm_vm *vm);
void mrm_sample_on_update(void (*fn)(struct mrm_vm *vm));
void mrm_sample_wake(void);
u64 mrm_sample_cpu_ns(void);
int mrm_sample_init(void);
void mrm_sample_exit(void);

#endif
