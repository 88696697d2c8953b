/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_GUEST_FAULT_H
#define MRM_GUEST_FAULT_H

#include <linux/mm.h>

const struct vm_operations_struct *mrm_guest_vm_ops(bool cow);

#endif
