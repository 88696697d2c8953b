/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_LARGE_SCAN_H
#define MRM_LARGE_SCAN_H

#include <linux/types.h>

struct mrm_vm;
struct page;

void mrm_large_scan_part(struct mrm_vm *vm, struct page *part);
bool mrm_large_scan_expects(struct mrm_vm *vm, u64 hash, struct page *part);
void mrm_large_scan_zeroes(struct mrm_vm *vm, unsigned long first);
unsigned int mrm_large_scan_count_zeroes(struct mrm_vm *vm, unsigned long first);
unsigned int mrm_large_scanned(struct mrm_vm *vm, unsigned long index);
void mrm_large_scan_forget(void);
size_t mrm_large_scan_bytes(void);

#endif
