/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SCAN_RATE_H
#define MRM_SCAN_RATE_H

#include "scan_order.h"		/* u64 in kernel and user space */

#define MRM_BACKOFF_MAX 4

u64 mrm_scan_rate(u64 resident, u64 scan_time, u64 rate_max, unsigned int backoff);
unsigned int mrm_scan_backoff(unsigned int backoff, u64 scanned, u64 shared, u64 resident,
			      u64 resident_before);

#endif
