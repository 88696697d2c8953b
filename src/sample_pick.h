/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SAMPLE_PICK_H
#define MRM_SAMPLE_PICK_H

#include "scan_order.h"		/* u64 in kernel and user space */

u64 mrm_sample_pick(u64 pages, u32 n, u32 i, u64 random);

#endif
