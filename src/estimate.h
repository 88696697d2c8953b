/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The estimate
 *
 * What fraction of its pages a VM uses, smoothed over periods of samples.  Pure
 * arithmetic: compiled into the user-space tests as well.
 */
#ifndef MRM_ESTIMATE_H
#define MRM_ESTIMATE_H

#include "scan_order.h"		/* u64 in kernel and user space */

/* A fraction of 1 is 2^16. */
#define MRM_ESTIMATE_SHIFT	16

/**
 * struct mrm_estimate - averages over the periods so far
 * @slow: moves by 1/8 of the way to a new period
 * @fast: moves by 7/8
 * @periods: that have been completed
 *
 * All zero before the first period.  The owner protects it.
 */
struct mrm_estimate {
	u32 slow;
	u32 fast;
	u64 periods;
};

void mrm_estimate_add(struct mrm_estimate *e, u32 touched, u32 samples);
u32 mrm_estimate_active(const struct mrm_estimate *e, u32 touched, u32 samples);
u64 mrm_estimate_pages(u32 fraction, u64 pages);

#endif
