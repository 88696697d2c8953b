/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_H
#define UNIT_H

#include "scan_order.h"		/* u64 in kernel and user space */

void test_estimate(void);
void test_policy(void);
void test_reclaim(void);
void test_sample_pick(void);
void test_scan_order(void);
void test_scan_rate(void);
void test_vm_name(void);

void draw_seed(u64 seed);
u64 draw(u64 low, u64 high);

#endif
