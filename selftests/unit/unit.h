/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_H
#define UNIT_H

void test_scan_order(void);
void test_scan_rate(void);
void test_vm_name(void);

#endif
