/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The scanner
 *
 * One kernel thread looks at the guest pages of all VMs, VM by VM in small
 * blocks, in a random order over each VM.  How fast is decided once a window:
 * each VM earns credit at its rate, and all together may use share_cpu_max per
 * cent of the window.
 */
#ifndef MRM_SCAN_H
#define MRM_SCAN_H

#include <linux/types.h>

/**
 * struct mrm_scan_tunables - what an administrator may set
 * @scan_time: seconds for one pass over a VM; 0 stops
 * @rate_max: guest pages a second, for each VM; 0 stops
 * @cpu_max: per cent of one processor for all scanning; 0 stops
 */
struct mrm_scan_tunables {
	unsigned long scan_time;
	unsigned long rate_max;
	unsigned long cpu_max;
};

#define MRM_SCAN_TIME_MAX	604800
#define MRM_SCAN_RATE_MAX	10000000
#define MRM_SCAN_CPU_MAX	100

extern struct mrm_scan_tunables mrm_scan_tunables;

void mrm_scan_wake(void);
int mrm_scan_now(void);
bool mrm_scan_pending(void);
unsigned long mrm_scan_rounds(void);
u64 mrm_scan_cpu_ns(void);
void mrm_scan_on_round(void (*fn)(void));
int mrm_scan_init(void);
void mrm_scan_exit(void);

#endif
