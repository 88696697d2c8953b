/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The pseudo file
 *
 * One file per VM, on a mount nobody sees; the page offset is the virtual
 * address >> PAGE_SHIFT.  Its mappings are put over guest RAM.
 */
#ifndef MRM_GUEST_FILE_H
#define MRM_GUEST_FILE_H

#include <linux/types.h>

struct mrm_vm;
struct vm_area_struct;
enum mrm_reason;

struct mrm_vm *mrm_guest_file_alloc_vm(void);
bool mrm_guest_file_keeps(struct mrm_vm *vm, const struct vm_area_struct *vma);
int mrm_guest_file_remap(struct mrm_vm *vm, unsigned long start, unsigned long len);
enum mrm_reason mrm_guest_file_adopt(struct mrm_vm *vm, unsigned long start, unsigned long len);
void mrm_guest_file_start_cow(struct mrm_vm *vm);
int mrm_guest_file_stop_cow(struct mrm_vm *vm);
int mrm_guest_file_init(void);
void mrm_guest_file_exit(void);

#endif
