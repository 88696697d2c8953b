/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Pressure from the rest of the host
 *
 * The kernel's own reclaim tells when memory is short, sooner than the balance looks: a
 * shrinker has it look at once, and the reclaimer take from VMs above their targets, for which
 * it waits a moment if it may.  It takes nothing itself, as it is called with locks held that
 * are not known; what the reclaimer has freed since is its answer.
 *
 * Before the kernel kills a process for memory, VMs give what they have above their min,
 * a part at a time, whatever their targets: the notifier waits a moment for that.
 */
#ifndef MRM_PRESSURE_H
#define MRM_PRESSURE_H

int mrm_pressure_init(void);
void mrm_pressure_exit(void);

#endif
