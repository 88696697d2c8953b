/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_VM_NAME_H
#define MRM_VM_NAME_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#endif

bool mrm_vm_name_from_args(const char *args, size_t len, char *name, size_t size);

#endif
